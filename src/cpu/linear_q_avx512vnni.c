/* Products with quantised weights for AVX-512 with dot products of bytes; the code is in
   linear_q_simd.h. */
#define RN_VARIANT(op) rn_##op##_avx512vnni
#define RN_VNNI        1
#include "cpu/simd_avx512.h"

#include "cpu/bytes_avx512.h"
#include "cpu/linear_q_simd.h"

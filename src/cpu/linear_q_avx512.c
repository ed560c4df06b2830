/* Products with quantised weights for AVX-512; the code is in linear_q_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/bytes_avx512.h"
#include "cpu/linear_q_simd.h"

/* Products with quantised weights for AVX2; the code is in linear_q_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/bytes_avx2.h"
#include "cpu/linear_q_simd.h"

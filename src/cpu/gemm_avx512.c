/* The dense products for AVX-512. */
#include "cpu/simd_avx512.h"

#include "cpu/gemm_simd.h"

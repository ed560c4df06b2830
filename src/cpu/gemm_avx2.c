/* The dense products for AVX2 and FMA. */
#include "cpu/simd_avx2.h"

#include "cpu/gemm_simd.h"

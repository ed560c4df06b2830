/* The own dense product for AVX2 with FMA; the code is in gemm_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/gemm_simd.h"

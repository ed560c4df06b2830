/* The own dense product for AVX-512; the code is in gemm_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/gemm_simd.h"

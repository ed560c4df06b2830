/* Norms for AVX-512; the code is in norm_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/norm_simd.h"

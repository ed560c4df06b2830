/* Norms for AVX2 with FMA; the code is in norm_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/norm_simd.h"

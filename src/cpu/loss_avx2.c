/* Cross entropy for AVX2 with FMA; the code is in loss_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/loss_simd.h"

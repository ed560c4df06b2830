/* Cross entropy for AVX-512; the code is in loss_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/loss_simd.h"

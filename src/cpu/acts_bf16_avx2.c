/* Activations in bfloat16 for AVX2; the code is in acts_bf16_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/acts_bf16_simd.h"

/* Activations in bfloat16 for AVX-512; the code is in acts_bf16_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/acts_bf16_simd.h"

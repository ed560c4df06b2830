/* Products of bfloat16 weights and activations for AVX-512 BF16; the code is in
   linear_float_simd.h. */
#define RN_VARIANT(op) rn_##op##_avx512bf16
#define RN_BF16        1
#include "cpu/simd_avx512.h"

#include "cpu/linear_float_simd.h"

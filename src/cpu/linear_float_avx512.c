/* Products of float weights with float32 activations for AVX-512; the code is in
   linear_float_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/linear_float_simd.h"

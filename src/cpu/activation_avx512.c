/* Activations for AVX-512; the code is in activation_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/activation_simd.h"

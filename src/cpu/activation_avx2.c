/* Activations for AVX2 with FMA; the code is in activation_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/activation_simd.h"

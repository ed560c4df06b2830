/* The product behind decoding for AVX-512; the code is in matvec_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/matvec_simd.h"

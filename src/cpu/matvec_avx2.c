/* The product behind decoding for AVX2 with FMA; the code is in matvec_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/matvec_simd.h"

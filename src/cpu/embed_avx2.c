/* Embedding and rotary position for AVX2 with FMA; the code is in embed_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/embed_simd.h"

/* Embedding and rotary position for AVX-512; the code is in embed_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/embed_simd.h"

/* The decoding step of retention for AVX2; the code is in decode_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/decode_simd.h"

/* The decoding step of retention for AVX-512; the code is in decode_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/decode_simd.h"

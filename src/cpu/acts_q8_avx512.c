/* Activations in bytes for AVX-512; the code is in acts_q8_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/bytes_avx512.h"
#include "cpu/acts_q8_simd.h"

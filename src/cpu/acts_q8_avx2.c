/* Activations in bytes for AVX2; the code is in acts_q8_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/bytes_avx2.h"
#include "cpu/acts_q8_simd.h"

/* Retention for AVX-512; the code is in retention_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/retention_simd.h"

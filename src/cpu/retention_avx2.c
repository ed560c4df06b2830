/* Retention for AVX2 with FMA; the code is in retention_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/retention_simd.h"

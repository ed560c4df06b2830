/* Small vector operations for AVX2 with FMA; the code is in misc_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/misc_simd.h"

/* Small vector operations for AVX-512; the code is in misc_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/misc_simd.h"

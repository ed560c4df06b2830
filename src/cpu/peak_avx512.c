/* Peak rate of avx512; the code is in peak_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/peak_simd.h"

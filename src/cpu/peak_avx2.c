/* Peak rate of avx2; the code is in peak_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/peak_simd.h"

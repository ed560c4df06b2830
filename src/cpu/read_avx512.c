/* Reading memory by avx512; the code is in read_simd.h. */
#include "cpu/simd_avx512.h"

#include "cpu/read_simd.h"

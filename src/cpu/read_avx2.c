/* Reading memory by avx2; the code is in read_simd.h. */
#include "cpu/simd_avx2.h"

#include "cpu/read_simd.h"

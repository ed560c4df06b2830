/* Peak rate of fused multiply-adds: chains in registers, more of them than latency times
   units, so that only the arithmetic counts. */
#ifndef RN_CPU_PEAK_SIMD_H
#define RN_CPU_PEAK_SIMD_H

#include "cpu/cpu.h"

/* Each chain is a variable: an array would tempt a compiler into memory. */
double RN_VARIANT(peak)(size_t rounds, float *sink)
{
    const vf m = vf_set1(0.999f), c = vf_set1(0.001f);
    vf a0 = vf_set1(0.0f), a1 = vf_set1(1.0f), a2 = vf_set1(2.0f), a3 = vf_set1(3.0f);
    vf a4 = vf_set1(4.0f), a5 = vf_set1(5.0f), a6 = vf_set1(6.0f), a7 = vf_set1(7.0f);
    vf a8 = vf_set1(8.0f), a9 = vf_set1(9.0f), a10 = vf_set1(10.0f), a11 = vf_set1(11.0f);
    for (size_t r = 0; r < rounds; r++) {
        a0 = vf_fma(a0, m, c), a1 = vf_fma(a1, m, c), a2 = vf_fma(a2, m, c);
        a3 = vf_fma(a3, m, c), a4 = vf_fma(a4, m, c), a5 = vf_fma(a5, m, c);
        a6 = vf_fma(a6, m, c), a7 = vf_fma(a7, m, c), a8 = vf_fma(a8, m, c);
        a9 = vf_fma(a9, m, c), a10 = vf_fma(a10, m, c), a11 = vf_fma(a11, m, c);
    }
    vf x = vf_add(vf_add(a0, a1), vf_add(a2, a3)),
       y = vf_add(vf_add(a4, a5), vf_add(a6, a7));
    vf z = vf_add(vf_add(a8, a9), vf_add(a10, a11));
    *sink = vf_sum(vf_add(vf_add(x, y), z));
    return 2.0 * 12.0 * VW * (double)rounds;
}

#endif

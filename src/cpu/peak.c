/* Peak rate without an instruction set that has to be asked for: independent chains of a
   multiply and an add on vectors of four floats, which every 64-bit processor has. */
#include "cpu/cpu.h"

typedef float four __attribute__((vector_size(16)));

#define CHAINS 8

double rn_peak_ref(size_t rounds, float *sink)
{
    const four m = {0.999f, 0.999f, 0.999f, 0.999f}, c = {0.001f, 0.001f, 0.001f, 0.001f};
    four a0 = c, a1 = 2.0f * c, a2 = 3.0f * c, a3 = 4.0f * c;
    four a4 = 5.0f * c, a5 = 6.0f * c, a6 = 7.0f * c, a7 = 8.0f * c;
    for (size_t r = 0; r < rounds; r++) {
        a0 = a0 * m + c, a1 = a1 * m + c, a2 = a2 * m + c, a3 = a3 * m + c;
        a4 = a4 * m + c, a5 = a5 * m + c, a6 = a6 * m + c, a7 = a7 * m + c;
    }
    four sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7;
    *sink = sum[0] + sum[1] + sum[2] + sum[3];
    return 2.0 * 4.0 * CHAINS * (double)rounds;
}

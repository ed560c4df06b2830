/* Peak rate of plain C: independent chains of a multiply and an add, in registers,
   whatever vectors the compiler makes of them. */
#include "cpu/cpu.h"

#define LANES 32

double rn_peak_ref(size_t rounds, float *sink)
{
    float a[LANES];
    for (int i = 0; i < LANES; i++) a[i] = (float)i;
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < LANES; i++) a[i] = a[i] * 0.999f + 0.001f;
    float sum = 0.0f;
    for (int i = 0; i < LANES; i++) sum += a[i];
    *sink = sum;
    return 2.0 * LANES * (double)rounds;
}

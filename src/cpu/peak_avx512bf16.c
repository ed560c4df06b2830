/* Peak rate of dot products of bfloat16 pairs: chains in registers. */
#include "cpu/simd_avx512.h"

#include "cpu/cpu.h"

/* Chains for two units of up to 12 cycles. Each has another beginning: equal ones would
   be one to the compiler. */
enum { DOWN = 8, ACROSS = 3 };

double rn_peak_avx512bf16(size_t rounds, float *sink)
{
    const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    vf a[DOWN][ACROSS];
    RN_UNROLL for (int i = 0; i < DOWN; i++)
    {
        RN_UNROLL for (int j = 0; j < ACROSS; j++) a[i][j] =
            vf_set1((float)(i * ACROSS + j));
    }
    for (size_t r = 0; r < rounds; r++) {
        RN_UNROLL for (int i = 0; i < DOWN; i++)
        {
            RN_UNROLL for (int j = 0; j < ACROSS; j++) a[i][j] =
                _mm512_dpbf16_ps(a[i][j], ones, ones);
        }
    }
    vf sum = vf_zero();
    RN_UNROLL for (int i = 0; i < DOWN; i++)
    {
        RN_UNROLL for (int j = 0; j < ACROSS; j++) sum = vf_add(sum, a[i][j]);
    }
    *sink = vf_sum(sum);
    return 2.0 * 2.0 * VW * DOWN * ACROSS * (double)rounds;
}

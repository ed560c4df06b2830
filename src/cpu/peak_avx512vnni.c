/* Peak rate of dot products of four bytes: chains in registers. */
#include "cpu/simd_avx512.h"

#include "cpu/cpu.h"

/* Chains for two units of up to 12 cycles. */
enum { DOWN = 8, ACROSS = 3 };

double rn_peak_avx512vnni(size_t rounds, float *sink)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i a[DOWN][ACROSS];
    RN_UNROLL for (int i = 0; i < DOWN; i++)
    {
        RN_UNROLL for (int j = 0; j < ACROSS; j++) a[i][j] = _mm512_set1_epi32(i);
    }
    for (size_t r = 0; r < rounds; r++) {
        RN_UNROLL for (int i = 0; i < DOWN; i++)
        {
            RN_UNROLL for (int j = 0; j < ACROSS; j++) a[i][j] =
                _mm512_dpbusd_epi32(a[i][j], ones, ones);
        }
    }
    vf sum = vf_zero();
    RN_UNROLL for (int i = 0; i < DOWN; i++)
    {
        RN_UNROLL for (int j = 0; j < ACROSS; j++) sum =
            vf_add(sum, _mm512_cvtepi32_ps(a[i][j]));
    }
    *sink = vf_sum(sum);
    return 2.0 * 4.0 * VW * DOWN * ACROSS * (double)rounds;
}

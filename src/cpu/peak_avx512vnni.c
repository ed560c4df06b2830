/* Peak rate of dot products of four bytes: chains in registers. */
#include "cpu/simd_avx512.h"

#include "cpu/cpu.h"

/* Each chain has another beginning: equal ones would be one to the compiler. Two links of
   each in a round leave fewer copies between registers, which one compiler makes. */
enum { CHAINS = 12, LINKS = 2 };

double rn_peak_avx512vnni(size_t rounds, float *sink)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i a[CHAINS];
    RN_UNROLL for (int i = 0; i < CHAINS; i++) a[i] = _mm512_set1_epi32(i);
    for (size_t r = 0; r < rounds; r++) {
        RN_UNROLL for (int l = 0; l < LINKS; l++)
        {
            RN_UNROLL for (int i = 0; i < CHAINS; i++) a[i] =
                _mm512_dpbusd_epi32(a[i], ones, ones);
        }
    }
    vf sum = vf_zero();
    RN_UNROLL for (int i = 0; i < CHAINS; i++) sum =
        vf_add(sum, _mm512_cvtepi32_ps(a[i]));
    *sink = vf_sum(sum);
    return 2.0 * 4.0 * VW * CHAINS * LINKS * (double)rounds;
}

/* Activations in bytes: per block of 32, d = max|a| / 127 and q = a / d to the nearest,
   with the sums of its halves; the same bits with every instruction set. Included after
   simd_ISA.h and bytes_ISA.h. */
#ifndef RN_CPU_ACTS_Q8_SIMD_H
#define RN_CPU_ACTS_Q8_SIMD_H

#include "core/half.h"
#include "cpu/variants.h"

enum { BLOCK = 32, VECS = BLOCK / VW };

/* The bits of max|a|: as integers, so that those of a NaN are the largest. */
static inline uint32_t largest_bits(const vf a[VECS])
{
    vi most = vi_of_bits(vf_abs(a[0]));
    RN_UNROLL for (int v = 1; v < VECS; v++) most =
        vi_max(most, vi_of_bits(vf_abs(a[v])));
    return (uint32_t)vi_hmax(most);
}

/* The factor that makes q of a, and d. */
static inline float factor_of(uint32_t bits, float *d)
{
    const float most = rn_float_of_bits(bits);
    if (bits >= 0x7f800000u) {
        *d = rn_float_of_bits(0x7fc00000u);
        return 0.0f;
    }
    if (most < 0x1p-100f) {
        *d = 0.0f;
        return 0.0f;
    }
    *d = most / 127.0f;
    return 127.0f / most;
}

static inline void quantise(int8_t *q, float *d, rn_act_sum *sum, const float *in)
{
    vf a[VECS];
    vi whole[VECS];
    RN_UNROLL for (int v = 0; v < VECS; v++) a[v] = vf_load(in + v * VW);
    const float factor = factor_of(largest_bits(a), d);
    RN_UNROLL for (int v = 0; v < VECS; v++) whole[v] =
        factor == 0.0f ? vi_zero() : vi_of_floats(vf_mul(a[v], vf_set1(factor)));
    for (int h = 0; h < 2; h++)
        sum->half[h] = (int16_t)vi_store16(q + 16 * h, whole + h * (16 / VW));
}

void RN_VARIANT(acts_q8)(rn_exec *x, const rn_acts *to, const float *in, size_t ldin)
{
    (void)x;
    const size_t blocks = to->k / BLOCK;
    for (size_t r = 0; r < to->rows; r++) {
        int8_t *q = (int8_t *)to->data + r * to->ld;
        float *d = (float *)to->scale + r * blocks;
        rn_act_sum *sum = (rn_act_sum *)to->sum + r * blocks;
        for (size_t b = 0; b < blocks; b++)
            quantise(q + b * BLOCK, d + b, sum + b, in + r * ldin + b * BLOCK);
    }
}

#endif

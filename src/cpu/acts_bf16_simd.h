/* Activations rounded to bfloat16, pairs of columns side by side, an odd last one beside
   a 0; the same bits with every instruction set. Included after simd_ISA.h. */
#ifndef RN_CPU_ACTS_BF16_SIMD_H
#define RN_CPU_ACTS_BF16_SIMD_H

#include "cpu/variants.h"

void RN_VARIANT(acts_bf16)(rn_exec *x, const rn_acts *to, const float *in, size_t ldin)
{
    (void)x;
    for (size_t r = 0; r < to->rows; r++, in += ldin) {
        uint16_t *row = (uint16_t *)to->data + r * to->ld;
        size_t c = 0;
        for (; c + VW <= to->k; c += VW) vf_store_bf16_n(row + c, VW, vf_load(in + c));
        const size_t left = to->k - c;
        if (left) vf_store_bf16_n(row + c, left, vf_load_n(in + c, left));
        if (to->k % 2) row[to->k] = 0;
    }
}

#endif

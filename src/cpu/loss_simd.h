/* Cross entropy of a softmax and its gradient, a row at a time: the largest logit, then
   the sum of exponentials. */
#ifndef RN_CPU_LOSS_SIMD_H
#define RN_CPU_LOSS_SIMD_H

#include "cpu/loop_simd.h"
#include "cpu/math_simd.h"

#include <math.h>

static inline float row_max(const float *p, size_t n)
{
    vf low = vf_set1(-INFINITY), a = low, b = low;
    size_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        a = vf_max(a, vf_load(p + i));
        b = vf_max(b, vf_load(p + i + VW));
    }
    for (; i < n; i += VW) {
        vf v = vf_get(p + i, n - i);
        a = vf_max(a, n - i >= VW ? v : vf_blend_n(n - i, v, low));
    }
    return vf_hmax(vf_max(a, b));
}

static inline float row_exp_sum(const float *p, size_t n, float top)
{
    vf a = vf_zero(), b = vf_zero(), t = vf_set1(top);
    size_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        a = vf_add(a, vf_exp(vf_sub(vf_load(p + i), t)));
        b = vf_add(b, vf_exp(vf_sub(vf_load(p + i + VW), t)));
    }
    for (; i < n; i += VW) {
        vf e = vf_exp(vf_sub(vf_get(p + i, n - i), t));
        a = vf_add(a, vf_valid(e, n - i));
    }
    return vf_sum(vf_add(a, b));
}

void RN_VARIANT(xent_fwd)(rn_exec *x, float *loss, float *lse, const float *logits,
                          const int32_t *targets, size_t rows, size_t vocab)
{
#pragma omp parallel for schedule(static)                                                \
    num_threads(rn_exec_parallel(x, 4 * rows * vocab))
    for (size_t r = 0; r < rows; r++) {
        const float *row = logits + r * vocab;
        float top = row_max(row, vocab);
        double total = top + log((double)row_exp_sum(row, vocab, top));
        lse[r] = (float)total;
        loss[r] = targets[r] < 0 ? 0.0f : (float)(total - row[targets[r]]);
    }
}

static inline void row_softmax(float *row, size_t n, float lse, float scale)
{
    vf l = vf_set1(lse), s = vf_set1(scale);
    for (size_t i = 0; i < n; i += VW) {
        vf p = vf_exp(vf_sub(vf_get(row + i, n - i), l));
        vf_put(row + i, n - i, vf_mul(s, p));
    }
}

static inline void row_clear(float *row, size_t n)
{
    for (size_t i = 0; i < n; i += VW) vf_put(row + i, n - i, vf_zero());
}

void RN_VARIANT(xent_bwd)(rn_exec *x, float *logits, const float *lse,
                          const int32_t *targets, size_t rows, size_t vocab, float scale)
{
#pragma omp parallel for schedule(static)                                                \
    num_threads(rn_exec_parallel(x, 4 * rows * vocab))
    for (size_t r = 0; r < rows; r++) {
        float *row = logits + r * vocab;
        if (targets[r] < 0) {
            row_clear(row, vocab);
            continue;
        }
        row_softmax(row, vocab, lse[r], scale);
        row[targets[r]] -= scale;
    }
}

#endif

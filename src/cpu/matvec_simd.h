/*
 * y = in W^T for the few rows of decoding: every row of W is read once and multiplied
 * with all rows of the input. An element is one chain of multiply-adds per vector lane,
 * lanes summed at the end, whatever block of rows or outputs it falls into. Included
 * after simd_ISA.h.
 */
#ifndef RN_CPU_MATVEC_SIMD_H
#define RN_CPU_MATVEC_SIMD_H

#include "cpu/variants.h"
#include "kernels/exec.h"

/* Outputs at a time, and rows of the input at a time when there are several. */
enum { OUTPUTS = 8, SHARED_OUTPUTS = 4, SHARED_ROWS = VW == 16 ? 4 : 2 };

typedef struct few_rows {
    float *y;
    const float *in, *w;
    size_t ldy, ldin, rows, n, k;
} few_rows;

/* outs outputs from j of rows inputs from r; both compile-time constants at every call.
 */
static inline __attribute__((always_inline)) void
dot_block(const int outs, const int rows, const few_rows *p, size_t j, size_t r)
{
    const float *w = p->w + j * p->k, *in = p->in + r * p->ldin;
    vf acc[SHARED_ROWS][OUTPUTS];
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int o = 0; o < outs; o++) acc[i][o] = vf_zero();
    }
    for (size_t k = 0; k < p->k; k += VW) {
        const size_t left = p->k - k;
        vf x[SHARED_ROWS];
        RN_UNROLL for (int i = 0; i < rows; i++)
        {
            const float *at = in + (size_t)i * p->ldin + k;
            x[i] = left >= VW ? vf_load(at) : vf_load_n(at, left);
        }
        RN_UNROLL for (int o = 0; o < outs; o++)
        {
            const float *at = w + (size_t)o * p->k + k;
            vf v = left >= VW ? vf_load(at) : vf_load_n(at, left);
            RN_UNROLL for (int i = 0; i < rows; i++) acc[i][o] =
                vf_fma(x[i], v, acc[i][o]);
        }
    }
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        float *y = p->y + (r + (size_t)i) * p->ldy + j;
        RN_UNROLL for (int o = 0; o < outs; o++) y[o] = vf_sum(acc[i][o]);
    }
}

/* Outputs j .. j + outs - 1 of all rows. */
static inline __attribute__((always_inline)) void outputs(const int outs,
                                                          const few_rows *p, size_t j)
{
    size_t r = 0;
    for (; r + SHARED_ROWS <= p->rows; r += SHARED_ROWS)
        dot_block(outs, SHARED_ROWS, p, j, r);
    for (; r < p->rows; r++) dot_block(outs, 1, p, j, r);
}

static void range(const few_rows *p, size_t j, size_t end)
{
    if (p->rows == 1)
        for (; j + OUTPUTS <= end; j += OUTPUTS) dot_block(OUTPUTS, 1, p, j, 0);
    for (; j + SHARED_OUTPUTS <= end; j += SHARED_OUTPUTS) outputs(SHARED_OUTPUTS, p, j);
    for (; j < end; j++) outputs(1, p, j);
}

void RN_VARIANT(matvec)(rn_exec *x, float *y, size_t ldy, const float *in, size_t ldin,
                        const float *w, size_t rows, size_t n, size_t k)
{
    const few_rows p = {y, in, w, ldy, ldin, rows, n, k};
    const int threads = rn_exec_parallel(x, n * k / 4);
    const size_t parts = (size_t)threads, step = (n / parts / OUTPUTS + 1) * OUTPUTS;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t t = 0; t < parts; t++) {
        const size_t begin = t * step, end = begin + step;
        if (begin < n) range(&p, begin, end < n ? end : n);
    }
}

#endif

/*
 * y = in W^T for the few rows of decoding: W is streamed from memory once, OUTPUTS of its
 * rows at a time, and multiplied with all rows of the input while it is in the
 * first-level cache. An element is one chain of multiply-adds per vector lane, lanes
 * summed at the end, whatever else is computed beside it. Included after simd_ISA.h.
 */
#ifndef RN_CPU_MATVEC_SIMD_H
#define RN_CPU_MATVEC_SIMD_H

#include "cpu/variants.h"
#include "kernels/exec.h"

/* Rows of W at a time, and of the input: registers for OUTPUTS x SHARED sums, or for WIDE
   x (SHARED - 1). */
enum { OUTPUTS = 4, SHARED = VW == 16 ? 4 : 2, WIDE = 8 };

typedef struct few_rows {
    float *y;
    const float *in, *w;
    size_t ldy, ldin, rows, n, k;
} few_rows;

/* The part of the rows of W behind a block that is asked for while the block is
   multiplied: the processor's own prefetching ends at every page, which a row may be. */
typedef struct ahead {
    const float *at;
    size_t step; /* floats for each vector of the depth */
} ahead;

/* The sums of outs vectors, one or a multiple of four. */
static inline __attribute__((always_inline)) void store_sums(const int outs,
                                                             const vf *acc, float *y)
{
    if (outs == 1) {
        y[0] = _mm_cvtss_f32(vf_sum4(acc[0], vf_zero(), vf_zero(), vf_zero()));
        return;
    }
    RN_UNROLL for (int o = 0; o < outs; o += 4)
        _mm_storeu_ps(y + o, vf_sum4(acc[o], acc[o + 1], acc[o + 2], acc[o + 3]));
}

/* One vector of the depth, or its last `count` floats: acc += in w, asking for `next`
   unless NULL. */
static inline __attribute__((always_inline)) void
dot_step(const int outs, const int rows, size_t count, const few_rows *p, const float *w,
         const float *in, const float *next, vf acc[SHARED][WIDE])
{
    vf x[SHARED];
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        const float *at = in + (size_t)i * p->ldin;
        x[i] = count == VW ? vf_load(at) : vf_load_n(at, count);
    }
    RN_UNROLL for (int o = 0; o < outs; o++)
    {
        const float *at = w + (size_t)o * p->k;
        vf v = count == VW ? vf_load(at) : vf_load_n(at, count);
        if (next) __builtin_prefetch(next + (size_t)o * p->k);
        RN_UNROLL for (int i = 0; i < rows; i++)
        {
            acc[i][o] = vf_fma(x[i], v, acc[i][o]);
        }
    }
}

/* `outs` outputs from j of `rows` inputs from r; both are constants at every call. */
static inline __attribute__((always_inline)) void dot_block(const int outs,
                                                            const int rows,
                                                            const few_rows *p, size_t j,
                                                            size_t r, ahead next)
{
    const float *w = p->w + j * p->k, *in = p->in + r * p->ldin;
    vf acc[SHARED][WIDE];
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int o = 0; o < outs; o++) acc[i][o] = vf_zero();
    }
    size_t k = 0;
    for (; k + VW <= p->k; k += VW, next.at += next.step)
        dot_step(outs, rows, VW, p, w + k, in + k, next.step ? next.at : NULL, acc);
    if (k < p->k) dot_step(outs, rows, p->k - k, p, w + k, in + k, NULL, acc);
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        store_sums(outs, acc[i], p->y + (r + (size_t)i) * p->ldy + j);
    }
}

/* The same of the rows from r, fewer than SHARED. */
static inline __attribute__((always_inline)) void
last_rows(const int outs, const few_rows *p, size_t j, size_t r, ahead next)
{
    if (SHARED > 3 && p->rows - r == 3) dot_block(outs, 3, p, j, r, next);
    else if (SHARED > 2 && p->rows - r == 2) dot_block(outs, 2, p, j, r, next);
    else if (p->rows - r == 1) dot_block(outs, 1, p, j, r, next);
}

/* `outs` outputs from j of all rows. Each of the passes over the block asks for its share
   of the next one. */
static inline __attribute__((always_inline)) void all_rows(const int outs,
                                                           const few_rows *p, size_t j)
{
    const size_t passes = (p->rows + SHARED - 1) / SHARED, share = p->k / passes;
    ahead next = {p->w + (j + (size_t)outs) * p->k, p->rows >= SHARED ? VW / passes : 0};
    size_t r = 0;
    for (; r + SHARED <= p->rows; r += SHARED, next.at += share)
        dot_block(outs, SHARED, p, j, r, next);
    last_rows(outs, p, j, r, next);
}

/* Outputs [j, end) of all rows: more at a time when there are few rows, for as many loads
   in flight. */
static void outputs(const few_rows *p, size_t j, size_t end)
{
    if (p->rows < SHARED)
        for (; j + WIDE <= end; j += WIDE) last_rows(WIDE, p, j, 0, (ahead){p->w, 0});
    for (; j + OUTPUTS <= end; j += OUTPUTS) all_rows(OUTPUTS, p, j);
    for (; j < end; j++) all_rows(1, p, j);
}

void RN_VARIANT(matvec)(rn_exec *x, float *y, size_t ldy, const float *in, size_t ldin,
                        const float *w, size_t rows, size_t n, size_t k)
{
    if (rows == 0) return;
    (void)x;
    const few_rows p = {y, in, w, ldy, ldin, rows, n, k};
    outputs(&p, 0, n);
}

#endif

/*
 * retention_decode: one token of one head, the newest tokens beside the state. Reading
 * out streams the state once past the sums of o, which stay in the first-level cache; the
 * fold goes over it once more and writes it. Included after simd_ISA.h.
 */
#ifndef RN_CPU_DECODE_SIMD_H
#define RN_CPU_DECODE_SIMD_H

#include "cpu/variants.h"
#include "kernels/exec.h"
#include "kernels/retention.h"

#include <math.h>
#include <string.h>

/* Rows x vectors of a fold's tile; floats between what is read of a state and what is
   asked for. */
enum { FOLD_ROWS = 4, FOLD_VECS = VW == 16 ? 4 : 2, AHEAD = 2048, LINE = 16 };
enum { WIDEST = 1024 }; /* dk and dv: RN_MAX_HEAD_WIDTH */

/* What a step knows before it looks at the state: gamma^(tail-1-j) of each newest token,
   the weights of their values in o, and the factor of q S. */
typedef struct newest {
    float decay[RN_DECODE_TAIL], score[RN_DECODE_TAIL];
    float state;
} newest;

static float dot_floats(const float *a, const float *b, size_t n)
{
    vf sum = vf_zero();
    for (size_t i = 0; i < n; i += VW) {
        size_t count = n - i < VW ? n - i : VW;
        sum = vf_fma(vf_load_n(a + i, count), vf_load_n(b + i, count), sum);
    }
    return vf_sum(sum);
}

/* The powers of gamma by products in double: rounding there does not show in a float. */
static void set_decays(newest *w, const rn_decode *d)
{
    double gamma = exp((double)d->log_decay), power = 1.0;
    for (size_t j = d->tail; j-- > 0; power *= gamma) w->decay[j] = (float)power;
    w->state = (float)power;
}

static void set_scores(newest *w, const rn_decode *d, const float *q, const float *z,
                       const float *keys)
{
    double row_sum = 0.0;
    if (d->norm == RN_ROW_NORM_PAPER)
        row_sum = (double)w->state * dot_floats(q, z, d->dk);
    for (size_t j = 0; j < d->tail; j++) {
        w->score[j] = w->decay[j] * dot_floats(q, keys + j * d->dk, d->dk);
        row_sum += w->score[j];
    }
    if (d->norm == RN_ROW_NORM_NONE) return;
    float factor = (float)rn_retention_row_factor(
        d->norm, rn_decay_sum((double)d->log_decay, d->seen), row_sum);
    for (size_t j = 0; j < d->tail; j++) w->score[j] *= factor;
    w->state *= factor;
}

/* o = sum_j weight_j row_j, over `count` rows of n floats. */
static void add_rows(size_t count, const float *weight, const float *rows, size_t n,
                     float *o)
{
    memset(o, 0, n * sizeof *o);
    for (size_t j = 0; j < count; j++, rows += n) {
        vf w = vf_set1(weight[j]);
        for (size_t c = 0; c < n; c += VW) {
            size_t left = n - c < VW ? n - c : VW;
            vf sum = vf_fma(w, vf_load_n(rows + c, left), vf_load_n(o + c, left));
            vf_store_n(o + c, left, sum);
        }
    }
}

/* o += sum of q[a] S[a], row after row in one stream from memory: a row at a time runs at
   the rate of plain reading, several at once do not. */
static void read_state(const rn_decode *d, const newest *w, const float *q,
                       const float *s, float *o)
{
    for (size_t a = 0; a < d->dk; a++, s += d->dv) {
        const vf weight = vf_set1(w->state * q[a]);
        size_t c = 0;
        for (; c + VW <= d->dv; c += VW) {
            __builtin_prefetch(s + c + AHEAD);
            vf_store(o + c, vf_fma(weight, vf_load(s + c), vf_load(o + c)));
        }
        if (c == d->dv) continue;
        vf sum = vf_fma(weight, vf_load_n(s + c, d->dv - c), vf_load_n(o + c, d->dv - c));
        vf_store_n(o + c, d->dv - c, sum);
    }
}

/* beta + excess: a factor that may lie too near to 1 for one float. */
typedef struct keep_pair {
    float beta, excess;
} keep_pair;

static keep_pair keep_of(const rn_decode *d)
{
    double log = (double)d->tail * (double)d->log_decay;
    if (log < -0.6931472) return (keep_pair){(float)exp(log), 0.0f};
    return (keep_pair){1.0f, (float)expm1(log)};
}

/* rows x vecs vectors of S = keep S + k^T v, the last vector of n floats; k of token j
   and row i is k[j * dk + i], v of token j lies at v + j * dv. */
static inline __attribute__((always_inline)) void
fold_tile(const int rows, const int vecs, size_t n, const rn_decode *d, keep_pair keep,
          const float *k, const float *v, float *s)
{
    vf sum[FOLD_ROWS][FOLD_VECS];
    const vf beta = vf_set1(keep.beta), excess = vf_set1(keep.excess);
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int c = 0; c < vecs; c++)
        {
            const float *at = s + (size_t)i * d->dv + c * VW;
            bool tail = c == vecs - 1 && n < VW;
            sum[i][c] = vf_mul(excess, tail ? vf_load_n(at, n) : vf_load(at));
        }
    }
    for (size_t j = 0; j < d->tail; j++, k += d->dk, v += d->dv) {
        vf value[FOLD_VECS];
        RN_UNROLL for (int c = 0; c < vecs; c++) value[c] =
            c == vecs - 1 && n < VW ? vf_load_n(v + c * VW, n) : vf_load(v + c * VW);
        RN_UNROLL for (int i = 0; i < rows; i++)
        {
            vf key = vf_set1(k[i]);
            RN_UNROLL for (int c = 0; c < vecs; c++) sum[i][c] =
                vf_fma(key, value[c], sum[i][c]);
        }
    }
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int c = 0; c < vecs; c++)
        {
            float *at = s + (size_t)i * d->dv + c * VW;
            if (c == vecs - 1 && n < VW)
                vf_store_n(at, n, vf_fma(beta, vf_load_n(at, n), sum[i][c]));
            else vf_store(at, vf_fma(beta, vf_load(at), sum[i][c]));
        }
    }
}

static inline __attribute__((always_inline)) void
fold_rows(const int rows, const rn_decode *d, keep_pair keep, const float *k,
          const float *v, float *s)
{
    size_t c = 0;
    for (; c + FOLD_VECS * VW <= d->dv; c += FOLD_VECS * VW) /* asks for the next rows */
    {
        for (size_t i = 0; i < (size_t)rows * FOLD_VECS * VW; i += LINE)
            __builtin_prefetch(s + (size_t)rows * (d->dv + c) + i);
        fold_tile(rows, FOLD_VECS, VW, d, keep, k, v + c, s + c);
    }
    for (; c < d->dv; c += VW)
        fold_tile(rows, 1, d->dv - c < VW ? d->dv - c : VW, d, keep, k, v + c, s + c);
}

static void fold_state(const rn_decode *d, const newest *w, float *s, float *z,
                       const float *keys, const float *values)
{
    float scaled[RN_DECODE_TAIL * WIDEST]; /* values times their decays */
    for (size_t j = 0; j < d->tail; j++)
        for (size_t c = 0; c < d->dv; c++)
            scaled[j * d->dv + c] = w->decay[j] * values[j * d->dv + c];
    const keep_pair keep = keep_of(d);
    size_t a = 0;
    for (; a + FOLD_ROWS <= d->dk; a += FOLD_ROWS)
        fold_rows(FOLD_ROWS, d, keep, keys + a, scaled, s + a * d->dv);
    for (; a < d->dk; a++) fold_rows(1, d, keep, keys + a, scaled, s + a * d->dv);
    if (d->norm != RN_ROW_NORM_PAPER) return;
    for (a = 0; a < d->dk; a++) {
        float sum = keep.excess * z[a];
        for (size_t j = 0; j < d->tail; j++) sum += w->decay[j] * keys[j * d->dk + a];
        z[a] = keep.beta * z[a] + sum;
    }
}

void RN_VARIANT(retention_decode)(rn_exec *x, const rn_decode *d, float *o,
                                  const float *q, float *state, float *z,
                                  const float *keys, const float *values)
{
    (void)x;
    newest w;
    set_decays(&w, d);
    if (q) {
        set_scores(&w, d, q, z, keys);
        add_rows(d->tail, w.score, values, d->dv, o);
        read_state(d, &w, q, state, o);
    }
    if (d->fold) fold_state(d, &w, state, z, keys, values);
}

#endif

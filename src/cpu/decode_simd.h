/*
 * retention_decode: one token of one head, the newest tokens beside the state. Reading
 * out streams the state, or its upper halves, once past the sums of o, which stay in the
 * first-level cache; the fold goes over it once more and writes it. Included after
 * simd_ISA.h.
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
enum { HALF = 2 };      /* bytes of half a number */

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

/* The same stream over the upper halves of a state, dv a multiple of VW. What lies ahead
   of the last rows are the upper halves of the next head, behind this one's lower halves.
 */
static void read_upper(const rn_decode *d, const newest *w, const float *q,
                       const float *state, float *o)
{
    const size_t halves = d->dk * d->dv * HALF;
    const char *s = (const char *)state, *lower = s + halves;
    for (size_t a = 0; a < d->dk; a++) {
        const vf weight = vf_set1(w->state * q[a]);
        const char *near = s + AHEAD * sizeof(float);
        const size_t ahead = AHEAD * sizeof(float) + (near < lower ? 0 : halves);
        for (size_t c = 0; c < d->dv; c += VW, s += VW * HALF) {
            __builtin_prefetch(s + ahead);
            vf_store(o + c, vf_fma(weight, vf_of_upper(s), vf_load(o + c)));
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

/* The n floats from element `at` of a state on, as floats or in halves. */
static inline __attribute__((always_inline)) vf
load_state(const bool halves, const rn_decode *d, const float *s, size_t at, size_t n)
{
    const char *upper = (const char *)s + at * HALF;
    if (halves) return vf_of_halves_apart(upper, upper + d->dk * d->dv * HALF);
    return n < VW ? vf_load_n(s + at, n) : vf_load(s + at);
}

static inline __attribute__((always_inline)) void
store_state(const bool halves, const rn_decode *d, float *s, size_t at, size_t n, vf x)
{
    char *upper = (char *)s + at * HALF;
    if (halves) vf_store_halves(upper, upper + d->dk * d->dv * HALF, x);
    else if (n < VW) vf_store_n(s + at, n, x);
    else vf_store(s + at, x);
}

/* rows x vecs vectors of S = keep S + k^T v from element `at` on, the last vector of n
   floats; k of token j and row i is k[j * dk + i], v of token j lies at v + j * dv. */
static inline __attribute__((always_inline)) void
fold_tile(const bool halves, const int rows, const int vecs, size_t n, const rn_decode *d,
          keep_pair keep, const float *k, const float *v, float *s, size_t at)
{
    vf sum[FOLD_ROWS][FOLD_VECS];
    const vf beta = vf_set1(keep.beta), excess = vf_set1(keep.excess);
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int c = 0; c < vecs; c++)
        {
            const size_t to = at + (size_t)i * d->dv + (size_t)c * VW;
            const size_t some = c == vecs - 1 ? n : VW;
            sum[i][c] = vf_mul(excess, load_state(halves, d, s, to, some));
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
            const size_t to = at + (size_t)i * d->dv + (size_t)c * VW;
            const size_t some = c == vecs - 1 ? n : VW;
            const vf old = load_state(halves, d, s, to, some);
            store_state(halves, d, s, to, some, vf_fma(beta, old, sum[i][c]));
        }
    }
}

/* Asks for as many floats as a tile of `rows` rows has, from element `at` on. */
static inline __attribute__((always_inline)) void
ask_rows(const bool halves, const int rows, const rn_decode *d, const float *s, size_t at)
{
    const size_t count = (size_t)rows * FOLD_VECS * VW;
    const char *upper = (const char *)s + at * HALF;
    for (size_t i = 0; i < count && !halves; i += LINE) __builtin_prefetch(s + at + i);
    for (size_t i = 0; i < count && halves; i += 2 * LINE) {
        __builtin_prefetch(upper + i * HALF);
        __builtin_prefetch(upper + (d->dk * d->dv + i) * HALF);
    }
}

/* The rows of S from element `at` on. */
static inline __attribute__((always_inline)) void
fold_rows(const bool halves, const int rows, const rn_decode *d, keep_pair keep,
          const float *k, const float *v, float *s, size_t at)
{
    size_t c = 0;
    for (; c + FOLD_VECS * VW <= d->dv; c += FOLD_VECS * VW) /* asks for the next rows */
    {
        ask_rows(halves, rows, d, s, at + (size_t)rows * (d->dv + c));
        fold_tile(halves, rows, FOLD_VECS, VW, d, keep, k, v + c, s, at + c);
    }
    for (; c < d->dv; c += VW)
        fold_tile(halves, rows, 1, d->dv - c < VW ? d->dv - c : VW, d, keep, k, v + c, s,
                  at + c);
}

static inline __attribute__((always_inline)) void fold_all(const bool halves,
                                                           const rn_decode *d,
                                                           const float *keys,
                                                           const float *scaled, float *s)
{
    const keep_pair keep = keep_of(d);
    size_t a = 0;
    for (; a + FOLD_ROWS <= d->dk; a += FOLD_ROWS)
        fold_rows(halves, FOLD_ROWS, d, keep, keys + a, scaled, s, a * d->dv);
    for (; a < d->dk; a++) fold_rows(halves, 1, d, keep, keys + a, scaled, s, a * d->dv);
}

static void fold_state(const rn_decode *d, const newest *w, float *s, float *z,
                       const float *keys, const float *values)
{
    float scaled[RN_DECODE_TAIL * WIDEST]; /* values times their decays */
    for (size_t j = 0; j < d->tail; j++)
        for (size_t c = 0; c < d->dv; c++)
            scaled[j * d->dv + c] = w->decay[j] * values[j * d->dv + c];
    if (d->halves) fold_all(true, d, keys, scaled, s);
    else fold_all(false, d, keys, scaled, s);
    if (d->norm != RN_ROW_NORM_PAPER) return;
    const keep_pair keep = keep_of(d);
    for (size_t a = 0; a < d->dk; a++) {
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
        if (d->halves) read_upper(d, &w, q, state, o);
        else read_state(d, &w, q, state, o);
    }
    if (d->fold) fold_state(d, &w, state, z, keys, values);
}

#endif

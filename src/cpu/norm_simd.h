/* Norms over the model width and over a head, with the swish gate of the latter, and
   their gradients. Equations: kernels/ref_norm.c. Each row's sums run in an order that
   depends on its width alone; weight gradients are column sums, parallel over columns, in
   row order. */
#ifndef RN_CPU_NORM_SIMD_H
#define RN_CPU_NORM_SIMD_H

#include "cpu/loop_simd.h"
#include "cpu/math_simd.h"

#include <math.h>

typedef struct moments {
    float mean, rstd;
} moments;

static inline float row_sum(const float *p, size_t n)
{
    vf a = vf_zero(), b = vf_zero();
    size_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        a = vf_add(a, vf_load(p + i));
        b = vf_add(b, vf_load(p + i + VW));
    }
    for (; i < n; i += VW) a = vf_add(a, vf_get(p + i, n - i));
    return vf_sum(vf_add(a, b));
}

/* sum (p - mean)^2 */
static inline float row_squares(const float *p, size_t n, float mean)
{
    vf a = vf_zero(), b = vf_zero(), m = vf_set1(mean);
    size_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        vf u = vf_sub(vf_load(p + i), m), v = vf_sub(vf_load(p + i + VW), m);
        a = vf_fma(u, u, a);
        b = vf_fma(v, v, b);
    }
    for (; i < n; i += VW) {
        vf u = vf_valid(vf_sub(vf_get(p + i, n - i), m), n - i);
        a = vf_fma(u, u, a);
    }
    return vf_sum(vf_add(a, b));
}

static inline moments row_moments(const float *in, size_t n, float eps, bool center)
{
    float mean = center ? row_sum(in, n) / (float)n : 0.0f;
    float square = row_squares(in, n, mean) / (float)n;
    return (moments){mean, 1.0f / sqrtf(square + eps)};
}

static inline void store_moments(float *stats, size_t row, moments m)
{
    if (!stats) return;
    stats[2 * row] = m.mean;
    stats[2 * row + 1] = m.rstd;
}

static inline vf normalise(vf v, moments m)
{
    return vf_mul(vf_sub(v, vf_set1(m.mean)), vf_set1(m.rstd));
}

static inline void norm_row(float *y, float *stats, const float *in, const float *w,
                            const float *b, size_t r, size_t dim, float eps, bool center)
{
    const float *from = in + r * dim;
    float *to = y + r * dim;
    moments m = row_moments(from, dim, eps, center);
    for (size_t i = 0; i < dim; i += VW) {
        vf v = normalise(vf_get(from + i, dim - i), m);
        if (w) v = vf_mul(v, vf_get(w + i, dim - i));
        if (b) v = vf_add(v, vf_get(b + i, dim - i));
        vf_put(to + i, dim - i, v);
    }
    store_moments(stats, r, m);
}

void RN_VARIANT(norm_fwd)(rn_exec *x, float *y, float *stats, const float *in,
                          const float *w, const float *b, size_t rows, size_t dim,
                          float eps, bool center)
{
    if (alone(x)) {
        for (size_t r = 0; r < rows; r++)
            norm_row(y, stats, in, w, b, r, dim, eps, center);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, rows *dim))
    for (size_t r = 0; r < rows; r++) norm_row(y, stats, in, w, b, r, dim, eps, center);
}

/* The means of u and u x^ over a row, which the gradient takes out; those of a norm that
   does not have them are 0. */
typedef struct projections {
    float mean, along;
} projections;

static inline vf times(vf v, const float *w, size_t i, size_t n)
{
    return w ? vf_mul(v, vf_get(w + i, n - i)) : v;
}

static inline void row_gradient(float *din, const float *dy, const float *in,
                                const float *w, moments m, size_t dim, bool center)
{
    vf sum = vf_zero(), dot = vf_zero();
    for (size_t i = 0; i < dim; i += VW) {
        vf u = times(vf_get(dy + i, dim - i), w, i, dim);
        sum = vf_add(sum, u);
        dot = vf_fma(u, normalise(vf_get(in + i, dim - i), m), dot);
    }
    vf mean = vf_set1(center ? vf_sum(sum) / (float)dim : 0.0f);
    vf along = vf_set1(vf_sum(dot) / (float)dim), rstd = vf_set1(m.rstd);
    for (size_t i = 0; i < dim; i += VW) {
        vf u = times(vf_get(dy + i, dim - i), w, i, dim);
        vf hat = normalise(vf_get(in + i, dim - i), m);
        vf g = vf_sub(vf_fnma(along, hat, u), mean);
        vf_put(din + i, dim - i, vf_fma(rstd, g, vf_get(din + i, dim - i)));
    }
}

/* Rows of a gradient that are worked on together, so that the second pass, over columns,
   finds in the cache what the first, over rows, has read: 1 MiB of each array. */
static inline size_t rows_in_cache(size_t width)
{
    size_t rows = ((size_t)1 << 18) / (width ? width : 1);
    return rows < ROW_BLOCK ? ROW_BLOCK : rows / ROW_BLOCK * ROW_BLOCK;
}

/* Sums over rows [from, to) of dy x^ and of dy for a slab of columns. */
static inline void norm_slab(float *dw, float *db, const float *dy, const float *in,
                             const float *stats, size_t from, size_t to, size_t dim,
                             size_t width)
{
    vf sum_w[SLAB_VECS], sum_b[SLAB_VECS];
    RN_UNROLL for (int j = 0; j < SLAB_VECS; j++) sum_w[j] = sum_b[j] = vf_zero();
    for (size_t r = from; r < to; r++) {
        const float *g = dy + r * dim, *v = in + r * dim;
        moments m = {stats[2 * r], stats[2 * r + 1]};
        RN_UNROLL for (int j = 0; j < SLAB_VECS; j++)
        {
            size_t n = vector_part(width, (size_t)j);
            vf d = vf_get(g + j * VW, n);
            sum_b[j] = vf_add(sum_b[j], d);
            sum_w[j] = vf_fma(d, normalise(vf_get(v + j * VW, n), m), sum_w[j]);
        }
    }
    if (dw) slab_add(dw, width, sum_w);
    if (db) slab_add(db, width, sum_b);
}

static void norm_weight_gradient(rn_exec *x, float *dw, float *db, const float *dy,
                                 const float *in, const float *stats, size_t rows,
                                 size_t dim)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, rows *dim))
    for (size_t c = 0; c < dim; c += SLAB) {
        float *w = dw ? dw + c : NULL, *b = db ? db + c : NULL;
        for (size_t r = 0; r < rows; r += ROW_BLOCK) {
            size_t to = least(r + ROW_BLOCK, rows);
            if (dim - c >= SLAB) norm_slab(w, b, dy + c, in + c, stats, r, to, dim, SLAB);
            else norm_slab(w, b, dy + c, in + c, stats, r, to, dim, dim - c);
        }
    }
}

void RN_VARIANT(norm_bwd)(rn_exec *x, float *din, float *dw, float *db, const float *dy,
                          const float *in, const float *w, const float *stats,
                          size_t rows, size_t dim, bool center)
{
    const size_t step = rows_in_cache(dim);
    for (size_t from = 0; from < rows; from += step) {
        const size_t count = least(rows - from, step), at = from * dim;
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, count *dim))
        for (size_t r = 0; r < count; r++) {
            const float *s = stats + 2 * (from + r);
            moments m = {s[0], s[1]};
            size_t i = at + r * dim;
            row_gradient(din + i, dy + i, in + i, w, m, dim, center);
        }
        if (dw || db)
            norm_weight_gradient(x, dw, db, dy + at, in + at, stats + 2 * from, count,
                                 dim);
    }
}

static inline void head_forward(const rn_headnorm *d, float *y, const float *o,
                                const float *g, const float *w, moments m)
{
    for (size_t i = 0; i < d->dv; i += VW) {
        vf v = times(normalise(vf_get(o + i, d->dv - i), m), w, i, d->dv);
        if (g) v = vf_mul(v, vf_swish(vf_get(g + i, d->dv - i)));
        vf_put(y + i, d->dv - i, v);
    }
}

/* All heads of row r. */
static inline void heads_forward(const rn_headnorm *d, size_t r, float *y, float *stats,
                                 const float *o, const float *g, const float *w)
{
    const bool group = d->kind == RN_HEAD_NORM_GROUP;
    for (size_t h = 0; h < d->heads; h++) {
        size_t rh = r * d->heads + h, at = rh * d->dv;
        moments m = {0.0f, 1.0f};
        if (d->kind != RN_HEAD_NORM_NONE) m = row_moments(o + at, d->dv, d->eps, group);
        head_forward(d, y + at, o + at, g ? g + r * d->ldg + h * d->dv : NULL,
                     w ? w + h * d->w_head : NULL, m);
        store_moments(stats, rh, m);
    }
}

void RN_VARIANT(headnorm_fwd)(rn_exec *x, const rn_headnorm *d, float *y, float *stats,
                              const float *o, const float *g, const float *w)
{
    const size_t work = 4 * d->rows * d->heads * d->dv;
    if (alone(x)) {
        for (size_t r = 0; r < d->rows; r++) heads_forward(d, r, y, stats, o, g, w);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, work))
    for (size_t r = 0; r < d->rows; r++) heads_forward(d, r, y, stats, o, g, w);
}

/* First pass over one head of one row: dg, and u = dy w swish(g) into d_o; returns the
   means of u and of u x^. */
static inline projections head_gate_gradient(const rn_headnorm *d, float *d_o, float *dg,
                                             const float *dy, const float *o,
                                             const float *g, const float *w, moments m)
{
    vf sum = vf_zero(), dot = vf_zero();
    for (size_t i = 0; i < d->dv; i += VW) {
        size_t n = d->dv - i;
        vf hat = normalise(vf_get(o + i, n), m);
        vf u = times(vf_get(dy + i, n), w, i, d->dv);
        if (g) {
            vf gate = vf_get(g + i, n), s = vf_sigmoid(gate);
            vf_put(dg + i, n, vf_mul(vf_mul(u, hat), vf_swish_slope(gate, s)));
            u = vf_mul(u, vf_mul(gate, s));
        }
        sum = vf_add(sum, u);
        dot = vf_fma(u, hat, dot);
        vf_put(d_o + i, n, u);
    }
    return (projections){vf_sum(sum) / (float)d->dv, vf_sum(dot) / (float)d->dv};
}

static inline void head_gradient(const rn_headnorm *d, float *d_o, float *dg,
                                 const float *dy, const float *o, const float *g,
                                 const float *w, moments m)
{
    projections p = head_gate_gradient(d, d_o, dg, dy, o, g, w, m);
    if (d->kind == RN_HEAD_NORM_NONE) return;
    vf mean = vf_set1(d->kind == RN_HEAD_NORM_GROUP ? p.mean : 0.0f);
    vf along = vf_set1(p.along), rstd = vf_set1(m.rstd);
    for (size_t i = 0; i < d->dv; i += VW) {
        vf hat = normalise(vf_get(o + i, d->dv - i), m), u = vf_get(d_o + i, d->dv - i);
        vf_put(d_o + i, d->dv - i, vf_mul(rstd, vf_sub(vf_fnma(along, hat, u), mean)));
    }
}

/* The heads whose weight gradient is one sum, and the columns of it. */
typedef struct head_slab {
    size_t first_head, heads, column, width;
} head_slab;

static inline void head_slab_sum(const rn_headnorm *d, float *dw, const float *dy,
                                 const float *o, const float *g, const float *stats,
                                 const head_slab *s, size_t from, size_t to, size_t width)
{
    vf sum[SLAB_VECS];
    RN_UNROLL for (int j = 0; j < SLAB_VECS; j++) sum[j] = vf_zero();
    for (size_t r = from; r < to; r++) {
        for (size_t h = s->first_head; h < s->first_head + s->heads; h++) {
            size_t rh = r * d->heads + h, at = rh * d->dv + s->column;
            const float *gate = g ? g + r * d->ldg + h * d->dv + s->column : NULL;
            moments m = {stats[2 * rh], stats[2 * rh + 1]};
            RN_UNROLL for (int j = 0; j < SLAB_VECS; j++)
            {
                size_t n = vector_part(width, (size_t)j);
                vf u = vf_get(dy + at + j * VW, n);
                if (gate) u = vf_mul(u, vf_swish(vf_get(gate + j * VW, n)));
                sum[j] = vf_fma(u, normalise(vf_get(o + at + j * VW, n), m), sum[j]);
            }
        }
    }
    slab_add(dw, width, sum);
}

static void head_weight_gradient(rn_exec *x, const rn_headnorm *d, float *dw,
                                 const float *dy, const float *o, const float *g,
                                 const float *stats)
{
    const size_t sets = d->w_head ? d->heads : 1, slabs = blocks_of(d->dv, SLAB);
    const size_t work = 4 * d->rows * d->heads * d->dv;
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, work))
    for (size_t t = 0; t < sets * slabs; t++) {
        size_t set = t / slabs, column = t % slabs * SLAB;
        head_slab s = {.first_head = set,
                       .heads = d->heads / sets,
                       .column = column,
                       .width = least(d->dv - column, SLAB)};
        float *to = dw + set * d->w_head + column;
        for (size_t r = 0; r < d->rows; r += ROW_BLOCK) {
            size_t end = least(r + ROW_BLOCK, d->rows);
            if (s.width == SLAB) head_slab_sum(d, to, dy, o, g, stats, &s, r, end, SLAB);
            else head_slab_sum(d, to, dy, o, g, stats, &s, r, end, s.width);
        }
    }
}

static void head_rows_gradient(rn_exec *x, const rn_headnorm *d, float *d_o, float *dg,
                               const float *dy, const float *o, const float *g,
                               const float *w, const float *stats)
{
    const size_t heads = d->heads, dv = d->dv, work = 4 * d->rows * heads * dv;
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, work))
    for (size_t r = 0; r < d->rows; r++) {
        for (size_t h = 0; h < heads; h++) {
            size_t rh = r * heads + h, at = rh * dv, gate = r * d->ldg + h * dv;
            moments m = {stats[2 * rh], stats[2 * rh + 1]};
            head_gradient(d, d_o + at, g ? dg + gate : NULL, dy + at, o + at,
                          g ? g + gate : NULL, w ? w + h * d->w_head : NULL, m);
        }
    }
}

void RN_VARIANT(headnorm_bwd)(rn_exec *x, const rn_headnorm *d, float *d_o, float *dg,
                              float *dw, const float *dy, const float *o, const float *g,
                              const float *w, const float *stats)
{
    const size_t width = d->heads * d->dv, step = rows_in_cache(width);
    for (size_t from = 0; from < d->rows; from += step) {
        rn_headnorm part = *d;
        part.rows = least(d->rows - from, step);
        const size_t at = from * width;
        const float *s = stats + 2 * from * d->heads,
                    *gate = g ? g + from * d->ldg : NULL;
        head_rows_gradient(x, &part, d_o + at, g ? dg + from * d->ldg : NULL, dy + at,
                           o + at, gate, w, s);
        if (dw) head_weight_gradient(x, &part, dw, dy + at, o + at, gate, s);
    }
}

#endif

/* Embedding rows and rotary position. The embedding's gradient is parallel over columns:
   each element is summed in the order of rows, by one thread. */
#ifndef RN_CPU_EMBED_SIMD_H
#define RN_CPU_EMBED_SIMD_H

#include "cpu/loop_simd.h"

#define EMBED_COLUMNS ((size_t)128)

static inline void embed_row(float *y, const float *from, size_t dim, float scale)
{
    const vf s = vf_set1(scale);
    for (size_t i = 0; i < dim; i += VW)
        vf_put(y + i, dim - i, vf_mul(s, vf_get(from + i, dim - i)));
}

void RN_VARIANT(embed_fwd)(rn_exec *x, float *y, const float *table, const int32_t *ids,
                           size_t rows, size_t dim, float scale)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, rows *dim))
    for (size_t r = 0; r < rows; r++)
        embed_row(y + r * dim, table + (size_t)ids[r] * dim, dim, scale);
}

void RN_VARIANT(embed_bwd)(rn_exec *x, float *dtable, const float *dy, const int32_t *ids,
                           size_t rows, size_t dim, float scale)
{
    const vf s = vf_set1(scale);
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, rows *dim))
    for (size_t c = 0; c < dim; c += EMBED_COLUMNS) {
        size_t width = least(dim - c, EMBED_COLUMNS);
        for (size_t r = 0; r < rows; r++) {
            const float *from = dy + r * dim + c;
            float *to = dtable + (size_t)ids[r] * dim + c;
            for (size_t i = 0; i < width; i += VW) {
                vf sum =
                    vf_fma(s, vf_get(from + i, width - i), vf_get(to + i, width - i));
                vf_put(to + i, width - i, sum);
            }
        }
    }
}

/* Adjacent pairs of one row: c and s hold each pair's cosine and sine twice, so that
   t c -+ swapped(t) s is the rotation. turn is -scale for the inverse. */
static inline void rotate_adjacent(const rn_rotary *d, float *t, const float *cos,
                                   const float *sin, float turn)
{
    const size_t pairs = d->dk / 2;
    for (size_t i = 0; i < pairs; i += VW / 2) {
        size_t n = least(pairs - i, VW / 2);
        vf c = vf_mul(vf_load_twice(cos + i, n), vf_set1(d->scale));
        vf s = vf_mul(vf_load_twice(sin + i, n), vf_set1(turn));
        for (size_t h = 0; h < d->heads; h++) {
            float *at = t + h * d->dk + 2 * i;
            vf v = vf_get(at, 2 * n);
            vf_put(at, 2 * n, vf_fmaddsub(v, c, vf_mul(vf_swap_pairs(v), s)));
        }
    }
}

static inline void rotate_halves(const rn_rotary *d, float *t, const float *cos,
                                 const float *sin, float turn)
{
    const size_t half = d->dk / 2;
    for (size_t i = 0; i < half; i += VW) {
        size_t n = half - i;
        vf c = vf_mul(vf_get(cos + i, n), vf_set1(d->scale));
        vf s = vf_mul(vf_get(sin + i, n), vf_set1(turn));
        for (size_t h = 0; h < d->heads; h++) {
            float *at = t + h * d->dk + i;
            vf a = vf_get(at, n), b = vf_get(at + half, n);
            vf_put(at, n, vf_fnma(b, s, vf_mul(a, c)));
            vf_put(at + half, n, vf_fma(a, s, vf_mul(b, c)));
        }
    }
}

static inline void scale_row(float *t, size_t n, float scale)
{
    const vf s = vf_set1(scale);
    for (size_t i = 0; i < n; i += VW)
        vf_put(t + i, n - i, vf_mul(s, vf_get(t + i, n - i)));
}

static inline void rotate_row(const rn_rotary *d, size_t r, float *row)
{
    const float turn = d->inverse ? -d->scale : d->scale;
    const size_t at = r % d->period * (d->dk / 2);
    if (d->kind == RN_ROTARY_NONE) scale_row(row, d->heads * d->dk, d->scale);
    else if (d->kind == RN_ROTARY_ADJACENT)
        rotate_adjacent(d, row, d->cos + at, d->sin + at, turn);
    else rotate_halves(d, row, d->cos + at, d->sin + at, turn);
}

void RN_VARIANT(rotary)(rn_exec *x, const rn_rotary *d, float *t)
{
    const size_t work = d->rows * d->heads * d->dk;
    if (alone(x)) {
        for (size_t r = 0; r < d->rows; r++) rotate_row(d, r, t + r * d->ld);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, work))
    for (size_t r = 0; r < d->rows; r++) rotate_row(d, r, t + r * d->ld);
}

#endif

/*
 * The four products of a tile of a sweep (retention_sweep_simd.h) on packed operands:
 * queries and weighted keys in panels of TILE_ROWS, the state, keys and values in strips
 * of a register tile's columns, one strip behind the other, which stay in the first-level
 * cache while all rows of the tile go over them. The state is in strips for the whole
 * sweep, values for both products that take them. For vectors of 8: their register tiles
 * want twice the bytes for the same work, more than the second-level cache delivers.
 * Included in the middle of the sweep.
 */
#ifndef RN_CPU_RETENTION_STRIPS_SIMD_H
#define RN_CPU_RETENTION_STRIPS_SIMD_H

#include "cpu/packed_simd.h"

enum { STRIP = TILE_VECS * VW };

/* Floats of a matrix in strips. */
static inline size_t strip_floats(size_t rows, size_t cols)
{
    return round_up(cols, STRIP) * rows;
}

static void begin_sweep(const sweep *s, sweep_work *w)
{
    w->values_at = SIZE_MAX;
    for (size_t c = 0; c < s->dv && s->has_state; c += STRIP)
        tile_copy(s->dk, least(s->dv - c, STRIP), s->r + c, s->r_row,
                  w->state + c * s->dk, STRIP);
}

static void end_sweep(const sweep *s, sweep_work *w)
{
    for (size_t c = 0; c < s->dv && s->keep_state; c += STRIP)
        tile_copy(s->dk, least(s->dv - c, STRIP), w->state + c * s->dk, STRIP, s->r + c,
                  s->r_row);
}

static void take_queries(const sweep *s, sweep_work *w, size_t at, size_t n)
{
    tile_pack_rows(n, s->dk, s->q + at * s->q_row, s->q_row, w->queries);
}

/* The n values at row `at`: strip c of them is at w->values + c * TILE. */
static void take_values(const sweep *s, sweep_work *w, size_t at, size_t n)
{
    if (w->values_at == at) return;
    w->values_at = at;
    for (size_t c = 0; c < s->dv; c += STRIP)
        tile_copy(n, least(s->dv - c, STRIP), s->v + at * s->v_row + c, s->v_row,
                  w->values + c * TILE, STRIP);
}

/* Rows i .. of the packed queries times a strip of columns of [dk]. */
static void queries_by_strip(const sweep *s, const sweep_work *w, size_t i, size_t rows,
                             size_t cols, const float *strip, float *to, size_t ld,
                             tile_out out)
{
    tile_product(rows, cols, s->dk, w->queries + i * s->dk, 1, TILE_ROWS, strip, STRIP,
                 to, ld, out);
}

/* o = scale q R, added under s->add, for n rows from row `at` on. */
static void multiply_state(const sweep *s, sweep_work *w, size_t at, size_t n)
{
    for (size_t c = 0; c < s->dv; c += STRIP) {
        const size_t cols = least(s->dv - c, STRIP);
        for (size_t i = 0; i < n; i += TILE_ROWS) {
            const size_t rows = least(n - i, TILE_ROWS);
            if (c == 0) prefetch_next(s, at + i, rows, s->k, s->k_row, s->dk);
            if (c == 0) prefetch_next(s, at + i, rows, s->v, s->v_row, s->dv);
            queries_by_strip(
                s, w, i, rows, cols, w->state + c * s->dk, s->o + (at + i) * s->o_row + c,
                s->o_row,
                (tile_out){.beta = s->add ? 1.0f : 0.0f, .row_scale = w->scale + i});
        }
    }
}

/* scores = scale q k^T of n rows and so many keys. */
static void multiply_keys(const sweep *s, sweep_work *w, size_t at, size_t n,
                          size_t key_at, size_t keys)
{
    (void)at; /* the queries are packed */
    for (size_t j = 0; j < keys; j += STRIP) {
        const size_t cols = least(keys - j, STRIP);
        tile_transpose(cols, s->dk, s->k + (key_at + j) * s->k_row, s->k_row, w->strip,
                       STRIP);
        for (size_t i = 0; i < n; i += TILE_ROWS)
            queries_by_strip(s, w, i, least(n - i, TILE_ROWS), cols, w->strip,
                             w->scores + i * TILE + j, TILE,
                             (tile_out){.row_scale = w->scale + i});
    }
}

/* The keys [from, to) that rows i .. of a tile of n see: all, or under `half` those of
   the triangle. */
typedef struct seen_keys {
    size_t from, to;
} seen_keys;

static seen_keys seen(const sweep *s, bool half, size_t i, size_t rows, size_t keys)
{
    if (!half) return (seen_keys){0, keys};
    return s->reverse ? (seen_keys){i, keys} : (seen_keys){0, i + rows};
}

static void scores_by_values(const sweep *s, sweep_work *w, size_t at, size_t n,
                             size_t key_at, size_t keys, bool half, bool first)
{
    const tile_out out = {.beta = first ? 0.0f : 1.0f};
    take_values(s, w, key_at, keys);
    for (size_t c = 0; c < s->dv; c += STRIP) {
        const size_t cols = least(s->dv - c, STRIP);
        const float *strip = w->values + c * TILE;
        for (size_t i = 0; i < n; i += TILE_ROWS) {
            const size_t rows = least(n - i, TILE_ROWS);
            const seen_keys k = seen(s, half, i, rows, keys);
            tile_product(rows, cols, k.to - k.from, w->scores + i * TILE + k.from, TILE,
                         1, strip + k.from * STRIP, STRIP, s->o + (at + i) * s->o_row + c,
                         s->o_row, out);
        }
    }
}

/* o = scores v, added unless it is the first thing that o is given. */
static void multiply_values(const sweep *s, sweep_work *w, size_t at, size_t n,
                            size_t key_at, size_t keys, bool first)
{
    scores_by_values(s, w, at, n, key_at, keys, false, first);
}

/* scores = mask (q k^T) and o = scores v of a tile with itself. */
static void multiply_triangle(const sweep *s, sweep_work *w, const tile_decay *t,
                              size_t at, size_t n, bool first)
{
    for (size_t j = 0; j < n; j += STRIP) {
        const size_t cols = least(n - j, STRIP);
        tile_transpose(cols, s->dk, s->k + (at + j) * s->k_row, s->k_row, w->strip,
                       STRIP);
        for (size_t i = 0; i < n; i += TILE_ROWS) {
            const size_t rows = least(n - i, TILE_ROWS);
            const seen_keys k = seen(s, true, i, rows, n);
            if (j == 0) prefetch_next(s, at + i, rows, s->q, s->q_row, s->dk);
            if (j == 0) prefetch_next(s, at + i, rows, s->o, s->o_row, s->dv);
            if (k.to <= j || k.from >= j + cols) continue;
            queries_by_strip(s, w, i, rows, cols, w->strip, w->scores + i * TILE + j,
                             TILE,
                             (tile_out){.mask = t->mask + i * TILE + j, .ldm = TILE});
        }
    }
    scores_by_values(s, w, at, n, at, n, true, first);
}

/* R = keep R + sum_j scale_j k_j^T v_j over n rows, and z alike. */
static void add_outer(const sweep *s, sweep_work *w, size_t at, size_t n, tile_out keep)
{
    tile_pack_columns(n, s->dk, s->k + at * s->k_row, s->k_row, w->scale, w->keys);
    take_values(s, w, at, n);
    for (size_t c = 0; c < s->dv; c += STRIP) {
        const size_t cols = least(s->dv - c, STRIP);
        float *state = w->state + c * s->dk;
        for (size_t a = 0; a < s->dk; a += TILE_ROWS)
            tile_product(least(s->dk - a, TILE_ROWS), cols, n, w->keys + a * n, 1,
                         TILE_ROWS, w->values + c * TILE, STRIP, state + a * STRIP, STRIP,
                         keep);
    }
    for (size_t a = 0; a < s->dk && s->norm == RN_ROW_NORM_PAPER; a += TILE_ROWS)
        tile_product(least(s->dk - a, TILE_ROWS), 1, n, w->keys + a * n, 1, TILE_ROWS,
                     w->ones, 1, s->z + a, 1, keep);
}

#endif

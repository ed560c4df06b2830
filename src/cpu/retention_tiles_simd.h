/*
 * The four products of a tile of a sweep (retention_sweep_simd.h) on operands in place:
 * every block of rows goes over whole rows of states, keys and values. For vectors of 16,
 * whose register tiles are wide enough for what the second-level cache delivers. Included
 * in the middle of the sweep.
 */
#ifndef RN_CPU_RETENTION_TILES_SIMD_H
#define RN_CPU_RETENTION_TILES_SIMD_H

static inline size_t strip_floats(size_t rows, size_t cols)
{
    (void)rows, (void)cols;
    return 0;
}

static void begin_sweep(const sweep *s, sweep_work *w)
{
    (void)s, (void)w;
}

static void end_sweep(const sweep *s, sweep_work *w)
{
    (void)s, (void)w;
}

static void take_queries(const sweep *s, sweep_work *w, size_t at, size_t n)
{
    (void)s, (void)w, (void)at, (void)n;
}

/* o = scale q R, added under s->add, for n rows from row `at` on. */
static void multiply_state(const sweep *s, sweep_work *w, size_t at, size_t n)
{
    const float *q = s->q + at * s->q_row;
    for (size_t i = 0; i < n; i += TILE_ROWS) {
        size_t rows = n - i < TILE_ROWS ? n - i : TILE_ROWS;
        prefetch_next(s, at + i, rows, s->k, s->k_row, s->dk);
        prefetch_next(s, at + i, rows, s->v, s->v_row, s->dv);
        tile_out out = {.beta = s->add ? 1.0f : 0.0f, .row_scale = w->scale + i};
        tile_product(rows, s->dv, s->dk, q + i * s->q_row, s->q_row, 1, s->r, s->r_row,
                     s->o + (at + i) * s->o_row, s->o_row, out);
    }
}

/* scores = scale q k^T of n rows and so many keys. */
static void multiply_keys(const sweep *s, sweep_work *w, size_t at, size_t n,
                          size_t key_at, size_t keys)
{
    const float *k = s->k + key_at * s->k_row, *q = s->q + at * s->q_row;
    tile_transpose(keys, s->dk, k, s->k_row, w->keys, TILE);
    tile_product(n, keys, s->dk, q, s->q_row, 1, w->keys, TILE, w->scores, TILE,
                 (tile_out){.row_scale = w->scale});
}

/* o = scores v, added unless it is the first thing that o is given. */
static void multiply_values(const sweep *s, const sweep_work *w, size_t at, size_t n,
                            size_t key_at, size_t keys, bool first)
{
    tile_product(n, s->dv, keys, w->scores, TILE, 1, s->v + key_at * s->v_row, s->v_row,
                 s->o + at * s->o_row, s->o_row, (tile_out){.beta = first ? 0.0f : 1.0f});
}

/* scores = mask (q k^T) and o = scores v of a tile with itself. */
static void multiply_triangle(const sweep *s, sweep_work *w, const tile_decay *t,
                              size_t at, size_t n, bool first)
{
    const float *k = s->k + at * s->k_row, *v = s->v + at * s->v_row;
    tile_transpose(n, s->dk, k, s->k_row, w->keys, TILE);
    for (size_t i = 0; i < n; i += TILE_ROWS) {
        size_t rows = n - i < TILE_ROWS ? n - i : TILE_ROWS;
        size_t from = s->reverse ? i : 0, to = s->reverse ? n : i + rows;
        float *scores = w->scores + i * TILE + from;
        prefetch_next(s, at + i, rows, s->q, s->q_row, s->dk);
        prefetch_next(s, at + i, rows, s->o, s->o_row, s->dv);
        tile_product(rows, to - from, s->dk, s->q + (at + i) * s->q_row, s->q_row, 1,
                     w->keys + from, TILE, scores, TILE,
                     (tile_out){.mask = t->mask + i * TILE + from, .ldm = TILE});
        tile_product(rows, s->dv, to - from, scores, TILE, 1, v + from * s->v_row,
                     s->v_row, s->o + (at + i) * s->o_row, s->o_row,
                     (tile_out){.beta = first ? 0.0f : 1.0f});
    }
}

/* R = keep R + sum_j scale_j k_j^T v_j over n rows, and z alike. */
static void add_outer(const sweep *s, sweep_work *w, size_t at, size_t n, tile_out keep)
{
    for (size_t j = 0; j < n; j++) {
        const float *k = s->k + (at + j) * s->k_row;
        for (size_t a = 0; a < s->dk; a++) w->keys[j * s->dk + a] = w->scale[j] * k[a];
    }
    tile_product(s->dk, s->dv, n, w->keys, 1, s->dk, s->v + at * s->v_row, s->v_row, s->r,
                 s->r_row, keep);
    if (s->norm == RN_ROW_NORM_PAPER)
        tile_product(s->dk, 1, n, w->keys, 1, s->dk, w->ones, 1, s->z, 1, keep);
}

#endif

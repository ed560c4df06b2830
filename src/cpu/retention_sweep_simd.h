/*
 * One sweep of retention over one sequence and head, chunk by chunk, in either direction:
 *
 *   forward   o_i = sum_{j<=i} e^{c_i-c_j} (q_i . k_j) v_j + e^{c_i} q_i R
 *   reverse   o_i = sum_{j>=i} e^{c_j-c_i} (q_i . k_j) v_j + e^{c_n-c_i} q_i R
 *
 * with c the running sum of log decays inside a chunk and R the state between chunks. The
 * gradients of retention are sweeps with the roles exchanged (retention_simd.h), so this
 * is the only place where the arithmetic is done. Scores exist only as one square of TILE
 * x TILE; a chunk longer than TILE is a triangle of such squares, and a chunk as long as
 * the sequence is the parallel form.
 *
 * All decay factors are products of numbers <= 1: inside a tile, up to its end (tail),
 * from its begin (head), and across whole tiles between.
 */
#ifndef RN_CPU_RETENTION_SWEEP_SIMD_H
#define RN_CPU_RETENTION_SWEEP_SIMD_H

#include "cpu/tile_simd.h"
#include "kernels/retention.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define TILE RN_RETENTION_TILE

/* Row i of q begins at q + i * q_row, and so on; o is written (add: accumulated). The
   state r, which is that before the first row and after the last, or scratch, is
   [dk][r_row]; the columns of v, o and r that count are the first dv. */
typedef struct sweep {
    size_t rows, chunk, dk, dv;
    const float *q, *k, *v;
    float *o;
    size_t q_row, k_row, v_row, o_row, r_row;
    const float *log_decay; /* of row i at i * decay_row */
    size_t decay_row;
    float *r;
    bool reverse, add;
    bool has_state;  /* r holds a state; else it is empty and first set, not read */
    bool keep_state; /* r is wanted after the last row */
    rn_row_norm norm;
    uint64_t seen;
    float *z;         /* [dk], paper only: state of the row sums */
    float *row_scale; /* NULL, or of row i at i * row_scale_row */
    size_t row_scale_row;
} sweep;

/* Decay factors of a tile of n rows: head[i] = e^{sum of rows 0..i}, tail[i] = e^{sum of
   rows i+1..n-1}, all = e^{sum}. mask is the triangle of e^{|c_i - c_j|}. */
typedef struct tile_decay {
    float head[TILE], tail[TILE];
    double all;
    float mask[TILE * TILE];
} tile_decay;

typedef struct sweep_work {
    tile_decay whole; /* of a full tile, kept while the decays do not depend on the row */
    tile_decay part;  /* of a short tile, or of the present one */
    float scores[TILE * TILE];
    float scale[TILE], row_sum[TILE], ones[TILE];
    float *keys;    /* k of a tile, in the order that its products want */
    float *queries; /* q of a tile, where it is packed */
    float *strip;   /* some columns of the keys, turned, where they are packed */
    float *state;   /* R, where it is kept in strips of columns */
    float *values;  /* v of the tile at row values_at, where it is packed */
    size_t values_at;
    size_t known_head; /* whose factors `whole` holds, and `part` for part_rows rows */
    size_t part_rows;
} sweep_work;

static void decay_factors(tile_decay *t, size_t n, const float *log_decay, size_t step,
                          bool reverse)
{
    double c[TILE];
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) c[i] = sum += log_decay[i * step];
    t->all = exp(sum);
    for (size_t i = 0; i < n; i++) {
        t->head[i] = (float)exp(c[i]);
        t->tail[i] = (float)exp(sum - c[i]);
    }
    for (size_t i = 0; i < n; i++) {
        float *row = t->mask + i * TILE;
        size_t from = reverse ? i : 0, to = reverse ? n : i + 1;
        memset(row, 0, n * sizeof *row);
        for (size_t j = from; j < to; j++) {
            if (step == 0) { /* e^{(i-j) log gamma}: a row that was computed already */
                size_t gap = i > j ? i - j : j - i;
                row[j] = gap ? t->head[gap - 1] : 1.0f;
            } else {
                row[j] = (float)exp(-fabs(c[i] - c[j]));
            }
        }
    }
}

/* The factors of the n rows at row `at`. They stay valid until the next call for another
   n; decays that do not depend on the row are computed once for each n. */
static const tile_decay *tile_factors(const sweep *s, sweep_work *w, size_t at, size_t n)
{
    if (s->decay_row == 0) {
        if (n == TILE) return &w->whole;
        if (w->part_rows == n) return &w->part;
    }
    w->part_rows = n;
    decay_factors(&w->part, n, s->log_decay + at * s->decay_row, s->decay_row,
                  s->reverse);
    return &w->part;
}

/* e^log as a sum of two floats: a decay near 1 that is rounded to one float is wrong by
   up to 3e-8 of the state each time it acts, which adds up over thousands of tokens. */
typedef struct decay_pair {
    float beta, excess;
} decay_pair;

static inline decay_pair decay_of_log(double log)
{
    if (log < -0.6931472) return (decay_pair){(float)exp(log), 0.0f};
    return (decay_pair){1.0f, (float)expm1(log)};
}

/* Sum of log decays of rows [from, to). */
static double log_decay_sum(const sweep *s, size_t from, size_t to)
{
    if (s->decay_row == 0) return (double)(to - from) * s->log_decay[0];
    double sum = 0.0;
    for (size_t i = from; i < to; i++) sum += s->log_decay[i * s->decay_row];
    return sum;
}

static void add_row_sums(const sweep *s, sweep_work *w, size_t rows, size_t keys)
{
    if (s->norm != RN_ROW_NORM_PAPER && s->norm != RN_ROW_NORM_TORCHSCALE) return;
    for (size_t i = 0; i < rows; i++) {
        const float *row = w->scores + i * TILE;
        float sum = 0.0f;
        for (size_t j = 0; j < keys; j++)
            sum += s->norm == RN_ROW_NORM_PAPER ? row[j] : fabsf(row[j]);
        w->row_sum[i] += sum;
    }
}

/* Asks for the rows of a matrix [rows][width] that stand in the next tile where `count`
   rows from `at` on do in this one. The rows of a head lie far apart, which the
   hardware's own prefetching does not see: the work on one tile asks for the next, a few
   rows at a time. */
static void prefetch_next(const sweep *s, size_t at, size_t count, const float *base,
                          size_t ld, size_t width)
{
    if (s->reverse && at < TILE) return;
    size_t next = s->reverse ? at - TILE : at + TILE;
    for (size_t i = next; i < next + count && i < s->rows; i++)
        for (size_t c = 0; c < width; c += 16) /* a cache line */
            __builtin_prefetch(base + i * ld + c, 0, 3);
}

/* The four products of a tile. */
#if VW == 8
#    include "cpu/retention_strips_simd.h"
#else
#    include "cpu/retention_tiles_simd.h"
#endif

/* What the state before the chunk gives to the tile of n queries at row `at`. */
static void read_state(const sweep *s, sweep_work *w, const tile_decay *t, size_t at,
                       size_t n, double before)
{
    for (size_t i = 0; i < n; i++)
        w->scale[i] = (float)before * (s->reverse ? t->tail[i] : t->head[i]);
    multiply_state(s, w, at, n);
    if (s->norm == RN_ROW_NORM_PAPER)
        tile_product(n, 1, s->dk, s->q + at * s->q_row, s->q_row, 1, s->z, 1, w->row_sum,
                     1, (tile_out){.row_scale = w->scale});
}

/* Queries of the tile at row `at` against the keys of another whole tile of the same
   chunk, whose decay towards the query tile is `between`. */
static void square(const sweep *s, sweep_work *w, size_t at, size_t n, size_t key_at,
                   size_t keys, double between, bool first)
{
    const tile_decay *queries = tile_factors(s, w, at, n);
    const float *from = s->reverse ? queries->tail : queries->head;
    for (size_t i = 0; i < n; i++) w->scale[i] = from[i];
    multiply_keys(s, w, at, n, key_at, keys);

    const tile_decay *other = tile_factors(s, w, key_at, keys);
    const float *weight = s->reverse ? other->head : other->tail;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < keys; j++)
            w->scores[i * TILE + j] *= weight[j] * (float)between;
    add_row_sums(s, w, n, keys);
    multiply_values(s, w, at, n, key_at, keys, first);
}

/* The triangle of a tile with itself, by blocks of rows that see only the keys they may.
 */
static void triangle(const sweep *s, sweep_work *w, const tile_decay *t, size_t at,
                     size_t n, bool first)
{
    multiply_triangle(s, w, t, at, n, first);
    if (s->norm != RN_ROW_NORM_PAPER && s->norm != RN_ROW_NORM_TORCHSCALE) return;
    for (size_t i = 0; i < n;
         i++) /* beyond the diagonal the mask left zeros or nothing */
        for (size_t j = i + 1; j < n; j++) w->scores[i * TILE + j] = 0.0f;
    add_row_sums(s, w, n, n);
}

/* Multiplies the finished rows by the row normaliser's factor. */
static void normalise_rows(const sweep *s, const sweep_work *w, size_t at, size_t n)
{
    if (s->norm == RN_ROW_NORM_NONE && !s->row_scale) return;
    double gamma = exp(s->log_decay[0]), d = 1.0;
    if (s->norm != RN_ROW_NORM_NONE) d = rn_decay_sum(s->log_decay[0], s->seen + at);
    for (size_t i = 0; i < n; i++, d = gamma * d + 1.0) {
        float f = (float)rn_retention_row_factor(s->norm, d, w->row_sum[i]);
        if (s->row_scale) s->row_scale[(at + i) * s->row_scale_row] = f;
        if (s->norm == RN_ROW_NORM_NONE) continue;
        float *o = s->o + (at + i) * s->o_row;
        for (size_t c = 0; c < s->dv; c++) o[c] *= f;
    }
}

/* The tile of queries at row `at` of the chunk [begin, end). */
static void query_tile(const sweep *s, sweep_work *w, size_t at, size_t begin, size_t end,
                       bool has_state)
{
    size_t n = end - at < TILE ? end - at : TILE;
    memset(w->row_sum, 0, sizeof w->row_sum);
    take_queries(s, w, at, n);
    if (has_state) {
        double before =
            s->reverse ? log_decay_sum(s, at + n, end) : log_decay_sum(s, begin, at);
        read_state(s, w, tile_factors(s, w, at, n), at, n, exp(before));
    }
    bool first = !has_state && !s->add;
    if (s->reverse) {
        for (size_t j = at + n; j < end; j += TILE, first = false) {
            size_t keys = end - j < TILE ? end - j : TILE;
            double between = exp(log_decay_sum(s, at + n, j));
            square(s, w, at, n, j, keys, between, first);
        }
    } else {
        for (size_t j = begin; j < at; j += TILE, first = false) {
            double between = exp(log_decay_sum(s, j + TILE, at));
            square(s, w, at, n, j, TILE, between, first);
        }
    }
    triangle(s, w, tile_factors(s, w, at, n), at, n, first);
    normalise_rows(s, w, at, n);
}

/* R = e^{all} R + sum_j weight_j k_j^T v_j over the chunk [begin, end). */
static void update_state(const sweep *s, sweep_work *w, size_t begin, size_t end,
                         bool has_state)
{
    decay_pair keep = {0};
    if (has_state) keep = decay_of_log(log_decay_sum(s, begin, end));
    for (size_t at = begin; at < end; at += TILE, keep = (decay_pair){.beta = 1.0f}) {
        size_t n = end - at < TILE ? end - at : TILE;
        const tile_decay *t = tile_factors(s, w, at, n);
        double after =
            s->reverse ? log_decay_sum(s, begin, at) : log_decay_sum(s, at + n, end);
        float outside = (float)exp(after);
        for (size_t j = 0; j < n; j++)
            w->scale[j] = outside * (s->reverse ? t->head[j] : t->tail[j]);
        add_outer(s, w, at, n, (tile_out){.beta = keep.beta, .excess = keep.excess});
    }
}

static float *at_line(float *p)
{
    const uintptr_t line = 64;
    return (float *)(((uintptr_t)p + line - 1) & ~(line - 1));
}

static inline size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Memory for sweeps with keys and values dk and dv wide, or dv and dk, carved from a
   thread's scratch; returns the first byte behind it. */
static float *sweep_work_place(sweep_work **w, void *scratch, size_t dk, size_t dv)
{
    const size_t widest = larger(dk, dv);
    *w = scratch;
    float *next = at_line((float *)(*w + 1));
    (*w)->keys = next;
    (*w)->queries = at_line((*w)->keys + (TILE + TILE_ROWS) * (widest + VW));
    (*w)->strip = at_line((*w)->queries + (TILE + TILE_ROWS) * widest + VW);
    (*w)->state = at_line((*w)->strip + strip_floats(widest, 1));
    (*w)->values =
        at_line((*w)->state + larger(strip_floats(dk, dv), strip_floats(dv, dk)));
    (*w)->known_head = SIZE_MAX;
    (*w)->part_rows = 0;
    for (size_t i = 0; i < TILE; i++) (*w)->ones[i] = 1.0f;
    float *end = at_line((*w)->values + strip_floats(TILE, widest));
    assert((char *)(end + 2 * dk * dv + dk) <=
           (char *)scratch +
               rn_retention_scratch(dk, dv)); /* two states and a z behind */
    return end;
}

/* Runs a sweep. `head` identifies decays and direction: factors of a full tile are
   computed when it changes. */
static void sweep_run(const sweep *s, sweep_work *w, size_t head)
{
    if (s->decay_row == 0 && w->known_head != head) {
        decay_factors(&w->whole, TILE, s->log_decay, 0, s->reverse);
        w->known_head = head;
        w->part_rows = 0;
    }
    size_t chunk = s->chunk && s->chunk < s->rows ? s->chunk : s->rows;
    size_t chunks = chunk ? (s->rows + chunk - 1) / chunk : 0;
    bool has_state = s->has_state;
    begin_sweep(s, w);
    for (size_t c = 0; c < chunks; c++) {
        size_t begin = (s->reverse ? chunks - 1 - c : c) * chunk;
        size_t end = s->rows - begin < chunk ? s->rows : begin + chunk;
        for (size_t at = begin; at < end; at += TILE)
            query_tile(s, w, at, begin, end, has_state);
        if (c + 1 < chunks || s->keep_state) update_state(s, w, begin, end, has_state);
        has_state = true;
    }
    end_sweep(s, w);
}

#endif

/*
 * y = in W^T for W in panels of bfloat16 or half floats (layouts: kernels/panels.h). With
 * float32 activations products are exact and every element is one chain of multiply-adds
 * over its columns in order; with bfloat16 ones, one chain of dot products of pairs. So
 * its bits depend on its row of `in` and of W alone. Strips of W are streamed from memory
 * once and multiplied with all rows while they are in the second-level cache; with
 * vectors of 8 it is many rows that stay there. Included after simd_ISA.h.
 */
#ifndef RN_CPU_LINEAR_FLOAT_SIMD_H
#define RN_CPU_LINEAR_FLOAT_SIMD_H

#include "cpu/gemm.h"
#include "cpu/packed_simd.h"
#include "cpu/sizes.h"
#include "cpu/variants.h"
#include "kernels/exec.h"

#include <assert.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Weights and activations. */
typedef enum form { BF16_BY_F32, F16_BY_F32, BF16_BY_BF16 } form;

/* A register tile is up to TALL rows by so many panels of PARTS vectors as keep the
   multipliers busy. A step is a line of each panel: two columns. */
enum { PARTS = 16 / VW, TALL = VW == 16 ? 8 : 5, MOST = VW == 16 ? 3 : 4, LINE = 64 };

INLINE int panels_of_many(size_t rows)
{
    return VW == 16 ? 3 : rows <= 3 ? 2 : 1;
}

/* A row alone waits for memory, which gives most to one stream: it takes as few panels at
   a time as keep up with that, one chain of dot products or two pairs of chains. */
INLINE int panels_for(const form f, size_t rows)
{
    if (rows > 1) return panels_of_many(rows);
    return f == BF16_BY_BF16 ? 1 : 2;
}

/* Steps in a block of the depth where W is passed over more than once, and rows that
   share a pass over all of W; bytes between what a single pass multiplies and what it
   asks memory for, all its panels together. */
#define DEEP  ((size_t)1024)
#define ROWS  ((size_t)256)
#define UNIT  ((size_t)(VW == 8 ? TILE_ROWS : TALL)) /* of rows that are cut off */
#define AHEAD ((size_t)8192)

struct product;
struct place;
struct ahead;
typedef void multiply_fn(size_t rows, int panels, const struct product *p,
                         const struct place *at, struct ahead next);

typedef struct product {
    form form;
    multiply_fn *multiply;
    const char *in;
    size_t in_bytes, rows, k; /* bytes between rows of `in` */
    const char *panels;
    size_t panel_bytes;
    float *y;
    size_t ldy, end;
} product;

/* Steps [first, last) of the panels with columns j .. of y, for rows r .. of `in`. */
typedef struct place {
    size_t j, first, last, r;
} place;

/* What a tile asks for: `step` bytes of each panel with every step. */
typedef struct ahead {
    const char *at;
    size_t step;
} ahead;

/* acc += w x for a number of each row, `apart` bytes apart. */
INLINE void add_column(const int rows, const int vecs, const vf *w, const char *x,
                       size_t apart, vf acc[][MOST])
{
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        float number;
        memcpy(&number, x + (size_t)i * apart, sizeof number);
        RN_UNROLL for (int v = 0; v < vecs; v++) acc[i][v] =
            vf_fma(vf_set1(number), w[v], acc[i][v]);
    }
}

/* Column 0 or 1 of a step, of vector v. */
INLINE vf weights(const form f, const product *p, const char *w, int v, int column)
{
    const char *line = w + (size_t)(v / PARTS) * p->panel_bytes;
    const size_t part = (size_t)(v % PARTS) * VW;
    if (f == F16_BY_F32)
        return vf_load_half((const uint16_t *)(const void *)line +
                            (size_t)column * RN_PANEL + part);
    const vf pairs = vf_load((const float *)(const void *)line + part);
    return column == 0 ? vf_bf16_first(pairs) : vf_bf16_second(pairs);
}

/* One step, or (columns 1) the first half of the last one. */
INLINE void add_step(const form f, const int rows, const int vecs, const int columns,
                     const product *p, const char *w, const char *x, vf acc[TALL][MOST])
{
#ifdef RN_BF16
    if (f == BF16_BY_BF16) {
        RN_UNROLL for (int i = 0; i < rows; i++)
        {
            int pair;
            memcpy(&pair, x + (size_t)i * p->in_bytes, sizeof pair);
            RN_UNROLL for (int v = 0; v < vecs; v++)
            {
                const char *line = w + (size_t)v * p->panel_bytes;
                acc[i][v] = _mm512_dpbf16_ps(acc[i][v], (__m512bh)_mm512_set1_epi32(pair),
                                             (__m512bh)_mm512_loadu_si512(line));
            }
        }
        return;
    }
#endif
    for (int c = 0; c < columns; c++) {
        vf column[MOST];
        RN_UNROLL for (int v = 0; v < vecs; v++) column[v] = weights(f, p, w, v, c);
        add_column(rows, vecs, column, x + (size_t)c * sizeof(float), p->in_bytes, acc);
    }
}

/* Floats of vector v of columns j .. of y that exist. */
INLINE size_t columns_of(const product *p, size_t j, int v)
{
    return vector_part(p->end - j, (size_t)v);
}

/* The sums of a tile, from the second block of the depth on those that y has. */
INLINE void load_sums(const int rows, const int vecs, const product *p, const place *at,
                      const float *y, vf acc[][MOST])
{
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int v = 0; v < vecs; v++) acc[i][v] =
            at->first == 0
                ? vf_zero()
                : vf_load_n(y + (size_t)i * p->ldy + v * VW, columns_of(p, at->j, v));
    }
}

INLINE void store_sums(const int rows, const int vecs, const product *p, const place *at,
                       float *y, vf acc[][MOST])
{
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int v = 0; v < vecs; v++) vf_store_n(
            y + (size_t)i * p->ldy + v * VW, columns_of(p, at->j, v), acc[i][v]);
    }
}

INLINE void tile(const form f, const int rows, const int vecs, const product *p,
                 const place *at, ahead next)
{
    const size_t x_step = f == BF16_BY_BF16 ? 4 : 8, steps = p->k / 2;
    const char *w = p->panels + at->j / RN_PANEL * p->panel_bytes + at->first * LINE;
    const char *x = p->in + at->r * p->in_bytes + at->first * x_step;
    float *y = p->y + at->r * p->ldy + at->j;
    vf acc[TALL][MOST];
    load_sums(rows, vecs, p, at, y, acc);
    size_t s = at->first;
    for (; s < at->last && (f == BF16_BY_BF16 || s < steps); s++) {
        RN_UNROLL for (int v = 0; v < vecs; v += PARTS)
            __builtin_prefetch(next.at + (size_t)(v / PARTS) * p->panel_bytes);
        add_step(f, rows, vecs, 2, p, w, x, acc);
        next.at += next.step;
        w += LINE;
        x += x_step;
    }
    if (s < at->last) add_step(f, rows, vecs, 1, p, w, x, acc);
    store_sums(rows, vecs, p, at, y, acc);
}

/* A tile of one panel, of two for a row alone, or of as many as go with so many rows. */
INLINE void tile_of_rows(const form f, const size_t rows, int panels, const product *p,
                         const place *at, ahead next)
{
    if (panels == 1) tile(f, (int)rows, PARTS, p, at, next);
    else if (rows == 1 && panels == 2) tile(f, 1, 2 * PARTS, p, at, next);
    else tile(f, (int)rows, panels_of_many(rows) * PARTS, p, at, next);
}

INLINE void multiply(const form f, size_t rows, int panels, const product *p,
                     const place *at, ahead next)
{
    switch (rows) {
    case 1: tile_of_rows(f, 1, panels, p, at, next); break;
    case 2: tile_of_rows(f, 2, panels, p, at, next); break;
    case 3: tile_of_rows(f, 3, panels, p, at, next); break;
    case 4: tile_of_rows(f, 4, panels, p, at, next); break;
    case 5: tile_of_rows(f, 5, panels, p, at, next); break;
    case 6: tile_of_rows(f, TALL < 6 ? TALL : 6, panels, p, at, next); break;
    case 7: tile_of_rows(f, TALL < 7 ? TALL : 7, panels, p, at, next); break;
    default: tile_of_rows(f, TALL, panels, p, at, next);
    }
}

/* A block of the depth of a strip of W with all rows; the passes over it ask for their
   shares of `behind`, which is as long. */
static void all_rows(const product *p, place at, int panels, const char *behind)
{
    const size_t passes = (p->rows + TALL - 1) / TALL;
    ahead next = {behind, LINE / passes};
    for (; at.r < p->rows; at.r += TALL) {
        const size_t left = p->rows - at.r, rows = left < TALL ? left : TALL;
        p->multiply(rows, panels, p, &at, next);
        next.at += (at.last - at.first) * next.step;
    }
}

/* A strip of so many panels of W with all rows, block by block of the depth. A single
   pass asks for what is AHEAD of it, at the end for the beginning of the next strip. */
static void strip(const product *p, size_t j, int panels)
{
    const size_t steps = (p->k + 1) / 2, near = AHEAD / (size_t)panels / LINE;
    const char *w = p->panels + j / RN_PANEL * p->panel_bytes;
    const char *next = w + (size_t)panels * p->panel_bytes;
    const bool once = p->rows <= TALL;
    const size_t deep = !once ? DEEP : steps > near ? steps - near : steps;
    place at = {.j = j};
    do {
        at.last = at.first + deep < steps ? at.first + deep : steps;
        const char *behind = w + (once ? (at.first + near) * LINE : at.last * LINE);
        all_rows(p, at, panels, at.last < steps ? behind : next);
        at.first = at.last;
    } while (at.first < steps);
}

#if VW == 8

/* With vectors of 8 unpacking a line costs as much as two rows' products with it, and the
   constants that it needs a register of the tile. Many rows are therefore packed, a block
   of the depth at a time, which stays in the second-level cache, and multiplied with a
   copy in floats of the same block of each panel, EXPANDED steps of it, which stays in
   the first. The chains of sums are those of tile(). */
enum { EXPANDED = 128, MANY = 48, WIDTH = (int)RN_PANEL };
static_assert(WIDTH == TILE_VECS * VW, "a panel is as wide as a tile");
static_assert(((ROWS + 2 * TILE_ROWS) * 2 * EXPANDED + VW) * sizeof(float) <=
                  RN_GEMM_SCRATCH,
              "packed rows fit into the scratch");

/* Steps [first, last) of the panel with column j, as [2 steps][WIDTH] floats; asks for
   those of the next panel. */
static void expand(const product *p, const place *at, float *to)
{
    const char *w = p->panels + at->j / RN_PANEL * p->panel_bytes + at->first * LINE;
    for (size_t s = at->first; s < at->last; s++, w += LINE, to += 2 * WIDTH) {
        __builtin_prefetch(w + p->panel_bytes);
        RN_UNROLL for (int c = 0; c < 2; c++)
        {
            RN_UNROLL for (int v = 0; v < PARTS; v++)
                vf_store(to + c * WIDTH + v * VW, weights(p->form, p, w, v, c));
        }
    }
}

/* A block of the depth of all panels from column j on. */
static void expanded_block(const product *p, place at, float *space)
{
    const size_t from = 2 * at.first, left = p->k - from;
    const size_t depth = least(2 * (at.last - at.first), left);
    const float beta = at.first > 0 ? 1.0f : 0.0f;
    _Alignas(LINE) float block[2 * EXPANDED * WIDTH];
    tile_pack_rows(p->rows, depth, (const float *)(const void *)p->in + from,
                   p->in_bytes / sizeof(float), space);
    for (; at.j < p->end; at.j += RN_PANEL) {
        const size_t cols = least(p->end - at.j, RN_PANEL);
        expand(p, &at, block);
        for (size_t r = 0; r < p->rows; r += TILE_ROWS)
            tile_packed(true, least(p->rows - r, TILE_ROWS), cols, depth,
                        space + r * depth, block, beta, p->y + r * p->ldy + at.j, p->ldy);
    }
}

/* The panels from column j on, where there are rows enough; whether there are. Without
   columns to multiply there is no block, and the tiles store zeros. */
static bool expanded_panels(const product *p, size_t j, float *space)
{
    const size_t steps = (p->k + 1) / 2;
    if (p->rows < MANY || p->k == 0) return false;
    for (place at = {.j = j}; at.first < steps; at.first = at.last) {
        at.last = at.first + EXPANDED < steps ? at.first + EXPANDED : steps;
        expanded_block(p, at, space);
    }
    return true;
}

#else

static bool expanded_panels(const product *p, size_t j, float *space)
{
    (void)p, (void)j, (void)space;
    return false;
}

#endif

static void strips(const product *p, size_t j, float *space)
{
    if (expanded_panels(p, j, space)) return;
    const int most = panels_for(p->form, p->rows);
    const size_t width = (size_t)most * RN_PANEL;
    for (; j + width <= p->end; j += width) strip(p, j, most);
    for (; j < p->end; j += RN_PANEL) strip(p, j, 1);
}

/* All of it, for so many rows at a time as stay in a cache, about equally many. */
static void multiply_all(const product *p, size_t j, float *space)
{
    const size_t parts = (p->rows + ROWS - 1) / ROWS;
    for (size_t r = 0, n = 1; n <= parts; n++) {
        const size_t end = n < parts ? p->rows * n / parts / UNIT * UNIT : p->rows;
        product part = *p;
        part.in += r * p->in_bytes;
        part.y += r * p->ldy;
        part.rows = end - r;
        strips(&part, j, space);
        r = end;
    }
}

static product make_product(form f, multiply_fn *how, float *y, size_t ldy,
                            const rn_acts *in, const rn_panels *w, size_t end)
{
    const size_t number = in->type == RN_ACTS_BF16 ? sizeof(uint16_t) : sizeof(float);
    return (product){.form = f,
                     .multiply = how,
                     .in = in->data,
                     .in_bytes = in->ld * number,
                     .rows = in->rows,
                     .k = w->k,
                     .panels = (const char *)w->data,
                     .panel_bytes = rn_panel_bytes(w->type, w->k),
                     .y = y,
                     .ldy = ldy,
                     .end = end};
}

#ifdef RN_BF16

static void multiply_bf16_bf16(size_t rows, int panels, const product *p, const place *at,
                               ahead next)
{
    multiply(BF16_BY_BF16, rows, panels, p, at, next);
}

void RN_VARIANT(linear_bf16_bf16)(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                                  const rn_panels *w, size_t begin, size_t end)
{
    const product p = make_product(BF16_BY_BF16, multiply_bf16_bf16, y, ldy, in, w, end);
    multiply_all(&p, begin, rn_exec_scratch(x));
}

#else

static void multiply_bf16(size_t rows, int panels, const product *p, const place *at,
                          ahead next)
{
    multiply(BF16_BY_F32, rows, panels, p, at, next);
}

static void multiply_f16(size_t rows, int panels, const product *p, const place *at,
                         ahead next)
{
    multiply(F16_BY_F32, rows, panels, p, at, next);
}

void RN_VARIANT(linear_bf16)(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                             const rn_panels *w, size_t begin, size_t end)
{
    const product p = make_product(BF16_BY_F32, multiply_bf16, y, ldy, in, w, end);
    multiply_all(&p, begin, rn_exec_scratch(x));
}

void RN_VARIANT(linear_f16)(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                            const rn_panels *w, size_t begin, size_t end)
{
    const product p = make_product(F16_BY_F32, multiply_f16, y, ldy, in, w, end);
    multiply_all(&p, begin, rn_exec_scratch(x));
}

#endif

#endif

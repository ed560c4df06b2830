/*
 * The project's own dense product, C = op(A) op(B) + beta C: blocks of B, and of A where
 * it is not good to read in place, are packed into each thread's scratch and multiplied
 * by the register tiles of tile_simd.h. Every element is summed over blocks of the depth
 * in order, so its bits depend on its row of A, its column of B and k alone: not on the
 * number of rows, columns or threads. Included after simd_ISA.h.
 */
#ifndef RN_CPU_GEMM_SIMD_H
#define RN_CPU_GEMM_SIMD_H

#include "cpu/gemm.h"
#include "cpu/gemm_parts.h"
#include "cpu/packed_simd.h"
#include "cpu/tile_simd.h"
#include "cpu/variants.h"

#include <assert.h>
#include <math.h>

/* Columns of a register tile, and of a packed panel of B. */
#define PANEL (TILE_VECS * VW)

/* Blocks of B are BLOCK_DEPTH x BLOCK_COLS. With vectors of 16 they are deep, because C
   is read and written once for each, and A is read in place; where its rows lie so that
   it has to be packed, which happens anew for every block of columns, they are half as
   deep and twice as wide. With vectors of 8 the same work takes twice the instructions,
   so A is always packed, into panels that a plain loop goes through (tile_packed), and
   blocks are so shallow that a panel of B stays in the first-level cache. */
enum { PACK_A = VW == 8 };
enum { BLOCK_DEPTH = PACK_A ? 384 : 1024, TURNED_DEPTH = PACK_A ? 384 : 512 };
enum { BLOCK_COLS = PACK_A ? 512 : 192, TURNED_COLS = PACK_A ? 512 : 384 };
enum { BLOCK_ROWS = 96 };
enum { B_FLOATS = BLOCK_DEPTH * BLOCK_COLS };
enum { A_FLOATS = (TURNED_DEPTH + (PACK_A ? VW : 0)) * BLOCK_ROWS };
/* Rows of A that read B in place; the distance of a row's elements up to which A is. */
enum { FEW_ROWS = 64, NEAR = 256 };
static_assert(BLOCK_COLS % PANEL == 0 && BLOCK_ROWS % TILE_ROWS == 0,
              "blocks of whole tiles");
static_assert(sizeof(float) * (B_FLOATS + A_FLOATS) <= RN_GEMM_SCRATCH &&
                  BLOCK_ROWS * TILE_VECS * VW <= A_FLOATS,
              "packed blocks fit into the scratch");

/* The product with general strides: element i, k of op(A) is a[i * a_row + k * a_depth],
   element k, j of op(B) is b[k * b_depth + j * b_col]. One stride of each is 1. */
typedef struct product {
    size_t m, n, k;
    const float *a, *b;
    size_t a_row, a_depth, b_depth, b_col;
    size_t block_depth, block_cols;
    float beta;
    float *c;
    size_t ldc;
} product;

/* The depth is cut into equal blocks by k and ta alone: an element's bits depend on the
 * cut. */
static product make_product(bool ta, bool tb, size_t m, size_t n, size_t k,
                            const float *a, size_t lda, const float *b, size_t ldb,
                            float beta, float *c, size_t ldc)
{
    const size_t deepest = ta ? TURNED_DEPTH : BLOCK_DEPTH;
    const size_t blocks = (k + deepest - 1) / deepest;
    product p = {
        .m = m, .n = n, .k = k, .a = a, .b = b, .beta = beta, .c = c, .ldc = ldc};
    p.a_row = ta ? 1 : lda;
    p.a_depth = ta ? lda : 1;
    p.b_depth = tb ? 1 : ldb;
    p.b_col = tb ? ldb : 1;
    p.block_depth = round_up((k + blocks - 1) / blocks, 8);
    p.block_cols = ta ? TURNED_COLS : BLOCK_COLS;
    return p;
}

/* A block of an operand, packed or in place. Of A: element i, k is at[i / TILE_ROWS *
   panel + i % TILE_ROWS * row + k * depth]; of B: element k, j is at[j / PANEL * panel +
   k * depth + j % PANEL]. Packed panels are whole: their last rows or columns may be
   read. */
typedef struct block {
    const float *at;
    size_t row, panel, depth;
    bool packed;
} block;

/* B in rows is read in place by few rows of A, for which packing would cost too much. */
static block block_of_b(const product *p, size_t rows, size_t k0, size_t depth, size_t j0,
                        size_t cols, float *space)
{
    const float *from = p->b + k0 * p->b_depth + j0 * p->b_col;
    if (p->b_col == 1 && rows <= FEW_ROWS)
        return (block){.at = from, .panel = PANEL, .depth = p->b_depth};
    for (size_t j = 0; j < cols; j += PANEL, from += PANEL * p->b_col) {
        float *to = space + j * depth;
        const size_t width = least(PANEL, cols - j);
        if (p->b_col == 1) tile_copy(depth, width, from, p->b_depth, to, PANEL);
        else tile_transpose(width, depth, from, p->b_col, to, PANEL);
    }
    return (block){.at = space, .panel = depth * PANEL, .depth = PANEL, .packed = true};
}

/* Up to TILE_ROWS rows of a transposed A, of `beyond` that follow, as part of a panel. Up
   to VW floats behind it are lost. */
static void pack_turned(const product *p, const float *from, size_t rows, size_t beyond,
                        size_t depth, float *to)
{
    for (size_t k = 0; k < depth; k++, from += p->a_depth, to += TILE_ROWS) {
        if (beyond >= VW) vf_store(to, vf_load(from));
        else
            for (size_t i = 0; i < rows; i++) to[i] = from[i];
    }
}

/* A block of A in panels; of a transposed A some columns of all of them at a time, since
   its rows lie next to each other. */
static block pack_a(const product *p, size_t i0, size_t rows, size_t k0, size_t depth,
                    float *space)
{
    block to = {.at = space, .row = 1, .panel = depth * TILE_ROWS, .depth = TILE_ROWS};
    const float *from = p->a + i0 * p->a_row + k0 * p->a_depth;
    if (p->a_depth == 1) {
        tile_pack_rows(rows, depth, from, p->a_row, space);
        return to;
    }
    const size_t some = 4 * VW;
    to.panel += VW;
    for (size_t k = 0; k < depth; k += some)
        for (size_t i = 0; i < rows; i += TILE_ROWS)
            pack_turned(p, from + i + k * p->a_depth, least(TILE_ROWS, rows - i),
                        p->m - i0 - i, least(some, depth - k),
                        space + i / TILE_ROWS * to.panel + k * TILE_ROWS);
    return to;
}

/* A is read in place, unless the elements of a row lie far apart, or panels are better.
 */
static block block_of_a(const product *p, size_t i0, size_t rows, size_t k0, size_t depth,
                        float *space)
{
    if (PACK_A) return pack_a(p, i0, rows, k0, depth, space);
    const float *from = p->a + i0 * p->a_row + k0 * p->a_depth;
    if (p->a_depth <= NEAR)
        return (block){.at = from,
                       .row = p->a_row,
                       .panel = TILE_ROWS * p->a_row,
                       .depth = p->a_depth};
    tile_copy(depth, rows, from, p->a_depth, space, BLOCK_ROWS);
    return (block){.at = space, .row = 1, .panel = TILE_ROWS, .depth = BLOCK_ROWS};
}

/* C[i0.., j0..] of rows x cols: set (or scaled by beta) by the first block of the depth,
   added to by the others. */
static void multiply_blocks(const product *p, const block *a, const block *b,
                            size_t depth, size_t i0, size_t rows, size_t j0, size_t cols,
                            bool add)
{
    const float beta = add ? 1.0f : p->beta;
    const bool packed = PACK_A && b->packed;
    const size_t run = PACK_A ? (size_t)TILE_ROWS : rows; /* rows at one distance */
    for (size_t j = 0; j < cols; j += PANEL)
        for (size_t i = 0; i < rows; i += run) {
            const float *from_a = a->at + i / TILE_ROWS * a->panel;
            const float *from_b = b->at + j / PANEL * b->panel;
            const size_t height = least(run, rows - i), width = least(PANEL, cols - j);
            float *to = p->c + (i0 + i) * p->ldc + j0 + j;
            if (packed)
                tile_packed(false, height, width, depth, from_a, from_b, beta, to,
                            p->ldc);
            else
                tile_product(height, width, depth, from_a, a->row, a->depth, from_b,
                             b->depth, to, p->ldc, (tile_out){.beta = beta});
        }
}

/* C in the rectangle of rows [i0, i1) and columns [j0, j1). */
static void multiply_rectangle(const product *p, size_t i0, size_t i1, size_t j0,
                               size_t j1, float *space)
{
    for (size_t j = j0; j < j1; j += p->block_cols) {
        const size_t cols = least(p->block_cols, j1 - j);
        for (size_t k = 0; k < p->k; k += p->block_depth) {
            const size_t depth = least(p->block_depth, p->k - k);
            const block b = block_of_b(p, i1 - i0, k, depth, j, cols, space);
            for (size_t i = i0; i < i1; i += BLOCK_ROWS) {
                const size_t rows = least(BLOCK_ROWS, i1 - i);
                const block a = block_of_a(p, i, rows, k, depth, space + B_FLOATS);
                multiply_blocks(p, &a, &b, depth, i, rows, j, cols, k > 0);
            }
        }
    }
}

/* The same for at most PANEL rows and a B stored by columns, as C^T = B^T A^T: A is
   transposed, as much of its depth as there is space for, B is read in place. Products
   commute, so the bits are the same. Whole vectors are multiplied: those columns of C^T
   that are not rows of C are dropped. */
static void multiply_flipped(const product *p, size_t i0, size_t rows, size_t j0,
                             size_t j1, float *space)
{
    float *turned = space + B_FLOATS; /* [BLOCK_ROWS][PANEL] of C^T */
    const size_t span = B_FLOATS / PANEL / p->block_depth * p->block_depth;
    const size_t whole = round_up(rows, VW);
    for (size_t k0 = 0; k0 < p->k; k0 += span) {
        const size_t deep = least(span, p->k - k0);
        const float *a = p->a + i0 * p->a_row + k0 * p->a_depth;
        if (p->a_depth == 1) tile_transpose(rows, deep, a, p->a_row, space, PANEL);
        else tile_copy(deep, rows, a, p->a_depth, space, PANEL);
        for (size_t j = j0; j < j1; j += BLOCK_ROWS) {
            const size_t cols = least(BLOCK_ROWS, j1 - j);
            float *c = p->c + i0 * p->ldc + j;
            tile_out out = {.beta = k0 > 0 ? 1.0f : p->beta};
            if (out.beta != 0.0f) tile_transpose(rows, cols, c, p->ldc, turned, PANEL);
            for (size_t k = 0; k < deep; k += p->block_depth, out.beta = 1.0f)
                tile_product(cols, whole, least(p->block_depth, deep - k),
                             p->b + j * p->b_col + k0 + k, p->b_col, 1, space + k * PANEL,
                             PANEL, turned, PANEL, out);
            tile_transpose(cols, rows, turned, PANEL, c, p->ldc);
        }
    }
}

/* The cut whose largest rectangle costs least: its products, and the packing of its
   columns of B and rows of A, which cost about as much as 12 and 4 of them. */
static grid choose_grid(size_t m, size_t n, size_t threads)
{
    grid best = {1, 1, m, n};
    double least_cost = HUGE_VAL;
    for (size_t down = 1; down <= threads; down++) {
        if (threads % down) continue;
        grid g = {.down = down, .across = threads / down};
        g.rows = round_up((m + g.down - 1) / g.down, TILE_ROWS);
        g.cols = round_up((n + g.across - 1) / g.across, PANEL);
        double rows = (double)least(g.rows, m), cols = (double)least(g.cols, n);
        double cost = rows * cols + 12.0 * cols + 4.0 * rows;
        if (cost >= least_cost) continue;
        least_cost = cost;
        best = g;
    }
    return best;
}

void RN_VARIANT(gemm)(rn_exec *x, bool ta, bool tb, size_t m, size_t n, size_t k,
                      const float *a, size_t lda, const float *b, size_t ldb, float beta,
                      float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    if (k == 0) {
        scale_matrix(m, n, beta, c, ldc);
        return;
    }
    const product p = make_product(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
    const int threads = rn_exec_parallel(x, m * n / 32 * k);
    const grid g = choose_grid(m, n, (size_t)threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t t = 0; t < g.down * g.across; t++) {
        const size_t i = t / g.across * g.rows, j = t % g.across * g.cols;
        if (i >= m || j >= n) continue;
        const size_t rows = least(g.rows, m - i), cols = least(g.cols, n - j);
        if (tb && rows <= PANEL)
            multiply_flipped(&p, i, rows, j, j + cols, rn_exec_scratch(x));
        else multiply_rectangle(&p, i, i + rows, j, j + cols, rn_exec_scratch(x));
    }
}

#endif

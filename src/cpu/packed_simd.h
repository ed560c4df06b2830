/*
 * Operands of small products in panels whose elements follow one another, and the
 * register tile that goes through them: for vectors of 8, with which a product read in
 * place waits for its rows. A panel of A is TILE_ROWS rows, one of B TILE_VECS vectors
 * wide. Included after simd_ISA.h.
 */
#ifndef RN_CPU_PACKED_SIMD_H
#define RN_CPU_PACKED_SIMD_H

#include "cpu/sizes.h"
#include "cpu/unroll.h"

#include <stdbool.h>

/* Steps of the depth in one turn of the inner loop, whose overhead counts. */
enum { PACKED_STEPS = 4 };

/* Rows of a left operand in panels of TILE_ROWS, one behind the other; a panel holds the
   rows' elements of column 0, then those of column 1, and so on to `depth`. Whole vectors
   are written: VW floats behind the last panel are lost. */
static inline void tile_pack_rows(size_t rows, size_t depth, const float *from, size_t ld,
                                  float *to)
{
    for (size_t i = 0; i < rows; i += TILE_ROWS, from += TILE_ROWS * ld) {
        const size_t height = rows - i < TILE_ROWS ? rows - i : TILE_ROWS;
        size_t k = 0;
        for (; k + VW <= depth; k += VW) {
            vf r[VW];
            RN_UNROLL for (size_t j = 0; j < VW; j++) r[j] =
                j < TILE_ROWS && j < height ? vf_load(from + j * ld + k) : vf_zero();
            vf_transpose(r);
            RN_UNROLL for (size_t j = 0; j < VW; j++)
                vf_store(to + (k + j) * TILE_ROWS, r[j]);
        }
        for (; k < depth; k++)
            for (size_t j = 0; j < height; j++) to[k * TILE_ROWS + j] = from[j * ld + k];
        to += TILE_ROWS * depth;
    }
}

/* The same of a transposed operand, [depth][rows], whose row k is multiplied by scale[k].
 */
static inline void tile_pack_columns(size_t depth, size_t rows, const float *from,
                                     size_t ld, const float *scale, float *to)
{
    for (size_t i = 0; i < rows; i += TILE_ROWS, from += TILE_ROWS) {
        const size_t left = rows - i < VW ? rows - i : VW;
        for (size_t k = 0; k < depth; k++, to += TILE_ROWS)
            vf_store(to, vf_mul(vf_set1(scale[k]), vf_load_n(from + k * ld, left)));
    }
}

/* The first n floats of beta c. */
static inline __attribute__((always_inline)) vf tile_old(float beta, const float *c,
                                                         size_t n)
{
    return beta == 0.0f ? vf_zero() : vf_mul(vf_set1(beta), vf_load_n(c, n));
}

/* to = beta to + acc, n[j] floats of vector j. */
static inline __attribute__((always_inline)) void
tile_store_row(const vf acc[TILE_VECS], const size_t n[TILE_VECS], float beta, float *to)
{
    RN_UNROLL for (size_t j = 0; j < TILE_VECS; j++, to += VW)
    {
        vf x = acc[j];
        if (beta != 0.0f) x = vf_fma(vf_set1(beta), vf_load_n(to, n[j]), x);
        vf_store_n(to, n[j], x);
    }
}

/* One tile of packed panels (tile_packed) of which `tall` rows are multiplied. */
static inline __attribute__((always_inline)) void
tile_packed_rows(const int tall, const bool chain, size_t rows, size_t cols, size_t depth,
                 const float *a, const float *b, float beta, float *c, size_t ldc)
{
    vf acc[TILE_ROWS][TILE_VECS];
    size_t n[TILE_VECS];
    RN_UNROLL for (size_t j = 0; j < TILE_VECS; j++) n[j] = vector_part(cols, j);
    RN_UNROLL for (size_t i = 0; i < (size_t)tall; i++)
    {
        float *to = c + (i < rows ? i : 0) * ldc;
        __builtin_prefetch(to);
        __builtin_prefetch(to + cols - 1);
        RN_UNROLL for (size_t j = 0; j < TILE_VECS; j++) acc[i][j] =
            chain ? tile_old(beta, to + j * VW, n[j]) : vf_zero();
    }
    for (size_t k = 0; k < depth; k += PACKED_STEPS) {
        RN_UNROLL for (size_t step = 0; step < PACKED_STEPS; step++)
        {
            if (step > 0 && k + step >= depth) break;
            vf w[TILE_VECS];
            RN_UNROLL for (size_t j = 0; j < TILE_VECS; j++) w[j] = vf_load(b + j * VW);
            RN_UNROLL for (size_t i = 0; i < (size_t)tall; i++)
            {
                const vf x = vf_set1(a[i]);
                RN_UNROLL for (size_t j = 0; j < TILE_VECS; j++) acc[i][j] =
                    vf_fma(x, w[j], acc[i][j]);
            }
            a += TILE_ROWS;
            b += TILE_VECS * VW;
        }
    }
    RN_UNROLL for (size_t i = 0; i < (size_t)tall; i++)
    {
        if (i < rows) tile_store_row(acc[i], n, chain ? 0.0f : beta, c + i * ldc);
    }
}

/* C = beta C + A B for the first `rows` rows and `cols` columns of a tile, from a panel
   of A as tile_pack_rows makes it and one of B, [depth][TILE_VECS * VW]. What the panels
   hold beyond may be multiplied too, and is dropped. The sums begin with beta C (chain),
   so that blocks of the depth make one chain, or it is added at the end, as in
   tile_product. */
static inline void tile_packed(const bool chain, size_t rows, size_t cols, size_t depth,
                               const float *a, const float *b, float beta, float *c,
                               size_t ldc)
{
    if (rows > 4)
        tile_packed_rows(TILE_ROWS, chain, rows, cols, depth, a, b, beta, c, ldc);
    else if (rows > 2) tile_packed_rows(4, chain, rows, cols, depth, a, b, beta, c, ldc);
    else tile_packed_rows(2, chain, rows, cols, depth, a, b, beta, c, ldc);
}

#endif

/*
 * Small matrix products from cache: C = beta C + scale (A B), with A read element by
 * element (any strides, so transposed operands need no copy) and B and C in rows of
 * vectors. The building block of retention and of the project's own GEMM. Included after
 * simd_ISA.h.
 */
#ifndef RN_CPU_TILE_SIMD_H
#define RN_CPU_TILE_SIMD_H

#include "cpu/unroll.h"

/* Steps of the depth in one turn of the inner loop: with vectors of 8 its overhead
 * counts. */
enum { TILE_STEPS = VW == 8 ? 4 : 1 };

/* What becomes of the product. A zero-initialised one with beta 0 stores it as it is. */
typedef struct tile_out {
    float beta, excess; /* C is multiplied by their sum first, which may lie too near to 1
                           for a float; beta 0: C may be uninitialised */
    const float *row_scale; /* row i of the product is multiplied by row_scale[i] */
    const float *mask;      /* and element i, j by mask[i * ldm + j] */
    size_t ldm;
} tile_out;

/* One register tile: rows x vecs vectors (both compile-time constants at every call), the
   last vector holding `tail` floats. Element i, k of A is a[i * ar + k * ac]. */
static inline __attribute__((always_inline)) void
tile_registers(const int rows, const int vecs, size_t tail, size_t depth, const float *a,
               size_t ar, size_t ac, const float *b, size_t ldb, float *c, size_t ldc,
               const tile_out *out)
{
    vf acc[TILE_ROWS][TILE_VECS];
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int j = 0; j < vecs; j++) acc[i][j] = vf_zero();
    }
    const size_t last = (size_t)(vecs - 1) * VW;
    for (size_t k = 0; k < depth; k += TILE_STEPS) {
        RN_UNROLL for (size_t step = 0; step < TILE_STEPS; step++)
        {
            if (step > 0 && k + step >= depth) break;
            vf row[TILE_VECS];
            RN_UNROLL for (int j = 0; j < vecs - 1; j++) row[j] = vf_load(b + j * VW);
            row[vecs - 1] = tail == VW ? vf_load(b + last) : vf_load_n(b + last, tail);
            RN_UNROLL for (int i = 0; i < rows; i++)
            {
                vf x = vf_set1(a[(size_t)i * ar]);
                RN_UNROLL for (int j = 0; j < vecs; j++) acc[i][j] =
                    vf_fma(x, row[j], acc[i][j]);
            }
            a += ac;
            b += ldb;
        }
    }
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        float *to = c + (size_t)i * ldc;
        vf scale = vf_set1(out->row_scale ? out->row_scale[i] : 1.0f);
        RN_UNROLL for (int j = 0; j < vecs; j++)
        {
            size_t n = j == vecs - 1 ? tail : VW;
            vf v = vf_mul(acc[i][j], scale);
            if (out->mask) {
                const float *m = out->mask + (size_t)i * out->ldm + j * VW;
                v = vf_mul(v, vf_load_n(m, n));
            }
            if (out->beta != 0.0f) {
                vf old = vf_load_n(to + j * VW, n);
                if (out->excess != 0.0f) v = vf_fma(vf_set1(out->excess), old, v);
                v = vf_fma(vf_set1(out->beta), old, v);
            }
            if (n == VW) vf_store(to + j * VW, v);
            else vf_store_n(to + j * VW, n, v);
        }
    }
}

/* A row block of any width. One vector more than a tile is cut into two tiles that both
   keep the multipliers busy. */
static inline __attribute__((always_inline)) void
tile_row_block(const int rows, size_t n, size_t depth, const float *a, size_t ar,
               size_t ac, const float *b, size_t ldb, float *c, size_t ldc, tile_out out)
{
    while (n > 0) {
        size_t vecs = (n + VW - 1) / VW;
        if (vecs > TILE_VECS)
            vecs = vecs == TILE_VECS + 1 ? (TILE_VECS + 1) / 2 : TILE_VECS;
        const size_t width = n < vecs * VW ? n : vecs * VW;
        const size_t tail = width - (vecs - 1) * VW;
        if (vecs == TILE_VECS && tail == VW)
            tile_registers(rows, TILE_VECS, VW, depth, a, ar, ac, b, ldb, c, ldc, &out);
        else if (vecs == TILE_VECS)
            tile_registers(rows, TILE_VECS, tail, depth, a, ar, ac, b, ldb, c, ldc, &out);
        else if (TILE_VECS > 2 && vecs == 2)
            tile_registers(rows, 2, tail, depth, a, ar, ac, b, ldb, c, ldc, &out);
        else tile_registers(rows, 1, tail, depth, a, ar, ac, b, ldb, c, ldc, &out);
        if (out.mask) out.mask += width;
        n -= width;
        b += width;
        c += width;
    }
}

/* C[m,n] = beta C + scale (A[m,depth] B[depth,n]). The sum over depth runs in order for
   every element, whatever the tile it falls into. */
static void tile_product(size_t m, size_t n, size_t depth, const float *a, size_t ar,
                         size_t ac, const float *b, size_t ldb, float *c, size_t ldc,
                         tile_out out)
{
    while (m > 0) {
        size_t rows = m >= TILE_ROWS ? TILE_ROWS : m >= 4 ? 4 : m >= 2 ? 2 : 1;
        switch (rows) {
        case TILE_ROWS:
            tile_row_block(TILE_ROWS, n, depth, a, ar, ac, b, ldb, c, ldc, out);
            break;
        case 4: tile_row_block(4, n, depth, a, ar, ac, b, ldb, c, ldc, out); break;
        case 2: tile_row_block(2, n, depth, a, ar, ac, b, ldb, c, ldc, out); break;
        default: tile_row_block(1, n, depth, a, ar, ac, b, ldb, c, ldc, out);
        }
        m -= rows;
        a += rows * ar;
        c += rows * ldc;
        if (out.row_scale) out.row_scale += rows;
        if (out.mask) out.mask += rows * out.ldm;
    }
}

/* to[col][row] = from[row][col] for up to VW rows of VW columns; rows beyond `rows` are
   not written. */
static inline __attribute__((always_inline)) void
transpose_block(size_t rows, const float *from, size_t ld, float *to, size_t ldt)
{
    vf r[VW];
    RN_UNROLL for (size_t i = 0; i < VW; i++) r[i] =
        i < rows ? vf_load(from + i * ld) : vf_zero();
    vf_transpose(r);
    RN_UNROLL for (size_t i = 0; i < VW; i++)
    {
        if (rows == VW) vf_store(to + i * ldt, r[i]);
        else vf_store_n(to + i * ldt, rows, r[i]);
    }
}

/* to[col][row] = from[row][col] for rows x cols floats. */
static void tile_transpose(size_t rows, size_t cols, const float *from, size_t ld,
                           float *to, size_t ldt)
{
    for (size_t r = 0; r < rows; r += VW, from += VW * ld, to += VW) {
        const size_t height = rows - r < VW ? rows - r : VW;
        size_t c = 0;
        for (; c + VW <= cols; c += VW) {
            if (height == VW) transpose_block(VW, from + c, ld, to + c * ldt, ldt);
            else transpose_block(height, from + c, ld, to + c * ldt, ldt);
        }
        for (; c < cols; c++)
            for (size_t i = 0; i < height; i++) to[c * ldt + i] = from[i * ld + c];
    }
}

/* to[row][col] = from[row][col]. */
static inline void tile_copy(size_t rows, size_t cols, const float *from, size_t ld,
                             float *to, size_t ldt)
{
    for (size_t r = 0; r < rows; r++, from += ld, to += ldt) {
        size_t c = 0;
        for (; c + VW <= cols; c += VW) vf_store(to + c, vf_load(from + c));
        if (c < cols) vf_store_n(to + c, cols - c, vf_load_n(from + c, cols - c));
    }
}

#endif

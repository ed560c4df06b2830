/*
 * The dense product of training in bfloat16: C = op(A) op(B) + beta C, both operands
 * rounded while blocks of them are packed into each thread's scratch, sums in float32.
 * Every element is summed over blocks of the depth in order, so its bits depend on its
 * row of A, its column of B and k alone: not on the number of rows, columns or threads.
 */
#include "cpu/simd_avx512.h"

#include "cpu/gemm_parts.h"
#include "cpu/pack_bf16.h"
#include "cpu/variants.h"
#include "kernels/exec.h"

#include <assert.h>
#include <math.h>

/* The register tile: ROWS x VECS vectors, 24 sums for 2 units of 6 cycles. Panels of A
   are ROWS rows, [pair][ROWS] lanes; of B PANEL columns, [pair][PANEL] lanes. */
enum { ROWS = 8, VECS = 3, PANEL = VECS * VW };

/* A block of A stays in the second-level cache, with what is packed next and two panels
   of B; the block of B comes from the third. C is read and written once for every block
   of the depth. */
enum { BLOCK_DEPTH = 1024, BLOCK_COLS = 1536, BLOCK_ROWS = 144, LANE = 4, LINE = 64 };
enum { A_BYTES = BLOCK_DEPTH / 2 * LANE * BLOCK_ROWS };
enum { B_BYTES = BLOCK_DEPTH / 2 * LANE * BLOCK_COLS };
/* With so many pairs between two lines, the tiles of a block of rows ask for all of a
   panel of B. */
enum { STRETCH = BLOCK_ROWS / ROWS / VECS };
static_assert(BLOCK_COLS % PANEL == 0 && BLOCK_ROWS % (2 * ROWS) == 0 &&
                  BLOCK_DEPTH % PACK_DEPTH == 0,
              "blocks of whole tiles");
static_assert(A_BYTES + B_BYTES <= RN_GEMM_BF16_SCRATCH,
              "packed blocks fit into the scratch");

/* Element i, k of op(A) is a[i * a_row + k * a_depth], element k, j of op(B) is
   b[k * b_depth + j * b_col]; one stride of each is 1. */
typedef struct product {
    size_t m, n, k;
    const float *a, *b;
    size_t a_row, a_depth, b_depth, b_col;
    size_t block_depth;
    float beta;
    float *c;
    size_t ldc;
} product;

/* Pairs in a packed block of this depth. */
static inline size_t pairs_of(size_t depth)
{
    return round_up(depth, PACK_DEPTH) / 2;
}

/* The depth is cut into equal blocks by k alone: an element's bits depend on the cut. */
static product make_product(bool ta, bool tb, size_t m, size_t n, size_t k,
                            const float *a, size_t lda, const float *b, size_t ldb,
                            float beta, float *c, size_t ldc)
{
    const size_t blocks = (k + BLOCK_DEPTH - 1) / BLOCK_DEPTH;
    return (product){.m = m,
                     .n = n,
                     .k = k,
                     .a = a,
                     .b = b,
                     .a_row = ta ? 1 : lda,
                     .a_depth = ta ? lda : 1,
                     .b_depth = tb ? 1 : ldb,
                     .b_col = tb ? ldb : 1,
                     .block_depth = round_up((k + blocks - 1) / blocks, PACK_DEPTH),
                     .beta = beta,
                     .c = c,
                     .ldc = ldc};
}

/* One panel of B. */
static void pack_b(const product *p, size_t k0, size_t depth, size_t j0, size_t cols,
                   char *space)
{
    const pack_lines to = {space, PANEL * LANE, VW / 2 * LANE};
    pack_source s = {p->b + k0 * p->b_depth + j0 * p->b_col, depth, cols, p->b_col};
    if (p->b_col == 1) {
        s.ld = p->b_depth;
        pack_rows(&s, to, VW * LANE);
    } else pack_columns(&s, to, VW * LANE);
}

/* Lines of 16 rows of A are two panels. */
static void pack_a(const product *p, size_t i0, size_t rows, size_t k0, size_t depth,
                   char *space)
{
    const size_t panel = pairs_of(depth) * ROWS * LANE;
    const pack_lines to = {space, ROWS * LANE, panel};
    pack_source s = {p->a + i0 * p->a_row + k0 * p->a_depth, depth, rows, p->a_row};
    if (p->a_row == 1) {
        s.ld = p->a_depth;
        pack_rows(&s, to, 2 * panel);
    } else pack_columns(&s, to, 2 * panel);
}

/* A part of C: `rows` rows, and vectors of which the last one holds `tail` floats. */
typedef struct tile_out {
    float *c;
    size_t ldc, rows, tail;
    float beta;
} tile_out;

/* What is packed next, asked for line by line while tiles are multiplied: `units` runs of
   `lines` lines `step` bytes apart; `left` lines of the first run are still to come. */
typedef struct ahead {
    const char *unit, *line;
    size_t units, apart, lines, step, left;
} ahead;

/* `count` columns of B or rows of A, `apart` floats apart, of `depth` depths that are
   `deep` floats apart; one of the two is 1. */
static ahead want(const float *from, size_t count, size_t apart, size_t depth,
                  size_t deep)
{
    const size_t floats = LINE / sizeof(float);
    ahead w = {.unit = (const char *)from, .units = count, .lines = depth};
    w.apart = w.step = LINE;
    if (deep == 1) {
        w.lines = (depth + floats - 1) / floats;
        w.apart = apart * sizeof(float);
    } else {
        w.units = (count + floats - 1) / floats;
        w.step = deep * sizeof(float);
    }
    w.line = w.unit;
    w.left = w.units ? w.lines : 0;
    return w;
}

static inline void ask(ahead *w)
{
    if (w->left == 0) return;
    _mm_prefetch(w->line, _MM_HINT_T1);
    w->line += w->step;
    if (--w->left > 0 || --w->units == 0) return;
    w->unit += w->apart;
    w->line = w->unit;
    w->left = w->lines;
}

/* acc += the pairs of a panel of A and one of B. */
static inline __attribute__((always_inline)) void
add_pairs(const int vecs, size_t pairs, const int *a, const char *b, vf acc[ROWS][VECS])
{
    for (size_t p = 0; p < pairs; p++, a += ROWS, b += PANEL * LANE) {
        __m512bh w[VECS];
        RN_UNROLL for (int j = 0; j < vecs; j++) w[j] =
            (__m512bh)_mm512_load_si512(b + j * VW * LANE);
        RN_UNROLL for (int i = 0; i < ROWS; i++)
        {
            const __m512bh x = (__m512bh)_mm512_set1_epi32(a[i]);
            RN_UNROLL for (int j = 0; j < vecs; j++) acc[i][j] =
                _mm512_dpbf16_ps(acc[i][j], x, w[j]);
        }
    }
}

/* One register tile of ROWS rows and vecs vectors. With every STRETCH pairs a line of the
   next panel of B is asked for, and two of what is packed next. */
static inline __attribute__((always_inline)) void tile(const int vecs, size_t pairs,
                                                       const int *a, const char *b,
                                                       const char *panel, ahead *next,
                                                       const tile_out *out)
{
    vf acc[ROWS][VECS];
    RN_UNROLL for (int i = 0; i < ROWS; i++)
    {
        RN_UNROLL for (int j = 0; j < vecs; j++)
        {
            acc[i][j] = vf_zero();
            __builtin_prefetch(out->c + (size_t)i * out->ldc + j * VW);
        }
    }
    size_t p = 0;
    for (; p + STRETCH <= pairs; p += STRETCH) {
        _mm_prefetch(panel, _MM_HINT_T1);
        panel += LINE;
        ask(next);
        ask(next);
        add_pairs(vecs, STRETCH, a + p * ROWS, b + p * PANEL * LANE, acc);
    }
    add_pairs(vecs, pairs - p, a + p * ROWS, b + p * PANEL * LANE, acc);
    RN_UNROLL for (size_t i = 0; i < ROWS; i++)
    {
        if (i >= out->rows) break;
        RN_UNROLL for (int j = 0; j < vecs; j++)
        {
            const size_t n = j == vecs - 1 ? out->tail : VW;
            float *to = out->c + i * out->ldc + j * VW;
            vf v = acc[i][j];
            if (out->beta != 0.0f) v = vf_add(v, vf_load_n(to, n));
            vf_store_n(to, n, v);
        }
    }
}

/* One panel of B, of `cols` columns, with all panels of A. */
static void multiply_panel(size_t pairs, size_t rows, size_t cols, const char *a,
                           const char *b, ahead *next, float beta, float *c, size_t ldc)
{
    const size_t vecs = (cols + VW - 1) / VW;
    const char *panel = b + pairs * PANEL * LANE;
    tile_out out = {.c = c, .ldc = ldc, .tail = cols - (vecs - 1) * VW, .beta = beta};
    for (size_t i = 0; i < rows; i += ROWS) {
        const int *from = (const int *)(const void *)(a + i * pairs * LANE);
        out.rows = least(ROWS, rows - i);
        if (vecs == 3) tile(3, pairs, from, b, panel, next, &out);
        else if (vecs == 2) tile(2, pairs, from, b, panel, next, &out);
        else tile(1, pairs, from, b, panel, next, &out);
        out.c += ROWS * ldc;
        panel += pairs / STRETCH * LINE;
    }
}

/* The rows of A, and the columns of B, that a rectangle of C packs from here on: at most
   a block of rows, or a panel. */
static ahead rows_ahead(const product *p, size_t i, size_t i1, size_t k, size_t depth)
{
    return want(p->a + i * p->a_row + k * p->a_depth, least(BLOCK_ROWS, i1 - i), p->a_row,
                depth, p->a_depth);
}

static ahead columns_ahead(const product *p, size_t j, size_t j1, size_t k, size_t depth)
{
    return want(p->b + k * p->b_depth + j * p->b_col, least(PANEL, j1 - j), p->b_col,
                depth, p->b_depth);
}

/* One block of the depth of C in rows [i0, i1) and columns [j0, j1), the columns of one
   block. Panels of B are packed when the first rows come to them. */
static void multiply_block(const product *p, size_t i0, size_t i1, size_t j0, size_t j1,
                           size_t k, char *space)
{
    const size_t depth = least(p->block_depth, p->k - k), pairs = pairs_of(depth);
    const float beta = k > 0 ? 1.0f : p->beta;
    for (size_t i = i0; i < i1; i += BLOCK_ROWS) {
        const size_t rows = least(BLOCK_ROWS, i1 - i);
        ahead a_next = rows_ahead(p, i + rows, i1, k, depth);
        pack_a(p, i, rows, k, depth, space);
        for (size_t j = j0; j < j1; j += PANEL) {
            const size_t cols = least(PANEL, j1 - j);
            char *panel = space + A_BYTES + (j - j0) * pairs * LANE;
            ahead b_next = columns_ahead(p, j + cols, j1, k, depth);
            if (i == i0) pack_b(p, k, depth, j, cols, panel);
            multiply_panel(pairs, rows, cols, space, panel,
                           i == i0 && b_next.left ? &b_next : &a_next, beta,
                           p->c + i * p->ldc + j, p->ldc);
        }
    }
}

static void multiply_rectangle(const product *p, size_t i0, size_t i1, size_t j0,
                               size_t j1, char *space)
{
    for (size_t j = j0; j < j1; j += BLOCK_COLS)
        for (size_t k = 0; k < p->k; k += p->block_depth)
            multiply_block(p, i0, i1, j, least(j + BLOCK_COLS, j1), k, space);
}

/* The cut whose largest rectangle costs least: its products, and the packing of its
   columns of B and, for every block of columns, of its rows of A. */
static grid choose_grid(size_t m, size_t n, size_t threads)
{
    const double pack_cost = 16.0; /* of an element, in products */
    grid best = {1, 1, m, n};
    double least_cost = HUGE_VAL;
    for (size_t down = 1; down <= threads; down++) {
        if (threads % down) continue;
        grid g = {.down = down, .across = threads / down};
        g.rows = round_up((m + g.down - 1) / g.down, ROWS);
        g.cols = round_up((n + g.across - 1) / g.across, PANEL);
        const double rows = (double)round_up(least(g.rows, m), ROWS);
        const double cols = (double)round_up(least(g.cols, n), VW);
        const double blocks = (double)((least(g.cols, n) + BLOCK_COLS - 1) / BLOCK_COLS);
        const double cost = rows * cols + pack_cost * (cols + rows * blocks);
        if (cost >= least_cost) continue;
        least_cost = cost;
        best = g;
    }
    return best;
}

void rn_gemm_bf16_avx512bf16(rn_exec *x, bool ta, bool tb, size_t m, size_t n, size_t k,
                             const float *a, size_t lda, const float *b, size_t ldb,
                             float beta, float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    if (k == 0) {
        scale_matrix(m, n, beta, c, ldc);
        return;
    }
    const product p = make_product(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
    const int threads = rn_exec_parallel(x, m * n / 64 * k);
    const grid g = choose_grid(m, n, (size_t)threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t t = 0; t < g.down * g.across; t++) {
        const size_t i = t / g.across * g.rows, j = t % g.across * g.cols;
        if (i >= m || j >= n) continue;
        const size_t rows = least(g.rows, m - i), cols = least(g.cols, n - j);
        multiply_rectangle(&p, i, i + rows, j, j + cols, rn_exec_scratch(x));
    }
}

/*
 * y = in W^T for W in panels of 8-, 4- or 6-bit blocks and activations in bytes (layouts:
 * kernels/panels.h). Sums inside a block are exact integers; the blocks of an element are
 * added in order, so its bits depend on its row of `in` and of W alone, and are the same
 * with every instruction set. Few rows stream W from memory once; many go over slabs of
 * it that stay in the first two caches. Included after simd_ISA.h and bytes_ISA.h.
 */
#ifndef RN_CPU_LINEAR_Q_SIMD_H
#define RN_CPU_LINEAR_Q_SIMD_H

#include "cpu/sizes.h"
#include "cpu/variants.h"
#include "kernels/exec.h"

#define INLINE static inline __attribute__((always_inline))

/* The largest tile: rows, and panels of PARTS vectors each. With vectors of 16 a sum of a
   block and one of all blocks for each row and vector are in registers. */
enum { TALL = VW == 16 ? 6 : 4, WIDE = VW == 16 ? 2 : 1 };
enum { PARTS = 16 / VW, VECS = WIDE * PARTS };
enum { LINE = 64, BLOCK = 32 };
/* Blocks in a slab of W, which rows that need more than one tile go over; bytes between
   what a single row multiplies and what it asks memory for. */
enum { SLAB = 64, AHEAD = 8192 };

typedef struct product {
    const rn_acts *in;
    const unsigned char *panels;
    size_t panel_bytes;
    float *y;
    size_t ldy, end;
} product;

/* Blocks first .. last-1 of the panel with columns j .. of y, and row r .. of `in`. */
typedef struct place {
    size_t j, first, last, r;
} place;

/* What a tile asks for: `step` bytes for each block that it multiplies. */
typedef struct ahead {
    const unsigned char *at;
    size_t step;
} ahead;

/* The parts of a block in a panel: d (and dmin) of a super-block, the block's own scales,
   its lines of numbers. */
typedef struct block {
    const unsigned char *head, *scales, *lines;
} block;

/* Bytes of a block's numbers. */
INLINE size_t numbers(const rn_weight_type type)
{
    return type == RN_WEIGHT_Q8_0   ? 8 * LINE
           : type == RN_WEIGHT_Q6_K ? 6 * LINE
                                    : 4 * LINE;
}

INLINE block block_at(const rn_weight_type type, const unsigned char *panel, size_t b)
{
    const size_t size = numbers(type);
    if (type == RN_WEIGHT_Q8_0 || type == RN_WEIGHT_Q4_0) {
        const unsigned char *unit = panel + b / 2 * (LINE + 2 * size);
        return (block){NULL, unit + b % 2 * 32, unit + LINE + b % 2 * size};
    }
    const unsigned char *unit = panel + b / 8 * (5 * LINE + 8 * size);
    return (block){unit, unit + LINE + b % 8 * 32, unit + 5 * LINE + b % 8 * size};
}

/* Part v of a line is for the rows of W that vector v has. */
INLINE size_t part(int v)
{
    return (size_t)(v % PARTS) * sizeof(vi);
}

/* Minus the offset of W's numbers times the sums of the activations in both halves of a
   block, or in one. */
INLINE vi offset_sum(const rn_weight_type type, int half, const rn_act_sum *sums)
{
    if (type == RN_WEIGHT_Q4_K || (type == RN_WEIGHT_Q8_0 && VB_OFFSET == 0))
        return vi_zero();
    const uint16_t q8 = (uint16_t)-VB_OFFSET, q4 = (uint16_t)-8, q6 = (uint16_t)-32;
    uint32_t factors = type == RN_WEIGHT_Q8_0   ? (uint32_t)q8 << 16 | q8
                       : type == RN_WEIGHT_Q4_0 ? (uint32_t)q4 << 16 | q4
                                                : (uint32_t)q6 << 16 * half;
    return vi_pairs(vi_word(sums), vi_set1((int32_t)factors));
}

INLINE vf scale_of(const rn_weight_type type, const block *w, int half, int v)
{
    const int at = v % PARTS * VW;
    if (type == RN_WEIGHT_Q8_0 || type == RN_WEIGHT_Q4_0)
        return vf_of_halves(w->scales + 2 * at);
    if (type == RN_WEIGHT_Q4_K)
        return vf_mul(vf_of_halves(w->head + 2 * at), vf_of_u8(w->scales + at));
    return vf_mul(vf_load((const float *)(const void *)w->head + at),
                  vf_of_i8(w->scales + 16 * half + at));
}

/* One block of the activations: rows of numbers in->ld apart, of scales and sums `blocks`
   apart. */
typedef struct act_block {
    const int8_t *q;
    const float *d;
    const rn_act_sum *sums;
    size_t blocks;
} act_block;

INLINE act_block act_block_at(const rn_acts *in, size_t r, size_t b)
{
    const size_t blocks = in->k / BLOCK;
    return (act_block){.q = (const int8_t *)in->data + r * in->ld + b * BLOCK,
                       .d = in->scale + r * blocks + b,
                       .sums = in->sum + r * blocks + b,
                       .blocks = blocks};
}

/* acc[i][v] += d_a (scale sum - min sum_a) for vector v, whose sums are sum[i][v]. */
INLINE void add_sums(const rn_weight_type type, const int rows, const block *w, int half,
                     int v, const act_block *a, vi sum[][VECS], vf acc[TALL][VECS])
{
    vf scale = scale_of(type, w, half, v), min = vf_zero();
    if (type == RN_WEIGHT_Q4_K)
        min = vf_mul(vf_of_halves(w->head + 32 + v % PARTS * VW * 2),
                     vf_of_u8(w->scales + 16 + v % PARTS * VW));
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        vf x = vf_mul(vf_of_ints(sum[i][v]), scale);
        if (type == RN_WEIGHT_Q4_K) {
            vi total =
                vi_pairs(vi_word(a->sums + (size_t)i * a->blocks), vi_set1(0x10001));
            x = vf_fnma(min, vf_of_ints(total), x);
        }
        acc[i][v] = vf_fma(x, vf_set1(a->d[(size_t)i * a->blocks]), acc[i][v]);
    }
}

#if VW == 8

/* The two halves of line l of vector v's rows, unsigned: bits 0..3 and 4..7, and in Q6_K
   the bits above them. */
INLINE void unpack_line(const rn_weight_type type, const block *w, int l, int v,
                        vi half[2])
{
    const vi low = vi_set1(0x0f0f0f0f), upper = vi_set1(0x30303030);
    const vi x = vi_load(w->lines + l * LINE + part(v));
    half[0] = vi_and(x, low);
    half[1] = vi_and(vi_right(x, 4), low);
    if (type != RN_WEIGHT_Q6_K) return;
    vi pairs = vi_load(w->lines + (4 + l / 2) * LINE + part(v));
    if (l % 2) pairs = vi_right(pairs, 4);
    half[0] = vi_and_or(vi_left(pairs, 4), upper, half[0]);
    half[1] = vi_and_or(vi_left(pairs, 2), upper, half[1]);
}

/* sum[i][v] += lines first .. last-1 of vector v times row i of `in`. */
INLINE void add_bytes(const int rows, const int vecs, const block *w, int first, int last,
                      const int8_t *in, size_t ld, vi sum[TALL][VECS])
{
    RN_ROLL for (int l = first; l < last; l++)
    {
        vb x[VECS];
        RN_UNROLL for (int v = 0; v < vecs; v++) x[v] =
            vb_load(w[v / PARTS].lines + l * LINE + part(v));
        RN_UNROLL for (int i = 0; i < rows; i++)
        {
            const vi a = vi_word(in + (size_t)i * ld + 4 * l);
            RN_UNROLL for (int v = 0; v < vecs; v++) sum[i][v] =
                vb_dot(sum[i][v], x[v], a);
        }
    }
}

/* The same for numbers of 4 or 6 bits. 16 products of the first fit into 16 bits
   together, of the second 4. */
INLINE void add_nibbles(const rn_weight_type type, const int rows, const int vecs,
                        const block *w, int first, int last, const int8_t *in, size_t ld,
                        vi sum[TALL][VECS])
{
    const vi ones = vi_set1(0x10001);
    vi few[TALL][VECS];
    RN_UNROLL for (int i = 0; i < rows; i++)
    {
        RN_UNROLL for (int v = 0; v < vecs; v++) few[i][v] = vi_zero();
    }
    RN_ROLL for (int l = first; l < last; l++)
    {
        vi x[VECS][2];
        RN_UNROLL for (int v = 0; v < vecs; v++)
            unpack_line(type, &w[v / PARTS], l, v, x[v]);
        RN_UNROLL for (int i = 0; i < rows; i++)
        {
            const int8_t *a = in + (size_t)i * ld + 8 * l;
            const vi a0 = vi_word(a), a1 = vi_word(a + 4);
            RN_UNROLL for (int v = 0; v < vecs; v++)
            {
                const vi both = vi_add16(vi_dot16(x[v][0], a0), vi_dot16(x[v][1], a1));
                if (type == RN_WEIGHT_Q6_K)
                    sum[i][v] = vi_add(sum[i][v], vi_pairs(both, ones));
                else few[i][v] = vi_add16(few[i][v], both);
            }
        }
    }
    RN_UNROLL for (int i = 0; i < rows && type != RN_WEIGHT_Q6_K; i++)
    {
        RN_UNROLL for (int v = 0; v < vecs; v++) sum[i][v] =
            vi_add(sum[i][v], vi_pairs(few[i][v], ones));
    }
}

/* One block of all rows of a tile. */
INLINE void multiply_block(const rn_weight_type type, const int rows, const int vecs,
                           const block *w, const rn_acts *in, size_t r, size_t b,
                           vf acc[TALL][VECS])
{
    const act_block a = act_block_at(in, r, b);
    const int halves = type == RN_WEIGHT_Q6_K ? 2 : 1;
    const int lines = (type == RN_WEIGHT_Q8_0 ? 8 : 4) / halves;
    RN_UNROLL for (int half = 0; half < halves; half++)
    {
        vi sum[TALL][VECS];
        RN_UNROLL for (int i = 0; i < rows; i++)
        {
            const vi start = offset_sum(type, half, a.sums + (size_t)i * a.blocks);
            RN_UNROLL for (int v = 0; v < vecs; v++) sum[i][v] = start;
        }
        const int first = half * lines, last = first + lines;
        if (type == RN_WEIGHT_Q8_0)
            add_bytes(rows, vecs, w, first, last, a.q, in->ld, sum);
        else add_nibbles(type, rows, vecs, w, first, last, a.q, in->ld, sum);
        RN_UNROLL for (int v = 0; v < vecs; v++)
            add_sums(type, rows, &w[v / PARTS], half, v, &a, sum, acc);
    }
}

#else

/* The numbers of columns 4 g .. 4 g + 3 of vector v's rows, unsigned. */
INLINE vi packed(const rn_weight_type type, const block *w, int g, int v)
{
    const vi low = vi_set1(0x0f0f0f0f), upper = vi_set1(0x30303030);
    vi x = vi_load(w->lines + g / 2 * LINE + part(v));
    x = vi_and(g % 2 ? vi_right(x, 4) : x, low);
    if (type != RN_WEIGHT_Q6_K) return x;
    vi pairs = vi_load(w->lines + (4 + g / 4) * LINE + part(v));
    if (g % 4 == 0) pairs = vi_left(pairs, 4);
    if (g % 4 == 1) pairs = vi_left(pairs, 2);
    if (g % 4 == 3) pairs = vi_right(pairs, 2);
    return vi_and_or(pairs, upper, x);
}

/* sum[i][v] += columns 4 g .. 4 g + 3 of row i of `in` times those of W. */
INLINE void dot_columns(const rn_weight_type type, const int rows, const int vecs,
                        const block *blocks, int g, const int8_t *in, size_t ld,
                        vi sum[TALL][VECS])
{
    RN_UNROLL for (int v = 0; v < vecs; v++)
    {
        const block *w = &blocks[v / PARTS];
        if (type == RN_WEIGHT_Q8_0) {
            vb x = vb_load(w->lines + g * LINE + part(v));
            RN_UNROLL for (int i = 0; i < rows; i++) sum[i][v] =
                vb_dot(sum[i][v], x, vi_word(in + (size_t)i * ld + 4 * g));
        } else {
            vi x = packed(type, w, g, v);
            RN_UNROLL for (int i = 0; i < rows; i++) sum[i][v] =
                vi_dot(sum[i][v], x, vi_word(in + (size_t)i * ld + 4 * g));
        }
    }
}

/* One block of all rows of a tile. */
INLINE void multiply_block(const rn_weight_type type, const int rows, const int vecs,
                           const block *w, const rn_acts *in, size_t r, size_t b,
                           vf acc[TALL][VECS])
{
    const act_block a = act_block_at(in, r, b);
    vi sum[TALL][VECS];
    RN_UNROLL for (int half = 0; half < 2; half++)
    {
        if (half == 0 || type == RN_WEIGHT_Q6_K) {
            RN_UNROLL for (int i = 0; i < rows; i++)
            {
                vi start = offset_sum(type, half, a.sums + (size_t)i * a.blocks);
                RN_UNROLL for (int v = 0; v < vecs; v++) sum[i][v] = start;
            }
        }
        RN_UNROLL for (int g = 0; g < 4; g++)
            dot_columns(type, rows, vecs, w, 4 * half + g, a.q, in->ld, sum);
        if (half == 1 || type == RN_WEIGHT_Q6_K)
            RN_UNROLL for (int v = 0; v < vecs; v++)
                add_sums(type, rows, &w[v / PARTS], half, v, &a, sum, acc);
    }
}

#endif

/* How many of the columns of vector v of a tile are to be computed. */
INLINE size_t width(const product *p, place at, int v)
{
    return vector_part(p->end - at.j, (size_t)v);
}

/* Rows r .. of y, `rows` of them and of `panels` panels (constants), for the blocks of a
   place; all but the first blocks add to what is there. */
INLINE void tile(const rn_weight_type type, const int rows, const int panels,
                 const product *p, place at, ahead next)
{
    const int vecs = panels * PARTS;
    const unsigned char *panel = p->panels + at.j / 16 * p->panel_bytes;
    float *y = p->y + at.r * p->ldy + at.j;
    vf acc[TALL][VECS];
    RN_UNROLL for (int v = 0; v < vecs; v++)
    {
        const size_t some = at.first > 0 ? width(p, at, v) : 0;
        RN_UNROLL for (int i = 0; i < rows; i++) acc[i][v] =
            some ? vf_load_n(y + (size_t)i * p->ldy + v * VW, some) : vf_zero();
    }
    for (size_t b = at.first; b < at.last; b++, next.at += next.step) {
        block w[WIDE];
        RN_UNROLL for (int q = 0; q < panels; q++)
        {
            w[q] = block_at(type, panel + (size_t)q * p->panel_bytes, b);
            for (size_t n = 0; n < next.step; n += LINE)
                __builtin_prefetch(next.at + (size_t)q * p->panel_bytes + n);
        }
        multiply_block(type, rows, vecs, w, p->in, at.r, b, acc);
    }
    RN_UNROLL for (int v = 0; v < vecs; v++)
    {
        const size_t some = width(p, at, v);
        RN_UNROLL for (int i = 0; i < rows; i++)
            vf_store_n(y + (size_t)i * p->ldy + v * VW, some, acc[i][v]);
    }
}

/* The tallest tile that `rows` rows fill: 1, 2, 3, 4 or 6. What Q6_K needs beside the
   sums leaves registers for 4. */
INLINE size_t tile_rows(const rn_weight_type type, size_t rows)
{
    if (rows >= 6 && TALL >= 6 && type != RN_WEIGHT_Q6_K) return 6;
    if (rows >= 4 && TALL >= 4) return 4;
    return rows < TALL ? rows : TALL;
}

INLINE void any_tile(const rn_weight_type type, size_t rows, const int panels,
                     const product *p, place at, ahead next)
{
    if (TALL >= 6 && rows == 6 && type != RN_WEIGHT_Q6_K)
        tile(type, TALL, panels, p, at, next);
    if (rows == 4) tile(type, 4, panels, p, at, next);
    if (rows == 3) tile(type, 3, panels, p, at, next);
    if (rows == 2) tile(type, 2, panels, p, at, next);
    if (rows == 1) tile(type, 1, panels, p, at, next);
}

/* All rows of `in` times one slab of some panels. Every tile asks for its rows' share of
   the slab of the next panels, or, where there is one tile and one panel, for what lies
   AHEAD in the stream of panels. */
INLINE void all_rows(const rn_weight_type type, const int panels, const product *p,
                     place at)
{
    const size_t rows = p->in->rows, blocks = at.last - at.first;
    const size_t bytes = numbers(type) + 40; /* of a block, at most */
    const unsigned char *slab =
        block_at(type, p->panels + at.j / 16 * p->panel_bytes, at.first).scales;
    const unsigned char *following = slab + (size_t)panels * p->panel_bytes;
    while (at.r < rows) {
        const size_t height = tile_rows(type, rows - at.r);
        ahead next = {slab + AHEAD, bytes};
        if (height < rows || panels > 1)
            next =
                (ahead){following + at.r * blocks * bytes / rows, height * bytes / rows};
        any_tile(type, height, panels, p, at, next);
        at.r += height;
    }
}

/* Up to how many rows one panel at a time is best: it makes one stream from memory, two
   make better use of each activation and of the numbers that were unpacked. */
INLINE size_t narrow_rows(const rn_weight_type type)
{
    return type == RN_WEIGHT_Q8_0 ? 4 : 1;
}

INLINE void linear(const rn_weight_type type, float *y, size_t ldy, const rn_acts *in,
                   const rn_panels *w, size_t begin, size_t end)
{
    const size_t blocks = w->k / BLOCK;
    const product p = {in, w->data, rn_panel_bytes(type, w->k), y, ldy, end};
    const size_t depth = tile_rows(type, in->rows) == in->rows ? blocks : SLAB;
    for (size_t b = 0; b < blocks; b += depth) {
        place at = {begin, b, b + depth < blocks ? b + depth : blocks, 0};
        if (WIDE == 2 && in->rows > narrow_rows(type))
            for (; at.j + 16 < end; at.j += 32) all_rows(type, WIDE, &p, at);
        for (; at.j < end; at.j += 16) all_rows(type, 1, &p, at);
    }
}

#define LINEAR(name, type)                                                               \
    void RN_VARIANT(linear_##name)(rn_exec * x, float *y, size_t ldy, const rn_acts *in, \
                                   const rn_panels *w, size_t begin, size_t end)         \
    {                                                                                    \
        (void)x;                                                                         \
        linear(type, y, ldy, in, w, begin, end);                                         \
    }
LINEAR(q8_0, RN_WEIGHT_Q8_0)
LINEAR(q4_0, RN_WEIGHT_Q4_0)
LINEAR(q4_k, RN_WEIGHT_Q4_K)
LINEAR(q6_k, RN_WEIGHT_Q6_K)
#undef LINEAR

#endif

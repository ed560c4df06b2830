/*
 * Packing of float32 matrices into bfloat16 for dot products: lines of 16 columns x 2
 * depths, a pair of depths in each 32-bit lane, zeros behind the end of either. Numbers
 * are rounded to nearest even; the instruction takes denormal ones for 0. Included by
 * files compiled for AVX-512 BF16, after simd_avx512.h.
 */
#ifndef RN_CPU_PACK_BF16_H
#define RN_CPU_PACK_BF16_H

#include <stdbool.h>

/* Depths are packed so many at a time: there are four pairs, or a multiple. */
#define PACK_DEPTH ((size_t)8)

/* Where lines go: that of pair p, its lower half, to at + p * step, its upper half
   `upper` bytes behind. */
typedef struct pack_lines {
    char *at;
    size_t step, upper;
} pack_lines;

/* A pair of depths: lane j is {even[j], odd[j]}. */
static inline __m512i pack_pair(vf even, vf odd)
{
    const __m512i zip =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                         7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(zip, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

static inline void pack_store(const pack_lines *to, size_t pair, __m512i line)
{
    char *at = to->at + pair * to->step;
    _mm256_store_si256((__m256i *)at, _mm512_castsi512_si256(line));
    _mm256_store_si256((__m256i *)(at + to->upper), _mm512_extracti64x4_epi64(line, 1));
}

/* PACK_DEPTH depths of 16 columns, whose columns lie side by side at `from`, depths ld
 * apart. */
static inline __attribute__((always_inline)) void
pack_along(const bool whole, size_t depth, size_t cols, const float *from, size_t ld,
           const pack_lines *to, size_t pair)
{
    vf row[PACK_DEPTH];
    RN_UNROLL for (size_t i = 0; i < PACK_DEPTH; i++)
    {
        const float *at = from + i * ld;
        if (whole) row[i] = vf_load(at);
        else row[i] = i < depth ? vf_load_n(at, cols) : vf_zero();
    }
    RN_UNROLL for (size_t i = 0; i < PACK_DEPTH; i += 2)
    {
        pack_store(to, pair + i / 2, pack_pair(row[i], row[i + 1]));
    }
}

/* 16 pairs of 16 columns, whose depths lie side by side at `from`, columns ld apart. */
static inline __attribute__((always_inline)) void
pack_across(const bool whole, size_t depth, size_t cols, const float *from, size_t ld,
            const pack_lines *to, size_t pair)
{
    vf r[VW];
    RN_UNROLL for (size_t j = 0; j < VW; j++)
    {
        const float *at = from + j * ld;
        vf low = vf_zero(), high = low;
        if (whole) {
            low = vf_load(at);
            high = vf_load(at + VW);
        } else if (j < cols) {
            low = vf_load_n(at, depth < VW ? depth : VW);
            if (depth > VW) high = vf_load_n(at + VW, depth - VW);
        }
        r[j] = _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    vf_transpose(r);
    const size_t pairs = (depth + PACK_DEPTH - 1) / PACK_DEPTH * (PACK_DEPTH / 2);
    RN_UNROLL for (size_t p = 0; p < VW; p++)
    {
        if (whole || p < pairs) pack_store(to, pair + p, _mm512_castps_si512(r[p]));
    }
}

/* A matrix of depth x cols numbers whose columns (along: its depths) lie ld floats apart.
   Lines of 16 columns are `beside` bytes behind those of the 16 before. */
typedef struct pack_source {
    const float *at;
    size_t depth, cols, ld;
} pack_source;

static void pack_rows(const pack_source *s, pack_lines to, size_t beside)
{
    for (size_t k = 0; k < s->depth; k += PACK_DEPTH) {
        const float *from = s->at + k * s->ld;
        const size_t depth = s->depth - k;
        pack_lines line = to;
        size_t j = 0;
        if (depth >= PACK_DEPTH)
            for (; j + VW <= s->cols; j += VW, line.at += beside)
                pack_along(true, depth, VW, from + j, s->ld, &line, k / 2);
        for (; j < s->cols; j += VW, line.at += beside) {
            const size_t cols = s->cols - j < VW ? s->cols - j : VW;
            pack_along(false, depth, cols, from + j, s->ld, &line, k / 2);
        }
    }
}

static void pack_columns(const pack_source *s, pack_lines to, size_t beside)
{
    for (size_t j = 0; j < s->cols; j += VW, to.at += beside) {
        const float *from = s->at + j * s->ld;
        const size_t cols = s->cols - j;
        size_t k = 0;
        if (cols >= VW)
            for (; k + 2 * VW <= s->depth; k += 2 * VW)
                pack_across(true, 2 * VW, VW, from + k, s->ld, &to, k / 2);
        for (; k < s->depth; k += 2 * VW) {
            const size_t depth = s->depth - k < 2 * VW ? s->depth - k : 2 * VW;
            pack_across(false, depth, cols, from + k, s->ld, &to, k / 2);
        }
    }
}

#endif

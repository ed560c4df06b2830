/*
 * AVX-512 by AVX2: the intrinsics that the library's AVX-512 files use (with VNNI and
 * BF16), done by instructions of processors that lack them. A build with RN_EMULATE
 * includes this before those files, so that what they compute can be tested everywhere,
 * slowly. What an instruction does is told by Intel's intrinsics guide; an intrinsic
 * that is missing here fails to compile.
 */
#ifndef RN_TESTS_AVX512_BY_AVX2_H
#define RN_TESTS_AVX512_BY_AVX2_H

#include <assert.h>
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* A vector by its halves and by its lanes. */
typedef union by {
    __m512 f;
    __m512d d;
    __m512i i;
    __m256 f2[2];
    __m256d d2[2];
    __m256i i2[2];
    float ps[16];
    double pd[8];
    int8_t epi8[64];
    uint8_t epu8[64];
    int16_t epi16[32];
    uint16_t epu16[32];
    int32_t epi32[16];
    uint32_t epu32[16];
    int64_t epi64[8];
} by;

#define BY static inline __attribute__((always_inline))
/* Lane by lane, and called: inlined they would take minutes to compile. */
#define LANES static __attribute__((noinline, unused))

/* Done by halves: of one, two and three vectors. */
#define BY_ONE(type, part, op)                                                           \
    BY type by_##op(type x)                                                              \
    {                                                                                    \
        by a = {.part = x};                                                              \
        for (int h = 0; h < 2; h++) a.part##2 [h] = _mm256_##op(a.part##2 [h]);          \
        return a.part;                                                                   \
    }
#define BY_TWO(type, part, op)                                                           \
    BY type by_##op(type x, type y)                                                      \
    {                                                                                    \
        by a = {.part = x}, b = {.part = y};                                             \
        for (int h = 0; h < 2; h++)                                                      \
            a.part##2 [h] = _mm256_##op(a.part##2 [h], b.part##2 [h]);                   \
        return a.part;                                                                   \
    }
#define BY_THREE(type, part, op)                                                         \
    BY type by_##op(type x, type y, type z)                                              \
    {                                                                                    \
        by a = {.part = x}, b = {.part = y}, c = {.part = z};                            \
        for (int h = 0; h < 2; h++)                                                      \
            a.part##2 [h] = _mm256_##op(a.part##2 [h], b.part##2 [h], c.part##2 [h]);    \
        return a.part;                                                                   \
    }
#define BY_SHIFT(op)                                                                     \
    BY __m512i by_##op(__m512i x, unsigned n)                                            \
    {                                                                                    \
        by a = {.i = x};                                                                 \
        for (int h = 0; h < 2; h++) a.i2[h] = _mm256_##op(a.i2[h], (int)n);              \
        return a.i;                                                                      \
    }

BY_TWO(__m512, f, add_ps)
BY_TWO(__m512, f, sub_ps)
BY_TWO(__m512, f, mul_ps)
BY_TWO(__m512, f, div_ps)
BY_TWO(__m512, f, max_ps)
BY_TWO(__m512, f, min_ps)
BY_TWO(__m512, f, unpacklo_ps)
BY_TWO(__m512, f, unpackhi_ps)
BY_TWO(__m512d, d, add_pd)
BY_TWO(__m512i, i, add_epi32)
BY_TWO(__m512i, i, sub_epi8)
BY_TWO(__m512i, i, madd_epi16)
BY_TWO(__m512i, i, maddubs_epi16)
BY_TWO(__m512i, i, max_epi32)
BY_TWO(__m512i, i, mul_epu32)
BY_TWO(__m512i, i, unpacklo_epi64)
BY_TWO(__m512i, i, unpackhi_epi64)
BY_ONE(__m512, f, sqrt_ps)
BY_ONE(__m512i, i, abs_epi8)
BY_THREE(__m512, f, fmadd_ps)
BY_THREE(__m512, f, fnmadd_ps)
BY_THREE(__m512, f, fmaddsub_ps)
BY_THREE(__m512d, d, fmadd_pd)
BY_SHIFT(slli_epi32)
BY_SHIFT(slli_epi64)
BY_SHIFT(srli_epi32)
BY_SHIFT(srli_epi64)
#define _mm512_add_ps         by_add_ps
#define _mm512_sub_ps         by_sub_ps
#define _mm512_mul_ps         by_mul_ps
#define _mm512_div_ps         by_div_ps
#define _mm512_max_ps         by_max_ps
#define _mm512_min_ps         by_min_ps
#define _mm512_unpacklo_ps    by_unpacklo_ps
#define _mm512_unpackhi_ps    by_unpackhi_ps
#define _mm512_add_pd         by_add_pd
#define _mm512_add_epi32      by_add_epi32
#define _mm512_madd_epi16     by_madd_epi16
#define _mm512_maddubs_epi16  by_maddubs_epi16
#define _mm512_max_epi32      by_max_epi32
#define _mm512_mul_epu32      by_mul_epu32
#define _mm512_unpacklo_epi64 by_unpacklo_epi64
#define _mm512_unpackhi_epi64 by_unpackhi_epi64
#define _mm512_sqrt_ps        by_sqrt_ps
#define _mm512_abs_epi8       by_abs_epi8
#define _mm512_fmadd_ps       by_fmadd_ps
#define _mm512_fnmadd_ps      by_fnmadd_ps
#define _mm512_fmaddsub_ps    by_fmaddsub_ps
#define _mm512_fmadd_pd       by_fmadd_pd
#define _mm512_slli_epi32     by_slli_epi32
#define _mm512_slli_epi64     by_slli_epi64
#define _mm512_srli_epi32     by_srli_epi32
#define _mm512_srli_epi64     by_srli_epi64

/* One number in every lane. */
#define BY_SET1(type, part, op, lane, lanes, number)                                     \
    BY type by_set1_##op(number x)                                                       \
    {                                                                                    \
        by a;                                                                            \
        for (int l = 0; l < (lanes); l++) a.lane[l] = x;                                 \
        return a.part;                                                                   \
    }
BY_SET1(__m512, f, ps, ps, 16, float)
BY_SET1(__m512i, i, epi8, epi8, 64, int8_t)
BY_SET1(__m512i, i, epi16, epi16, 32, int16_t)
BY_SET1(__m512i, i, epi32, epi32, 16, int32_t)
BY_SET1(__m512i, i, epi64, epi64, 8, int64_t)
#define _mm512_set1_ps         by_set1_ps
#define _mm512_set1_epi8       by_set1_epi8
#define _mm512_set1_epi16      by_set1_epi16
#define _mm512_set1_epi32      by_set1_epi32
#define _mm512_set1_epi64      by_set1_epi64
#define _mm512_setzero_ps()    ((by){.epi64 = {0}}.f)
#define _mm512_setzero_pd()    ((by){.epi64 = {0}}.d)
#define _mm512_setzero_si512() ((by){.epi64 = {0}}.i)

/* Lanes by name, the last one first; immintrin.h turns setr into these. */
#define BY_SET(op, lanes)                                                                \
    LANES __m512i by_set_##op(by x)                                                      \
    {                                                                                    \
        by a;                                                                            \
        for (int l = 0; l < (lanes); l++) a.op[l] = x.op[(lanes)-1 - l];                 \
        return a.i;                                                                      \
    }
BY_SET(epi16, 32)
BY_SET(epi32, 16)
BY_SET(epi64, 8)
#define _mm512_set_epi16(...) by_set_epi16((by){.epi16 = {__VA_ARGS__}})
#define _mm512_set_epi32(...) by_set_epi32((by){.epi32 = {__VA_ARGS__}})
#define _mm512_set_epi64(...) by_set_epi64((by){.epi64 = {__VA_ARGS__}})

/* The same bits as another type, and halves. */
#define _mm512_castps_si512(x)          ((__m512i)(x))
#define _mm512_castsi512_ps(x)          ((__m512)(x))
#define _mm512_castps512_ps256(x)       ((by){.f = (x)}.f2[0])
#define _mm512_castsi512_si256(x)       ((by){.i = (x)}.i2[0])
#define _mm512_extractf32x8_ps(x, h)    ((by){.f = (x)}.f2[h])
#define _mm512_extracti64x4_epi64(x, h) ((by){.i = (x)}.i2[h])

BY __m512 by_abs_ps(__m512 x)
{
    return (__m512)((__m512i)x & by_set1_epi32(INT32_MAX));
}
#define _mm512_abs_ps          by_abs_ps
#define _mm512_and_si512(a, b) ((__m512i)((a) & (b)))
#define _mm512_xor_si512(a, b) ((__m512i)((a) ^ (b)))

/* Bit by bit the bit of `table` whose number is those of x, y and z. */
LANES __m512i by_ternary(__m512i x, __m512i y, __m512i z, int table)
{
    __m512i out = _mm512_setzero_si512();
    for (int n = 0; n < 8; n++)
        if (table >> n & 1) out |= (n & 4 ? x : ~x) & (n & 2 ? y : ~y) & (n & 1 ? z : ~z);
    return out;
}
#define _mm512_ternarylogic_epi32 by_ternary
#define _mm512_ternarylogic_epi64 by_ternary

/* Memory. Masked lanes are not touched. */
BY __m512i by_load(const void *p)
{
    by a;
    memcpy(&a, p, sizeof a);
    return a.i;
}

BY __m512i by_load_line(const void *p)
{
    assert((uintptr_t)p % 64 == 0); /* else the instruction faults */
    return by_load(p);
}

LANES __m512 by_maskz_loadu_ps(__mmask16 mask, const void *p)
{
    by a = {.epi64 = {0}};
    for (int l = 0; l < 16; l++)
        if (mask >> l & 1) memcpy(a.ps + l, (const float *)p + l, sizeof(float));
    return a.f;
}

BY void by_storeu_ps(void *p, __m512 x)
{
    memcpy(p, &x, sizeof x);
}

LANES void by_mask_storeu_ps(void *p, __mmask16 mask, __m512 x)
{
    by a = {.f = x};
    for (int l = 0; l < 16; l++)
        if (mask >> l & 1) memcpy((float *)p + l, a.ps + l, sizeof(float));
}

LANES void by_mask_storeu_epi16(void *p, __mmask16 mask, __m256i x)
{
    by a = {.i2 = {x}};
    for (int l = 0; l < 16; l++)
        if (mask >> l & 1) memcpy((uint16_t *)p + l, a.epu16 + l, sizeof(uint16_t));
}
#define _mm512_loadu_ps(p)       ((__m512)by_load(p))
#define _mm512_loadu_si512       by_load
#define _mm512_load_si512        by_load_line
#define _mm512_maskz_loadu_ps    by_maskz_loadu_ps
#define _mm512_storeu_ps         by_storeu_ps
#define _mm512_mask_storeu_ps    by_mask_storeu_ps
#define _mm256_mask_storeu_epi16 by_mask_storeu_epi16

/* Masks, and lanes chosen by them. */
#define _mm512_cmp_ps_mask(x, y, how)                                                    \
    ((__mmask16)(_mm256_movemask_ps(                                                     \
                     _mm256_cmp_ps((by){.f = (x)}.f2[0], (by){.f = (y)}.f2[0], how)) |   \
                 _mm256_movemask_ps(                                                     \
                     _mm256_cmp_ps((by){.f = (x)}.f2[1], (by){.f = (y)}.f2[1], how))     \
                     << 8))

BY __mmask64 by_movepi8_mask(__m512i x)
{
    by a = {.i = x};
    return (uint32_t)_mm256_movemask_epi8(a.i2[0]) |
           (__mmask64)(uint32_t)_mm256_movemask_epi8(a.i2[1]) << 32;
}

LANES __m512i by_mask_blend_epi32(__mmask16 mask, __m512i x, __m512i y)
{
    by a = {.i = x}, b = {.i = y};
    for (int l = 0; l < 16; l++)
        if (mask >> l & 1) a.epi32[l] = b.epi32[l];
    return a.i;
}

LANES __m512i by_mask_sub_epi8(__m512i other, __mmask64 mask, __m512i x, __m512i y)
{
    by a = {.i = other}, b = {.i = by_sub_epi8(x, y)};
    for (int l = 0; l < 64; l++)
        if (mask >> l & 1) a.epi8[l] = b.epi8[l];
    return a.i;
}
#define _mm512_movepi8_mask     by_movepi8_mask
#define _mm512_mask_blend_epi32 by_mask_blend_epi32
#define _mm512_mask_blend_ps(m, x, y)                                                    \
    ((__m512)by_mask_blend_epi32(m, (__m512i)(x), (__m512i)(y)))
#define _mm512_mask_or_epi32(other, m, x, y) by_mask_blend_epi32(m, other, (x) | (y))
#define _mm512_mask_sub_epi8                 by_mask_sub_epi8

/* Conversions. */
#define BY_CONVERT(op, type, part, from, lane, to, source)                               \
    LANES type by_##op(source x)                                                         \
    {                                                                                    \
        by a, b;                                                                         \
        memcpy(&a, &x, sizeof x);                                                        \
        for (int l = 0; l < 16; l++) b.lane[l] = (to)a.from[l];                          \
        return b.part;                                                                   \
    }
BY_CONVERT(cvtepi8_epi32, __m512i, i, epi8, epi32, int32_t, __m128i)
BY_CONVERT(cvtepu8_epi32, __m512i, i, epu8, epi32, int32_t, __m128i)
BY_CONVERT(cvtepi16_epi32, __m512i, i, epi16, epi32, int32_t, __m256i)
BY_CONVERT(cvtepu16_epi32, __m512i, i, epu16, epi32, int32_t, __m256i)
BY_CONVERT(cvtepi32_epi16, __m256i, i2[0], epu32, epu16, uint16_t, __m512i)

LANES __m128i by_cvtepi32_epi8(__m512i x)
{
    by a = {.i = x};
    for (int l = 0; l < 16; l++) a.epu8[l] = (uint8_t)a.epu32[l];
    return _mm256_castsi256_si128(a.i2[0]);
}

BY __m512 by_cvtepi32_ps(__m512i x)
{
    by a = {.i = x};
    for (int h = 0; h < 2; h++) a.f2[h] = _mm256_cvtepi32_ps(a.i2[h]);
    return a.f;
}

BY __m512i by_cvtps_epi32(__m512 x)
{
    by a = {.f = x};
    for (int h = 0; h < 2; h++) a.i2[h] = _mm256_cvtps_epi32(a.f2[h]);
    return a.i;
}

BY __m512 by_cvtph_ps(__m256i x)
{
    by a = {.f2 = {_mm256_cvtph_ps(_mm256_castsi256_si128(x)),
                   _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))}};
    return a.f;
}

BY __m512d by_cvtps_pd(__m256 x)
{
    by a = {.d2 = {_mm256_cvtps_pd(_mm256_castps256_ps128(x)),
                   _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))}};
    return a.d;
}

/* To whole numbers: to the nearest, down, up or towards zero by the low bits of `how`;
   the others but that of no exceptions are not done. */
LANES __m512 by_roundscale_ps(__m512 x, int how)
{
    assert(!(how & 0xf4));
    by a = {.f = x};
    for (int l = 0; l < 16; l++) {
        const float v = a.ps[l];
        a.ps[l] = how & 2   ? (how & 1 ? truncf(v) : ceilf(v))
                  : how & 1 ? floorf(v)
                            : rintf(v);
    }
    return a.f;
}

LANES __m512 by_scalef_ps(__m512 x, __m512 y)
{
    by a = {.f = x}, b = {.f = y};
    for (int l = 0; l < 16; l++)
        a.ps[l] =
            isnan(b.ps[l])
                ? b.ps[l]
                : ldexpf(a.ps[l], (int)fminf(fmaxf(floorf(b.ps[l]), -1000.0f), 1000.0f));
    return a.f;
}
#define _mm512_cvtepi8_epi32  by_cvtepi8_epi32
#define _mm512_cvtepu8_epi32  by_cvtepu8_epi32
#define _mm512_cvtepi16_epi32 by_cvtepi16_epi32
#define _mm512_cvtepu16_epi32 by_cvtepu16_epi32
#define _mm512_cvtepi32_epi16 by_cvtepi32_epi16
#define _mm512_cvtepi32_epi8  by_cvtepi32_epi8
#define _mm512_cvtepi32_ps    by_cvtepi32_ps
#define _mm512_cvtps_epi32    by_cvtps_epi32
#define _mm512_cvtph_ps       by_cvtph_ps
#define _mm512_cvtps_pd       by_cvtps_pd
#define _mm512_roundscale_ps  by_roundscale_ps
#define _mm512_scalef_ps      by_scalef_ps

/* Lanes to other places. */
LANES __m512 by_permutexvar_ps(__m512i index, __m512 x)
{
    by at = {.i = index}, a = {.f = x}, b;
    for (int l = 0; l < 16; l++) b.ps[l] = a.ps[at.epi32[l] & 15];
    return b.f;
}

LANES __m512i by_permutexvar_epi16(__m512i index, __m512i x)
{
    by at = {.i = index}, a = {.i = x}, b;
    for (int l = 0; l < 32; l++) b.epi16[l] = a.epi16[at.epi16[l] & 31];
    return b.i;
}

LANES __m512 by_shuffle_ps(__m512 x, __m512 y, int which)
{
    by a = {.f = x}, b = {.f = y}, c;
    for (int l = 0; l < 16; l++)
        c.ps[l] = (l & 2 ? b : a).ps[(l & ~3) + (which >> l % 4 * 2 & 3)];
    return c.f;
}

LANES __m512 by_shuffle_f32x4(__m512 x, __m512 y, int which)
{
    by a = {.f = x}, b = {.f = y}, c;
    for (int l = 0; l < 16; l++)
        c.ps[l] = (l & 8 ? b : a).ps[(which >> l / 4 * 2 & 3) * 4 + l % 4];
    return c.f;
}
#define _mm512_permutexvar_ps       by_permutexvar_ps
#define _mm512_permutexvar_epi16    by_permutexvar_epi16
#define _mm512_permute_ps(x, which) by_shuffle_ps(x, x, which)
#define _mm512_shuffle_ps           by_shuffle_ps
#define _mm512_shuffle_f32x4        by_shuffle_f32x4

/* All lanes into one: halves, then their halves. */
#define BY_REDUCE(op, type, part, lane, lanes, number, join)                             \
    LANES number by_reduce_##op(type x)                                                  \
    {                                                                                    \
        by a = {.part = x};                                                              \
        for (int n = (lanes) / 2; n > 0; n /= 2)                                         \
            for (int l = 0; l < n; l++) {                                                \
                const number p = a.lane[l], q = a.lane[l + n];                           \
                a.lane[l] = join;                                                        \
            }                                                                            \
        return a.lane[0];                                                                \
    }
BY_REDUCE(add_ps, __m512, f, ps, 16, float, p + q)
BY_REDUCE(max_ps, __m512, f, ps, 16, float, q > p ? q : p)
BY_REDUCE(add_epi32, __m512i, i, epi32, 16, int32_t, p + q)
BY_REDUCE(max_epi32, __m512i, i, epi32, 16, int32_t, p > q ? p : q)
BY_REDUCE(add_pd, __m512d, d, pd, 8, double, p + q)
#define _mm512_reduce_add_ps    by_reduce_add_ps
#define _mm512_reduce_max_ps    by_reduce_max_ps
#define _mm512_reduce_add_epi32 by_reduce_add_epi32
#define _mm512_reduce_max_epi32 by_reduce_max_epi32
#define _mm512_reduce_add_pd    by_reduce_add_pd

/* VNNI: in every word, four products of an unsigned and a signed byte; first those of
   even bytes, then those of odd ones. */
BY __m512i by_dpbusd_epi32(__m512i sum, __m512i x, __m512i y)
{
    by s = {.i = sum}, a = {.i = x}, b = {.i = y};
    for (int h = 0; h < 2; h++) {
        const __m256i x0 = _mm256_and_si256(a.i2[h], _mm256_set1_epi16(0xff));
        const __m256i y0 = _mm256_srai_epi16(_mm256_slli_epi16(b.i2[h], 8), 8);
        const __m256i x1 = _mm256_srli_epi16(a.i2[h], 8);
        const __m256i y1 = _mm256_srai_epi16(b.i2[h], 8);
        s.i2[h] = _mm256_add_epi32(s.i2[h], _mm256_madd_epi16(x0, y0));
        s.i2[h] = _mm256_add_epi32(s.i2[h], _mm256_madd_epi16(x1, y1));
    }
    return s.i;
}
#define _mm512_dpbusd_epi32 by_dpbusd_epi32

/* BF16: denormal numbers are zeros of their sign, also as sums; to the nearest, ties to
   even; a NaN stays one. */
BY __m256 by_flushed(__m256 x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f), least = _mm256_set1_ps(0x1p-126f);
    const __m256 normal = _mm256_cmp_ps(_mm256_andnot_ps(sign, x), least, _CMP_NLT_UQ);
    return _mm256_and_ps(x, _mm256_or_ps(sign, normal));
}

/* In the upper half of every word; the lower one is scratch. */
BY __m256i by_rounded(__m256 x)
{
    const __m256i bits = _mm256_castps_si256(by_flushed(x)), one = _mm256_set1_epi32(1);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
    const __m256i up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_add_epi32(bits, up), quiet, nan);
}

LANES __m512bh by_cvtne2ps_pbh(__m512 x, __m512 y)
{
    by a = {.f = x}, b = {.f = y}, c;
    for (int h = 0; h < 2; h++) {
        a.i2[h] = by_rounded(a.f2[h]);
        b.i2[h] = by_rounded(b.f2[h]);
    }
    for (int l = 0; l < 16; l++) {
        c.epu16[l] = b.epu16[2 * l + 1];
        c.epu16[16 + l] = a.epu16[2 * l + 1];
    }
    return (__m512bh)c.i;
}

/* The second number of each pair, then the first. */
BY __m512 by_dpbf16_ps(__m512 sum, __m512bh x, __m512bh y)
{
    by s = {.f = sum}, a = {.i = (__m512i)x}, b = {.i = (__m512i)y};
    for (int h = 0; h < 2; h++) {
        const __m256i second = _mm256_set1_epi32(-65536);
        const __m256 a1 = _mm256_castsi256_ps(_mm256_and_si256(a.i2[h], second));
        const __m256 b1 = _mm256_castsi256_ps(_mm256_and_si256(b.i2[h], second));
        const __m256 a0 = _mm256_castsi256_ps(_mm256_slli_epi32(a.i2[h], 16));
        const __m256 b0 = _mm256_castsi256_ps(_mm256_slli_epi32(b.i2[h], 16));
        __m256 t = by_flushed(s.f2[h]);
        t = by_flushed(_mm256_fmadd_ps(by_flushed(a1), by_flushed(b1), t));
        s.f2[h] = by_flushed(_mm256_fmadd_ps(by_flushed(a0), by_flushed(b0), t));
    }
    return s.f;
}
#define _mm512_cvtne2ps_pbh by_cvtne2ps_pbh
#define _mm512_dpbf16_ps    by_dpbf16_ps

#endif

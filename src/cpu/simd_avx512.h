/* Vectors of 16 floats for the kernels that are written once for every instruction set
   (NAME_simd.h) and compiled into NAME_avx512.c. */
#ifndef RN_CPU_SIMD_H
#define RN_CPU_SIMD_H

#include "cpu/unroll.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#ifndef RN_VARIANT /* set before for what a part of AVX-512 adds to a family */
#    define RN_VARIANT(op) rn_##op##_avx512
#endif
#define VW 16 /* floats in a vector */
/* Register tile of tile_simd.h: 8 rows of 3 vectors use 28 of the 32 registers; the best
   of 6x4, 8x3, 12x2 and 14x2 with gcc and clang for depths of 32 to 256. */
#define TILE_ROWS 8
#define TILE_VECS 3

typedef __m512 vf;

static inline vf vf_zero(void)
{
    return _mm512_setzero_ps();
}

static inline vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

static inline __mmask16 vf_first(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

/* The first n (0..VW) floats, zeros behind; nothing beyond them is touched. */
static inline vf vf_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vf_first(n), p);
}

static inline void vf_store_n(float *p, size_t n, vf v)
{
    _mm512_mask_storeu_ps(p, vf_first(n), v);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}

/* a b + c and c - a b, rounded once. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

static inline vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}

/* a > b ? x : y, per lane. */
static inline vf vf_select_gt(vf a, vf b, vf x, vf y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}

/* To the nearest integer, ties to even. */
static inline vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a 2^n for integral n in -252..254, to 0 or infinity beyond the range of floats. */
static inline vf vf_scale2(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}

static inline float vf_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}

static inline float vf_hmax(vf a)
{
    return _mm512_reduce_max_ps(a);
}

/* The first n lanes of a, the others of b. */
static inline vf vf_blend_n(size_t n, vf a, vf b)
{
    return _mm512_mask_blend_ps(vf_first(n), b, a);
}

/* The first n (0..VW/2) floats, each twice: factors of adjacent pairs. */
static inline vf vf_load_twice(const float *p, size_t n)
{
    const __m512i twice =
        _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(twice, vf_load_n(p, n));
}

static inline vf vf_swap_pairs(vf a)
{
    return _mm512_permute_ps(a, 0xb1);
}

/* a b - c in even lanes, a b + c in odd ones. */
static inline vf vf_fmaddsub(vf a, vf b, vf c)
{
    return _mm512_fmaddsub_ps(a, b, c);
}

/* From VW pairs of bfloat16 the first and the second of each, and VW half floats. */
static inline vf vf_bf16_first(vf pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}

static inline vf vf_bf16_second(vf pairs)
{
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(-65536)));
}

/* VW numbers of bfloat16, and numbers whose halves lie apart (kernels/halves.h), as
   floats; and those halves of floats. */
static inline vf vf_of_upper(const void *upper)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(upper));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vf vf_of_halves_apart(const void *upper, const void *lower)
{
    __m512i low = _mm512_cvtepi16_epi32(_mm256_loadu_si256(lower));
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(vf_of_upper(upper)), low));
}

static inline void vf_store_halves(void *upper, void *lower, vf v)
{
    __m512i bits = _mm512_castps_si512(v);
    __m512i up = _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000));
    _mm256_storeu_si256(upper, _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16)));
    _mm256_storeu_si256(lower, _mm512_cvtepi32_epi16(bits));
}

static inline vf vf_load_half(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* v as bfloat16 to p[0..n), n in 0..VW: to the nearest, ties to even; a NaN stays one. */
static inline void vf_store_bf16_n(uint16_t *p, size_t n, vf v)
{
    const __m512i bits = _mm512_castps_si512(v), one = _mm512_set1_epi32(1);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    const __m512i up = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    __m512i to = _mm512_srli_epi32(_mm512_add_epi32(bits, up), 16);
    const __m512i quiet = _mm512_set1_epi32(0x40);
    to = _mm512_mask_or_epi32(to, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q),
                              _mm512_srli_epi32(bits, 16), quiet);
    _mm256_mask_storeu_epi16(p, vf_first(n), _mm512_cvtepi32_epi16(to));
}

/* Vectors of VW/2 doubles, for sums that must not lose or overflow. */
typedef __m512d vd;

static inline vd vd_zero(void)
{
    return _mm512_setzero_pd();
}

static inline vd vd_low(vf a)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(a));
}

static inline vd vd_high(vf a)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
}

static inline vd vd_add(vd a, vd b)
{
    return _mm512_add_pd(a, b);
}

static inline vd vd_fma(vd a, vd b, vd c)
{
    return _mm512_fmadd_pd(a, b, c);
}

static inline double vd_sum(vd a)
{
    return _mm512_reduce_add_pd(a);
}

/* Vectors of VW/2 words of 32 bits, each in a lane of 64 whose upper half is scratch:
   what Philox multiplies. */
typedef __m512i vq;

static inline vq vq_set1(uint32_t x)
{
    return _mm512_set1_epi64(x);
}

/* base + 0, 4, 1, 5, 2, 6, 3, 7: the order that vf_from_words undoes. */
static inline vq vq_counters(uint32_t base)
{
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm512_add_epi32(_mm512_set1_epi64(base), order);
}

/* The 64-bit products of the lower halves. */
static inline vq vq_mul(vq a, vq b)
{
    return _mm512_mul_epu32(a, b);
}

static inline vq vq_upper(vq a)
{
    return _mm512_srli_epi64(a, 32);
}

static inline vq vq_xor3(vq a, vq b, vq c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/* Of the words w[0..3] of VW/2 counters: the upper 24 bits of each as a uniform in [0,
   1), in the order of counters, then words. */
static inline void vf_from_words(vf out[2], const vq w[4])
{
    vq a = _mm512_mask_blend_epi32(0xaaaa, w[0], _mm512_slli_epi64(w[1], 32));
    vq b = _mm512_mask_blend_epi32(0xaaaa, w[2], _mm512_slli_epi64(w[3], 32));
    vq first = _mm512_unpacklo_epi64(a, b), second = _mm512_unpackhi_epi64(a, b);
    vf unit = vf_set1(0x1p-24f);
    out[0] = vf_mul(_mm512_cvtepi32_ps(_mm512_srli_epi32(first, 8)), unit);
    out[1] = vf_mul(_mm512_cvtepi32_ps(_mm512_srli_epi32(second, 8)), unit);
}

/* The 4 x 4 transpose inside each 128-bit lane of four vectors. */
static inline void vf_transpose_lanes(vf r[4])
{
    vf low01 = _mm512_unpacklo_ps(r[0], r[1]), high01 = _mm512_unpackhi_ps(r[0], r[1]);
    vf low23 = _mm512_unpacklo_ps(r[2], r[3]), high23 = _mm512_unpackhi_ps(r[2], r[3]);
    r[0] = _mm512_shuffle_ps(low01, low23, 0x44);
    r[1] = _mm512_shuffle_ps(low01, low23, 0xee);
    r[2] = _mm512_shuffle_ps(high01, high23, 0x44);
    r[3] = _mm512_shuffle_ps(high01, high23, 0xee);
}

/* r[i] lane j becomes r[j] lane i: the 4 x 4 blocks first, then their places. */
static inline void vf_transpose(vf r[VW])
{
    RN_UNROLL for (int i = 0; i < VW; i += 4) vf_transpose_lanes(r + i);
    RN_UNROLL for (int i = 0; i < 4; i++)
    {
        vf a = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x44);
        vf b = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xee);
        vf c = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x44);
        vf d = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xee);
        r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[4 + i] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[8 + i] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[12 + i] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

/* The sums of four vectors at the price of about one and a half; each sum's bits are its
   own vector's alone, but they are not those of vf_sum. */
static inline __m128 vf_sum4(vf a, vf b, vf c, vf d)
{
    vf ab = vf_add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    vf cd = vf_add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    vf v = vf_add(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

#endif

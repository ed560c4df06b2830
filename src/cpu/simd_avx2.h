/* Vectors of 8 floats for the kernels that are written once for every instruction set
   (NAME_simd.h) and compiled into NAME_avx2.c. */
#ifndef RN_CPU_SIMD_H
#define RN_CPU_SIMD_H

#include "cpu/unroll.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define RN_VARIANT(op) rn_##op##_avx2
#define VW             8 /* floats in a vector */
/* Register tile of tile_simd.h: 6 rows of 2 vectors use 15 of the 16 registers. */
#define TILE_ROWS 6
#define TILE_VECS 2

typedef __m256 vf;

static inline vf vf_zero(void)
{
    return _mm256_setzero_ps();
}

static inline vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}

static inline __m256i vf_first(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

/* The first n (0..VW) floats, zeros behind; nothing beyond them is touched. Masked stores
   take tens of cycles on some CPUs, so whole vectors do without. */
static inline vf vf_load_n(const float *p, size_t n)
{
    return n == VW ? vf_load(p) : _mm256_maskload_ps(p, vf_first(n));
}

static inline void vf_store_n(float *p, size_t n, vf v)
{
    if (n == VW) vf_store(p, v);
    else _mm256_maskstore_ps(p, vf_first(n), v);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}

/* a b + c and c - a b, rounded once. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

static inline vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* a > b ? x : y, per lane. */
static inline vf vf_select_gt(vf a, vf b, vf x, vf y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

/* To the nearest integer, ties to even. */
static inline vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a 2^n for integral n in -252..254, to 0 or infinity beyond the range of floats: in two
   halves, so that neither power leaves the exponent's range. NaN for a NaN, whatever n.
 */
static inline vf vf_scale2(vf a, vf n)
{
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i e = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(e, 1);
    __m256i rest = _mm256_sub_epi32(e, half);
    vf p = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    vf q = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return vf_mul(vf_mul(a, p), q);
}

static inline float vf_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

static inline float vf_hmax(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    s = _mm_max_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

/* The first n lanes of a, the others of b. */
static inline vf vf_blend_n(size_t n, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(vf_first(n)));
}

/* The first n (0..VW/2) floats, each twice: factors of adjacent pairs. */
static inline vf vf_load_twice(const float *p, size_t n)
{
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    return _mm256_permutevar8x32_ps(vf_load_n(p, n), twice);
}

static inline vf vf_swap_pairs(vf a)
{
    return _mm256_permute_ps(a, 0xb1);
}

/* a b - c in even lanes, a b + c in odd ones. */
static inline vf vf_fmaddsub(vf a, vf b, vf c)
{
    return _mm256_fmaddsub_ps(a, b, c);
}

/* From VW pairs of bfloat16 the first and the second of each, and VW half floats. */
static inline vf vf_bf16_first(vf pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
}

static inline vf vf_bf16_second(vf pairs)
{
    return _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_castps_si256(pairs), _mm256_set1_epi32(-65536)));
}

/* VW numbers of bfloat16, and numbers whose halves lie apart (kernels/halves.h), as
   floats; and those halves of floats. */
static inline vf vf_of_upper(const void *upper)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(upper));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vf vf_of_halves_apart(const void *upper, const void *lower)
{
    __m256i low = _mm256_cvtepi16_epi32(_mm_loadu_si128(lower));
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(vf_of_upper(upper)), low));
}

static inline void vf_store_16_bits(void *to, __m256i words)
{
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
    _mm_storeu_si128(to, _mm256_castsi256_si128(packed));
}

static inline void vf_store_halves(void *upper, void *lower, vf v)
{
    __m256i bits = _mm256_castps_si256(v);
    __m256i up = _mm256_add_epi32(bits, _mm256_set1_epi32(0x8000));
    vf_store_16_bits(upper, _mm256_srli_epi32(up, 16));
    vf_store_16_bits(lower, _mm256_and_si256(bits, _mm256_set1_epi32(0xffff)));
}

static inline vf vf_load_half(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* v as bfloat16 to p[0..n), n in 0..VW: to the nearest, ties to even; a NaN stays one. */
static inline void vf_store_bf16_n(uint16_t *p, size_t n, vf v)
{
    const __m256i bits = _mm256_castps_si256(v), one = _mm256_set1_epi32(1);
    const __m256i high = _mm256_srli_epi32(bits, 16), odd = _mm256_and_si256(high, one);
    const __m256i up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i near = _mm256_srli_epi32(_mm256_add_epi32(bits, up), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i to = _mm256_blendv_epi8(near, quiet, nan);
    uint16_t packed[8];
    _mm_storeu_si128(
        (__m128i *)(void *)packed,
        _mm_packus_epi32(_mm256_castsi256_si128(to), _mm256_extracti128_si256(to, 1)));
    __builtin_memcpy(p, packed, n * sizeof *packed);
}

/* Vectors of VW/2 doubles, for sums that must not lose or overflow. */
typedef __m256d vd;

static inline vd vd_zero(void)
{
    return _mm256_setzero_pd();
}

static inline vd vd_low(vf a)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(a));
}

static inline vd vd_high(vf a)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
}

static inline vd vd_add(vd a, vd b)
{
    return _mm256_add_pd(a, b);
}

static inline vd vd_fma(vd a, vd b, vd c)
{
    return _mm256_fmadd_pd(a, b, c);
}

static inline double vd_sum(vd a)
{
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

/* Vectors of VW/2 words of 32 bits, each in a lane of 64 whose upper half is scratch:
   what Philox multiplies. */
typedef __m256i vq;

static inline vq vq_set1(uint32_t x)
{
    return _mm256_set1_epi64x(x);
}

/* base + 0, 2, 1, 3: the order that vf_from_words undoes. */
static inline vq vq_counters(uint32_t base)
{
    return _mm256_add_epi32(_mm256_set1_epi64x(base), _mm256_setr_epi64x(0, 2, 1, 3));
}

/* The 64-bit products of the lower halves. */
static inline vq vq_mul(vq a, vq b)
{
    return _mm256_mul_epu32(a, b);
}

static inline vq vq_upper(vq a)
{
    return _mm256_srli_epi64(a, 32);
}

static inline vq vq_xor3(vq a, vq b, vq c)
{
    return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}

/* Of the words w[0..3] of VW/2 counters: the upper 24 bits of each as a uniform in [0,
   1), in the order of counters, then words. */
static inline void vf_from_words(vf out[2], const vq w[4])
{
    vq a = _mm256_blend_epi32(w[0], _mm256_slli_epi64(w[1], 32), 0xaa);
    vq b = _mm256_blend_epi32(w[2], _mm256_slli_epi64(w[3], 32), 0xaa);
    vq first = _mm256_unpacklo_epi64(a, b), second = _mm256_unpackhi_epi64(a, b);
    vf unit = vf_set1(0x1p-24f);
    out[0] = vf_mul(_mm256_cvtepi32_ps(_mm256_srli_epi32(first, 8)), unit);
    out[1] = vf_mul(_mm256_cvtepi32_ps(_mm256_srli_epi32(second, 8)), unit);
}

/* The 4 x 4 transpose inside each 128-bit lane of four vectors. */
static inline void vf_transpose_lanes(vf r[4])
{
    vf low01 = _mm256_unpacklo_ps(r[0], r[1]), high01 = _mm256_unpackhi_ps(r[0], r[1]);
    vf low23 = _mm256_unpacklo_ps(r[2], r[3]), high23 = _mm256_unpackhi_ps(r[2], r[3]);
    r[0] = _mm256_shuffle_ps(low01, low23, 0x44);
    r[1] = _mm256_shuffle_ps(low01, low23, 0xee);
    r[2] = _mm256_shuffle_ps(high01, high23, 0x44);
    r[3] = _mm256_shuffle_ps(high01, high23, 0xee);
}

/* r[i] lane j becomes r[j] lane i: the 4 x 4 blocks first, then their places. */
static inline void vf_transpose(vf r[VW])
{
    RN_UNROLL for (int i = 0; i < VW; i += 4) vf_transpose_lanes(r + i);
    RN_UNROLL for (int i = 0; i < 4; i++)
    {
        vf a = r[i], b = r[4 + i];
        r[i] = _mm256_permute2f128_ps(a, b, 0x20);
        r[4 + i] = _mm256_permute2f128_ps(a, b, 0x31);
    }
}

/* The sums of four vectors at the price of about one and a half; each sum's bits are its
   own vector's alone, but they are not those of vf_sum. */
static inline __m128 vf_sum4(vf a, vf b, vf c, vf d)
{
    vf ab = vf_add(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    vf cd = vf_add(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    vf v = vf_add(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}

#endif

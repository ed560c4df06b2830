/* Vectors of 64 bytes, or 16 words of 32 bits, for products of bytes (linear_q_simd.h):
   sums of four adjacent byte products per word, with RN_VNNI by one instruction. Included
   after simd_avx512.h. */
#ifndef RN_CPU_BYTES_H
#define RN_CPU_BYTES_H

typedef __m512i vi;

static inline vi vi_zero(void)
{
    return _mm512_setzero_si512();
}

static inline vi vi_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}

static inline vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

/* The four bytes at p in every word. */
static inline vi vi_word(const void *p)
{
    int32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return _mm512_set1_epi32(word);
}

static inline vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}

/* (a & mask) | b. */
static inline vi vi_and_or(vi a, vi mask, vi b)
{
    return _mm512_ternarylogic_epi32(a, mask, b, 0xea);
}

/* Shifts by a constant; bits that cross a byte are to be masked off. */
static inline vi vi_left(vi a, unsigned n)
{
    return _mm512_slli_epi32(a, n);
}

static inline vi vi_right(vi a, unsigned n)
{
    return _mm512_srli_epi32(a, n);
}

static inline vi vi_max(vi a, vi b)
{
    return _mm512_max_epi32(a, b);
}

static inline int32_t vi_hmax(vi a)
{
    return _mm512_reduce_max_epi32(a);
}

static inline vi vi_of_bits(vf a)
{
    return _mm512_castps_si512(a);
}

/* Whole numbers from floats, ties to even, and back. */
static inline vi vi_of_floats(vf a)
{
    return _mm512_cvtps_epi32(a);
}

static inline vf vf_of_ints(vi a)
{
    return _mm512_cvtepi32_ps(a);
}

/* VW halves, unsigned and signed bytes as floats. */
static inline vf vf_of_halves(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

static inline vf vf_of_u8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p)));
}

static inline vf vf_of_i8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

/* Stores 16 words of -128..127 as bytes and returns their sum. */
static inline int32_t vi_store16(int8_t *to, const vi v[16 / VW])
{
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(v[0]));
    return _mm512_reduce_add_epi32(v[0]);
}

/* Of pairs of 16-bit numbers: the sums of their products. */
static inline vi vi_pairs(vi a, vi b)
{
    return _mm512_madd_epi16(a, b);
}

#ifdef RN_VNNI

/* acc + the sums of four products of unsigned u and signed s. */
static inline vi vi_dot(vi acc, vi u, vi s)
{
    return _mm512_dpbusd_epi32(acc, u, s);
}

/* Bytes w stored as w + 128, and acc + the sums of four of (w + VB_OFFSET) s. */
#    define VB_OFFSET 128
typedef vi vb;

static inline vb vb_load(const void *p)
{
    return vi_load(p);
}

static inline vi vb_dot(vi acc, vb w, vi s)
{
    return vi_dot(acc, w, s);
}

#else

/* acc + the sums of four products; u is unsigned and at most 127, as sums of two products
   have to fit into 16 bits. */
static inline vi vi_dot(vi acc, vi u, vi s)
{
    vi pairs = _mm512_maddubs_epi16(u, s);
    return _mm512_add_epi32(acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

/* Bytes w stored as w + 128, and acc + the sums of four of w s (s not -128): |w| times s
   with the sign of w. VB_OFFSET is what is left to be taken off. */
#    define VB_OFFSET 0
typedef struct vb {
    vi size;
    __mmask64 negative;
} vb;

static inline vb vb_load(const void *p)
{
    vi w = _mm512_xor_si512(vi_load(p), _mm512_set1_epi8(-128));
    return (vb){_mm512_abs_epi8(w), _mm512_movepi8_mask(w)};
}

static inline vi vb_dot(vi acc, vb w, vi s)
{
    return vi_dot(acc, w.size, _mm512_mask_sub_epi8(s, w.negative, vi_zero(), s));
}

#endif
#endif

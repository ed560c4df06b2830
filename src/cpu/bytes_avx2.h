/* Vectors of 32 bytes, or 8 words of 32 bits, for products of bytes (linear_q_simd.h):
   sums of four adjacent byte products per word. Included after simd_avx2.h. */
#ifndef RN_CPU_BYTES_H
#define RN_CPU_BYTES_H

typedef __m256i vi;

static inline vi vi_zero(void)
{
    return _mm256_setzero_si256();
}

static inline vi vi_set1(int32_t x)
{
    return _mm256_set1_epi32(x);
}

static inline vi vi_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

/* The four bytes at p in every word. */
static inline vi vi_word(const void *p)
{
    int32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return _mm256_set1_epi32(word);
}

static inline vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}

/* (a & mask) | b. */
static inline vi vi_and_or(vi a, vi mask, vi b)
{
    return _mm256_or_si256(_mm256_and_si256(a, mask), b);
}

/* Shifts by a constant; bits that cross a byte are to be masked off. */
static inline vi vi_left(vi a, int n)
{
    return _mm256_slli_epi32(a, n);
}

static inline vi vi_right(vi a, int n)
{
    return _mm256_srli_epi32(a, n);
}

static inline vi vi_max(vi a, vi b)
{
    return _mm256_max_epi32(a, b);
}

static inline int32_t vi_hmax(vi a)
{
    __m128i s = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    s = _mm_max_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_max_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

static inline vi vi_of_bits(vf a)
{
    return _mm256_castps_si256(a);
}

/* Whole numbers from floats, ties to even, and back. */
static inline vi vi_of_floats(vf a)
{
    return _mm256_cvtps_epi32(a);
}

static inline vf vf_of_ints(vi a)
{
    return _mm256_cvtepi32_ps(a);
}

/* VW halves, unsigned and signed bytes as floats. */
static inline vf vf_of_halves(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

static inline vf vf_of_u8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p)));
}

static inline vf vf_of_i8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

/* Stores 16 words of -128..127 as bytes and returns their sum. */
static inline int32_t vi_store16(int8_t *to, const vi v[16 / VW])
{
    vi pairs = _mm256_packs_epi32(v[0], v[1]);
    pairs = _mm256_permute4x64_epi64(pairs, 0xd8);
    _mm_storeu_si128((__m128i *)to, _mm_packs_epi16(_mm256_castsi256_si128(pairs),
                                                    _mm256_extracti128_si256(pairs, 1)));
    vi sum = _mm256_add_epi32(v[0], v[1]);
    __m128i s =
        _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

/* Of pairs of 16-bit numbers: the sums of their products. */
static inline vi vi_pairs(vi a, vi b)
{
    return _mm256_madd_epi16(a, b);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}

static inline vi vi_add16(vi a, vi b)
{
    return _mm256_add_epi16(a, b);
}

/* Sums of two products of bytes, u unsigned and s signed, that have to fit into 16 bits.
 */
static inline vi vi_dot16(vi u, vi s)
{
    return _mm256_maddubs_epi16(u, s);
}

/* Bytes w stored as w + 128, and acc + the sums of four of w s (s not -128): |w| times s
   with the sign of w. VB_OFFSET is what is left to be taken off. */
#define VB_OFFSET 0
typedef struct vb {
    vi size, sign;
} vb;

static inline vb vb_load(const void *p)
{
    vi w = _mm256_xor_si256(vi_load(p), _mm256_set1_epi8(-128));
    return (vb){_mm256_abs_epi8(w), w};
}

static inline vi vb_dot(vi acc, vb w, vi s)
{
    vi pairs = vi_dot16(w.size, _mm256_sign_epi8(s, w.sign));
    return vi_add(acc, vi_pairs(pairs, _mm256_set1_epi16(1)));
}

#endif

/* Number formats of weights: the table of types, and the formats whose numbers stand
   alone (float32, bfloat16, half). Blocks are in weight_32.c, weight_q4_k.c and
   weight_q6_k.c. */
#include "core/weight_type.h"

#include "core/half.h"
#include "core/weight_blocks.h"

#include <ctype.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "stored weights are little-endian, and so must the machine be"
#endif

static void decode_f32(float *out, const unsigned char *in, size_t n)
{
    if (n > 0) memcpy(out, in, n * sizeof *out);
}

static void encode_f32(unsigned char *out, const float *in, size_t n)
{
    if (n > 0) memcpy(out, in, n * sizeof *in);
}

static void decode_bf16(float *out, const unsigned char *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = rn_bf16_to_float(rn_load_u16(in + 2 * i));
}

/* Rounding may carry into infinity, which is the largest number plus one in both. */
static uint16_t saturate(uint16_t x, uint16_t infinity)
{
    return (x & 0x7fffu) == infinity ? (uint16_t)(x - 1) : x;
}

static void encode_bf16(unsigned char *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rn_store_u16(out + 2 * i, saturate(rn_bf16_of_float(in[i]), 0x7f80));
}

static void decode_f16(float *out, const unsigned char *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = rn_half_to_float(rn_load_u16(in + 2 * i));
}

static void encode_f16(unsigned char *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rn_store_u16(out + 2 * i, saturate(rn_half_of_float(in[i]), 0x7c00));
}

static const struct format {
    const char *name;
    size_t block, bytes;
    void (*decode)(float *out, const unsigned char *in, size_t n);
    void (*encode)(unsigned char *out, const float *in, size_t n);
    rn_weight_type fallback; /* what stands in where rows are not whole blocks */
} FORMATS[RN_WEIGHT_TYPES] = {
    [RN_WEIGHT_F32] = {"f32", 1, 4, decode_f32, encode_f32, RN_WEIGHT_F32},
    [RN_WEIGHT_BF16] = {"bf16", 1, 2, decode_bf16, encode_bf16, RN_WEIGHT_BF16},
    [RN_WEIGHT_F16] = {"f16", 1, 2, decode_f16, encode_f16, RN_WEIGHT_F16},
    [RN_WEIGHT_Q8_0] = {"q8_0", 32, RN_Q8_0_BYTES, rn_q8_0_decode, rn_q8_0_encode,
                        RN_WEIGHT_BF16},
    [RN_WEIGHT_Q4_0] = {"q4_0", 32, RN_Q4_0_BYTES, rn_q4_0_decode, rn_q4_0_encode,
                        RN_WEIGHT_BF16},
    [RN_WEIGHT_Q4_K] = {"q4_k", 256, RN_Q4_K_BYTES, rn_q4_k_decode, rn_q4_k_encode,
                        RN_WEIGHT_Q4_0},
    [RN_WEIGHT_Q6_K] = {"q6_k", 256, RN_Q6_K_BYTES, rn_q6_k_decode, rn_q6_k_encode,
                        RN_WEIGHT_Q8_0},
};

const char *rn_weight_type_name(int type)
{
    return type >= 0 && type < RN_WEIGHT_TYPES ? FORMATS[type].name : NULL;
}

static bool same_word(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) a++, b++;
    return !*a && !*b;
}

bool rn_weight_type_find(rn_weight_type *out, const char *name)
{
    for (int i = 0; i < RN_WEIGHT_TYPES; i++) {
        if (!same_word(name, FORMATS[i].name)) continue;
        *out = (rn_weight_type)i;
        return true;
    }
    return false;
}

size_t rn_weight_block(rn_weight_type type)
{
    return FORMATS[type].block;
}

size_t rn_weight_block_bytes(rn_weight_type type)
{
    return FORMATS[type].bytes;
}

size_t rn_weight_bytes(rn_weight_type type, size_t n)
{
    return n / FORMATS[type].block * FORMATS[type].bytes;
}

rn_weight_type rn_weight_type_fitting(rn_weight_type type, size_t k)
{
    while (k % FORMATS[type].block) type = FORMATS[type].fallback;
    return type;
}

void rn_weight_decode(rn_weight_type type, float *out, const void *blocks, size_t n)
{
    FORMATS[type].decode(out, blocks, n);
}

void rn_weight_encode(rn_weight_type type, void *blocks, const float *in, size_t n)
{
    FORMATS[type].encode(blocks, in, n);
}

static uint16_t half_at(const unsigned char *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

/* Whether the float16 (or bfloat16: other exponent bits) at `at` is finite. */
static bool finite_at(const unsigned char *at, unsigned exponent)
{
    return (half_at(at) & exponent) != exponent;
}

bool rn_weight_finite(rn_weight_type type, const void *blocks, size_t n)
{
    const unsigned char *at = blocks, *end = at + rn_weight_bytes(type, n);
    const size_t step = rn_weight_block_bytes(type);
    bool finite = true;
    for (; at < end; at += step) {
        switch (type) {
        case RN_WEIGHT_F32: finite &= finite_at(at + 2, 0x7f80u); break;
        case RN_WEIGHT_BF16: finite &= finite_at(at, 0x7f80u); break;
        case RN_WEIGHT_Q4_K:
            finite &= finite_at(at, 0x7c00u) && finite_at(at + 2, 0x7c00u);
            break;
        case RN_WEIGHT_Q6_K: finite &= finite_at(at + step - 2, 0x7c00u); break;
        default: finite &= finite_at(at, 0x7c00u); /* F16, or the d of a block */
        }
    }
    return finite;
}

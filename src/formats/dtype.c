/* Element types: sizes, names, and conversion of stored elements to float32 and int64.
   IEEE half and bfloat16 values are all float32 values, so those conversions are exact.
 */
#include "formats/dtype.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "tensor files are little-endian, and so must the machine be"
#endif

#define DTYPES (sizeof table / sizeof table[0])

static const struct {
    const char *name;
    size_t size;
} table[] = {
    [RN_DTYPE_F32] = {"F32", 4},   [RN_DTYPE_F64] = {"F64", 8},
    [RN_DTYPE_F16] = {"F16", 2},   [RN_DTYPE_BF16] = {"BF16", 2},
    [RN_DTYPE_I64] = {"I64", 8},   [RN_DTYPE_I32] = {"I32", 4},
    [RN_DTYPE_I16] = {"I16", 2},   [RN_DTYPE_I8] = {"I8", 1},
    [RN_DTYPE_U8] = {"U8", 1},     [RN_DTYPE_U16] = {"U16", 2},
    [RN_DTYPE_U32] = {"U32", 4},   [RN_DTYPE_U64] = {"U64", 8},
    [RN_DTYPE_BOOL] = {"BOOL", 1},
};

size_t rn_dtype_size(rn_dtype dtype)
{
    return table[dtype].size;
}

const char *rn_dtype_name(rn_dtype dtype)
{
    return table[dtype].name;
}

bool rn_dtype_find(rn_dtype *out, const char *name)
{
    for (size_t i = 0; i < DTYPES; i++) {
        if (strcmp(table[i].name, name) != 0) continue;
        *out = (rn_dtype)i;
        return true;
    }
    return false;
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent > 0)
        return float_of_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f;
    return sign ? -tiny : tiny;
}

/* The elements from `begin` on, once the range is known to lie inside. */
static rn_status locate(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                        const unsigned char **at, rn_error *err)
{
    if (begin > t->count || count > t->count - begin)
        return rn_fail(err, RN_EINVAL,
                       "tensor %s: elements %llu and %llu more asked for, it has %llu",
                       t->name, (unsigned long long)begin, (unsigned long long)count,
                       (unsigned long long)t->count);
    *at = (const unsigned char *)t->data + begin * rn_dtype_size(t->dtype);
    return RN_OK;
}

/* Elements in files need not be aligned. */
static void floats_of_doubles(float *out, const unsigned char *at, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        double x;
        memcpy(&x, at + i * sizeof x, sizeof x);
        out[i] = (float)x;
    }
}

static void floats_of_halves(float *out, const unsigned char *at, uint64_t count,
                             bool bf16)
{
    for (uint64_t i = 0; i < count; i++) {
        uint16_t x;
        memcpy(&x, at + i * sizeof x, sizeof x);
        out[i] = bf16 ? float_of_bits((uint32_t)x << 16) : float_of_half(x);
    }
}

rn_status rn_tensor_floats(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                           float *out, rn_error *err)
{
    const unsigned char *at = NULL;
    rn_status st = locate(t, begin, count, &at, err);
    if (st) return st;
    if (t->dtype > RN_DTYPE_BF16)
        return rn_fail(err, RN_EUNSUPPORTED, "tensor %s: %s, expected floating point",
                       t->name, rn_dtype_name(t->dtype));
    if (count == 0) return RN_OK;
    if (t->dtype == RN_DTYPE_F32) memcpy(out, at, count * sizeof *out);
    else if (t->dtype == RN_DTYPE_F64) floats_of_doubles(out, at, count);
    else floats_of_halves(out, at, count, t->dtype == RN_DTYPE_BF16);
    return RN_OK;
}

/* The integer at `at`; false when it does not fit. */
static bool load_int(rn_dtype dtype, const unsigned char *at, int64_t *out)
{
    size_t size = rn_dtype_size(dtype);
    uint64_t bits = 0;
    memcpy(&bits, at, size);
    bool has_sign = dtype >= RN_DTYPE_I64 && dtype <= RN_DTYPE_I8;
    unsigned spare = has_sign ? 64 - 8 * (unsigned)size : 0;
    *out = (int64_t)(bits << spare) >> spare; /* repeats the sign bit */
    return has_sign || bits <= INT64_MAX;
}

rn_status rn_tensor_ints(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                         int64_t *out, rn_error *err)
{
    const unsigned char *at = NULL;
    rn_status st = locate(t, begin, count, &at, err);
    if (st) return st;
    if (t->dtype <= RN_DTYPE_BF16)
        return rn_fail(err, RN_EUNSUPPORTED, "tensor %s: %s, expected integers", t->name,
                       rn_dtype_name(t->dtype));
    for (uint64_t i = 0; i < count; i++)
        if (!load_int(t->dtype, at + i * rn_dtype_size(t->dtype), &out[i]))
            return rn_fail(err, RN_EFORMAT, "tensor %s: element %llu is above 2^63 - 1",
                           t->name, (unsigned long long)(begin + i));
    return RN_OK;
}

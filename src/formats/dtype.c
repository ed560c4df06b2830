/* Element types: sizes, names, and conversion of stored elements to float32 and int64. */
#include "formats/dtype.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "tensor files are little-endian, and so must the machine be"
#endif

#define DTYPES (sizeof table / sizeof table[0])

/* `block` elements take `bytes` bytes; blocks of numbers (0) have theirs in
   core/weight_type.h. */
static const struct {
    const char *name;
    size_t block, bytes;
    rn_weight_type type; /* RN_WEIGHT_STORED: none */
} table[] = {
    [RN_DTYPE_F32] = {"F32", 1, 4, RN_WEIGHT_F32},
    [RN_DTYPE_F64] = {"F64", 1, 8, RN_WEIGHT_STORED},
    [RN_DTYPE_F16] = {"F16", 1, 2, RN_WEIGHT_F16},
    [RN_DTYPE_BF16] = {"BF16", 1, 2, RN_WEIGHT_BF16},
    [RN_DTYPE_I64] = {"I64", 1, 8, RN_WEIGHT_STORED},
    [RN_DTYPE_I32] = {"I32", 1, 4, RN_WEIGHT_STORED},
    [RN_DTYPE_I16] = {"I16", 1, 2, RN_WEIGHT_STORED},
    [RN_DTYPE_I8] = {"I8", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_U8] = {"U8", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_U16] = {"U16", 1, 2, RN_WEIGHT_STORED},
    [RN_DTYPE_U32] = {"U32", 1, 4, RN_WEIGHT_STORED},
    [RN_DTYPE_U64] = {"U64", 1, 8, RN_WEIGHT_STORED},
    [RN_DTYPE_BOOL] = {"BOOL", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_F4] = {"F4", 2, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_F6_E2M3] = {"F6_E2M3", 4, 3, RN_WEIGHT_STORED},
    [RN_DTYPE_F6_E3M2] = {"F6_E3M2", 4, 3, RN_WEIGHT_STORED},
    [RN_DTYPE_F8_E4M3] = {"F8_E4M3", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_F8_E5M2] = {"F8_E5M2", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_F8_E8M0] = {"F8_E8M0", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 1, 1, RN_WEIGHT_STORED},
    [RN_DTYPE_C64] = {"C64", 1, 8, RN_WEIGHT_STORED},
    [RN_DTYPE_Q8_0] = {"Q8_0", 0, 0, RN_WEIGHT_Q8_0},
    [RN_DTYPE_Q4_0] = {"Q4_0", 0, 0, RN_WEIGHT_Q4_0},
    [RN_DTYPE_Q4_K] = {"Q4_K", 0, 0, RN_WEIGHT_Q4_K},
    [RN_DTYPE_Q6_K] = {"Q6_K", 0, 0, RN_WEIGHT_Q6_K},
};

const char *rn_dtype_name(rn_dtype dtype)
{
    return table[dtype].name;
}

bool rn_dtype_bytes(rn_dtype dtype, uint64_t count, uint64_t *bytes)
{
    uint64_t block = table[dtype].block, each = table[dtype].bytes;
    if (rn_dtype_is_blocks(dtype)) {
        block = rn_weight_block(table[dtype].type);
        each = rn_weight_block_bytes(table[dtype].type);
    }
    return count % block == 0 && !__builtin_mul_overflow(count / block, each, bytes);
}

bool rn_dtype_is_read(rn_dtype dtype)
{
    return dtype < RN_DTYPE_F4 || dtype > RN_DTYPE_C64;
}

bool rn_dtype_weight_type(rn_dtype dtype, rn_weight_type *out)
{
    if (table[dtype].type == RN_WEIGHT_STORED) return false;
    *out = table[dtype].type;
    return true;
}

rn_dtype rn_dtype_of_weight(rn_weight_type type)
{
    size_t i = 0;
    while (table[i].type != type) i++;
    return (rn_dtype)i;
}

bool rn_dtype_find(rn_dtype *out, const char *name)
{
    for (size_t i = 0; i < DTYPES; i++) {
        if (rn_dtype_is_blocks((rn_dtype)i) || strcmp(table[i].name, name) != 0) continue;
        *out = (rn_dtype)i;
        return true;
    }
    return false;
}

static rn_status check_range(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                             rn_error *err)
{
    if (begin <= t->count && count <= t->count - begin) return RN_OK;
    return rn_fail(err, RN_EINVAL,
                   "tensor %s: elements %llu and %llu more asked for, it has %llu",
                   t->name, (unsigned long long)begin, (unsigned long long)count,
                   (unsigned long long)t->count);
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

/* Whole blocks go straight to `out`, those at the ends through `block`. */
static void floats_of_weights(float *out, const unsigned char *data, rn_weight_type type,
                              uint64_t begin, uint64_t count)
{
    float block[RN_WEIGHT_MAX_BLOCK];
    const uint64_t size = rn_weight_block(type), bytes = rn_weight_block_bytes(type);
    while (count > 0) {
        const unsigned char *at = data + begin / size * bytes;
        uint64_t skip = begin % size, n = count / size * size;
        if (skip == 0 && n > 0) {
            rn_weight_decode(type, out, at, n);
        } else {
            n = size - skip < count ? size - skip : count;
            rn_weight_decode(type, block, at, size);
            memcpy(out, block + skip, n * sizeof *out);
        }
        begin += n;
        count -= n;
        out += n;
    }
}

rn_status rn_tensor_floats(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                           float *out, rn_error *err)
{
    rn_weight_type type;
    rn_status st = check_range(t, begin, count, err);
    if (st) return st;
    if (rn_dtype_weight_type(t->dtype, &type))
        floats_of_weights(out, t->data, type, begin, count);
    else if (t->dtype == RN_DTYPE_F64)
        floats_of_doubles(out, (const unsigned char *)t->data + begin * sizeof(double),
                          count);
    else
        return rn_fail(err, RN_EUNSUPPORTED,
                       "tensor %s: %s, expected F32, F64, F16, BF16 or blocks", t->name,
                       rn_dtype_name(t->dtype));
    return RN_OK;
}

static bool is_signed(rn_dtype dtype)
{
    return dtype >= RN_DTYPE_I64 && dtype <= RN_DTYPE_I8;
}

static bool is_integer(rn_dtype dtype)
{
    return dtype >= RN_DTYPE_I64 && dtype <= RN_DTYPE_BOOL;
}

/* The integer at `at`; false when it does not fit. */
static bool load_int(rn_dtype dtype, const unsigned char *at, int64_t *out)
{
    size_t size = table[dtype].bytes;
    uint64_t bits = 0;
    memcpy(&bits, at, size);
    unsigned spare = is_signed(dtype) ? 64 - 8 * (unsigned)size : 0;
    *out = (int64_t)(bits << spare) >> spare; /* repeats the sign bit */
    return is_signed(dtype) || bits <= INT64_MAX;
}

rn_status rn_tensor_ints(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                         int64_t *out, rn_error *err)
{
    rn_status st = check_range(t, begin, count, err);
    if (st) return st;
    if (!is_integer(t->dtype))
        return rn_fail(err, RN_EUNSUPPORTED, "tensor %s: %s, expected integers", t->name,
                       rn_dtype_name(t->dtype));
    const unsigned char *data = t->data;
    for (uint64_t i = 0; i < count; i++)
        if (!load_int(t->dtype, data + (begin + i) * table[t->dtype].bytes, &out[i]))
            return rn_fail(err, RN_EFORMAT, "tensor %s: element %llu is above 2^63 - 1",
                           t->name, (unsigned long long)(begin + i));
    return RN_OK;
}

/* Reading values of GGUF metadata. Every length is compared with the bytes that are left
   before anything is multiplied or walked. */
#include "formats/gguf_value.h"

#include <string.h>

#define MAX_DEPTH    8 /* arrays in arrays */
#define STRING_BYTES 8 /* of an empty one */
#define ARRAY_BYTES  12

static const struct {
    const char *name;
    size_t size;
} types[RN_GGUF_TYPES] = {
    [RN_GGUF_U8] = {"uint8", 1},      [RN_GGUF_I8] = {"int8", 1},
    [RN_GGUF_U16] = {"uint16", 2},    [RN_GGUF_I16] = {"int16", 2},
    [RN_GGUF_U32] = {"uint32", 4},    [RN_GGUF_I32] = {"int32", 4},
    [RN_GGUF_F32] = {"float32", 4},   [RN_GGUF_BOOL] = {"bool", 1},
    [RN_GGUF_STRING] = {"string", 0}, [RN_GGUF_ARRAY] = {"array", 0},
    [RN_GGUF_U64] = {"uint64", 8},    [RN_GGUF_I64] = {"int64", 8},
    [RN_GGUF_F64] = {"float64", 8},
};

const char *rn_gguf_type_name(rn_gguf_type type)
{
    return types[type].name;
}

size_t rn_gguf_type_size(rn_gguf_type type)
{
    return types[type].size;
}

bool rn_gguf_take(rn_gguf_cursor *c, void *out, size_t count)
{
    if (count > c->left) return false;
    memcpy(out, c->data, count);
    c->data += count;
    c->left -= count;
    return true;
}

static const char *skip(rn_gguf_cursor *c, uint64_t count)
{
    if (count > c->left) return "is cut off";
    c->data += count;
    c->left -= (size_t)count;
    return NULL;
}

static const char *check_bools(const rn_gguf_value *v)
{
    for (size_t i = 0; i < v->bytes; i++)
        if (v->data[i] > 1) return "holds a bool that is neither 0 nor 1";
    return NULL;
}

static const char *read_value(rn_gguf_cursor *c, uint32_t type, int depth,
                              rn_gguf_value *out);

/* The items of an array whose type and count are known. */
static const char *read_items(rn_gguf_cursor *c, int depth, const rn_gguf_value *array)
{
    size_t size = types[array->item].size;
    size_t least = size                            ? size
                   : array->item == RN_GGUF_STRING ? STRING_BYTES
                                                   : ARRAY_BYTES;
    if (array->count > c->left / least) return "is cut off";
    if (size) return skip(c, array->count * size);
    rn_gguf_value item;
    const char *wrong = NULL;
    for (uint64_t i = 0; i < array->count && !wrong; i++)
        wrong = read_value(c, array->item, depth + 1, &item);
    return wrong;
}

static const char *read_array(rn_gguf_cursor *c, int depth, rn_gguf_value *out)
{
    uint32_t item;
    if (depth >= MAX_DEPTH) return "nests arrays too deep";
    if (!rn_gguf_take(c, &item, sizeof item) ||
        !rn_gguf_take(c, &out->count, sizeof out->count))
        return "is cut off";
    if (item >= RN_GGUF_TYPES) return "is an array of an unknown type";
    out->item = (rn_gguf_type)item;
    out->data = c->data;
    return read_items(c, depth, out);
}

static const char *read_value(rn_gguf_cursor *c, uint32_t type, int depth,
                              rn_gguf_value *out)
{
    if (type >= RN_GGUF_TYPES) return "has an unknown type";
    *out = (rn_gguf_value){(rn_gguf_type)type, (rn_gguf_type)type, 1, c->data, 0};
    const char *wrong;
    if (type == RN_GGUF_ARRAY) {
        wrong = read_array(c, depth, out);
    } else if (type == RN_GGUF_STRING) {
        if (!rn_gguf_take(c, &out->count, sizeof out->count)) return "is cut off";
        out->data = c->data;
        wrong = skip(c, out->count);
    } else {
        wrong = skip(c, types[type].size);
    }
    if (wrong) return wrong;
    out->bytes = (size_t)(c->data - out->data);
    return out->item == RN_GGUF_BOOL ? check_bools(out) : NULL;
}

const char *rn_gguf_read_value(rn_gguf_cursor *c, uint32_t type, rn_gguf_value *out)
{
    return read_value(c, type, 0, out);
}

bool rn_gguf_int(const rn_gguf_value *v, int64_t *out)
{
    size_t size = types[v->type].size;
    uint64_t bits = 0;
    switch (v->type) {
    case RN_GGUF_U8:
    case RN_GGUF_U16:
    case RN_GGUF_U32:
    case RN_GGUF_U64:
        memcpy(&bits, v->data, size);
        if (bits > INT64_MAX) return false;
        *out = (int64_t)bits;
        return true;
    case RN_GGUF_I8:
    case RN_GGUF_I16:
    case RN_GGUF_I32:
    case RN_GGUF_I64: {
        unsigned spare = 64 - 8 * (unsigned)size;
        memcpy(&bits, v->data, size);
        *out = (int64_t)(bits << spare) >> spare; /* repeats the sign bit */
        return true;
    }
    default: return false;
    }
}

bool rn_gguf_real(const rn_gguf_value *v, double *out)
{
    int64_t whole;
    uint64_t large;
    float single;
    if (v->type == RN_GGUF_F64) {
        memcpy(out, v->data, sizeof *out);
    } else if (v->type == RN_GGUF_F32) {
        memcpy(&single, v->data, sizeof single);
        *out = (double)single;
    } else if (rn_gguf_int(v, &whole)) {
        *out = (double)whole;
    } else if (v->type == RN_GGUF_U64) {
        memcpy(&large, v->data, sizeof large);
        *out = (double)large;
    } else {
        return false;
    }
    return true;
}

bool rn_gguf_bool(const rn_gguf_value *v, bool *out)
{
    if (v->type != RN_GGUF_BOOL) return false;
    *out = v->data[0] == 1;
    return true;
}

bool rn_gguf_text(const rn_gguf_value *v, const char **text, size_t *length)
{
    if (v->type != RN_GGUF_STRING) return false;
    *text = (const char *)v->data;
    *length = v->bytes;
    return true;
}

bool rn_gguf_next(const rn_gguf_value *array, size_t *at, rn_gguf_value *item)
{
    if (array->type != RN_GGUF_ARRAY || *at >= array->bytes) return false;
    rn_gguf_cursor c = {array->data + *at, array->bytes - *at};
    if (read_value(&c, array->item, 1, item)) return false;
    *at = array->bytes - c.left;
    return true;
}

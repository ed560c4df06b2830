/* Views of block tensors, and what a header says of them. */
#include "formats/block_tensor.h"

#include "formats/dtype.h"

#include <stdio.h>
#include <string.h>

const char *rn_block_tensor_name(const char *key)
{
    const size_t length = sizeof RN_BLOCK_TENSOR_PREFIX - 1;
    return strncmp(key, RN_BLOCK_TENSOR_PREFIX, length) ? NULL : key + length;
}

/* A stranger's text as part of a line: cut off, without control characters. */
static const char *plain(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return out;
}

rn_status rn_block_tensor_missing(const char *name, const char *path, rn_error *err)
{
    char text[128];
    return rn_fail(err, RN_EFORMAT,
                   "%s: its metadata give tensor %s a type, but it has none of that name",
                   path, plain(text, sizeof text, name));
}

rn_status rn_block_tensor_view(rn_tensor_view *t, const char *type, const char *path,
                               rn_error *err)
{
    rn_weight_type found;
    char text[32];
    if (!rn_weight_type_find(&found, type) || rn_weight_block(found) == 1)
        return rn_fail(
            err, RN_EFORMAT,
            "%s: tensor %s: its metadata call it %s, which is no type of blocks", path,
            t->name, plain(text, sizeof text, type));
    if (t->dtype != RN_DTYPE_U8 || t->dims != 2)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: blocks of %s are stored in U8 and two dimensions, "
                       "not in %s and %d",
                       path, t->name, type, rn_dtype_name(t->dtype), t->dims);
    uint64_t bytes = rn_weight_block_bytes(found), columns, count;
    if (t->shape[1] % bytes)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: rows of %llu bytes are not whole blocks of %s, "
                       "which have %llu",
                       path, t->name, (unsigned long long)t->shape[1], type,
                       (unsigned long long)bytes);
    if (__builtin_mul_overflow(t->shape[1] / bytes, rn_weight_block(found), &columns) ||
        __builtin_mul_overflow(t->shape[0], columns, &count))
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s: its size overflows", path,
                       t->name);
    t->dtype = rn_dtype_of_weight(found);
    t->shape[1] = columns;
    t->count = count;
    return RN_OK;
}

static bool product(const rn_tensor_view *t, uint64_t *count)
{
    *count = 1;
    for (int i = 0; i < t->dims; i++)
        if (__builtin_mul_overflow(*count, t->shape[i], count)) return false;
    return true;
}

bool rn_block_tensor_stored(rn_tensor_view *stored, const rn_tensor_view *t)
{
    *stored = *t;
    if (t->dims < 0 || t->dims > RN_MAX_DIMS) return false;
    if (rn_dtype_is_blocks(t->dtype)) {
        if (t->dims != 2 || !rn_dtype_bytes(t->dtype, t->shape[1], &stored->shape[1]))
            return false;
        stored->dtype = RN_DTYPE_U8;
    }
    return product(stored, &stored->count) &&
           rn_dtype_bytes(stored->dtype, stored->count, &stored->bytes) &&
           stored->bytes <= INT64_MAX;
}

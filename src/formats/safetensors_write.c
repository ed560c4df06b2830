/* The writer of safetensors files: tensors in the order given, without holes. */
#include "formats/safetensors.h"

#include "core/arena.h"
#include "core/file.h"
#include "formats/json.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a view by its shape; false on overflow or a bad number of dimensions. */
static bool view_bytes(const rn_tensor_view *t, size_t *bytes)
{
    if (t->dims < 0 || t->dims > RN_MAX_DIMS) return false;
    size_t total = rn_dtype_size(t->dtype);
    for (int i = 0; i < t->dims; i++)
        if (__builtin_mul_overflow(total, t->shape[i], &total)) return false;
    *bytes = total;
    return total <= INT64_MAX;
}

static json_t *shape_of(const rn_tensor_view *t)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return shape;
}

static json_t *strings_of(const char *const *pairs)
{
    json_t *map = json_object();
    for (; pairs && pairs[0]; pairs += 2)
        json_object_set_new(map, pairs[0], json_string(pairs[1]));
    return map;
}

static rn_status add_tensor(json_t *header, const rn_tensor_view *t, size_t *end,
                            const char *path, rn_error *err)
{
    size_t begin = *end, bytes;
    if (!view_bytes(t, &bytes) || !rn_add_size(end, begin, bytes) || *end > INT64_MAX)
        return rn_fail(err, RN_EINVAL, "%s: the size of tensor %s overflows", path,
                       t->name);
    if (!*t->name || !strcmp(t->name, "__metadata__") || json_object_get(header, t->name))
        return rn_fail(err, RN_EINVAL,
                       "%s: tensor name '%s' is empty, reserved or there twice", path,
                       t->name);
    json_t *entry =
        json_pack("{s:s, s:o, s:[I, I]}", "dtype", rn_dtype_name(t->dtype), "shape",
                  shape_of(t), "data_offsets", (json_int_t)begin, (json_int_t)*end);
    if (json_object_set_new(header, t->name, entry))
        return rn_fail(err, RN_EINVAL,
                       "%s: tensor name '%s' is not UTF-8, or memory is short", path,
                       t->name);
    return RN_OK;
}

/* The header's text, to be freed with free. */
static rn_status make_header(char **text, const rn_tensor_view *views, size_t count,
                             const char *const *metadata, const char *path, rn_error *err)
{
    json_t *header = json_object();
    rn_status st = RN_OK;
    size_t end = 0;
    if (metadata && json_object_set_new(header, "__metadata__", strings_of(metadata)))
        st = rn_fail_memory(err, path, 0);
    for (size_t i = 0; !st && i < count; i++)
        st = add_tensor(header, &views[i], &end, path, err);
    if (!st && !(*text = json_dumps(header, JSON_COMPACT)))
        st = rn_fail_memory(err, path, count * sizeof *views);
    json_decref(header);
    return st;
}

static rn_status put_header(rn_writer *w, const char *text, const char *path,
                            rn_error *err)
{
    static const char spaces[RN_ALIGN + 1] =
        "                                                                ";
    size_t length = strlen(text);
    size_t pad = (RN_ALIGN - (sizeof(uint64_t) + length) % RN_ALIGN) % RN_ALIGN;
    uint64_t total = length + pad;
    if (total > RN_JSON_LIMIT)
        return rn_fail(err, RN_EINVAL,
                       "%s: a header of %zu bytes, at most %zu are allowed", path, length,
                       RN_JSON_LIMIT);
    rn_status st = rn_writer_put(w, &total, sizeof total, err);
    if (!st) st = rn_writer_put(w, text, length, err);
    return st ? st : rn_writer_put(w, spaces, pad, err);
}

static rn_status put_data(rn_writer *w, const rn_tensor_view *views, size_t count,
                          rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < count; i++) {
        size_t bytes = 0;
        view_bytes(&views[i], &bytes);
        st = rn_writer_put(w, views[i].data, bytes, err);
    }
    return st;
}

rn_status rn_safetensors_write(const char *path, const rn_tensor_view *views,
                               size_t count, const char *const *metadata, rn_error *err)
{
    char *text = NULL;
    rn_writer *w = NULL;
    rn_status st = make_header(&text, views, count, metadata, path, err);
    if (!st) st = rn_writer_open(&w, path, err);
    if (!st) st = put_header(w, text, path, err);
    if (!st) st = put_data(w, views, count, err);
    free(text);
    if (!st) return rn_writer_commit(w, err);
    rn_writer_abandon(w);
    return st;
}

/* The writer of safetensors files: tensors in the order given, without holes. */
#define _POSIX_C_SOURCE 200809L
#include "formats/safetensors.h"

#include "core/arena.h"
#include "core/file.h"
#include "formats/block_tensor.h"
#include "formats/dtype.h"
#include "formats/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rn_safetensors_writer {
    rn_writer *file;
    char *path;
    uint64_t left; /* bytes that are not put yet */
};

static json_t *shape_of(const rn_tensor_view *t)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return shape;
}

/* What the metadata say of a block tensor. */
static rn_status add_type(json_t *metadata, const rn_tensor_view *t, const char *path,
                          rn_error *err)
{
    rn_weight_type type;
    if (!rn_dtype_is_blocks(t->dtype) || !rn_dtype_weight_type(t->dtype, &type))
        return RN_OK;
    size_t bytes = sizeof RN_BLOCK_TENSOR_PREFIX + strlen(t->name);
    char *key = malloc(bytes);
    if (!key) return rn_fail_memory(err, path, bytes);
    snprintf(key, bytes, "%s%s", RN_BLOCK_TENSOR_PREFIX, t->name);
    bool set =
        !json_object_set_new(metadata, key, json_string(rn_weight_type_name(type)));
    free(key);
    return set ? RN_OK : rn_fail_memory(err, path, bytes);
}

/* The __metadata__ object; left out of the header when it is empty. */
static rn_status add_metadata(json_t *header, const char *const *pairs,
                              const rn_tensor_view *views, size_t count, const char *path,
                              rn_error *err)
{
    json_t *map = json_object();
    rn_status st = map ? RN_OK : rn_fail_memory(err, path, count);
    for (; !st && pairs && pairs[0]; pairs += 2)
        if (json_object_set_new(map, pairs[0], json_string(pairs[1])))
            st = rn_fail_memory(err, path, strlen(pairs[1]));
    for (size_t i = 0; !st && i < count; i++) st = add_type(map, &views[i], path, err);
    if (!st && json_object_size(map) && json_object_set(header, "__metadata__", map))
        st = rn_fail_memory(err, path, json_object_size(map));
    json_decref(map);
    return st;
}

static rn_status add_tensor(json_t *header, const rn_tensor_view *t, uint64_t *end,
                            const char *path, rn_error *err)
{
    rn_tensor_view stored;
    uint64_t begin = *end;
    if (!rn_block_tensor_stored(&stored, t) ||
        __builtin_add_overflow(begin, stored.bytes, end) || *end > INT64_MAX)
        return rn_fail(err, RN_EINVAL,
                       "%s: the size of tensor %s overflows or is not whole blocks", path,
                       t->name);
    if (!*t->name || !strcmp(t->name, "__metadata__") || json_object_get(header, t->name))
        return rn_fail(err, RN_EINVAL,
                       "%s: tensor name '%s' is empty, reserved or there twice", path,
                       t->name);
    json_t *entry =
        json_pack("{s:s, s:o, s:[I, I]}", "dtype", rn_dtype_name(stored.dtype), "shape",
                  shape_of(&stored), "data_offsets", (json_int_t)begin, (json_int_t)*end);
    if (json_object_set_new(header, t->name, entry))
        return rn_fail(err, RN_EINVAL,
                       "%s: tensor name '%s' is not UTF-8, or memory is short", path,
                       t->name);
    return RN_OK;
}

/* The header's text, to be freed with free, and the bytes of the data behind it. */
static rn_status make_header(char **text, uint64_t *bytes, const rn_tensor_view *views,
                             size_t count, const char *const *metadata, const char *path,
                             rn_error *err)
{
    json_t *header = json_object();
    *bytes = 0;
    rn_status st = header ? RN_OK : rn_fail_memory(err, path, count * sizeof *views);
    if (!st) st = add_metadata(header, metadata, views, count, path, err);
    for (size_t i = 0; !st && i < count; i++)
        st = add_tensor(header, &views[i], bytes, path, err);
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

rn_status rn_safetensors_writer_open(rn_safetensors_writer **out, const char *path,
                                     const rn_tensor_view *views, size_t count,
                                     const char *const *metadata, rn_error *err)
{
    char *text = NULL;
    rn_safetensors_writer *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, path, sizeof *w);
    w->path = strdup(path);
    rn_status st = w->path ? RN_OK : rn_fail_memory(err, path, strlen(path));
    if (!st) st = make_header(&text, &w->left, views, count, metadata, path, err);
    if (!st) st = rn_writer_open(&w->file, path, err);
    if (!st) st = put_header(w->file, text, path, err);
    free(text);
    if (st) rn_safetensors_writer_abandon(w);
    else *out = w;
    return st;
}

rn_status rn_safetensors_writer_put(rn_safetensors_writer *w, const void *bytes,
                                    size_t count, rn_error *err)
{
    if (count > w->left)
        return rn_fail(err, RN_EINVAL,
                       "%s: %zu bytes of data, but its header leaves room for %llu",
                       w->path, count, (unsigned long long)w->left);
    w->left -= count;
    return rn_writer_put(w->file, bytes, count, err);
}

rn_status rn_safetensors_writer_commit(rn_safetensors_writer *w, rn_error *err)
{
    rn_status st = RN_OK;
    if (w->left)
        st = rn_fail(err, RN_EINVAL, "%s: %llu bytes of data are missing", w->path,
                     (unsigned long long)w->left);
    if (!st) {
        st = rn_writer_commit(w->file, err);
        w->file = NULL;
    }
    rn_safetensors_writer_abandon(w);
    return st;
}

void rn_safetensors_writer_abandon(rn_safetensors_writer *w)
{
    if (!w) return;
    rn_writer_abandon(w->file);
    free(w->path);
    free(w);
}

rn_status rn_safetensors_write(const char *path, const rn_tensor_view *views,
                               size_t count, const char *const *metadata, rn_error *err)
{
    rn_safetensors_writer *w;
    rn_status st = rn_safetensors_writer_open(&w, path, views, count, metadata, err);
    if (st) return st;
    for (size_t i = 0; !st && i < count; i++) {
        rn_tensor_view stored;
        rn_block_tensor_stored(&stored, &views[i]);
        st = rn_safetensors_writer_put(w, views[i].data, stored.bytes, err);
    }
    if (!st) return rn_safetensors_writer_commit(w, err);
    rn_safetensors_writer_abandon(w);
    return st;
}

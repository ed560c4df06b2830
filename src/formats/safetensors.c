/* The reader of safetensors files. The header is JSON, so its strings (names, metadata)
   live as long as the parsed document, which the file keeps. Writing is in
   safetensors_write.c. */
#include "formats/safetensors.h"

#include "core/file.h"
#include "formats/block_tensor.h"
#include "formats/dtype.h"
#include "formats/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX   ((size_t)8) /* bytes of the header's length */
#define MAX_NAME ((size_t)512)

/* Of __metadata__; both strings are the header's. */
typedef struct pair {
    const char *key, *value;
} pair;

struct rn_safetensors {
    const char *path; /* of the caller, while opening */
    rn_map map;
    const unsigned char *data;
    uint64_t data_size;
    json_t *header;
    size_t count;
    rn_tensor_view *views;          /* by place in the file */
    const rn_tensor_view **by_name; /* sorted */
    size_t pair_count;
    pair *pairs; /* in the file's order */
};

void rn_safetensors_close(rn_safetensors *f)
{
    if (!f) return;
    json_decref(f->header);
    rn_map_close(&f->map);
    free(f->views);
    free(f->by_name);
    free(f->pairs);
    free(f);
}

/* Finds the header inside the file and parses it. */
static rn_status read_header(rn_safetensors *f, rn_error *err)
{
    if (f->map.size < PREFIX + 2)
        return rn_fail(err, RN_EFORMAT,
                       "%s: %zu bytes are too few for a safetensors file", f->path,
                       f->map.size);
    uint64_t length = 0;
    memcpy(&length, f->map.data, PREFIX);
    if (length > RN_JSON_LIMIT || length > f->map.size - PREFIX)
        return rn_fail(
            err, RN_EFORMAT,
            "%s: not a safetensors file, or cut off: its header would be %" PRIu64
            " bytes long, the file is %zu",
            f->path, length, f->map.size);
    const unsigned char *text = f->map.data + PREFIX;
    if (length == 0 || text[0] != '{')
        return rn_fail(err, RN_EFORMAT,
                       "%s: the safetensors header does not begin with '{'", f->path);
    f->data = text + length;
    f->data_size = f->map.size - PREFIX - length;
    return rn_json_parse(&f->header, text, (size_t)length, f->path, err);
}

static rn_status check_name(const rn_safetensors *f, const char *name, rn_error *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > MAX_NAME)
        return rn_fail(err, RN_EFORMAT, "%s: a tensor name has %zu bytes, not 1 to %zu",
                       f->path, length, MAX_NAME);
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return rn_fail(err, RN_EFORMAT, "%s: a tensor name has control characters",
                           f->path);
    return RN_OK;
}

/* A number that is a whole one and not below 0. */
static bool read_whole(const json_t *number, uint64_t *out)
{
    if (!json_is_integer(number) || json_integer_value(number) < 0) return false;
    *out = (uint64_t)json_integer_value(number);
    return true;
}

/* Shape, count and bytes of a tensor. */
static rn_status read_shape(const rn_safetensors *f, rn_tensor_view *t,
                            const json_t *shape, rn_error *err)
{
    if (!json_is_array(shape))
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s has no shape", f->path, t->name);
    size_t dims = json_array_size(shape);
    if (dims > RN_MAX_DIMS)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: tensor %s has %zu dimensions, at most %d", f->path, t->name,
                       dims, RN_MAX_DIMS);
    t->count = 1;
    for (size_t i = 0; i < dims; i++) {
        if (!read_whole(json_array_get(shape, i), &t->shape[i]))
            return rn_fail(
                err, RN_EFORMAT,
                "%s: tensor %s: dimension %zu is not a whole number, 0 or more", f->path,
                t->name, i);
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return rn_fail(err, RN_EFORMAT,
                           "%s: tensor %s: the product of its shape overflows", f->path,
                           t->name);
    }
    if (!rn_dtype_bytes(t->dtype, t->count, &t->bytes))
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: %" PRIu64
                       " elements of %s overflow or are not whole bytes",
                       f->path, t->name, t->count, rn_dtype_name(t->dtype));
    t->dims = (int)dims;
    return RN_OK;
}

static rn_status read_offsets(const rn_safetensors *f, rn_tensor_view *t,
                              const json_t *offsets, rn_error *err)
{
    uint64_t begin, end;
    if (json_array_size(offsets) != 2 ||
        !read_whole(json_array_get(offsets, 0), &begin) ||
        !read_whole(json_array_get(offsets, 1), &end))
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: data_offsets are not two whole numbers, 0 or more",
                       f->path, t->name);
    if (begin > end || end > f->data_size)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: data_offsets [%" PRIu64 ", %" PRIu64
                       "] lie outside the %" PRIu64 " bytes of data",
                       f->path, t->name, begin, end, f->data_size);
    if (end - begin != t->bytes)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: its shape in %s needs %" PRIu64
                       " bytes, its data_offsets hold %" PRIu64,
                       f->path, t->name, rn_dtype_name(t->dtype), t->bytes, end - begin);
    t->data = f->data + begin;
    return RN_OK;
}

static rn_status read_tensor(const rn_safetensors *f, rn_tensor_view *t,
                             const json_t *entry, rn_error *err)
{
    rn_status st = check_name(f, t->name, err);
    if (st) return st;
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype)
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s has no dtype", f->path, t->name);
    if (!rn_dtype_find(&t->dtype, dtype))
        return rn_fail(err, RN_EUNSUPPORTED, "%s: tensor %s: unknown dtype %.16s",
                       f->path, t->name, dtype);
    st = read_shape(f, t, json_object_get(entry, "shape"), err);
    return st ? st : read_offsets(f, t, json_object_get(entry, "data_offsets"), err);
}

/* Kept beside the document, which has no way to pair number i but from the first on. */
static rn_status read_metadata(rn_safetensors *f, json_t *metadata, rn_error *err)
{
    const size_t count = json_object_size(metadata);
    if (!json_is_object(metadata))
        return rn_fail(err, RN_EFORMAT, "%s: __metadata__ is not an object", f->path);
    f->pairs = calloc(count + 1, sizeof *f->pairs);
    if (!f->pairs) return rn_fail_memory(err, f->path, count * sizeof *f->pairs);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return rn_fail(err, RN_EFORMAT,
                           "%s: __metadata__ holds something not a string", f->path);
        f->pairs[f->pair_count++] = (pair){key, json_string_value(value)};
    }
    return RN_OK;
}

static rn_status read_entries(rn_safetensors *f, rn_error *err)
{
    size_t entries = json_object_size(f->header);
    f->views = calloc(entries + 1, sizeof *f->views);
    f->by_name = calloc(entries + 1, sizeof *f->by_name);
    if (!f->views || !f->by_name)
        return rn_fail_memory(err, f->path, entries * sizeof *f->views);
    const char *key;
    json_t *value;
    json_object_foreach(f->header, key, value)
    {
        rn_status st;
        if (!strcmp(key, "__metadata__")) {
            st = read_metadata(f, value, err);
        } else {
            rn_tensor_view *t = &f->views[f->count++];
            t->name = key;
            st = read_tensor(f, t, value, err);
        }
        if (st) return st;
    }
    return RN_OK;
}

/* Empty tensors come before the one that begins at the same place. */
static int by_place(const void *a, const void *b)
{
    const rn_tensor_view *x = a, *y = b;
    const unsigned char *p = x->data, *q = y->data;
    if (p != q) return p < q ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const rn_tensor_view *const *)a)->name,
                  (*(const rn_tensor_view *const *)b)->name);
}

/* Each tensor begins where the one before ends, and the last ends with the file. */
static rn_status check_places(const rn_safetensors *f, rn_error *err)
{
    uint64_t end = 0;
    for (size_t i = 0; i < f->count; i++) {
        const rn_tensor_view *t = &f->views[i];
        uint64_t begin = (uint64_t)((const unsigned char *)t->data - f->data);
        if (begin != end)
            return rn_fail(err, RN_EFORMAT,
                           "%s: tensor %s begins at byte %" PRIu64
                           " of the data, the one before ends at %" PRIu64 ": %s",
                           f->path, t->name, begin, end,
                           begin < end ? "they overlap" : "there is a hole");
        end = begin + t->bytes;
    }
    if (end != f->data_size)
        return rn_fail(err, RN_EFORMAT,
                       "%s: the tensors take %" PRIu64 " bytes, the file holds %" PRIu64,
                       f->path, end, f->data_size);
    return RN_OK;
}

/* The metadata say of which type the blocks of each block tensor are. */
static rn_status read_block_types(rn_safetensors *f, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; i < f->pair_count && !st; i++) {
        const char *name = rn_block_tensor_name(f->pairs[i].key);
        if (!name) continue;
        const rn_tensor_view *t = rn_safetensors_find(f, name);
        st = t ? rn_block_tensor_view(&f->views[t - f->views], f->pairs[i].value, f->path,
                                      err)
               : rn_block_tensor_missing(name, f->path, err);
    }
    return st;
}

static rn_status read_file(rn_safetensors *f, rn_error *err)
{
    rn_status st = rn_map_open(&f->map, f->path, err);
    if (!st) st = read_header(f, err);
    if (!st) st = read_entries(f, err);
    if (st) return st;
    qsort(f->views, f->count, sizeof *f->views, by_place);
    for (size_t i = 0; i < f->count; i++) f->by_name[i] = &f->views[i];
    qsort(f->by_name, f->count, sizeof *f->by_name, by_name);
    st = check_places(f, err);
    return st ? st : read_block_types(f, err);
}

rn_status rn_safetensors_open(rn_safetensors **out, const char *path, rn_error *err)
{
    rn_safetensors *f = calloc(1, sizeof *f);
    if (!f) return rn_fail_memory(err, path, sizeof *f);
    f->path = path;
    rn_status st = read_file(f, err);
    f->path = NULL;
    if (st) {
        rn_safetensors_close(f);
        return st;
    }
    *out = f;
    return RN_OK;
}

size_t rn_safetensors_count(const rn_safetensors *f)
{
    return f->count;
}

const rn_tensor_view *rn_safetensors_at(const rn_safetensors *f, size_t index)
{
    return &f->views[index];
}

const rn_tensor_view *rn_safetensors_find(const rn_safetensors *f, const char *name)
{
    rn_tensor_view wanted = {.name = name};
    const rn_tensor_view *key = &wanted;
    const rn_tensor_view *const *found =
        bsearch(&key, f->by_name, f->count, sizeof *f->by_name, by_name);
    return found ? *found : NULL;
}

rn_status rn_safetensors_check_dtypes(const rn_safetensors *f, const char *path,
                                      rn_error *err)
{
    for (size_t i = 0; i < f->count; i++)
        if (!rn_dtype_is_read(f->views[i].dtype))
            return rn_fail(err, RN_EUNSUPPORTED,
                           "%s: tensor %s has dtype %s, which is not read", path,
                           f->views[i].name, rn_dtype_name(f->views[i].dtype));
    return RN_OK;
}

const char *rn_safetensors_metadata(const rn_safetensors *f, const char *key)
{
    return json_string_value(
        json_object_get(json_object_get(f->header, "__metadata__"), key));
}

bool rn_safetensors_metadata_at(const rn_safetensors *f, size_t index, const char **key,
                                const char **value)
{
    if (index >= f->pair_count) return false;
    *key = f->pairs[index].key;
    *value = f->pairs[index].value;
    return true;
}

/* The reader of GGUF files. What a value of the metadata looks like is in gguf_value.c,
   what the metadata mean is in dialect_gguf.c; writing is in gguf_write.c. */
#define _POSIX_C_SOURCE 200809L
#include "formats/gguf.h"

#include "core/arena.h"
#include "core/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC         "GGUF"
#define VERSION       3
#define MAX_ALIGNMENT ((int64_t)1 << 20)
/* Of a pair: length and one byte of key, type, one byte of value. Of a tensor: length and
   one byte of name, count of dimensions, one of them, type, offset. */
#define LEAST_PAIR   ((size_t)14)
#define LEAST_TENSOR ((size_t)33)

typedef struct pair {
    char *key;
    rn_gguf_value value;
} pair;

typedef struct tensor {
    rn_tensor_view view;
    const rn_gguf_kind *kind;
} tensor;

struct rn_gguf {
    const char *path; /* of the caller, while opening */
    rn_map map;
    rn_gguf_cursor at; /* while opening */
    size_t alignment;
    size_t pairs, count;
    pair *pair;
    const pair **by_key;
    tensor *tensors; /* by place in the file */
    char **names;    /* of the tensors, in the order listed; owned */
};

bool rn_gguf_is(const char *path)
{
    size_t length = strlen(path);
    rn_map map;
    if (rn_path_is_folder(path)) return false;
    if (length > 5 && !strcmp(path + length - 5, ".gguf")) return true;
    if (rn_map_open(&map, path, NULL)) return false;
    bool is = map.size >= 4 && !memcmp(map.data, MAGIC, 4);
    rn_map_close(&map);
    return is;
}

void rn_gguf_close(rn_gguf *f)
{
    if (!f) return;
    for (size_t i = 0; f->pair && i < f->pairs; i++) free(f->pair[i].key);
    for (size_t i = 0; f->names && i < f->count; i++) free(f->names[i]);
    free(f->pair);
    free(f->by_key);
    free(f->tensors);
    free(f->names);
    rn_map_close(&f->map);
    free(f);
}

/* ---- header ---- */

static rn_status check_version(const rn_gguf *f, uint32_t version, rn_error *err)
{
    if (version == VERSION) return RN_OK;
    if (version >> 16 && !(version & 0xffff))
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: a big-endian GGUF file, which is not read", f->path);
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: GGUF version %" PRIu32 "; this library reads version %d", f->path,
                   version, VERSION);
}

static rn_status read_header(rn_gguf *f, rn_error *err)
{
    unsigned char magic[4];
    uint32_t version;
    uint64_t counts[2];
    if (!rn_gguf_take(&f->at, magic, 4) || memcmp(magic, MAGIC, 4))
        return rn_fail(err, RN_EFORMAT, "%s: not a GGUF file: it does not begin with %s",
                       f->path, MAGIC);
    if (!rn_gguf_take(&f->at, &version, sizeof version))
        return rn_fail(err, RN_EFORMAT, "%s: cut off in its header", f->path);
    rn_status st = check_version(f, version, err);
    if (st) return st;
    if (!rn_gguf_take(&f->at, counts, sizeof counts))
        return rn_fail(err, RN_EFORMAT, "%s: cut off in its header", f->path);
    if (counts[0] > f->at.left / LEAST_TENSOR || counts[1] > f->at.left / LEAST_PAIR)
        return rn_fail(err, RN_EFORMAT,
                       "%s: cut off, or no GGUF file: %" PRIu64 " tensors and %" PRIu64
                       " keys in %zu bytes",
                       f->path, counts[0], counts[1], f->map.size);
    f->pair = calloc((size_t)counts[1] + 1, sizeof *f->pair);
    f->by_key = calloc((size_t)counts[1] + 1, sizeof *f->by_key);
    f->tensors = calloc((size_t)counts[0] + 1, sizeof *f->tensors);
    f->names = calloc((size_t)counts[0] + 1, sizeof *f->names);
    if (!f->pair || !f->by_key || !f->tensors || !f->names)
        return rn_fail_memory(err, f->path, f->map.size);
    f->count = (size_t)counts[0];
    f->pairs = (size_t)counts[1];
    return RN_OK;
}

/* ---- keys and names ---- */

/* A string of 1 to `most` bytes without control characters, freed with free. */
static rn_status read_name(rn_gguf *f, const char *what, size_t index, size_t most,
                           char **out, rn_error *err)
{
    uint64_t length;
    if (!rn_gguf_take(&f->at, &length, sizeof length) || length > f->at.left)
        return rn_fail(err, RN_EFORMAT, "%s: cut off in the name of %s %zu", f->path,
                       what, index);
    if (length == 0 || length > most)
        return rn_fail(err, RN_EFORMAT,
                       "%s: %s %zu has a name of %" PRIu64 " bytes, not 1 to %zu",
                       f->path, what, index, length, most);
    for (uint64_t i = 0; i < length; i++)
        if (f->at.data[i] < 0x20 || f->at.data[i] == 0x7f)
            return rn_fail(err, RN_EFORMAT,
                           "%s: %s %zu has control characters in its name", f->path, what,
                           index);
    char *name = malloc((size_t)length + 1);
    if (!name) return rn_fail_memory(err, f->path, (size_t)length);
    rn_gguf_take(&f->at, name, (size_t)length);
    name[length] = '\0';
    *out = name;
    return RN_OK;
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const pair *const *)a)->key, (*(const pair *const *)b)->key);
}

static rn_status read_pairs(rn_gguf *f, rn_error *err)
{
    for (size_t i = 0; i < f->pairs; i++) {
        pair *p = &f->pair[i];
        uint32_t type;
        rn_status st = read_name(f, "key", i, RN_GGUF_MAX_KEY, &p->key, err);
        if (st) return st;
        const char *wrong = rn_gguf_take(&f->at, &type, sizeof type)
                                ? rn_gguf_read_value(&f->at, type, &p->value)
                                : "is cut off";
        if (wrong)
            return rn_fail(err, RN_EFORMAT, "%s: the value of %.200s %s", f->path, p->key,
                           wrong);
        f->by_key[i] = p;
    }
    qsort(f->by_key, f->pairs, sizeof *f->by_key, by_key);
    for (size_t i = 1; i < f->pairs; i++)
        if (!strcmp(f->by_key[i - 1]->key, f->by_key[i]->key))
            return rn_fail(err, RN_EFORMAT, "%s: key %.200s is there twice", f->path,
                           f->by_key[i]->key);
    return RN_OK;
}

static rn_status read_alignment(rn_gguf *f, rn_error *err)
{
    const rn_gguf_value *v = rn_gguf_find(f, "general.alignment");
    int64_t n = RN_GGUF_ALIGNMENT;
    if (v && !rn_gguf_int(v, &n))
        return rn_fail(err, RN_EFORMAT, "%s: general.alignment is not a whole number",
                       f->path);
    if (n < 1 || n > MAX_ALIGNMENT || (n & (n - 1)))
        return rn_fail(err, RN_EFORMAT,
                       "%s: general.alignment is %" PRId64
                       ", not a power of two up to %" PRId64,
                       f->path, n, MAX_ALIGNMENT);
    f->alignment = (size_t)n;
    return RN_OK;
}

/* ---- tensors ---- */

/* The dimensions, turned round, and their product. */
static rn_status read_shape(rn_gguf *f, rn_tensor_view *t, rn_error *err)
{
    uint32_t dims;
    uint64_t shape[RN_GGUF_MAX_DIMS];
    if (!rn_gguf_take(&f->at, &dims, sizeof dims))
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s: cut off", f->path, t->name);
    if (dims < 1 || dims > RN_GGUF_MAX_DIMS)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s has %" PRIu32 " dimensions, not 1 to %d", f->path,
                       t->name, dims, RN_GGUF_MAX_DIMS);
    if (!rn_gguf_take(&f->at, shape, dims * sizeof shape[0]))
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s: cut off", f->path, t->name);
    t->dims = (int)dims;
    t->count = 1;
    for (uint32_t i = 0; i < dims; i++) {
        t->shape[dims - 1 - i] = shape[i];
        if (shape[i] == 0 || shape[i] > INT64_MAX)
            return rn_fail(err, RN_EFORMAT,
                           "%s: tensor %s: dimension %" PRIu32 " is %" PRId64, f->path,
                           t->name, i, (int64_t)shape[i]);
        if (__builtin_mul_overflow(t->count, shape[i], &t->count))
            return rn_fail(err, RN_EFORMAT,
                           "%s: tensor %s: the product of its shape overflows", f->path,
                           t->name);
    }
    return RN_OK;
}

static rn_status read_type(rn_gguf *f, tensor *t, rn_error *err)
{
    uint32_t type;
    rn_tensor_view *v = &t->view;
    uint64_t row = v->shape[v->dims - 1];
    if (!rn_gguf_take(&f->at, &type, sizeof type))
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s: cut off", f->path, v->name);
    t->kind = rn_gguf_kind_find(type);
    if (!t->kind)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: tensor %s has type %" PRIu32 ", which is not known", f->path,
                       v->name, type);
    if (row % t->kind->block)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: rows of %" PRIu64 " are not whole blocks of %s",
                       f->path, v->name, row, t->kind->name);
    if (__builtin_mul_overflow(v->count / t->kind->block, t->kind->bytes, &v->bytes))
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s: its size overflows", f->path,
                       v->name);
    v->dtype = t->kind->dtype;
    if (rn_gguf_kind_is_read(t->kind)) return RN_OK;
    v->dtype = RN_DTYPE_U8;
    v->count = 0;
    return RN_OK;
}

/* One entry of the list; its place is checked when the list has ended. */
static rn_status read_tensor(rn_gguf *f, size_t index, uint64_t *offset, rn_error *err)
{
    rn_tensor_view *t = &f->tensors[index].view;
    rn_status st = read_name(f, "tensor", index, RN_GGUF_MAX_NAME, &f->names[index], err);
    if (st) return st;
    t->name = f->names[index];
    st = read_shape(f, t, err);
    if (!st) st = read_type(f, &f->tensors[index], err);
    if (st) return st;
    if (!rn_gguf_take(&f->at, offset, sizeof *offset))
        return rn_fail(err, RN_EFORMAT, "%s: tensor %s: cut off", f->path, t->name);
    if (*offset % f->alignment)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: offset %" PRIu64 " is no multiple of %zu", f->path,
                       t->name, *offset, f->alignment);
    return RN_OK;
}

static rn_status place_tensor(const rn_gguf *f, rn_tensor_view *t, size_t begin,
                              uint64_t offset, rn_error *err)
{
    uint64_t room = f->map.size > begin ? f->map.size - begin : 0;
    if (offset > room || t->bytes > room - offset)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s: %" PRIu64 " bytes at %" PRIu64
                       " lie outside the %" PRIu64 " bytes of data",
                       f->path, t->name, t->bytes, offset, room);
    t->data = f->map.data + begin + offset;
    return RN_OK;
}

/* Where the data begin: behind the infos, aligned. */
static rn_status place_tensors(rn_gguf *f, const uint64_t *offsets, rn_error *err)
{
    size_t begin = f->map.size - f->at.left;
    if (!rn_add_size(&begin, begin, f->alignment - 1))
        return rn_fail(err, RN_EFORMAT, "%s: its size overflows", f->path);
    begin -= begin % f->alignment;
    rn_status st = RN_OK;
    for (size_t i = 0; i < f->count && !st; i++)
        st = place_tensor(f, &f->tensors[i].view, begin, offsets[i], err);
    return st;
}

static rn_status read_tensors(rn_gguf *f, rn_error *err)
{
    uint64_t *offsets = calloc(f->count + 1, sizeof *offsets);
    if (!offsets) return rn_fail_memory(err, f->path, f->count * sizeof *offsets);
    rn_status st = RN_OK;
    for (size_t i = 0; i < f->count && !st; i++) st = read_tensor(f, i, &offsets[i], err);
    if (!st) st = place_tensors(f, offsets, err);
    free(offsets);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tensor *)a)->view.name, ((const tensor *)b)->view.name);
}

static int by_place(const void *a, const void *b)
{
    const unsigned char *p = ((const tensor *)a)->view.data;
    const unsigned char *q = ((const tensor *)b)->view.data;
    return (p > q) - (p < q);
}

/* No name twice, no byte in two tensors; leaves them by place. */
static rn_status check_tensors(rn_gguf *f, rn_error *err)
{
    qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
    for (size_t i = 1; i < f->count; i++)
        if (!strcmp(f->tensors[i - 1].view.name, f->tensors[i].view.name))
            return rn_fail(err, RN_EFORMAT, "%s: tensor %s is there twice", f->path,
                           f->tensors[i].view.name);
    qsort(f->tensors, f->count, sizeof *f->tensors, by_place);
    for (size_t i = 1; i < f->count; i++) {
        const rn_tensor_view *a = &f->tensors[i - 1].view;
        const rn_tensor_view *b = &f->tensors[i].view;
        if ((uint64_t)((const unsigned char *)b->data - (const unsigned char *)a->data) <
            a->bytes)
            return rn_fail(err, RN_EFORMAT, "%s: tensors %s and %s overlap", f->path,
                           a->name, b->name);
    }
    return RN_OK;
}

rn_status rn_gguf_open(rn_gguf **out, const char *path, rn_error *err)
{
    rn_gguf *f = calloc(1, sizeof *f);
    if (!f) return rn_fail_memory(err, path, sizeof *f);
    f->path = path;
    rn_status st = rn_map_open(&f->map, path, err);
    f->at = (rn_gguf_cursor){f->map.data, f->map.size};
    if (!st) st = read_header(f, err);
    if (!st) st = read_pairs(f, err);
    if (!st) st = read_alignment(f, err);
    if (!st) st = read_tensors(f, err);
    if (!st) st = check_tensors(f, err);
    f->path = NULL;
    if (st) rn_gguf_close(f);
    else *out = f;
    return st;
}

size_t rn_gguf_count(const rn_gguf *f)
{
    return f->count;
}

const rn_tensor_view *rn_gguf_at(const rn_gguf *f, size_t index)
{
    return &f->tensors[index].view;
}

const char *rn_gguf_type_at(const rn_gguf *f, size_t index)
{
    return f->tensors[index].kind->name;
}

rn_status rn_gguf_check_model(const rn_gguf *f, const char *path, rn_error *err)
{
    int64_t parts;
    const rn_gguf_value *split = rn_gguf_find(f, "split.count");
    if (split && rn_gguf_int(split, &parts) && parts > 1)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: one of %" PRId64 " parts of a model (split.count), which are "
                       "not read",
                       path, parts);
    for (size_t i = 0; i < f->count; i++)
        if (!rn_gguf_kind_is_read(f->tensors[i].kind))
            return rn_fail(err, RN_EUNSUPPORTED,
                           "%s: tensor %s has type %s, which is not read", path,
                           f->tensors[i].view.name, f->tensors[i].kind->name);
    return RN_OK;
}

bool rn_gguf_pair_at(const rn_gguf *f, size_t index, const char **key,
                     const rn_gguf_value **value)
{
    if (index >= f->pairs) return false;
    *key = f->pair[index].key;
    *value = &f->pair[index].value;
    return true;
}

const rn_gguf_value *rn_gguf_find(const rn_gguf *f, const char *key)
{
    pair wanted = {.key = (char *)(uintptr_t)key};
    const pair *at = &wanted;
    const pair *const *found =
        bsearch(&at, f->by_key, f->pairs, sizeof *f->by_key, by_key);
    return found ? &(*found)->value : NULL;
}

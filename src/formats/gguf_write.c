/* The writer of GGUF files: header, metadata and list of tensors at once, then the
   tensors' bytes in order, each padded to the alignment. */
#define _POSIX_C_SOURCE 200809L
#include "formats/gguf.h"

#include "core/arena.h"
#include "core/file.h"
#include "formats/dtype.h"

#include <stdlib.h>
#include <string.h>

#define VERSION  3
#define MAX_NAME (RN_GGUF_MAX_NAME - 1) /* readers keep a 0 in those 64 bytes */

/* ---- bytes under construction ---- */

void rn_gguf_meta_free(rn_gguf_meta *m)
{
    free(m->bytes);
    *m = (rn_gguf_meta){0};
}

static bool grow(rn_gguf_meta *m, size_t count)
{
    size_t need, room;
    if (!rn_add_size(&need, m->used, count)) return false;
    if (need <= m->room) return true;
    if (!rn_mul_size(&room, need, 2)) return false;
    unsigned char *bytes = realloc(m->bytes, room);
    if (!bytes) return false;
    m->bytes = bytes;
    m->room = room;
    return true;
}

static void put(rn_gguf_meta *m, const void *bytes, size_t count)
{
    if (m->failed) return;
    if (!grow(m, count)) {
        m->failed = RN_ENOMEM;
        return;
    }
    if (count) memcpy(m->bytes + m->used, bytes, count);
    m->used += count;
}

static void put_string(rn_gguf_meta *m, const char *text, size_t length)
{
    uint64_t n = length;
    put(m, &n, sizeof n);
    put(m, text, length);
}

static void put_u32(rn_gguf_meta *m, uint32_t n)
{
    put(m, &n, sizeof n);
}

static void put_key(rn_gguf_meta *m, const char *key, rn_gguf_type type)
{
    size_t length = strlen(key);
    if (length == 0 || length > RN_GGUF_MAX_KEY) m->failed = RN_EINVAL;
    put_string(m, key, length);
    put_u32(m, (uint32_t)type);
    m->pairs++;
}

static void put_number(rn_gguf_meta *m, const char *key, rn_gguf_type type,
                       const void *number)
{
    put_key(m, key, type);
    put(m, number, rn_gguf_type_size(type));
}

void rn_gguf_put_u32(rn_gguf_meta *m, const char *key, uint32_t value)
{
    put_number(m, key, RN_GGUF_U32, &value);
}

void rn_gguf_put_u64(rn_gguf_meta *m, const char *key, uint64_t value)
{
    put_number(m, key, RN_GGUF_U64, &value);
}

void rn_gguf_put_i64(rn_gguf_meta *m, const char *key, int64_t value)
{
    put_number(m, key, RN_GGUF_I64, &value);
}

void rn_gguf_put_f32(rn_gguf_meta *m, const char *key, float value)
{
    put_number(m, key, RN_GGUF_F32, &value);
}

void rn_gguf_put_f64(rn_gguf_meta *m, const char *key, double value)
{
    put_number(m, key, RN_GGUF_F64, &value);
}

void rn_gguf_put_bool(rn_gguf_meta *m, const char *key, bool value)
{
    unsigned char byte = value;
    put_number(m, key, RN_GGUF_BOOL, &byte);
}

void rn_gguf_put_text(rn_gguf_meta *m, const char *key, const char *text, size_t length)
{
    put_key(m, key, RN_GGUF_STRING);
    put_string(m, text, length);
}

static void begin_array(rn_gguf_meta *m, const char *key, rn_gguf_type item, size_t count)
{
    uint64_t n = count;
    put_key(m, key, RN_GGUF_ARRAY);
    put_u32(m, (uint32_t)item);
    put(m, &n, sizeof n);
}

void rn_gguf_put_array(rn_gguf_meta *m, const char *key, rn_gguf_type type,
                       const void *values, size_t count)
{
    begin_array(m, key, type, count);
    put(m, values, count * rn_gguf_type_size(type));
}

void rn_gguf_put_strings(rn_gguf_meta *m, const char *key, size_t count)
{
    begin_array(m, key, RN_GGUF_STRING, count);
}

void rn_gguf_put_item(rn_gguf_meta *m, const char *text, size_t length)
{
    put_string(m, text, length);
}

void rn_gguf_put_copy(rn_gguf_meta *m, const char *key, const rn_gguf_value *v)
{
    if (v->type == RN_GGUF_ARRAY) {
        begin_array(m, key, v->item, (size_t)v->count);
    } else {
        put_key(m, key, v->type);
        if (v->type == RN_GGUF_STRING) put(m, &v->count, sizeof v->count);
    }
    put(m, v->data, v->bytes);
}

/* ---- files ---- */

struct rn_gguf_writer {
    rn_writer *file;
    char *path;
    size_t tensor, count;
    uint64_t *left; /* [count] bytes of each tensor that are not put yet */
    uint64_t at;    /* bytes of data so far, padding included */
};

/* Bytes from `at` to the next aligned place. */
static size_t padding(uint64_t at)
{
    return (size_t)((RN_GGUF_ALIGNMENT - at % RN_GGUF_ALIGNMENT) % RN_GGUF_ALIGNMENT);
}

static rn_status measure(const rn_tensor_view *t, uint64_t *bytes, const char *path,
                         rn_error *err)
{
    uint64_t count = 1, row;
    if (t->dims < 1 || t->dims > RN_GGUF_MAX_DIMS)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: tensor %s has %d dimensions, GGUF has 1 to %d", path, t->name,
                       t->dims, RN_GGUF_MAX_DIMS);
    for (int i = 0; i < t->dims; i++)
        if (t->shape[i] == 0 || __builtin_mul_overflow(count, t->shape[i], &count))
            return rn_fail(err, RN_EUNSUPPORTED,
                           "%s: tensor %s is empty, or its size overflows", path,
                           t->name);
    if (!rn_dtype_bytes(t->dtype, t->shape[t->dims - 1], &row) ||
        !rn_dtype_bytes(t->dtype, count, bytes) || *bytes > INT64_MAX / 2)
        return rn_fail(err, RN_EINVAL,
                       "%s: the size of tensor %s overflows or is not whole blocks", path,
                       t->name);
    return RN_OK;
}

/* One entry of the list; *end is where its data end, padded. */
static rn_status add_info(rn_gguf_meta *list, const rn_tensor_view *t, uint64_t bytes,
                          uint64_t *end, const char *path, rn_error *err)
{
    const rn_gguf_kind *kind = rn_gguf_kind_of(t->dtype);
    size_t length = strlen(t->name);
    if (length == 0 || length > MAX_NAME)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: tensor %s: a name has 1 to %d bytes in GGUF", path, t->name,
                       MAX_NAME);
    if (!kind)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: tensor %s is %s, which GGUF lacks",
                       path, t->name, rn_dtype_name(t->dtype));
    put_string(list, t->name, length);
    put_u32(list, (uint32_t)t->dims);
    for (int i = t->dims; i-- > 0;) put(list, &t->shape[i], sizeof t->shape[i]);
    put_u32(list, kind->type);
    put(list, end, sizeof *end);
    if (__builtin_add_overflow(*end, bytes + padding(bytes), end) || *end > INT64_MAX)
        return rn_fail(err, RN_EINVAL, "%s: the size of all tensors overflows", path);
    return RN_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rn_status check_names(const rn_tensor_view *views, size_t count, const char *path,
                             rn_error *err)
{
    rn_status st = RN_OK;
    const char **names = calloc(count + 1, sizeof *names);
    if (!names) return rn_fail_memory(err, path, count * sizeof *names);
    for (size_t i = 0; i < count; i++) names[i] = views[i].name;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 1; i < count && !st; i++)
        if (!strcmp(names[i - 1], names[i]))
            st = rn_fail(err, RN_EINVAL, "%s: tensor name '%s' is there twice", path,
                         names[i]);
    free(names);
    return st;
}

/* Everything before the data. */
static rn_status make_head(rn_gguf_writer *w, rn_gguf_meta *head,
                           const rn_gguf_meta *meta, const rn_tensor_view *views,
                           rn_error *err)
{
    static const unsigned char zeros[RN_GGUF_ALIGNMENT];
    uint64_t n = w->count, end = 0;
    put(head, "GGUF", 4);
    put_u32(head, VERSION);
    put(head, &n, sizeof n);
    put(head, &meta->pairs, sizeof meta->pairs);
    put(head, meta->bytes, meta->used);
    for (size_t i = 0; i < w->count; i++) {
        rn_status st = measure(&views[i], &w->left[i], w->path, err);
        if (!st) st = add_info(head, &views[i], w->left[i], &end, w->path, err);
        if (st) return st;
    }
    put(head, zeros, padding(head->used));
    if (meta->failed == RN_EINVAL)
        return rn_fail(err, RN_EINVAL, "%s: a key has 1 to %d bytes in GGUF", w->path,
                       RN_GGUF_MAX_KEY);
    if (meta->failed || head->failed) return rn_fail_memory(err, w->path, head->used);
    return RN_OK;
}

static rn_status open_writer(rn_gguf_writer *w, const char *path,
                             const rn_gguf_meta *meta, const rn_tensor_view *views,
                             rn_error *err)
{
    rn_gguf_meta head = {0};
    w->path = strdup(path);
    w->left = calloc(w->count + 1, sizeof *w->left);
    if (!w->path || !w->left)
        return rn_fail_memory(err, path, w->count * sizeof *w->left);
    rn_status st = check_names(views, w->count, path, err);
    if (!st) st = make_head(w, &head, meta, views, err);
    if (!st) st = rn_writer_open(&w->file, path, err);
    if (!st) st = rn_writer_put(w->file, head.bytes, head.used, err);
    rn_gguf_meta_free(&head);
    return st;
}

rn_status rn_gguf_writer_open(rn_gguf_writer **out, const char *path,
                              const rn_gguf_meta *meta, const rn_tensor_view *views,
                              size_t count, rn_error *err)
{
    rn_gguf_writer *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, path, sizeof *w);
    w->count = count;
    rn_status st = open_writer(w, path, meta, views, err);
    if (st) rn_gguf_writer_abandon(w);
    else *out = w;
    return st;
}

static rn_status put_data(rn_gguf_writer *w, const void *bytes, size_t count,
                          rn_error *err)
{
    w->at += count;
    return rn_writer_put(w->file, bytes, count, err);
}

rn_status rn_gguf_writer_put(rn_gguf_writer *w, const void *bytes, size_t count,
                             rn_error *err)
{
    static const unsigned char zeros[RN_GGUF_ALIGNMENT];
    const unsigned char *from = bytes;
    while (count > 0) {
        if (w->tensor == w->count)
            return rn_fail(err, RN_EINVAL, "%s: %zu bytes more than its tensors have",
                           w->path, count);
        uint64_t *left = &w->left[w->tensor];
        size_t n = count < *left ? count : (size_t)*left;
        rn_status st = put_data(w, from, n, err);
        *left -= n;
        from += n;
        count -= n;
        if (!st && *left == 0) {
            w->tensor++;
            st = put_data(w, zeros, padding(w->at), err);
        }
        if (st) return st;
    }
    return RN_OK;
}

rn_status rn_gguf_writer_commit(rn_gguf_writer *w, rn_error *err)
{
    rn_status st = RN_OK;
    if (w->tensor < w->count)
        st = rn_fail(err, RN_EINVAL, "%s: data of tensor %zu of %zu are missing", w->path,
                     w->tensor, w->count);
    if (!st) {
        st = rn_writer_commit(w->file, err);
        w->file = NULL;
    }
    rn_gguf_writer_abandon(w);
    return st;
}

void rn_gguf_writer_abandon(rn_gguf_writer *w)
{
    if (!w) return;
    rn_writer_abandon(w->file);
    free(w->path);
    free(w->left);
    free(w);
}

/* Rows of token ids: checked, and read from JSON or safetensors. */
#include "eval/ids.h"

#include "core/arena.h"
#include "core/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "retnet/eval.h"

#include <stdlib.h>
#include <string.h>

rn_status rn_ids_check(const int32_t *ids, size_t batch, size_t length, size_t vocab,
                       rn_error *err)
{
    size_t count;
    if (batch == 0 || length == 0 || !rn_mul_size(&count, batch, length))
        return rn_fail(err, RN_EINVAL, "ids: %zu rows of %zu cannot be read", batch,
                       length);
    if (length < 2)
        return rn_fail(err, RN_EINVAL, "ids: rows of %zu leave nothing to predict",
                       length);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocab)
            return rn_fail(
                err, RN_EINVAL,
                "ids: id %d at row %zu, index %zu is outside the vocabulary of %zu",
                (int)ids[i], i / length, i % length, vocab);
    return RN_OK;
}

/* The ids of one file on their way in. */
typedef struct table {
    const char *path;
    int32_t *ids;
    size_t batch, length;
} table;

/* Room for t->batch rows of t->length. */
static rn_status make_table(table *t, rn_error *err)
{
    size_t count, bytes;
    if (t->batch == 0 || t->length == 0)
        return rn_fail(err, RN_EFORMAT, "%s: ids: %zu rows of %zu are empty", t->path,
                       t->batch, t->length);
    if (!rn_mul_size(&count, t->batch, t->length) ||
        !rn_mul_size(&bytes, count, sizeof *t->ids))
        return rn_fail_memory(err, t->path, SIZE_MAX);
    t->ids = malloc(bytes);
    return t->ids ? RN_OK : rn_fail_memory(err, t->path, bytes);
}

static rn_status set_id(table *t, size_t row, size_t index, int64_t id, rn_error *err)
{
    if (id < 0 || id > INT32_MAX)
        return rn_fail(err, RN_EFORMAT,
                       "%s: id %lld at row %zu, index %zu is outside 0 to %d", t->path,
                       (long long)id, row, index, INT32_MAX);
    t->ids[row * t->length + index] = (int32_t)id;
    return RN_OK;
}

static rn_status fill_row(table *t, size_t row, const json_t *list, rn_error *err)
{
    if (!json_is_array(list) || json_array_size(list) != t->length)
        return rn_fail(err, RN_EFORMAT, "%s: row %zu is not a list of %zu ids like row 0",
                       t->path, row, t->length);
    for (size_t i = 0; i < t->length; i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id))
            return rn_fail(err, RN_EFORMAT, "%s: row %zu, index %zu is not an integer",
                           t->path, row, i);
        rn_status st = set_id(t, row, i, json_integer_value(id), err);
        if (st) return st;
    }
    return RN_OK;
}

static rn_status fill_from_json(table *t, const json_t *root, rn_error *err)
{
    if (!json_is_array(root) || !json_is_array(json_array_get(root, 0)))
        return rn_fail(err, RN_EFORMAT, "%s: not a JSON array of arrays of ids", t->path);
    t->batch = json_array_size(root);
    t->length = json_array_size(json_array_get(root, 0));
    rn_status st = make_table(t, err);
    for (size_t row = 0; row < t->batch && !st; row++)
        st = fill_row(t, row, json_array_get(root, row), err);
    return st;
}

static rn_status read_json(table *t, rn_error *err)
{
    rn_map map;
    json_t *root;
    rn_status st = rn_map_open(&map, t->path, err);
    if (st) return st;
    st = rn_json_parse(&root, map.data, map.size, t->path, err);
    if (!st) {
        st = fill_from_json(t, root, err);
        json_decref(root);
    }
    rn_map_close(&map);
    return st;
}

static rn_status fill_from_tensor(table *t, const rn_tensor_view *view, rn_error *err)
{
    if (!view || view->dims != 2)
        return rn_fail(err, RN_EFORMAT, "%s: there is no tensor ids of two dimensions",
                       t->path);
    if (view->shape[0] > SIZE_MAX || view->shape[1] > SIZE_MAX)
        return rn_fail_memory(err, t->path, SIZE_MAX);
    t->batch = (size_t)view->shape[0];
    t->length = (size_t)view->shape[1];
    rn_status st = make_table(t, err);
    for (size_t row = 0; row < t->batch && !st; row++)
        for (size_t i = 0; i < t->length && !st; i++) {
            int64_t id;
            st = rn_tensor_ints(view, row * t->length + i, 1, &id, err);
            st = st ? rn_blame_file(err, st, t->path) : set_id(t, row, i, id, err);
        }
    return st;
}

static rn_status read_safetensors(table *t, rn_error *err)
{
    rn_safetensors *file;
    rn_status st = rn_safetensors_open(&file, t->path, err);
    if (st) return st;
    st = fill_from_tensor(t, rn_safetensors_find(file, "ids"), err);
    rn_safetensors_close(file);
    return st;
}

static bool ends_in(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

rn_status rn_ids_read(const char *path, int32_t **ids, size_t *batch, size_t *length,
                      rn_error *err)
{
    table t = {.path = path};
    rn_status st =
        ends_in(path, ".safetensors") ? read_safetensors(&t, err) : read_json(&t, err);
    if (st) {
        free(t.ids);
        return st;
    }
    *ids = t.ids;
    *batch = t.batch;
    *length = t.length;
    return RN_OK;
}

rn_status rn_tensors_write(const char *path, const rn_named_tensor *tensors, size_t count,
                           rn_error *err)
{
    rn_tensor_view *views = calloc(count + 1, sizeof *views);
    if (!views) return rn_fail_memory(err, path, count * sizeof *views);
    rn_status st = RN_OK;
    for (size_t i = 0; i < count && !st; i++) {
        const rn_named_tensor *t = &tensors[i];
        if (t->dims < 0 || t->dims > 4) {
            st = rn_fail(err, RN_EINVAL, "%s: tensor %s has %d dimensions", path, t->name,
                         t->dims);
            break;
        }
        rn_tensor_view *v = &views[i];
        *v = (rn_tensor_view){.name = t->name, .dtype = RN_DTYPE_F32, .dims = t->dims};
        v->count = 1;
        for (int d = 0; d < t->dims; d++) v->count *= v->shape[d] = t->shape[d];
        v->data = t->data;
        v->bytes = v->count * sizeof(float);
    }
    if (!st) st = rn_safetensors_write(path, views, count, NULL, err);
    free(views);
    return st;
}

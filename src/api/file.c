/* The public description of a tensor file: the checked header of formats/safetensors.h or
   formats/gguf.h without its bytes. */
#define _POSIX_C_SOURCE 200809L
#include "retnet/file.h"

#include "formats/gguf.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof((rn_file_tensor *)0)->shape == RN_MAX_DIMS * sizeof(uint64_t),
               "a tensor's shape fits");

#define MAX_VALUE 1000 /* bytes of a value's text */

struct rn_file {
    rn_safetensors *tensors; /* one of the two */
    rn_gguf *gguf;
    char **values; /* of a GGUF file's metadata, up to NULL */
};

/* The values of a GGUF file's metadata as text. */
static rn_status print_values(rn_file *file, const char *path, rn_error *err)
{
    size_t count = 0;
    const char *key;
    const rn_gguf_value *value;
    char text[MAX_VALUE];
    while (rn_gguf_pair_at(file->gguf, count, &key, &value)) count++;
    file->values = calloc(count + 1, sizeof *file->values);
    if (!file->values) return rn_fail_memory(err, path, count * sizeof *file->values);
    for (size_t i = 0; rn_gguf_pair_at(file->gguf, i, &key, &value); i++) {
        rn_gguf_print(value, text, sizeof text);
        file->values[i] = strdup(text);
        if (!file->values[i]) return rn_fail_memory(err, path, strlen(text));
    }
    return RN_OK;
}

rn_status rn_file_describe(rn_file **out, const char *path, rn_error *err)
{
    rn_file *file = calloc(1, sizeof *file);
    if (!file) return rn_fail_memory(err, path, sizeof *file);
    rn_status st;
    if (rn_gguf_is(path)) {
        st = rn_gguf_open(&file->gguf, path, err);
        if (!st) st = print_values(file, path, err);
    } else {
        st = rn_safetensors_open(&file->tensors, path, err);
    }
    if (st) {
        rn_file_free(file);
        return st;
    }
    *out = file;
    return RN_OK;
}

void rn_file_free(rn_file *file)
{
    if (!file) return;
    rn_safetensors_close(file->tensors);
    rn_gguf_close(file->gguf);
    for (size_t i = 0; file->values && file->values[i]; i++) free(file->values[i]);
    free(file->values);
    free(file);
}

const char *rn_file_format(const rn_file *file)
{
    return file->gguf ? "gguf" : "safetensors";
}

size_t rn_file_tensor_count(const rn_file *file)
{
    return file->gguf ? rn_gguf_count(file->gguf) : rn_safetensors_count(file->tensors);
}

rn_file_tensor rn_file_tensor_at(const rn_file *file, size_t index)
{
    const rn_tensor_view *view = file->gguf ? rn_gguf_at(file->gguf, index)
                                            : rn_safetensors_at(file->tensors, index);
    rn_file_tensor out = {.name = view->name,
                          .type = file->gguf ? rn_gguf_type_at(file->gguf, index)
                                             : rn_dtype_name(view->dtype),
                          .dims = view->dims,
                          .bytes = view->bytes};
    memcpy(out.shape, view->shape, sizeof out.shape);
    return out;
}

bool rn_file_metadata_at(const rn_file *file, size_t index, const char **key,
                         const char **value)
{
    const rn_gguf_value *typed;
    if (!file->gguf) return rn_safetensors_metadata_at(file->tensors, index, key, value);
    if (!rn_gguf_pair_at(file->gguf, index, key, &typed)) return false;
    *value = file->values[index];
    return true;
}

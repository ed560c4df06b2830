/* The public description of a tensor file: the checked header of formats/safetensors.h
   without its bytes. */
#include "retnet/file.h"

#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof((rn_file_tensor *)0)->shape == RN_MAX_DIMS * sizeof(uint64_t),
               "a tensor's shape fits");

struct rn_file {
    rn_safetensors *tensors;
};

rn_status rn_file_describe(rn_file **out, const char *path, rn_error *err)
{
    rn_file *file = calloc(1, sizeof *file);
    if (!file) return rn_fail_memory(err, path, sizeof *file);
    rn_status st = rn_safetensors_open(&file->tensors, path, err);
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
    free(file);
}

const char *rn_file_format(const rn_file *file)
{
    (void)file;
    return "safetensors";
}

size_t rn_file_tensor_count(const rn_file *file)
{
    return rn_safetensors_count(file->tensors);
}

rn_file_tensor rn_file_tensor_at(const rn_file *file, size_t index)
{
    const rn_tensor_view *view = rn_safetensors_at(file->tensors, index);
    rn_file_tensor out = {.name = view->name,
                          .type = rn_dtype_name(view->dtype),
                          .dims = view->dims,
                          .bytes = view->bytes};
    memcpy(out.shape, view->shape, sizeof out.shape);
    return out;
}

bool rn_file_metadata_at(const rn_file *file, size_t index, const char **key,
                         const char **value)
{
    return rn_safetensors_metadata_at(file->tensors, index, key, value);
}

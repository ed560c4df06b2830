/* One safetensors file: its header, and the first and last numbers of its tensors. */
#define _DEFAULT_SOURCE
#include "memory_file.h"

#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_ends(const rn_tensor_view *t)
{
    float number;
    int64_t whole;
    rn_weight_type type;
    uint64_t ends[2] = {0, t->count - 1};
    bool blocks = rn_dtype_weight_type(t->dtype, &type) && rn_weight_block(type) > 1;
    for (size_t i = 0; t->count && !blocks && i < 2; i++)
        if (rn_tensor_floats(t, ends[i], 1, &number, NULL))
            rn_tensor_ints(t, ends[i], 1, &whole, NULL);
    float *all = blocks && t->count < 65536 ? malloc(t->count * sizeof *all + 1) : NULL;
    if (all) rn_tensor_floats(t, 0, t->count, all, NULL);
    free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rn_safetensors *f;
    rn_error err;
    const char *key, *value;
    if (rn_safetensors_open(&f, memory_file("model.safetensors", data, size), &err))
        return 0;
    for (size_t i = 0; i < rn_safetensors_count(f); i++)
        read_ends(rn_safetensors_at(f, i));
    for (size_t i = 0; rn_safetensors_metadata_at(f, i, &key, &value); i++) continue;
    rn_safetensors_close(f);
    return 0;
}

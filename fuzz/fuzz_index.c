/* model.safetensors.index.json beside two good shards, "a.safetensors" with the tensors p
   and q, and "b.safetensors" with r. */
#define _DEFAULT_SOURCE
#include "memory_file.h"

#include "formats/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_shards(void)
{
    static const float numbers[3] = {1, 2, 3};
    const rn_tensor_view views[] = {
        {.name = "p", .dims = 1, .shape = {3}, .data = numbers},
        {.name = "q", .dims = 1, .shape = {2}, .data = numbers},
        {.name = "r", .dims = 1, .shape = {1}, .data = numbers},
    };
    static int written;
    if (written) return;
    written = 1;
    const uint8_t none = 0;
    if (rn_safetensors_write(memory_file("a.safetensors", &none, 0), views, 2, NULL,
                             NULL) ||
        rn_safetensors_write(memory_file("b.safetensors", &none, 0), views + 2, 1, NULL,
                             NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rn_weights *w;
    rn_error err;
    write_shards();
    memory_file("model.safetensors.index.json", data, size);
    if (rn_weights_open(&w, memory_folder(), &err)) return 0;
    for (size_t i = 0; i < rn_weights_count(w); i++)
        if (rn_weights_find(w, rn_weights_at(w, i)->name) != i) abort();
    rn_weights_close(w);
    return 0;
}

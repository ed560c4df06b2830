/* libFuzzer target: bytes as a GGUF file, as far as they are believed: every value walked
   and told, every tensor's first and last number read, its config translated, the files
   kept inside taken out. */
#include "fuzz.h"

#include "formats/checkpoint.h"
#include "formats/gguf_model.h"

#include <stdlib.h>

static size_t walk(const rn_gguf_value *v, int depth)
{
    rn_gguf_value item;
    size_t at = 0, count = 0;
    while (rn_gguf_next(v, &at, &item))
        count += 1 + (depth < 8 ? walk(&item, depth + 1) : 0);
    return count;
}

static void look_inside(const rn_gguf *f)
{
    const char *key;
    const rn_gguf_value *v;
    char text[300];
    float x;
    for (size_t i = 0; rn_gguf_pair_at(f, i, &key, &v); i++) {
        if (rn_gguf_find(f, key) != v) abort();
        walk(v, 0);
        rn_gguf_print(v, text, sizeof text);
    }
    for (size_t i = 0; i < rn_gguf_count(f); i++) {
        const rn_tensor_view *t = rn_gguf_at(f, i);
        rn_tensor_floats(t, 0, 1, &x, NULL);
        if (t->count) rn_tensor_floats(t, t->count - 1, 1, &x, NULL);
    }
}

static void take_files(const char *path)
{
    for (size_t i = 0; rn_gguf_files[i]; i++) {
        char *text = NULL;
        size_t length;
        if (!rn_gguf_file(path, rn_gguf_files[i], &text, &length, NULL)) free(text);
    }
}

static void open_all(const char *path)
{
    rn_error err;
    rn_gguf *f = NULL;
    rn_checkpoint *c = NULL;
    rn_gguf_meta meta = {0};
    if (rn_gguf_open(&f, path, &err)) return;
    look_inside(f);
    rn_gguf_close(f);
    take_files(path);
    if (rn_checkpoint_open(&c, path, &err)) return;
    rn_checkpoint_take(c, "layers.0.mixer.g.weight");
    rn_checkpoint_unused(c);
    rn_gguf_put_config(&meta, rn_checkpoint_config(c), rn_checkpoint_stored_config(c),
                       path, &err);
    rn_gguf_put_files(&meta, path, 256, &err);
    rn_gguf_meta_free(&meta);
    rn_checkpoint_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_all(fuzz_file("model.gguf", data, size));
    return 0;
}

/* Copies of golden checkpoints in the test's own folder, and changes to them. */
#ifndef TEST_CHECKPOINT_FIXTURE_H
#define TEST_CHECKPOINT_FIXTURE_H

#include "scratch.h"

#include "core/file.h"
#include "formats/safetensors.h"

#include <jansson.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The folder `name` in scratch with copies of a golden folder's config and model files.
 */
static inline const char *copy_golden(const char *from, const char *name)
{
    static const char *const files[] = {
        "config.json", "model.safetensors", "model.safetensors.index.json",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
    WORKS(rn_remove_folder(in_scratch(name), err));
    WORKS(rn_make_folder(in_scratch(name), err));
    for (size_t i = 0; i < COUNT(files); i++) {
        char source[1024], target[256];
        snprintf(source, sizeof source, "%s/%s", from, files[i]);
        snprintf(target, sizeof target, "%s/%s", name, files[i]);
        if (!rn_path_exists(source)) continue;
        size_t size;
        char *bytes = get_bytes(source, &size);
        put_bytes(target, bytes, size);
        free(bytes);
    }
    return in_scratch(name);
}

/* Sets key to a JSON value (NULL: removes it) in the config of a copied folder. */
static inline void change_config(const char *name, const char *key, const char *value)
{
    char file[256];
    snprintf(file, sizeof file, "%s/config.json", name);
    json_t *config = json_load_file(in_scratch(file), 0, NULL);
    assert_non_null(config);
    if (value)
        assert_int_equal(
            json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL)),
            0);
    else assert_int_equal(json_object_del(config, key), 0);
    assert_int_equal(json_dump_file(config, in_scratch(file), 0), 0);
    json_decref(config);
}

/* A tensor that replaces or joins those of a copied folder's model.safetensors. */
static inline void add_tensor(const char *name, const rn_tensor_view *added)
{
    char file[256];
    snprintf(file, sizeof file, "%s/model.safetensors", name);
    const char *path = in_scratch(file);
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, path, err));
    rn_tensor_view views[96];
    size_t n = 0;
    for (size_t i = 0; i < rn_safetensors_count(f); i++)
        if (strcmp(rn_safetensors_at(f, i)->name, added->name))
            views[n++] = *rn_safetensors_at(f, i);
    if (added->data) views[n++] = *added;
    WORKS(rn_safetensors_write(path, views, n, NULL, err));
    rn_safetensors_close(f);
}

/* Gives a tensor of a copied folder another name, or takes it away (NULL). */
static inline void rename_tensor(const char *name, const char *from, const char *to)
{
    char file[256];
    snprintf(file, sizeof file, "%s/model.safetensors", name);
    const char *path = in_scratch(file);
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, path, err));
    rn_tensor_view views[96];
    size_t n = 0;
    assert_non_null(rn_safetensors_find(f, from));
    for (size_t i = 0; i < rn_safetensors_count(f); i++) {
        views[n] = *rn_safetensors_at(f, i);
        bool found = !strcmp(views[n].name, from);
        if (found && to) views[n].name = to;
        n += !found || to;
    }
    WORKS(rn_safetensors_write(path, views, n, NULL, err));
    rn_safetensors_close(f);
}

#endif

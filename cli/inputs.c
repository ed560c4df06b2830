/* What a command reads, for those that also write; see inputs.h. */
#define _XOPEN_SOURCE 700
#include "inputs.h"

#include "open.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INDEX "model.safetensors.index.json"

/* The folder that a file lies in, in out. */
static const char *folder_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return ".";
    snprintf(out, size, "%.*s", (int)(slash - path) + 1, path);
    return out;
}

static bool same_inode(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool cli_same_file(const char *a, const char *b)
{
    char x[4096], y[4096];
    const char *end_a = strrchr(a, '/'), *end_b = strrchr(b, '/');
    if (same_inode(a, b)) return true;
    return !strcmp(end_a ? end_a + 1 : a, end_b ? end_b + 1 : b) &&
           same_inode(folder_of(a, x, sizeof x), folder_of(b, y, sizeof y));
}

/* Whether a file that is there lies in the folder, at any depth. */
static bool is_inside(const char *folder, const char *path)
{
    char *outer = realpath(folder, NULL), *inner = realpath(path, NULL);
    size_t length = outer ? strlen(outer) : 0;
    bool inside = outer && inner && !strncmp(outer, inner, length) &&
                  (inner[length] == '/' || !strcmp(outer, "/"));
    free(outer);
    free(inner);
    return inside;
}

bool cli_is_input(const char *in, const char *path)
{
    return same_inode(in, path) || is_inside(in, path);
}

static bool is_beside(const char *model, const char *name, const char *path, char *file,
                      size_t size)
{
    return cli_find_beside(model, name, file, size) && same_inode(file, path);
}

/* Whether `path` is a shard that the model's index names. */
static bool is_shard(const char *model, const char *path, char *file, size_t size)
{
    const char *tensor;
    json_t *shard;
    bool found = false;
    if (!cli_find_beside(model, INDEX, file, size)) return false;
    json_t *index = json_load_file(file, 0, NULL);
    json_object_foreach(json_object_get(index, "weight_map"), tensor, shard)
    {
        const char *name = json_string_value(shard);
        found = name && is_beside(model, name, path, file, size);
        if (found) break;
    }
    json_decref(index);
    return found;
}

bool cli_is_of_model(const char *model, const char *path, char *file, size_t size)
{
    static const char *const names[] = {"config.json", "tokenizer.json",
                                        "tokenizer_config.json", "model.safetensors",
                                        INDEX};
    if (same_inode(model, path)) {
        snprintf(file, size, "%s", model);
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_beside(model, names[i], path, file, size)) return true;
    return is_shard(model, path, file, size);
}

/* The files that go along with a model: its tokenizer, and how it is to be generated
   from. They are copied as they are, whole or not at all. */
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

const char *const rn_companions[RN_COMPANIONS] = {
    "tokenizer.json",     "tokenizer_config.json",
    "tokenizer.model",    "vocab.json",
    "merges.txt",         "special_tokens_map.json",
    "added_tokens.json",  "generation_config.json",
    "chat_template.jinja"};

/* The folder of a model that is given as a folder or as a file in one. */
static char *folder_of(const char *path)
{
    if (rn_path_is_folder(path)) return strdup(path);
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static rn_status copy_file(const char *from, const char *to, rn_error *err)
{
    rn_map map;
    rn_status st = rn_map_open(&map, from, err);
    if (st) return st;
    st = rn_write_file(to, map.data, map.size, err);
    rn_map_close(&map);
    return st;
}

static rn_status copy_one(const char *from, const char *to, const char *name,
                          rn_error *err)
{
    char *source = rn_path_join(from, name), *target = rn_path_join(to, name);
    rn_status st = RN_OK;
    if (!source || !target) st = rn_fail_memory(err, "a path", strlen(from));
    else if (rn_path_exists(source)) st = copy_file(source, target, err);
    free(source);
    free(target);
    return st;
}

rn_status rn_companions_copy(const char *from, const char *to, rn_error *err)
{
    char *folder = folder_of(from);
    if (!folder) return rn_fail_memory(err, "a path", strlen(from));
    rn_status st = RN_OK;
    for (size_t i = 0; i < RN_COMPANIONS && !st; i++)
        st = copy_one(folder, to, rn_companions[i], err);
    free(folder);
    return st;
}

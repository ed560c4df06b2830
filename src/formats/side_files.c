/* The files that belong to a model and not to its weights, and their copies. */
#define _POSIX_C_SOURCE 200809L
#include "formats/side_files.h"

#include "core/file.h"
#include "formats/gguf_model.h"

#include <stdlib.h>
#include <string.h>

const char *const rn_side_files[RN_SIDE_FILES] = {
    "tokenizer.json",     "tokenizer_config.json",
    "tokenizer.model",    "vocab.json",
    "merges.txt",         "special_tokens_map.json",
    "added_tokens.json",  "generation_config.json",
    "chat_template.jinja"};

static rn_status copy_file(const char *from, const char *to, rn_error *err)
{
    rn_map map;
    if (!rn_path_exists(from)) return RN_OK;
    rn_status st = rn_map_open(&map, from, err);
    if (st) return st;
    st = rn_write_file(to, map.data, map.size, err);
    rn_map_close(&map);
    return st;
}

/* The folder of a checkpoint: itself, or the one that its file lies in. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (rn_path_is_folder(path)) return strdup(path);
    return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

/* One of the files that a GGUF file keeps inside, if it is there. */
static rn_status unpack_file(const rn_gguf *f, const char *name, const char *in,
                             const char *folder, rn_error *err)
{
    char *text = NULL;
    size_t length = 0;
    rn_status st = rn_gguf_take_file(f, name, in, &text, &length, err);
    if (st) return st == RN_ENOTFOUND ? RN_OK : st;
    char *to = rn_path_join(folder, name);
    st = to ? rn_write_file(to, text, length, err) : rn_fail_memory(err, in, strlen(in));
    free(to);
    free(text);
    return st;
}

static rn_status unpack(const char *in, const char *folder, rn_error *err)
{
    rn_gguf *f;
    rn_status st = rn_gguf_open(&f, in, err);
    if (st) return st;
    for (size_t i = 0; !st && rn_gguf_files[i]; i++)
        st = unpack_file(f, rn_gguf_files[i], in, folder, err);
    rn_gguf_close(f);
    return st;
}

rn_status rn_side_files_copy(const char *in, const char *folder, rn_error *err)
{
    if (rn_gguf_is(in)) return unpack(in, folder, err);
    rn_status st = RN_OK;
    char *beside = folder_of(in);
    if (!beside) return rn_fail_memory(err, in, strlen(in));
    for (size_t i = 0; !st && i < RN_SIDE_FILES; i++) {
        char *from = rn_path_join(beside, rn_side_files[i]);
        char *to = rn_path_join(folder, rn_side_files[i]);
        st = from && to ? copy_file(from, to, err) : rn_fail_memory(err, in, strlen(in));
        free(from);
        free(to);
    }
    free(beside);
    return st;
}

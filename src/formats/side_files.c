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

/* One of those beside `in`, if it is there. */
static rn_status copy_beside(const char *in, const char *name, const char *folder,
                             rn_error *err)
{
    char *from = rn_path_beside(in, name), *to = rn_path_join(folder, name);
    rn_status st = RN_OK;
    if (!from || !to) st = rn_fail_memory(err, in, strlen(in));
    else if (rn_path_exists(from)) st = rn_copy_file(from, to, err);
    free(from);
    free(to);
    return st;
}

rn_status rn_side_files_copy(const char *in, const char *folder, rn_error *err)
{
    if (rn_gguf_is(in)) return unpack(in, folder, err);
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < RN_SIDE_FILES; i++)
        st = copy_beside(in, rn_side_files[i], folder, err);
    return st;
}

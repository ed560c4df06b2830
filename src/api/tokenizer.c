/* Tokenizers for callers of the library: each call goes to the kind that was opened. Text
   from ids is in src/tokenizer/detokenizer.c. */
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"
#include "formats/gguf.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

rn_status rn_tokenizer_open(rn_tokenizer **out, const char *name, rn_error *err)
{
    const rn_tokenizer_kind *kind = rn_tokenizer_find(name);
    if (kind) return kind->open(out, name, err);
    return rn_fail(err, RN_ENOTFOUND,
                   "%s: neither a tokenizer's name (byte) nor a file that exists", name);
}

void rn_tokenizer_free(rn_tokenizer *t)
{
    if (t) t->kind->free(t);
}

size_t rn_tokenizer_vocab(const rn_tokenizer *t)
{
    return t->kind->vocab(t);
}

bool rn_tokenizer_bytewise(const rn_tokenizer *t)
{
    return t->kind->bytewise;
}

int32_t rn_tokenizer_find_id(const rn_tokenizer *t, const char *content, size_t length)
{
    return t->kind->find(t, content, length);
}

int32_t rn_tokenizer_end_id(const rn_tokenizer *t)
{
    return t->end_id;
}

const char *rn_tokenizer_note(const rn_tokenizer *t, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (!t->notes[i]) return NULL;
    return t->notes[index];
}

rn_status rn_tokenizer_encode(const rn_tokenizer *t, const void *text, size_t length,
                              unsigned flags, int32_t **ids, size_t *count, rn_error *err)
{
    void *work = NULL;
    rn_status st =
        rn_tokenizer_encode_with(t, &work, text, length, flags, ids, count, err);
    if (t->kind->free_work) t->kind->free_work(work);
    return st;
}

static rn_status copy_as(const char *from, const char *folder, const char *name,
                         rn_error *err)
{
    char *to = rn_path_join(folder, name);
    rn_status st =
        to ? rn_copy_file(from, to, err) : rn_fail_memory(err, folder, strlen(folder));
    free(to);
    return st;
}

rn_status rn_tokenizer_open_of_model(rn_tokenizer **out, const char *model, rn_error *err)
{
    if (rn_gguf_is(model)) return rn_tokenizer_file.open(out, model, err);
    char *file = rn_path_beside(model, "tokenizer.json");
    if (!file) return rn_fail_memory(err, model, strlen(model));
    rn_status st = rn_path_exists(file)
                       ? rn_tokenizer_file.open(out, file, err)
                       : rn_fail(err, RN_ENOTFOUND, "%s: there is no such file", file);
    free(file);
    return st;
}

rn_status rn_tokenizer_copy(const char *name, const char *folder, rn_error *err)
{
    static const char config[] = "tokenizer_config.json";
    if (rn_tokenizer_find(name) != &rn_tokenizer_file) return RN_OK;
    char *file =
        rn_path_is_folder(name) ? rn_path_join(name, "tokenizer.json") : strdup(name);
    char *beside = file ? rn_path_beside(file, config) : NULL;
    rn_status st =
        beside ? rn_make_folder(folder, err) : rn_fail_memory(err, name, strlen(name));
    if (!st) st = copy_as(file, folder, "tokenizer.json", err);
    if (!st && rn_path_exists(beside)) st = copy_as(beside, folder, config, err);
    free(file);
    free(beside);
    return st;
}

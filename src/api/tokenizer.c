/* Tokenizers for callers of the library: each call goes to the kind that was opened. */
#include "retnet/data.h"

#include "core/file.h"
#include "tokenizer/tokenizer.h"

rn_status rn_tokenizer_open(rn_tokenizer **out, const char *name, rn_error *err)
{
    const rn_tokenizer_kind *kind = rn_tokenizer_find(name);
    if (kind) return kind->open(out, name, err);
    if (!rn_path_exists(name))
        return rn_fail(err, RN_ENOTFOUND,
                       "%s: neither a tokenizer's name (byte) nor a file that exists",
                       name);
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: tokenizer files are not supported, the tokenizer is byte", name);
}

void rn_tokenizer_free(rn_tokenizer *t)
{
    if (t) t->kind->free(t);
}

size_t rn_tokenizer_vocab(const rn_tokenizer *t)
{
    return t->kind->vocab(t);
}

rn_status rn_tokenizer_encode(const rn_tokenizer *t, const void *text, size_t length,
                              int32_t **ids, size_t *count, rn_error *err)
{
    return t->kind->encode(t, text, length, ids, count, err);
}

void rn_tokenizer_piece(const rn_tokenizer *t, int32_t id, const void **bytes,
                        size_t *length)
{
    t->kind->piece(t, id, bytes, length);
}

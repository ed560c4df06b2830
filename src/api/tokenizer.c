/* Tokenizers for callers of the library: each call goes to the kind that was opened. */
#include "retnet/tokenizer.h"

#include "core/file.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

struct rn_detokenizer {
    const rn_tokenizer *tokenizer;
};

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
                              unsigned flags, int32_t **ids, size_t *count, rn_error *err)
{
    return t->kind->encode(t, text, length, flags, ids, count, err);
}

static size_t copy_pieces(const rn_tokenizer *t, const int32_t *ids, size_t count,
                          char *out)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const void *bytes;
        size_t length;
        t->kind->piece(t, ids[i], &bytes, &length);
        if (out && length) memcpy(out + total, bytes, length);
        total += length;
    }
    return total;
}

rn_status rn_tokenizer_decode(const rn_tokenizer *t, const int32_t *ids, size_t count,
                              bool skip_special, char **text, size_t *length,
                              rn_error *err)
{
    (void)skip_special;
    size_t bytes = copy_pieces(t, ids, count, NULL);
    char *made = malloc(bytes + 1);
    if (!made) return rn_fail_memory(err, "decoded text", bytes + 1);
    copy_pieces(t, ids, count, made);
    made[bytes] = '\0';
    *text = made;
    *length = bytes;
    return RN_OK;
}

int32_t rn_tokenizer_find_id(const rn_tokenizer *t, const char *content, size_t length)
{
    for (size_t i = 0; i < rn_tokenizer_vocab(t); i++) {
        const void *bytes;
        size_t count;
        t->kind->piece(t, (int32_t)i, &bytes, &count);
        if (count == length && !memcmp(bytes, content, length)) return (int32_t)i;
    }
    return -1;
}

int32_t rn_tokenizer_end_id(const rn_tokenizer *t)
{
    (void)t;
    return -1;
}

rn_status rn_detokenizer_create(rn_detokenizer **out, const rn_tokenizer *t,
                                bool skip_special, rn_error *err)
{
    (void)skip_special;
    rn_detokenizer *d = malloc(sizeof *d);
    if (!d) return rn_fail_memory(err, "a detokenizer", sizeof *d);
    d->tokenizer = t;
    *out = d;
    return RN_OK;
}

void rn_detokenizer_free(rn_detokenizer *d)
{
    free(d);
}

rn_status rn_detokenizer_put(rn_detokenizer *d, int32_t id, const char **text,
                             size_t *length, rn_error *err)
{
    (void)err;
    const void *bytes;
    d->tokenizer->kind->piece(d->tokenizer, id, &bytes, length);
    *text = bytes;
    return RN_OK;
}

rn_status rn_detokenizer_end(rn_detokenizer *d, const char **text, size_t *length,
                             rn_error *err)
{
    (void)d;
    (void)err;
    *text = "";
    *length = 0;
    return RN_OK;
}

/* From ids to text, all at once or one by one: both feed the same decoding (decode.h). */
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

struct rn_detokenizer {
    const rn_tokenizer *tokenizer;
    bool skip_special;
    rn_decoding decoding;
};

static rn_status put(rn_detokenizer *d, int32_t id, rn_error *err)
{
    rn_token token;
    if (!d->tokenizer->kind->token(d->tokenizer, id, &token)) return RN_OK;
    if (token.special && d->skip_special) return RN_OK;
    return rn_decoding_put(&d->decoding, token.content, token.length, err);
}

static rn_detokenizer start(const rn_tokenizer *t, bool skip_special, bool raw)
{
    return (rn_detokenizer){.tokenizer = t,
                            .skip_special = skip_special,
                            .decoding = {.decoder = t->decoder, .raw = raw}};
}

static rn_status decode(const rn_tokenizer *t, const int32_t *ids, size_t count,
                        bool skip_special, bool raw, char **text, size_t *length,
                        rn_error *err)
{
    rn_detokenizer d = start(t, skip_special, raw);
    rn_bytes *out = &d.decoding.out;
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < count; i++) st = put(&d, ids[i], err);
    if (!st) st = rn_decoding_end(&d.decoding, err);
    if (!st) st = rn_bytes_put(out, "", 1, err);
    if (!st) {
        *text = (char *)out->data;
        *length = out->used - 1;
        out->data = NULL;
    }
    rn_decoding_free(&d.decoding);
    return st;
}

rn_status rn_tokenizer_decode(const rn_tokenizer *t, const int32_t *ids, size_t count,
                              bool skip_special, char **text, size_t *length,
                              rn_error *err)
{
    return decode(t, ids, count, skip_special, false, text, length, err);
}

rn_status rn_tokenizer_decode_bytes(const rn_tokenizer *t, const int32_t *ids,
                                    size_t count, bool skip_special, char **bytes,
                                    size_t *length, rn_error *err)
{
    return decode(t, ids, count, skip_special, true, bytes, length, err);
}

rn_status rn_detokenizer_create(rn_detokenizer **out, const rn_tokenizer *t,
                                bool skip_special, rn_error *err)
{
    rn_detokenizer *d = malloc(sizeof *d);
    if (!d) return rn_fail_memory(err, "a detokenizer", sizeof *d);
    *d = start(t, skip_special, false);
    *out = d;
    return RN_OK;
}

void rn_detokenizer_free(rn_detokenizer *d)
{
    if (!d) return;
    rn_decoding_free(&d->decoding);
    free(d);
}

void rn_detokenizer_keep_bytes(rn_detokenizer *d)
{
    d->decoding.raw = true;
}

static void show(const rn_detokenizer *d, const char **text, size_t *length)
{
    const rn_bytes *out = &d->decoding.out;
    *text = out->used ? (const char *)out->data : "";
    *length = out->used;
}

rn_status rn_detokenizer_put(rn_detokenizer *d, int32_t id, const char **text,
                             size_t *length, rn_error *err)
{
    d->decoding.out.used = 0;
    rn_status st = put(d, id, err);
    if (!st) show(d, text, length);
    return st;
}

size_t rn_detokenizer_held(const rn_detokenizer *d)
{
    return rn_decoding_held(&d->decoding);
}

rn_status rn_detokenizer_end(rn_detokenizer *d, const char **text, size_t *length,
                             rn_error *err)
{
    d->decoding.out.used = 0;
    rn_status st = rn_decoding_end(&d->decoding, err);
    if (!st) show(d, text, length);
    return st;
}

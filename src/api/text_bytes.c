/* The bytes of text behind tokens of which only the tokenizer is known: they are decoded
   document by document, and counted as they are, be they UTF-8 or not. */
#include "api/tokens.h"

#define BLOCK ((size_t)4096) /* ids handled at once */

typedef struct counter {
    const rn_tokenizer *tokenizer;
    rn_detokenizer *text; /* NULL before the first document */
    uint64_t bytes;
} counter;

static rn_status end_document(counter *c, rn_error *err)
{
    const char *text;
    size_t length = 0;
    if (!c->text) return RN_OK;
    rn_status st = rn_detokenizer_end(c->text, &text, &length, err);
    if (!st) c->bytes += length;
    rn_detokenizer_free(c->text);
    c->text = NULL;
    return st;
}

static rn_status count_token(counter *c, int32_t id, bool start, rn_error *err)
{
    const char *text;
    size_t length = 0;
    rn_status st = RN_OK;
    if (start) st = end_document(c, err);
    if (!st && !c->text) {
        st = rn_detokenizer_create(&c->text, c->tokenizer, true, err);
        if (!st) rn_detokenizer_keep_bytes(c->text);
    }
    if (!st) st = rn_detokenizer_put(c->text, id, &text, &length, err);
    if (!st) c->bytes += length;
    return st;
}

/* Blocks overlap by a token, so that each block but the first sees whether its first
   token begins a document. */
rn_status rn_tokens_count_text(rn_tokens *t, const rn_tokenizer *tokenizer, rn_error *err)
{
    counter c = {.tokenizer = tokenizer};
    int32_t ids[BLOCK + 1];
    uint8_t starts[BLOCK + 1];
    rn_status st = RN_OK;
    if (rn_tokens_text_bytes(t)) return RN_OK;
    for (uint64_t at = 0; !st && at < t->count; at += BLOCK) {
        size_t n = t->count - at < BLOCK ? (size_t)(t->count - at) : BLOCK;
        size_t before = at > 0;
        st = rn_tokens_read_documents(t, at - before, n + before, ids, starts, err);
        for (size_t i = before; !st && i < n + before; i++)
            st = count_token(&c, ids[i], starts[i] != 0, err);
    }
    if (!st) st = end_document(&c, err);
    rn_detokenizer_free(c.text);
    if (!st) t->text_bytes = c.bytes;
    return st;
}

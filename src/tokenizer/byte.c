/* The byte tokenizer: 256 ids, id b is the byte b. Nothing is added at the begin or end.
 */
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

#define VOCAB 256

typedef struct byte_tokenizer {
    rn_tokenizer base;
    rn_decoder plain;           /* no steps: bytes one behind the other */
    unsigned char bytes[VOCAB]; /* b at b */
} byte_tokenizer;

static bool detect(const char *name)
{
    return !strcmp(name, "byte");
}

static rn_status open_byte(rn_tokenizer **out, const char *name, rn_error *err)
{
    byte_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return rn_fail_memory(err, name, sizeof *t);
    t->base =
        (rn_tokenizer){.kind = &rn_tokenizer_byte, .decoder = &t->plain, .end_id = -1};
    for (int b = 0; b < VOCAB; b++) t->bytes[b] = (unsigned char)b;
    *out = &t->base;
    return RN_OK;
}

static void free_byte(rn_tokenizer *t)
{
    free(t);
}

static size_t vocab(const rn_tokenizer *t)
{
    (void)t;
    return VOCAB;
}

static rn_status encode(const rn_tokenizer *t, void **work, const void *text,
                        size_t length, unsigned flags, rn_id_list *out, rn_error *err)
{
    (void)t;
    (void)work;
    (void)flags;
    rn_status st = rn_id_list_reserve(out, length, err);
    if (st) return st;
    const unsigned char *in = text;
    for (size_t i = 0; i < length; i++) out->ids[out->count++] = in[i];
    return RN_OK;
}

static bool token(const rn_tokenizer *t, int32_t id, rn_token *out)
{
    if (id < 0 || id >= VOCAB) return false;
    *out = (rn_token){.content = ((const byte_tokenizer *)t)->bytes + id, .length = 1};
    return true;
}

static int32_t find(const rn_tokenizer *t, const void *content, size_t length)
{
    (void)t;
    return length == 1 ? *(const unsigned char *)content : -1;
}

const rn_tokenizer_kind rn_tokenizer_byte = {
    .detect = detect,
    .open = open_byte,
    .free = free_byte,
    .vocab = vocab,
    .encode = encode,
    .token = token,
    .find = find,
    .bytewise = true,
};

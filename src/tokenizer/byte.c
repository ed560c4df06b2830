/* The byte tokenizer: 256 ids, id b is the byte b. Nothing is added at the begin or end.
 */
#include "tokenizer/tokenizer.h"

#include "core/arena.h"

#include <stdlib.h>
#include <string.h>

#define VOCAB 256

typedef struct byte_tokenizer {
    rn_tokenizer base;
    unsigned char bytes[VOCAB]; /* b at b: what piece points into */
} byte_tokenizer;

static bool detect(const char *name)
{
    return !strcmp(name, "byte");
}

static rn_status open_byte(rn_tokenizer **out, const char *name, rn_error *err)
{
    byte_tokenizer *t = malloc(sizeof *t);
    if (!t) return rn_fail_memory(err, name, sizeof *t);
    t->base.kind = &rn_tokenizer_byte;
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

static rn_status encode(const rn_tokenizer *t, const void *text, size_t length,
                        unsigned flags, int32_t **ids, size_t *count, rn_error *err)
{
    (void)t;
    (void)flags;
    size_t bytes;
    if (!rn_mul_size(&bytes, length, sizeof **ids))
        return rn_fail_memory(err, "token ids", length);
    int32_t *made = malloc(bytes ? bytes : 1);
    if (!made) return rn_fail_memory(err, "token ids", bytes);
    const unsigned char *in = text;
    for (size_t i = 0; i < length; i++) made[i] = in[i];
    *ids = made;
    *count = length;
    return RN_OK;
}

static void piece(const rn_tokenizer *t, int32_t id, const void **bytes, size_t *length)
{
    bool inside = id >= 0 && id < VOCAB;
    *bytes = ((const byte_tokenizer *)t)->bytes + (inside ? id : 0);
    *length = inside;
}

const rn_tokenizer_kind rn_tokenizer_byte = {
    .detect = detect,
    .open = open_byte,
    .free = free_byte,
    .vocab = vocab,
    .encode = encode,
    .piece = piece,
    .bytewise = true,
};

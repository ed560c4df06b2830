/*
 * The interface of a tokenizer kind. A new kind is a file with one rn_tokenizer_kind, a
 * row in tokenizer.c and a row in the tests. The public functions are in
 * retnet/tokenizer.h.
 */
#ifndef RN_TOKENIZER_TOKENIZER_H
#define RN_TOKENIZER_TOKENIZER_H

#include "core/error.h"
#include "retnet/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rn_tokenizer_kind {
    /* Whether `name` (a built-in's name or a file) is of this kind. */
    bool (*detect)(const char *name);
    rn_status (*open)(rn_tokenizer **out, const char *name, rn_error *err);
    void (*free)(rn_tokenizer *t);
    size_t (*vocab)(const rn_tokenizer *t);
    /* As rn_tokenizer_encode of retnet/tokenizer.h. */
    rn_status (*encode)(const rn_tokenizer *t, const void *text, size_t length,
                        unsigned flags, int32_t **ids, size_t *count, rn_error *err);
    /* The bytes that one id stands for; none outside the vocabulary. */
    void (*piece)(const rn_tokenizer *t, int32_t id, const void **bytes, size_t *length);
    /* Each id is one byte of the text: it may be encoded in any pieces. */
    bool bytewise;
} rn_tokenizer_kind;

/* What every kind's object begins with. */
struct rn_tokenizer {
    const rn_tokenizer_kind *kind;
};

extern const rn_tokenizer_kind rn_tokenizer_byte;

/* The kind of a name, or NULL. */
const rn_tokenizer_kind *rn_tokenizer_find(const char *name);

#endif

/*
 * The interface of a tokenizer kind. A new kind is a file with one rn_tokenizer_kind, a
 * row in tokenizer.c and a row in the tests. The public functions are in
 * retnet/tokenizer.h.
 */
#ifndef RN_TOKENIZER_TOKENIZER_H
#define RN_TOKENIZER_TOKENIZER_H

#include "retnet/tokenizer.h"
#include "tokenizer/decode.h"
#include "tokenizer/vocab.h"

typedef struct rn_tokenizer_kind {
    /* Whether `name` (a built-in's name or a file) is of this kind. */
    bool (*detect)(const char *name);
    rn_status (*open)(rn_tokenizer **out, const char *name, rn_error *err);
    void (*free)(rn_tokenizer *t);
    size_t (*vocab)(const rn_tokenizer *t);
    /* Appends the ids of a text. *work, NULL at first, is what one thread keeps from text
       to text, freed with free_work. */
    rn_status (*encode)(const rn_tokenizer *t, void **work, const void *text,
                        size_t length, unsigned flags, rn_id_list *out, rn_error *err);
    void (*free_work)(void *work); /* NULL where encode keeps nothing */
    /* False when no token has the id. */
    bool (*token)(const rn_tokenizer *t, int32_t id, rn_token *out);
    int32_t (*find)(const rn_tokenizer *t, const void *content, size_t length);
    /* Each id is one byte of the text: it may be encoded in any pieces. */
    bool bytewise;
} rn_tokenizer_kind;

/* What every kind's object begins with. */
struct rn_tokenizer {
    const rn_tokenizer_kind *kind;
    const rn_decoder *decoder;
    int32_t end_id;       /* or -1 */
    const char *notes[4]; /* what of the file is not done, NULL at the end */
};

extern const rn_tokenizer_kind rn_tokenizer_byte, rn_tokenizer_file;

/* The kind of a name, or NULL. */
const rn_tokenizer_kind *rn_tokenizer_find(const char *name);

/* rn_tokenizer_encode with what a thread keeps from text to text. */
rn_status rn_tokenizer_encode_with(const rn_tokenizer *t, void **work, const void *text,
                                   size_t length, unsigned flags, int32_t **ids,
                                   size_t *count, rn_error *err);

#endif

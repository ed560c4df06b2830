/* The tokens of a vocabulary: content by id, id by content, id by single character. */
#ifndef RN_TOKENIZER_VOCAB_H
#define RN_TOKENIZER_VOCAB_H

#include "tokenizer/lists.h"
#include "tokenizer/utf8.h"

/* Ids and texts beyond these are refused: they keep sums within 32 bits. */
#define RN_VOCAB_MAX ((size_t)1 << 24)

typedef struct rn_token {
    const unsigned char *content; /* as the vocabulary spells it */
    uint32_t length;
    bool special;
} rn_token;

typedef struct rn_vocab_entry {
    uint32_t at, length; /* in text */
    bool present, special;
    bool added; /* only in added_tokens: the model does not know it */
} rn_vocab_entry;

typedef struct rn_vocab {
    rn_bytes text;
    rn_vocab_entry *entries; /* by id */
    size_t count, tokens;    /* one more than the largest id; ids that have a token */
    uint32_t *slots;         /* id + 1 by hash, 0: free */
    size_t slot_count;       /* a power of two, at least twice the tokens */
    uint16_t char_page[0x110000 >> 8];
    int32_t (*char_ids)[256]; /* tokens of one character; page 0 has none */
    size_t char_pages;
} rn_vocab;

/* Room for ids below `count` and for `tokens` tokens in all. */
rn_status rn_vocab_make(rn_vocab *out, size_t count, size_t tokens, rn_error *err);
void rn_vocab_free(rn_vocab *v);

/* RN_EFORMAT, without a file's name, when the id or the content is taken. The id is below
   the count, the number of tokens too. added: the token is no symbol of the model. */
rn_status rn_vocab_add(rn_vocab *v, size_t id, const void *content, size_t length,
                       bool added, rn_error *err);

/* The id of a content, or -1. */
int32_t rn_vocab_find(const rn_vocab *v, const void *content, size_t length);

/* False when no token has the id. */
bool rn_vocab_token(const rn_vocab *v, int64_t id, rn_token *out);

/* The token that is this character alone, or -1. */
static inline int32_t rn_vocab_char(const rn_vocab *v, uint32_t c)
{
    return c >= RN_BAD_BYTE ? -1 : v->char_ids[v->char_page[c >> 8]][c & 0xFFu];
}

#endif

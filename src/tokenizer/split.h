/*
 * Pre-tokenizers of a tokenizer.json: how a piece of text falls into words that do not
 * merge with each other. The expressions of GPT-2, GPT-4, Llama-3 and Qwen-2 are written
 * out here over the classes of unicode.h: exact, and linear in the text. Other
 * expressions go to PCRE2 (regex.h).
 */
#ifndef RN_TOKENIZER_SPLIT_H
#define RN_TOKENIZER_SPLIT_H

#include "tokenizer/regex.h"
#include "tokenizer/unicode.h"

#include <jansson.h>

#define RN_SPLITS_MAX ((size_t)8)

typedef enum rn_splitter {
    RN_SPLITTER_GPT2,
    RN_SPLITTER_TIKTOKEN, /* Llama-3 and its kin: numbers in groups */
    RN_SPLITTER_REGEX,
    RN_SPLITTER_LITERAL
} rn_splitter;

typedef struct rn_split_step {
    enum { RN_SPLIT_METASPACE, RN_SPLIT_BYTES, RN_SPLIT_PATTERN, RN_SPLIT_DIGITS } kind;
    /* Metaspace: the character that stands for a space, where it is put in front. */
    unsigned char mark[4];
    size_t mark_length;
    enum { RN_PREPEND_NEVER, RN_PREPEND_FIRST, RN_PREPEND_ALWAYS } prepend;
    bool split;
    /* ByteLevel: a space in front; whether words are split. */
    bool add_space, words;
    /* Patterns. */
    rn_splitter splitter;
    size_t digits; /* numbers of a group */
    rn_regex *regex;
    unsigned char literal[64];
    size_t literal_length;
    bool drop_matches, drop_gaps;
    /* Digits. */
    bool single;
} rn_split_step;

typedef struct rn_presplit {
    rn_split_step steps[RN_SPLITS_MAX];
    size_t count;
    bool byte_level; /* the last step's words are bytes */
} rn_presplit;

/* json: the value of "pre_tokenizer", NULL or null for none. */
rn_status rn_presplit_read(rn_presplit *out, const json_t *json, const char *path,
                           rn_error *err);
void rn_presplit_free(rn_presplit *p);

typedef rn_status (*rn_word_taker)(void *user, const unsigned char *word, size_t length,
                                   rn_error *err);

/* Buffers of the steps that change the text. Zeroed at first. */
typedef struct rn_split_room {
    rn_bytes text[RN_SPLITS_MAX];
} rn_split_room;

/* Hands the words of a piece to `take`, in order; none is empty. `first`: the piece
   begins the text. */
rn_status rn_presplit_run(const rn_presplit *p, const rn_classes *classes,
                          rn_split_room *room, const unsigned char *piece, size_t length,
                          bool first, rn_word_taker take, void *user, rn_error *err);
void rn_split_room_free(rn_split_room *room);

/* The end of the word that begins at `at` < length, by a written-out splitter. */
size_t rn_split_gpt2(const rn_classes *t, const unsigned char *p, size_t length,
                     size_t at);
size_t rn_split_tiktoken(const rn_classes *t, const unsigned char *p, size_t length,
                         size_t at, size_t digits);

#endif

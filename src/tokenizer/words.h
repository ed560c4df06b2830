/* Distinct words and how often each came: a hash table that owns their bytes. */
#ifndef RN_TOKENIZER_WORDS_H
#define RN_TOKENIZER_WORDS_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct rn_word {
    uint64_t hash, count;
    size_t at; /* in bytes */
    uint32_t length;
} rn_word;

/* Zeroed at first. */
typedef struct rn_words {
    rn_word *words;
    size_t count, room;
    unsigned char *bytes;
    size_t used, bytes_room;
    uint32_t *slots; /* index + 1, or 0 */
    size_t slot_count;
} rn_words;

#define RN_WORD_NONE SIZE_MAX

/* Adds `count` to the word, which is new with 0. *index (NULL is allowed) is its place.
   RN_ENOMEM, also past 2^31 words. */
rn_status rn_words_add(rn_words *w, const void *bytes, size_t length, uint64_t count,
                       size_t *index, rn_error *err);

/* The place of a word, or RN_WORD_NONE. */
size_t rn_words_find(const rn_words *w, const void *bytes, size_t length);

/* All words of `from` with their counts. */
rn_status rn_words_merge(rn_words *w, const rn_words *from, rn_error *err);

/* Drops the words that came at most `least` times. */
rn_status rn_words_prune(rn_words *w, uint64_t least, rn_error *err);

/* Empties it and keeps the memory; gives the memory back. */
void rn_words_clear(rn_words *w);
void rn_words_free(rn_words *w);

#endif

/*
 * Byte pair encoding of one stretch of text (Gage 1994; Sennrich et al., ACL 2016): the
 * neighbours of the lowest rank become one token, the leftmost first, until no
 * neighbours have a rank. Symbols at the start are characters, or at byte level bytes.
 */
#ifndef RN_TOKENIZER_BPE_H
#define RN_TOKENIZER_BPE_H

#include "tokenizer/merges.h"
#include "tokenizer/vocab.h"

#include <stdbool.h>

typedef struct rn_bpe {
    rn_vocab vocab;
    rn_merges merges;
    bool byte_level;         /* each byte is the character that stands for it */
    int32_t byte_chars[256]; /* their ids, -1: not in the vocabulary */
    bool byte_fallback;      /* unknown characters are tokens <0xNN> */
    int32_t byte_ids[256];
    char *unk_token; /* or NULL: what is unknown vanishes */
    int32_t unk;     /* -1: not in the vocabulary, which shows when it is needed */
    bool fuse_unk, ignore_merges;
    /* Where a text can be cut: neighbours of characters that no token holds side by side
       never merge across. A bit a pair by its hash; NULL: texts are not cut. */
    uint64_t *pairs;
    bool cut_unknown; /* unknown characters merge with nothing */
} rn_bpe;

/* What one thread encodes with; zeroed at first, kept from word to word. */
typedef struct rn_bpe_work rn_bpe_work;
rn_status rn_bpe_work_make(rn_bpe_work **out, rn_error *err);
void rn_bpe_work_free(rn_bpe_work *w);

/* The character that stands for each byte at byte level, and back (-1: none). */
uint32_t rn_byte_char(unsigned char byte);
int rn_byte_of_char(uint32_t c);

/* Fills byte_chars, byte_ids, unk, pairs and cut_unknown. Merges, flags and the model's
   own tokens are there, added tokens are not yet. */
rn_status rn_bpe_prepare(rn_bpe *b, rn_error *err);
void rn_bpe_free(rn_bpe *b);

/* Appends the ids of one word. */
rn_status rn_bpe_encode(const rn_bpe *b, rn_bpe_work *w, const unsigned char *word,
                        size_t length, rn_id_list *out, rn_error *err);

#endif

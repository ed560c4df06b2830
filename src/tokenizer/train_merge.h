/* The second half of training: from counted words to tokens and merges. */
#ifndef RN_TOKENIZER_TRAIN_MERGE_H
#define RN_TOKENIZER_TRAIN_MERGE_H

#include "retnet/tokenizer.h"
#include "tokenizer/words.h"

#include <stdbool.h>

#define RN_TRAIN_TOKEN_BYTES ((size_t)256)

/* Left and right token of a merge, in the order of rank. */
typedef struct rn_train_rule {
    uint32_t left, right;
} rn_train_rule;

/* Tokens as the file spells them: token i is word i, and its count is 1 where text can
   contain it, else 0 (special tokens, and the bytes of sentencepiece). */
typedef struct rn_train_model {
    rn_words tokens;
    rn_train_rule *rules;
    size_t rule_count, rule_room;
} rn_train_model;

/* Zeroed at first. */
void rn_train_model_free(rn_train_model *m);

/* The tokens before any merge; RN_EINVAL where they are too many or cannot be. */
rn_status rn_train_alphabet(rn_train_model *m, const rn_words *words,
                            const rn_tokenizer_training *how, rn_error *err);

/* A symbol that nothing is merged with. */
#define RN_TRAIN_NONE UINT32_MAX

/* The symbols of all words: those of word i are ids[begin[i]] .. ids[begin[i + 1] - 1].
 */
typedef struct rn_train_symbols {
    uint32_t *ids;
    size_t *begin;
} rn_train_symbols;

rn_status rn_train_symbols_make(rn_train_symbols *s, const rn_train_model *m,
                                const rn_words *words, rn_tokenizer_style style,
                                rn_error *err);
void rn_train_symbols_free(rn_train_symbols *s);

/* Merges until the model has how->vocab tokens or no pair is left. Changes the symbols.
 *tokens: how many the words are then. */
rn_status rn_train_merge(rn_train_model *m, rn_train_symbols *s, const rn_words *words,
                         const rn_tokenizer_training *how, uint64_t *tokens,
                         rn_error *err);

#endif

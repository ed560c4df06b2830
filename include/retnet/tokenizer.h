/* Tokenizers: text to token ids and back. */
#ifndef RETNET_TOKENIZER_H
#define RETNET_TOKENIZER_H

#include "retnet/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** May be used by several threads at once. */
typedef struct rn_tokenizer rn_tokenizer;

/**
 * name: "byte" (256 ids, one a byte), or a tokenizer.json of Hugging Face's layout, or a
 * folder that has one. RN_ENOTFOUND for a file that is not there, RN_EFORMAT or
 * RN_EUNSUPPORTED for one that is damaged or asks for what is not supported: the message
 * names the file and the field.
 */
rn_status rn_tokenizer_open(rn_tokenizer **out, const char *name, rn_error *err);
void rn_tokenizer_free(rn_tokenizer *t);

/** The tokenizer that a model brings: the tokenizer.json in its folder, or beside the
   file that the model is, or inside of a GGUF file. RN_ENOTFOUND where there is none. */
rn_status rn_tokenizer_open_of_model(rn_tokenizer **out, const char *model,
                                     rn_error *err);

/** One more than the largest id. */
size_t rn_tokenizer_vocab(const rn_tokenizer *t);

/** Whether each id is one byte of the text, as with "byte". */
bool rn_tokenizer_bytewise(const rn_tokenizer *t);

/** How text is encoded; flags that may be joined. */
enum {
    RN_ENCODE_SPECIAL = 1, /**< with the ids that the post-processor puts around a text */
    RN_ENCODE_PLAIN = 2    /**< the text of a special token is text like any other */
};

/**
 * Ids of `length` bytes of text, *ids freed with free(). Any bytes are accepted: one that
 * is part of no UTF-8 character is a character of its own, no letter, number or blank,
 * that becomes the vocabulary's token for this byte (else its unk_token, else nothing).
 */
rn_status rn_tokenizer_encode(const rn_tokenizer *t, const void *text, size_t length,
                              unsigned flags, int32_t **ids, size_t *count,
                              rn_error *err);

/**
 * Ids of `count` texts at once, the same as one by one, over `threads` threads (0: 1).
 * ids[i] and counts[i] are filled for every text, each ids[i] freed with free(); none is
 * set on failure.
 */
rn_status rn_tokenizer_encode_batch(const rn_tokenizer *t, const char *const *texts,
                                    const size_t *lengths, size_t count, unsigned flags,
                                    int threads, int32_t **ids, size_t *counts,
                                    rn_error *err);

/** The text of ids, *text freed with free(), ended by a 0 that *length does not count.
    Ids that no token has are skipped, special tokens too where skip_special. */
rn_status rn_tokenizer_decode(const rn_tokenizer *t, const int32_t *ids, size_t count,
                              bool skip_special, char **text, size_t *length,
                              rn_error *err);

/** The same without U+FFFD for what is no UTF-8: what was encoded comes back byte for
   byte where the tokenizer keeps it (no normalizer, all bytes in the vocabulary). */
rn_status rn_tokenizer_decode_bytes(const rn_tokenizer *t, const int32_t *ids,
                                    size_t count, bool skip_special, char **bytes,
                                    size_t *length, rn_error *err);

/** Copies a tokenizer's file, as tokenizer.json, and the tokenizer_config.json beside it
    into a folder. Does nothing for a built-in's name. */
rn_status rn_tokenizer_copy(const char *name, const char *folder, rn_error *err);

/** Sentence `index` on what of the tokenizer's file is left out ("padding is ignored:
    ..."), for a warning; NULL past the last. Owned by the tokenizer. */
const char *rn_tokenizer_note(const rn_tokenizer *t, size_t index);

/** The token with exactly this content, as the vocabulary spells it, or -1. */
int32_t rn_tokenizer_find_id(const rn_tokenizer *t, const char *content, size_t length);

/** The id that ends a text or document, or -1: eos_token of a tokenizer_config.json
   beside the tokenizer.json, else the first of the usual names that is a special token.
 */
int32_t rn_tokenizer_end_id(const rn_tokenizer *t);

/**
 * Decoding id by id: what comes out, joined, is the text that rn_tokenizer_decode gives
 * for all ids at once. Text comes out as soon as no later id can change it, so it may
 * hold back the bytes of an unfinished character.
 */
typedef struct rn_detokenizer rn_detokenizer;
rn_status rn_detokenizer_create(rn_detokenizer **out, const rn_tokenizer *t,
                                bool skip_special, rn_error *err);
void rn_detokenizer_free(rn_detokenizer *d);

/** Before the first id: bytes come as they are, as from rn_tokenizer_decode_bytes. */
void rn_detokenizer_keep_bytes(rn_detokenizer *d);

/** *text is owned by the detokenizer and valid until the next call. */
rn_status rn_detokenizer_put(rn_detokenizer *d, int32_t id, const char **text,
                             size_t *length, rn_error *err);

/** Bytes that are held back. */
size_t rn_detokenizer_held(const rn_detokenizer *d);

/** What was held back. */
rn_status rn_detokenizer_end(rn_detokenizer *d, const char **text, size_t *length,
                             rn_error *err);

/** What a trained tokenizer is like. */
typedef enum rn_tokenizer_style {
    RN_STYLE_BYTE_BPE,     /**< words by GPT-2's expression, symbols are bytes */
    RN_STYLE_SENTENCEPIECE /**< U+2581 for blanks, characters, bytes for rare ones */
} rn_tokenizer_style;

/** The name of a style, "byte-bpe" or "sentencepiece"; NULL past the end. */
const char *rn_tokenizer_style_name(size_t index);

/** What training is at: counting words (in bytes of text), then merging (in tokens). */
typedef enum rn_training_stage { RN_STAGE_COUNT, RN_STAGE_MERGE } rn_training_stage;

typedef struct rn_tokenizer_training {
    size_t vocab; /**< ids in all, at most RN_TRAINING_MAX_VOCAB */
    rn_tokenizer_style style;
    /** Special tokens, which get the first ids (behind <unk>, <s>, </s> and the bytes in
        sentencepiece); their text is no text to learn from. UTF-8, two characters or
        more. */
    const char *const *special;
    size_t special_count;
    int threads; /**< 0: 1; the result does not depend on it */
    /** Distinct words kept (0: eight million): beyond it the rarest are forgotten. */
    size_t max_words;
    /** NULL, or told how far it is (total 0: unknown); true stops: RN_EINTERRUPTED. */
    bool (*progress)(void *user, rn_training_stage stage, uint64_t done, uint64_t total);
    void *user;
} rn_tokenizer_training;

#define RN_TRAINING_MAX_VOCAB ((size_t)1 << 20)

/** What came out of it. */
typedef struct rn_tokenizer_trained {
    uint64_t texts, bytes; /**< that were read */
    uint64_t words;        /**< in them, each as often as it came */
    uint64_t tokens;       /**< that the words which were merged in are now */
    size_t distinct_words; /**< that were merged in */
    size_t vocab, merges;  /**< vocab is smaller than asked for where the text is too */
} rn_tokenizer_trained;

/**
 * Byte-pair encoding trained on texts (retnet/text.h) and written as a tokenizer.json at
 * `out_path`, whole or not at all. The pair that is adjacent most often is merged first;
 * among equals the one with the lower left id, then the lower right id. Tokens are at
 * most 256 bytes long, as the file spells them. RN_EINVAL for a vocabulary that is too
 * small for its style and for special tokens that cannot be. report: NULL is allowed.
 */
struct rn_texts;
rn_status rn_tokenizer_train(const char *out_path, struct rn_texts *texts,
                             const rn_tokenizer_training *how,
                             rn_tokenizer_trained *report, rn_error *err);

#ifdef __cplusplus
}
#endif
#endif

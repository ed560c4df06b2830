/* A tokenizer.json of Hugging Face's layout: what it says, read into the parts that do
   it. */
#ifndef RN_TOKENIZER_FILE_H
#define RN_TOKENIZER_FILE_H

#include "tokenizer/added.h"
#include "tokenizer/bpe.h"
#include "tokenizer/split.h"
#include "tokenizer/tokenizer.h"

typedef struct rn_file_tokenizer {
    rn_tokenizer base;
    rn_classes classes;
    rn_added raw, normal; /* added tokens of the text, and of the normalised text */
    rn_normalizer normalizer;
    rn_presplit presplit;
    rn_bpe bpe;
    rn_id_list before, after; /* ids that the post-processor puts around a text */
    rn_decoder decoder;
} rn_file_tokenizer;

/* Fills a zeroed one; rn_file_tokenizer_free also after a failure. */
rn_status rn_file_tokenizer_read(rn_file_tokenizer *t, const char *path, rn_error *err);
void rn_file_tokenizer_free(rn_file_tokenizer *t);

/* The parts of the reading. `path` names the file in messages. */
rn_status rn_file_read_model(rn_file_tokenizer *t, const json_t *json, const char *path,
                             rn_error *err);
rn_status rn_file_read_added(rn_file_tokenizer *t, const json_t *json, const char *path,
                             rn_error *err);
rn_status rn_file_read_post(rn_file_tokenizer *t, const json_t *json, const char *path,
                            rn_error *err);

/* Puts "PATH: " before a message that lacks it. Returns st. */
rn_status rn_file_blame(rn_error *err, rn_status st, const char *path);

#endif

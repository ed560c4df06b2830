/* A trained tokenizer as a tokenizer.json of Hugging Face's layout. */
#ifndef RN_TOKENIZER_TRAIN_WRITE_H
#define RN_TOKENIZER_TRAIN_WRITE_H

#include "tokenizer/train_merge.h"

/* Whole or not at all. */
rn_status rn_train_write(const char *path, const rn_train_model *m,
                         const rn_tokenizer_training *how, rn_error *err);

#endif

/* The first half of training: the distinct words of all texts, with their counts. */
#ifndef RN_TOKENIZER_TRAIN_COUNT_H
#define RN_TOKENIZER_TRAIN_COUNT_H

#include "retnet/text.h"
#include "retnet/tokenizer.h"
#include "tokenizer/words.h"

/* Reads the texts to their end. Words keep their spaces as U+0020. */
rn_status rn_train_count(rn_words *words, rn_texts *texts,
                         const rn_tokenizer_training *how, rn_tokenizer_trained *report,
                         rn_error *err);

#endif

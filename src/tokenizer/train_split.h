/* Text cut into the words that training counts; GPT-2's words are those of split.h. */
#ifndef RN_TOKENIZER_TRAIN_SPLIT_H
#define RN_TOKENIZER_TRAIN_SPLIT_H

#include "tokenizer/unicode.h"

/* The character that stands for a blank in sentencepiece. */
#define RN_TRAIN_MARK 0x2581u

/* Whether a character of sentencepiece may have a token: control characters and bytes
   outside characters may not. */
static inline bool rn_train_is_letter(uint32_t c)
{
    return c >= 0x20 && c != 0x7f && c < RN_BAD_BYTE;
}

/* The end of the word that begins at `at` < length: blanks (U+0020 or U+2581), then what
   is none. A character that has no token is a word by itself. */
size_t rn_train_split_blanks(const unsigned char *text, size_t length, size_t at);

/* Whether a word begins at `at`, 0 < at < length, in both styles, whatever comes before
   the character in front of it. */
bool rn_train_split_border(const rn_classes *classes, const unsigned char *text,
                           size_t at);

#endif

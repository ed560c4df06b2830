/* Text cut into the words that training counts. */
#ifndef RN_TOKENIZER_TRAIN_SPLIT_H
#define RN_TOKENIZER_TRAIN_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

/* A word of more bytes is cut: nothing is to be learned from it. */
#define RN_TRAIN_SPLIT_MAX ((size_t)4096)

/* The end of the word that begins at `at`, below `length`, by GPT-2's expression: 's 't
   're 've 'm 'll 'd, letters, numbers, or others behind at most one space, or blanks. A
   byte that is no UTF-8 counts as a character that is none of these. */
size_t rn_train_split_gpt2(const unsigned char *text, size_t length, size_t at);

/* The same by blanks: a word is spaces (U+0020 or U+2581), then what is none. Control
   characters and bytes that are no UTF-8 are words by themselves. */
size_t rn_train_split_blanks(const unsigned char *text, size_t length, size_t at);

/* Whether both splitters begin a word at `at` (0 < at < length) whatever comes before the
   character in front of it. */
bool rn_train_split_border(const unsigned char *text, size_t length, size_t at);

/* Bytes of the character at `at`, 1..4, and its code point, or -1 for a byte that is no
   UTF-8. */
size_t rn_train_split_char(const unsigned char *text, size_t length, size_t at,
                           int *code);

#endif

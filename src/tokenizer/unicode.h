/*
 * What tokenizers ask of Unicode, the same with every version of the libraries beside us:
 * the classes of Unicode 16.0 that split words, and NFC as Unicode 9.0 has it, in which
 * younger characters do not take part.
 */
#ifndef RN_TOKENIZER_UNICODE_H
#define RN_TOKENIZER_UNICODE_H

#include "tokenizer/lists.h"
#include "tokenizer/utf8.h"

typedef enum rn_class {
    RN_CLASS_OTHER,
    RN_CLASS_LETTER, /* \p{L} */
    RN_CLASS_NUMBER, /* \p{N} */
    RN_CLASS_BLANK   /* \s */
} rn_class;

/* Beside the class: whether NFC treats the character at all, and whether it can make a
   difference: without one of those a text is in NFC. */
enum { RN_CLASS_MASK = 3, RN_NFC_TREATED = 4, RN_NFC_CHANGING = 8 };

/* Classes and flags by code point: equal pages of 256 are kept once. */
typedef struct rn_classes {
    uint16_t page_of[0x110000 >> 8];
    unsigned char (*pages)[256];
    size_t count;
} rn_classes;

rn_status rn_classes_make(rn_classes *out, rn_error *err);
void rn_classes_free(rn_classes *c);

/* Of any value of rn_utf8_next: bytes outside characters are RN_CLASS_OTHER. */
static inline unsigned rn_class_flags(const rn_classes *t, uint32_t c)
{
    return c >= RN_BAD_BYTE ? 0u : t->pages[t->page_of[c >> 8]][c & 0xFFu];
}

static inline rn_class rn_class_of(const rn_classes *t, uint32_t c)
{
    return (rn_class)(rn_class_flags(t, c) & RN_CLASS_MASK);
}

/* Letters, marks, decimal digits, letter-like numbers, connector punctuation, joiners. */
bool rn_is_word(const rn_classes *t, uint32_t c);

/* Appends NFC of the text; bytes outside characters stay as they are. */
rn_status rn_nfc(const rn_classes *t, rn_bytes *out, const unsigned char *text,
                 size_t length, rn_error *err);

#endif

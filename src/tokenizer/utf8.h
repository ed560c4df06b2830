/* UTF-8, strict: no overlong forms, no surrogates, nothing above 10FFFF. A byte that is
   part of no character counts as a character of its own, outside Unicode. */
#ifndef RN_TOKENIZER_UTF8_H
#define RN_TOKENIZER_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point of a byte that belongs to no character: this plus the byte. */
#define RN_BAD_BYTE 0x110000u

static inline bool rn_utf8_follows(unsigned char byte)
{
    return (byte & 0xC0u) == 0x80u;
}

/* The same for characters of three and four bytes. */
size_t rn_utf8_next_long(const unsigned char *p, size_t left, uint32_t *c);

/* Length of the character at p, of `left` >= 1 bytes, and its code point. */
static inline size_t rn_utf8_next(const unsigned char *p, size_t left, uint32_t *c)
{
    if (p[0] < 0x80) {
        *c = p[0];
        return 1;
    }
    if (p[0] >= 0xC2 && p[0] <= 0xDF && left > 1 && rn_utf8_follows(p[1])) {
        *c = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
        return 2;
    }
    return rn_utf8_next_long(p, left, c);
}

/* Start of the character that ends before p + at, at >= 1. */
size_t rn_utf8_before(const unsigned char *p, size_t at, uint32_t *c);

/* Bytes of the character c below 110000 at out, 1..4. */
size_t rn_utf8_put(unsigned char out[4], uint32_t c);

bool rn_utf8_valid(const unsigned char *p, size_t length);

/* Checking UTF-8 a byte at a time. Of a broken sequence each maximal part becomes one
   U+FFFD (the practice of the WHATWG Encoding standard). Zeroed at first. */
typedef struct rn_utf8_part {
    unsigned char bytes[4];
    unsigned used, need; /* bytes so far and in all */
} rn_utf8_part;

/* Hands the next byte in; writes what is then certain to out, at most 6 bytes, and
   returns its length. */
size_t rn_utf8_check(rn_utf8_part *part, unsigned char byte, unsigned char out[8]);

/* The end of the text: U+FFFD for a part that was left. */
size_t rn_utf8_check_end(rn_utf8_part *part, unsigned char out[8]);

#endif

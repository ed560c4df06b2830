/* UTF-8; see utf8.h. */
#include "tokenizer/utf8.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* Bytes of the character that begins with `first`, 0: none does, and the bounds of its
   second byte, which exclude overlong forms, surrogates and what is above 10FFFF. */
static unsigned begins(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4) return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

size_t rn_utf8_next_long(const unsigned char *p, size_t left, uint32_t *c)
{
    unsigned char low, high;
    unsigned need = begins(p[0], &low, &high);
    *c = RN_BAD_BYTE + p[0];
    if (need < 2 || left < need || p[1] < low || p[1] > high) return 1;
    uint32_t point = need == 2 ? p[0] & 0x1Fu : need == 3 ? p[0] & 0x0Fu : p[0] & 0x07u;
    for (unsigned i = 1; i < need; i++) {
        if (!rn_utf8_follows(p[i])) return 1;
        point = point << 6 | (p[i] & 0x3Fu);
    }
    *c = point;
    return need;
}

size_t rn_utf8_before(const unsigned char *p, size_t at, uint32_t *c)
{
    for (size_t back = 2; back <= 4 && back <= at; back++) {
        if (p[at - back] < 0xC0) continue;
        if (rn_utf8_next(p + at - back, back, c) == back) return at - back;
        break;
    }
    rn_utf8_next(p + at - 1, 1, c);
    return at - 1;
}

size_t rn_utf8_put(unsigned char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (unsigned char)(0x80u | (c & 0x3Fu));
    out[0] = (unsigned char)(0xF00u >> n | c);
    return n;
}

bool rn_utf8_valid(const unsigned char *p, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t c;
        at += rn_utf8_next(p + at, length - at, &c);
        if (c >= RN_BAD_BYTE) return false;
    }
    return true;
}

size_t rn_utf8_check_end(rn_utf8_part *part, unsigned char out[8])
{
    if (!part->used) return 0;
    part->used = 0;
    memcpy(out, REPLACEMENT, 3);
    return 3;
}

/* Whether `byte` can follow what there is of the character. */
static bool continues(const rn_utf8_part *part, unsigned char byte)
{
    unsigned char low = 0x80, high = 0xBF;
    if (part->used == 1) begins(part->bytes[0], &low, &high);
    return byte >= low && byte <= high;
}

size_t rn_utf8_check(rn_utf8_part *part, unsigned char byte, unsigned char out[8])
{
    size_t n = 0;
    unsigned char low, high;
    if (part->used && continues(part, byte)) {
        part->bytes[part->used++] = byte;
        if (part->used < part->need) return 0;
        n = part->used;
        memcpy(out, part->bytes, n);
        part->used = 0;
        return n;
    }
    n = rn_utf8_check_end(part, out);
    part->need = begins(byte, &low, &high);
    if (part->need == 1) {
        out[n++] = byte;
    } else if (part->need) {
        part->bytes[0] = byte;
        part->used = 1;
    } else {
        memcpy(out + n, REPLACEMENT, 3);
        n += 3;
    }
    return n;
}

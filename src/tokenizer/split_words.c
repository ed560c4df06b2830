/*
 * The expressions of GPT-2 and of tiktoken's kind (Llama-3, GPT-4, Qwen-2), written out:
 * each branch takes what its alternative of the expression takes, in that order.
 */
#include "tokenizer/split.h"

/* What lies at one place of a text. */
typedef struct spot {
    uint32_t c;
    rn_class class;
    size_t next;
} spot;

static inline spot look(const rn_classes *t, const unsigned char *p, size_t length,
                        size_t at)
{
    spot s;
    s.next = at + rn_utf8_next(p + at, length - at, &s.c);
    s.class = rn_class_of(t, s.c);
    return s;
}

/* The end of the characters of a class that begin at `at`, at most `most` of them. */
static inline size_t run_end(const rn_classes *t, const unsigned char *p, size_t length,
                             size_t at, rn_class class, size_t most)
{
    for (; at < length && most > 0; most--) {
        spot s = look(t, p, length, at);
        if (s.class != class) break;
        at = s.next;
    }
    return at;
}

/* \s+(?!\S)|\s+ at a blank: all blanks at the end of the text; else they leave the last
   one to what follows, unless it is the only one. */
static size_t blanks_end(const rn_classes *t, const unsigned char *p, size_t length,
                         size_t at)
{
    uint32_t c;
    size_t end = run_end(t, p, length, at, RN_CLASS_BLANK, SIZE_MAX);
    if (end == length) return end;
    size_t last = rn_utf8_before(p, end, &c);
    return last > at ? last : end;
}

static bool is_any(unsigned char c, const char *of)
{
    return c && strchr(of, c) != NULL;
}

/* 's 't 'm 'd and 're 've 'll behind the apostrophe at `at`: their end, or `at`. */
static size_t contraction_end(const unsigned char *p, size_t length, size_t at)
{
    const size_t left = length - at;
    if (left >= 2 && is_any(p[at + 1], "stmd")) return at + 2;
    if (left < 3) return at;
    if (p[at + 2] == 'e' && is_any(p[at + 1], "rv")) return at + 3;
    return p[at + 1] == 'l' && p[at + 2] == 'l' ? at + 3 : at;
}

size_t rn_split_gpt2(const rn_classes *t, const unsigned char *p, size_t length,
                     size_t at)
{
    if (p[at] == '\'') {
        size_t end = contraction_end(p, length, at);
        if (end > at) return end;
    }
    const size_t begin = p[at] == ' ' ? at + 1 : at;
    if (begin < length) {
        spot s = look(t, p, length, begin);
        if (s.class != RN_CLASS_BLANK)
            return run_end(t, p, length, s.next, s.class, SIZE_MAX);
    }
    return blanks_end(t, p, length, at);
}

/* The same with capitals, and U+017F for s, which Unicode folds to it. */
static size_t folded_contraction_end(const unsigned char *p, size_t length, size_t at)
{
    unsigned char low[3] = {p[at], 0, 0};
    for (size_t i = 1; i < 3 && at + i < length; i++) {
        unsigned char c = p[at + i];
        low[i] = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
    }
    if (low[1] == 0xC5 && low[2] == 0xBF) return at + 3;
    size_t left = length - at < 3 ? length - at : 3;
    return at + contraction_end(low, left, 0);
}

/* \s*[\r\n]+ at a blank: the end of the last line break among the blanks, or `at`. */
static size_t breaks_end(const rn_classes *t, const unsigned char *p, size_t length,
                         size_t at)
{
    size_t end = at;
    while (at < length) {
        spot s = look(t, p, length, at);
        if (s.class != RN_CLASS_BLANK) break;
        at = s.next;
        if (s.c == '\r' || s.c == '\n') end = at;
    }
    return end;
}

size_t rn_split_tiktoken(const rn_classes *t, const unsigned char *p, size_t length,
                         size_t at, size_t digits)
{
    spot s = look(t, p, length, at), next = {.class = RN_CLASS_OTHER};
    if (s.c == '\'') {
        size_t end = folded_contraction_end(p, length, at);
        if (end > at) return end;
    }
    if (s.class == RN_CLASS_LETTER || s.class == RN_CLASS_NUMBER)
        return run_end(t, p, length, at, s.class,
                       s.class == RN_CLASS_NUMBER ? digits : SIZE_MAX);
    if (s.next < length) next = look(t, p, length, s.next);
    if (s.c != '\r' && s.c != '\n' && next.class == RN_CLASS_LETTER)
        return run_end(t, p, length, next.next, RN_CLASS_LETTER, SIZE_MAX);
    const bool spaced = s.c == ' ' && s.next < length && next.class == RN_CLASS_OTHER;
    if (spaced || s.class == RN_CLASS_OTHER) {
        size_t end = run_end(t, p, length, s.next, RN_CLASS_OTHER, SIZE_MAX);
        while (end < length && (p[end] == '\r' || p[end] == '\n')) end++;
        return end;
    }
    size_t end = breaks_end(t, p, length, at);
    return end > at ? end : blanks_end(t, p, length, at);
}

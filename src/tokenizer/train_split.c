/* The two ways of cutting text, by hand instead of by a regular expression: linear in the
   text, and each word depends only on what follows it. */
#include "tokenizer/train_split.h"

#include <string.h>
#include <utf8proc.h>

typedef enum kind { OTHER, BLANK, LETTER, NUMBER } kind;

enum { SPACE_MARK = 0x2581 };

size_t rn_train_split_char(const unsigned char *text, size_t length, size_t at, int *code)
{
    utf8proc_int32_t c = text[at];
    utf8proc_ssize_t n = 1;
    if (c >= 0x80) {
        size_t rest = length - at;
        n = utf8proc_iterate(text + at, rest < 4 ? (utf8proc_ssize_t)rest : 4, &c);
    }
    *code = n > 0 ? (int)c : -1;
    return n > 0 ? (size_t)n : 1;
}

static bool is_blank(int code)
{
    if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13);
    return code == 0x85 || code == 0xa0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
           code == 0x202f || code == 0x205f || code == 0x3000;
}

static kind kind_of(int code)
{
    if (code < 0) return OTHER;
    if (is_blank(code)) return BLANK;
    if (code < 0x80) {
        if (code >= '0' && code <= '9') return NUMBER;
        int lower = code | 0x20;
        return lower >= 'a' && lower <= 'z' ? LETTER : OTHER;
    }
    utf8proc_category_t c = utf8proc_category(code);
    if (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) return LETTER;
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO ? NUMBER : OTHER;
}

static kind kind_at(const unsigned char *text, size_t length, size_t at, size_t *size)
{
    int code;
    *size = rn_train_split_char(text, length, at, &code);
    return kind_of(code);
}

/* Bytes of 's 't 'm 'd 're 've 'll, or 0. */
static size_t contraction(const unsigned char *text, size_t rest)
{
    if (rest < 2 || text[0] != '\'') return 0;
    if (strchr("stmd", text[1]) && text[1]) return 2;
    if (rest < 3) return 0;
    const unsigned char a = text[1], b = text[2];
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3
                                                                                      : 0;
}

/* The end of characters of one kind; *last is where the last of them begins. */
static size_t run_of(const unsigned char *text, size_t length, size_t at, kind want,
                     size_t *last)
{
    size_t begin = at, size;
    while (at < length && at - begin < RN_TRAIN_SPLIT_MAX &&
           kind_at(text, length, at, &size) == want) {
        *last = at;
        at += size;
    }
    return at;
}

size_t rn_train_split_gpt2(const unsigned char *text, size_t length, size_t at)
{
    size_t size, last = at, n = contraction(text + at, length - at);
    if (n) return at + n;
    kind k = kind_at(text, length, at, &size);
    if (text[at] == ' ' && at + 1 < length) {
        kind next = kind_at(text, length, at + 1, &size);
        if (next != BLANK) return run_of(text, length, at + 1, next, &last);
    }
    size_t end = run_of(text, length, at, k, &last);
    /* The last of several blanks goes to what follows. */
    return k == BLANK && end < length && last > at ? last : end;
}

static bool is_space(int code)
{
    return code == ' ' || code == SPACE_MARK;
}

static bool is_apart(int code)
{
    return code < 0x20 || code == 0x7f;
}

size_t rn_train_split_blanks(const unsigned char *text, size_t length, size_t at)
{
    size_t begin = at;
    bool inside = false;
    while (at < length && at - begin < RN_TRAIN_SPLIT_MAX) {
        int code;
        size_t size = rn_train_split_char(text, length, at, &code);
        if (is_apart(code)) return at > begin ? at : at + size;
        if (is_space(code) && inside) break;
        inside = !is_space(code);
        at += size;
    }
    return at;
}

bool rn_train_split_border(const unsigned char *text, size_t length, size_t at)
{
    if (text[at] != ' ' && text[at] != '\n') return false;
    size_t begin = at - 1;
    while (begin > 0 && at - begin < 4 && (text[begin] & 0xc0) == 0x80) begin--;
    int code;
    size_t size = rn_train_split_char(text, length, begin, &code);
    bool whole = begin + size == at && code >= 0;
    return whole && !is_blank(code) && code != SPACE_MARK;
}

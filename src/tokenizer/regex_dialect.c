/* From Oniguruma's dialect to PCRE2's; see regex_dialect.h. */
#include "tokenizer/regex_dialect.h"

#include <stdbool.h>

/* White_Space; PCRE2's own \s has U+180E as well. */
#define BLANKS                                                                           \
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}"   \
    "\\x{202F}\\x{205F}\\x{3000}"

typedef struct reader {
    const char *p;
    size_t length, at;
    size_t set; /* where the set that is open begins, plus 1; 0: none is */
    const char *path;
    rn_error *err;
} reader;

static char peek(const reader *r, size_t ahead)
{
    return ahead < r->length - r->at ? r->p[r->at + ahead] : '\0';
}

static rn_status refuse(const reader *r, const char *what)
{
    return rn_fail(r->err, RN_EUNSUPPORTED,
                   "%s: the expression at byte %zu: %s is not supported", r->path, r->at,
                   what);
}

static rn_status put(const reader *r, rn_bytes *out, const char *text)
{
    return rn_bytes_put(out, text, strlen(text), r->err);
}

/* A backslash and what follows it. */
static rn_status read_escape(reader *r, rn_bytes *out)
{
    const char c = peek(r, 1);
    rn_status st;
    if (c == 'h' || c == 'H') return refuse(r, "\\h");
    if (c == 'Q' || c == 'E') return refuse(r, "\\Q");
    if (c == 'S' && r->set) return refuse(r, "\\S in a set");
    if (c == 's') st = put(r, out, r->set ? BLANKS : "[" BLANKS "]");
    else if (c == 'S') st = put(r, out, "[^" BLANKS "]");
    else st = rn_bytes_put(out, r->p + r->at, c ? 2 : 1, r->err);
    r->at += c ? 2 : 1;
    return st;
}

/* Flags behind "(?". */
static rn_status check_flags(const reader *r)
{
    for (size_t i = 2;; i++) {
        const char c = peek(r, i);
        if (c == 'm' || c == 'x')
            return refuse(r, c == 'm' ? "the flag m" : "the flag x");
        if (c != 'i' && c != '-') return RN_OK;
    }
}

/* Whether the brace that ends here ends a repetition {n} or {n,m}. */
static bool ends_repetition(const reader *r)
{
    size_t i = r->at;
    while (i > 0 && (r->p[i - 1] == ',' || (r->p[i - 1] >= '0' && r->p[i - 1] <= '9')))
        i--;
    return i > 0 && i < r->at && r->p[i - 1] == '{';
}

static rn_status read_set_char(reader *r)
{
    const char c = peek(r, 0);
    const bool first = r->at == r->set || (r->at == r->set + 1 && r->p[r->set] == '^');
    if (c == '[') return refuse(r, "a set in a set");
    if (c == '&' && peek(r, 1) == '&') return refuse(r, "&&");
    if (c == ']' && !first) r->set = 0;
    return RN_OK;
}

static rn_status read_char(reader *r)
{
    const char c = peek(r, 0);
    if (c == '[') r->set = r->at + 1;
    if (c == '(' && peek(r, 1) == '?') return check_flags(r);
    if (c == '}' && peek(r, 1) == '+' && ends_repetition(r)) return refuse(r, "{n,m}+");
    return RN_OK;
}

rn_status rn_regex_dialect(rn_bytes *out, const char *pattern, size_t length,
                           const char *path, rn_error *err)
{
    reader r = {.p = pattern, .length = length, .path = path, .err = err};
    rn_status st = RN_OK;
    while (!st && r.at < length) {
        if (pattern[r.at] == '\\') {
            st = read_escape(&r, out);
            continue;
        }
        st = r.set ? read_set_char(&r) : read_char(&r);
        if (!st) st = rn_bytes_put(out, pattern + r.at, 1, err);
        r.at++;
    }
    return st;
}

/* Expressions by PCRE2; see regex.h. */
#include "tokenizer/regex.h"

#include "tokenizer/regex_dialect.h"
#include "tokenizer/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Steps of a search: parts of the expression that are tried, and bytes that these walk
   over. */
#define STEPS_A_BYTE     ((uint64_t)1000)
#define STEPS_AT_LEAST   ((uint64_t)1000000)
#define PATTERN_MOST     ((size_t)4096)
#define MATCH_LIMIT      10000000
#define HEAP_LIMIT       65536 /* KiB */
#define PARENTHESES_MOST 50

struct rn_regex {
    pcre2_code *code;
};

struct rn_regex_search {
    const rn_regex *regex;
    const unsigned char *text;
    size_t length, at;
    size_t from, to; /* the stretch of whole characters that is searched */
    uint64_t steps, limit;
    size_t place; /* in the text, at the step before */
    pcre2_match_data *match;
    pcre2_match_context *context;
};

/* The compiled expression, or NULL with PCRE2's code and the place. */
static pcre2_code *compile(const rn_bytes *text, int *code, PCRE2_SIZE *at)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        *code = PCRE2_ERROR_NOMEMORY;
        return NULL;
    }
    pcre2_set_parens_nest_limit(context, PARENTHESES_MOST);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    /* Callouts count the steps. ^ and $ are those of lines, as in Oniguruma. */
    pcre2_code *made =
        pcre2_compile(text->data ? text->data : (PCRE2_SPTR) "", text->used,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_AUTO_CALLOUT |
                          PCRE2_NEVER_BACKSLASH_C,
                      code, at, context);
    pcre2_compile_context_free(context);
    return made;
}

rn_status rn_regex_make(rn_regex **out, const char *pattern, size_t length,
                        const char *path, rn_error *err)
{
    if (length > PATTERN_MOST)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: an expression of %zu bytes, at most %zu are supported", path,
                       length, PATTERN_MOST);
    int code = 0;
    PCRE2_SIZE at = 0;
    rn_bytes text = {.used = 0};
    rn_regex *r = calloc(1, sizeof *r);
    rn_status st = r ? rn_regex_dialect(&text, pattern, length, path, err)
                     : rn_fail_memory(err, path, sizeof *r);
    if (!st && !(r->code = compile(&text, &code, &at))) {
        char reason[128] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
        st = rn_fail(err, RN_EUNSUPPORTED, "%s: the expression: %s", path, reason);
    }
    rn_bytes_free(&text);
    if (!st) *out = r;
    else free(r);
    return st;
}

void rn_regex_free(rn_regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    free(r);
}

static int count_step(pcre2_callout_block *block, void *user)
{
    rn_regex_search *s = user;
    const size_t now = block->current_position, before = s->place;
    s->place = now;
    s->steps += 1 + (now > before ? now - before : before - now);
    return s->steps > s->limit ? PCRE2_ERROR_MATCHLIMIT : 0;
}

rn_status rn_regex_search_make(rn_regex_search **out, const rn_regex *r,
                               const unsigned char *text, size_t length, rn_error *err)
{
    rn_regex_search *s = calloc(1, sizeof *s);
    if (!s) return rn_fail_memory(err, "a search", sizeof *s);
    *s = (rn_regex_search){.regex = r, .text = text, .length = length};
    s->limit = STEPS_AT_LEAST + (length > UINT64_MAX / (2 * STEPS_A_BYTE)
                                     ? UINT64_MAX / 2
                                     : length * STEPS_A_BYTE);
    s->match = pcre2_match_data_create_from_pattern(r->code, NULL);
    s->context = pcre2_match_context_create(NULL);
    if (!s->match || !s->context) {
        rn_regex_search_free(s);
        return rn_fail_memory(err, "a search", sizeof *s);
    }
    pcre2_set_callout(s->context, count_step, s);
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    pcre2_set_depth_limit(s->context, MATCH_LIMIT);
    pcre2_set_heap_limit(s->context, HEAP_LIMIT);
    *out = s;
    return RN_OK;
}

void rn_regex_search_free(rn_regex_search *s)
{
    if (!s) return;
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->context);
    free(s);
}

/* Goes to the next stretch of whole characters; false behind the last one. PCRE2 asks for
   such text, and would look through all that is left at each call to make sure. */
static bool next_stretch(rn_regex_search *s)
{
    uint32_t c = RN_BAD_BYTE;
    size_t n = 0;
    for (s->from = s->to; s->from < s->length && c >= RN_BAD_BYTE; s->from += n)
        n = rn_utf8_next(s->text + s->from, s->length - s->from, &c);
    if (c >= RN_BAD_BYTE) return false;
    s->from -= n;
    for (s->to = s->from; s->to < s->length; s->to += n) {
        n = rn_utf8_next(s->text + s->to, s->length - s->to, &c);
        if (c >= RN_BAD_BYTE) break;
    }
    s->at = s->from;
    s->place = 0;
    return true;
}

/* The next match in the stretch; false: there is none. */
static bool match_next(rn_regex_search *s, size_t *begin, size_t *end, int *code)
{
    while (s->at < s->to) {
        *code = pcre2_match(s->regex->code, s->text + s->from, s->to - s->from,
                            s->at - s->from, PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK,
                            s->match, s->context);
        if (*code < 0) return false;
        /* \K can put the begin before what was taken, or behind the end. */
        const PCRE2_SIZE *where = pcre2_get_ovector_pointer(s->match);
        *begin = s->from + where[0] < s->at ? s->at : s->from + where[0];
        *end = s->from + where[1];
        if (*end > *begin) {
            s->at = *end;
            return true;
        }
        uint32_t c;
        s->at += rn_utf8_next(s->text + s->at, s->to - s->at, &c);
    }
    return false;
}

rn_status rn_regex_next(rn_regex_search *s, size_t *begin, size_t *end, rn_error *err)
{
    do {
        int code = PCRE2_ERROR_NOMATCH;
        if (match_next(s, begin, end, &code)) return RN_OK;
        if (code < 0 && code != PCRE2_ERROR_NOMATCH)
            return rn_fail(err, RN_EUNSUPPORTED,
                           "the tokenizer's expression takes too many steps behind byte "
                           "%zu of a text of %zu (PCRE2 %d)",
                           s->at, s->length, code);
    } while (next_stretch(s));
    *begin = *end = s->length;
    return RN_OK;
}

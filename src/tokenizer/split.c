/* Pre-tokenizers: reading them, and walking a piece through them; see split.h. */
#include "tokenizer/split.h"

#include "tokenizer/fields.h"

#include <stdlib.h>

#define METASPACE "\xE2\x96\x81" /* U+2581 */

/* clang-format off */
static const struct {
    const char *expression;
    rn_splitter splitter;
    size_t digits;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     RN_SPLITTER_GPT2, 0},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
     " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     RN_SPLITTER_TIKTOKEN, 3},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
     " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     RN_SPLITTER_TIKTOKEN, 1},
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}|"
     " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
     RN_SPLITTER_TIKTOKEN, 3},
};
/* clang-format on */

static rn_status read_metaspace(rn_split_step *s, const json_t *json, const char *path,
                                rn_error *err)
{
    rn_keys k = {.object = json, .path = path, .err = err};
    const char *mark = rn_keys_text(&k, "replacement", METASPACE);
    const char *scheme = rn_keys_text(&k, "prepend_scheme", NULL);
    const bool space = rn_keys_bool(&k, "add_prefix_space", true);
    s->split = rn_keys_bool(&k, "split", true);
    if (k.status) return k.status;
    uint32_t c;
    s->mark_length = strlen(mark);
    if (!s->mark_length || s->mark_length > sizeof s->mark ||
        rn_utf8_next((const unsigned char *)mark, s->mark_length, &c) != s->mark_length)
        return rn_fail(err, RN_EFORMAT, "%s: replacement is not one character", path);
    memcpy(s->mark, mark, s->mark_length);
    if (!scheme && !space)
        return rn_fail(err, RN_EFORMAT,
                       "%s: add_prefix_space is false and prepend_scheme is missing",
                       path);
    if (!scheme || !strcmp(scheme, "always")) s->prepend = RN_PREPEND_ALWAYS;
    else if (!strcmp(scheme, "first")) s->prepend = RN_PREPEND_FIRST;
    else if (!strcmp(scheme, "never")) s->prepend = RN_PREPEND_NEVER;
    else
        return rn_fail(err, RN_EFORMAT,
                       "%s: prepend_scheme is neither always, first nor never", path);
    return RN_OK;
}

static rn_status read_behavior(rn_split_step *s, const json_t *json, const char *path,
                               rn_error *err)
{
    rn_keys k = {.object = json, .path = path, .err = err};
    const char *behavior = rn_keys_text(&k, "behavior", "");
    const bool invert = rn_keys_bool(&k, "invert", false);
    if (k.status) return k.status;
    const bool removed = !strcmp(behavior, "Removed");
    if (!removed && strcmp(behavior, "Isolated") != 0)
        return rn_fail(
            err, RN_EUNSUPPORTED,
            "%s: behavior of Split is not supported (Isolated and Removed are)", path);
    s->drop_matches = removed && !invert;
    s->drop_gaps = removed && invert;
    return RN_OK;
}

static rn_status read_pattern(rn_split_step *s, const json_t *json, const char *path,
                              rn_error *err)
{
    const json_t *pattern = json_object_get(json, "pattern");
    const json_t *regex = json_object_get(pattern, "Regex");
    rn_status st = read_behavior(s, json, path, err);
    if (st) return st;
    if (!json_is_string(regex)) {
        s->splitter = RN_SPLITTER_LITERAL;
        return rn_field_text(pattern, "String", s->literal, sizeof s->literal,
                             &s->literal_length, false, path, err);
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].expression, json_string_value(regex)) != 0) continue;
        s->splitter = known[i].splitter;
        s->digits = known[i].digits;
        return RN_OK;
    }
    s->splitter = RN_SPLITTER_REGEX;
    return rn_regex_make(&s->regex, json_string_value(regex), json_string_length(regex),
                         path, err);
}

static rn_status read_step(void *out, const json_t *json, const char *type,
                           const char *path, rn_error *err)
{
    rn_presplit *p = out;
    if (p->count == RN_SPLITS_MAX)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: more than %zu steps", path,
                       RN_SPLITS_MAX);
    if (p->byte_level)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: %s behind ByteLevel is not supported",
                       path, type);
    rn_split_step *s = &p->steps[p->count++];
    *s = (rn_split_step){.kind = RN_SPLIT_METASPACE};
    rn_keys k = {.object = json, .path = path, .err = err};
    if (!strcmp(type, "Metaspace")) return read_metaspace(s, json, path, err);
    if (!strcmp(type, "Split")) {
        s->kind = RN_SPLIT_PATTERN;
        return read_pattern(s, json, path, err);
    }
    if (!strcmp(type, "Digits")) {
        s->kind = RN_SPLIT_DIGITS;
        s->single = rn_keys_bool(&k, "individual_digits", false);
        return k.status;
    }
    s->kind = RN_SPLIT_BYTES;
    if (strcmp(type, "ByteLevel") != 0)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: type '%s' is not supported (Metaspace, ByteLevel, Split, "
                       "Digits, Sequence are)",
                       path, type);
    s->add_space = rn_keys_bool(&k, "add_prefix_space", true);
    s->words = rn_keys_bool(&k, "use_regex", true);
    p->byte_level = true;
    return k.status;
}

rn_status rn_presplit_read(rn_presplit *out, const json_t *json, const char *path,
                           rn_error *err)
{
    *out = (rn_presplit){.count = 0};
    rn_status st = rn_fields_steps(json, "pretokenizers", read_step, out, path, err);
    if (st) rn_presplit_free(out);
    return st;
}

void rn_presplit_free(rn_presplit *p)
{
    for (size_t i = 0; i < p->count; i++) rn_regex_free(p->steps[i].regex);
    p->count = 0;
}

void rn_split_room_free(rn_split_room *room)
{
    for (size_t i = 0; i < RN_SPLITS_MAX; i++) rn_bytes_free(&room->text[i]);
}

/* One walk of a piece through the steps. */
typedef struct walk {
    const rn_presplit *p;
    const rn_classes *classes;
    rn_split_room *room;
    rn_word_taker take;
    void *user;
    rn_error *err;
} walk;

static rn_status walk_step(const walk *w, size_t step, const unsigned char *text,
                           size_t length, bool first);

/* A part of what came into `step` goes on to the next one. */
static rn_status pass(const walk *w, size_t step, const unsigned char *text, size_t begin,
                      size_t end, bool first)
{
    if (begin == end) return RN_OK;
    return walk_step(w, step + 1, text + begin, end - begin, first && begin == 0);
}

static rn_status walk_metaspace(const walk *w, size_t step, const unsigned char *text,
                                size_t length, bool first)
{
    const rn_split_step *s = &w->p->steps[step];
    const size_t m = s->mark_length;
    rn_bytes *made = &w->room->text[step];
    rn_status st = RN_OK;
    made->used = 0;
    const bool marked = text[0] == ' ' || (length >= m && !memcmp(text, s->mark, m));
    if (!marked &&
        (s->prepend == RN_PREPEND_ALWAYS || (s->prepend == RN_PREPEND_FIRST && first)))
        st = rn_bytes_put(made, s->mark, m, w->err);
    for (size_t at = 0; !st && at < length;) {
        const unsigned char *space = memchr(text + at, ' ', length - at);
        size_t end = space ? (size_t)(space - text) : length;
        st = rn_bytes_put(made, text + at, end - at, w->err);
        if (!st && space) st = rn_bytes_put(made, s->mark, m, w->err);
        at = end + (space != NULL);
    }
    size_t begin = 0;
    for (size_t at = 1; s->split && !st && at + m <= made->used; at++) {
        if (memcmp(made->data + at, s->mark, m) != 0) continue;
        st = pass(w, step, made->data, begin, at, first);
        begin = at;
    }
    return st ? st : pass(w, step, made->data, begin, made->used, first);
}

static rn_status walk_bytes(const walk *w, size_t step, const unsigned char *text,
                            size_t length, bool first)
{
    const rn_split_step *s = &w->p->steps[step];
    rn_status st = RN_OK;
    if (s->add_space && text[0] != ' ') {
        rn_bytes *made = &w->room->text[step];
        made->used = 0;
        st = rn_bytes_put(made, " ", 1, w->err);
        if (!st) st = rn_bytes_put(made, text, length, w->err);
        text = made->data;
        length = made->used;
    }
    if (st || !s->words) return st ? st : pass(w, step, text, 0, length, first);
    for (size_t at = 0, end; !st && at < length; at = end) {
        end = rn_split_gpt2(w->classes, text, length, at);
        st = pass(w, step, text, at, end, first);
    }
    return st;
}

static rn_status walk_regex(const walk *w, size_t step, const unsigned char *text,
                            size_t length, bool first)
{
    const rn_split_step *s = &w->p->steps[step];
    rn_regex_search *search;
    rn_status st = rn_regex_search_make(&search, s->regex, text, length, w->err);
    if (st) return st;
    for (size_t at = 0; !st && at < length;) {
        size_t begin, end;
        st = rn_regex_next(search, &begin, &end, w->err);
        if (!st && !s->drop_gaps) st = pass(w, step, text, at, begin, first);
        if (!st && !s->drop_matches) st = pass(w, step, text, begin, end, first);
        at = end;
    }
    rn_regex_search_free(search);
    return st;
}

static rn_status walk_literal(const walk *w, size_t step, const unsigned char *text,
                              size_t length, bool first)
{
    const rn_split_step *s = &w->p->steps[step];
    const size_t n = s->literal_length;
    size_t begin = 0;
    rn_status st = RN_OK;
    for (size_t at = 0; !st && at + n <= length;) {
        if (memcmp(text + at, s->literal, n) != 0) {
            at++;
            continue;
        }
        if (!s->drop_gaps) st = pass(w, step, text, begin, at, first);
        if (!st && !s->drop_matches) st = pass(w, step, text, at, at + n, first);
        begin = at += n;
    }
    return st || s->drop_gaps ? st : pass(w, step, text, begin, length, first);
}

static rn_status walk_pattern(const walk *w, size_t step, const unsigned char *text,
                              size_t length, bool first)
{
    const rn_split_step *s = &w->p->steps[step];
    if (s->splitter == RN_SPLITTER_REGEX) return walk_regex(w, step, text, length, first);
    if (s->splitter == RN_SPLITTER_LITERAL)
        return walk_literal(w, step, text, length, first);
    if (s->drop_matches) return RN_OK; /* they leave nothing between */
    rn_status st = RN_OK;
    for (size_t at = 0, end; !st && at < length; at = end) {
        end = s->splitter == RN_SPLITTER_GPT2
                  ? rn_split_gpt2(w->classes, text, length, at)
                  : rn_split_tiktoken(w->classes, text, length, at, s->digits);
        st = pass(w, step, text, at, end, first);
    }
    return st;
}

static rn_status walk_digits(const walk *w, size_t step, const unsigned char *text,
                             size_t length, bool first)
{
    const bool single = w->p->steps[step].single;
    size_t begin = 0;
    bool number = false;
    rn_status st = RN_OK;
    for (size_t at = 0, n; !st && at < length; at += n) {
        uint32_t c;
        n = rn_utf8_next(text + at, length - at, &c);
        bool is = rn_class_of(w->classes, c) == RN_CLASS_NUMBER;
        if (at && (is != number || (is && single))) {
            st = pass(w, step, text, begin, at, first);
            begin = at;
        }
        number = is;
    }
    return st ? st : pass(w, step, text, begin, length, first);
}

static rn_status walk_step(const walk *w, size_t step, const unsigned char *text,
                           size_t length, bool first)
{
    if (step == w->p->count) return w->take(w->user, text, length, w->err);
    switch (w->p->steps[step].kind) {
    case RN_SPLIT_METASPACE: return walk_metaspace(w, step, text, length, first);
    case RN_SPLIT_BYTES: return walk_bytes(w, step, text, length, first);
    case RN_SPLIT_DIGITS: return walk_digits(w, step, text, length, first);
    case RN_SPLIT_PATTERN: break;
    }
    return walk_pattern(w, step, text, length, first);
}

rn_status rn_presplit_run(const rn_presplit *p, const rn_classes *classes,
                          rn_split_room *room, const unsigned char *piece, size_t length,
                          bool first, rn_word_taker take, void *user, rn_error *err)
{
    const walk w = {p, classes, room, take, user, err};
    return length ? walk_step(&w, 0, piece, length, first) : RN_OK;
}

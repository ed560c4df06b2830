/*
 * The vocabulary of a tokenizer.json as GGUF's arrays: tokens by id, what kind each is,
 * merges, and for SentencePiece-style ones scores (the rank of the merge that makes a
 * token, below zero: what merging by score needs). They are for other programs: ours
 * reads the exact text, which is kept beside them. Ids from the model's vocabulary on,
 * which no model can read or say, are left out.
 */
#include "formats/gguf_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX  "tokenizer.ggml."
#define LLAMA_3 "\\p{N}{1,3}" /* what tells its expression from GPT-2's */

/* GGUF's kinds of tokens. */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

typedef struct vocabulary {
    const json_t *tokenizer, *model;
    bool bytes; /* byte-level BPE, else SentencePiece's */
    size_t count;
    const char **text; /* [count], NULL: no token has this id */
    int32_t *kind;
    float *score;
} vocabulary;

json_int_t rn_gguf_token_id(const json_t *tokenizer, const char *text)
{
    const json_t *model = json_object_get(tokenizer, "model");
    const json_t *added = json_object_get(tokenizer, "added_tokens");
    const json_t *id = json_object_get(json_object_get(model, "vocab"), text);
    for (size_t i = 0; !id && i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const char *content = json_string_value(json_object_get(token, "content"));
        if (content && !strcmp(content, text)) id = json_object_get(token, "id");
    }
    return json_is_integer(id) ? json_integer_value(id) : -1;
}

/* The part of this type, or NULL: `part` itself or one of those that it is a sequence of.
 */
static const json_t *find_part(const json_t *part, const char *type)
{
    static const char *const lists[] = {"normalizers", "pretokenizers", "processors",
                                        "decoders"};
    const char *name = json_string_value(json_object_get(part, "type"));
    if (!name) return NULL;
    if (!strcmp(name, type)) return part;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *list = json_object_get(part, lists[i]);
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *one = json_array_get(list, k);
            const char *its = json_string_value(json_object_get(one, "type"));
            if (its && !strcmp(its, type)) return one;
        }
    }
    return NULL;
}

static const json_t *part(const vocabulary *v, const char *key, const char *type)
{
    return find_part(json_object_get(v->tokenizer, key), type);
}

/* ---- tokens ---- */

static bool is_byte(const char *text)
{
    return strlen(text) == 6 && !strncmp(text, "<0x", 3) && text[5] == '>' &&
           strspn(text + 3, "0123456789ABCDEF") == 2;
}

static void set_token(vocabulary *v, const json_t *id, const char *text, int32_t kind)
{
    json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    if (n < 0 || (uint64_t)n >= v->count || !text) return;
    v->text[n] = text;
    v->kind[n] = kind;
}

static void collect(vocabulary *v)
{
    const char *unknown = json_string_value(json_object_get(v->model, "unk_token"));
    const json_t *added = json_object_get(v->tokenizer, "added_tokens");
    const char *text;
    json_t *id;
    for (size_t i = 0; i < v->count; i++) v->kind[i] = UNUSED;
    json_object_foreach(json_object_get(v->model, "vocab"), text, id)
    {
        set_token(v, id, text, !v->bytes && is_byte(text) ? BYTE : NORMAL);
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        bool special = json_is_true(json_object_get(token, "special"));
        set_token(v, json_object_get(token, "id"),
                  json_string_value(json_object_get(token, "content")),
                  special ? CONTROL : USER_DEFINED);
    }
    json_int_t n = unknown ? rn_gguf_token_id(v->tokenizer, unknown) : -1;
    if (n >= 0 && (uint64_t)n < v->count) v->kind[n] = UNKNOWN;
}

static void put_tokens(rn_gguf_meta *m, const vocabulary *v)
{
    char unused[32];
    rn_gguf_put_strings(m, PREFIX "tokens", v->count);
    for (size_t i = 0; i < v->count; i++) {
        const char *text = v->text[i];
        if (!text) {
            snprintf(unused, sizeof unused, "[PAD%zu]", i);
            text = unused;
        }
        rn_gguf_put_item(m, text, strlen(text));
    }
    rn_gguf_put_array(m, PREFIX "token_type", RN_GGUF_I32, v->kind, v->count);
}

/* ---- merges ---- */

/* Left and right of a merge, in one of its two spellings. */
static bool read_merge(const json_t *merge, const char **left, size_t *left_length,
                       const char **right)
{
    if (json_is_string(merge)) {
        *left = json_string_value(merge);
        const char *space = strchr(*left, ' ');
        if (!space) return false;
        *left_length = (size_t)(space - *left);
        *right = space + 1;
        return true;
    }
    *left = json_string_value(json_array_get(merge, 0));
    *right = json_string_value(json_array_get(merge, 1));
    if (!*left || !*right || json_array_size(merge) != 2) return false;
    *left_length = strlen(*left);
    return true;
}

/* "left right" in *text, `*room` bytes of its own; spaces inside the two, which the array
   of strings cannot tell from the one between, become U+0120. */
static bool spell(char **text, size_t *room, const char *left, size_t left_length,
                  const char *right)
{
    size_t need = 2 * (left_length + strlen(right)) + 2, n = 0;
    if (need > *room) {
        char *larger = realloc(*text, need);
        if (!larger) return false;
        *text = larger;
        *room = need;
    }
    for (size_t i = 0; i <= left_length + strlen(right); i++) {
        char c = i == left_length  ? ' '
                 : i < left_length ? left[i]
                                   : right[i - left_length - 1];
        if (c == ' ' && i != left_length) {
            (*text)[n++] = '\xc4';
            c = '\xa0';
        }
        (*text)[n++] = c;
    }
    (*text)[n] = '\0';
    return true;
}

/* The token that a merge makes gets the rank of its first one. */
static bool score_merge(vocabulary *v, size_t rank, const char *left, size_t left_length,
                        const char *right)
{
    size_t size = left_length + strlen(right) + 1;
    char *joined = malloc(size);
    if (!joined) return false;
    snprintf(joined, size, "%.*s%s", (int)left_length, left, right);
    const json_t *id = json_object_get(json_object_get(v->model, "vocab"), joined);
    json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    free(joined);
    if (n >= 0 && (uint64_t)n < v->count && v->score[n] == 0.0f)
        v->score[n] = -(float)rank - 1.0f;
    return true;
}

static rn_status put_merges(rn_gguf_meta *m, vocabulary *v, const char *path,
                            rn_error *err)
{
    const json_t *merges = json_object_get(v->model, "merges");
    size_t count = json_array_size(merges), room = 0, left_length = 0;
    const char *left = NULL, *right = NULL;
    char *text = NULL;
    rn_status st = RN_OK;
    rn_gguf_put_strings(m, PREFIX "merges", count);
    for (size_t i = 0; i < count && !st; i++) {
        if (!read_merge(json_array_get(merges, i), &left, &left_length, &right))
            st = rn_fail(err, RN_EFORMAT, "%s: merge %zu is no pair of tokens", path, i);
        else if (!spell(&text, &room, left, left_length, right) ||
                 !score_merge(v, i, left, left_length, right))
            st = rn_fail_memory(err, path, room);
        else rn_gguf_put_item(m, text, strlen(text));
    }
    free(text);
    return st;
}

static void put_scores(rn_gguf_meta *m, const vocabulary *v)
{
    size_t merges = json_array_size(json_object_get(v->model, "merges"));
    for (size_t i = 0; i < v->count; i++)
        if (v->kind[i] == NORMAL && v->score[i] == 0.0f)
            v->score[i] = -(float)merges - 1.0f; /* a character */
    rn_gguf_put_array(m, PREFIX "scores", RN_GGUF_F32, v->score, v->count);
}

/* ---- what surrounds a text ---- */

static bool is_special(const json_t *item)
{
    return json_object_get(item, "SpecialToken") != NULL;
}

static void put_surroundings(rn_gguf_meta *m, const vocabulary *v)
{
    const json_t *template = part(v, "post_processor", "TemplateProcessing");
    const json_t *single = json_object_get(template, "single");
    size_t n = json_array_size(single);
    rn_gguf_put_bool(m, PREFIX "add_bos_token",
                     n > 1 && is_special(json_array_get(single, 0)));
    rn_gguf_put_bool(m, PREFIX "add_eos_token",
                     n > 1 && is_special(json_array_get(single, n - 1)));
    if (v->bytes) return;
    const json_t *meta = part(v, "pre_tokenizer", "Metaspace");
    const char *scheme = json_string_value(json_object_get(meta, "prepend_scheme"));
    bool old = !json_is_false(json_object_get(meta, "add_prefix_space"));
    bool space = meta ? (scheme ? strcmp(scheme, "never") != 0 : old)
                      : part(v, "normalizer", "Prepend") != NULL;
    rn_gguf_put_bool(m, PREFIX "add_space_prefix", space);
}

/* The names that llama.cpp gives to the ways of cutting a text into words. */
static const char *pre_tokenizer(const vocabulary *v)
{
    const json_t *split = part(v, "pre_tokenizer", "Split");
    const char *regex =
        json_string_value(json_object_get(json_object_get(split, "pattern"), "Regex"));
    if (!v->bytes) return "default";
    if (!split) return "gpt-2";
    return regex && strstr(regex, LLAMA_3) ? "llama-bpe" : "default";
}

static void put_text(rn_gguf_meta *m, const char *key, const char *text)
{
    rn_gguf_put_text(m, key, text, strlen(text));
}

static rn_status put_vocabulary(rn_gguf_meta *m, vocabulary *v, const char *path,
                                rn_error *err)
{
    v->bytes = part(v, "pre_tokenizer", "ByteLevel") || part(v, "decoder", "ByteLevel");
    put_text(m, PREFIX "model", v->bytes ? "gpt2" : "llama");
    put_text(m, PREFIX "pre", pre_tokenizer(v));
    collect(v);
    put_tokens(m, v);
    rn_status st = put_merges(m, v, path, err);
    if (!st && !v->bytes) put_scores(m, v);
    put_surroundings(m, v);
    return st;
}

rn_status rn_gguf_put_tokenizer(rn_gguf_meta *m, const json_t *tokenizer, size_t vocab,
                                const char *path, rn_error *err)
{
    vocabulary v = {.tokenizer = tokenizer, .count = vocab};
    v.model = json_object_get(tokenizer, "model");
    if (!json_is_object(json_object_get(v.model, "vocab")))
        return rn_fail(err, RN_EFORMAT, "%s: model.vocab is not an object", path);
    v.text = calloc(vocab + 1, sizeof *v.text);
    v.kind = calloc(vocab + 1, sizeof *v.kind);
    v.score = calloc(vocab + 1, sizeof *v.score);
    rn_status st = v.text && v.kind && v.score
                       ? put_vocabulary(m, &v, path, err)
                       : rn_fail_memory(err, path, vocab * sizeof *v.text);
    free(v.text);
    free(v.kind);
    free(v.score);
    return st;
}

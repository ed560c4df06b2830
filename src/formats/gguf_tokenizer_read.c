/*
 * A tokenizer.json from the arrays of a GGUF file that does not keep one: byte-level BPE
 * ("gpt2") with the expressions of GPT-2 and Llama-3, and SentencePiece's ("llama"). What
 * the arrays do not tell (normalisers, strips of added tokens) is as usual. Merges that a
 * SentencePiece file leaves out follow from the scores: every split of a token into two,
 * in the order of the tokens' scores.
 */
#include "formats/gguf_model.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX    "tokenizer.ggml."
#define MAX_SPLIT 256 /* bytes of a token whose splits are looked for */
#define LLAMA_3                                                                          \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"            \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define BLANK "\xe2\x96\x81" /* U+2581, SentencePiece's space */

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

typedef struct token {
    const char *text; /* of the vocabulary's keys; NULL: not in it */
    int64_t kind;
    double score;
} token;

typedef struct building {
    const rn_gguf *f;
    const char *path;
    rn_error *err;
    size_t count;
    token *tokens;
    json_t *vocab, *added, *merges;
} building;

/* A merge that follows from scores. */
typedef struct split {
    const token *whole;
    json_int_t left;
    size_t length; /* of its left */
} split;

static rn_status out_of_memory(const building *b)
{
    return rn_fail_memory(b->err, b->path, b->count * sizeof *b->tokens);
}

static bool is_text(const rn_gguf_value *v, const char *want)
{
    const char *text;
    size_t length;
    return v && rn_gguf_text(v, &text, &length) && length == strlen(want) &&
           !memcmp(text, want, length);
}

static bool is_true(const building *b, const char *key, bool fallback)
{
    const rn_gguf_value *v = rn_gguf_find(b->f, key);
    bool truth = fallback;
    return v && rn_gguf_bool(v, &truth) ? truth : fallback;
}

/* ---- tokens ---- */

/* Entry by entry of a list of numbers that goes with the tokens; `fallback` where the
   list is missing. */
static rn_status read_numbers(building *b, const char *key, bool kinds)
{
    const rn_gguf_value *list = rn_gguf_find(b->f, key);
    rn_gguf_value item;
    size_t at = 0;
    if (list && (list->type != RN_GGUF_ARRAY || list->count != b->count))
        return rn_fail(b->err, RN_EFORMAT,
                       "%s: %s is no list of %zu numbers, as many as " PREFIX
                       "tokens has",
                       b->path, key, b->count);
    for (size_t i = 0; i < b->count; i++) {
        double x = kinds ? NORMAL : 0.0;
        if (list && !(rn_gguf_next(list, &at, &item) && rn_gguf_real(&item, &x)))
            return rn_fail(b->err, RN_EFORMAT, "%s: entry %zu of %s is no number",
                           b->path, i, key);
        if (!(x >= -1e15 && x <= 1e15)) x = 0;
        if (kinds) b->tokens[i].kind = (int64_t)x;
        else b->tokens[i].score = x;
    }
    return RN_OK;
}

/* The text as a key of the vocabulary, with the id of the first token that has it. */
static rn_status add_token(building *b, size_t id, const rn_gguf_value *text)
{
    const char *from;
    size_t length;
    token *t = &b->tokens[id];
    if (!rn_gguf_text(text, &from, &length) || memchr(from, '\0', length))
        return rn_fail(b->err, RN_EUNSUPPORTED,
                       "%s: entry %zu of " PREFIX "tokens is no text, or holds a 0",
                       b->path, id);
    json_t *string = json_stringn(from, length);
    if (!string)
        return rn_fail(b->err, RN_EFORMAT,
                       "%s: entry %zu of " PREFIX "tokens is not UTF-8", b->path, id);
    const char *key = json_string_value(string);
    bool failed = false;
    if (t->kind != UNUSED && !json_object_get(b->vocab, key)) {
        failed = json_object_set_new(b->vocab, key, json_integer((json_int_t)id)) != 0;
        t->text = json_object_iter_key(json_object_iter_at(b->vocab, key));
        bool special = t->kind == CONTROL || t->kind == UNKNOWN;
        if (!failed && (special || t->kind == USER_DEFINED))
            failed = json_array_append_new(
                b->added,
                json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id,
                          "content", key, "single_word", 0, "lstrip", 0, "rstrip", 0,
                          "normalized", 0, "special", (int)special));
    }
    json_decref(string);
    return failed ? out_of_memory(b) : RN_OK;
}

static rn_status read_tokens(building *b)
{
    const rn_gguf_value *list = rn_gguf_find(b->f, PREFIX "tokens");
    rn_gguf_value item;
    size_t at = 0;
    if (!list || list->type != RN_GGUF_ARRAY || list->item != RN_GGUF_STRING)
        return rn_fail(b->err, RN_EFORMAT, "%s: %stokens is no list of strings", b->path,
                       PREFIX);
    b->count = (size_t)list->count; /* each has eight bytes of the file or more */
    b->tokens = calloc(b->count + 1, sizeof *b->tokens);
    if (!b->tokens) return out_of_memory(b);
    rn_status st = read_numbers(b, PREFIX "token_type", true);
    if (!st) st = read_numbers(b, PREFIX "scores", false);
    for (size_t i = 0; i < b->count && !st && rn_gguf_next(list, &at, &item); i++)
        st = add_token(b, i, &item);
    return st;
}

/* ---- merges ---- */

static rn_status read_merges(building *b, const rn_gguf_value *list)
{
    rn_gguf_value item;
    const char *text;
    size_t at = 0, length;
    for (size_t i = 0; rn_gguf_next(list, &at, &item); i++) {
        const char *space =
            rn_gguf_text(&item, &text, &length) ? memchr(text, ' ', length) : NULL;
        size_t left = space ? (size_t)(space - text) : 0;
        json_t *pair =
            space ? json_pack("[s%, s%]", text, left, space + 1, length - left - 1)
                  : NULL;
        if (!pair)
            return rn_fail(b->err, RN_EFORMAT,
                           "%s: entry %zu of " PREFIX "merges is no pair of tokens",
                           b->path, i);
        if (json_array_append_new(b->merges, pair)) return out_of_memory(b);
    }
    return RN_OK;
}

/* Better tokens first, then shorter lefts. */
static int by_rank(const void *a, const void *b)
{
    const split *x = a, *y = b;
    if (x->whole->score != y->whole->score)
        return x->whole->score < y->whole->score ? 1 : -1;
    if (x->whole != y->whole) return x->whole < y->whole ? -1 : 1;
    return (x->left > y->left) - (x->left < y->left);
}

/* The splits of one token; with `out` NULL they are counted. */
static size_t find_splits(const building *b, const token *t, split *out)
{
    char left[MAX_SPLIT];
    size_t length = t->text && t->kind == NORMAL ? strlen(t->text) : 0, n = 0;
    for (size_t i = 1; i < length && length < MAX_SPLIT; i++) {
        if (((unsigned char)t->text[i] & 0xc0) == 0x80) continue; /* inside a character */
        memcpy(left, t->text, i);
        left[i] = '\0';
        const json_t *id = json_object_get(b->vocab, left);
        if (!id || !json_object_get(b->vocab, t->text + i)) continue;
        if (out) out[n] = (split){t, json_integer_value(id), i};
        n++;
    }
    return n;
}

static rn_status derive_merges(building *b)
{
    size_t count = 0, n = 0;
    for (size_t i = 0; i < b->count; i++) count += find_splits(b, &b->tokens[i], NULL);
    split *splits = calloc(count + 1, sizeof *splits);
    if (!splits) return out_of_memory(b);
    for (size_t i = 0; i < b->count; i++) n += find_splits(b, &b->tokens[i], splits + n);
    qsort(splits, count, sizeof *splits, by_rank);
    rn_status st = RN_OK;
    for (size_t i = 0; i < count && !st; i++) {
        const char *text = splits[i].whole->text;
        if (json_array_append_new(b->merges, json_pack("[s%, s]", text, splits[i].length,
                                                       text + splits[i].length)))
            st = out_of_memory(b);
    }
    free(splits);
    return st;
}

/* ---- the document ---- */

/* What goes around a text, or null. */
static json_t *post_processor(const building *b)
{
    json_t *single = json_array(), *specials = json_object();
    static const char *const keys[][3] = {
        {PREFIX "add_bos_token", PREFIX "bos_token_id", NULL},
        {NULL, NULL, "A"},
        {PREFIX "add_eos_token", PREFIX "eos_token_id", NULL},
    };
    for (size_t i = 0; i < 3; i++) {
        if (keys[i][2]) {
            json_array_append_new(single, json_pack("{s:{s:s, s:i}}", "Sequence", "id",
                                                    keys[i][2], "type_id", 0));
            continue;
        }
        const rn_gguf_value *v = rn_gguf_find(b->f, keys[i][1]);
        int64_t id = -1;
        if (!is_true(b, keys[i][0], false) || !v || !rn_gguf_int(v, &id) || id < 0 ||
            (uint64_t)id >= b->count || !b->tokens[id].text)
            continue;
        const char *text = b->tokens[id].text;
        json_array_append_new(single, json_pack("{s:{s:s, s:i}}", "SpecialToken", "id",
                                                text, "type_id", 0));
        json_object_set_new(specials, text,
                            json_pack("{s:s, s:[I], s:[s]}", "id", text, "ids",
                                      (json_int_t)id, "tokens", text));
    }
    bool any = json_object_size(specials) > 0;
    json_t *out =
        any ? json_pack("{s:s, s:O, s:O, s:O}", "type", "TemplateProcessing", "single",
                        single, "pair", single, "special_tokens", specials)
            : json_null();
    json_decref(single);
    json_decref(specials);
    return out;
}

static json_t *byte_level(bool regex)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", (int)regex);
}

static json_t *bytes_document(const building *b, bool llama_3)
{
    json_t *words = byte_level(!llama_3);
    if (llama_3)
        words = json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}", "type", "Sequence",
                          "pretokenizers", "type", "Split", "pattern", "Regex", LLAMA_3,
                          "behavior", "Isolated", "invert", 0, words);
    return json_pack("{s:s, s:O, s:n, s:o, s:o, s:o, s:{s:s, s:b, s:O, s:O}}", "version",
                     "1.0", "added_tokens", b->added, "normalizer", "pre_tokenizer",
                     words, "post_processor", post_processor(b), "decoder",
                     byte_level(true), "model", "type", "BPE", "ignore_merges",
                     (int)llama_3, "vocab", b->vocab, "merges", b->merges);
}

static const char *unknown_token(const building *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->tokens[i].kind == UNKNOWN) return b->tokens[i].text;
    return NULL;
}

static bool has_bytes(const building *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->tokens[i].kind == BYTE) return true;
    return false;
}

static json_t *pieces_document(const building *b)
{
    bool space = is_true(b, PREFIX "add_space_prefix", true);
    json_t *blanks = json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern",
                               "String", " ", "content", BLANK);
    json_t *normalizer =
        space ? json_pack("{s:s, s:[{s:s, s:s}, o]}", "type", "Sequence", "normalizers",
                          "type", "Prepend", "prepend", BLANK, blanks)
              : blanks;
    json_t *decoders = json_pack("[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}]", "type", "Replace",
                                 "pattern", "String", BLANK, "content", " ", "type",
                                 "ByteFallback", "type", "Fuse");
    if (space)
        json_array_append_new(decoders, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip",
                                                  "content", " ", "start", 1, "stop", 0));
    return json_pack("{s:s, s:O, s:o, s:n, s:o, s:{s:s, s:o}, "
                     "s:{s:s, s:s?, s:b, s:b, s:O, s:O}}",
                     "version", "1.0", "added_tokens", b->added, "normalizer", normalizer,
                     "pre_tokenizer", "post_processor", post_processor(b), "decoder",
                     "type", "Sequence", "decoders", decoders, "model", "type", "BPE",
                     "unk_token", unknown_token(b), "fuse_unk", 1, "byte_fallback",
                     (int)has_bytes(b), "vocab", b->vocab, "merges", b->merges);
}

static rn_status build(building *b, json_t **out)
{
    const rn_gguf_value *model = rn_gguf_find(b->f, PREFIX "model");
    const rn_gguf_value *pre = rn_gguf_find(b->f, PREFIX "pre");
    const rn_gguf_value *merges = rn_gguf_find(b->f, PREFIX "merges");
    bool bytes = is_text(model, "gpt2"), llama_3 = is_text(pre, "llama-bpe");
    if (!bytes && !is_text(model, "llama"))
        return rn_fail(b->err, RN_EUNSUPPORTED,
                       "%s: %smodel is neither \"gpt2\" nor \"llama\"", b->path, PREFIX);
    if (bytes && pre && !llama_3 && !is_text(pre, "gpt-2") && !is_text(pre, "default"))
        return rn_fail(b->err, RN_EUNSUPPORTED,
                       "%s: %spre is none of gpt-2, llama-bpe, default", b->path, PREFIX);
    rn_status st = read_tokens(b);
    if (!st && merges) st = read_merges(b, merges);
    else if (!st && !bytes) st = derive_merges(b);
    if (st) return st;
    *out = bytes ? bytes_document(b, llama_3) : pieces_document(b);
    return *out ? RN_OK : out_of_memory(b);
}

rn_status rn_gguf_build_tokenizer(json_t **out, const rn_gguf *f, const char *path,
                                  rn_error *err)
{
    building b = {.f = f, .path = path, .err = err};
    b.vocab = json_object();
    b.added = json_array();
    b.merges = json_array();
    rn_status st = b.vocab && b.added && b.merges ? build(&b, out) : out_of_memory(&b);
    json_decref(b.vocab);
    json_decref(b.added);
    json_decref(b.merges);
    free(b.tokens);
    return st;
}

/* The text of the token behind a key with an id, or NULL. */
static const char *token_of(const building *b, const char *key)
{
    const rn_gguf_value *v = rn_gguf_find(b->f, key);
    int64_t id;
    if (!v || !rn_gguf_int(v, &id) || id < 0 || (uint64_t)id >= b->count) return NULL;
    return b->tokens[id].text;
}

static json_t *template_of(const building *b)
{
    const rn_gguf_value *v = rn_gguf_find(b->f, "tokenizer.chat_template");
    const char *text;
    size_t length;
    return v && rn_gguf_text(v, &text, &length) ? json_stringn(text, length) : NULL;
}

rn_status rn_gguf_build_tokenizer_config(json_t **out, const rn_gguf *f, const char *path,
                                         rn_error *err)
{
    building b = {.f = f, .path = path, .err = err};
    b.vocab = json_object();
    b.added = json_array();
    rn_status st = b.vocab && b.added ? read_tokens(&b) : out_of_memory(&b);
    json_t *object = NULL;
    if (!st) {
        object = json_pack("{s:s*, s:s*, s:s*, s:s*, s:o*}", "bos_token",
                           token_of(&b, PREFIX "bos_token_id"), "eos_token",
                           token_of(&b, PREFIX "eos_token_id"), "unk_token",
                           token_of(&b, PREFIX "unknown_token_id"), "pad_token",
                           token_of(&b, PREFIX "padding_token_id"), "chat_template",
                           template_of(&b));
        if (!object) st = out_of_memory(&b);
    }
    json_decref(b.vocab);
    json_decref(b.added);
    free(b.tokens);
    if (!st) *out = object;
    return st;
}

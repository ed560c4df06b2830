/*
 * The file of a trained tokenizer. byte-bpe is GPT-2's: ByteLevel cuts the words, maps
 * the bytes and decodes. sentencepiece has Metaspace without a mark put in front and
 * without cutting (no token goes over the border of a word, so that cutting would change
 * nothing), so that text with blanks at its begin comes back as it was; the
 * post-processor puts <s> in front.
 */
#include "tokenizer/train_write.h"

#include "core/file.h"

#include <jansson.h>
#include <string.h>

static json_t *string_of(const rn_words *tokens, size_t id)
{
    const rn_word *w = &tokens->words[id];
    return json_stringn((const char *)tokens->bytes + w->at, w->length);
}

static json_t *vocabulary(const rn_words *tokens)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < tokens->count; i++) {
        json_t *name = string_of(tokens, i);
        int failed = !name || json_object_set_new(object, json_string_value(name),
                                                  json_integer((json_int_t)i));
        json_decref(name);
        if (!failed) continue;
        json_decref(object);
        object = NULL;
    }
    return object;
}

static json_t *merges(const rn_train_model *m)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < m->rule_count; i++) {
        const rn_word *a = &m->tokens.words[m->rules[i].left];
        const rn_word *b = &m->tokens.words[m->rules[i].right];
        char text[2 * RN_TRAIN_TOKEN_BYTES + 1];
        memcpy(text, m->tokens.bytes + a->at, a->length);
        text[a->length] = ' ';
        memcpy(text + a->length + 1, m->tokens.bytes + b->at, b->length);
        if (!json_array_append_new(array,
                                   json_stringn(text, (size_t)a->length + 1 + b->length)))
            continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

static json_t *added_token(const rn_words *tokens, size_t id)
{
    return json_pack("{s:I, s:o, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id,
                     "content", string_of(tokens, id), "single_word", 0, "lstrip", 0,
                     "rstrip", 0, "normalized", 0, "special", 1);
}

/* The tokens that text cannot contain, but for the bytes of sentencepiece. */
static json_t *added_tokens(const rn_train_model *m, rn_tokenizer_style style)
{
    enum { CONTROL = 3, BYTES = 256 };
    bool pieces = style == RN_STYLE_SENTENCEPIECE;
    json_t *array = json_array();
    for (size_t i = 0; array && i < m->tokens.count; i++) {
        if (m->tokens.words[i].count) continue;
        if (pieces && i >= CONTROL && i < CONTROL + BYTES) continue;
        if (!json_array_append_new(array, added_token(&m->tokens, i))) continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

static json_t *byte_level(int prefix, int trim)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space",
                     prefix, "trim_offsets", trim, "use_regex", 1);
}

static json_t *template_part(const char *kind, const char *id, int type)
{
    return json_pack("{s:{s:s, s:i}}", kind, "id", id, "type_id", type);
}

static json_t *begin_template(void)
{
    return json_pack(
        "{s:s, s:[o, o], s:[o, o, o, o], s:{s:{s:s, s:[i], s:[s]}}}", "type",
        "TemplateProcessing", "single", template_part("SpecialToken", "<s>", 0),
        template_part("Sequence", "A", 0), "pair",
        template_part("SpecialToken", "<s>", 0), template_part("Sequence", "A", 0),
        template_part("SpecialToken", "<s>", 1), template_part("Sequence", "B", 1),
        "special_tokens", "<s>", "id", "<s>", "ids", 1, "tokens", "<s>");
}

static json_t *piece_decoder(void)
{
    return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}]}", "type", "Sequence",
                     "decoders", "type", "Replace", "pattern", "String", "\u2581",
                     "content", " ", "type", "ByteFallback", "type", "Fuse");
}

static json_t *model(const rn_train_model *m, int pieces)
{
    return json_pack("{s:s, s:n, s:s?, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE",
                     "dropout", "unk_token", pieces ? "<unk>" : NULL,
                     "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                     pieces, "byte_fallback", pieces, "ignore_merges", 0, "vocab",
                     vocabulary(&m->tokens), "merges", merges(m));
}

static json_t *document(const rn_train_model *m, rn_tokenizer_style style)
{
    int pieces = style == RN_STYLE_SENTENCEPIECE;
    json_t *words =
        pieces ? json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement",
                           "\u2581", "prepend_scheme", "never", "split", 0)
               : byte_level(0, 1);
    return json_pack(
        "{s:s, s:n, s:n, s:o, s:n, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation",
        "padding", "added_tokens", added_tokens(m, style), "normalizer", "pre_tokenizer",
        words, "post_processor", pieces ? begin_template() : byte_level(1, 0), "decoder",
        pieces ? piece_decoder() : byte_level(1, 1), "model", model(m, pieces));
}

typedef struct output {
    rn_writer *writer;
    rn_error *err;
    rn_status status;
} output;

static int put(const char *bytes, size_t size, void *user)
{
    output *o = user;
    o->status = rn_writer_put(o->writer, bytes, size, o->err);
    return o->status ? -1 : 0;
}

rn_status rn_train_write(const char *path, const rn_train_model *m,
                         const rn_tokenizer_training *how, rn_error *err)
{
    output o = {.err = err};
    json_t *json = document(m, how->style);
    if (!json) return rn_fail_memory(err, path, m->tokens.used);
    rn_status st = rn_writer_open(&o.writer, path, err);
    if (st) goto end;
    if (json_dump_callback(json, put, &o, JSON_INDENT(2)))
        st = o.status ? o.status : rn_fail_memory(err, path, m->tokens.used);
    if (!st) st = rn_writer_put(o.writer, "\n", 1, err);
    if (st) rn_writer_abandon(o.writer);
    else st = rn_writer_commit(o.writer, err);
end:
    json_decref(json);
    return st;
}

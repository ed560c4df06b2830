/* Reading a tokenizer.json and the tokenizer_config.json beside it, or the two that a
   GGUF file keeps inside; see file.h.
   truncation and padding are for other uses than language models: they are left out. */
#include "tokenizer/file.h"

#include "core/file.h"
#include "formats/gguf_model.h"
#include "formats/json.h"

#include <stdio.h>
#include <stdlib.h>

rn_status rn_file_blame(rn_error *err, rn_status st, const char *path)
{
    char message[sizeof err->message];
    if (!st || !err) return st;
    memcpy(message, err->message, sizeof message);
    message[sizeof message - 1] = '\0';
    return rn_fail(err, st, "%s: %s", path, message);
}

static rn_status check_top(const json_t *json, const char *path, rn_error *err)
{
    static const char *const keys[] = {"version",        "truncation", "padding",
                                       "added_tokens",   "normalizer", "pre_tokenizer",
                                       "post_processor", "decoder",    "model"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json, key, value)
    {
        size_t i = 0;
        while (i < sizeof keys / sizeof *keys && strcmp(key, keys[i]) != 0) i++;
        if (i == sizeof keys / sizeof *keys)
            return rn_fail(err, RN_EUNSUPPORTED, "%s: unknown field '%.60s'", path, key);
    }
    const json_t *version = json_object_get(json, "version");
    const char *text = json_string_value(version);
    if (version && (!text || strcmp(text, "1.0") != 0))
        return rn_fail(err, RN_EUNSUPPORTED, "%s: version is not \"1.0\"", path);
    return RN_OK;
}

static void note_left_out(rn_file_tokenizer *t, const json_t *json)
{
    size_t n = 0;
    const json_t *truncation = json_object_get(json, "truncation");
    const json_t *padding = json_object_get(json, "padding");
    if (truncation && !json_is_null(truncation))
        t->base.notes[n++] = "truncation is ignored: texts are never cut";
    if (padding && !json_is_null(padding))
        t->base.notes[n++] = "padding is ignored: texts are never filled up";
}

/* The id of eos_token, which is a string or an object with content; -1: none. */
static int32_t config_end(const rn_file_tokenizer *t, const json_t *config)
{
    const json_t *end = json_object_get(config, "eos_token");
    if (json_is_object(end)) end = json_object_get(end, "content");
    if (!json_is_string(end)) return -1;
    return rn_vocab_find(&t->bpe.vocab, json_string_value(end), json_string_length(end));
}

static int32_t usual_end(const rn_file_tokenizer *t)
{
    static const char *const names[] = {"</s>",       "<|endoftext|>", "<|end_of_text|>",
                                        "<|eot_id|>", "<|im_end|>",    "<|end|>",
                                        "<eos>",      "[EOS]",         "<|eos|>"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int32_t id = rn_vocab_find(&t->bpe.vocab, names[i], strlen(names[i]));
        if (id >= 0 && t->bpe.vocab.entries[id].special) return id;
    }
    return -1;
}

static rn_status read_from_gguf(json_t **json, const char *path, const char *name,
                                rn_error *err)
{
    char *text = NULL;
    size_t length = 0;
    rn_status st = rn_gguf_file(path, name, &text, &length, err);
    if (!st) st = rn_json_parse(json, text, length, path, err);
    free(text);
    return st;
}

/* The object in tokenizer_config.json; *json stays NULL where there is no such file. */
static rn_status read_config(json_t **json, const char *path, rn_error *err)
{
    static const char name[] = "tokenizer_config.json";
    if (rn_gguf_is(path)) {
        rn_status st = read_from_gguf(json, path, name, err);
        return st == RN_ENOTFOUND ? RN_OK : st;
    }
    char *beside = rn_path_beside(path, name);
    if (!beside) return rn_fail_memory(err, path, strlen(path));
    rn_status st = rn_path_exists(beside) ? rn_json_read(json, beside, err) : RN_OK;
    free(beside);
    return st;
}

static rn_status find_end(rn_file_tokenizer *t, const char *path, rn_error *err)
{
    json_t *config = NULL;
    rn_status st = read_config(&config, path, err);
    t->base.end_id = config ? config_end(t, config) : -1;
    if (t->base.end_id < 0) t->base.end_id = usual_end(t);
    json_decref(config);
    return st;
}

static rn_status read_parts(rn_file_tokenizer *t, const json_t *json, const char *path,
                            rn_error *err)
{
    char label[1000];
    rn_status st = rn_classes_make(&t->classes, err);
    if (st) return st;
    snprintf(label, sizeof label, "%s: normalizer", path);
    st = rn_normalizer_read(&t->normalizer, json_object_get(json, "normalizer"), label,
                            err);
    if (st) return st;
    snprintf(label, sizeof label, "%s: pre_tokenizer", path);
    st = rn_presplit_read(&t->presplit, json_object_get(json, "pre_tokenizer"), label,
                          err);
    if (st) return st;
    snprintf(label, sizeof label, "%s: decoder", path);
    st = rn_decoder_read(&t->decoder, json_object_get(json, "decoder"), label, err);
    if (st) return st;
    t->bpe.byte_level = t->presplit.byte_level;
    st = rn_file_read_model(t, json, path, err);
    if (!st) st = rn_file_read_added(t, json, path, err);
    if (st) return st;
    snprintf(label, sizeof label, "%s: post_processor", path);
    return rn_file_read_post(t, json_object_get(json, "post_processor"), label, err);
}

/* Strings of the file are quoted in messages, whatever they hold. */
static void clean_message(rn_error *err)
{
    for (char *p = err ? err->message : NULL; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
}

rn_status rn_file_tokenizer_read(rn_file_tokenizer *t, const char *path, rn_error *err)
{
    json_t *json = NULL;
    rn_status st = rn_gguf_is(path) ? read_from_gguf(&json, path, "tokenizer.json", err)
                                    : rn_json_read(&json, path, err);
    if (!st) st = check_top(json, path, err);
    if (!st) st = read_parts(t, json, path, err);
    if (!st) note_left_out(t, json);
    json_decref(json);
    if (!st) st = find_end(t, path, err);
    if (st) clean_message(err);
    return st;
}

void rn_file_tokenizer_free(rn_file_tokenizer *t)
{
    rn_classes_free(&t->classes);
    rn_added_free(&t->raw);
    rn_added_free(&t->normal);
    rn_presplit_free(&t->presplit);
    rn_bpe_free(&t->bpe);
    rn_id_list_free(&t->before);
    rn_id_list_free(&t->after);
}

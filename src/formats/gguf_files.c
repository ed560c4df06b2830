/* The files of a Hugging Face folder inside GGUF: their texts as they are, and what other
   programs look for: chat template, ids of special tokens. The vocabulary is put by
   gguf_tokenizer.c. */
#define _POSIX_C_SOURCE 200809L
#include "formats/gguf_model.h"

#include "core/file.h"
#include "formats/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL    "tokenizer.ggml.model"
#define TEMPLATE "tokenizer.chat_template"

enum {
    TOKENIZER,
    TOKENIZER_CONFIG,
    GENERATION_CONFIG,
    SPECIAL_TOKENS,
    ADDED,
    JINJA,
    FILES
};
const char *const rn_gguf_files[] = {
    [TOKENIZER] = "tokenizer.json",
    [TOKENIZER_CONFIG] = "tokenizer_config.json",
    [GENERATION_CONFIG] = "generation_config.json",
    [SPECIAL_TOKENS] = "special_tokens_map.json",
    [ADDED] = "added_tokens.json",
    [JINJA] = "chat_template.jinja",
    [FILES] = NULL,
};

/* What lies beside a checkpoint. */
typedef struct folder {
    char *path[FILES];
    rn_map text[FILES];
    json_t *tokenizer, *tokenizer_config, *generation_config, *config; /* or NULL */
} folder;

/* The key under which a file is kept. */
static bool file_key(const char *name, char *out, size_t size)
{
    int n = strcmp(name, rn_gguf_files[TOKENIZER])
                ? snprintf(out, size, "%s%s", RN_GGUF_FILE, name)
                : snprintf(out, size, "%s", RN_GGUF_TOKENIZER_JSON);
    return n >= 0 && (size_t)n < size;
}

static void close_folder(folder *f)
{
    for (size_t i = 0; i < FILES; i++) {
        rn_map_close(&f->text[i]);
        free(f->path[i]);
    }
    json_decref(f->tokenizer);
    json_decref(f->tokenizer_config);
    json_decref(f->generation_config);
    json_decref(f->config);
}

/* An optional JSON object; damaged ones are errors. */
static rn_status parse(json_t **out, const rn_map *text, const char *path, rn_error *err)
{
    if (!text->size) return RN_OK;
    rn_status st = rn_json_parse(out, text->data, text->size, path, err);
    if (st || json_is_object(*out)) return st;
    return rn_fail(err, RN_EFORMAT, "%s: not a JSON object", path);
}

static rn_status read_model_config(folder *f, const char *in, rn_error *err)
{
    char *path = rn_path_beside(in, "config.json");
    if (!path) return rn_fail_memory(err, in, strlen(in));
    rn_status st = rn_path_exists(path) ? rn_json_read(&f->config, path, err) : RN_OK;
    free(path);
    return st;
}

static rn_status open_folder(folder *f, const char *in, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; i < FILES && !st; i++) {
        f->path[i] = rn_path_beside(in, rn_gguf_files[i]);
        if (!f->path[i]) st = rn_fail_memory(err, in, strlen(in));
        else if (rn_path_exists(f->path[i]))
            st = rn_map_open(&f->text[i], f->path[i], err);
    }
    if (!st) st = parse(&f->tokenizer, &f->text[TOKENIZER], f->path[TOKENIZER], err);
    if (!st)
        st = parse(&f->tokenizer_config, &f->text[TOKENIZER_CONFIG],
                   f->path[TOKENIZER_CONFIG], err);
    if (!st)
        st = parse(&f->generation_config, &f->text[GENERATION_CONFIG],
                   f->path[GENERATION_CONFIG], err);
    return st ? st : read_model_config(f, in, err);
}

/* ---- ids ---- */

/* An id that a config gives, alone or as the first of a list; -1: none. */
static json_int_t listed_id(const json_t *config, const char *key)
{
    const json_t *id = json_object_get(config, key);
    if (json_is_array(id)) id = json_array_get(id, 0);
    return json_is_integer(id) ? json_integer_value(id) : -1;
}

/* A token that a config gives as text, or as an object with its text. */
static const char *token_text(const json_t *config, const char *key)
{
    const json_t *token = json_object_get(config, key);
    if (json_is_object(token)) token = json_object_get(token, "content");
    return json_string_value(token);
}

static json_int_t find_id(const folder *f, const char *token, const char *id)
{
    const char *text = token_text(f->tokenizer_config, token);
    json_int_t found = text ? rn_gguf_token_id(f->tokenizer, text) : -1;
    if (found < 0) found = listed_id(f->generation_config, id);
    return found < 0 ? listed_id(f->config, id) : found;
}

static void put_ids(rn_gguf_meta *m, const folder *f, size_t vocab)
{
    static const struct {
        const char *token, *id, *key;
    } rows[] = {
        {"bos_token", "bos_token_id", "tokenizer.ggml.bos_token_id"},
        {"eos_token", "eos_token_id", "tokenizer.ggml.eos_token_id"},
        {"unk_token", "unk_token_id", "tokenizer.ggml.unknown_token_id"},
        {"pad_token", "pad_token_id", "tokenizer.ggml.padding_token_id"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_int_t id = find_id(f, rows[i].token, rows[i].id);
        if (id >= 0 && (uint64_t)id < vocab)
            rn_gguf_put_u32(m, rows[i].key, (uint32_t)id);
    }
}

/* ---- chat template ---- */

/* The template, or of several named ones the default. */
static const json_t *find_template(const folder *f)
{
    const json_t *all = json_object_get(f->tokenizer_config, "chat_template");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && !strcmp(name, "default")) return json_object_get(one, "template");
    }
    return all;
}

static void put_template(rn_gguf_meta *m, const folder *f)
{
    const rn_map *jinja = &f->text[JINJA];
    const json_t *text = find_template(f);
    if (jinja->size)
        rn_gguf_put_text(m, TEMPLATE, (const char *)jinja->data, jinja->size);
    else if (json_is_string(text))
        rn_gguf_put_text(m, TEMPLATE, json_string_value(text), json_string_length(text));
}

/* ---- all of it ---- */

static rn_status put_folder(rn_gguf_meta *m, const folder *f, size_t vocab, rn_error *err)
{
    char key[64];
    rn_status st = RN_OK;
    if (f->tokenizer)
        st = rn_gguf_put_tokenizer(m, f->tokenizer, vocab, f->path[TOKENIZER], err);
    else if (vocab == 256) rn_gguf_put_text(m, MODEL, "byte", 4);
    else rn_gguf_put_text(m, MODEL, "none", 4);
    if (st) return st;
    put_ids(m, f, vocab);
    put_template(m, f);
    for (size_t i = 0; i < FILES; i++)
        if (f->text[i].size && file_key(rn_gguf_files[i], key, sizeof key))
            rn_gguf_put_text(m, key, (const char *)f->text[i].data, f->text[i].size);
    return RN_OK;
}

/* Another GGUF file's tokenizer and files. */
static rn_status copy_file(rn_gguf_meta *m, const char *in, rn_error *err)
{
    rn_gguf *f;
    const char *key;
    const rn_gguf_value *value;
    rn_status st = rn_gguf_open(&f, in, err);
    if (st) return st;
    for (size_t i = 0; rn_gguf_pair_at(f, i, &key, &value); i++)
        if (!strncmp(key, "tokenizer.", strlen("tokenizer.")) ||
            !strncmp(key, RN_GGUF_FILE, strlen(RN_GGUF_FILE)))
            rn_gguf_put_copy(m, key, value);
    rn_gguf_close(f);
    return RN_OK;
}

rn_status rn_gguf_put_files(rn_gguf_meta *m, const char *in, size_t vocab, rn_error *err)
{
    folder f = {0};
    if (rn_gguf_is(in)) return copy_file(m, in, err);
    rn_status st = open_folder(&f, in, err);
    if (!st) st = put_folder(m, &f, vocab, err);
    close_folder(&f);
    return st;
}

static rn_status copy_text(const char *from, size_t length, const char *path, char **text,
                           rn_error *err)
{
    char *copy = malloc(length + 1);
    if (!copy) return rn_fail_memory(err, path, length);
    if (length) memcpy(copy, from, length);
    copy[length] = '\0';
    *text = copy;
    return RN_OK;
}

/* From the vocabulary's arrays, where there is one. */
static rn_status make_file(const rn_gguf *f, const char *name, const char *path,
                           char **text, rn_error *err)
{
    bool tokenizer = !strcmp(name, rn_gguf_files[TOKENIZER]);
    bool config = !strcmp(name, rn_gguf_files[TOKENIZER_CONFIG]);
    if (!(tokenizer || config) || !rn_gguf_find(f, "tokenizer.ggml.tokens"))
        return rn_fail(err, RN_ENOTFOUND, "%s: there is no %s inside", path, name);
    json_t *made = NULL;
    rn_status st = tokenizer ? rn_gguf_build_tokenizer(&made, f, path, err)
                             : rn_gguf_build_tokenizer_config(&made, f, path, err);
    if (st) return st;
    *text = json_dumps(made, JSON_COMPACT);
    json_decref(made);
    return *text ? RN_OK : rn_fail_memory(err, path, 0);
}

rn_status rn_gguf_take_file(const rn_gguf *f, const char *name, const char *path,
                            char **text, size_t *length, rn_error *err)
{
    char key[64], *made = NULL;
    const char *from;
    size_t n;
    const rn_gguf_value *v =
        file_key(name, key, sizeof key) ? rn_gguf_find(f, key) : NULL;
    rn_status st = v && rn_gguf_text(v, &from, &n) ? copy_text(from, n, path, &made, err)
                                                   : make_file(f, name, path, &made, err);
    if (st) return st;
    *length = v && v->type == RN_GGUF_STRING ? v->bytes : strlen(made);
    *text = made;
    return RN_OK;
}

rn_status rn_gguf_file(const char *path, const char *name, char **text, size_t *length,
                       rn_error *err)
{
    rn_gguf *f;
    rn_status st = rn_gguf_open(&f, path, err);
    if (st) return st;
    st = rn_gguf_take_file(f, name, path, text, length, err);
    rn_gguf_close(f);
    return st;
}

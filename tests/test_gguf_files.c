/* Tokenizers and other files inside GGUF: written from a tokenizer.json, kept as they
   are, taken out again, and made from the vocabulary where a file keeps none. */
#define _XOPEN_SOURCE 700
#include "gguf_fixture.h"

#include <jansson.h>
#include <string.h>

static const char BYTE_LEVEL[] =
    "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 5, \"content\": \"<end>\","
    " \"special\": true}, {\"id\": 6, \"content\": \"  \", \"special\": false}],"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\"}, \"decoder\": {\"type\": "
    "\"ByteLevel\"},"
    " \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 3, "
    "\"\xc4\xa0\": 2},"
    " \"merges\": [[\"a\", \"b\"]]}}";
static const char SENTENCES[] =
    "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 0, \"content\": \"<unk>\","
    " \"special\": true}, {\"id\": 1, \"content\": \"<s>\", \"special\": true}],"
    " \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": "
    "\"Prepend\"}]},"
    " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\":"
    " [{\"SpecialToken\": {\"id\": \"<s>\"}}, {\"Sequence\": {\"id\": \"A\"}}]},"
    " \"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"unk_token\": \"<unk>\","
    " \"vocab\": {\"<unk>\": 0, \"<s>\": 1, \"<0x0A>\": 2, \"a\": 3, \"b\": 4, \"ab\": 5,"
    " \"aba\": 6, \"zz\": 900}, \"merges\": [\"a b\", \"ab a\"]}}";

static void make_with_tokenizer(const char *name, const char *json, const char *config)
{
    char path[128];
    make_model("{\"vocab_size\": 8, \"width\": 8, \"layers\": 1, \"heads\": 1}",
               in_scratch(name));
    snprintf(path, sizeof path, "%s/tokenizer.json", name);
    put_text(path, json);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", name);
    put_text(path, config);
}

static void check_strings(const rn_gguf *f, const char *key, const char *const *want)
{
    const rn_gguf_value *v = rn_gguf_find(f, key);
    rn_gguf_value item;
    size_t at = 0, n = 0;
    assert_non_null(v);
    for (; rn_gguf_next(v, &at, &item); n++) {
        assert_non_null(want[n]);
        assert_int_equal(item.bytes, strlen(want[n]));
        assert_memory_equal(item.data, want[n], item.bytes);
    }
    assert_null(want[n]);
}

static void check_reals(const rn_gguf *f, const char *key, const double *want, size_t n)
{
    const rn_gguf_value *v = rn_gguf_find(f, key);
    rn_gguf_value item;
    size_t at = 0;
    double x;
    assert_non_null(v);
    assert_int_equal(v->count, n);
    for (size_t i = 0; rn_gguf_next(v, &at, &item); i++)
        assert_true(rn_gguf_real(&item, &x) && x == want[i]);
}

static void check_key(const rn_gguf *f, const char *key, const char *want)
{
    char text[200] = "none";
    const rn_gguf_value *v = rn_gguf_find(f, key);
    if (v) rn_gguf_print(v, text, sizeof text);
    assert_string_equal(text, want);
}

static void check_inside(const char *path, const char *name, const char *want)
{
    char *text = NULL;
    size_t length;
    WORKS(rn_gguf_file(path, name, &text, &length, err));
    assert_int_equal(length, strlen(want));
    assert_string_equal(text, want);
    free(text);
}

static void byte_level_tokenizers_are_inside(void **state)
{
    (void)state;
    static const char *const tokens[] = {"a",     "b",  "\xc4\xa0", "ab", "[PAD4]",
                                         "<end>", "  ", "[PAD7]",   NULL};
    static const char *const merges[] = {"a b", NULL};
    static const double kinds[] = {1, 1, 1, 1, 5, 3, 4, 5};
    static const char config[] = "{\"eos_token\": {\"content\": \"<end>\"}, "
                                 "\"chat_template\": \"{{ x }}\"}";
    make_with_tokenizer("bytes", BYTE_LEVEL, config);
    const char *path = convert(in_scratch("bytes"), "bytes.gguf");
    rn_gguf *f = NULL;
    WORKS(rn_gguf_open(&f, path, err));
    check_strings(f, "tokenizer.ggml.tokens", tokens);
    check_strings(f, "tokenizer.ggml.merges", merges);
    check_reals(f, "tokenizer.ggml.token_type", kinds, 8);
    check_key(f, "tokenizer.ggml.model", "gpt2");
    check_key(f, "tokenizer.ggml.pre", "gpt-2");
    check_key(f, "tokenizer.ggml.eos_token_id", "5");
    check_key(f, "tokenizer.ggml.bos_token_id", "none");
    check_key(f, "tokenizer.ggml.add_bos_token", "false");
    check_key(f, "tokenizer.ggml.scores", "none");
    check_key(f, "tokenizer.chat_template", "{{ x }}");
    rn_gguf_close(f);
    check_inside(path, "tokenizer.json", BYTE_LEVEL);
    check_inside(path, "tokenizer_config.json", config);
    FAILS(rn_gguf_file(path, "generation_config.json", &(char *){0}, &(size_t){0}, err),
          RN_ENOTFOUND, "no generation_config.json inside");
}

static void sentencepiece_tokenizers_are_inside(void **state)
{
    (void)state;
    static const char *const tokens[] = {"<unk>", "<s>", "<0x0A>", "a", "b",
                                         "ab",    "aba", "[PAD7]", NULL};
    static const char *const merges[] = {"a b", "ab a", NULL};
    static const double kinds[] = {2, 3, 6, 1, 1, 1, 1, 5};
    static const double scores[] = {0, 0, 0, -3, -3, -1, -2, 0};
    make_with_tokenizer("pieces", SENTENCES, "{\"bos_token\": \"<s>\"}");
    rn_gguf *f = NULL;
    WORKS(rn_gguf_open(&f, convert(in_scratch("pieces"), "pieces.gguf"), err));
    check_strings(f, "tokenizer.ggml.tokens", tokens);
    check_strings(f, "tokenizer.ggml.merges", merges);
    check_reals(f, "tokenizer.ggml.token_type", kinds, 8);
    check_reals(f, "tokenizer.ggml.scores", scores, 8);
    check_key(f, "tokenizer.ggml.model", "llama");
    check_key(f, "tokenizer.ggml.bos_token_id", "1");
    check_key(f, "tokenizer.ggml.add_bos_token", "true");
    check_key(f, "tokenizer.ggml.add_space_prefix", "true");
    rn_gguf_close(f);
}

/* ---- made from the vocabulary ---- */

/* The GGUF file without the keys that begin with `key`, or with `other` (or NULL). */
static const char *without(const char *from, const char *key, const char *other)
{
    rn_gguf *f = NULL;
    rn_gguf_meta meta = {0};
    rn_gguf_writer *w = NULL;
    const char *path = in_scratch("without.gguf"), *name;
    const rn_gguf_value *v;
    WORKS(rn_gguf_open(&f, from, err));
    for (size_t i = 0; rn_gguf_pair_at(f, i, &name, &v); i++)
        if (strncmp(name, key, strlen(key)) != 0 && (!other || strcmp(name, other) != 0))
            rn_gguf_put_copy(&meta, name, v);
    WORKS(rn_gguf_writer_open(&w, path, &meta, NULL, 0, err));
    WORKS(rn_gguf_writer_commit(w, err));
    rn_gguf_meta_free(&meta);
    rn_gguf_close(f);
    return path;
}

static json_t *take_json(const char *path, const char *name)
{
    char *text = NULL;
    size_t length;
    WORKS(rn_gguf_file(path, name, &text, &length, err));
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static void check_part(const json_t *json, const char *key, const char *want)
{
    char *text = json_dumps(json_object_get(json, key), JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(text ? text : "none", want);
    free(text);
}

static void tokenizers_are_made_from_vocabularies(void **state)
{
    (void)state;
    make_with_tokenizer("made", BYTE_LEVEL, "{\"eos_token\": \"<end>\"}");
    const char *from = convert(in_scratch("made"), "made.gguf");
    const char *path = without(from, "retnet.file.", "tokenizer.huggingface.json");
    json_t *json = take_json(path, "tokenizer.json");
    const json_t *model = json_object_get(json, "model");
    check_part(model, "vocab",
               "{\"a\":0,\"b\":1,\"\xc4\xa0\":2,\"ab\":3,\"<end>\":5,\"  \":6}");
    check_part(model, "merges", "[[\"a\",\"b\"]]");
    assert_int_equal(json_array_size(json_object_get(json, "added_tokens")), 2);
    check_part(json, "post_processor", "null");
    json_decref(json);
    json = take_json(path, "tokenizer_config.json");
    check_part(json, "eos_token", "\"<end>\"");
    check_part(json, "bos_token", "none");
    json_decref(json);
}

/* Merges that are not there follow from the scores. */
static void merges_follow_from_scores(void **state)
{
    (void)state;
    make_with_tokenizer("split", SENTENCES, "{\"bos_token\": \"<s>\"}");
    const char *from = convert(in_scratch("split"), "split.gguf");
    const char *path =
        without(from, "tokenizer.ggml.merges", "tokenizer.huggingface.json");
    json_t *json = take_json(path, "tokenizer.json");
    const json_t *model = json_object_get(json, "model");
    check_part(model, "merges", "[[\"a\",\"b\"],[\"ab\",\"a\"]]");
    check_part(model, "unk_token", "\"<unk>\"");
    check_part(model, "byte_fallback", "true");
    check_part(json_object_get(json, "post_processor"), "special_tokens",
               "{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\"tokens\":[\"<s>\"]}}");
    json_decref(json);
    path = without(from, "tokenizer.", NULL);
    FAILS(rn_gguf_file(path, "tokenizer.json", &(char *){0}, &(size_t){0}, err),
          RN_ENOTFOUND, "there is no tokenizer.json inside");
    path = without(from, "tokenizer.ggml.model", "tokenizer.huggingface.json");
    FAILS(rn_gguf_file(path, "tokenizer.json", &(char *){0}, &(size_t){0}, err),
          RN_EUNSUPPORTED, "neither \"gpt2\" nor \"llama\"");
}

/* What was put in comes out beside a native model, byte by byte. */
static void files_inside_come_out_again(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"first/model.safetensors", "second/model.safetensors"},
        {"first/config.json", "second/config.json"},
        {"first/tokenizer.json", "second/tokenizer.json"},
        {"first/tokenizer_config.json", "second/tokenizer_config.json"},
    };
    rn_convert_options native = {.to = "native"};
    make_with_tokenizer("first", SENTENCES, "{\"bos_token\": \"<s>\"}");
    const char *path = convert(in_scratch("first"), "files.gguf");
    WORKS(rn_convert(path, in_scratch("second"), &native, NULL, err));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t size, other;
        char *a = get_bytes(in_scratch(names[i][0]), &size);
        char *b = get_bytes(in_scratch(names[i][1]), &other);
        assert_int_equal(size, other);
        assert_memory_equal(a, b, size);
        free(a);
        free(b);
    }
}

static void a_model_of_bytes_says_so(void **state)
{
    (void)state;
    rn_gguf *f = NULL;
    make_model("{\"vocab_size\": 256, \"width\": 8, \"layers\": 1, \"heads\": 1}",
               in_scratch("byte"));
    WORKS(rn_gguf_open(&f, convert(in_scratch("byte"), "byte.gguf"), err));
    check_key(f, "tokenizer.ggml.model", "byte");
    check_key(f, "general.name", "byte");
    check_key(f, "retnet.config.bias", "false");
    rn_gguf_close(f);
}

static void damaged_tokenizers_are_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{\"model\": 1}", "model.vocab is not an object"},
        {"{\"model\": {\"vocab\": {}, \"merges\": [1]}}", "merge 0 is no pair"},
        {"{\"model\": {\"vocab\": {}, \"merges\": [[\"a\"]]}}", "merge 0 is no pair"},
        {"{\"model\": {\"vocab\": {}, \"merges\": [\"ab\"]}}", "merge 0 is no pair"},
        {"[]", "not a JSON object"},
        {"{\"model\": {\"vocab\": {\"a\": \"x\", \"b\": -1}}", "tokenizer.json: line 1"},
    };
    make_with_tokenizer("hurt", "{}", "{}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_text("hurt/tokenizer.json", rows[i][0]);
        FAILS(
            rn_convert_gguf(in_scratch("hurt"), in_scratch("hurt.gguf"), NULL, NULL, err),
            RN_EFORMAT, rows[i][1]);
        assert_false(rn_path_exists(in_scratch("hurt.gguf")));
    }
    put_text("hurt/tokenizer.json",
             "{\"model\": {\"vocab\": {\"a\": \"x\", \"b\": -1}}}");
    convert(in_scratch("hurt"), "hurt.gguf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_tokenizers_are_inside),
        cmocka_unit_test(sentencepiece_tokenizers_are_inside),
        cmocka_unit_test(tokenizers_are_made_from_vocabularies),
        cmocka_unit_test(merges_follow_from_scores),
        cmocka_unit_test(files_inside_come_out_again),
        cmocka_unit_test(a_model_of_bytes_says_so),
        cmocka_unit_test(damaged_tokenizers_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

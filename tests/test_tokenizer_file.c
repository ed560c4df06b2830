/* tokenizer.json files that are wrong or ask for what is not supported: one clear error
   each, that names the file and the field. And the program with a model that has its own
   tokenizer. */
#define _XOPEN_SOURCE 700
#include <stdbool.h>

#include "program_fixture.h"
#include "core/file.h"
#include "retnet/data.h"
#include "tokenizer_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MODEL(fields) "{\"model\":{" fields "}}"
#define VOCAB         "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}"
#define WITH(fields)  "{" fields ",\"model\":{" VOCAB ",\"merges\":[\"a b\"]}}"
#define PRE(step)     WITH("\"pre_tokenizer\":" step)
#define NORMAL(step)  WITH("\"normalizer\":" step)
#define DECODER(step) WITH("\"decoder\":" step)
#define POST(step)    WITH("\"post_processor\":" step)
#define FLAGS                                                                            \
    "\"special\":true,\"normalized\":false,\"lstrip\":false,\"rstrip\":false,"           \
    "\"single_word\":false}"

static const struct {
    rn_status status;
    const char *json, *words;
} wrong[] = {
    {RN_EFORMAT, "", "wrong.json: line 1"},
    {RN_EFORMAT, "[]", "not a JSON object"},
    {RN_EFORMAT, "{\"model\":{}", "wrong.json: line 1"},
    {RN_EFORMAT, "{}", "model is missing"},
    {RN_EFORMAT, "{\"model\":3}", "model is missing or not"},
    {RN_EFORMAT, MODEL(""), "model.vocab is missing"},
    {RN_EFORMAT, MODEL("\"vocab\":[]"), "model.vocab"},
    {RN_EFORMAT, MODEL(VOCAB), "model.merges is missing"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":{}"), "model.merges"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[3]"), "merge 0"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[\"ab\"]"), "merge 0"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[\"a b c\"]"), "merge 0"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[\"a b\",[\"a\",\"b\"]]"), "merge 1"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[[\"a\",\"b\"],\"a b\"]"), "merge 1"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[[\"a\"]]"), "merge 0"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[[\"a\",1]]"), "merge 0"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[\"a c\"]"), "a side of merge 0"},
    {RN_EFORMAT, MODEL(VOCAB ",\"merges\":[\"b a\"]"), "the result of merge 0"},
    {RN_EFORMAT, MODEL("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), "two tokens"},
    {RN_EFORMAT, MODEL("\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), "line 1"},
    {RN_EFORMAT, MODEL("\"vocab\":{\"a\":-1},\"merges\":[]"), "'a' has no id"},
    {RN_EFORMAT, MODEL("\"vocab\":{\"a\":0.5},\"merges\":[]"), "'a' has no id"},
    {RN_EFORMAT, MODEL("\"vocab\":{\"a\\n\":\"x\"},\"merges\":[]"), "'a?' has no id"},
    {RN_EFORMAT, MODEL("\"vocab\":{\"a\":4294967295},\"merges\":[]"), "only 1 tokens"},
    {RN_EFORMAT, MODEL("\"vocab\":{\"a\":9223372036854775807},\"merges\":[]"), "only 1"},
    {RN_EUNSUPPORTED, MODEL("\"type\":\"Unigram\"," VOCAB), "type 'Unigram'"},
    {RN_EFORMAT, MODEL("\"type\":3," VOCAB), "type is not a string"},
    {RN_EUNSUPPORTED, MODEL("\"dropout\":0.1," VOCAB), "dropout 0.1"},
    {RN_EFORMAT, MODEL("\"dropout\":7," VOCAB), "dropout is 7"},
    {RN_EFORMAT, MODEL("\"unk_token\":7," VOCAB), "unk_token is not a string"},
    {RN_EFORMAT, MODEL("\"byte_fallback\":1," VOCAB), "byte_fallback is not"},
    {RN_EUNSUPPORTED, MODEL("\"end_of_word_suffix\":\"</w>\"," VOCAB), "end_of_word"},
    {RN_EUNSUPPORTED, MODEL("\"continuing_subword_prefix\":\"#\"," VOCAB), "continuing"},
    {RN_EUNSUPPORTED, WITH("\"version\":\"2.0\""), "version"},
    {RN_EUNSUPPORTED, WITH("\"version\":1"), "version"},
    {RN_EUNSUPPORTED, WITH("\"surprise\":1"), "'surprise'"},
    {RN_EFORMAT, WITH("\"added_tokens\":{}"), "added_tokens is not a list"},
    {RN_EFORMAT, WITH("\"added_tokens\":[3]"), "entry 0 has no id"},
    {RN_EFORMAT, WITH("\"added_tokens\":[{\"id\":3}]"), "no content"},
    {RN_EFORMAT, WITH("\"added_tokens\":[{\"id\":3,\"content\":\"x\"}]"), "missing"},
    {RN_EFORMAT, WITH("\"added_tokens\":[{\"id\":4,\"content\":\"x\"," FLAGS "]"),
     "'x' has the id 4, but the next free one is 3"},
    {RN_EFORMAT, WITH("\"added_tokens\":[{\"id\":3,\"content\":\"a\"," FLAGS "]"),
     "'a' has the id 3, in model.vocab it is 0"},
    {RN_EFORMAT, PRE("3"), "pre_tokenizer: type"},
    {RN_EFORMAT, PRE("{}"), "pre_tokenizer: type"},
    {RN_EUNSUPPORTED, PRE("{\"type\":\"Whitespace\"}"), "type 'Whitespace'"},
    {RN_EFORMAT, PRE("{\"type\":\"ByteLevel\",\"use_regex\":3}"), "use_regex"},
    {RN_EFORMAT, PRE("{\"type\":\"Sequence\"}"), "pretokenizers"},
    {RN_EUNSUPPORTED,
     PRE("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
         "{\"type\":\"Digits\"}]}"),
     "Digits behind ByteLevel"},
    {RN_EFORMAT, PRE("{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"), "replacement"},
    {RN_EFORMAT, PRE("{\"type\":\"Metaspace\",\"add_prefix_space\":false}"),
     "add_prefix_space is false"},
    {RN_EFORMAT, PRE("{\"type\":\"Metaspace\",\"prepend_scheme\":\"no\"}"), "scheme"},
    {RN_EUNSUPPORTED,
     PRE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}"),
     "the expression: missing closing"},
    {RN_EUNSUPPORTED,
     PRE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Merged\"}"),
     "behavior"},
    {RN_EFORMAT, PRE("{\"type\":\"Split\",\"behavior\":\"Isolated\"}"), "String"},
    {RN_EFORMAT,
     PRE("{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\"}"),
     "String is empty"},
    {RN_EUNSUPPORTED, NORMAL("{\"type\":\"NFKC\"}"), "type 'NFKC'"},
    {RN_EUNSUPPORTED, NORMAL("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"}}"),
     "normalizer: pattern"},
    {RN_EFORMAT, NORMAL("{\"type\":\"Prepend\"}"), "prepend"},
    {RN_EFORMAT, NORMAL("{\"type\":\"Sequence\",\"normalizers\":[null]}"), "type"},
    {RN_EUNSUPPORTED, DECODER("{\"type\":\"WordPiece\"}"), "type 'WordPiece'"},
    {RN_EFORMAT, DECODER("{\"type\":\"Strip\",\"content\":\"ab\"}"), "start"},
    {RN_EFORMAT,
     DECODER("{\"type\":\"Strip\",\"content\":\"ab\",\"start\":1,\"stop\":0}"),
     "not one character"},
    {RN_EFORMAT, DECODER("{\"type\":\"Strip\",\"content\":\" \",\"start\":-1}"), "start"},
    {RN_EUNSUPPORTED,
     DECODER("{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},"
             "{\"type\":\"ByteFallback\"}]}"),
     "ByteFallback behind Fuse"},
    {RN_EUNSUPPORTED, POST("{\"type\":\"BertProcessing\"}"), "type 'BertProcessing'"},
    {RN_EFORMAT, POST("{\"type\":\"TemplateProcessing\"}"), "the text 0 times"},
    {RN_EFORMAT, POST("{\"type\":\"TemplateProcessing\",\"single\":[3]}"), "item 0"},
    {RN_EFORMAT,
     POST("{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
          "\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}]}"),
     "'<s>' has no ids"},
    {RN_EFORMAT,
     POST("{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
          "\"s\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"s\":{\"ids\":"
          "[77]}}}"),
     "'s' is no token's id"},
};

static void wrong_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        rn_tokenizer *t = NULL;
        const char *path = put_text("wrong.json", wrong[i].json);
        FAILS(rn_tokenizer_open(&t, path, err), wrong[i].status, wrong[i].words);
        FAILS(rn_tokenizer_open(&t, path, err), wrong[i].status, "wrong.json");
        assert_null(t);
        assert_int_equal(rn_tokenizer_open(&t, path, NULL), wrong[i].status);
    }
    rn_tokenizer *t;
    WORKS(
        rn_tokenizer_open(&t, put_text("right.json", WITH("\"version\":\"1.0\"")), err));
    rn_tokenizer_free(t);
}

/* Sequences in each other, lists without end, strings that are too long. */
static void limits_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *before, *repeat, *after, *words;
        int times;
    } cases[] = {
        {"{\"normalizer\":", "{\"type\":\"Sequence\",\"normalizers\":[", "3", "line",
         3000},
        {"{\"normalizer\":", "{\"type\":\"Sequence\",\"normalizers\":[",
         "]}]}]}]}]}]},\"model\":{}}", "more than 4 sequences", 6},
        {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[",
         "{\"type\":\"NFC\"},", "{\"type\":\"NFC\"}]}}", "more than 16 steps", 16},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[",
         "{\"type\":\"Digits\"},", "{\"type\":\"Digits\"}]}}", "more than 8 steps", 8},
        {"{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[", "{\"type\":\"Fuse\"},",
         "{\"type\":\"Fuse\"}]}}", "more than 8 steps", 8},
        {"{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"", "0123456789", "\"}}",
         "at most 256", 26},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{"
         "\"Regex\":\"",
         "0123456789", "\"}}}", "at most 4096", 410},
    };
    char *text = malloc(200000);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        strcpy(text, cases[i].before);
        for (int n = 0; n < cases[i].times; n++) strcat(text, cases[i].repeat);
        strcat(text, cases[i].after);
        rn_tokenizer *t = NULL;
        rn_error err = {RN_OK, ""};
        rn_status st = rn_tokenizer_open(&t, put_text("long.json", text), &err);
        check_failure(st, st == RN_OK ? RN_EFORMAT : st, &err, cases[i].words);
    }
    free(text);
}

/* Each cut of a real file is refused or, at the end, read. */
static void cut_files_are_refused(void **state)
{
    (void)state;
    size_t size = 0;
    char *bytes = golden_bytes("extra-unk", "tokenizer.json", &size);
    for (size_t n = 0; n + 2 < size; n += 97) {
        rn_tokenizer *t = NULL;
        FAILS(rn_tokenizer_open(&t, put_bytes("cut.json", bytes, n), err), RN_EFORMAT,
              "cut.json");
        assert_null(t);
    }
    free(bytes);
}

/* A normalizer that makes a text too long, and an unknown character without unk_token. */
static void texts_can_be_refused(void **state)
{
    (void)state;
    char json[4000] = "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[",
         text[5000];
    for (int i = 0; i < 15; i++)
        strcat(json, "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":"
                     "\"aaaa\"},");
    strcat(json, "{\"type\":\"NFC\"}]},\"model\":{" VOCAB ",\"merges\":[]}}");
    rn_tokenizer *t;
    int32_t *ids = NULL;
    size_t count;
    memset(text, 'a', sizeof text);
    WORKS(rn_tokenizer_open(&t, put_text("grow.json", json), err));
    FAILS(rn_tokenizer_encode(t, text, sizeof text, 0, &ids, &count, err),
          RN_EUNSUPPORTED, "normalizer makes more than");
    rn_tokenizer_free(t);

    const char *texts[] = {"ab", "ax", "b", "axx"};
    const size_t lengths[] = {2, 2, 1, 3};
    int32_t *many[4];
    size_t counts[4];
    WORKS(rn_tokenizer_open(
        &t, put_text("unk.json", MODEL("\"unk_token\":\"<u>\"," VOCAB ",\"merges\":[]")),
        err));
    FAILS(rn_tokenizer_encode(t, "ax", 2, 0, &ids, &count, err), RN_EFORMAT, "'<u>'");
    FAILS(rn_tokenizer_encode_batch(t, texts, lengths, 4, 0, 3, many, counts, err),
          RN_EFORMAT, "'<u>'");
    for (size_t i = 0; i < 4; i++) assert_null(many[i]);
    assert_null(ids);
    rn_tokenizer_free(t);
}

/* ---- token files ---- */

static const char *golden_file(const char *folder)
{
    size_t size = 0;
    char *bytes = golden_bytes(folder, "tokenizer.json", &size);
    WORKS(rn_make_folder(in_scratch("tok"), err));
    const char *path = put_bytes("tok/tokenizer.json", bytes, size);
    put_text("tok/tokenizer_config.json", "{\"eos_token\": \"<|endoftext|>\"}");
    free(bytes);
    return path;
}

static void documents_end_in_the_end_id(void **state)
{
    (void)state;
    rn_tokenizer *t;
    rn_tokens *tokens;
    WORKS(rn_tokenizer_open(&t, golden_file("gpt2"), err));
    const char *path =
        put_text("docs.jsonl", "{\"text\": \"the king\"}\n{\"text\": \"\"}\n"
                               "{\"text\": \"a queen\"}\n");
    WORKS(rn_tokens_build(&tokens, in_scratch("docs.bin"), &path, 1, NULL, t, err));
    const size_t count = rn_tokens_count(tokens);
    int32_t ids[64];
    uint8_t starts[64];
    assert_in_range(count, 3, 64);
    WORKS(rn_tokens_read_documents(tokens, 0, count, ids, starts, err));
    const int32_t end = rn_tokenizer_end_id(t);
    size_t ends = 0;
    assert_true(end >= 0);
    for (size_t i = 0; i < count; i++) {
        ends += ids[i] == end;
        assert_int_equal(starts[i] != 0, i == 0 || ids[i - 1] == end);
    }
    assert_int_equal(ends, 2); /* one without text is none */
    assert_int_equal(ids[count - 1], end);
    rn_tokens_free(tokens);
    rn_tokenizer_free(t);
}

/* ---- the program ---- */

static void models_bring_their_tokenizer(void **state)
{
    (void)state;
    const char *out = in_scratch("bpe"), *file = golden_file("gpt2");
    child c = TRAIN(out, "--steps", "3", "--tokenizer", file);
    check_done(&c);
    child_free(&c);
    size_t size = 0, copied = 0;
    char *before = get_bytes(file, &size);
    char *after = get_bytes(in_scratch("bpe/tokenizer.json"), &copied);
    assert_int_equal(size, copied);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
    assert_int_equal(access(in_scratch("bpe/tokenizer_config.json"), F_OK), 0);

    c = RUN("eval", out, "--text", in_scratch("text"), "--json", "--quiet");
    check_done(&c);
    json_t *o = child_json(&c);
    assert_int_equal((int)json_number(o, "bytes"), 12000);
    assert_true(json_number(o, "tokens") < 6000);
    assert_true(json_number(o, "bits_per_byte") < json_number(o, "loss") / 0.69);
    json_decref(o);
    child_free(&c);

    c = RUN("generate", out, "-p", "the king", "-n", "5", "--greedy", "--json",
            "--quiet");
    check_done(&c);
    o = child_json(&c);
    assert_int_equal((int)json_number(o, "prompt_tokens"), 3);
    assert_true(json_is_string(json_object_get(o, "text")));
    json_decref(o);
    child_free(&c);
}

/* The text that a model goes on with; to be freed. */
static char *continued(const char *model)
{
    child c = RUN("generate", model, "-p", "the king", "-n", "12", "--seed", "3",
                  "--json", "--quiet");
    check_done(&c);
    json_t *o = child_json(&c);
    char *text = strdup(json_string_value(json_object_get(o, "text")));
    json_decref(o);
    child_free(&c);
    return text;
}

/* bpe is the model of the test before. */
static void one_file_holds_model_and_tokenizer(void **state)
{
    (void)state;
    child c = RUN("convert", in_scratch("bpe"), in_scratch("bpe.gguf"), "--to", "gguf");
    check_done(&c);
    child_free(&c);
    char *folder = continued(in_scratch("bpe")),
         *file = continued(in_scratch("bpe.gguf"));
    assert_string_equal(folder, file);
    free(folder);
    free(file);

    c = RUN("train", "--data", in_scratch("text"), "--out", in_scratch("tuned"), "--init",
            in_scratch("bpe.gguf"), "--steps", "1", "--batch", "1", "--seq", "16");
    check_done(&c);
    child_free(&c);
    size_t size = 0, copied = 0;
    char *before = get_bytes(in_scratch("tok/tokenizer.json"), &size);
    char *after = get_bytes(in_scratch("tuned/tokenizer.json"), &copied);
    assert_int_equal(size, copied);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

static void tokenizers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    size_t size = 0, config_size = 0;
    WORKS(rn_make_folder(in_scratch("other"), err));
    char *model = get_bytes(in_scratch("model/model.safetensors"), &size);
    char *config = get_bytes(in_scratch("model/config.json"), &config_size);
    put_bytes("other/model.safetensors", model, size);
    put_bytes("other/config.json", config, config_size);
    free(model);
    free(config);
    char *json = golden_bytes("extra-unk", "tokenizer.json", &size);
    put_bytes("other/tokenizer.json", json, size);
    free(json);
    child c = RUN("generate", in_scratch("other"), "-p", "a", "-n", "1");
    check_refused(&c, 1, "has 605 ids, its vocab_size is 256");
    child_free(&c);
    c = RUN("generate", in_scratch("other"), "--ids", "-p", "1 2", "-n", "2", "--greedy",
            "--quiet");
    check_done(&c);
    child_free(&c);
    c = RUN("train", "--data", in_scratch("text"), "--out", in_scratch("no"),
            "--tokenizer", in_scratch("other"), "--set", "vocab_size=600");
    check_refused(&c, 2, "has 605 ids, but the model's vocab_size is 600");
    child_free(&c);
    c = TRAIN(in_scratch("padded"), "--steps", "1", "--tokenizer", in_scratch("other"),
              "--set", "vocab_size=640");
    check_done(&c);
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(texts_can_be_refused),
        cmocka_unit_test(documents_end_in_the_end_id),
        cmocka_unit_test(models_bring_their_tokenizer),
        cmocka_unit_test(one_file_holds_model_and_tokenizer),
        cmocka_unit_test(tokenizers_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, program_open, scratch_close);
}

/* Bad input to the program: each case is one clear line on standard error, exit code 1 (2
   where the command line itself is wrong), nothing on standard output, nothing left
   behind. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "program_fixture.h"

#include "formats/safetensors.h"

#include <stdbool.h>
#include <sys/resource.h>

#define MODEL in_scratch("model")

/* A model folder made of given bytes; NULL leaves a file out. */
static const char *make_model(const char *name, const char *config, size_t config_size,
                              const char *weights, size_t weights_size)
{
    char file[200];
    assert_true(mkdir(in_scratch(name), 0700) == 0);
    snprintf(file, sizeof file, "%s/config.json", name);
    if (config) put_bytes(file, config, config_size);
    snprintf(file, sizeof file, "%s/model.safetensors", name);
    if (weights) put_bytes(file, weights, weights_size);
    return in_scratch(name);
}

static void check_fails(const char *words, const char *const *argv)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    check_refused(&c, 1, words);
    child_free(&c);
}

#define FAILS_WITH(words, ...) check_fails(words, ARGV(__VA_ARGS__))

/* Every command that takes a model refuses it. */
static void check_model(const char *model, const char *words)
{
    child c = RUN("generate", model, "-p", "x", "-n", "2");
    check_refused(&c, 1, words);
    child_free(&c);
    c = RUN("eval", model, "--text", in_scratch("text"), "--json");
    check_refused(&c, 1, words);
    child_free(&c);
    c = RUN("info", model);
    check_refused(&c, 1, words);
    child_free(&c);
    c = RUN("train", "--init", model, "--data", in_scratch("text"), "--out",
            in_scratch("none"));
    check_refused(&c, 1, words);
    child_free(&c);
    assert_true(access(in_scratch("none/model.safetensors"), F_OK) != 0);
}

static void test_no_model(void **state)
{
    (void)state;
    check_model(in_scratch("missing"), "missing");
    check_model(make_model("empty", NULL, 0, NULL, 0), "empty");
    FAILS_WITH("config.json", "generate", in_scratch("text"), "-p", "x");
    FAILS_WITH("not a safetensors file", "info", in_scratch("text"));
}

static void test_damaged_weights(void **state)
{
    (void)state;
    size_t config_size, size;
    char *config = get_bytes(in_scratch("model/config.json"), &config_size);
    char *weights = get_bytes(in_scratch("model/model.safetensors"), &size);
    static const size_t cuts[] = {0, 4, 9, 300};
    char name[40];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "cut-%zu", i);
        check_model(make_model(name, config, config_size, weights, cuts[i]), name);
    }
    check_model(make_model("short", config, config_size, weights, size - 4), "short");
    check_model(make_model("alone", NULL, 0, weights, size), "config.json");
    memset(weights, 0xff, 8);
    check_model(make_model("huge", config, config_size, weights, size), "huge");
    free(weights);
    free(config);
}

/* The trained model's config with one piece of text replaced. */
static const char *edited(const char *name, const char *from, const char *to)
{
    size_t config_size, size;
    char *config = get_bytes(in_scratch("model/config.json"), &config_size);
    char *weights = get_bytes(in_scratch("model/model.safetensors"), &size);
    char *at = strstr(config, from), *text = malloc(config_size + strlen(to) + 1);
    if (!at) fail_msg("no %s in the config", from);
    sprintf(text, "%.*s%s%s", (int)(at - config), config, to, at + strlen(from));
    const char *path = make_model(name, text, strlen(text), weights, size);
    free(text);
    free(weights);
    free(config);
    return path;
}

static void test_contradicting_configs(void **state)
{
    (void)state;
    check_model(edited("wide", "\"width\": 16", "\"width\": 32"), "16");
    check_model(edited("tall", "\"layers\": 2", "\"layers\": 3"), "layers.2");
    check_model(edited("less", "\"layers\": 2", "\"layers\": 1"), "layers.1");
    check_model(edited("key", "\"layers\": 2", "\"layers\": 2, \"kittens\": 1"),
                "kittens");
    check_model(edited("type", "\"layers\": 2", "\"layers\": \"two\""), "layers");
    check_model(edited("zero", "\"heads\": 2", "\"heads\": 0"), "heads");
    check_model(edited("much", "\"width\": 16", "\"width\": 1e30"), "width");
    check_model(edited("json", "\"layers\": 2", "\"layers\": 2,,"), "json");
    check_model(edited("twice", "\"layers\": 2", "\"layers\": 2, \"layers\": 2"),
                "layers");
}

static void test_prompts(void **state)
{
    (void)state;
    put_text("nothing", "");
    put_text("words", "1 2 three");
    FAILS_WITH("missing.txt", "generate", MODEL, "--prompt-file",
               in_scratch("missing.txt"));
    FAILS_WITH("is empty", "generate", MODEL, "--prompt-file", in_scratch("nothing"));
    FAILS_WITH("standard input: is empty", "generate", MODEL, "--prompt-file", "-");
    FAILS_WITH("byte 4", "generate", MODEL, "--ids", "--prompt-file",
               in_scratch("words"));
    FAILS_WITH("--prompt: id 256 at index 1", "generate", MODEL, "--ids", "-p", "1 256");
    child c = RUN("generate", MODEL, "--ids", "--prompt", "1 -2");
    check_refused(&c, 2, "--prompt: byte 2");
    child_free(&c);
}

static void test_ids_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {{"", "line 1"},
                 {"[[1, 2], [3]]", "row 1"},
                 {"[[1, 999]]", "id 999 at row 0, index 1"},
                 {"[[1, -1]]", "id -1"},
                 {"[1, 2]", "not a JSON array of arrays"},
                 {"[[1, 2.5]]", "row 0, index 1 is not an integer"},
                 {"[[1, 2]", "line 1"},
                 {"{\"ids\": 1}", "not a JSON array of arrays"},
                 {"[[]]", "empty"},
                 {"[[1], [2]]", "ids-9.json: rows of 1 leave nothing to predict"},
                 {"[[1, 300]]", "ids-10.json: id 300"}};
    char name[40];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(name, sizeof name, "ids-%zu.json", i);
        const char *path = put_text(name, cases[i].text);
        FAILS_WITH(cases[i].words, "eval", MODEL, "--ids", path, "--logits",
                   in_scratch("never"));
    }
    const char *floats = in_scratch("floats.safetensors");
    static const float numbers[2] = {1, 2};
    const rn_tensor_view ids = {.name = "ids",
                                .dtype = RN_DTYPE_F32,
                                .dims = 2,
                                .shape = {1, 2},
                                .data = numbers};
    WORKS(rn_safetensors_write(floats, &ids, 1, NULL, err));
    FAILS_WITH("floats.safetensors: tensor ids: F32, expected integers", "eval", MODEL,
               "--ids", floats);
    FAILS_WITH("missing.json", "eval", MODEL, "--ids", in_scratch("missing.json"));
    assert_true(access(in_scratch("never"), F_OK) != 0);
}

static void test_eval_paths(void **state)
{
    (void)state;
    const char *text = in_scratch("text");
    FAILS_WITH("missing.txt", "eval", MODEL, "--text", in_scratch("missing.txt"));
    FAILS_WITH("its folder", "eval", MODEL, "--text", text, "--logits",
               in_scratch("no/folder"));
    FAILS_WITH("/dev/full", "eval", MODEL, "--text", put_text("few", "abc"), "--grads",
               "/dev/full/x");
    put_text("odd.bin", "abc");
    FAILS_WITH("odd.bin", "eval", MODEL, "--text", in_scratch("odd.bin"));
    put_bytes("large.bin", "\xff\x00\x00\x01", 4);
    FAILS_WITH("256", "eval", MODEL, "--text", in_scratch("large.bin"));
    FAILS_WITH("/one: 1 tokens leave nothing", "eval", MODEL, "--text",
               put_text("one", "a"));
    FAILS_WITH("/one: 1 tokens leave nothing", "eval", MODEL, "--text", in_scratch("one"),
               "--logits", in_scratch("never"));
    FAILS_WITH("is a folder", "eval", MODEL, "--text", text, "--logits", MODEL);
}

static void test_training_data(void **state)
{
    (void)state;
    const char *out = in_scratch("out");
    FAILS_WITH("missing.txt", "train", "--data", in_scratch("missing.txt"), "--out", out);
    FAILS_WITH("missing.txt", "train", "--data", in_scratch("text"), "--val",
               in_scratch("missing.txt"), "--out", out);
    assert_true(access(out, F_OK) != 0); /* refused before anything was made */
    FAILS_WITH("too few", "train", "--data", put_text("tiny", "a"), "--out", out, TINY);
    FAILS_WITH("blank", "train", "--data", put_text("blank", ""), "--out", out, TINY);
    FAILS_WITH("missing.json", "train", "--data", in_scratch("text"), "--out", out,
               "--config", in_scratch("missing.json"));
    FAILS_WITH("bpe.json", "train", "--data", in_scratch("text"), "--out", out,
               "--tokenizer", put_text("bpe.json", "{}"));
    FAILS_WITH("text", "train", "--data", in_scratch("text"), "--out", in_scratch("text"),
               TINY);
    assert_true(access(in_scratch("out/model.safetensors"), F_OK) != 0);
}

static void test_vocabularies(void **state)
{
    (void)state;
    const char *text = in_scratch("text"), *out = in_scratch("out2");
    child c = RUN("train", "--data", text, "--out", out, "--set", "vocab_size=300");
    check_refused(&c, 2, "byte has 256 ids, but the model's vocab_size is 300");
    child_free(&c);
    c = RUN("train", "--data", text, "--out", out, "--set", "kittens=1");
    check_refused(&c, 2, "kittens");
    child_free(&c);
    FAILS_WITH("use --ids", "generate", RN_GOLDEN "/reference/models/official", "-p",
               "a");
    FAILS_WITH("use --ids", "eval", RN_GOLDEN "/reference/models/official", "--text",
               text);
}

static void test_existing_output(void **state)
{
    (void)state;
    size_t size, after;
    char *before = get_bytes(in_scratch("model/model.safetensors"), &size);
    child c = TRAIN(MODEL, "--steps", "40");
    check_refused(&c, 1, "--resume continues it");
    child_free(&c);
    char *now = get_bytes(in_scratch("model/model.safetensors"), &after);
    assert_int_equal(size, after);
    assert_memory_equal(before, now, size);
    free(before);
    free(now);
}

/* A file that may not grow is one line, not a signal. */
static void test_file_size_limit(void **state)
{
    (void)state;
    if (needs_large_files()) skip();
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){8192, was.rlim_max});
    child c = TRAIN(in_scratch("limited"), "--steps", "2");
    setrlimit(RLIMIT_FSIZE, &was);
    check_refused(&c, 1, "File too large");
    child_free(&c);
    assert_true(access(in_scratch("limited"), F_OK) != 0);
}

static void test_damaged_checkpoint(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("broken"), "--steps", "2");
    assert_int_equal(c.code, 0);
    child_free(&c);
    put_text("broken/latest", "step-nonsense\n");
    c = TRAIN(in_scratch("broken"), "--steps", "4", "--resume");
    check_refused(&c, 1, "latest");
    child_free(&c);
}

static void test_machines(void **state)
{
    (void)state;
    FAILS_WITH("cuda", "generate", MODEL, "-p", "a", "--device", "cuda:0");
    child c = RUN("generate", MODEL, "-p", "a", "--threads", "0");
    check_refused(&c, 2, "--threads: 0 is outside");
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_model),
        cmocka_unit_test(test_damaged_weights),
        cmocka_unit_test(test_contradicting_configs),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_ids_files),
        cmocka_unit_test(test_eval_paths),
        cmocka_unit_test(test_training_data),
        cmocka_unit_test(test_vocabularies),
        cmocka_unit_test(test_existing_output),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_damaged_checkpoint),
        cmocka_unit_test(test_machines),
    };
    return cmocka_run_group_tests_name("program_bad", tests, program_open, scratch_close);
}

/* What eval, info and bench say of a model and its text beyond their first numbers: one
   definition of bits per byte, ignored config keys, stored types, the memory of a case,
   and options that do not apply. The models are random or golden ones. */
#define _XOPEN_SOURCE 700
#include "checkpoint_fixture.h"

#include "child.h"

#include <math.h>

#define SMALL                                                                            \
    "{\"decoder_embed_dim\": 16, \"decoder_value_embed_dim\": 32, "                      \
    "\"decoder_retention_heads\": 2, \"decoder_ffn_embed_dim\": 24, "                    \
    "\"decoder_layers\": 1, \"vocab_size\": 256"

#define WARNING "config key 'rms_norm_eps' is unknown and ignored\n"

static const char *small_config(void)
{
    return put_text("small.json", SMALL "}");
}

static double bits_per_byte(const char *option, const char *path, const char *logits)
{
    const char *config = small_config();
    child c = RUN("eval", "--random=1", "--config", config, option, path, "--json", "-q",
                  logits ? "--logits" : "--json", logits ? logits : "-q");
    check_done(&c);
    json_t *o = child_json(&c);
    double bits = json_number(o, "bits_per_byte");
    assert_true(fabs(bits - json_number(o, "loss") / log(2)) < 1e-12);
    assert_true(json_number(o, "bytes") == json_number(o, "tokens") + 1);
    json_decref(o);
    child_free(&c);
    return bits;
}

/* The same bytes as a text, as rows for --logits, as a token file and as ids. */
static void bits_have_one_definition(void **state)
{
    (void)state;
    const char *text = put_text("text", "small");
    const char *ids = put_text("ids.json", "[[115, 109, 97, 108, 108]]");
    const char *tokens = put_bytes("tokens.bin", "s\0m\0a\0l\0l\0", 10);
    double bits = bits_per_byte("--text", text, NULL);
    assert_true(fabs(bits_per_byte("--text", text, in_scratch("logits")) - bits) < 1e-6);
    assert_true(fabs(bits_per_byte("--text", tokens, NULL) - bits) < 1e-6);
    assert_true(fabs(bits_per_byte("--ids", ids, NULL) - bits) < 1e-6);
}

/* Done, with the warning on standard error once, and nothing with --quiet. */
static void check_warned(const char *const *argv)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    const char *at = strstr(c.err, WARNING);
    if (c.code || !at) fail_msg("code %d, no warning: %s", c.code, c.err);
    assert_null(strstr(at + 1, WARNING));
    assert_memory_equal(c.err, "retnet: warning: ", 17);
    child_free(&c);
}

/* A golden torchscale model with another config. */
static const char *copy_model(const char *key)
{
    size_t size;
    const char *from = RN_GOLDEN "/torchscale-tied";
    char path[1024], text[4000];
    mkdir(in_scratch("tied"), 0700);
    snprintf(path, sizeof path, "%s/model.safetensors", from);
    char *bytes = get_bytes(path, &size);
    put_bytes("tied/model.safetensors", bytes, size);
    free(bytes);
    snprintf(path, sizeof path, "%s/config.json", from);
    bytes = get_bytes(path, &size);
    snprintf(text, sizeof text, "{\"%s\": 1e-6, %s", key, strchr(bytes, '{') + 1);
    put_text("tied/config.json", text);
    free(bytes);
    return in_scratch("tied");
}

static void ignored_keys_are_told(void **state)
{
    (void)state;
    const char *config = put_text("keys.json", SMALL ", \"rms_norm_eps\": 1e-6}");
    const char *model = copy_model("rms_norm_eps"), *text = put_text("text", "small");
    check_warned(ARGV("info", "--config", config));
    check_warned(ARGV("info", model));
    check_warned(ARGV("eval", "--random=1", "--config", config, "--text", text));
    check_warned(ARGV("generate", "--random=1", "--config", config, "-p", "a", "-n1"));
    check_warned(
        ARGV("bench", "prompt", "--random=1", "--config", config, "--seq=4", "--json"));
    child c = RUN("info", "-q", "--config", config);
    check_done(&c);
    child_free(&c);
    c = RUN("info", "--config", put_text("lm.json", SMALL ", \"use_lm_decay\": true}"));
    check_refused(&c, 1, "use_lm_decay");
    child_free(&c);
}

/* Rewrites the copied model's embedding as BF16 zeros. */
static void store_embedding_as_bf16(void)
{
    rn_safetensors *f;
    rn_tensor_view views[64];
    static const uint16_t zeros[211 * 48];
    const char *path = in_scratch("tied/model.safetensors");
    WORKS(rn_safetensors_open(&f, path, err));
    size_t count = rn_safetensors_count(f);
    assert_in_range(count, 1, 64);
    for (size_t i = 0; i < count; i++) {
        views[i] = *rn_safetensors_at(f, i);
        if (views[i].dims != 2 || views[i].shape[0] != 211) continue;
        views[i].dtype = RN_DTYPE_BF16;
        views[i].data = zeros;
        views[i].bytes = sizeof zeros;
    }
    WORKS(rn_safetensors_write(path, views, count, NULL, err));
    rn_safetensors_close(f);
}

static void info_tells_the_stored_type(void **state)
{
    (void)state;
    const char *model = copy_model("dtype_of_nothing");
    store_embedding_as_bf16();
    child c = RUN("info", model, "-q", "--json");
    check_done(&c);
    json_t *o = child_json(&c), *tensor;
    size_t i, halves = 0;
    json_array_foreach(json_object_get(o, "tensors"), i, tensor)
    {
        const char *type = json_string_value(json_object_get(tensor, "type"));
        const char *name = json_string_value(json_object_get(tensor, "name"));
        bool half = !strcmp(name, "embed_tokens.weight");
        assert_string_equal(type, half ? "BF16" : "F32");
        halves += half;
    }
    assert_int_equal(halves, 1);
    json_decref(o);
    child_free(&c);
    c = RUN("info", model, "-q", "--tensors");
    check_done(&c);
    assert_non_null(strstr(c.out, "BF16"));
    child_free(&c);
}

/* The probe of the memory's bandwidth reads 256 MiB, which are no case's. */
static void memory_is_that_of_the_case(void **state)
{
    (void)state;
    child c = RUN("bench", "decode", "--random=1", "--config", small_config(),
                  "--depth=5,50", "--seq=4", "--repeat=1", "--json");
    check_done(&c);
    json_t *o = child_json(&c), *row;
    const json_t *rows = json_object_get(o, "results");
    size_t i;
    assert_int_equal(json_array_size(rows), 2);
    json_array_foreach(rows, i, row)
    {
        double bytes = json_number(row, "peak_memory_bytes");
        assert_true(bytes > 1 << 18);
        assert_true(bytes < 200 << 20);
    }
    json_decref(o);
    child_free(&c);
}

static void check_usage(const char *words, const char *const *argv)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    check_refused(&c, 2, words);
    child_free(&c);
}

#define USAGE(words, ...) check_usage(words, ARGV(__VA_ARGS__))

static void options_that_do_not_apply(void **state)
{
    (void)state;
    const char *config = small_config();
#define SOME "--random=1", "--config", config
    USAGE("--batch: not with bench decode", "bench", "decode", SOME, "--batch=4");
    USAGE("--depth: not with bench prompt", "bench", "prompt", SOME, "--depth=4");
    USAGE("--depth: not with bench batch", "bench", "batch", SOME, "--depth=4");
    USAGE("--form: not with bench prompt", "bench", "prompt", SOME, "--form=parallel");
    USAGE("--filter: not with bench train", "bench", "train", SOME, "--filter=x");
    USAGE("--seq: not with bench kernels", "bench", "kernels", "--seq=4");
    USAGE("--batch: not with bench retention", "bench", "retention", "--batch=4");
    USAGE("--chunk: only", "bench", "retention", "--form=parallel", "--chunk=4");
    USAGE("takes no model", "bench", "kernels", "--preset=nano");
    USAGE("takes no model", "bench", "retention", "--set=width=4");
    USAGE("--repeat-penalty: 0.001 is", "generate", SOME, "-p=a",
          "--repeat-penalty=0.001");
}

/* Two paths to one file that is there, is not there, or has another name too. */
static void outputs_are_two_files(void **state)
{
    (void)state;
    const char *ids = put_text("ids.json", "[[1, 2]]"), *config = small_config();
    const char *here = in_scratch("a.st");
    USAGE("name the same file", "eval", SOME, "--ids", ids, "--logits", here, "--grads",
          in_scratch("./a.st"));
    assert_int_equal(mkdir(in_scratch("sub"), 0700), 0);
    USAGE("name the same file", "eval", SOME, "--ids", ids, "--logits", here, "--grads",
          in_scratch("sub/../a.st"));
    put_text("a.st", "");
    assert_int_equal(symlink(here, in_scratch("b.st")), 0);
    USAGE("name the same file", "eval", SOME, "--ids", ids, "--logits", here, "--grads",
          in_scratch("b.st"));
    child c = RUN("eval", SOME, "--ids", ids, "--logits", here, "--grads",
                  in_scratch("sub/a.st"), "--json", "-q");
    check_done(&c);
    child_free(&c);
}

/* Refused, and the file has the bytes that it had. */
static void check_kept(const char *file, const char *const *argv)
{
    size_t size, after;
    char *bytes = get_bytes(file, &size);
    child c = child_run(argv, NULL, CHILD_FILE);
    check_refused(&c, 2, file);
    assert_non_null(strstr(c.err, "would be lost"));
    child_free(&c);
    char *kept = get_bytes(file, &after);
    assert_int_equal(after, size);
    assert_memory_equal(kept, bytes, size);
    free(kept);
    free(bytes);
}

#define KEPT(file, ...) check_kept(file, ARGV("eval", __VA_ARGS__))

/* Rows of ids, a text, a folder of texts. */
static void outputs_are_no_texts(void **state)
{
    (void)state;
    const char *config = small_config(), *text = put_text("kept.txt", "some text");
    const char *ids = put_text("kept.json", "[[1, 2]]"), *link = in_scratch("kept.st");
    KEPT(ids, SOME, "--ids", ids, "--logits", ids);
    KEPT(ids, SOME, "--ids", ids, "--grads", in_scratch("./kept.json"));
    assert_int_equal(symlink(ids, link), 0);
    KEPT(ids, SOME, "--ids", ids, "--logits", link);
    KEPT(link, SOME, "--ids", link, "--logits", ids);
    KEPT(text, SOME, "--text", text, "--logits", text);
    KEPT(config, SOME, "--ids", ids, "--logits", config);
    mkdir(in_scratch("texts"), 0700);
    KEPT(put_text("texts/a.txt", "some text"), SOME, "--text", in_scratch("texts"),
         "--logits", in_scratch("texts/a.txt"));
    child c = RUN("eval", SOME, "--text", in_scratch("texts"), "--logits",
                  in_scratch("texts/new.st"), "--json", "-q");
    check_done(&c);
    child_free(&c);
}

/* What a model is read from: one file, or a folder and what its index names. */
static void outputs_are_no_models(void **state)
{
    (void)state;
    const char *ids = put_text("kept.json", "[[1, 2]]"), *link = in_scratch("link.st");
    const char *folder = copy_golden(RN_GOLDEN "/torchscale-tied", "kept");
    const char *weights = in_scratch("kept/model.safetensors");
    const char *config = in_scratch("kept/config.json");
    KEPT(weights, folder, "--ids", ids, "--logits", weights);
    KEPT(weights, folder, "--ids", ids, "--grads",
         in_scratch("kept/./model.safetensors"));
    KEPT(config, folder, "--ids", ids, "--logits", config);
    KEPT(put_text("kept/tokenizer.json", "{}"), folder, "--ids", ids, "--logits",
         in_scratch("kept/tokenizer.json"));
    KEPT(weights, weights, "--ids", ids, "--logits", weights);
    KEPT(config, weights, "--ids", ids, "--logits", config);
    assert_int_equal(symlink(weights, link), 0);
    KEPT(weights, folder, "--ids", ids, "--logits", link);
    folder = copy_golden(RN_GOLDEN "/torchscale-sharded", "kept-shards");
    static const char *const shards[] = {"kept-shards/model.safetensors.index.json",
                                         "kept-shards/model-00001-of-00002.safetensors",
                                         "kept-shards/model-00002-of-00002.safetensors"};
    for (size_t i = 0; i < COUNT(shards); i++) {
        KEPT(in_scratch(shards[i]), folder, "--ids", ids, "--logits",
             in_scratch(shards[i]));
        KEPT(in_scratch(shards[i]), in_scratch(shards[0]), "--ids", ids, "--grads",
             in_scratch(shards[i]));
    }
    child c = RUN("eval", folder, "--ids", ids, "--logits",
                  in_scratch("kept-shards/logits.st"), "--json", "-q");
    check_done(&c);
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_have_one_definition),
        cmocka_unit_test(ignored_keys_are_told),
        cmocka_unit_test(info_tells_the_stored_type),
        cmocka_unit_test(memory_is_that_of_the_case),
        cmocka_unit_test(options_that_do_not_apply),
        cmocka_unit_test(outputs_are_two_files),
        cmocka_unit_test(outputs_are_no_texts),
        cmocka_unit_test(outputs_are_no_models),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

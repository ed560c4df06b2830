/* Tokenizers, token files and training together: whose vocabulary a model has, what
   becomes of a tokenizer in the folder of the result, where documents end, and what is
   refused when the parts do not fit. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "program_fixture.h"

enum { IDS = 264 }; /* of the tokenizer: 256 bytes, an end and a few merges */

static json_t *done_json(child c)
{
    check_done(&c);
    json_t *o = child_json(&c);
    child_free(&c);
    return o;
}

static void done(child c)
{
    check_done(&c);
    child_free(&c);
}

static void refused(child c, int code, const char *words)
{
    check_refused(&c, code, words);
    child_free(&c);
}

static bool exists(const char *name)
{
    return access(in_scratch(name), F_OK) == 0;
}

/* The text, its tokenizer, and a folder with the halves of the text. */
static int group_open(void **state)
{
    if (program_open(state)) return -1;
    size_t size;
    char *text = get_bytes(in_scratch("text"), &size);
    mkdir(in_scratch("corpus"), 0700);
    put_bytes("corpus/a.txt", text, size / 2);
    put_bytes("corpus/b.txt", text + size / 2, size - size / 2);
    free(text);
    child c = RUN("tokenizer", "train", in_scratch("t.json"), in_scratch("text"),
                  "--vocab", "264", "-q");
    int code = c.code;
    if (code) fprintf(stderr, "%s\n", c.err);
    child_free(&c);
    return code;
}

static size_t vocabulary_of(const char *name)
{
    char path[100];
    size_t size;
    snprintf(path, sizeof path, "%s/config.json", name);
    char *text = get_bytes(in_scratch(path), &size);
    json_t *config = json_loads(text, 0, NULL);
    size_t ids = (size_t)json_number(config, "vocab_size");
    json_decref(config);
    free(text);
    return ids;
}

#define TRAIN_ON(data, out, ...)                                                         \
    RUN("train", "--data", in_scratch(data), "--out", in_scratch(out), TINY, TINY_STEPS, \
        "--steps", "2", "--json", "-q", __VA_ARGS__)

#define T_JSON "--tokenizer", in_scratch("t.json")

static void encode(const char *from, const char *to)
{
    done(RUN("tokenizer", "encode", in_scratch("t.json"), in_scratch(from), "--out",
             in_scratch(to), "-q"));
}

/* ---- whose vocabulary ---- */

static void token_files_follow_the_tokenizer(void **state)
{
    (void)state;
    encode("corpus", "corpus.bin");
    json_decref(done_json(TRAIN_ON("corpus.bin", "ids", T_JSON)));
    assert_int_equal(vocabulary_of("ids"), IDS);
    done(RUN("generate", in_scratch("ids"), "--prompt", "the", "--tokens", "4"));
    json_decref(done_json(RUN("train", "--data", in_scratch("corpus.bin"), "--out",
                              in_scratch("ids"), TINY, TINY_STEPS, "--steps", "4",
                              "--json", "-q", "--resume")));
    /* A config says its size itself, which may be larger. */
    json_decref(
        done_json(TRAIN_ON("corpus.bin", "wide", T_JSON, "--set", "vocab_size=300")));
    assert_int_equal(vocabulary_of("wide"), 300);
}

static void small_models_are_refused(void **state)
{
    (void)state;
    done(RUN("tokenizer", "encode", "byte", in_scratch("text"), "--out",
             in_scratch("low.bin"), "-q"));
    refused(TRAIN_ON("low.bin", "never", T_JSON, "--set", "vocab_size=260"), 2,
            "t.json has 264 ids, but the model's vocab_size is 260");
    assert_false(exists("never"));
}

/* ---- a tokenizer in the folder of the result ---- */

static void put_tokenizer(const char *folder)
{
    char path[100];
    size_t size;
    char *json = get_bytes(in_scratch("t.json"), &size);
    mkdir(in_scratch(folder), 0700);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    put_bytes(path, json, size);
    free(json);
}

static void tokenizers_beside_are_used(void **state)
{
    (void)state;
    put_tokenizer("beside");
    json_decref(done_json(TRAIN_ON("text", "beside", "--resume")));
    assert_int_equal(vocabulary_of("beside"), IDS);
    done(RUN("generate", in_scratch("beside"), "--prompt", "the", "--tokens", "4"));
    json_decref(done_json(TRAIN_ON("text", "beside", "--resume")));
    /* Alike behind a model that brings none. */
    put_tokenizer("tuned");
    refused(RUN("train", "--init", in_scratch("model"), "--data", in_scratch("text"),
                "--out", in_scratch("tuned"), "--steps", "1", "-q"),
            2, "tuned has 264 ids, but the model's vocab_size is 256");
}

static void other_tokenizers_beside_are_refused(void **state)
{
    (void)state;
    put_tokenizer("bytes");
    refused(TRAIN_ON("text", "bytes", "--tokenizer", "byte"), 1,
            "bytes/tokenizer.json is there");
    assert_true(exists("bytes/tokenizer.json") && !exists("bytes/config.json"));
}

/* ---- samples ---- */

static void samples_need_a_tokenizer(void **state)
{
    (void)state;
    encode("corpus", "corpus.bin");
    refused(
        TRAIN_ON("corpus.bin", "mute", "--set", "vocab_size=300", "--sample-every", "1"),
        2, "--sample-every: the data are token files and the model has 300 ids");
    assert_false(exists("mute"));
    json_decref(done_json(TRAIN_ON("corpus.bin", "told", T_JSON, "--sample-every", "1")));
    done(RUN("tokenizer", "encode", "byte", in_scratch("text"), "--out",
             in_scratch("low.bin"), "-q"));
    json_decref(done_json(TRAIN_ON("low.bin", "bytewise", "--sample-every", "1")));
}

/* ---- bits per byte ---- */

static double bits_of(child c)
{
    json_t *o = done_json(c);
    double bits = json_number(o, "val_bits_per_byte");
    json_decref(o);
    return bits;
}

/* They are known wherever the tokenizer is, whoever names it. */
static void bits_need_no_option(void **state)
{
    (void)state;
    double named = bits_of(TRAIN_ON("text", "bits", T_JSON));
    assert_true(named > 0);
    assert_true(bits_of(TRAIN_ON("text", "bits", "--resume")) == named);
    double tuned = bits_of(RUN("train", "--init", in_scratch("bits"), "--data",
                               in_scratch("text"), "--out", in_scratch("bits-tuned"),
                               TINY_STEPS, "--steps", "1", "--lr", "0", "--json", "-q"));
    assert_true(tuned > named - 1e-6 && tuned < named + 1e-6);
    /* Ids that nobody says anything of are no text. */
    encode("corpus", "corpus.bin");
    json_t *o = done_json(TRAIN_ON("corpus.bin", "no-bits", "--set", "vocab_size=300"));
    assert_true(json_is_null(json_object_get(o, "val_bits_per_byte")));
    json_decref(o);
}

/* Bytes that are no UTF-8 are counted as what they are, not as U+FFFD: ids measure as the
   text that they are of. */
static void ids_of_any_bytes_measure_as_text(void **state)
{
    (void)state;
    mkdir(in_scratch("latin"), 0700);
    const char *text =
        put_text("latin/a", "caf\xe9, r\xf4le, \xe9t\xe9 \xff\xfe the king");
    encode("latin", "latin.bin");
    double by_text = bits_of(TRAIN_ON("text", "latin-text", T_JSON, "--val", text));
    double by_ids =
        bits_of(TRAIN_ON("text", "latin-ids", T_JSON, "--val", in_scratch("latin.bin")));
    assert_true(by_text > 0 && by_text == by_ids);
}

/* ---- where documents end ---- */

/* A token file of a folder trains as the folder itself: the same ids, and so the same
   model. */
static void token_files_keep_documents(void **state)
{
    (void)state;
    encode("corpus", "corpus.bin");
    json_decref(done_json(TRAIN_ON("corpus.bin", "by-file", T_JSON)));
    json_decref(done_json(TRAIN_ON("corpus", "by-text", T_JSON)));
    size_t n, m;
    char *a = get_bytes(in_scratch("corpus.bin"), &n);
    char *b = get_bytes(in_scratch("by-text/data/train.bin"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    a = get_bytes(in_scratch("by-file/model.safetensors"), &n);
    b = get_bytes(in_scratch("by-text/model.safetensors"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_files_follow_the_tokenizer),
        cmocka_unit_test(small_models_are_refused),
        cmocka_unit_test(tokenizers_beside_are_used),
        cmocka_unit_test(other_tokenizers_beside_are_refused),
        cmocka_unit_test(samples_need_a_tokenizer),
        cmocka_unit_test(bits_need_no_option),
        cmocka_unit_test(ids_of_any_bytes_measure_as_text),
        cmocka_unit_test(token_files_keep_documents),
    };
    return cmocka_run_group_tests(tests, group_open, scratch_close);
}

/* The program on every kind of training data: what trains, what is refused and how, and
   that a mixed run over documents resumes to the bit. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "scratch.h"

#include "program_fixture.h"

#include <zstd.h>

static json_t *done_json(child *c)
{
    check_done(c);
    json_t *o = child_json(c);
    child_free(c);
    return o;
}

static void refused(child c, int code, const char *words)
{
    check_refused(&c, code, words);
    child_free(&c);
}

/* JSONL of `count` short records in a zstd frame. */
static const char *put_records(const char *name, unsigned count)
{
    char *lines = malloc(100 * count), *file = malloc(200 * count);
    assert_true(lines && file);
    size_t length = 0;
    for (unsigned i = 0; i < count; i++)
        length += (size_t)sprintf(lines + length,
                                  "{\"text\": \"record %u tells of %u kings\"}\n", i,
                                  i * 7 % 13);
    size_t n = ZSTD_compress(file, 200 * count, lines, length, 1);
    assert_false(ZSTD_isError(n));
    const char *path = put_bytes(name, file, n);
    free(lines);
    free(file);
    return path;
}

#define MIX(out, steps, ...)                                                             \
    RUN("train", "--data", in_scratch("text"), "--data", in_scratch("r.jsonl.zst"),      \
        "--weights", "3,1", "--out", in_scratch(out), TINY, TINY_STEPS, "--dropout",     \
        "0.1", "--save-every", "2", "--steps", steps, "--json", "-q", __VA_ARGS__)

static void same_model(const char *a, const char *b)
{
    size_t na, nb;
    char path[100];
    snprintf(path, sizeof path, "%s/model.safetensors", a);
    char *x = get_bytes(in_scratch(path), &na);
    snprintf(path, sizeof path, "%s/model.safetensors", b);
    char *y = get_bytes(in_scratch(path), &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(x, y, na);
    free(x);
    free(y);
}

static void mixed_training_resumes(void **state)
{
    (void)state;
    put_records("r.jsonl.zst", 300);
    child c = MIX("whole", "6", "--resume");
    json_t *o = done_json(&c);
    assert_true(json_number(o, "val_loss") > 0);
    json_decref(o);
    c = MIX("parts", "4", "--resume");
    json_decref(done_json(&c));
    c = MIX("parts", "6", "--resume");
    json_decref(done_json(&c));
    same_model("whole", "parts");
    refused(MIX("parts", "8", "--resume", "--weights", "1,1"), 1, "data sources");
    refused(MIX("parts", "8", "--resume", "--documents", "off"), 1, "data sources");
    same_model("whole", "parts");
    assert_true(access(in_scratch("parts/data/train-2.idx"), F_OK) == 0);
    c = MIX("plain", "2", "--documents", "off");
    json_decref(done_json(&c));
}

static void shards_train_in_place(void **state)
{
    (void)state;
    unsigned char file[1024 + 4000] = {0};
    const int32_t header[] = {20240520, 1, 2000};
    uint16_t ids[2000];
    for (unsigned i = 0; i < 2000; i++) ids[i] = (uint16_t)(i % 300);
    memcpy(file, header, sizeof header);
    memcpy(file + 1024, ids, sizeof ids);
    assert_int_equal(mkdir(in_scratch("shards"), 0700), 0);
    put_bytes("shards/a.bin", file, sizeof file);
    put_bytes("shards/b.bin", ids, sizeof ids);
#define SHARDS(out, ...)                                                                 \
    RUN("train", "--data", in_scratch("shards"), "--out", in_scratch(out), TINY,         \
        TINY_STEPS, "--steps", "2", "--json", "-q", "--set", __VA_ARGS__)
    child c = SHARDS("s", "vocab_size=300", "--document-token", "end:299");
    json_decref(done_json(&c));
    assert_true(access(in_scratch("s/data"), F_OK) != 0);
    refused(SHARDS("s2", "vocab_size=290"), 1, "shards/a.bin: token 290 is 290");
    put_text("shards/b.idx", "MMIDIDX");
    refused(SHARDS("s3", "vocab_size=300"), 1, "b.idx");
    assert_int_equal(unlink(in_scratch("shards/b.idx")), 0);
    for (int i = 0; i < 2; i++) { /* a result inside of the data is none of them */
        c = SHARDS("shards/m", "vocab_size=300", "--resume");
        json_decref(done_json(&c));
    }
}

static void options_are_checked(void **state)
{
    (void)state;
#define DATA(...)                                                                        \
    RUN("train", "--data", in_scratch("text"), in_scratch("text"), "--out",              \
        in_scratch("never"), __VA_ARGS__)
    refused(DATA("--weights", "1"), 2, "1 numbers for 2 paths");
    refused(DATA("--weights", "1,2,3"), 2, "3 numbers for 2 paths");
    static const char *const weights[] = {"1,",    ",1",  "1,0",   "1,-2", "a",
                                          "1,nan", "1;2", "1,inf", ""};
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++)
        refused(DATA("--weights", weights[i]), 2, "--weights");
    static const char *const rules[] = {"x", "end:", "begin:-1", "3x", "4294967296", ""};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        refused(DATA("--document-token", rules[i]), 2, "--document-token");
    refused(DATA("--document-token", "3", "--documents", "off"), 2, "--documents off");
    refused(DATA("--documents", "maybe"), 2, "--documents");
    assert_true(access(in_scratch("never"), F_OK) != 0);
}

static void damaged_data_leave_nothing(void **state)
{
    (void)state;
    size_t size;
    char *file = get_bytes(put_records("c.jsonl.zst", 300), &size);
    put_bytes("c.jsonl.zst", file, size - 9);
    free(file);
#define BAD(path)                                                                        \
    RUN("train", "--data", path, "--out", in_scratch("bad"), TINY, TINY_STEPS)
    refused(BAD(in_scratch("c.jsonl.zst")), 1, "cut off inside a zstd frame");
    put_text("d.jsonl", "{\"text\": \"x\"}\n{\"text\": 5}\n");
    refused(BAD(in_scratch("d.jsonl")), 1, "d.jsonl: line 2");
    assert_true(access(in_scratch("bad"), F_OK) != 0);
}

static void evaluation_reads_all_kinds(void **state)
{
    (void)state;
    put_text("e.jsonl", "{\"text\": \"the king\"}\n{\"text\": \"of a land\"}\n");
#define EVAL(...) RUN("eval", in_scratch("model"), "--json", "-q", "--text", __VA_ARGS__)
    child c = EVAL(in_scratch("e.jsonl"));
    json_t *apart = done_json(&c);
    assert_int_equal(json_number(apart, "tokens"), 15);
    c = EVAL(in_scratch("e.jsonl"), "--documents", "off");
    json_t *joined = done_json(&c);
    assert_int_equal(json_number(joined, "tokens"), 16);
    put_text("one.txt", "the king");
    put_text("two.txt", "of a land");
    c = EVAL(in_scratch("one.txt"));
    json_t *one = done_json(&c);
    c = EVAL(in_scratch("two.txt"));
    json_t *two = done_json(&c);
    double want = (7 * json_number(one, "loss") + 8 * json_number(two, "loss")) / 15;
    double difference = json_number(apart, "loss") - want;
    assert_true(difference < 1e-6 && difference > -1e-6);
    json_decref(apart);
    json_decref(joined);
    json_decref(one);
    json_decref(two);
    put_text("bad.jsonl", "[]");
    refused(EVAL(in_scratch("bad.jsonl")), 1, "line 1");
}

/* A resumed run may be measured by another text, and then says so. */
static void validation_may_change(void **state)
{
    (void)state;
    const char *easy = in_scratch("text"), *hard = put_text("hard", "Xylophones jumble.");
#define BY(val, steps, ...)                                                              \
    RUN("train", "--data", in_scratch("text"), "--out", in_scratch("by"), TINY,          \
        TINY_STEPS, "--json", "--val", val, "--steps", steps, __VA_ARGS__)
    child c = BY(easy, "4", "-q");
    json_t *o = done_json(&c);
    const double best = json_number(o, "best_val_loss");
    assert_true(json_number(o, "first_val_bits_per_byte") > 0);
    json_decref(o);
    c = BY(hard, "6", "--resume");
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.err, "validation data are not those of the checkpoint"));
    o = child_json(&c);
    child_free(&c);
    assert_true(json_number(o, "best_val_loss") > best);
    assert_int_equal(json_number(o, "best_step"), 6);
    assert_true(json_is_null(json_object_get(o, "first_val_bits_per_byte")));
    json_decref(o);
}

/* Data that are cut off while a run reads them end it with an error, not by a signal. */
static void truncation_is_an_error(void **state)
{
    (void)state;
    size_t size;
    char *text = get_bytes(in_scratch("text"), &size);
    uint16_t *ids = malloc(2 * size);
    assert_non_null(ids);
    for (size_t i = 0; i < size; i++) ids[i] = (unsigned char)text[i];
    const char *path = put_bytes("cut.bin", ids, 2 * size);
    pid_t pid =
        child_start(ARGV("train", "--data", path, "--out", in_scratch("t"), TINY,
                         TINY_STEPS, "--steps", "100000000", "--val-fraction", "0"),
                    NULL, CHILD_FILE);
    for (int i = 0; i < 500; i++) {
        struct stat info;
        if (!stat(in_scratch("t/metrics.jsonl"), &info)) break;
        usleep(10000);
    }
    usleep(50000);
    assert_int_equal(truncate(path, 100), 0);
    refused(child_wait(pid, CHILD_FILE), 1, "cut.bin: cut off while it was read");
    free(text);
    free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_training_resumes),
        cmocka_unit_test(shards_train_in_place),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(damaged_data_leave_nothing),
        cmocka_unit_test(evaluation_reads_all_kinds),
        cmocka_unit_test(validation_may_change),
        cmocka_unit_test(truncation_is_an_error),
    };
    return cmocka_run_group_tests(tests, program_open, scratch_close);
}

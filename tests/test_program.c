/* The program end to end on a tiny model: train, resume, interrupt, generate, evaluate in
   the three forms, info and bench, each through the JSON that it promises. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "program_fixture.h"

#include "formats/safetensors.h"

#include <dirent.h>
#include <math.h>
#include <sys/file.h>
#include <time.h>

#define MODEL in_scratch("model")

static void check_keys(const json_t *o, const char *const *keys)
{
    for (; *keys; keys++)
        if (!json_object_get(o, *keys)) fail_msg("the JSON has no %s", *keys);
}

#define KEYS(o, ...) check_keys(o, (const char *const[]){__VA_ARGS__, NULL})

static bool same_file(const char *a, const char *b)
{
    size_t n, m;
    char *x = get_bytes(a, &n), *y = get_bytes(b, &m);
    bool same = n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return same;
}

static json_t *done_json(child *c)
{
    check_done(c);
    json_t *o = child_json(c);
    child_free(c);
    return o;
}

/* ---- training ---- */

static void test_train(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("a"), "--steps", "20");
    json_t *o = done_json(&c);
    KEYS(o, "steps", "tokens", "train_loss", "val_loss", "val_bits_per_byte",
         "best_val_loss", "tokens_per_second", "seconds", "skipped_steps", "checkpoint");
    assert_int_equal(json_number(o, "steps"), 20);
    assert_int_equal(json_number(o, "tokens"), 20 * 4 * 32);
    assert_int_equal(json_number(o, "skipped_steps"), 0);
    double bits = json_number(o, "val_bits_per_byte"), loss = json_number(o, "val_loss");
    assert_true(fabs(bits - loss / log(2)) < 1e-9 * bits + 1e-2 * bits);
    assert_true(bits < 0.8 * json_number(o, "first_val_bits_per_byte"));
    assert_string_equal(json_string_value(json_object_get(o, "checkpoint")),
                        in_scratch("a"));
    json_decref(o);
    /* Same seed, same options: same bits. */
    assert_true(same_file(in_scratch("a/model.safetensors"),
                          in_scratch("model/model.safetensors")));
    assert_true(access(in_scratch("a/metrics.jsonl"), R_OK) == 0);
    assert_true(access(in_scratch("a/data/train.bin"), R_OK) == 0);

    c = TRAIN(in_scratch("a"), "--steps", "30");
    check_refused(&c, 1, "--resume");
    child_free(&c);
}

static void test_resume(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("b"), "--steps", "8", "--resume");
    json_t *o = done_json(&c);
    double first = json_number(o, "first_val_bits_per_byte");
    json_decref(o);
    c = TRAIN(in_scratch("b"), "--steps", "20", "--resume", "--preset", "nano");
    o = done_json(&c);
    assert_int_equal(json_number(o, "steps"), 20);
    assert_true(json_number(o, "first_val_bits_per_byte") == first);
    json_decref(o);
    assert_true(same_file(in_scratch("b/model.safetensors"),
                          in_scratch("model/model.safetensors")));

    c = TRAIN(in_scratch("b"), "--steps", "30", "--resume", "--set", "activation=relu");
    check_refused(&c, 1, "activation");
    child_free(&c);
}

/* A run without model options takes the shape from the checkpoint. */
static void test_resume_without_shape(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("c"), "--steps", "3");
    json_decref(done_json(&c));
    c = RUN("train", "--data", in_scratch("text"), "--out", in_scratch("c"), TINY_STEPS,
            "--steps", "6", "--resume", "--json", "-q", "--threads", "1");
    json_t *o = done_json(&c);
    assert_int_equal(json_number(o, "steps"), 6);
    json_decref(o);
}

static size_t lines_of(const char *path)
{
    size_t size, lines = 0;
    if (access(path, R_OK)) return 0;
    char *text = get_bytes(path, &size);
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    free(text);
    return lines;
}

static size_t entries_of(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir)) count++;
    closedir(dir);
    return count - 2;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void test_interrupted_training(void **state)
{
    (void)state;
    const char *out = in_scratch("d");
    pid_t pid = child_start(ARGV("train", "--data", in_scratch("text"), "--out", out,
                                 TINY, TINY_STEPS, "--json", "--steps", "1000000",
                                 "--eval-every", "2", "--val-fraction", "0.05"),
                            NULL, CHILD_FILE);
    for (int i = 0; i < 2000 && lines_of(in_scratch("d/metrics.jsonl")) < 4; i++) nap();
    assert_int_equal(kill(pid, SIGINT), 0);
    child c = child_wait(pid, CHILD_FILE);
    assert_int_equal(c.code, 130);
    json_t *o = child_json(&c);
    double steps = json_number(o, "steps");
    assert_true(json_is_true(json_object_get(o, "interrupted")));
    assert_true(steps >= 1);
    json_decref(o);
    child_free(&c);

    char more[40];
    snprintf(more, sizeof more, "%.0f", steps + 2);
    c = TRAIN(out, "--steps", more, "--resume", "--val-fraction", "0.05");
    o = done_json(&c);
    assert_true(json_number(o, "steps") == steps + 2);
    json_decref(o);
}

/* Text for people; progress in a pipe is at most one line every ten seconds. */
static void test_train_text(void **state)
{
    (void)state;
    time_t begin = time(NULL);
    child c = RUN("train", "--data", in_scratch("text"), "--out", in_scratch("e"), TINY,
                  TINY_STEPS, "--steps", "5");
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "validation loss"));
    assert_non_null(strstr(c.out, in_scratch("e")));
    assert_true(lines_of(in_scratch("stderr")) <= 1 + (size_t)(time(NULL) - begin) / 8);
    child_free(&c);
}

static void test_keep(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("f"), "--steps", "9", "--save-every", "2", "--keep", "2");
    json_decref(done_json(&c));
    assert_true(access(in_scratch("f/keep/step-00000006"), F_OK) != 0);
    assert_true(access(in_scratch("f/keep/step-00000008/model.safetensors"), F_OK) == 0);
    assert_true(same_file(in_scratch("f/keep/step-00000009/model.safetensors"),
                          in_scratch("f/model.safetensors")));
}

/* What a killed run leaves in keep goes; what it did not make stays. */
static void test_keep_after_kill(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("k"), "--steps", "2", "--keep", "2");
    json_decref(done_json(&c));
    assert_int_equal(mkdir(in_scratch("k/keep/step-00000001"), 0700), 0);
    put_text("k/keep/step-00000001/model.safetensors.tmp-999999999", "half");
    assert_int_equal(mkdir(in_scratch("k/keep/step-00000009.tmp-999999999"), 0700), 0);
    put_text("k/keep/step-00000009.tmp-999999999/config.json", "{}");
    assert_int_equal(mkdir(in_scratch("k/keep/step-00000000"), 0700), 0);
    put_text("k/keep/step-00000000/notes.txt", "mine");

    c = RUN("train", "--data", in_scratch("text"), "--out", in_scratch("k"), TINY,
            TINY_STEPS, "--steps", "6", "--save-every", "2", "--keep", "2", "--resume");
    if (c.code) fail_msg("code %d: %s", c.code, c.err);
    assert_non_null(strstr(c.err, "step-00000000: not a kept model"));
    child_free(&c);
    assert_true(access(in_scratch("k/keep/step-00000000/notes.txt"), F_OK) == 0);
    assert_true(access(in_scratch("k/keep/step-00000001"), F_OK) != 0);
    assert_true(access(in_scratch("k/keep/step-00000002"), F_OK) != 0);
    assert_true(access(in_scratch("k/keep/step-00000009.tmp-999999999"), F_OK) != 0);
    assert_true(access(in_scratch("k/keep/step-00000004/config.json"), F_OK) == 0);
    assert_true(access(in_scratch("k/keep/step-00000006/config.json"), F_OK) == 0);
}

#define RESUME_FROM(data, out, steps)                                                    \
    RUN("train", "--data", data, "--out", out, TINY_STEPS, "--steps", steps, "--resume", \
        "--json", "-q", "--threads", "1")

/* A refused run leaves the tokens of the run that is there; an accepted one removes what
   killed ones left beside them. */
static void test_refused_resume(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("r"), "--steps", "2");
    json_decref(done_json(&c));
    size_t size;
    char *before = get_bytes(in_scratch("r/data/train.bin"), &size);
    put_bytes("before", before, size);
    free(before);
    put_text("other", "another text that is long enough for a row or two of thirty-two "
                      "tokens, and for a part that validates, in the same folder.");
    put_text("r/data/val.tmp-999999999.bin", "stale");
    put_text("r/data/train.bin.tmp-999999999", "stale");
    put_text("r/data/train.bin.tmp-mine", "not ours");

    c = RESUME_FROM(in_scratch("other"), in_scratch("r"), "4");
    check_refused(&c, 1, "data");
    child_free(&c);
    assert_true(same_file(in_scratch("before"), in_scratch("r/data/train.bin")));
    int lock = open(in_scratch("r"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
    c = RESUME_FROM(in_scratch("other"), in_scratch("r"), "4");
    check_refused(&c, 1, "another run");
    child_free(&c);
    close(lock);
    assert_true(same_file(in_scratch("before"), in_scratch("r/data/train.bin")));
    assert_int_equal(entries_of(in_scratch("r/data")), 5);

    c = RESUME_FROM(in_scratch("text"), in_scratch("r"), "4");
    json_decref(done_json(&c));
    assert_int_equal(entries_of(in_scratch("r/data")), 3);
    assert_true(access(in_scratch("r/data/train.bin.tmp-mine"), F_OK) == 0);
}

/* The folder of the result is no data, wherever it lies. */
static void test_out_inside_data(void **state)
{
    (void)state;
    size_t size;
    char *text = get_bytes(in_scratch("text"), &size);
    assert_int_equal(mkdir(in_scratch("nest"), 0700), 0);
    put_bytes("nest/text", text, size);
    free(text);
    child c = RUN("train", "--data", in_scratch("nest"), "--out", in_scratch("nest/m"),
                  TINY, TINY_STEPS, "--steps", "2", "--json", "-q");
    json_decref(done_json(&c));
    c = RESUME_FROM(in_scratch("nest"), in_scratch("nest/m"), "4");
    json_decref(done_json(&c));
}

/* The checkpoint is what is resumed, not the model published beside it. */
static void test_resume_repairs_the_model(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("p"), "--steps", "2");
    json_decref(done_json(&c));
    put_text("p/model.safetensors", "damaged");
    c = RESUME_FROM(in_scratch("text"), in_scratch("p"), "20");
    json_decref(done_json(&c));
    assert_true(same_file(in_scratch("p/model.safetensors"),
                          in_scratch("model/model.safetensors")));
}

static void test_no_steps(void **state)
{
    (void)state;
    child c = TRAIN(in_scratch("z"), "--max-minutes", "1e-13");
    json_t *o = done_json(&c);
    assert_int_equal(json_number(o, "steps"), 0);
    assert_true(json_is_null(json_object_get(o, "train_loss")));
    json_decref(o);
    c = RUN("train", "--help");
    assert_non_null(strstr(c.out, "must be the same"));
    assert_non_null(strstr(c.out, "warm-up ends"));
    child_free(&c);
}

static void test_init_and_val(void **state)
{
    (void)state;
    child c =
        RUN("train", "--init", MODEL, "--data", in_scratch("text"), in_scratch("text"),
            "--val", in_scratch("text"), "--out", in_scratch("g"), TINY_STEPS, "--steps",
            "1", "--lr", "0", "--json", "-q");
    json_t *o = done_json(&c);
    assert_true(json_number(o, "val_loss") > 0);
    json_decref(o);
    assert_true(same_file(in_scratch("g/model.safetensors"),
                          in_scratch("model/model.safetensors")));
    size_t size;
    free(get_bytes(in_scratch("g/data/train.bin"), &size));
    assert_int_equal(size, 2 * 12000 * sizeof(uint16_t));
}

/* ---- generation ---- */

#define GENERATE(...) RUN("generate", MODEL, "--prompt", "the king", __VA_ARGS__)

static void test_generate_text(void **state)
{
    (void)state;
    child text = GENERATE("--tokens", "40", "--seed", "3");
    child again = GENERATE("--tokens", "40", "--seed", "3");
    check_done(&text);
    assert_string_equal(text.out, again.out);
    child_free(&again);
    again = GENERATE("--tokens", "40", "--seed", "4");
    assert_string_not_equal(text.out, again.out);
    child_free(&again);

    child c = GENERATE("--tokens", "40", "--seed", "3", "--json");
    json_t *o = done_json(&c);
    KEYS(o, "text", "ids", "prompt_tokens", "tokens", "prompt_tokens_per_second",
         "tokens_per_second", "finish_reason");
    assert_string_equal(json_string_value(json_object_get(o, "text")), text.out);
    assert_int_equal(json_number(o, "prompt_tokens"), 8);
    assert_int_equal(json_number(o, "tokens"), 40);
    assert_int_equal(json_array_size(json_object_get(o, "ids")), 40);
    assert_string_equal(json_string_value(json_object_get(o, "finish_reason")), "length");
    json_decref(o);
    child_free(&text);
}

static void test_generate_prompts(void **state)
{
    (void)state;
    const char *file = put_text("prompt", "the king");
    child a = GENERATE("--tokens", "20", "--greedy");
    child b = RUN("generate", MODEL, "--prompt-file", file, "--tokens=20", "--greedy");
    child c = child_run(
        ARGV("generate", MODEL, "--prompt-file", "-", "-n20", "--temperature", "0"), file,
        CHILD_FILE);
    check_done(&a);
    assert_string_equal(a.out, b.out);
    assert_string_equal(a.out, c.out);
    child_free(&b);
    child_free(&c);

    /* The same in numbers: "the king", and the bytes of the continuation. */
    b = RUN("generate", MODEL, "--ids", "--prompt", "116 104,101 32 [107 105 110 103]",
            "--tokens", "20", "--greedy");
    check_done(&b);
    char *at = b.out;
    for (size_t i = 0; i < a.out_size; i++)
        assert_int_equal(strtol(at, &at, 10), (unsigned char)a.out[i]);
    assert_string_equal(at, "\n");
    child_free(&a);
    child_free(&b);
}

static void test_generate_stop(void **state)
{
    (void)state;
    child c = GENERATE("--tokens", "60", "--greedy");
    char stop[3] = {c.out[4], c.out[5], 0};
    size_t before = (size_t)(strstr(c.out, stop) - c.out);
    child s = GENERATE("--tokens", "60", "--greedy", "--stop", "never#", "--stop", stop,
                       "--json");
    json_t *o = done_json(&s);
    const char *text = json_string_value(json_object_get(o, "text"));
    assert_int_equal(strlen(text), before);
    assert_memory_equal(text, c.out, before);
    assert_string_equal(json_string_value(json_object_get(o, "finish_reason")), "stop");
    json_decref(o);
    child_free(&c);
    c = GENERATE("--tokens", "0", "--json");
    o = done_json(&c);
    assert_int_equal(json_number(o, "tokens"), 0);
    assert_true(json_is_null(json_object_get(o, "tokens_per_second")));
    json_decref(o);
}

static void test_generate_interrupted(void **state)
{
    (void)state;
    struct stat status = {0};
    pid_t pid = child_start(ARGV("generate", MODEL, "-p", "a", "-n", "100000000000"),
                            NULL, CHILD_FILE);
    for (int i = 0; i < 4000 && !status.st_size; i++) {
        nap();
        if (stat(in_scratch("stdout"), &status)) status.st_size = 0;
    }
    assert_int_equal(kill(pid, SIGINT), 0);
    child c = child_wait(pid, CHILD_FILE);
    assert_int_equal(c.code, 130);
    assert_true(c.out_size >= (size_t)status.st_size && c.out_size > 0);
    child_free(&c);
}

static void test_generate_into_nothing(void **state)
{
    (void)state;
    static const child_out outs[] = {CHILD_NO_READER, CHILD_FULL};
    for (size_t i = 0; i < 2; i++) {
        child c = child_run(ARGV("generate", MODEL, "-p", "a", "-n", "100000000000"),
                            NULL, outs[i]);
        check_refused(&c, 1, "standard output: ");
        child_free(&c);
    }
}

static void test_generate_random(void **state)
{
    (void)state;
    child c = RUN("generate", "--random", "5", "--preset", "nano", TINY, "-p", "x", "-n",
                  "300", "--temperature", "2");
    check_done(&c);
    json_t *valid = json_stringn(c.out, c.out_size); /* valid UTF-8 from any bytes */
    assert_non_null(valid);
    json_decref(valid);
    child_free(&c);
}

/* ---- evaluation ---- */

static double eval_loss(const char *const *argv)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    json_t *o = done_json(&c);
    KEYS(o, "loss", "perplexity", "bits_per_byte", "tokens", "bytes", "form",
         "tokens_per_second", "seconds");
    double loss = json_number(o, "loss");
    assert_true(fabs(json_number(o, "perplexity") - exp(loss)) < 1e-9 * exp(loss));
    json_decref(o);
    return loss;
}

#define EVAL(...)                                                                        \
    eval_loss(                                                                           \
        ARGV("eval", MODEL, "--text", in_scratch("text"), "--json", "-q", __VA_ARGS__))

static void test_eval_forms(void **state)
{
    (void)state;
    double loss = EVAL("--form", "chunkwise");
    assert_true(fabs(EVAL("--form", "parallel", "--window", "512") -
                     EVAL("--form", "recurrent", "--window", "512")) < 1e-5);
    assert_true(fabs(EVAL("--form", "recurrent") - loss) < 1e-5);
    assert_true(fabs(EVAL("--chunk", "7") - loss) < 1e-5);
    assert_true(fabs(EVAL("--cpu", "ref", "--window", "100") - EVAL("--window", "100")) <
                1e-5);
    assert_true(fabs(EVAL("--window", "4") - loss) > 1e-5);
}

static void test_eval_text(void **state)
{
    (void)state;
    child c = RUN("eval", MODEL, "--text", in_scratch("text"), "--json", "-q");
    json_t *o = done_json(&c);
    assert_int_equal(json_number(o, "tokens"), 11999);
    assert_int_equal(json_number(o, "bytes"), 12000);
    double bits = json_number(o, "bits_per_byte");
    assert_true(fabs(bits - json_number(o, "loss") / log(2)) < 1e-3 * bits);
    json_decref(o);
    /* The tokens of training are those of the text. */
    double loss = EVAL("--form", "chunkwise");
    double tokens = eval_loss(ARGV("eval", MODEL, "--json", "-q", "--text",
                                   in_scratch("model/data/train.bin")));
    assert_true(loss == tokens);
    c = RUN("eval", MODEL, "--text", in_scratch("text"));
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "bits per byte"));
    child_free(&c);
}

/* Training's validation loss is that of the last tenth in windows of --seq. */
static void test_eval_tail(void **state)
{
    (void)state;
    size_t size;
    char *text = get_bytes(in_scratch("text"), &size);
    const char *tail = put_bytes("tail", text + 10800, 1200);
    free(text);
    child c = TRAIN(in_scratch("h"), "--steps", "5");
    json_t *o = done_json(&c);
    double loss = eval_loss(
        ARGV("eval", in_scratch("h"), "--text", tail, "--window", "32", "--json", "-q"));
    assert_true(fabs(loss - json_number(o, "val_loss")) < 1e-5);
    json_decref(o);
}

/* The tokens of a text are kept in a temporary folder, which is gone afterwards. */
static void test_eval_leaves_nothing(void **state)
{
    (void)state;
    const char *folder = in_scratch("temporary"), *old = getenv("TMPDIR");
    char *saved = old ? strdup(old) : NULL;
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(setenv("TMPDIR", folder, 1), 0);
    double loss = EVAL("--form", "chunkwise");
    child c =
        RUN("eval", MODEL, "--text", in_scratch("model/config.json"), "--json", "-q");
    json_decref(done_json(&c));
    if (saved) setenv("TMPDIR", saved, 1);
    else unsetenv("TMPDIR");
    free(saved);
    assert_true(loss > 0);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
}

static const rn_tensor_view *tensor_of(const rn_safetensors *f, const char *name)
{
    const rn_tensor_view *t = rn_safetensors_find(f, name);
    if (!t) fail_msg("no tensor %s", name);
    return t;
}

/* Largest difference of two tensors over the largest value of the second. */
static double difference(const rn_tensor_view *a, const rn_tensor_view *b)
{
    assert_int_equal(a->dims, b->dims);
    for (int i = 0; i < a->dims; i++) assert_int_equal(a->shape[i], b->shape[i]);
    float *x = calloc(2 * a->count, sizeof *x), *y = x + a->count;
    assert_non_null(x);
    WORKS(rn_tensor_floats(a, 0, a->count, x, err));
    WORKS(rn_tensor_floats(b, 0, b->count, y, err));
    double most = 0, error = 0;
    for (uint64_t i = 0; i < a->count; i++) {
        error = fmax(error, fabs((double)x[i] - y[i]));
        most = fmax(most, fabs((double)y[i]));
    }
    free(x);
    return error / most;
}

/* Logits, loss and gradients of a golden model, through files alone. */
static void test_eval_golden(void **state)
{
    (void)state;
    const char *io = RN_GOLDEN "/reference/models/official/io.safetensors";
    double loss = eval_loss(ARGV("eval", RN_GOLDEN "/reference/models/official", "--ids",
                                 io, "--form=parallel", "--logits", in_scratch("logits"),
                                 "--grads", in_scratch("grads"), "--json", "-q"));
    rn_safetensors *expected, *logits, *grads;
    WORKS(rn_safetensors_open(&expected, io, err));
    WORKS(rn_safetensors_open(&logits, in_scratch("logits"), err));
    WORKS(rn_safetensors_open(&grads, in_scratch("grads"), err));
    float golden;
    WORKS(rn_tensor_floats(tensor_of(expected, "loss"), 0, 1, &golden, err));
    assert_true(fabs(loss - (double)golden) < 1e-5);
    assert_true(difference(tensor_of(logits, "logits"), tensor_of(expected, "logits")) <
                1e-4);
    size_t count = 0;
    for (size_t i = 0; i < rn_safetensors_count(expected); i++) {
        const rn_tensor_view *t = rn_safetensors_at(expected, i);
        if (strncmp(t->name, "grad.", 5)) continue;
        assert_true(difference(tensor_of(grads, t->name), t) < 1e-3);
        count++;
    }
    assert_int_equal(count, rn_safetensors_count(grads));
    rn_safetensors_close(expected);
    rn_safetensors_close(logits);
    rn_safetensors_close(grads);
}

static void test_eval_ids(void **state)
{
    (void)state;
    const char *ids = put_text("ids.json", "[[1, 2, 3, 4], [200, 100, 50, 25]]");
    double loss = eval_loss(ARGV("eval", MODEL, "--ids", ids, "--json", "--logits",
                                 in_scratch("rows"), "-q"));
    assert_true(loss > 0);
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, in_scratch("rows"), err));
    const rn_tensor_view *t = tensor_of(f, "logits");
    assert_true(t->shape[0] == 2 && t->shape[1] == 4 && t->shape[2] == 256);
    rn_safetensors_close(f);
    /* A text as one row of ids. */
    const char *text = put_text("short", "a small land");
    double row = eval_loss(ARGV("eval", MODEL, "--text", text, "--json", "--logits",
                                in_scratch("row"), "-q"));
    assert_true(fabs(row - eval_loss(ARGV("eval", MODEL, "--text", text, "--json",
                                          "-q"))) < 1e-6);
}

/* ---- info and bench ---- */

static void test_info_model(void **state)
{
    (void)state;
    child c = RUN("info", MODEL, "--json", "--tensors");
    json_t *o = done_json(&c);
    KEYS(o, "parameters", "weight_bytes", "state_bytes", "flops_per_token", "layers",
         "heads", "decays", "half_life_tokens", "dialect", "tensors", "config");
    const json_t *decays = json_object_get(o, "decays"),
                 *lives = json_object_get(o, "half_life_tokens");
    assert_int_equal(json_array_size(decays), 2);
    double gamma = json_real_value(json_array_get(decays, 0));
    double life = json_real_value(json_array_get(lives, 0));
    assert_true(fabs(life - log(2) / -log(gamma)) < 1e-9 * life);
    assert_string_equal(json_string_value(json_object_get(o, "dialect")), "native");
    double floats = 0;
    size_t i;
    json_t *tensor;
    json_array_foreach(json_object_get(o, "tensors"), i, tensor)
    {
        double count = 1;
        json_t *shape = json_object_get(tensor, "shape");
        for (size_t d = 0; d < json_array_size(shape); d++)
            count *= json_number_value(json_array_get(shape, d));
        floats += count;
    }
    assert_true(floats == json_number(o, "parameters"));
    json_decref(o);
    c = RUN("info", MODEL, "--tensors");
    check_done(&c);
    assert_non_null(strstr(c.out, "embedding.weight"));
    child_free(&c);
}

static void test_info_preset(void **state)
{
    (void)state;
    child c = RUN("info", "--preset", "6.7b", "--json", "--set", "decays=powers");
    json_t *o = done_json(&c);
    assert_true(json_number(o, "parameters") > 6e9);
    assert_true(json_number(o, "state_bytes") == 32.0 * 16 * 256 * 512 * 4);
    json_decref(o);
    c = RUN("info", "--presets", "--json");
    o = done_json(&c);
    assert_true(json_array_size(json_object_get(o, "presets")) > 3);
    json_decref(o);
    const char *config =
        put_text("config.json", "{\"format\": \"retnet\", \"version\": 1, "
                                "\"vocab_size\": 9, \"width\": 8, \"layers\": 1, "
                                "\"heads\": 2, \"decays\": [0.5, 1]}");
    c = RUN("info", "--config", config, "--json", "--set", "layers=3");
    o = done_json(&c);
    assert_int_equal(json_number(o, "layers"), 3);
    const json_t *lives = json_object_get(o, "half_life_tokens");
    assert_true(fabs(json_real_value(json_array_get(lives, 0)) - 1) < 1e-12);
    assert_true(json_is_null(json_array_get(lives, 1)));
    json_decref(o);
}

static void test_info_file(void **state)
{
    (void)state;
    const char *io = RN_GOLDEN "/reference/models/official/io.safetensors";
    child c = RUN("info", io, "--json");
    json_t *o = done_json(&c);
    KEYS(o, "tensors", "metadata", "not_a_model");
    assert_true(json_array_size(json_object_get(o, "tensors")) > 10);
    json_decref(o);
    c = RUN("info", io);
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "2 x 15 x 17"));
    assert_memory_equal(c.err, "not a model: ", 13);
    child_free(&c);
    c = RUN("info", RN_GOLDEN "/reference/models/official/model.safetensors", "--json");
    o = done_json(&c);
    assert_int_equal(json_number(o, "heads"), 2);
    json_decref(o);
}

static void check_bench(const char *const *argv, size_t rows)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    json_t *o = done_json(&c), *row;
    const json_t *results = json_object_get(o, "results");
    size_t i;
    KEYS(o, "results", "machine");
    if (rows) assert_int_equal(json_array_size(results), rows);
    assert_true(json_array_size(results) > 0);
    json_array_foreach(results, i, row)
    {
        KEYS(row, "name", "type", "value", "unit");
        double value = json_number(row, "value");
        assert_true(value > 0);
        assert_true(json_number(row, "min") <= value && json_number(row, "max") >= value);
    }
    json_decref(o);
}

#define BENCH(rows, ...)                                                                 \
    check_bench(ARGV("bench", __VA_ARGS__, "--repeat=3", "--json"), rows)

static void test_bench(void **state)
{
    (void)state;
    BENCH(3, "retention", "--shape", "1x8x8", "--seq", "64");
    BENCH(2, "retention", "--shape", "1x8x8", "--seq", "1,33", "--form", "chunkwise");
    BENCH(2, "decode", MODEL, "--depth", "5,50", "--seq", "4");
    BENCH(1, "prompt", MODEL, "--seq", "100");
    BENCH(1, "train", "--random=1", "--preset=nano", TINY, "--batch=2", "--seq=8");
    BENCH(0, "kernels", "--filter", "bias_fwd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_resume_without_shape),
        cmocka_unit_test(test_interrupted_training),
        cmocka_unit_test(test_train_text),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_keep_after_kill),
        cmocka_unit_test(test_refused_resume),
        cmocka_unit_test(test_out_inside_data),
        cmocka_unit_test(test_resume_repairs_the_model),
        cmocka_unit_test(test_no_steps),
        cmocka_unit_test(test_init_and_val),
        cmocka_unit_test(test_generate_text),
        cmocka_unit_test(test_generate_prompts),
        cmocka_unit_test(test_generate_stop),
        cmocka_unit_test(test_generate_interrupted),
        cmocka_unit_test(test_generate_into_nothing),
        cmocka_unit_test(test_generate_random),
        cmocka_unit_test(test_eval_forms),
        cmocka_unit_test(test_eval_text),
        cmocka_unit_test(test_eval_tail),
        cmocka_unit_test(test_eval_leaves_nothing),
        cmocka_unit_test(test_eval_golden),
        cmocka_unit_test(test_eval_ids),
        cmocka_unit_test(test_info_model),
        cmocka_unit_test(test_info_preset),
        cmocka_unit_test(test_info_file),
        cmocka_unit_test(test_bench),
    };
    return cmocka_run_group_tests_name("program", tests, program_open, scratch_close);
}

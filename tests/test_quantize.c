/* Quantized checkpoints: what each tensor becomes, that it opens and computes nearly the
   same, what is refused, and that nothing half-made is ever left. Then the program. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "child.h"

#include "core/weight_type.h"
#include "formats/safetensors.h"
#include "retnet/eval.h"
#include "retnet/quantize.h"

#include <math.h>
#include <sys/resource.h>
#include <time.h>

/* Rows of 256; of 104, which 32 does not divide (mixer.o); of 288, which 256 does not
   (ffn.down). */
static const char CONFIG[] =
    "{\"vocab_size\": 256, \"width\": 256, \"layers\": 2, \"heads\": 2, \"key_dim\": 128,"
    " \"value_dim\": 52, \"ffn_width\": 288, \"bias\": true, \"tied\": false}";

#define MODEL in_scratch("model")

static rn_exec *exec;

static rn_model *make_model(const char *config, const char *setting)
{
    rn_model *m;
    rn_error err;
    rn_model_source source = {
        .config_json = config, .settings = &setting, .settings_count = setting != NULL};
    if (rn_model_create(&m, exec, &source, 3, &err)) fail_msg("%s", err.message);
    return m;
}

static rn_model *open_model(const char *path)
{
    rn_model *m;
    rn_error err;
    if (rn_model_open(&m, exec, path, &err)) fail_msg("%s", err.message);
    return m;
}

static int set_up(void **state)
{
    if (scratch_open(state) || rn_exec_open(&exec, NULL, NULL)) return -1;
    rn_model *m = make_model(CONFIG, NULL);
    rn_error err;
    int code = rn_model_save(m, MODEL, &err);
    rn_model_free(m);
    put_text("model/tokenizer.json", "{\"a\": 1}");
    put_text("model/generation_config.json", "{}");
    put_text("model/notes.txt", "not ours");
    return code;
}

static int tear_down(void **state)
{
    rn_exec_close(exec);
    return scratch_close(state);
}

static void remove_folder(const char *path)
{
    nftw(path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static bool same_bytes(const char *a, const char *b)
{
    size_t n, m;
    char *x = get_bytes(a, &n), *y = get_bytes(b, &m);
    bool same = n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return same;
}

/* ---- what each tensor becomes ---- */

typedef struct told {
    size_t fallbacks, calls;
    uint64_t done, total, stop; /* stop: interrupt once so much is done */
    rn_weight_type types[16];
} told;

static bool note_progress(void *user, uint64_t done, uint64_t total)
{
    told *t = user;
    assert_true(done > t->done && done <= total);
    assert_true(!t->total || t->total == total);
    t->done = done;
    t->total = total;
    t->calls++;
    return t->stop && done >= t->stop;
}

static void note_fallback(void *user, const char *tensor, rn_weight_type type)
{
    told *t = user;
    assert_non_null(strstr(tensor, ".weight"));
    t->types[t->fallbacks++] = type;
}

static rn_quantize_options options_of(rn_weight_type type, told *t)
{
    return (rn_quantize_options){
        .type = type, .progress = note_progress, .fallback = note_fallback, .user = t};
}

/* The rule in words: vectors stay float32, embedding and output are Q8_0 at least. */
static rn_weight_type expected_type(const rn_model_tensor *t, rn_weight_type want)
{
    if (t->dims == 1) return RN_WEIGHT_F32;
    bool outer =
        !strcmp(t->name, "embedding.weight") || !strcmp(t->name, "output.weight");
    if (outer && want > RN_WEIGHT_Q8_0) return RN_WEIGHT_Q8_0;
    if (want <= RN_WEIGHT_F16) return want;
    if (t->shape[1] % 32) return RN_WEIGHT_BF16;
    if (t->shape[1] % 256 == 0) return want;
    if (want == RN_WEIGHT_Q4_K) return RN_WEIGHT_Q4_0;
    return want == RN_WEIGHT_Q6_K ? RN_WEIGHT_Q8_0 : want;
}

/* Tensor i of `b` is tensor i of `a` after a turn through the type, row by row. */
static void check_tensor(const rn_model *a, const rn_model *b, size_t i,
                         rn_weight_type type)
{
    rn_model_tensor x = rn_model_tensor_at(a, i), y = rn_model_tensor_at(b, i);
    size_t k = x.dims == 2 ? x.shape[1] : x.shape[0];
    size_t rows = x.dims == 2 ? x.shape[0] : 1;
    static unsigned char bytes[4096];
    static float want[1024];
    assert_string_equal(x.name, y.name);
    rn_weight_type named = RN_WEIGHT_STORED;
    const char *stored = rn_model_tensor_stored_type(b, i);
    assert_true(rn_weight_type_find(&named, stored));
    if (named != type)
        fail_msg("%s is %s, not %s", x.name, stored, rn_weight_type_name((int)type));
    for (size_t r = 0; r < rows; r++) {
        rn_weight_encode(type, bytes, x.data + r * k, k);
        rn_weight_decode(type, want, bytes, k);
        if (memcmp(want, y.data + r * k, k * sizeof *want))
            fail_msg("%s: row %zu is not that of its type", x.name, r);
    }
}

static void check_outcome(rn_weight_type type, const rn_quantize_report *report,
                          const told *t, const char *out)
{
    rn_model *a = open_model(MODEL), *b = open_model(out);
    uint64_t in = 0, bytes = 0, numbers = 0;
    size_t count = rn_model_tensor_count(a), fallbacks = 0;
    for (size_t i = 0; i < count; i++) {
        rn_model_tensor x = rn_model_tensor_at(a, i);
        rn_weight_type want = expected_type(&x, type);
        bool outer =
            !strcmp(x.name, "embedding.weight") || !strcmp(x.name, "output.weight");
        size_t n = x.shape[0] * (x.dims == 2 ? x.shape[1] : 1);
        check_tensor(a, b, i, want);
        in += 4 * n;
        numbers += n;
        bytes += rn_weight_bytes(want, n);
        fallbacks += x.dims == 2 && want != type && !outer;
    }
    assert_true(report->bytes_in == in && report->bytes_out == bytes);
    assert_true(report->tensors == count && report->fallbacks == fallbacks);
    assert_int_equal(t->fallbacks, fallbacks);
    assert_int_equal(t->calls, count);
    assert_true(t->done == numbers && t->total == numbers);
    rn_model_free(a);
    rn_model_free(b);
}

static void every_type_holds_what_it_can(void **state)
{
    (void)state;
    static const size_t fallbacks[RN_WEIGHT_TYPES] = {0, 0, 0, 2, 2, 4, 4};
    for (int type = 0; type < RN_WEIGHT_TYPES; type++) {
        told t = {0};
        rn_quantize_options o = options_of((rn_weight_type)type, &t);
        rn_quantize_report report;
        WORKS(rn_quantize(MODEL, in_scratch("out"), &o, &report, err));
        assert_int_equal(report.fallbacks, fallbacks[type]);
        check_outcome((rn_weight_type)type, &report, &t, in_scratch("out"));
        assert_int_equal(entries(in_scratch("out")), 4); /* two and two side files */
        assert_true(same_bytes(in_scratch("out/tokenizer.json"),
                               in_scratch("model/tokenizer.json")));
        remove_folder(in_scratch("out"));
    }
}

static const char *stored_type(const char *path, const char *name)
{
    rn_model *m = open_model(path);
    const char *type = NULL;
    static char copy[16];
    for (size_t i = 0; i < rn_model_tensor_count(m); i++)
        if (!strcmp(rn_model_tensor_at(m, i).name, name))
            type = rn_model_tensor_stored_type(m, i);
    assert_non_null(type);
    snprintf(copy, sizeof copy, "%s", type);
    rn_model_free(m);
    return copy;
}

/* Float32 stays float32, and bfloat16 that. From the file itself, and with one thread. */
static void embeddings_can_be_kept(void **state)
{
    (void)state;
    rn_quantize_options o = {.type = RN_WEIGHT_Q4_K, .keep_embeddings = true};
    const char *out = in_scratch("kept"), *half = in_scratch("half");
    WORKS(rn_quantize(MODEL, out, &o, NULL, err));
    assert_string_equal(stored_type(out, "embedding.weight"), "F32");
    assert_string_equal(stored_type(out, "output.weight"), "F32");
    assert_string_equal(stored_type(out, "layers.1.mixer.k.weight"), "Q4_K");
    remove_folder(out);

    o = (rn_quantize_options){.type = RN_WEIGHT_BF16};
    WORKS(rn_quantize(MODEL, half, &o, NULL, err));
    o = (rn_quantize_options){
        .type = RN_WEIGHT_Q8_0, .keep_embeddings = true, .threads = 1};
    WORKS(rn_quantize(in_scratch("half/model.safetensors"), out, &o, NULL, err));
    assert_string_equal(stored_type(out, "embedding.weight"), "BF16");
    assert_string_equal(stored_type(out, "layers.0.ffn.down.weight"), "Q8_0");
    assert_string_equal(stored_type(out, "norm.weight"), "F32");
    assert_int_equal(entries(out), 4);
    remove_folder(out);
    remove_folder(half);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    rn_quantize_options o = {.type = RN_WEIGHT_Q6_K, .threads = 1};
    WORKS(rn_quantize(MODEL, in_scratch("one"), &o, NULL, err));
    o.threads = 5;
    WORKS(rn_quantize(MODEL, in_scratch("five"), &o, NULL, err));
    assert_true(same_bytes(in_scratch("one/model.safetensors"),
                           in_scratch("five/model.safetensors")));
    remove_folder(in_scratch("one"));
    remove_folder(in_scratch("five"));
}

/* ---- nearly the same model ---- */

enum { LENGTH = 24 };

static void logits_of(const char *path, float *logits, double *loss)
{
    rn_model *m = open_model(path);
    rn_eval_options options = {.form = RN_FORM_PARALLEL, .row_norm = RN_ROW_NORM_AUTO};
    rn_eval_result result;
    int32_t ids[LENGTH];
    for (int i = 0; i < LENGTH; i++) ids[i] = i * i % 251;
    WORKS(rn_eval_ids(m, ids, 1, LENGTH, &options, logits, &result, err));
    *loss = result.loss;
    rn_model_free(m);
}

static void the_model_computes_nearly_the_same(void **state)
{
    (void)state;
    static const double most[RN_WEIGHT_TYPES] = {1e-9, 0.01, 2e-3, 0.02, 0.3, 0.25, 0.06};
    static float want[LENGTH * 256], got[LENGTH * 256];
    double loss, other, before = 0;
    static const int order[] = {0, 2, 1, 3, 6, 5, 4}; /* from good to bad */
    logits_of(MODEL, want, &loss);
    for (int i = 0; i < RN_WEIGHT_TYPES; i++) {
        rn_quantize_options o = {.type = (rn_weight_type)order[i]};
        double error = 0, size = 0;
        WORKS(rn_quantize(MODEL, in_scratch("near"), &o, NULL, err));
        logits_of(in_scratch("near"), got, &other);
        remove_folder(in_scratch("near"));
        for (int k = 0; k < LENGTH * 256; k++) {
            double d = (double)got[k] - (double)want[k];
            error += d * d;
            size += (double)want[k] * (double)want[k];
        }
        error = sqrt(error / size);
        if (error > most[o.type] || error < before || fabs(other - loss) > error * loss)
            fail_msg("%s: logits differ by %g (before: %g), loss %g became %g",
                     rn_weight_type_name((int)o.type), error, before, loss, other);
        if (i < 4) before = error; /* the four-bit types are close to each other */
    }
}

/* Another dialect, in shards, and one whose width 32 does not divide. */
static void other_dialects_become_native(void **state)
{
    (void)state;
    static const char *const names[] = {"torchscale-sharded", "torchscale-tied"};
    for (int i = 0; i < 2; i++) {
        char in[600];
        snprintf(in, sizeof in, "%s/%s", RN_GOLDEN, names[i]);
        rn_quantize_options o = {.type = RN_WEIGHT_Q8_0};
        rn_quantize_report report;
        WORKS(rn_quantize(in, in_scratch("native"), &o, &report, err));
        rn_model *a = open_model(in), *b = open_model(in_scratch("native"));
        rn_model_info info;
        rn_model_info_get(b, &info);
        assert_string_equal(info.dialect, "native");
        for (size_t k = 0; k < rn_model_tensor_count(a); k++) {
            rn_model_tensor x = rn_model_tensor_at(a, k);
            check_tensor(a, b, k, expected_type(&x, RN_WEIGHT_Q8_0));
        }
        rn_model_free(a);
        rn_model_free(b);
        remove_folder(in_scratch("native"));
    }
}

/* ---- refusals ---- */

/* Refused with these words; nothing new is in the scratch folder. */
static void check_refusal(const char *in, const char *out, const rn_quantize_options *o,
                          rn_status status, const char *words)
{
    size_t before = entries(scratch);
    rn_quantize_report report = {.tensors = 77};
    FAILS(rn_quantize(in, out, o, &report, err), status, words);
    assert_int_equal(report.tensors, 77);
    assert_int_equal(entries(scratch), before);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    rn_quantize_options o = {.type = RN_WEIGHT_STORED};
    const char *out = in_scratch("new");
    check_refusal(MODEL, out, &o, RN_EINVAL, "type: -1");
    o.type = RN_WEIGHT_TYPES;
    check_refusal(MODEL, out, &o, RN_EINVAL, "type: 7");
    o = (rn_quantize_options){.type = RN_WEIGHT_Q8_0, .threads = -1};
    check_refusal(MODEL, out, &o, RN_EINVAL, "threads: -1");
    o.threads = 0;
    check_refusal(in_scratch("no"), out, &o, RN_ENOTFOUND, "no: does not exist");
    check_refusal(MODEL, "", &o, RN_EINVAL, "name is empty");
    check_refusal(MODEL, in_scratch("no/new"), &o, RN_ENOTFOUND, "no/new: cannot be cre");
    check_refusal(MODEL, MODEL, &o, RN_EEXIST, "model: exists");
    put_text("occupied", "mine");
    check_refusal(MODEL, in_scratch("occupied"), &o, RN_EEXIST, "occupied: exists");
    assert_int_equal(symlink("nowhere", in_scratch("link")), 0);
    check_refusal(MODEL, in_scratch("link"), &o, RN_EEXIST, "link");
    size_t size;
    char *mine = get_bytes(in_scratch("occupied"), &size);
    assert_string_equal(mine, "mine");
    free(mine);
}

static void blocks_are_not_quantized_again(void **state)
{
    (void)state;
    rn_quantize_options o = {.type = RN_WEIGHT_Q8_0};
    WORKS(rn_quantize(MODEL, in_scratch("q8"), &o, NULL, err));
    o.type = RN_WEIGHT_Q4_0;
    check_refusal(in_scratch("q8"), in_scratch("q4"), &o, RN_EUNSUPPORTED,
                  "embedding.weight is Q8_0 already");
    o.type = RN_WEIGHT_F32;
    check_refusal(in_scratch("q8"), in_scratch("f32"), &o, RN_EUNSUPPORTED, "q8: tensor");
    remove_folder(in_scratch("q8"));
}

/* The model's file with other bytes in one tensor. */
static const char *damaged(const char *name, size_t element, float value)
{
    size_t size;
    char *bytes = get_bytes(in_scratch("model/model.safetensors"), &size);
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, in_scratch("model/model.safetensors"), err));
    const rn_tensor_view *t = rn_safetensors_find(f, name),
                         *first = rn_safetensors_at(f, 0);
    assert_non_null(t);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    size_t at = 8 + header + (size_t)((const char *)t->data - (const char *)first->data);
    memcpy(bytes + at + element * sizeof value, &value, sizeof value);
    rn_safetensors_close(f);
    mkdir(in_scratch("damaged"), 0700);
    const char *path = put_bytes("damaged/model.safetensors", bytes, size);
    free(bytes);
    bytes = get_bytes(in_scratch("model/config.json"), &size);
    put_bytes("damaged/config.json", bytes, size);
    free(bytes);
    return path;
}

static void numbers_must_be_finite(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t element;
        float value;
        const char *words;
    } rows[] = {
        {"layers.1.mixer.q.weight", 65535, NAN, "mixer.q.weight: element 65535 is nan"},
        {"layers.0.ffn.down.weight", 300, -INFINITY,
         "ffn.down.weight: element 300 is -inf"},
        {"embedding.weight", 0, INFINITY, "embedding.weight: element 0 is inf"},
        {"norm.weight", 7, NAN, "norm.weight: element 7 is nan"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = damaged(rows[i].name, rows[i].element, rows[i].value);
        rn_quantize_options o = {.type = RN_WEIGHT_Q4_K, .keep_embeddings = i % 2};
        check_refusal(path, in_scratch("new"), &o, RN_EFORMAT, rows[i].words);
    }
    remove_folder(in_scratch("damaged"));
}

static void an_interrupted_one_leaves_nothing(void **state)
{
    (void)state;
    told t = {.stop = 1};
    for (uint64_t stop = 1; stop <= 200000; stop = stop == 1 ? 200000 : 200001) {
        t = (told){.stop = stop};
        rn_quantize_options o = options_of(RN_WEIGHT_Q8_0, &t);
        check_refusal(MODEL, in_scratch("new"), &o, RN_EINTERRUPTED, "interrupted");
    }
    assert_true(t.calls > 1 && t.done < t.total);
}

/* Somebody else makes `out` while the work goes on. */
static bool make_out(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    mkdir(in_scratch("late"), 0700);
    return false;
}

static void a_folder_that_appears_meanwhile_is_kept(void **state)
{
    (void)state;
    rn_quantize_options o = {.type = RN_WEIGHT_Q8_0, .progress = make_out};
    size_t before = entries(scratch);
    FAILS(rn_quantize(MODEL, in_scratch("late"), &o, NULL, err), RN_EEXIST, "late");
    assert_int_equal(entries(scratch), before + 1);
    assert_int_equal(entries(in_scratch("late")), 0);
    remove_folder(in_scratch("late"));
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    struct rlimit limit, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    low = limit;
    low.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    rn_quantize_options o = {.type = RN_WEIGHT_Q8_0};
    check_refusal(MODEL, in_scratch("new"), &o, RN_EIO, "model.safetensors");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_DFL);
}

/* A scale that is no number, and a tensor that is not what the config asks for. */
static void bad_blocks_do_not_open(void **state)
{
    (void)state;
    rn_quantize_options o = {.type = RN_WEIGHT_Q8_0};
    const char *path = in_scratch("bad");
    WORKS(rn_quantize(MODEL, path, &o, NULL, err));
    size_t size;
    rn_model *m;
    char *bytes = get_bytes(in_scratch("bad/model.safetensors"), &size);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    char *scale = bytes + 8 + header + 34 * 100; /* of the embedding's block 100 */
    char kept[2] = {scale[0], scale[1]};
    memcpy(scale, "\x00\x7e", 2);
    put_bytes("bad/model.safetensors", bytes, size);
    FAILS(rn_model_open(&m, exec, path, err), RN_EFORMAT,
          "embedding.weight: element 3200");
    memcpy(scale, kept, 2);

    char *type = strstr(bytes + 8, "\"type:embedding.weight\":\"q8_0\"");
    assert_non_null(type);
    memcpy(type + 25, "q4_0", 4);
    put_bytes("bad/model.safetensors", bytes, size);
    FAILS(rn_model_open(&m, exec, path, err), RN_EFORMAT,
          "embedding.weight: rows of 272");
    memcpy(type, "\"tide", 5);
    put_bytes("bad/model.safetensors", bytes, size);
    FAILS(rn_model_open(&m, exec, path, err), RN_EFORMAT, "has shape [256, 272]");
    free(bytes);
    remove_folder(path);
}

/* ---- the program ---- */

static void test_program(void **state)
{
    (void)state;
    const char *out = in_scratch("p4");
    child c = RUN("quantize", MODEL, out, "--type", "q4_k", "--json", "--threads", "1");
    assert_int_equal(c.code, 0);
    json_t *o = child_json(&c);
    assert_int_equal(json_number(o, "fallbacks"), 4);
    assert_true(json_number(o, "tensors") > 20);
    assert_true(json_number(o, "bytes_out") < 0.3 * json_number(o, "bytes_in"));
    json_decref(o);
    assert_non_null(strstr(c.err,
                           "layers.0.ffn.down.weight: rows are not whole blocks of "
                           "q4_k: q4_0 instead\n"));
    assert_non_null(strstr(c.err, "layers.1.mixer.o.weight: rows are not whole blocks of "
                                  "q4_k: bf16 instead\n"));
    child_free(&c);

    c = RUN("quantize", MODEL, out, "--type", "q4_k");
    check_refused(&c, 1, "p4: exists");
    child_free(&c);
    c = RUN("quantize", out, in_scratch("p5"), "--type=q4_0");
    check_refused(&c, 1, "is Q8_0 already");
    child_free(&c);
    assert_int_equal(access(in_scratch("p5"), F_OK), -1);

    c = RUN("quantize", MODEL, in_scratch("p8"), "--type=q8_0", "-q",
            "--keep-embeddings");
    check_done(&c);
    assert_non_null(strstr(c.out, "2 of them"));
    child_free(&c);
    assert_string_equal(stored_type(in_scratch("p8"), "output.weight"), "F32");
    remove_folder(in_scratch("p8"));
}

static void test_program_usage(void **state)
{
    (void)state;
    static const struct {
        const char *words, *argv[7];
    } rows[] = {
        {"--type T is missing", {"retnet", "quantize", "a", "b"}},
        {"'q5_k' is not one of", {"retnet", "quantize", "a", "b", "--type", "q5_k"}},
        {"missing", {"retnet", "quantize", "a", "--type", "q4_k"}},
        {"unexpected", {"retnet", "quantize", "a", "b", "c", "--type=f16"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        child c = child_run(rows[i].argv, NULL, CHILD_FILE);
        check_refused(&c, 2, rows[i].words);
        child_free(&c);
    }
}

static double loss_of(const char *path)
{
    child c = RUN("eval", path, "--ids", in_scratch("ids.json"), "--json", "-q");
    return done_number(c, "loss");
}

/* As a model, and as a file that is none. */
static void test_program_reads_it(void **state)
{
    (void)state;
    put_text("ids.json", "[[1, 2, 3, 5, 8, 13, 21, 34, 55, 89]]");
    double before = loss_of(MODEL), after = loss_of(in_scratch("p4"));
    assert_true(fabs(before - after) < 0.1 * before && before != after);

    child c = RUN("info", in_scratch("p4"), "--tensors", "-q");
    check_done(&c);
    assert_non_null(strstr(c.out, "Q4_K  256 x 256\n"));
    assert_non_null(strstr(c.out, "Q4_0  256 x 288\n"));
    assert_non_null(strstr(c.out, "BF16  256 x 104\n"));
    child_free(&c);

    size_t size;
    char *bytes = get_bytes(in_scratch("p4/model.safetensors"), &size);
    mkdir(in_scratch("alone"), 0700);
    const char *alone = put_bytes("alone/weights.safetensors", bytes, size);
    free(bytes);
    c = RUN("info", alone, "-q");
    check_done(&c);
    assert_non_null(strstr(c.out, "Q4_K  256 x 256\n"));
    assert_null(strstr(c.out, "type:"));
    child_free(&c);
    c = RUN("info", alone, "-q", "--json");
    check_done(&c);
    json_t *o = child_json(&c), *tensor;
    size_t i, found = 0;
    json_array_foreach(json_object_get(o, "tensors"), i, tensor)
    {
        const char *type = json_string_value(json_object_get(tensor, "type"));
        json_t *columns = json_array_get(json_object_get(tensor, "shape"), 1);
        if (strcmp(type, "Q4_0") != 0) continue;
        assert_int_equal(json_integer_value(columns), 288);
        found++;
    }
    assert_int_equal(found, 2);
    json_decref(o);
    child_free(&c);
}

/* A signal while it writes: exit code 130, and the folder in the making is gone. */
static void test_program_interrupted(void **state)
{
    (void)state;
    rn_model *m = make_model(CONFIG, "layers=10");
    WORKS(rn_model_save(m, in_scratch("large"), err));
    rn_model_free(m);
    size_t before = entries(scratch);
    pid_t pid = child_start(ARGV("quantize", in_scratch("large"), in_scratch("cut"),
                                 "--type=q4_k", "-q", "--threads=1"),
                            NULL, CHILD_FILE);
    char temporary[64];
    snprintf(temporary, sizeof temporary, "cut.tmp-%ld/config.json", (long)pid);
    for (int i = 0; access(in_scratch(temporary), F_OK) && i < 10000; i++)
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    kill(pid, SIGINT);
    child c = child_wait(pid, CHILD_FILE);
    assert_int_equal(c.code, 130);
    assert_int_equal(c.out_size + c.err_size, 0);
    child_free(&c);
    assert_int_equal(access(in_scratch("cut"), F_OK), -1);
    assert_int_equal(entries(scratch), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_holds_what_it_can),
        cmocka_unit_test(embeddings_can_be_kept),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(the_model_computes_nearly_the_same),
        cmocka_unit_test(other_dialects_become_native),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(blocks_are_not_quantized_again),
        cmocka_unit_test(numbers_must_be_finite),
        cmocka_unit_test(an_interrupted_one_leaves_nothing),
        cmocka_unit_test(a_folder_that_appears_meanwhile_is_kept),
        cmocka_unit_test(a_full_disk_leaves_nothing),
        cmocka_unit_test(bad_blocks_do_not_open),
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_program_usage),
        cmocka_unit_test(test_program_reads_it),
        cmocka_unit_test(test_program_interrupted),
    };
    return cmocka_run_group_tests_name("quantize", tests, set_up, tear_down);
}

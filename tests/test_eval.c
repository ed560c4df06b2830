/*
 * Evaluation against others: models in published layouts with what the original code made
 * of them (golden/torchscale-*), tiny models with what the float64 reference made of them
 * (golden/reference/models/NAME), and against itself: the three forms, windows, sessions.
 * With folders as arguments only those are checked, as one case each.
 */
#define _XOPEN_SOURCE 700
#include "formats/safetensors.h"
#include "generate/sampler.h"
#include "retnet/eval.h"
#include "retnet/session.h"

#include "exec_fixture.h"

#include <dirent.h>
#include <math.h>

/* One golden folder: the model, its prompt, and what is known about both. */
typedef struct golden {
    const char *folder;
    rn_model *model;
    rn_safetensors *io;
    int32_t *ids;
    size_t batch, length, vocab, checked;
} golden;

static void open_golden(golden *g, const char *folder)
{
    char path[1024];
    rn_error err;
    rn_model_info info;
    *g = (golden){.folder = folder};
    snprintf(path, sizeof path, "%s/io.safetensors", folder);
    if (rn_model_open(&g->model, exec, folder, &err)) fail_msg("%s", err.message);
    if (rn_safetensors_open(&g->io, path, &err)) fail_msg("%s", err.message);
    if (rn_ids_read(path, &g->ids, &g->batch, &g->length, &err))
        fail_msg("%s", err.message);
    rn_model_info_get(g->model, &info);
    g->vocab = info.vocab_size;
}

static void close_golden(golden *g)
{
    free(g->ids);
    rn_safetensors_close(g->io);
    rn_model_free(g->model);
}

/* The tensor as floats, to be freed; NULL when the file does not have it. */
static float *load(golden *g, const char *name, size_t count)
{
    const rn_tensor_view *t = rn_safetensors_find(g->io, name);
    if (!t) return NULL;
    assert_int_equal(t->count, count);
    float *out = malloc((count ? count : 1) * sizeof *out);
    assert_non_null(out);
    assert_int_equal(rn_tensor_floats(t, 0, count, out, NULL), RN_OK);
    g->checked++;
    return out;
}

static int64_t load_int(golden *g, const char *name, size_t index)
{
    int64_t out;
    const rn_tensor_view *t = rn_safetensors_find(g->io, name);
    assert_non_null(t);
    assert_int_equal(rn_tensor_ints(t, index, 1, &out, NULL), RN_OK);
    return out;
}

/* Largest difference, over the largest magnitude of `want` when relative. */
static double distance(const float *got, const float *want, size_t count, bool relative)
{
    double far = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= far)) far = d; /* NaN too */
        largest = fmax(largest, fabs((double)want[i]));
    }
    return relative ? far / largest : far;
}

static void check_near(const golden *g, const char *what, double far, double allowed)
{
    if (!(far <= allowed))
        fail_msg("%s: %s: off by %g of %g", g->folder, what, far, allowed);
}

static rn_eval_result run(golden *g, const rn_eval_options *options, float *logits)
{
    rn_eval_result result;
    rn_error err;
    if (rn_eval_ids(g->model, g->ids, g->batch, g->length, options, logits, &result,
                    &err))
        fail_msg("%s: %s", g->folder, err.message);
    return result;
}

/* Logits by a form and normaliser against a tensor of the file, where it has it. */
static void check_logits(golden *g, const char *name, rn_eval_options options,
                         double allowed, bool relative)
{
    size_t count = g->batch * g->length * g->vocab;
    float *want = load(g, name, count), *got = malloc(count * sizeof *got);
    assert_non_null(got);
    if (want) {
        char what[120];
        run(g, &options, got);
        snprintf(what, sizeof what, "%s, form %d, chunk %zu", name, (int)options.form,
                 options.chunk);
        check_near(g, what, distance(got, want, count, relative), allowed);
    }
    free(got);
    free(want);
}

static float **new_gradients(const rn_model *m)
{
    size_t count = rn_model_tensor_count(m);
    float **grads = calloc(count, sizeof *grads);
    assert_non_null(grads);
    for (size_t i = 0; i < count; i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        grads[i] = malloc(t.shape[0] * (t.dims == 2 ? t.shape[1] : 1) * sizeof **grads);
        assert_non_null(grads[i]);
    }
    return grads;
}

static void free_gradients(const rn_model *m, float **grads)
{
    for (size_t i = 0; i < rn_model_tensor_count(m); i++) free(grads[i]);
    free(grads);
}

/* Rows of one stored tensor are parameters that follow one another under one name: where
   parameter i goes on with the one before, and the numbers that came before it. */
static size_t rows_before(const rn_model *m, size_t i)
{
    size_t before = 0;
    const char *name = rn_model_tensor_original_name(m, i);
    while (i-- > 0 && !strcmp(rn_model_tensor_original_name(m, i), name)) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        before += t.shape[0] * t.shape[1];
    }
    return before;
}

/* Every parameter has its grad.NAME in the file, and the file no other. */
static void check_gradients(golden *g, rn_eval_options options, double allowed)
{
    float **grads = new_gradients(g->model);
    double loss;
    rn_error err;
    size_t stored = 0, stored_numbers = 0, parts = 0, numbers = 0;
    if (rn_eval_gradients(g->model, g->ids, g->batch, g->length, &options, grads, &loss,
                          &err))
        fail_msg("%s: %s", g->folder, err.message);
    for (size_t i = 0; i < rn_model_tensor_count(g->model); i++) {
        rn_model_tensor t = rn_model_tensor_at(g->model, i);
        size_t count = t.shape[0] * (t.dims == 2 ? t.shape[1] : 1);
        char name[160];
        snprintf(name, sizeof name, "grad.%s",
                 rn_model_tensor_original_name(g->model, i));
        const rn_tensor_view *whole = rn_safetensors_find(g->io, name);
        if (!whole) fail_msg("%s: no %s", g->folder, name);
        size_t before = rows_before(g->model, i);
        float *want = load(g, name, (size_t)whole->count);
        assert_true(before + count <= whole->count);
        check_near(g, name, distance(grads[i], want + before, count, true), allowed);
        free(want);
        parts += before > 0;
        numbers += count;
    }
    for (size_t i = 0; i < rn_safetensors_count(g->io); i++) {
        const rn_tensor_view *t = rn_safetensors_at(g->io, i);
        if (strncmp(t->name, "grad.", 5) != 0) continue;
        stored++;
        stored_numbers += (size_t)t->count;
    }
    assert_int_equal(stored, rn_model_tensor_count(g->model) - parts);
    assert_int_equal(stored_numbers, numbers);
    float *want = load(g, "loss", 1);
    check_near(g, "loss of the gradients", fabs(loss - (double)*want), 1e-5);
    free(want);
    free_gradients(g->model, grads);
}

static void check_loss(golden *g, rn_eval_options options, double allowed)
{
    float *want = load(g, "loss", 1);
    assert_non_null(want);
    rn_eval_result result = run(g, &options, NULL);
    check_near(g, "loss", fabs(result.loss - (double)*want), allowed);
    assert_int_equal(result.tokens, g->batch * (g->length - 1));
    assert_true(fabs(result.perplexity - exp(result.loss)) < 1e-9 * result.perplexity);
    free(want);
}

/* The greedy continuation of each prompt by a session. */
static void check_greedy(golden *g)
{
    const rn_tensor_view *t = rn_safetensors_find(g->io, "greedy");
    if (!t) return;
    size_t count = (size_t)t->shape[1];
    for (size_t b = 0; b < g->batch; b++) {
        rn_session *s;
        assert_int_equal(rn_session_create(&s, g->model, NULL), RN_OK);
        assert_int_equal(rn_session_feed(s, g->ids + b * g->length, g->length, NULL),
                         RN_OK);
        for (size_t i = 0; i < count; i++) {
            int32_t id;
            assert_int_equal(rn_session_sample(s, &(rn_sampling){0}, &id, NULL), RN_OK);
            if (id != load_int(g, "greedy", b * count + i))
                fail_msg("%s: row %zu: token %zu is %d", g->folder, b, i, (int)id);
            assert_int_equal(rn_session_step(s, id, NULL), RN_OK);
        }
        rn_session_free(s);
    }
    g->checked++;
}

#define PARALLEL(...)  ((rn_eval_options){.form = RN_FORM_PARALLEL, __VA_ARGS__})
#define RECURRENT(...) ((rn_eval_options){.form = RN_FORM_RECURRENT, __VA_ARGS__})
#define CHUNKWISE(...) ((rn_eval_options){.form = RN_FORM_CHUNKWISE, __VA_ARGS__})
#define AUTO           .row_norm = RN_ROW_NORM_AUTO

static bool has_gradients(const golden *g)
{
    for (size_t i = 0; i < rn_safetensors_count(g->io); i++)
        if (!strncmp(rn_safetensors_at(g->io, i)->name, "grad.", 5)) return true;
    return false;
}

/* A published layout: every form with the normaliser that its code uses there. Chunkwise
   here is the recurrent form's numbers (torchscale's own chunkwise is another
   normaliser). */
static void check_published(golden *g)
{
    check_logits(g, "logits_parallel", PARALLEL(AUTO), 2e-4, false);
    check_logits(g, "logits_parallel_paper", PARALLEL(.row_norm = RN_ROW_NORM_PAPER),
                 2e-4, false);
    check_logits(g, "logits_parallel_paper", CHUNKWISE(.row_norm = RN_ROW_NORM_PAPER),
                 2e-4, false);
    check_logits(g, "logits_recurrent", RECURRENT(AUTO), 2e-4, false);
    check_logits(g, "logits_recurrent", CHUNKWISE(AUTO), 2e-4, false);
    check_logits(g, "logits_recurrent", CHUNKWISE(AUTO, .chunk = 7), 2e-4, false);
    if (!rn_safetensors_find(g->io, "logits_recurrent")) { /* fla: the same numbers */
        check_logits(g, "logits_parallel", RECURRENT(AUTO), 2e-4, false);
        check_logits(g, "logits_parallel", CHUNKWISE(AUTO, .chunk = 7), 2e-4, false);
    }
    check_loss(g, PARALLEL(AUTO), 1e-5);
    if (has_gradients(g)) check_gradients(g, PARALLEL(AUTO), 1e-3);
    check_greedy(g);
    assert_true(g->checked >= 6);
}

/* The logits of a session that reads `split` ids at once and steps through the rest. */
static void check_split(golden *g)
{
    size_t split = (size_t)load_int(g, "split", 0),
           count = g->batch * g->length * g->vocab;
    float *want = load(g, "logits", count);
    for (size_t b = 0; b < g->batch; b++) {
        rn_session *s;
        const int32_t *ids = g->ids + b * g->length;
        assert_int_equal(rn_session_create(&s, g->model, NULL), RN_OK);
        assert_int_equal(rn_session_feed(s, ids, split, NULL), RN_OK);
        for (size_t t = split; t < g->length; t++) {
            assert_int_equal(rn_session_step(s, ids[t], NULL), RN_OK);
            double far = distance(rn_session_logits(s),
                                  want + (b * g->length + t) * g->vocab, g->vocab, true);
            check_near(g, "a session's logits", far, 3e-5);
        }
        rn_session_free(s);
    }
    free(want);
}

/* With two values a head GroupNorm gives almost +-1, and the gradient behind it is a
   difference of nearly equal float32 numbers. */
static double gradient_tolerance(const golden *g)
{
    return strstr(g->folder, "post-layer") ? 1e-3 : 1e-4;
}

/* The float64 reference: the config's normaliser, in every form that has it. */
static void check_reference(golden *g)
{
    double near = gradient_tolerance(g);
    rn_eval_result result = run(g, &PARALLEL(AUTO), NULL);
    check_logits(g, "logits", PARALLEL(AUTO), 2e-5, true);
    check_loss(g, PARALLEL(AUTO), 1e-5);
    check_gradients(g, PARALLEL(AUTO), near);
    if (result.row_norm == RN_ROW_NORM_TORCHSCALE) return;
    check_logits(g, "logits", RECURRENT(AUTO), 2e-5, true);
    for (size_t chunk = 0; chunk < 6; chunk++)
        check_logits(g, "logits", CHUNKWISE(AUTO, .chunk = chunk), 2e-5, true);
    check_gradients(g, CHUNKWISE(AUTO), near);
    check_gradients(g, CHUNKWISE(AUTO, .chunk = 3), near);
    check_split(g);
}

static void check_folder(const char *folder)
{
    golden g;
    open_golden(&g, folder);
    if (rn_safetensors_find(g.io, "logits_parallel")) check_published(&g);
    else check_reference(&g);
    close_golden(&g);
}

/* Checks every folder of `parent` whose name begins so; their number. */
static size_t check_all(const char *parent, const char *prefix)
{
    size_t count = 0;
    DIR *dir = opendir(parent);
    if (!dir) fail_msg("%s is missing", parent);
    for (struct dirent *e; (e = readdir(dir));) {
        char folder[1024];
        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(folder, sizeof folder, "%s/%s", parent, e->d_name);
        check_folder(folder);
        count++;
    }
    closedir(dir);
    return count;
}

static void published_models(void **state)
{
    (void)state;
    assert_true(check_all(RN_GOLDEN, "torchscale-") >= 4);
    assert_true(check_all(RN_GOLDEN, "fla-") >= 2);
    assert_int_equal(check_all(RN_GOLDEN, "syncdoth"), 1);
    assert_int_equal(check_all(RN_GOLDEN, "legacy-2023"), 1);
}

static void reference_models(void **state)
{
    (void)state;
    assert_true(check_all(RN_GOLDEN "/reference/models", "") >= 11);
}

/* Text for the checks against itself. */
enum { VOCAB = 47, TOKENS = 9001 };

static rn_model *make_model(const char *setting)
{
    static const char config[] = "{\"vocab_size\": 47, \"width\": 24, \"layers\": 2, "
                                 "\"heads\": 2, \"kv_heads\": 2,"
                                 " \"key_dim\": 8, \"value_dim\": 12, \"ffn_width\": 32}";
    rn_model *m;
    rn_error err;
    rn_model_source source = {
        .config_json = config, .settings = &setting, .settings_count = 1};
    if (rn_model_create(&m, exec, &source, 21, &err)) fail_msg("%s", err.message);
    return m;
}

static int32_t token(size_t i)
{
    return (int32_t)((i * i / 3 + i) % VOCAB);
}

/* The first `count` tokens as a token file (nanoGPT's). */
static rn_tokens *make_tokens(size_t count)
{
    unsigned char *bytes = calloc(count, 2);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) bytes[2 * i] = (unsigned char)token(i);
    rn_tokens *tokens;
    rn_error err;
    if (rn_tokens_open(&tokens, put_bytes("tokens.bin", bytes, 2 * count), &err))
        fail_msg("%s", err.message);
    free(bytes);
    return tokens;
}

static rn_eval_result run_tokens(rn_model *m, const rn_tokens *tokens,
                                 rn_eval_options options)
{
    rn_eval_result result;
    rn_error err;
    if (rn_eval_tokens(m, tokens, &options, &result, &err)) fail_msg("%s", err.message);
    return result;
}

static void check_same_loss(double got, double want, const char *what)
{
    if (!(fabs(got - want) <= 1e-6 * want))
        fail_msg("%s: %.9g is not %.9g", what, got, want);
}

/* The mean loss of windows by sessions that start anew, one step a token. */
static double loss_by_steps(rn_model *m, size_t count, size_t window)
{
    double sum = 0;
    rn_session *s;
    assert_int_equal(rn_session_create(&s, m, NULL), RN_OK);
    for (size_t i = 0; i + 1 < count; i++) {
        if (window && i % window == 0) rn_session_reset(s);
        assert_int_equal(rn_session_step(s, token(i), NULL), RN_OK);
        const float *logits = rn_session_logits(s);
        sum += rn_log_sum_exp(logits, VOCAB) - (double)logits[token(i + 1)];
    }
    rn_session_free(s);
    return sum / (double)(count - 1);
}

static void windows_and_forms_agree(void **state)
{
    (void)state;
    const char *const norms[] = {"row_norm=none", "row_norm=decay", "row_norm=paper"};
    const size_t windows[] = {0, 1, 37, 64, 600, 1000}, count = 601;
    rn_tokens *tokens = make_tokens(count);
    for (size_t n = 0; n < 3; n++) {
        rn_model *m = make_model(norms[n]);
        for (size_t w = 0; w < 6; w++) {
            size_t window = windows[w];
            double want = loss_by_steps(m, count, window);
            rn_eval_result r = run_tokens(m, tokens, CHUNKWISE(AUTO, .window = window));
            assert_int_equal(r.tokens, count - 1);
            check_same_loss(r.loss, want, "chunkwise");
            r = run_tokens(m, tokens, CHUNKWISE(AUTO, .window = window, .chunk = 5));
            check_same_loss(r.loss, want, "chunkwise in fives");
            r = run_tokens(m, tokens, PARALLEL(AUTO, .window = window));
            check_same_loss(r.loss, want, "parallel");
            r = run_tokens(m, tokens, RECURRENT(AUTO, .window = window));
            check_same_loss(r.loss, want, "recurrent");
        }
        rn_model_free(m);
    }
    rn_tokens_free(tokens);
}

/* A long text is read in segments whose state is carried. */
static void long_texts_carry_their_state(void **state)
{
    (void)state;
    rn_tokens *tokens = make_tokens(TOKENS);
    rn_model *m = make_model("row_norm=decay");
    const size_t windows[] = {0, 5000};
    for (size_t w = 0; w < 2; w++) {
        size_t window = windows[w];
        double want = loss_by_steps(m, TOKENS, window);
        rn_eval_result r = run_tokens(m, tokens, CHUNKWISE(AUTO, .window = window));
        check_same_loss(r.loss, want, "chunkwise");
        r = run_tokens(m, tokens, PARALLEL(AUTO, .window = window));
        check_same_loss(r.loss, want, "parallel");
        r = run_tokens(m, tokens, RECURRENT(AUTO, .window = window));
        check_same_loss(r.loss, want, "recurrent");
    }
    double apart = run_tokens(m, tokens, CHUNKWISE(AUTO, .window = 512)).loss -
                   run_tokens(m, tokens, CHUNKWISE(AUTO)).loss;
    assert_true(fabs(apart) > 1e-5); /* a state that is lost would be noticed */
    rn_model_free(m);
    rn_tokens_free(tokens);
}

/* Rows of ids: in any batch the same logits; long rows too. */
static void rows_do_not_depend_on_their_batch(void **state)
{
    (void)state;
    enum { ROWS = 3, LENGTH = 1500 };
    rn_model *m = make_model("row_norm=decay");
    int32_t *ids = malloc(ROWS * LENGTH * sizeof *ids);
    size_t count = (size_t)ROWS * LENGTH * VOCAB;
    float *together = malloc(count * sizeof *together),
          *alone = malloc(count * sizeof *alone);
    assert_true(ids && together && alone);
    for (size_t i = 0; i < ROWS * LENGTH; i++) ids[i] = token(i * 7 + i / LENGTH);
    rn_eval_result all, one;
    double sum = 0;
    rn_eval_options o = CHUNKWISE(AUTO);
    assert_int_equal(rn_eval_ids(m, ids, ROWS, LENGTH, &o, together, &all, NULL), RN_OK);
    for (size_t b = 0; b < ROWS; b++) {
        float *out = alone + b * LENGTH * VOCAB;
        assert_int_equal(rn_eval_ids(m, ids + b * LENGTH, 1, LENGTH, &o, out, &one, NULL),
                         RN_OK);
        sum += one.loss / ROWS;
    }
    assert_true(distance(together, alone, count, true) < 1e-5);
    check_same_loss(all.loss, sum, "rows");
    o = RECURRENT(AUTO);
    assert_int_equal(rn_eval_ids(m, ids, 1, ROWS * LENGTH, &o, together, &all, NULL),
                     RN_OK);
    o = CHUNKWISE(AUTO);
    assert_int_equal(rn_eval_ids(m, ids, 1, ROWS * LENGTH, &o, alone, &one, NULL), RN_OK);
    assert_true(distance(together, alone, count, true) < 1e-4);
    free(ids);
    free(together);
    free(alone);
    rn_model_free(m);
}

/* The same tokens as bytes of a text, by the byte tokenizer. */
static rn_tokens *make_text(size_t count)
{
    unsigned char bytes[1000];
    assert_in_range(count, 1, sizeof bytes);
    for (size_t i = 0; i < count; i++) bytes[i] = (unsigned char)token(i);
    const char *path = put_bytes("bytes.txt", bytes, count);
    rn_tokenizer *bytewise;
    rn_tokens *tokens;
    WORKS(rn_tokenizer_open(&bytewise, "byte", err));
    WORKS(
        rn_tokens_build(&tokens, in_scratch("text.bin"), &path, 1, NULL, bytewise, err));
    rn_tokenizer_free(bytewise);
    return tokens;
}

static void bits_per_byte(void **state)
{
    (void)state;
    rn_model *m = make_model("row_norm=auto");
    rn_tokens *tokens = make_tokens(300), *text = make_text(300);
    rn_eval_result r = run_tokens(m, tokens, CHUNKWISE(AUTO)), of_text;
    of_text = run_tokens(m, text, CHUNKWISE(AUTO));
    assert_int_equal(r.bytes, 0);
    assert_true(isnan(r.bits_per_byte));
    assert_int_equal(of_text.bytes, 300);
    assert_int_equal(of_text.tokens, 299);
    assert_true(of_text.loss == r.loss);
    assert_true(fabs(of_text.bits_per_byte - r.loss / log(2)) < 1e-12);
    assert_int_equal(r.row_norm, RN_ROW_NORM_DECAY);
    assert_true(rn_eval_bits_per_byte(r.loss, 300, 300) == of_text.bits_per_byte);
    assert_true(fabs(rn_eval_bits_per_byte(log(2), 100, 400) - 0.25) < 1e-15);
    assert_true(isnan(rn_eval_bits_per_byte(r.loss, 300, 0)));
    r = run_tokens(m, tokens, PARALLEL(AUTO));
    assert_int_equal(r.row_norm, RN_ROW_NORM_TORCHSCALE);
    rn_tokens_free(tokens);
    rn_tokens_free(text);
    rn_model_free(m);
}

static uint64_t last_done, last_total, calls;
static void on_progress(void *user, uint64_t done, uint64_t total)
{
    assert_ptr_equal(user, &calls);
    assert_true(done > last_done && done <= total);
    last_done = done;
    last_total = total;
    calls++;
}

static void progress_reaches_the_end(void **state)
{
    (void)state;
    rn_model *m = make_model("row_norm=none");
    rn_tokens *tokens = make_tokens(TOKENS);
    const size_t windows[] = {0, 50};
    for (size_t w = 0; w < 2; w++) {
        last_done = calls = 0;
        run_tokens(m, tokens,
                   CHUNKWISE(AUTO, .window = windows[w], .progress = on_progress,
                             .user = &calls));
        assert_int_equal(last_done, TOKENS - 1);
        assert_int_equal(last_total, TOKENS - 1);
        assert_true(calls > 2);
    }
    rn_tokens_free(tokens);
    rn_model_free(m);
}

static void check_refused(rn_status st, const rn_error *err, const char *word)
{
    assert_int_equal(st, RN_EINVAL);
    if (!strstr(err->message, word)) fail_msg("\"%s\" has no \"%s\"", err->message, word);
}

static void refusals_name_the_option(void **state)
{
    (void)state;
    rn_model *m = make_model("row_norm=auto");
    rn_tokens *tokens = make_tokens(20000), *one = make_tokens(1);
    rn_error err = {0};
    rn_eval_result r;
    rn_eval_options o = PARALLEL(AUTO);
    check_refused(rn_eval_tokens(m, tokens, &o, &r, &err), &err, "window");
    check_refused(rn_eval_tokens(m, one, &o, &r, &err), &err, "1 tokens");
    o = CHUNKWISE(.row_norm = RN_ROW_NORM_TORCHSCALE);
    check_refused(rn_eval_tokens(m, tokens, &o, &r, &err), &err, "torchscale");
    const int32_t ids[4] = {1, 2, VOCAB, 3};
    float *grads[1] = {NULL};
    double loss;
    o = CHUNKWISE(AUTO);
    check_refused(rn_eval_ids(m, ids, 2, 2, &o, NULL, &r, &err), &err, "row 1, index 0");
    check_refused(rn_eval_ids(m, ids, 0, 2, &o, NULL, &r, &err), &err, "0 rows");
    check_refused(rn_eval_ids(m, ids, 2, 1, &o, NULL, &r, &err), &err, "rows of 1");
    check_refused(rn_eval_gradients(m, ids, 2, 1, &o, grads, &loss, &err), &err,
                  "rows of 1");
    check_refused(rn_eval_gradients(m, ids, 2, 2, &o, grads, &loss, &err), &err, "47");
    o.window = 4;
    check_refused(rn_eval_ids(m, ids, 1, 2, &o, NULL, &r, &err), &err, "window");
    o = RECURRENT(AUTO);
    check_refused(rn_eval_gradients(m, ids, 1, 2, &o, grads, &loss, &err), &err, "form");
    rn_tokens_free(tokens);
    rn_tokens_free(one);
    rn_model_free(m);
}

static void one_folder(void **state)
{
    check_folder(*state);
}

static int run_arguments(int count, char **folders)
{
    int failed = 0;
    for (int i = 0; i < count; i++) {
        const struct CMUnitTest test[] = {
            {folders[i], one_folder, NULL, NULL, folders[i]}};
        failed += cmocka_run_group_tests_name(folders[i], test, set_up, tear_down) != 0;
    }
    return failed;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_models),
        cmocka_unit_test(reference_models),
        cmocka_unit_test(windows_and_forms_agree),
        cmocka_unit_test(long_texts_carry_their_state),
        cmocka_unit_test(rows_do_not_depend_on_their_batch),
        cmocka_unit_test(bits_per_byte),
        cmocka_unit_test(progress_reaches_the_end),
        cmocka_unit_test(refusals_name_the_option),
    };
    if (argc > 1) return run_arguments(argc - 1, argv + 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

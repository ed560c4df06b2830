/* Rows that hold several documents: loss and gradients are those of the documents taken
   separately, in training, validation and evaluation; and rows from several sources. */
#define _DEFAULT_SOURCE
#include "train_fixture.h"

#include "retnet/eval.h"

#include <math.h>

#define ROWS 3
#define SEQ  24

/* Where documents begin in three rows of 25 tokens: one ends with the row, one goes on
   behind it, two have a single token. */
static void set_starts(uint8_t *starts)
{
    static const unsigned at[] = {0, 1, 6, 17, 25, 25 + 9, 25 + 24, 50, 50 + 10, 50 + 11};
    memset(starts, 0, ROWS * (SEQ + 1));
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) starts[at[i]] = 1;
}

static void set_ids(int32_t *ids, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t w[4];
        rn_philox(w, seed, RN_STREAM_TEST, i, 1);
        ids[i] = (int32_t)(w[0] % VOCAB);
    }
}

static rn_train_options options_of(rn_form form, size_t batch, size_t seq)
{
    rn_train_options o = tiny_options();
    o.batch = batch;
    o.seq = seq;
    o.accum = 1;
    o.form = form;
    o.chunk = form == RN_FORM_CHUNKWISE ? 4 : 0;
    return o;
}

/* Adds `predictions` times the gradient of one document alone, which is that of its sum;
   returns its summed loss. */
static double add_document(rn_model *m, rn_form form, const int32_t *ids,
                           size_t predictions, double *const *sums)
{
    rn_train_options o = options_of(form, 1, predictions);
    rn_trainer *t;
    double loss;
    OK(rn_trainer_create(&t, m, &o, &err_));
    OK(rn_trainer_gradients(t, ids, &loss, &err_));
    for (size_t p = 0; p < rn_model_tensor_count(m); p++)
        for (size_t i = 0; i < m->params[p].count; i++)
            sums[p][i] += (double)predictions * rn_trainer_gradient(t, p)[i];
    rn_trainer_free(t);
    return loss * (double)predictions;
}

/* The same of all documents of the rows; *total: what they predict. */
static double add_documents(rn_model *m, rn_form form, const int32_t *ids,
                            const uint8_t *starts, double *const *sums, size_t *total)
{
    double loss = 0;
    *total = 0;
    for (size_t b = 0; b < ROWS; b++) {
        size_t row = b * (SEQ + 1), end;
        for (size_t at = 0; at <= SEQ; at = end) {
            for (end = at + 1; end <= SEQ && !starts[row + end];) end++;
            size_t predictions = end - at - 1;
            if (!predictions) continue;
            loss += add_document(m, form, ids + row + at, predictions, sums);
            *total += predictions;
        }
    }
    return loss;
}

static double **new_sums(const rn_model *m)
{
    size_t count = rn_model_tensor_count(m);
    double **sums = calloc(count, sizeof *sums);
    assert_non_null(sums);
    for (size_t p = 0; p < count; p++) {
        sums[p] = calloc(m->params[p].count, sizeof **sums);
        assert_non_null(sums[p]);
    }
    return sums;
}

static void free_sums(const rn_model *m, double **sums)
{
    for (size_t p = 0; p < rn_model_tensor_count(m); p++) free(sums[p]);
    free(sums);
}

/* Largest difference of a tensor's gradient from sums / total, over its largest one. */
static double difference(const float *got, const double *sums, double total, size_t n)
{
    double most = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(sums[i] / total));
        error = fmax(error, fabs(got[i] - sums[i] / total));
    }
    return error / fmax(most, 1e-12);
}

static void check_packed(rn_model *m, rn_form form)
{
    int32_t ids[ROWS * (SEQ + 1)];
    uint8_t starts[ROWS * (SEQ + 1)];
    set_ids(ids, ROWS * (SEQ + 1), 3);
    set_starts(starts);
    rn_train_options o = options_of(form, ROWS, SEQ);
    rn_trainer *t;
    double loss, **sums = new_sums(m);
    size_t total;
    OK(rn_trainer_create(&t, m, &o, &err_));
    OK(rn_trainer_gradients_documents(t, ids, starts, &loss, &err_));
    double want = add_documents(m, form, ids, starts, sums, &total);
    assert_int_equal(total, ROWS * SEQ - 7);
    if (!(fabs(loss - want / (double)total) < 1e-6))
        fail_msg("loss %.9g, not %.9g", loss, want / (double)total);
    for (size_t p = 0; p < rn_model_tensor_count(m); p++) {
        double d = difference(rn_trainer_gradient(t, p), sums[p], (double)total,
                              m->params[p].count);
        if (!(d < 3e-5)) fail_msg("%s: %g", m->params[p].name, d);
    }
    rn_trainer_free(t);
    free_sums(m, sums);
}

static void packed_is_separate(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        rn_exec *x = open_exec(threads);
        rn_model *m = tiny_model(x, 5, 0);
        check_packed(m, RN_FORM_CHUNKWISE);
        check_packed(m, RN_FORM_PARALLEL);
        rn_model_free(m);
        rn_exec_close(x);
    }
}

/* Bit for bit: a row that is one document is a plain row; and another document in the row
   does not touch the hidden states, so not the loss, of the first. */
static void one_document_is_a_row(void **state)
{
    (void)state;
    rn_exec *x = open_exec(2);
    rn_model *m = tiny_model(x, 5, 0.2);
    int32_t ids[ROWS * (SEQ + 1)];
    uint8_t starts[ROWS * (SEQ + 1)] = {0};
    set_ids(ids, ROWS * (SEQ + 1), 4);
    for (size_t b = 0; b < ROWS; b++) starts[b * (SEQ + 1)] = 1;
    rn_train_options o = options_of(RN_FORM_CHUNKWISE, ROWS, SEQ);
    rn_trainer *t, *u;
    rn_step_result a, b;
    double plain, cut;
    OK(rn_trainer_create(&t, m, &o, &err_));
    OK(rn_trainer_create(&u, m, &o, &err_));
    OK(rn_trainer_gradients(t, ids, &plain, &err_));
    OK(rn_trainer_gradients_documents(u, ids, starts, &cut, &err_));
    assert_true(plain == cut);
    assert_memory_equal(t->grads, u->grads, m->floats * sizeof *t->grads);
    set_starts(starts);
    OK(rn_trainer_gradients_documents(t, ids, starts, &plain, &err_));
    OK(rn_trainer_gradients_documents(u, ids, starts, &cut, &err_));
    assert_true(plain == cut);
    assert_memory_equal(t->grads, u->grads, m->floats * sizeof *t->grads);

    /* Nothing to be predicted is nothing to be learned from. */
    memset(starts, 1, sizeof starts);
    OK(rn_trainer_step_documents(t, ids, starts, &a, &err_));
    assert_true(a.skipped && isnan(a.loss));
    OK(rn_trainer_step(t, ids, &b, &err_));
    assert_false(b.skipped);
    rn_trainer_free(t);
    rn_trainer_free(u);
    rn_model_free(m);
    rn_exec_close(x);
}

/* The mean over micro-batches is over all targets, not over micro-batches. */
static void micro_batches_count_targets(void **state)
{
    (void)state;
    rn_exec *x = open_exec(1);
    rn_model *m = tiny_model(x, 6, 0);
    int32_t ids[2 * ROWS * (SEQ + 1)];
    uint8_t starts[2 * ROWS * (SEQ + 1)] = {0};
    set_ids(ids, 2 * ROWS * (SEQ + 1), 5);
    set_starts(starts);
    rn_train_options one = options_of(RN_FORM_CHUNKWISE, 2 * ROWS, SEQ), two = one;
    two.batch = ROWS;
    two.accum = 2;
    rn_trainer *t, *u;
    rn_step_result a, b;
    OK(rn_trainer_create(&t, m, &one, &err_));
    OK(rn_trainer_create(&u, m, &two, &err_));
    OK(rn_trainer_step_at(t, ids, starts, 0.0, &a, &err_));
    OK(rn_trainer_step_at(u, ids, starts, 0.0, &b, &err_));
    assert_true(fabs(a.loss - b.loss) < 1e-6);
    assert_true(fabs(a.grad_norm - b.grad_norm) < 1e-5 * a.grad_norm);
    rn_trainer_free(t);
    rn_trainer_free(u);
    rn_model_free(m);
    rn_exec_close(x);
}

/* ---- validation and evaluation ---- */

/* Tokens of FOLDER/NAME.bin with documents that id 3 ends. */
static rn_tokens *make_documents(const char *folder, const char *name, size_t count)
{
    rn_tokens *t = make_tokens(folder, name, count, 8);
    rn_tokens_set_end(t, 3);
    assert_true(rn_tokens_documents(t) != 0);
    return t;
}

/* Mean loss by rn_eval_ids of pieces that end at documents' ends and every `window`
   inputs. *predicted: how many tokens. */
static double loss_by_pieces(rn_model *m, rn_form form, const rn_tokens *t, size_t window,
                             bool grid, uint64_t *predicted)
{
    size_t n = (size_t)rn_tokens_count(t), end;
    int32_t *ids = calloc(n, sizeof *ids);
    uint8_t *starts = calloc(n, 1);
    double sum = 0;
    *predicted = 0;
    OK(rn_tokens_read_documents(t, 0, n, ids, starts, &err_));
    for (size_t at = 0; at < n; at = end) {
        for (end = at + 1; end < n && !starts[end];) {
            if (grid ? end % window == 0 : end - at == window) break;
            end++;
        }
        size_t target = end < n && !starts[end];
        if (end - at + target < 2) continue;
        rn_eval_options o = rn_eval_defaults();
        rn_eval_result r;
        o.form = form;
        o.chunk = form == RN_FORM_CHUNKWISE ? 4 : 0;
        OK(rn_eval_ids(m, ids + at, 1, end - at + target, &o, NULL, &r, &err_));
        sum += r.loss * (double)r.tokens;
        *predicted += r.tokens;
    }
    free(ids);
    free(starts);
    return sum / (double)*predicted;
}

static void validation_keeps_documents_apart(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_exec *x = open_exec(2);
    rn_model *m = tiny_model(x, 7, 0);
    rn_tokens *tokens = make_documents(folder, "val", 700);
    rn_train_options o = options_of(RN_FORM_CHUNKWISE, ROWS, SEQ);
    rn_trainer *t;
    OK(rn_trainer_create(&t, m, &o, &err_));
    static const size_t windows[] = {24, 7, 500};
    for (size_t i = 0; i < 3; i++) {
        rn_validator *v;
        double loss;
        uint64_t predicted;
        OK(rn_validator_create(&v, t, tokens, windows[i], &err_));
        OK(rn_validator_loss(v, &loss, &err_));
        double want =
            loss_by_pieces(m, RN_FORM_CHUNKWISE, tokens, windows[i], true, &predicted);
        if (!(fabs(loss - want) < 1e-6)) fail_msg("%.9g, not %.9g", loss, want);
        rn_validator_free(v);
    }
    rn_trainer_free(t);
    rn_tokens_free(tokens);
    rn_model_free(m);
    rn_exec_close(x);
    shell("rm -r %s", folder);
    free(folder);
}

static void check_eval(rn_model *m, const rn_tokens *tokens, rn_form form, size_t window)
{
    rn_eval_options o = rn_eval_defaults();
    rn_eval_result r;
    uint64_t predicted;
    o.form = form;
    o.chunk = form == RN_FORM_CHUNKWISE ? 4 : 0;
    o.window = window;
    o.documents = true;
    OK(rn_eval_tokens(m, tokens, &o, &r, &err_));
    double want =
        loss_by_pieces(m, form, tokens, window ? window : SIZE_MAX, false, &predicted);
    assert_int_equal(r.tokens, predicted);
    if (!(fabs(r.loss - want) < 1e-5))
        fail_msg("form %d, window %zu: %.9g, not %.9g", form, window, r.loss, want);
}

static void evaluation_keeps_documents_apart(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_exec *x = open_exec(2);
    rn_model *m = tiny_model(x, 7, 0);
    rn_tokens *tokens = make_documents(folder, "text", 9000);
    rn_tokens *part;
    OK(rn_tokens_slice(&part, tokens, 0, 1100, &err_));
    static const size_t windows[] = {0, 10, 400};
    for (size_t i = 0; i < 3; i++) {
        check_eval(m, part, RN_FORM_CHUNKWISE, windows[i]);
        check_eval(m, part, RN_FORM_PARALLEL, windows[i]);
        check_eval(m, part, RN_FORM_RECURRENT, windows[i]);
    }
    rn_tokens_free(part);
    /* One that is longer than a pass, and short ones around it. */
    char *path = path_in(folder, "long.bin");
    uint16_t ids[6000];
    for (size_t i = 0; i < 6000; i++) ids[i] = (uint16_t)(4 + i % 5);
    ids[30] = ids[542] = ids[5500] = ids[5501] = ids[5700] = 3;
    OK(rn_write_file(path, ids, sizeof ids, &err_));
    OK(rn_tokens_open(&part, path, &err_));
    rn_tokens_set_end(part, 3);
    check_eval(m, part, RN_FORM_CHUNKWISE, 0);
    rn_tokens_free(part);
    rn_tokens_free(tokens);
    rn_model_free(m);
    rn_exec_close(x);
    free(path);
    shell("rm -r %s", folder);
    free(folder);
}

/* ---- mixtures ---- */

static void check_shares(const rn_mixture *m, const uint64_t *shares, uint64_t period)
{
    uint64_t seen[4] = {0}, next[4][64] = {{0}};
    assert_int_equal(m->period, period);
    for (uint64_t row = 0; row < 64 * period; row++) {
        uint64_t its_row;
        size_t source = rn_mixture_source(m, row, &its_row);
        assert_true(source < m->count);
        seen[source]++;
        if (its_row < 64) next[source][its_row]++;
        if ((row + 1) % period) continue;
        for (size_t i = 0; i < m->count; i++)
            assert_int_equal(seen[i], shares[i] * ((row + 1) / period));
    }
    for (size_t i = 0; i < m->count; i++)
        for (size_t r = 0; r < 64; r++) assert_int_equal(next[i][r], 1);
}

static void rows_are_mixed_in_proportion(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_tokens *a = make_tokens(folder, "a", 500, 1), *b = make_tokens(folder, "b", 90, 2);
    rn_train_source sources[] = {{a, 3}, {b, 1}, {a, 2}};
    rn_mixture m;
    OK(rn_mixture_open(&m, sources, 2, VOCAB, 10, 1, &err_));
    check_shares(&m, (const uint64_t[]){3, 1}, 4);
    int32_t rows[40][11], again[11];
    uint8_t starts[40][11];
    OK(rn_mixture_rows(&m, 0, 40, rows[0], starts[0], &err_));
    for (uint64_t r = 40; r-- > 0;) {
        OK(rn_mixture_rows(&m, r, 1, again, starts[0], &err_));
        assert_memory_equal(again, rows[r], sizeof again);
    }
    rn_mixture_close(&m);

    sources[0].weight = 0.7;
    sources[1].weight = 0.1;
    sources[2].weight = 0.2;
    OK(rn_mixture_open(&m, sources, 3, VOCAB, 10, 1, &err_));
    check_shares(&m, (const uint64_t[]){7, 1, 2}, 10);
    rn_mixture_close(&m);
    sources[0].weight = 1e9;
    sources[1].weight = 3.14159e8;
    OK(rn_mixture_open(&m, sources, 3, VOCAB, 10, 1, &err_));
    assert_true(m.period >= 65536 && m.period <= 65538);
    assert_true(fabs((double)m.sources[0].share / (double)m.sources[1].share - 3.1831) <
                1e-3);
    assert_int_equal(m.sources[2].share, 1);
    rn_mixture_close(&m);

    static const double bad[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < 4; i++) {
        rn_error err;
        sources[1].weight = bad[i];
        assert_int_equal(rn_mixture_open(&m, sources, 3, VOCAB, 10, 1, &err), RN_EINVAL);
        assert_non_null(strstr(err.message, "source 2"));
    }
    rn_error err;
    sources[1].weight = 1;
    assert_int_equal(rn_mixture_open(&m, sources, 3, VOCAB, 90, 1, &err), RN_EINVAL);
    assert_non_null(strstr(err.message, "source 2 has 90 tokens"));
    rn_tokens_free(a);
    rn_tokens_free(b);
    shell("rm -r %s", folder);
    free(folder);
}

typedef struct stopper {
    uint64_t at;
} stopper;

static void stop_there(void *user, const rn_train_progress *p, bool *stop)
{
    const stopper *s = user;
    if (p->step == s->at) *stop = true;
}

static rn_status run_mixed(const char *folder, const char *name,
                           const rn_train_source *sources, size_t count, uint64_t stop,
                           rn_error *err)
{
    char *out = path_in(folder, name);
    rn_exec *x = open_exec(1);
    rn_model *m = tiny_model(x, 9, 0.1);
    stopper s = {stop};
    rn_train_result result;
    rn_train_run_options o = {.train = tiny_options(),
                              .out = out,
                              .sources = sources,
                              .source_count = count,
                              .val = sources[0].tokens,
                              .resume = true,
                              .progress = stop_there,
                              .user = &s};
    rn_status st = rn_train_run(m, &o, &result, err);
    rn_model_free(m);
    rn_exec_close(x);
    free(out);
    return st;
}

static void mixed_runs_resume(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_error err;
    rn_tokens *a = make_documents(folder, "a", 600),
              *b = make_tokens(folder, "b", 300, 2);
    rn_train_source sources[] = {{a, 3}, {b, 1}};
    OK(run_mixed(folder, "whole", sources, 2, UINT64_MAX, &err_));
    assert_int_equal(run_mixed(folder, "parts", sources, 2, 5, &err), RN_EINTERRUPTED);

    sources[1].weight = 2;
    assert_int_equal(run_mixed(folder, "parts", sources, 2, UINT64_MAX, &err),
                     RN_EFORMAT);
    assert_non_null(strstr(err.message, "data sources"));
    assert_int_equal(run_mixed(folder, "parts", sources, 1, UINT64_MAX, &err),
                     RN_EFORMAT);
    sources[1].weight = 1;
    rn_tokens_set_documents(a, RN_DOCUMENTS_NONE, 0);
    assert_int_equal(run_mixed(folder, "parts", sources, 2, UINT64_MAX, &err),
                     RN_EFORMAT);
    assert_non_null(strstr(err.message, "data sources"));
    rn_tokens_set_documents(a, RN_DOCUMENTS_END, 3);

    assert_int_equal(run_mixed(folder, "parts", sources, 2, 8, &err), RN_EINTERRUPTED);
    OK(run_mixed(folder, "parts", sources, 2, UINT64_MAX, &err_));
    shell("cmp %s/whole/model.safetensors %s/parts/model.safetensors", folder, folder);
    shell("cmp %s/whole/step-*/optimizer.safetensors "
          "%s/parts/step-*/optimizer.safetensors",
          folder, folder);

    OK(run_mixed(folder, "alone", sources, 1, UINT64_MAX, &err_));
    rn_tokens_set_documents(a, RN_DOCUMENTS_NONE, 0);
    assert_int_equal(run_mixed(folder, "alone", sources, 1, UINT64_MAX, &err),
                     RN_EFORMAT);
    assert_non_null(strstr(err.message, "data documents"));
    rn_tokens_free(a);
    rn_tokens_free(b);
    shell("rm -r %s", folder);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_is_separate),
        cmocka_unit_test(one_document_is_a_row),
        cmocka_unit_test(micro_batches_count_targets),
        cmocka_unit_test(validation_keeps_documents_apart),
        cmocka_unit_test(evaluation_keeps_documents_apart),
        cmocka_unit_test(rows_are_mixed_in_proportion),
        cmocka_unit_test(mixed_runs_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

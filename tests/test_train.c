/* The parts of training: schedule, loader, optimizer step, validation, and recorded steps
   of another implementation. `test_train steps FOLDER` checks those of another folder. */
#define _DEFAULT_SOURCE
#include "train_fixture.h"

#include "formats/checkpoint.h"

#include <math.h>

/* ---- schedule ---- */

static void schedule_values(void **state)
{
    (void)state;
    rn_train_options o = rn_train_defaults();
    o.steps = 110;
    o.warmup = 10;
    o.lr = 1.0;
    o.min_lr = 0.2;
    const struct {
        rn_schedule schedule;
        uint64_t step;
        double time, want;
    } cases[] = {
        {RN_SCHEDULE_LINEAR, 1, 0, 0.1},
        {RN_SCHEDULE_LINEAR, 5, 0, 0.5},
        {RN_SCHEDULE_LINEAR, 10, 0, 1.0},
        {RN_SCHEDULE_LINEAR, 60, 0, 0.6},
        {RN_SCHEDULE_LINEAR, 110, 0, 0.2},
        {RN_SCHEDULE_COSINE, 10, 0, 1.0},
        {RN_SCHEDULE_COSINE, 60, 0, 0.6},
        {RN_SCHEDULE_COSINE, 35, 0, 0.882842712474619},
        {RN_SCHEDULE_COSINE, 110, 0, 0.2},
        {RN_SCHEDULE_CONSTANT, 2, 0, 0.2},
        {RN_SCHEDULE_CONSTANT, 60, 0, 1.0},
        {RN_SCHEDULE_CONSTANT, 110, 0, 1.0},
        {RN_SCHEDULE_WSD, 5, 0, 0.5},
        {RN_SCHEDULE_WSD, 10, 0, 1.0},
        {RN_SCHEDULE_WSD, 88, 0, 1.0},
        {RN_SCHEDULE_WSD, 99, 0, 0.6},
        {RN_SCHEDULE_WSD, 110, 0, 0.2},
        {RN_SCHEDULE_WSD, 60, 0.8, 1.0},
        {RN_SCHEDULE_WSD, 60, 0.9, 0.6},
        {RN_SCHEDULE_WSD, 60, 1.5, 0.2},
        {RN_SCHEDULE_WSD, 1, 0.05, 0.5},
        {RN_SCHEDULE_LINEAR, 60, 0.9, 0.28},
        {RN_SCHEDULE_LINEAR, 60, 2.0, 0.2},
        {RN_SCHEDULE_LINEAR, 1, 0.05, 0.48},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        o.schedule = cases[i].schedule;
        double lr = rn_schedule_lr(&o, cases[i].step, cases[i].time);
        if (fabs(lr - cases[i].want) > 1e-12)
            fail_msg("case %zu: %.15g, not %.15g", i, lr, cases[i].want);
    }
    o.schedule = RN_SCHEDULE_WSD;
    o.decay = 1; /* a line from the first step on */
    assert_true(fabs(rn_schedule_lr(&o, 55, 0) - 0.6) < 1e-12);
    o.steps = 0;
    o.decay = 0.1;
    assert_true(fabs(rn_schedule_lr(&o, 1000, 0.95) - 0.6) < 1e-12);
    o.schedule = RN_SCHEDULE_LINEAR;
    assert_true(fabs(rn_schedule_lr(&o, 1000, 0.5) - 0.6) < 1e-12);
    o.warmup = 0;
    assert_true(fabs(rn_schedule_lr(&o, 1, 0) - 1.0) < 1e-12);
}

/* ---- loader ---- */

/* In each of the first epochs: no token predicted twice, fewer than 2 seq left out. */
static void check_epochs(const rn_tokens *tokens, size_t seq, uint64_t seed)
{
    uint64_t count = rn_tokens_count(tokens);
    rn_loader l;
    OK(rn_loader_init(&l, tokens, seq, seed, &err_));
    unsigned char *seen = malloc(count);
    assert_non_null(seen);
    for (uint64_t epoch = 0; epoch < 4; epoch++) {
        memset(seen, 0, count);
        for (uint64_t i = 0; i < l.windows; i++) {
            uint64_t begin = rn_loader_begin(&l, epoch * l.windows + i);
            assert_true(begin + seq < count);
            for (size_t n = 1; n <= seq; n++) assert_int_equal(seen[begin + n]++, 0);
        }
        size_t left_out = 0;
        for (uint64_t n = 1; n < count; n++) left_out += !seen[n];
        assert_true(left_out < 2 * seq);
    }
    free(seen);
}

static void loader_covers(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_tokens *all = make_tokens(folder, "all", 5000, 3);
    static const size_t counts[] = {2, 3, 11, 12, 20, 21, 29, 30, 31, 300, 999, 5000};
    static const size_t seqs[] = {1, 2, 10, 64};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (size_t s = 0; s < sizeof seqs / sizeof seqs[0]; s++) {
            rn_tokens *part;
            OK(rn_tokens_slice(&part, all, 0, counts[c], &err_));
            rn_loader l;
            rn_error err;
            if (counts[c] > seqs[s]) check_epochs(part, seqs[s], 7 + c);
            else assert_int_equal(rn_loader_init(&l, part, seqs[s], 1, &err), RN_EINVAL);
            rn_tokens_free(part);
        }
    rn_tokens_free(all);
    shell("rm -r %s", folder);
    free(folder);
}

/* Rows are what the file holds, whatever is asked together, and depend on the seed. */
static void loader_is_pure(void **state)
{
    (void)state;
    enum { SEQ = 16, ROWS = 400 };
    char *folder = new_folder();
    rn_tokens *all = make_tokens(folder, "all", 3000, 3);
    rn_loader l, other;
    OK(rn_loader_init(&l, all, SEQ, 5, &err_));
    OK(rn_loader_init(&other, all, SEQ, 6, &err_));
    int32_t *rows = calloc(ROWS * (SEQ + 1), sizeof *rows);
    int32_t one[SEQ + 1], text[SEQ + 1];
    assert_non_null(rows);
    uint8_t starts[SEQ + 1];
    for (uint64_t r = 0; r < ROWS; r++)
        OK(rn_loader_row(&l, r, rows + r * (SEQ + 1), starts, &err_));
    size_t same_begin = 0, same_phase = 0;
    for (uint64_t r = ROWS; r-- > 0;) {
        OK(rn_loader_row(&l, r, one, starts, &err_));
        OK(rn_tokens_read(all, rn_loader_begin(&l, r), SEQ + 1, text, &err_));
        assert_memory_equal(one, rows + r * (SEQ + 1), sizeof one);
        assert_memory_equal(one, text, sizeof one);
        same_begin += rn_loader_begin(&l, r) == rn_loader_begin(&other, r);
        same_phase += rn_loader_begin(&l, r) % SEQ == rn_loader_begin(&l, 0) % SEQ;
    }
    size_t same_order = 0;
    for (uint64_t i = 0; i < l.windows; i++)
        same_order +=
            rn_loader_begin(&l, i) / SEQ == rn_loader_begin(&l, l.windows + i) / SEQ;
    assert_true(same_begin < ROWS / 20 && same_order < l.windows / 4);
    assert_true(same_phase < ROWS); /* another epoch has another grid */
    free(rows);
    rn_tokens_free(all);
    shell("rm -r %s", folder);
    free(folder);
}

/* ---- one step ---- */

static void random_ids(int32_t *ids, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t w[4];
        rn_philox(w, seed, RN_STREAM_TEST, i, 1);
        ids[i] = (int32_t)(w[0] % VOCAB);
    }
}

static double norm_of(const rn_trainer *t)
{
    double sum = 0;
    for (size_t p = 0; p < t->model->param_count; p++) {
        const float *g = rn_trainer_gradient(t, p);
        for (size_t i = 0; i < t->model->params[p].count; i++) sum += (double)g[i] * g[i];
    }
    return sqrt(sum);
}

/* The definition, in double, on one block of floats. */
static void adamw_double(const rn_trainer *t, double *p, double *m, double *v, double lr,
                         double step)
{
    const rn_train_options *o = &t->options;
    double norm = norm_of(t);
    double scale = o->clip > 0 && norm > o->clip ? o->clip / norm : 1;
    for (size_t k = 0; k < t->model->param_count; k++) {
        const rn_param *param = &t->model->params[k];
        double decay = param->dims == 2 ? o->weight_decay : 0;
        for (size_t i = param->offset; i < param->offset + param->count; i++) {
            double g = scale * t->grads[i];
            m[i] = o->beta1 * m[i] + (1 - o->beta1) * g;
            v[i] = o->beta2 * v[i] + (1 - o->beta2) * g * g;
            double up = m[i] / (1 - pow(o->beta1, step));
            double down = sqrt(v[i] / (1 - pow(o->beta2, step))) + o->epsilon;
            p[i] -= lr * (up / down + decay * p[i]);
        }
    }
}

static double *doubles_of(const float *from, size_t count)
{
    double *to = calloc(count, sizeof *to);
    assert_non_null(to);
    for (size_t i = 0; from && i < count; i++) to[i] = from[i];
    return to;
}

static void adamw_matches_double(void **state)
{
    (void)state;
    rn_exec *x = open_exec(1);
    rn_model *model = tiny_model(x, 1, 0);
    rn_train_options o = tiny_options();
    o.clip = 0.5;
    o.weight_decay = 0.3;
    o.epsilon = 1e-5;
    rn_trainer *t;
    OK(rn_trainer_create(&t, model, &o, &err_));
    double *p = doubles_of(model->weights, model->floats);
    double *m = doubles_of(NULL, model->floats), *v = doubles_of(NULL, model->floats);
    size_t count = o.accum * o.batch * (o.seq + 1);
    int32_t *ids = calloc(count, sizeof *ids);
    assert_non_null(ids);
    for (unsigned step = 1; step <= 8; step++) {
        random_ids(ids, count, step);
        rn_step_result r;
        OK(rn_trainer_step(t, ids, &r, &err_));
        assert_int_equal(r.step, step);
        assert_true(fabs(r.lr - rn_schedule_lr(&o, step, 0)) < 1e-15);
        assert_true(fabs(r.grad_norm - norm_of(t)) < 1e-6 * r.grad_norm);
        assert_true(r.grad_norm > 0.5); /* clipping acts */
        adamw_double(t, p, m, v, r.lr, step);
        for (size_t i = 0; i < model->floats; i++)
            if (!(fabs(model->weights[i] - p[i]) <= 2e-6))
                fail_msg("step %u, float %zu: %.9g, not %.9g", step, i,
                         (double)model->weights[i], p[i]);
    }
    free(ids);
    free(p);
    free(m);
    free(v);
    rn_trainer_free(t);
    rn_model_free(model);
    rn_exec_close(x);
}

/* Two micro-batches of four rows are one of eight. */
static void accumulation_is_one_batch(void **state)
{
    (void)state;
    enum { COUNT = 8 * 11 };
    int32_t ids[COUNT];
    random_ids(ids, COUNT, 9);
    rn_exec *x = open_exec(2);
    rn_model *models[2];
    rn_trainer *trainers[2];
    rn_step_result results[2];
    for (size_t i = 0; i < 2; i++) {
        rn_train_options o = tiny_options();
        o.accum = i ? 1 : 2;
        o.batch = i ? 8 : 4;
        models[i] = tiny_model(x, 1, 0);
        OK(rn_trainer_create(&trainers[i], models[i], &o, &err_));
        OK(rn_trainer_step(trainers[i], ids, &results[i], &err_));
    }
    assert_true(fabs(results[0].loss - results[1].loss) < 1e-6);
    for (size_t p = 0; p < models[0]->param_count; p++) {
        const float *a = rn_trainer_gradient(trainers[0], p);
        const float *b = rn_trainer_gradient(trainers[1], p);
        double largest = 0, apart = 0;
        for (size_t i = 0; i < models[0]->params[p].count; i++) {
            largest = fmax(largest, fabs((double)a[i]));
            apart = fmax(apart, fabs((double)a[i] - b[i]));
        }
        assert_true(largest > 0 && apart <= 1e-6 * fmax(largest, 1));
    }
    for (size_t i = 0; i < 2; i++) {
        rn_trainer_free(trainers[i]);
        rn_model_free(models[i]);
    }
    rn_exec_close(x);
}

/* A step that is not finite leaves every bit, is counted, and the next one is AdamW's
 * first. */
static void non_finite_is_skipped(void **state)
{
    (void)state;
    rn_exec *x = open_exec(1);
    rn_model *model = tiny_model(x, 1, 0), *twin = tiny_model(x, 1, 0);
    rn_train_options o = tiny_options();
    rn_trainer *t, *u;
    OK(rn_trainer_create(&t, model, &o, &err_));
    OK(rn_trainer_create(&u, twin, &o, &err_));
    size_t bytes = model->floats * sizeof(float);
    int32_t ids[2 * 3 * 11];
    random_ids(ids, 2 * 3 * 11, 4);
    static const float poisons[] = {NAN, INFINITY, -INFINITY};
    float *poisoned = model->weights + rn_model_param(model, "embedding.weight")->offset;
    float healthy = *poisoned;
    ids[0] = 0; /* reads it */
    for (size_t i = 0; i < 3; i++) {
        *poisoned = poisons[i];
        float *before = malloc(bytes);
        assert_non_null(before);
        memcpy(before, model->weights, bytes);
        rn_step_result r;
        OK(rn_trainer_step_at(t, ids, NULL, 1e-3, &r, &err_));
        assert_true(r.skipped);
        assert_int_equal(t->state.step, i + 1);
        assert_int_equal(t->state.skipped, i + 1);
        assert_int_equal(t->state.applied, 0);
        assert_memory_equal(before, model->weights, bytes);
        for (size_t k = 0; k < model->floats; k++)
            assert_true(t->moment1[k] == 0 && t->moment2[k] == 0);
        free(before);
    }
    rn_step_result r, s;
    *poisoned = healthy;
    OK(rn_trainer_step_at(t, ids, NULL, 1e-3, &r, &err_));
    OK(rn_trainer_step_at(u, ids, NULL, 1e-3, &s, &err_));
    assert_false(r.skipped);
    assert_int_equal(t->state.applied, 1);
    assert_memory_equal(model->weights, twin->weights, bytes);
    rn_trainer_free(t);
    rn_trainer_free(u);
    rn_model_free(model);
    rn_model_free(twin);
    rn_exec_close(x);
}

/* Every pass of a run has a mask of its own, a function of step and micro-batch: at rate
   0 the same rows give another loss in each, and the same one when asked again. */
static void dropout_masks_differ(void **state)
{
    (void)state;
    enum { ROWS = 3 * 11 };
    rn_exec *x = open_exec(1);
    rn_model *model = tiny_model(x, 1, 0.2);
    rn_train_options o = tiny_options();
    rn_trainer *t;
    OK(rn_trainer_create(&t, model, &o, &err_));
    int32_t ids[2 * ROWS];
    random_ids(ids, ROWS, 4);
    memcpy(ids + ROWS, ids, ROWS * sizeof *ids);
    double first, again, next;
    rn_step_result both;
    OK(rn_trainer_gradients(t, ids, &first, &err_));
    OK(rn_trainer_gradients(t, ids, &again, &err_));
    OK(rn_trainer_step_at(t, ids, NULL, 0.0, &both, &err_));
    OK(rn_trainer_gradients(t, ids, &next, &err_));
    assert_true(first == again);
    double second = 2 * both.loss - first;
    assert_true(fabs(second - first) > 1e-4 && fabs(next - first) > 1e-4);
    assert_true(fabs(next - second) > 1e-4);
    rn_trainer_free(t);
    rn_model_free(model);
    rn_exec_close(x);
}

/* The gradient of what was computed, dropped numbers included: the loss along it changes
   by its length. The masks are those of the step, so the loss is a function of the
   weights. */
static void dropout_has_its_gradient(void **state)
{
    (void)state;
    rn_exec *x = open_exec(1);
    rn_model *model = tiny_model(x, 4, 0.3);
    rn_train_options o = tiny_options();
    rn_trainer *t;
    OK(rn_trainer_create(&t, model, &o, &err_));
    int32_t ids[3 * 11];
    random_ids(ids, 3 * 11, 5);
    double *w = doubles_of(model->weights, model->floats), loss[3];
    OK(rn_trainer_gradients(t, ids, &loss[0], &err_));
    double *g = doubles_of(t->grads, model->floats), norm = norm_of(t), h = 2e-3;
    for (int side = 1; side < 3; side++) {
        double step = (side == 1 ? h : -h) / norm;
        for (size_t i = 0; i < model->floats; i++)
            model->weights[i] = (float)(w[i] + step * g[i]);
        OK(rn_trainer_gradients(t, ids, &loss[side], &err_));
    }
    double slope = (loss[1] - loss[2]) / (2 * h);
    if (fabs(slope - norm) > 5e-3 * norm) fail_msg("slope %g, gradient %g", slope, norm);
    free(w);
    free(g);
    rn_trainer_free(t);
    rn_model_free(model);
    rn_exec_close(x);
}

static void bad_options_are_named(void **state)
{
    (void)state;
    rn_exec *x = open_exec(1);
    rn_model *model = tiny_model(x, 1, 0);
    rn_train_options o[16];
    const char *names[16] = {"lr",      "min_lr",       "beta1", "beta2",
                             "epsilon", "weight_decay", "clip",  "dropout",
                             "batch",   "seq",          "accum", "schedule",
                             "form",    "batch",        "beta1", "beta2"};
    for (size_t i = 0; i < 16; i++) o[i] = tiny_options();
    o[0].lr = NAN;
    o[1].min_lr = 1;
    o[2].beta1 = 1;
    o[3].beta2 = -0.1;
    o[4].epsilon = 0;
    o[5].weight_decay = -1;
    o[6].clip = INFINITY;
    o[7].dropout = 1;
    o[8].batch = 0;
    o[9].seq = 0;
    o[10].accum = 0;
    o[11].schedule = (rn_schedule)7;
    o[12].form = RN_FORM_RECURRENT;
    o[13].batch = SIZE_MAX / 2;
    o[14].beta1 = 0.99999999;
    o[15].beta2 = 0.999999999;
    for (size_t i = 0; i < 16; i++) {
        rn_trainer *t = NULL;
        rn_error err = {0};
        assert_int_equal(rn_trainer_create(&t, model, &o[i], &err), RN_EINVAL);
        assert_null(t);
        if (!strstr(err.message, names[i])) fail_msg("%s: %s", names[i], err.message);
    }
    rn_train_options good = tiny_options();
    rn_trainer *t;
    OK(rn_trainer_create(&t, model, &good, &err_));
    int32_t ids[2 * 3 * 11] = {0};
    ids[65] = VOCAB;
    rn_step_result r;
    rn_error err = {0};
    assert_int_equal(rn_trainer_step(t, ids, &r, &err), RN_EINVAL);
    assert_non_null(strstr(err.message, "24 at index 65"));
    assert_int_equal(t->state.step, 0);
    rn_trainer_free(t);
    rn_model_free(model);
    rn_exec_close(x);
}

/* ---- validation ---- */

/* One window after the other, each as a trainer of one row sees it. */
static double loss_by_windows(rn_model *model, const rn_tokens *tokens, size_t window)
{
    double sum = 0;
    uint64_t total = rn_tokens_count(tokens) - 1;
    for (uint64_t at = 0; at < total; at += window) {
        size_t n = total - at < window ? (size_t)(total - at) : window;
        rn_train_options o = tiny_options();
        o.batch = o.accum = 1;
        o.seq = n;
        rn_trainer *t;
        OK(rn_trainer_create(&t, model, &o, &err_));
        int32_t *ids = calloc(n + 1, sizeof *ids);
        assert_non_null(ids);
        OK(rn_tokens_read(tokens, at, n + 1, ids, &err_));
        double loss;
        OK(rn_trainer_gradients(t, ids, &loss, &err_));
        sum += loss * (double)n;
        free(ids);
        rn_trainer_free(t);
    }
    return sum / (double)total;
}

static void validation_covers_the_text(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_exec *x = open_exec(2);
    rn_model *model = tiny_model(x, 2, 0);
    rn_tokens *all = make_tokens(folder, "val", 400, 8);
    rn_train_options o = tiny_options();
    rn_trainer *t;
    OK(rn_trainer_create(&t, model, &o, &err_));
    static const size_t sizes[][2] = {{400, 10}, {391, 10}, {137, 7}, {137, 1},
                                      {50, 64},  {2, 10},   {65, 64}, {66, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rn_tokens *part;
        OK(rn_tokens_slice(&part, all, 3 * i, sizes[i][0] - (i == 0 ? 30 : 0), &err_));
        rn_validator *v;
        OK(rn_validator_create(&v, t, part, sizes[i][1], &err_));
        double loss, again, want = loss_by_windows(model, part, sizes[i][1]);
        OK(rn_validator_loss(v, &loss, &err_));
        if (!(fabs(loss - want) < 1e-6))
            fail_msg("case %zu: %.9g, not %.9g", i, loss, want);
        OK(rn_validator_loss(v, &again, &err_));
        assert_true(again == loss);
        rn_validator_free(v);
        rn_tokens_free(part);
    }
    rn_tokens *one;
    rn_validator *v;
    rn_error err;
    OK(rn_tokens_slice(&one, all, 0, 1, &err_));
    assert_int_equal(rn_validator_create(&v, t, one, 10, &err), RN_EINVAL);
    rn_tokens_free(one);
    rn_tokens_free(all);
    rn_trainer_free(t);
    rn_model_free(model);
    rn_exec_close(x);
    shell("rm -r %s", folder);
    free(folder);
}

/* ---- steps recorded by another implementation ---- */

static float *floats_of(const rn_safetensors *f, const char *name, size_t count)
{
    const rn_tensor_view *v = rn_safetensors_find(f, name);
    if (!v || v->count != count)
        fail_msg("%s is missing or not %zu numbers", name, count);
    float *out = calloc(count, sizeof *out);
    assert_non_null(out);
    OK(rn_tensor_floats(v, 0, count, out, &err_));
    return out;
}

static int32_t *ids_of(const rn_tensor_view *v)
{
    int64_t *wide = calloc(v->count, sizeof *wide);
    int32_t *ids = calloc(v->count, sizeof *ids);
    assert_true(wide && ids);
    OK(rn_tensor_ints(v, 0, v->count, wide, &err_));
    for (uint64_t i = 0; i < v->count; i++) ids[i] = (int32_t)wide[i];
    free(wide);
    return ids;
}

/* |(final - initial) - recorded| over |recorded|, of one tensor. */
static double change_error(const rn_param *p, const float *now, const float *initial,
                           const float *final)
{
    double apart = 0, moved = 0;
    for (size_t i = 0; i < p->count; i++) {
        double want = (double) final[i] - initial[p->offset + i];
        double got = (double)now[p->offset + i] - initial[p->offset + i];
        apart += (got - want) * (got - want);
        moved += want * want;
    }
    return sqrt(apart / moved);
}

static void check_final(const rn_model *model, const float *initial,
                        const rn_safetensors *f, const char *folder)
{
    rn_checkpoint *c;
    OK(rn_checkpoint_open(&c, folder, &err_));
    for (size_t i = 0; i < model->param_count; i++) {
        const rn_param *p = &model->params[i];
        char name[200];
        snprintf(name, sizeof name, "final.%s", rn_checkpoint_original_name(c, p->name));
        float *final = floats_of(f, name, p->count);
        double apart = change_error(p, model->weights, initial, final);
        if (!(apart < 2e-3)) fail_msg("%s: change is off by %.3g", name, apart);
        free(final);
    }
    rn_checkpoint_close(c);
}

static void check_steps(const char *folder)
{
    char *path = path_in(folder, "steps.safetensors");
    rn_safetensors *f;
    OK(rn_safetensors_open(&f, path, &err_));
    const rn_tensor_view *v = rn_safetensors_find(f, "ids");
    assert_true(v && v->dims == 4 && v->shape[3] > 1);
    size_t steps = (size_t)v->shape[0];
    int32_t *ids = ids_of(v);
    float *lrs = floats_of(f, "lrs", steps), *losses = floats_of(f, "losses", steps);
    float *norms = floats_of(f, "grad_norms", steps);

    rn_exec *x = open_exec(0);
    rn_model *model;
    OK(rn_model_open(&model, x, folder, &err_));
    rn_train_options o = rn_train_defaults();
    o.steps = steps;
    o.accum = (size_t)v->shape[1];
    o.batch = (size_t)v->shape[2];
    o.seq = (size_t)v->shape[3] - 1;
    o.clip = 0.7;
    o.form = RN_FORM_PARALLEL;
    o.row_norm = RN_ROW_NORM_PAPER;
    rn_trainer *t;
    OK(rn_trainer_create(&t, model, &o, &err_));
    float *initial = malloc(model->floats * sizeof *initial);
    assert_non_null(initial);
    memcpy(initial, model->weights, model->floats * sizeof *initial);

    for (size_t s = 0; s < steps; s++) {
        rn_step_result r;
        const int32_t *rows = ids + s * o.accum * o.batch * (o.seq + 1);
        OK(rn_trainer_step_at(t, rows, NULL, (double)lrs[s], &r, &err_));
        if (!(fabs(r.loss - (double)losses[s]) < 1e-4))
            fail_msg("step %zu: loss %.7g, not %.7g", s, r.loss, (double)losses[s]);
        if (!(fabs(r.grad_norm / (double)norms[s] - 1) < 5e-3))
            fail_msg("step %zu: norm %.7g, not %.7g", s, r.grad_norm, (double)norms[s]);
    }
    check_final(model, initial, f, folder);
    free(initial);
    free(ids);
    free(lrs);
    free(losses);
    free(norms);
    rn_trainer_free(t);
    rn_model_free(model);
    rn_exec_close(x);
    rn_safetensors_close(f);
    free(path);
}

static const char *steps_folder = RN_GOLDEN "/torchscale-tied";

static void recorded_steps_agree(void **state)
{
    (void)state;
    check_steps(steps_folder);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "steps") == 0) {
        steps_folder = argv[2];
        const struct CMUnitTest one[] = {cmocka_unit_test(recorded_steps_agree)};
        return cmocka_run_group_tests(one, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule_values),
        cmocka_unit_test(loader_covers),
        cmocka_unit_test(loader_is_pure),
        cmocka_unit_test(adamw_matches_double),
        cmocka_unit_test(accumulation_is_one_batch),
        cmocka_unit_test(non_finite_is_skipped),
        cmocka_unit_test(dropout_masks_differ),
        cmocka_unit_test(dropout_has_its_gradient),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(validation_covers_the_text),
        cmocka_unit_test(recorded_steps_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

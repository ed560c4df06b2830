/* Training with products in bfloat16: gradients near those of float32, the same loss
   after some steps, the same bits again and with another number of threads, and a run
   resumed with the other kind of product. */
#define _DEFAULT_SOURCE
#include "train_fixture.h"

#include <math.h>

enum { BATCH = 2, SEQ = 32, IDS = BATCH * (SEQ + 1), STEPS = 60 };

static rn_exec *open_as(const char *cpu, int threads, bool bf16)
{
    rn_exec *x = NULL;
    const rn_exec_options o = {.cpu = cpu, .threads = threads, .bf16 = bf16};
    OK(rn_exec_open(&x, &o, &err_));
    return x;
}

static rn_model *nano(rn_exec *x)
{
    rn_model *m = NULL;
    OK(rn_model_create(&m, x, &(rn_model_source){.preset = "nano"}, 3, &err_));
    return m;
}

static rn_train_options options(void)
{
    rn_train_options o = rn_train_defaults();
    o.batch = BATCH;
    o.seq = SEQ;
    o.steps = STEPS;
    o.warmup = 5;
    o.lr = 1e-3;
    o.min_lr = 1e-3;
    return o;
}

/* Rows of a text that can be learned: mostly the successor of the id before. */
static void make_rows(int32_t *ids, uint64_t step)
{
    for (size_t i = 0; i < IDS; i++) {
        uint32_t w[4];
        rn_philox(w, 11, RN_STREAM_TEST, step, (uint32_t)i);
        const uint32_t next = i ? (uint32_t)ids[i - 1] * 5 + 7 : w[1];
        ids[i] = (int32_t)((w[0] % 5 ? next : w[1]) % 64);
    }
}

/* sqrt(sum (a - b)^2 / sum b^2) over the whole block of gradients. */
static double difference(const rn_trainer *a, const rn_trainer *b)
{
    double off = 0.0, all = 0.0;
    for (size_t i = 0; i < a->model->floats; i++) {
        const double d = (double)a->grads[i] - (double)b->grads[i];
        off += d * d;
        all += (double)b->grads[i] * (double)b->grads[i];
    }
    return sqrt(off / all);
}

static void gradients_are_near(void **state)
{
    const char *cpu = *state;
    rn_exec *plain = open_as(cpu, 2, false), *x = open_as(cpu, 2, true);
    rn_model *m = tiny_model(plain, 3, 0.0), *rounding = tiny_model(x, 3, 0.0);
    rn_train_options o = tiny_options();
    rn_trainer *want, *got;
    OK(rn_trainer_create(&want, m, &o, &err_));
    OK(rn_trainer_create(&got, rounding, &o, &err_));
    int32_t ids[64];
    for (size_t i = 0; i < 64; i++) ids[i] = (int32_t)(i * i * 7 % VOCAB);
    double loss, loss_bf16;
    OK(rn_trainer_gradients(want, ids, &loss, &err_));
    OK(rn_trainer_gradients(got, ids, &loss_bf16, &err_));
    const double off = difference(got, want);
    if (off > 2e-2 || fabs(loss - loss_bf16) > 1e-2 * loss)
        fail_msg("gradients off by %g, loss %g, not %g", off, loss_bf16, loss);
    if (x->bf16 && off == 0.0) fail_msg("bf16 gave the very gradients of float32");
    rn_trainer_free(want);
    rn_trainer_free(got);
    rn_model_free(m);
    rn_model_free(rounding);
    rn_exec_close(plain);
    rn_exec_close(x);
}

/* The weights after STEPS steps, for free(), and the mean loss of the last ten. */
static float *train(int threads, bool bf16, size_t *floats, double *loss)
{
    rn_exec *x = open_as("auto", threads, bf16);
    rn_model *m = nano(x);
    rn_train_options o = options();
    rn_trainer *t;
    OK(rn_trainer_create(&t, m, &o, &err_));
    int32_t ids[IDS];
    rn_step_result r;
    *loss = 0.0;
    for (uint64_t step = 0; step < STEPS; step++) {
        make_rows(ids, step);
        OK(rn_trainer_step(t, ids, &r, &err_));
        assert_false(r.skipped);
        if (step + 10 >= STEPS) *loss += r.loss / 10.0;
    }
    float *weights = malloc(m->floats * sizeof *weights);
    assert_non_null(weights);
    memcpy(weights, m->weights, m->floats * sizeof *weights);
    *floats = m->floats;
    rn_trainer_free(t);
    rn_model_free(m);
    rn_exec_close(x);
    return weights;
}

static void losses_are_near_and_bits_repeat(void **state)
{
    (void)state;
    size_t floats;
    double loss, bf16, again, two;
    free(train(2, false, &floats, &loss));
    float *a = train(1, true, &floats, &bf16), *b = train(1, true, &floats, &again);
    float *c = train(2, true, &floats, &two);
    assert_memory_equal(a, b, floats * sizeof *a);
    assert_true(bf16 == again);
    if (fabs(bf16 - loss) > 0.03 * loss || loss > 3.5)
        fail_msg("loss %g with bf16, %g with float32", bf16, loss);
    assert_true(fabs(two - bf16) <= 1e-6 * bf16);
    free(a);
    free(b);
    free(c);
}

/* A checkpoint of float32 weights continues with the other kind of product. */
static void resumes_with_other_products(void **state)
{
    (void)state;
    char *folder = new_folder(), *out = path_in(folder, "out");
    rn_tokens *data = make_tokens(folder, "data", 3000, 1);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        rn_exec *x = open_as("auto", 2, bf16);
        rn_model *m = tiny_model(x, 3, 0.0);
        rn_train_run_options o = {.train = tiny_options(), .data = data, .out = out};
        o.train.schedule = RN_SCHEDULE_CONSTANT;
        o.train.steps = bf16 ? 12 : 6;
        o.resume = bf16;
        rn_train_result result;
        OK(rn_train_run(m, &o, &result, &err_));
        assert_int_equal(result.steps, o.train.steps);
        rn_model_free(m);
        rn_exec_close(x);
    }
    rn_tokens_free(data);
    shell("rm -r %s", folder);
    free(out);
    free(folder);
}

int main(void)
{
    static char ref[] = "ref", best[] = "auto";
    const struct CMUnitTest tests[] = {
        {"gradients_are_near_ref", gradients_are_near, NULL, NULL, ref},
        {"gradients_are_near", gradients_are_near, NULL, NULL, best},
        cmocka_unit_test(losses_are_near_and_bits_repeat),
        cmocka_unit_test(resumes_with_other_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Decoding against the forms that read: every kind of block, every row normaliser, every
   weight type, at each instruction set; batches against single sequences and two threads
   against one, bit for bit. */
#include "test.h"

#include "model/model.h"
#include "retnet/eval.h"
#include "retnet/session.h"

#include <stdio.h>
#include <string.h>

enum { VOCAB = 67, LENGTH = 20 }; /* more than one tail */

static const char BASE[] =
    "{\"vocab_size\": 67, \"width\": 64, \"layers\": 2, \"heads\": 2, \"key_dim\": 32,"
    " \"value_dim\": 64, \"ffn_width\": 128, \"row_norm\": \"none\"}";

/* Settings over BASE, NULL at the end. */
static const char *const models[][8] = {
    {NULL},
    {"row_norm=paper", "heads=4", "kv_heads=2", NULL},
    {"row_norm=decay", "norm=layer", "ffn=plain", "activation=gelu", "head_norm=group",
     "tied=false", NULL},
    {"norm_position=post", "residual_scale=1.5", "bias=true", "rotary=halves", NULL},
    {"ffn_norm=true", "ffn_width=72", "embedding_norm=true", "head_norm_weight=channel",
     NULL},
    {"key_dim=6", "value_dim=10", "width=20", "ffn_width=24", "output_gate=false",
     "rotary=none", NULL},
    {"ffn_norm=true", "ffn=plain", "bias=true", "norm=layer", "head_norm_weight=shared",
     NULL},
    {"ffn=plain", "ffn_norm=true", "ffn_norm_kind=layer", "ffn_bias=all", NULL},
    {"width=256", "value_dim=128", "ffn_width=256", "layers=1", NULL}, /* K blocks fit */
};
#define MODELS (sizeof models / sizeof *models)

static const char *const cpus[] = {"ref", "avx2", "avx512"};

/* The reference is slow: one type of each kind has to do. */
static bool skipped(const char *cpu, int type)
{
    return strcmp(cpu, "ref") == 0 && type != RN_WEIGHT_F32 && type != RN_WEIGHT_BF16 &&
           type != RN_WEIGHT_Q4_K;
}

static rn_model *make_model(rn_exec *x, size_t which, rn_weight_type type)
{
    rn_model *m;
    rn_error err;
    rn_model_source source = {.config_json = BASE, .settings = models[which]};
    while (models[which][source.settings_count]) source.settings_count++;
    if (rn_model_create_as(&m, x, &source, 5, type, &err)) fail_msg("%s", err.message);
    return m;
}

static int32_t id_at(size_t sequence, size_t i)
{
    return (int32_t)((i * i * 7 + i * 3 + sequence * 11 + 1) % VOCAB);
}

/* Logits after every token of one sequence, stepped alone. */
static void step_alone(rn_model *m, size_t sequence, float *logits)
{
    rn_session *s;
    assert_int_equal(rn_session_create(&s, m, NULL), RN_OK);
    for (size_t i = 0; i < LENGTH; i++) {
        assert_int_equal(rn_session_step(s, id_at(sequence, i), NULL), RN_OK);
        memcpy(logits + i * VOCAB, rn_session_logits(s), VOCAB * sizeof *logits);
    }
    rn_session_free(s);
}

static void eval_logits(rn_model *m, rn_form form, float *logits)
{
    int32_t ids[LENGTH];
    rn_error err;
    for (size_t i = 0; i < LENGTH; i++) ids[i] = id_at(0, i);
    rn_eval_options o = rn_eval_defaults();
    o.form = form;
    rn_eval_result result;
    if (rn_eval_ids(m, ids, 1, LENGTH, &o, logits, &result, &err))
        fail_msg("%s", err.message);
}

static void check_model(rn_exec *x, size_t which, rn_weight_type type, const char *cpu)
{
    rn_model *m = make_model(x, which, type);
    float *steps = test_floats(LENGTH * VOCAB), *want = test_floats(LENGTH * VOCAB);
    step_alone(m, 0, steps);
    for (int form = RN_FORM_CHUNKWISE; form <= RN_FORM_RECURRENT; form++) {
        if (form == RN_FORM_PARALLEL) continue; /* may have another row normaliser */
        eval_logits(m, (rn_form)form, want);
        double off = test_difference(steps, want, LENGTH * VOCAB);
        /* Activations rounded to bytes may fall to the other side of a half. */
        double most = type > RN_WEIGHT_F16 ? 2e-2 : 2e-5;
        if (off > most)
            fail_msg("model %zu, %s, %s, form %d: off by %g", which,
                     rn_weight_type_name(type), cpu, form, off);
    }
    free(steps);
    free(want);
    rn_model_free(m);
}

static void steps_agree_with_reading(void **state)
{
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        rn_exec *x = test_exec(cpus[c], 2);
        if (!x) continue;
        for (size_t which = 0; which < MODELS; which++)
            for (int type = RN_WEIGHT_F32; type < RN_WEIGHT_TYPES; type++)
                if (!skipped(cpus[c], type))
                    check_model(x, which, (rn_weight_type)type, cpus[c]);
        rn_exec_close(x);
    }
}

enum { BATCH = 5 };

/* The sequences begin one after the other, so their tails are of different lengths. */
static void step_together(rn_model *m, float *logits)
{
    rn_session *s[BATCH];
    for (size_t b = 0; b < BATCH; b++)
        assert_int_equal(rn_session_create(&s[b], m, NULL), RN_OK);
    for (size_t t = 0; t < LENGTH + BATCH; t++) {
        rn_session *now[BATCH];
        int32_t ids[BATCH];
        size_t count = 0;
        for (size_t b = 0; b < BATCH; b++) {
            if (t < b || t - b >= LENGTH) continue;
            now[count] = s[b];
            ids[count++] = id_at(b, t - b);
        }
        assert_int_equal(rn_sessions_step(now, ids, count, NULL), RN_OK);
        for (size_t b = 0; b < BATCH; b++)
            if (t >= b && t - b < LENGTH)
                memcpy(logits + (b * LENGTH + t - b) * VOCAB, rn_session_logits(s[b]),
                       VOCAB * sizeof *logits);
    }
    for (size_t b = 0; b < BATCH; b++) rn_session_free(s[b]);
}

static void batches_equal_single_sequences(void **state)
{
    (void)state;
    float *alone = test_floats(BATCH * LENGTH * VOCAB);
    float *together = test_floats(BATCH * LENGTH * VOCAB);
    for (size_t c = 0; c < 3; c++) {
        rn_exec *one = test_exec(cpus[c], 1), *two = test_exec(cpus[c], 2);
        for (size_t which = 0; one && which < MODELS; which++) {
            for (int type = RN_WEIGHT_F32; type < RN_WEIGHT_TYPES; type++) {
                if (skipped(cpus[c], type)) continue;
                rn_model *a = make_model(one, which, (rn_weight_type)type);
                rn_model *b = make_model(two, which, (rn_weight_type)type);
                for (size_t i = 0; i < BATCH; i++)
                    step_alone(a, i, alone + i * LENGTH * VOCAB);
                step_together(b, together);
                if (memcmp(alone, together, BATCH * LENGTH * VOCAB * sizeof *alone))
                    fail_msg("model %zu, %s, %s: a batch on two threads has other bits",
                             which, rn_weight_type_name(type), cpus[c]);
                rn_model_free(a);
                rn_model_free(b);
            }
        }
        rn_exec_close(one);
        rn_exec_close(two);
    }
    free(alone);
    free(together);
}

enum { MANY = 50 }; /* sequences for which a product packs its rows */

/* Between two steps the handle's scratch moves, as when a larger model is opened. */
static void step_many(rn_exec *x, rn_model *m, rn_session *const *s)
{
    for (size_t t = 0; t < LENGTH; t++) {
        int32_t ids[MANY];
        for (size_t b = 0; b < MANY; b++) ids[b] = id_at(b, t);
        assert_int_equal(rn_sessions_step(s, ids, MANY, NULL), RN_OK);
        if (t < 2) assert_int_equal(rn_exec_reserve(x, (t + 1) << 23, NULL), RN_OK);
    }
    float *alone = test_floats(LENGTH * VOCAB);
    for (size_t b = 0; b < MANY; b++) {
        step_alone(m, b, alone);
        assert_memory_equal(alone + (LENGTH - 1) * VOCAB, rn_session_logits(s[b]),
                            VOCAB * sizeof *alone);
    }
    free(alone);
}

static void many_sequences_equal_single_ones(void **state)
{
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        rn_exec *x = test_exec(cpus[c], 2);
        if (!x) continue;
        rn_model *m = make_model(x, 0, RN_WEIGHT_BF16);
        rn_session *s[MANY];
        for (size_t b = 0; b < MANY; b++)
            assert_int_equal(rn_session_create(&s[b], m, NULL), RN_OK);
        step_many(x, m, s);
        for (size_t b = 0; b < MANY; b++) rn_session_free(s[b]);
        rn_model_free(m);
        rn_exec_close(x);
    }
}

/* Packed weights stand for what they decode to. */
static void packed_models_equal_their_floats(void **state)
{
    (void)state;
    rn_exec *x = test_exec("auto", 2);
    float *got = test_floats(LENGTH * VOCAB), *want = test_floats(LENGTH * VOCAB);
    for (int type = RN_WEIGHT_BF16; type < RN_WEIGHT_TYPES; type++) {
        rn_model *f32 = make_model(x, 0, RN_WEIGHT_F32);
        rn_model *packed = make_model(x, 0, (rn_weight_type)type);
        eval_logits(f32, RN_FORM_CHUNKWISE, want);
        eval_logits(packed, RN_FORM_CHUNKWISE, got);
        double off = test_difference(got, want, LENGTH * VOCAB);
        const double most[] = {0, 2e-2, 2e-3, 3e-2, 4e-1, 4e-1, 8e-2};
        if (!(off > 0 && off < most[type]))
            fail_msg("%s: off by %g", rn_weight_type_name(type), off);
        rn_model_free(f32);
        rn_model_free(packed);
    }
    free(got);
    free(want);
    rn_exec_close(x);
}

static void wrong_steps_change_nothing(void **state)
{
    (void)state;
    rn_exec *x = test_exec("auto", 2);
    rn_model *m = make_model(x, 0, RN_WEIGHT_F32);
    rn_session *s[2];
    rn_error err;
    for (size_t b = 0; b < 2; b++)
        assert_int_equal(rn_session_create(&s[b], m, NULL), RN_OK);
    int32_t ids[2] = {3, VOCAB};
    assert_int_equal(rn_sessions_step(s, ids, 2, &err), RN_EINVAL);
    assert_non_null(strstr(err.message, "67"));
    assert_int_equal(rn_session_position(s[0]), 0);
    rn_session *twice[2] = {s[0], s[0]};
    ids[1] = 4;
    assert_int_equal(rn_sessions_step(twice, ids, 2, &err), RN_EINVAL);
    assert_int_equal(rn_session_position(s[0]), 0);
    rn_session_free(s[0]);
    rn_session_free(s[1]);
    rn_model_free(m);
    rn_exec_close(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_agree_with_reading),
        cmocka_unit_test(batches_equal_single_sequences),
        cmocka_unit_test(many_sequences_equal_single_ones),
        cmocka_unit_test(packed_models_equal_their_floats),
        cmocka_unit_test(wrong_steps_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

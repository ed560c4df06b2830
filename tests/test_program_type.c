/* The program's --type from the outside: training with products in bfloat16, evaluation
   with weights held in every type, and what is refused. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "child.h"
#include "retnet/exec.h"

#include <math.h>

#define SHAPE                                                                            \
    "{\"decoder_embed_dim\": 64, \"decoder_value_embed_dim\": 128, "                     \
    "\"decoder_retention_heads\": 2, \"decoder_ffn_embed_dim\": 256, "                   \
    "\"decoder_layers\": 2, \"vocab_size\": 256}"

static const char *shape(void)
{
    return put_text("shape.json", SHAPE);
}

/* Enough of a text for a few steps. */
static const char *some_text(void)
{
    static char words[4001];
    for (size_t i = 0; i + 1 < sizeof words; i++)
        words[i] = "the cat sat on it. "[i % 19];
    return put_text("text", words);
}

static double train_loss(const char *cpu, const char *type, const char *out)
{
    const char *config = shape(), *data = some_text();
    child c = RUN("train", "--config", config, "--data", data, "--out", in_scratch(out),
                  "--steps=8", "--batch=2", "--seq=32", "--warmup=2", "--lr=3e-3",
                  "--cpu", cpu, "--type", type, "--json", "-q");
    check_done(&c);
    json_t *o = child_json(&c);
    double loss = json_number(o, "train_loss");
    json_decref(o);
    child_free(&c);
    return loss;
}

static double evaluate(const char *model, const char *type)
{
    const char *data = some_text();
    child c = RUN("eval", in_scratch(model), "--text", data, "--window=64", "--type",
                  type, "--json", "-q");
    return done_number(c, "loss");
}

static void trains_in_bf16_and_evaluates_in_any_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        double off; /* from float32, of the loss */
    } types[] = {{"bf16", 5e-3}, {"f16", 1e-3},  {"q8_0", 5e-3},
                 {"q4_0", 1e-1}, {"q4_k", 1e-1}, {"q6_k", 2e-2}};
    double plain = train_loss("auto", "f32", "plain");
    double loss = train_loss("auto", "bf16", "model");
    if (fabs(loss - plain) > 0.03 * plain) fail_msg("loss %g, not %g", loss, plain);
    double want = evaluate("model", "f32");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        double got = evaluate("model", types[i].type);
        if (!(fabs(got - want) <= types[i].off * want))
            fail_msg("%s: loss %g, not %g", types[i].type, got, want);
    }
}

/* The reference rounds on every machine. */
static void the_type_of_training_is_used(void **state)
{
    (void)state;
    double plain = train_loss("ref", "f32", "ref32");
    double loss = train_loss("ref", "bf16", "ref16");
    if (loss == plain || fabs(loss - plain) > 0.03 * plain)
        fail_msg("loss %g with bf16, %g with f32", loss, plain);
}

/* AVX2 has no bfloat16 dot products, wherever the test runs: that is said, once. */
static void a_type_that_is_ignored_is_noted(void **state)
{
    (void)state;
    static const char note[] = "this processor has no bfloat16 dot products";
    const rn_exec_options o = {.cpu = "avx2"};
    rn_exec *x = NULL;
    if (rn_exec_open(&x, &o, NULL)) skip();
    rn_exec_close(x);
    const char *config = shape(), *data = some_text();
    for (int half = 0; half < 2; half++) {
        child c = RUN("train", "--config", config, "--data", data, "--out",
                      in_scratch(half ? "noted16" : "noted32"), "--steps=1", "--batch=1",
                      "--seq=16", "--cpu=avx2", half ? "--type=bf16" : "--type=f32");
        if (c.code) fail_msg("code %d: %s", c.code, c.err);
        assert_int_equal(strstr(c.err, note) != NULL, half);
        child_free(&c);
    }
}

static void gradients_are_of_float_weights(void **state)
{
    (void)state;
    const char *config = shape(), *ids = put_text("ids.json", "[[1, 2, 3, 4]]");
    child c = RUN("eval", "--random=1", "--config", config, "--ids", ids, "--grads",
                  in_scratch("grads"), "--type=q8_0");
    check_refused(&c, 2, "--grads: weights of type q8_0 have no gradients");
    child_free(&c);
    c = RUN("eval", "--random=1", "--config", config, "--ids", ids, "--grads",
            in_scratch("grads"), "--type=bf16", "--json", "-q");
    check_done(&c);
    child_free(&c);
}

static void others_are_refused(void **state)
{
    (void)state;
    child c = RUN("train", "--data", "x", "--out", "y", "--type=q4_k");
    check_refused(&c, 2, "--type: 'q4_k' is not one of f32, bf16");
    child_free(&c);
    c = RUN("info", "--preset=nano", "--type=bf16");
    check_refused(&c, 2, "--type");
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trains_in_bf16_and_evaluates_in_any_type),
        cmocka_unit_test(the_type_of_training_is_used),
        cmocka_unit_test(a_type_that_is_ignored_is_noted),
        cmocka_unit_test(gradients_are_of_float_weights),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

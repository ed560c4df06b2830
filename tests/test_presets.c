/* Every preset, narrowed to a size that a test can afford: it computes, and every layer
   gets a gradient. */
#include "test.h"

#include "retnet/retnet.h"

#include <stdio.h>
#include <string.h>

enum { LENGTH = 9 };

static void every_layer_learns(rn_exec *x, const char *preset)
{
    static const char *const narrow[] = {"width=64",     "heads=2",       "key_dim=32",
                                         "value_dim=64", "ffn_width=128", "vocab_size=50",
                                         "dropout=0"};
    rn_model_source source = {.preset = preset,
                              .settings = narrow,
                              .settings_count = sizeof narrow / sizeof narrow[0]};
    rn_model *m;
    rn_error err;
    if (rn_model_create(&m, x, &source, 3, &err)) fail_msg("%s: %s", preset, err.message);
    size_t count = rn_model_tensor_count(m);
    float **grads = calloc(count, sizeof *grads);
    assert_non_null(grads);
    for (size_t i = 0; i < count; i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        grads[i] = test_floats(t.shape[0] * (t.dims == 2 ? t.shape[1] : 1));
    }
    int32_t ids[LENGTH];
    for (int i = 0; i < LENGTH; i++) ids[i] = (i * 7) % 50;
    rn_eval_options o = rn_eval_defaults();
    double loss;
    if (rn_eval_gradients(m, ids, 1, LENGTH, &o, grads, &loss, &err))
        fail_msg("%s: %s", preset, err.message);
    if (!(loss > 0.1 && loss < 20.0)) fail_msg("%s: loss %g", preset, loss);
    for (size_t i = 0; i < count; i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        double most = 0.0;
        for (size_t j = 0; j < t.shape[0] * (t.dims == 2 ? t.shape[1] : 1); j++)
            most = fmax(most, fabs((double)grads[i][j]));
        if (!(most > 1e-7 && most < 1e3))
            fail_msg("%s: largest gradient of %s is %g", preset, t.name, most);
        free(grads[i]);
    }
    free(grads);
    rn_model_free(m);
}

static void presets_compute(void **state)
{
    (void)state;
    rn_exec *x = test_exec("auto", 2);
    for (size_t i = 0; rn_preset_name(i); i++) every_layer_learns(x, rn_preset_name(i));
    rn_exec_close(x);
}

static void overflowing_skip_path(void **state)
{
    (void)state;
    static const char *const gain[] = {"residual_scale=3"};
    rn_model_source source = {.preset = "1.3b", .settings = gain, .settings_count = 1};
    rn_model *m;
    rn_error err = {0};
    assert_int_equal(rn_model_describe(&m, &source, &err), RN_EINVAL);
    assert_non_null(strstr(err.message, "residual_scale 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_compute),
        cmocka_unit_test(overflowing_skip_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

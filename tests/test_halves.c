/* States in halves: nothing is lost, the upper half is the nearest bfloat16, and models
   whose products round activations to bytes keep their sequences so. */
#include "test.h"

#include "core/half.h"
#include "core/rng.h"
#include "kernels/halves.h"
#include "model/model.h"
#include "retnet/session.h"

#include <math.h>
#include <string.h>

enum { MOST = 1000 };

/* Every kind of number: all exponents, both signs, halves that carry, NaN and infinity.
 */
static uint32_t bits_at(size_t i)
{
    static const uint32_t special[] = {
        0,           0x80000000u, 1,           0x7f7fffffu, 0xff7fffffu, 0x7f800000u,
        0x7fc00001u, 0x00008000u, 0x0000ffffu, 0x3f808000u, 0x3f807fffu, 0xffffffffu};
    const size_t count = sizeof special / sizeof *special;
    if (i < count) return special[i];
    float u = rn_uniform(7, RN_STREAM_TEST, i, 0),
          v = rn_uniform(8, RN_STREAM_TEST, i, 0);
    return (uint32_t)(u * 65536.0f) << 16 | (uint32_t)(v * 65536.0f);
}

static void fill(uint32_t *bits, float *state, size_t count)
{
    for (size_t i = 0; i < count; i++) bits[i] = bits_at(i);
    memcpy(state, bits, count * sizeof *bits);
}

static void test_round_trip(void **unused)
{
    (void)unused;
    static const size_t counts[] = {0, 1, 16, 63, 64, 65, 128, MOST};
    uint32_t bits[MOST + 1], back[MOST + 1];
    float state[MOST + 1];
    uint16_t spare[MOST];
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const size_t n = counts[c];
        fill(bits, state, n + 1); /* one more, that is not to be touched */
        rn_halves_split(state, n, spare);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(rn_bits_of_float(rn_halves_get(state, n, i)), bits[i]);
        rn_halves_join(state, n, spare);
        memcpy(back, state, (n + 1) * sizeof *back);
        assert_memory_equal(back, bits, (n + 1) * sizeof *bits);
    }
}

static void test_upper_is_nearest(void **unused)
{
    (void)unused;
    float state[MOST], numbers[MOST];
    uint16_t spare[MOST], upper[MOST];
    for (size_t i = 0; i < MOST; i++)
        state[i] = numbers[i] =
            rn_normal(5, RN_STREAM_TEST, i, 0) * ldexpf(1.0f, (int)i % 40);
    rn_halves_split(state, MOST, spare);
    memcpy(upper, state, sizeof upper);
    for (size_t i = 0; i < MOST; i++) {
        float error = fabsf(rn_bf16_to_float(upper[i]) - numbers[i]);
        assert_true(error <= fabsf(numbers[i]) * 0x1p-8f);
    }
}

static void test_set(void **unused)
{
    (void)unused;
    float state[32] = {0};
    rn_halves_set(state, 32, 17, -3.14159f);
    for (size_t i = 0; i < 32; i++)
        assert_true(rn_halves_get(state, 32, i) == (i == 17 ? -3.14159f : 0.0f));
}

static rn_model *make_model(rn_exec *x, const char *heads, const char *value_dim,
                            rn_weight_type type)
{
    static const char base[] =
        "{\"vocab_size\": 67, \"width\": 64, \"layers\": 2, \"heads\": 2, \"key_dim\": "
        "32,"
        " \"value_dim\": 64, \"ffn_width\": 128, \"row_norm\": \"none\"}";
    const char *settings[] = {heads, value_dim};
    rn_model_source source = {
        .config_json = base, .settings = settings, .settings_count = 2};
    rn_model *m;
    rn_error err;
    if (rn_model_create_as(&m, x, &source, 5, type, &err)) fail_msg("%s", err.message);
    return m;
}

static void test_which_models(void **unused)
{
    (void)unused;
    rn_exec *x;
    assert_int_equal(rn_exec_open(&x, NULL, NULL), RN_OK);
    for (int type = 0; type < RN_WEIGHT_TYPES; type++) {
        rn_model *m = make_model(x, "heads=2", "value_dim=64", (rn_weight_type)type);
        const bool bytes =
            type != RN_WEIGHT_F32 && type != RN_WEIGHT_BF16 && type != RN_WEIGHT_F16;
        rn_model_info info;
        rn_model_info_get(m, &info);
        assert_int_equal(rn_model_halves(m), bytes);
        assert_int_equal(info.state_read_bytes * (bytes ? 2 : 1), info.state_bytes);
        rn_model_free(m);
        m = make_model(x, "row_norm=paper", "value_dim=64", (rn_weight_type)type);
        rn_model_info_get(m, &info);
        const size_t matrices = (size_t)2 * 2 * 32 * 64 * 4,
                     sums = (size_t)2 * 2 * 32 * 4;
        assert_int_equal(info.state_bytes, matrices + sums);
        assert_int_equal(info.state_read_bytes, (bytes ? matrices / 2 : matrices) + sums);
        rn_model_free(m);
        m = make_model(x, "heads=2", "value_dim=40", (rn_weight_type)type);
        assert_false(rn_model_halves(m)); /* not whole vectors */
        rn_model_free(m);
        m = make_model(x, "heads=1", "value_dim=48", (rn_weight_type)type);
        assert_false(rn_model_halves(m)); /* the output's rows are not whole blocks */
        rn_model_free(m);
    }
    rn_exec_close(x);
}

/* Reading between steps takes the state as floats, steps in halves: going back and forth
   has to give what the same text gives when all of it is read but for the last steps. The
   decoder's read-out is the only thing that may differ, by the rounding of the halves. */
static void test_back_and_forth(void **unused)
{
    (void)unused;
    rn_exec *x;
    assert_int_equal(rn_exec_open(&x, NULL, NULL), RN_OK);
    rn_model *m = make_model(x, "heads=2", "value_dim=64", RN_WEIGHT_Q8_0);
    rn_session *mixed, *read;
    assert_int_equal(rn_session_create(&mixed, m, NULL), RN_OK);
    assert_int_equal(rn_session_create(&read, m, NULL), RN_OK);
    for (int32_t i = 0; i < 60; i++) {
        int32_t id = i * 7 % 67;
        assert_int_equal(rn_session_feed(read, &id, 1, NULL), RN_OK);
        if (i % 20 < 17) assert_int_equal(rn_session_step(mixed, id, NULL), RN_OK);
        else assert_int_equal(rn_session_feed(mixed, &id, 1, NULL), RN_OK);
    }
    const float *a = rn_session_logits(mixed), *b = rn_session_logits(read);
    double difference = 0, size = 0;
    for (size_t i = 0; i < 67; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    assert_true(size > 0);
    assert_true(sqrt(difference / size) < 0.03);
    rn_session_free(mixed);
    rn_session_free(read);
    rn_model_free(m);
    rn_exec_close(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_upper_is_nearest),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_which_models),
        cmocka_unit_test(test_back_and_forth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sessions on small random models: any cutting of a text into feeds gives the same bits,
   steps agree with reading, copies are independent, failures change nothing. */
#include "retnet/session.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VOCAB = 61, TEXT = 700 };

static const char CONFIG[] =
    "{\"vocab_size\": 61, \"width\": 32, \"layers\": 2, \"heads\": 2, \"kv_heads\": 2,"
    " \"key_dim\": 16, \"value_dim\": 24, \"ffn_width\": 40, \"row_norm\": \"auto\"}";

static rn_exec *exec;
static rn_model *model;
static int32_t text[TEXT];

static rn_model *make_model(const char *setting, uint64_t seed)
{
    rn_model *m;
    rn_error err;
    rn_model_source source = {
        .config_json = CONFIG, .settings = &setting, .settings_count = setting != NULL};
    if (rn_model_create(&m, exec, &source, seed, &err)) fail_msg("%s", err.message);
    return m;
}

static int set_up(void **state)
{
    (void)state;
    if (rn_exec_open(&exec, NULL, NULL)) return -1;
    model = make_model(NULL, 11);
    for (uint32_t i = 0; i < TEXT; i++) text[i] = (int32_t)((i * i + i / 7) % VOCAB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rn_model_free(model);
    rn_exec_close(exec);
    return 0;
}

static rn_session *open_session(rn_model *m)
{
    rn_session *s;
    rn_error err;
    if (rn_session_create(&s, m, &err)) fail_msg("%s", err.message);
    return s;
}

static void feed(rn_session *s, size_t begin, size_t end)
{
    assert_int_equal(rn_session_feed(s, text + begin, end - begin, NULL), RN_OK);
}

static void step(rn_session *s, int32_t id)
{
    assert_int_equal(rn_session_step(s, id, NULL), RN_OK);
}

/* Bit-identical logits now, and after ten more steps of both: the states are the same. */
static void check_same(rn_session *a, rn_session *b)
{
    assert_int_equal(rn_session_position(a), rn_session_position(b));
    for (size_t i = 0; i < 10; i++) {
        assert_memory_equal(rn_session_logits(a), rn_session_logits(b),
                            VOCAB * sizeof(float));
        step(a, text[i * 3]);
        step(b, text[i * 3]);
    }
}

static double distance(const float *a, const float *b)
{
    double far = 0, largest = 0;
    for (size_t i = 0; i < VOCAB; i++) {
        far = fmax(far, fabs((double)a[i] - (double)b[i]));
        largest = fmax(largest, fabs((double)a[i]));
    }
    assert_true(largest > 0);
    return far / largest;
}

static void cutting_does_not_matter(void **state)
{
    (void)state;
    const size_t pieces[] = {1, 3, 64, 255, 256, 257, 511, TEXT};
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        rn_session *whole = open_session(model), *cut = open_session(model);
        feed(whole, 0, TEXT);
        for (size_t at = 0; at < TEXT; at += pieces[p])
            feed(cut, at, at + pieces[p] < TEXT ? at + pieces[p] : TEXT);
        check_same(whole, cut);
        rn_session_free(whole);
        rn_session_free(cut);
    }
}

/* Asking for logits in between cuts the reading there, and only there. */
static void cutting_between_logits_does_not_matter(void **state)
{
    (void)state;
    rn_session *a = open_session(model), *b = open_session(model);
    feed(a, 0, 100);
    assert_non_null(rn_session_logits(a));
    feed(a, 100, 400);
    step(a, 5);
    feed(a, 400, TEXT);
    for (size_t i = 0; i < 100; i++) feed(b, i, i + 1);
    assert_non_null(rn_session_logits(b));
    feed(b, 100, 256);
    feed(b, 256, 256);
    feed(b, 256, 400);
    step(b, 5);
    feed(b, 400, 401);
    feed(b, 401, TEXT);
    check_same(a, b);
    rn_session_free(a);
    rn_session_free(b);
}

/* The grid is absolute: where a chunk ends anyway, asking changes nothing. */
static void chunks_end_at_absolute_multiples(void **state)
{
    (void)state;
    rn_session *a = open_session(model), *b = open_session(model);
    feed(a, 0, 100);
    feed(b, 0, 100);
    assert_non_null(rn_session_logits(a));
    assert_non_null(rn_session_logits(b));
    feed(a, 100, 600);
    feed(b, 100, 256);
    assert_non_null(rn_session_logits(b));
    feed(b, 256, 512);
    assert_non_null(rn_session_logits(b));
    feed(b, 512, 600);
    check_same(a, b);
    rn_session_free(a);
    rn_session_free(b);
}

/* Steps and feeds in turn, against steps alone. */
static void steps_between_feeds(void **state)
{
    (void)state;
    rn_session *mixed = open_session(model), *stepped = open_session(model);
    for (size_t i = 0; i < TEXT; i++) {
        step(stepped, text[i]);
        if (i % 5 == 3) step(mixed, text[i]);
        else feed(mixed, i, i + 1);
        if (i % 50 != 3) continue;
        double far = distance(rn_session_logits(mixed), rn_session_logits(stepped));
        if (!(far < 1e-4)) fail_msg("%g apart after %zu tokens", far, i + 1);
    }
    rn_session_free(mixed);
    rn_session_free(stepped);
}

static void steps_agree_with_reading(void **state)
{
    (void)state;
    const char *const norms[] = {"row_norm=none", "row_norm=decay", "row_norm=paper",
                                 "row_norm=auto"};
    for (size_t n = 0; n < 4; n++) {
        rn_model *m = make_model(norms[n], 3);
        rn_session *read = open_session(m), *stepped = open_session(m);
        for (size_t i = 0; i < TEXT; i++) {
            feed(read, i, i + 1);
            step(stepped, text[i]);
            if (i % 97 != 0 && i + 1 != TEXT) continue;
            double far = distance(rn_session_logits(read), rn_session_logits(stepped));
            if (!(far < 1e-4))
                fail_msg("%s: %g apart after %zu tokens", norms[n], far, i + 1);
        }
        rn_session_free(read);
        rn_session_free(stepped);
        rn_model_free(m);
    }
}

/* The session knows the past: other tokens long ago, other logits. */
static void the_state_matters(void **state)
{
    (void)state;
    rn_session *a = open_session(model), *b = open_session(model);
    feed(a, 0, 300);
    step(b, 1);
    feed(b, 1, 300);
    assert_true(distance(rn_session_logits(a), rn_session_logits(b)) > 1e-6);
    rn_session_free(a);
    rn_session_free(b);
}

/* A copy with pending ids continues like its original, and neither touches the other. */
static void copies_are_independent(void **state)
{
    (void)state;
    rn_session *original = open_session(model), *lone = open_session(model), *copy;
    feed(original, 0, 300);
    feed(lone, 0, 300);
    assert_int_equal(rn_session_copy(&copy, original, NULL), RN_OK);
    step(copy, 60);
    feed(copy, 10, 200);
    check_same(original, lone);
    assert_int_equal(rn_session_copy(&copy, (rn_session_free(copy), original), NULL),
                     RN_OK);
    check_same(copy, lone);
    rn_session_free(original);
    feed(copy, 0, 20);
    rn_session_free(copy);
    rn_session_free(lone);
}

static void reset_is_a_new_session(void **state)
{
    (void)state;
    rn_session *used = open_session(model), *fresh = open_session(model);
    feed(used, 0, 333);
    step(used, 2);
    feed(used, 0, 5);
    rn_session_reset(used);
    assert_null(rn_session_logits(used));
    feed(used, 0, 270);
    feed(fresh, 0, 270);
    rn_sampling how = {.repeat_penalty = 1.5f};
    int32_t a, b;
    assert_int_equal(rn_session_sample(used, &how, &a, NULL), RN_OK);
    assert_int_equal(rn_session_sample(fresh, &how, &b, NULL), RN_OK);
    assert_int_equal(a, b);
    check_same(used, fresh);
    rn_session_free(used);
    rn_session_free(fresh);
}

static void check_refused(rn_session *s, const int32_t *ids, size_t count,
                          const char *number)
{
    rn_error err = {0};
    assert_int_equal(rn_session_feed(s, ids, count, &err), RN_EINVAL);
    assert_non_null(strstr(err.message, number));
    assert_int_equal(rn_session_step(s, ids[count - 1], &err), RN_EINVAL);
    assert_non_null(strstr(err.message, number));
}

static void a_bad_id_appends_nothing(void **state)
{
    (void)state;
    const int32_t high[300] = {[299] = VOCAB}, low[3] = {1, 2, -1};
    rn_session *s = open_session(model), *untouched = open_session(model);
    feed(s, 0, 200);
    feed(untouched, 0, 200);
    check_refused(s, high, 300, "61");
    check_refused(s, low, 3, "-1");
    assert_int_equal(rn_session_position(s), 200);
    check_same(s, untouched);
    rn_session_free(s);
    rn_session_free(untouched);
}

static void position_and_constant_size(void **state)
{
    (void)state;
    rn_model_info info;
    rn_model_info_get(model, &info);
    rn_session *s = open_session(model);
    int32_t id = 9;
    rn_error err;
    assert_null(rn_session_logits(s));
    assert_int_equal(rn_session_sample(s, &(rn_sampling){0}, &id, &err), RN_EINVAL);
    assert_int_equal(id, 9);
    assert_int_equal(rn_session_position(s), 0);
    assert_int_equal(rn_session_state_bytes(s), info.state_bytes);
    assert_true(info.state_bytes >= 2 * 2 * 16 * 24 * sizeof(float));
    feed(s, 0, TEXT);
    step(s, 0);
    assert_int_equal(rn_session_position(s), TEXT + 1);
    assert_int_equal(rn_session_state_bytes(s), info.state_bytes);
    rn_session_free(s);
    rn_session_free(NULL);
}

/* Sampling: a function of the session's past and three numbers; it appends nothing. */
static void samples(void **state)
{
    (void)state;
    rn_session *s = open_session(model), *copy;
    feed(s, 0, 120);
    rn_sampling how = {.temperature = 2, .seed = 4};
    bool varied = false;
    int32_t before = -1;
    for (size_t i = 0; i < 40; i++) {
        int32_t a, b;
        assert_int_equal(rn_session_copy(&copy, s, NULL), RN_OK);
        assert_int_equal(rn_session_sample(s, &how, &a, NULL), RN_OK);
        assert_int_equal(rn_session_sample(copy, &how, &b, NULL), RN_OK);
        assert_int_equal(a, b);
        assert_int_equal(rn_session_position(s), 120 + i);
        varied |= before >= 0 && a != before;
        before = a;
        step(s, a);
        rn_session_free(copy);
    }
    assert_true(varied);
    rn_session_free(s);
}

/* The best token when the logits of text[begin..end) are penalised, once each. */
static int32_t best_penalised(const float *logits, float penalty, size_t begin,
                              size_t end)
{
    int32_t best = 0;
    float scores[VOCAB];
    bool recent[VOCAB] = {false};
    for (size_t i = begin; i < end; i++) recent[text[i]] = true;
    for (int32_t i = 0; i < VOCAB; i++) {
        float factor = logits[i] > 0 ? 1 / penalty : penalty;
        scores[i] = recent[i] ? logits[i] * factor : logits[i];
        if (scores[i] > scores[best]) best = i;
    }
    return best;
}

static void penalty_sees_64_tokens(void **state)
{
    (void)state;
    rn_session *s = open_session(model);
    rn_sampling how = {.repeat_penalty = 4};
    size_t matters = 0;
    for (size_t end = 1; end <= 400; end++) {
        int32_t id;
        step(s, text[end - 1]);
        assert_int_equal(rn_session_sample(s, &how, &id, NULL), RN_OK);
        const float *logits = rn_session_logits(s);
        assert_int_equal(id, best_penalised(logits, 4, end > 64 ? end - 64 : 0, end));
        matters += end > 64 && id != best_penalised(logits, 4, end - 63, end);
        matters += end > 64 && id != best_penalised(logits, 4, end - 65, end);
    }
    assert_true(matters > 0); /* 63 or 65 tokens would have been noticed */
    rn_session_free(s);
}

static void descriptions_have_no_sessions(void **state)
{
    (void)state;
    rn_model *plan;
    rn_session *s;
    rn_error err;
    rn_model_source source = {.config_json = CONFIG};
    assert_int_equal(rn_model_describe(&plan, &source, &err), RN_OK);
    assert_int_equal(rn_session_create(&s, plan, &err), RN_EINVAL);
    rn_model_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting_does_not_matter),
        cmocka_unit_test(cutting_between_logits_does_not_matter),
        cmocka_unit_test(chunks_end_at_absolute_multiples),
        cmocka_unit_test(steps_agree_with_reading),
        cmocka_unit_test(steps_between_feeds),
        cmocka_unit_test(the_state_matters),
        cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(reset_is_a_new_session),
        cmocka_unit_test(a_bad_id_appends_nothing),
        cmocka_unit_test(position_and_constant_size),
        cmocka_unit_test(samples),
        cmocka_unit_test(penalty_sees_64_tokens),
        cmocka_unit_test(descriptions_have_no_sessions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* The sampler against distributions worked out by hand: the sets that its rules keep, the
   frequencies of its draws, and what a draw may depend on. */
#include "core/rng.h"
#include "generate/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_VOCAB 5000

static double weights[MAX_VOCAB];
static float penalised[MAX_VOCAB];
static rn_candidate candidates[MAX_VOCAB];

/* The token at a position, which must be drawn without an error. */
static int32_t draw(const rn_sampling *how, const float *logits, size_t vocab,
                    uint64_t position)
{
    rn_sampler_scratch scratch = {weights, penalised, candidates};
    rn_sampler_input in = {.logits = logits, .vocab = vocab, .position = position};
    rn_error err;
    int32_t id = -1;
    if (rn_sampler_draw(how, &in, &scratch, &id, &err)) fail_msg("%s", err.message);
    return id;
}

static void count_draws(size_t *counts, const rn_sampling *how, const float *logits,
                        size_t vocab, size_t draws)
{
    memset(counts, 0, vocab * sizeof *counts);
    for (size_t i = 0; i < draws; i++) {
        int32_t id = draw(how, logits, vocab, i);
        assert_in_range(id, 0, vocab - 1);
        counts[id]++;
    }
}

/* Chi-square of counts against probabilities; ids of probability 0 must not occur. */
static double chi_square(const size_t *counts, const double *p, size_t vocab,
                         size_t draws)
{
    double sum = 0;
    for (size_t i = 0; i < vocab; i++) {
        double expected = p[i] * (double)draws, d = (double)counts[i] - expected;
        if (p[i] == 0) assert_int_equal(counts[i], 0);
        else sum += d * d / expected;
    }
    return sum;
}

/* softmax(logits / temperature) over the ids whose bit is set in `kept`. */
static void expect(double *p, const float *logits, size_t vocab, double temperature,
                   unsigned kept)
{
    double sum = 0;
    for (size_t i = 0; i < vocab; i++) {
        p[i] = kept >> i & 1 ? exp((double)logits[i] / temperature) : 0;
        sum += p[i];
    }
    for (size_t i = 0; i < vocab; i++) p[i] /= sum;
}

/* Probabilities 0.4, 0.05, 0.25, 0.1, 0.2 up to a constant. */
static const float FIVE[5] = {-0.91629073f, -2.99573227f, -1.38629436f, -2.30258509f,
                              -1.60943791f};

static void check_set(const rn_sampling *how, unsigned kept)
{
    enum { DRAWS = 20000 };
    size_t counts[5];
    double p[5];
    double t = how->temperature;
    count_draws(counts, how, FIVE, 5, DRAWS);
    expect(p, FIVE, 5, t, kept);
    double chi = chi_square(counts, p, 5, DRAWS);
    if (chi > 18.5)
        fail_msg("set %#x: chi-square %g of at most 4 degrees (0.1%%)", kept, chi);
}

static void sets_and_frequencies(void **state)
{
    (void)state;
    check_set(&(rn_sampling){.temperature = 1}, 0x1f);
    check_set(&(rn_sampling){.temperature = 0.5f}, 0x1f);
    check_set(&(rn_sampling){.temperature = 3, .seed = 9}, 0x1f);
    check_set(&(rn_sampling){.temperature = 1, .top_k = 1}, 0x01);
    check_set(&(rn_sampling){.temperature = 1, .top_k = 3}, 0x15);
    check_set(&(rn_sampling){.temperature = 1, .top_k = 7}, 0x1f);
    check_set(&(rn_sampling){.temperature = 1, .top_p = 0.39f}, 0x01);
    check_set(&(rn_sampling){.temperature = 1, .top_p = 0.6f}, 0x05);
    check_set(&(rn_sampling){.temperature = 1, .top_p = 0.7f}, 0x15);
    check_set(&(rn_sampling){.temperature = 1, .top_p = 0.9f}, 0x1d);
    check_set(&(rn_sampling){.temperature = 1, .top_p = 1}, 0x1f);
    check_set(&(rn_sampling){.temperature = 1, .top_p = 1e-9f}, 0x01);
    check_set(&(rn_sampling){.temperature = 1, .min_p = 0.45f}, 0x15);
    check_set(&(rn_sampling){.temperature = 1, .min_p = 0.2f}, 0x1d);
    check_set(&(rn_sampling){.temperature = 1, .min_p = 1}, 0x01);
}

/* top-p counts what top-k left anew; the temperature comes after every set. */
static void order_of_rules(void **state)
{
    (void)state;
    /* After top_k 2 the shares are 0.615 and 0.385. */
    check_set(&(rn_sampling){.temperature = 1, .top_k = 2, .top_p = 0.6f}, 0x01);
    check_set(&(rn_sampling){.temperature = 1, .top_k = 2, .top_p = 0.63f}, 0x05);
    check_set(&(rn_sampling){.temperature = 5, .top_p = 0.6f}, 0x05);
    check_set(&(rn_sampling){.temperature = 0.2f, .min_p = 0.2f}, 0x1d);
    check_set(&(rn_sampling){.temperature = 1, .top_k = 4, .min_p = 0.45f}, 0x15);
}

static int compare_down(const void *a, const void *b)
{
    const rn_candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

/* How many of the sorted candidates top_k and then top_p keep, by plain addition. */
static size_t kept_by_sorting(const rn_candidate *sorted, size_t vocab,
                              const rn_sampling *how)
{
    size_t count = how->top_k ? (size_t)how->top_k : vocab, kept = 0;
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) total += exp((double)sorted[i].logit);
    while (kept < count && sum < (double)how->top_p * total)
        sum += exp((double)sorted[kept++].logit);
    return kept;
}

static void check_large(uint64_t seed, const rn_sampling *how, unsigned steps)
{
    static float logits[MAX_VOCAB];
    static rn_candidate sorted[MAX_VOCAB];
    static unsigned char kept[MAX_VOCAB];
    for (uint32_t i = 0; i < MAX_VOCAB; i++) {
        float z = 3 * rn_normal(seed, RN_STREAM_TEST, 0, i);
        logits[i] = steps ? roundf(z * (float)steps) / (float)steps : z;
        sorted[i] = (rn_candidate){logits[i], (int32_t)i};
    }
    qsort(sorted, MAX_VOCAB, sizeof *sorted, compare_down);
    size_t count = kept_by_sorting(sorted, MAX_VOCAB, how), met = 0;
    memset(kept, 0, sizeof kept);
    for (size_t i = 0; i < count; i++) kept[sorted[i].id] = 1;
    draw(how, logits, MAX_VOCAB, 0);
    for (size_t i = 0; i < MAX_VOCAB; i++) met += (weights[i] > 0) == kept[i];
    assert_int_equal(met, MAX_VOCAB);
}

/* The set found by partial selection is the one found by sorting, ties and all: the draw
   leaves its weights in the scratch. Temperature 50 keeps them all above 0. */
static void selection_equals_sorting(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        check_large(seed, &(rn_sampling){.temperature = 50, .top_p = 0.9f}, 0);
        check_large(seed, &(rn_sampling){.temperature = 50, .top_p = 0.5f}, 2);
        check_large(seed, &(rn_sampling){.temperature = 50, .top_k = 40, .top_p = 0.87f},
                    1);
        check_large(seed,
                    &(rn_sampling){.temperature = 50, .top_k = 4321, .top_p = 0.99f}, 0);
    }
}

static void greedy_takes_the_lowest_id(void **state)
{
    (void)state;
    const float logits[6] = {0, 2, -1, 2, 2, 1};
    rn_sampling how = {.temperature = 0, .seed = 3};
    for (uint64_t position = 0; position < 20; position++)
        assert_int_equal(draw(&how, logits, 6, position), 1);
    how = (rn_sampling){.temperature = 1e-30f};
    const float apart[3] = {0, -1, 1e-3f};
    assert_int_equal(draw(&how, apart, 3, 7), 2);
}

/* A draw is a function of (seed, position, choice): again the same, and each of the three
   changes it about as often as chance does. */
static void draws_depend_on_three_numbers(void **state)
{
    (void)state;
    enum { DRAWS = 4000, VOCAB = 16 };
    const float flat[VOCAB] = {0};
    rn_sampling how = {.temperature = 1, .seed = 5, .choice = 2};
    size_t same_seed = 0, same_position = 0, same_choice = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        int32_t id = draw(&how, flat, VOCAB, i);
        assert_int_equal(draw(&how, flat, VOCAB, i), id);
        rn_sampling seed = how, choice = how;
        seed.seed++;
        choice.choice++;
        same_seed += draw(&seed, flat, VOCAB, i) == id;
        same_choice += draw(&choice, flat, VOCAB, i) == id;
        same_position += draw(&how, flat, VOCAB, i + DRAWS) == id;
    }
    /* 250 expected, standard deviation 15. */
    assert_in_range(same_seed, 180, 320);
    assert_in_range(same_choice, 180, 320);
    assert_in_range(same_position, 180, 320);
}

static void penalty_counts_a_token_once(void **state)
{
    (void)state;
    const float logits[4] = {3, 2, -1, -3};
    const int32_t recent[5] = {0, 2, 0, 0, 2};
    rn_sampler_scratch scratch = {weights, penalised, candidates};
    rn_sampler_input in = {
        .logits = logits, .vocab = 4, .recent = recent, .recent_count = 5};
    rn_sampling how = {.repeat_penalty = 2};
    int32_t id;
    assert_int_equal(rn_sampler_draw(&how, &in, &scratch, &id, NULL), RN_OK);
    assert_int_equal(id, 1); /* 3 became 1.5 */
    const float want[4] = {1.5f, 2, -2, -3};
    assert_memory_equal(penalised, want, sizeof want);
    how.repeat_penalty = 1;
    assert_int_equal(rn_sampler_draw(&how, &in, &scratch, &id, NULL), RN_OK);
    assert_int_equal(id, 0);
}

static void check_refused(const rn_sampling *how, const char *field)
{
    rn_sampler_scratch scratch = {weights, penalised, candidates};
    rn_sampler_input in = {.logits = FIVE, .vocab = 5};
    rn_error err = {0};
    int32_t id = 77;
    assert_int_equal(rn_sampler_draw(how, &in, &scratch, &id, &err), RN_EINVAL);
    assert_int_equal(id, 77);
    if (strncmp(err.message, field, strlen(field)) != 0)
        fail_msg("\"%s\" does not begin with %s", err.message, field);
}

static void refuses_numbers_out_of_range(void **state)
{
    (void)state;
    check_refused(&(rn_sampling){.temperature = NAN}, "temperature");
    check_refused(&(rn_sampling){.temperature = -0.1f}, "temperature");
    check_refused(&(rn_sampling){.temperature = 101}, "temperature");
    check_refused(&(rn_sampling){.temperature = INFINITY}, "temperature");
    check_refused(&(rn_sampling){.top_k = -1}, "top_k");
    check_refused(&(rn_sampling){.top_p = 1.01f}, "top_p");
    check_refused(&(rn_sampling){.top_p = NAN}, "top_p");
    check_refused(&(rn_sampling){.min_p = -0.5f}, "min_p");
    check_refused(&(rn_sampling){.min_p = NAN}, "min_p");
    check_refused(&(rn_sampling){.repeat_penalty = NAN}, "repeat_penalty");
    check_refused(&(rn_sampling){.repeat_penalty = -1}, "repeat_penalty");
    check_refused(&(rn_sampling){.repeat_penalty = 1e-3f}, "repeat_penalty");
    rn_error err = {0};
    assert_int_equal(rn_sampling_check(&(rn_sampling){.repeat_penalty = 0.01f}, &err),
                     RN_OK);
}

static void refuses_logits_that_are_no_numbers(void **state)
{
    (void)state;
    const float cases[3][2] = {{0, NAN}, {INFINITY, 0}, {-INFINITY, -INFINITY}};
    for (size_t i = 0; i < 3; i++) {
        rn_sampler_scratch scratch = {weights, penalised, candidates};
        rn_sampler_input in = {.logits = cases[i], .vocab = 2};
        rn_error err = {0};
        int32_t id = 77;
        rn_sampling how = {.temperature = 1};
        assert_int_equal(rn_sampler_draw(&how, &in, &scratch, &id, &err), RN_EINVAL);
        assert_int_equal(strncmp(err.message, "logits: ", 8), 0);
        assert_int_equal(id, 77);
    }
    const float one[3] = {-INFINITY, -40, -INFINITY};
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(draw(&(rn_sampling){.temperature = 9, .top_p = 0.5f}, one, 3, i),
                         1);
}

/* Only differences count: 3000 does not overflow, -3000 does not vanish. */
static void logits_of_any_size(void **state)
{
    (void)state;
    enum { DRAWS = 2000 };
    for (int shift = -3000; shift <= 3000; shift += 3000) {
        size_t counts[3];
        float logits[3] = {(float)shift, (float)shift - 200, (float)shift};
        count_draws(counts, &(rn_sampling){.temperature = 1, .top_p = 0.99f}, logits, 3,
                    DRAWS);
        assert_in_range(counts[0], 900, 1100); /* standard deviation 22 */
        assert_int_equal(counts[0] + counts[2], DRAWS);
    }
}

static void log_sum_exp(void **state)
{
    (void)state;
    const float logits[3] = {1000, 1000, -INFINITY};
    assert_true(fabs(rn_log_sum_exp(logits, 3) - 1000 - log(2)) < 1e-12);
    assert_true(fabs(rn_log_sum_exp(FIVE, 5)) < 1e-7);
    assert_true(rn_log_sum_exp(logits + 2, 1) == -INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_and_frequencies),
        cmocka_unit_test(order_of_rules),
        cmocka_unit_test(selection_equals_sorting),
        cmocka_unit_test(greedy_takes_the_lowest_id),
        cmocka_unit_test(draws_depend_on_three_numbers),
        cmocka_unit_test(penalty_counts_a_token_once),
        cmocka_unit_test(refuses_numbers_out_of_range),
        cmocka_unit_test(refuses_logits_that_are_no_numbers),
        cmocka_unit_test(logits_of_any_size),
        cmocka_unit_test(log_sum_exp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The references themselves, where their formulas are easy to get wrong: against known
   values, against functions written again in double, and gradients against central
   differences of those. */
#include "test.h"

#include "core/rng.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP 1e-5 /* of a central difference in double */

static double draw(uint64_t i)
{
    return 2.0 * (double)rn_uniform(3, RN_STREAM_TEST, i, 0) - 1.0;
}

static void fill(float *to, size_t n, double scale, uint64_t from)
{
    for (size_t i = 0; i < n; i++) to[i] = (float)(scale * draw(from + i));
}

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * fmax(1.0, fabs(want))))
        fail_msg("got %.10g, expected %.10g", got, want);
}

/* d f / d x[i] for a function of a double vector. */
typedef double (*scalar_fn)(const double *x, const void *context);

static double slope_of(scalar_fn f, double *x, size_t i, const void *context)
{
    double kept = x[i];
    x[i] = kept + STEP;
    double up = f(x, context);
    x[i] = kept - STEP;
    double down = f(x, context);
    x[i] = kept;
    return (up - down) / (2.0 * STEP);
}

/* Integral of the normal density from 0 to x by Simpson's rule. */
static double normal_cdf(double x)
{
    const int n = 2000;
    double h = x / n, sum = 0.0;
    for (int i = 0; i <= n; i++) {
        double t = h * i, weight = i == 0 || i == n ? 1.0 : i % 2 ? 4.0 : 2.0;
        sum += weight * exp(-0.5 * t * t);
    }
    return 0.5 + sum * h / 3.0 / sqrt(2.0 * acos(-1.0));
}

static double activation(double x, rn_activation kind)
{
    if (kind == RN_ACT_SWISH) return x * 0.5 * (1.0 + tanh(0.5 * x));
    if (kind == RN_ACT_GELU) return x * normal_cdf(x);
    return 0.5 * (x + fabs(x));
}

static void activations_and_slopes(void **state)
{
    (void)state;
    static const float xs[] = {-6.5f, -2.0f, -0.75f, -0.01f, 0.01f,
                               0.5f,  1.0f,  3.0f,   7.25f};
    for (int kind = RN_ACT_SWISH; kind <= RN_ACT_RELU; kind++) {
        for (size_t i = 0; i < sizeof xs / sizeof *xs; i++) {
            float y, slope, one = 1.0f;
            double x = (double)xs[i];
            rn_activation k = (rn_activation)kind;
            rn_act_fwd_ref(NULL, &y, &xs[i], 1, k);
            rn_act_bwd_ref(NULL, &slope, &one, &xs[i], 1, k);
            near((double)y, activation(x, k), 1e-7);
            double s = (activation(x + STEP, k) - activation(x - STEP, k)) / (2.0 * STEP);
            near((double)slope, s, 1e-6);
        }
    }
    float y, at = 1.0f;
    rn_act_fwd_ref(NULL, &y, &at, 1, RN_ACT_GELU);
    near((double)y, 0.84134474606854, 1e-7);
    rn_act_fwd_ref(NULL, &y, &at, 1, RN_ACT_SWISH);
    near((double)y, 0.73105857863000, 1e-7);
}

static void gated_feed_forward(void **state)
{
    (void)state;
    enum { f = 4 };
    const float gu[2 * f] = {-1.0f, 0.5f, 2.0f, 0.0f, 3.0f, -2.0f, 0.5f, 1.0f};
    const float dh[f] = {1.0f, -1.0f, 0.5f, 2.0f};
    float h[f], dgu[2 * f];
    rn_glu_fwd_ref(NULL, h, gu, 1, f, RN_ACT_SWISH);
    rn_glu_bwd_ref(NULL, dgu, dh, gu, 1, f, RN_ACT_SWISH);
    for (size_t i = 0; i < f; i++) {
        double g = (double)gu[i], u = (double)gu[f + i], d = (double)dh[i];
        double up = activation(g + STEP, RN_ACT_SWISH),
               down = activation(g - STEP, RN_ACT_SWISH);
        near((double)h[i], activation(g, RN_ACT_SWISH) * u, 1e-6);
        near((double)dgu[i], d * u * (up - down) / (2.0 * STEP), 1e-6);
        near((double)dgu[f + i], d * activation(g, RN_ACT_SWISH), 1e-6);
    }
}

/* sum dy . norm(in), the vector being in[dim], w[dim], b[dim], one after the other. */
enum { DIM = 7 };

typedef struct norm_context {
    const float *dy;
    bool center;
} norm_context;

static double norm_value(const double *x, const void *context)
{
    const norm_context *c = context;
    double mean = 0.0, square = 0.0, loss = 0.0;
    for (size_t i = 0; i < DIM; i++) mean += c->center ? x[i] / DIM : 0.0;
    for (size_t i = 0; i < DIM; i++) square += (x[i] - mean) * (x[i] - mean) / DIM;
    for (size_t i = 0; i < DIM; i++) {
        double hat = (x[i] - mean) / sqrt(square + 1e-3);
        loss += (double)c->dy[i] * (hat * x[DIM + i] + x[2 * DIM + i]);
    }
    return loss;
}

static void check_norm(bool center)
{
    float x[3 * DIM], dy[DIM], y[DIM], stats[2], grad[3 * DIM] = {0.0f};
    fill(x, 3 * DIM, 2.0, 10);
    fill(dy, DIM, 1.0, 50);
    rn_norm_fwd_ref(NULL, y, stats, x, x + DIM, x + 2 * DIM, 1, DIM, 1e-3f, center);
    rn_norm_bwd_ref(NULL, grad, grad + DIM, grad + 2 * DIM, dy, x, x + DIM, stats, 1, DIM,
                    center);
    double wide[3 * DIM], loss = 0.0;
    for (size_t i = 0; i < 3 * DIM; i++) wide[i] = (double)x[i];
    for (size_t i = 0; i < DIM; i++) loss += (double)dy[i] * (double)y[i];
    norm_context c = {dy, center};
    near(loss, norm_value(wide, &c), 1e-5);
    for (size_t i = 0; i < 3 * DIM; i++)
        near((double)grad[i], slope_of(norm_value, wide, i, &c), 2e-6);
}

static void norm_gradients(void **state)
{
    (void)state;
    check_norm(false);
    check_norm(true);
}

/* Two heads of DIM: the vector is o[2][DIM], g[2][DIM], w[2][DIM] or w[DIM]. */
typedef struct head_context {
    const float *dy;
    rn_head_norm kind;
    bool shared;
} head_context;

static double head_value(const double *x, const void *context)
{
    const head_context *c = context;
    double loss = 0.0;
    for (size_t h = 0; h < 2; h++) {
        const double *o = x + h * DIM, *g = x + (2 + h) * DIM;
        const double *w = x + (c->shared ? 4 : 4 + h) * DIM;
        double mean = 0.0, square = 0.0;
        for (size_t i = 0; i < DIM; i++) mean += o[i] / DIM;
        if (c->kind != RN_HEAD_NORM_GROUP) mean = 0.0;
        for (size_t i = 0; i < DIM; i++) square += (o[i] - mean) * (o[i] - mean) / DIM;
        double scale = c->kind == RN_HEAD_NORM_NONE ? 1.0 : 1.0 / sqrt(square + 1e-3);
        for (size_t i = 0; i < DIM; i++)
            loss += (double)c->dy[h * DIM + i] * activation(g[i], RN_ACT_SWISH) *
                    (o[i] - mean) * scale * w[i];
    }
    return loss;
}

static void check_head_norm(rn_head_norm kind, bool shared)
{
    float x[6 * DIM], dy[2 * DIM], y[2 * DIM], stats[4], grad[6 * DIM] = {0.0f};
    fill(x, 6 * DIM, 2.0, 100);
    fill(dy, 2 * DIM, 1.0, 200);
    rn_headnorm d = {.rows = 1,
                     .heads = 2,
                     .dv = DIM,
                     .ldg = 2 * DIM,
                     .w_head = shared ? 0 : DIM,
                     .kind = kind,
                     .eps = 1e-3f};
    rn_headnorm_fwd_ref(NULL, &d, y, stats, x, x + 2 * DIM, x + 4 * DIM);
    rn_headnorm_bwd_ref(NULL, &d, grad, grad + 2 * DIM, grad + 4 * DIM, dy, x,
                        x + 2 * DIM, x + 4 * DIM, stats);
    double wide[6 * DIM], loss = 0.0;
    for (size_t i = 0; i < 6 * DIM; i++) wide[i] = (double)x[i];
    for (size_t i = 0; i < 2 * DIM; i++) loss += (double)dy[i] * (double)y[i];
    head_context c = {dy, kind, shared};
    near(loss, head_value(wide, &c), 1e-5);
    for (size_t i = 0; i < 6 * DIM; i++)
        near((double)grad[i], slope_of(head_value, wide, i, &c), 4e-6);
}

static void head_norm_gradients(void **state)
{
    (void)state;
    for (int kind = RN_HEAD_NORM_RMS; kind <= RN_HEAD_NORM_NONE; kind++) {
        check_head_norm((rn_head_norm)kind, false);
        check_head_norm((rn_head_norm)kind, true);
    }
}

enum { VOCAB = 5 };

static double xent_value(const double *logits, const void *context)
{
    const int32_t *target = context;
    double sum = 0.0;
    for (size_t i = 0; i < VOCAB; i++) sum += exp(logits[i]);
    return log(sum / exp(logits[*target]));
}

static void cross_entropy(void **state)
{
    (void)state;
    const int32_t targets[2] = {3, -1};
    float logits[2 * VOCAB], loss[2], lse[2];
    fill(logits, 2 * VOCAB, 3.0, 300);
    double wide[VOCAB];
    for (size_t i = 0; i < VOCAB; i++) wide[i] = (double)logits[i];
    rn_xent_fwd_ref(NULL, loss, lse, logits, targets, 2, VOCAB);
    near((double)loss[0], xent_value(wide, targets), 1e-6);
    assert_true(loss[1] == 0.0f);
    rn_xent_bwd_ref(NULL, logits, lse, targets, 2, VOCAB, 0.5f);
    for (size_t i = 0; i < VOCAB; i++) {
        near((double)logits[i], 0.5 * slope_of(xent_value, wide, i, targets), 1e-6);
        assert_true(logits[VOCAB + i] == 0.0f);
    }
    const float huge[2] = {1e4f, -1e4f};
    rn_xent_fwd_ref(NULL, loss, lse, huge, (const int32_t[]){1}, 1, 2);
    near((double)loss[0], 2e4, 1e-7);
}

/* Three steps of decoupled Adam as the paper writes them, on one parameter. */
static void adamw_follows_the_paper(void **state)
{
    (void)state;
    float p = 0.75f, m = 0.0f, v = 0.0f;
    double theta = 0.75, mean = 0.0, square = 0.0, lr = 0.1, b1 = 0.9, b2 = 0.98;
    for (int t = 1; t <= 3; t++) {
        const float g = (float)(0.3 * t - 0.8);
        rn_adamw h = {.lr = 0.1f,
                      .beta1 = 0.9f,
                      .beta2 = 0.98f,
                      .eps = 1e-6f,
                      .decay = 0.05f,
                      .grad_scale = 0.5f,
                      .correct1 = 1.0 - pow(b1, t),
                      .correct2 = 1.0 - pow(b2, t)};
        rn_adamw_ref(NULL, &h, &p, &g, &m, &v, 1);
        double grad = 0.5 * (double)g;
        mean = b1 * mean + (1.0 - b1) * grad;
        square = b2 * square + (1.0 - b2) * grad * grad;
        double unbiased = mean / (1.0 - pow(b1, t));
        double root = sqrt(square / (1.0 - pow(b2, t)));
        theta -= lr * unbiased / (root + 1e-6) + lr * 0.05 * theta;
        near((double)p, theta, 1e-6);
        near((double)m, mean, 1e-6);
        near((double)v, square, 1e-6);
    }
}

/* Positions as complex numbers: adjacent pairs, or component i with i + dk/2. */
static void rotary_is_a_complex_product(void **state)
{
    (void)state;
    const float cos2[4] = {1.0f, 0.6f, 0.8f, -0.28f},
                sin2[4] = {0.0f, 0.8f, -0.6f, 0.96f};
    const float before[4] = {1.0f, 2.0f, -3.0f, 0.5f};
    for (int kind = RN_ROTARY_ADJACENT; kind <= RN_ROTARY_HALVES; kind++) {
        rn_rotary d = {.rows = 3,
                       .period = 2,
                       .heads = 1,
                       .dk = 4,
                       .ld = 4,
                       .cos = cos2,
                       .sin = sin2,
                       .kind = (rn_rotary_kind)kind,
                       .scale = 2.0f};
        float t[12];
        for (size_t i = 0; i < 12; i++) t[i] = before[i % 4];
        rn_rotary_ref(NULL, &d, t);
        for (size_t r = 0; r < 3; r++) {
            for (size_t i = 0; i < 2; i++) {
                size_t a = kind == RN_ROTARY_ADJACENT ? 2 * i : i, at = r % 2 * 2 + i;
                size_t b = kind == RN_ROTARY_ADJACENT ? 2 * i + 1 : i + 2;
                double re = (double)before[a], im = (double)before[b];
                double c = (double)cos2[at], s = (double)sin2[at];
                near((double)t[4 * r + a], 2.0 * (re * c - im * s), 1e-6);
                near((double)t[4 * r + b], 2.0 * (re * s + im * c), 1e-6);
            }
        }
        d.inverse = true;
        d.scale = 0.5f;
        rn_rotary_ref(NULL, &d, t);
        for (size_t i = 0; i < 12; i++) near((double)t[i], (double)before[i % 4], 1e-6);
    }
}

static void dropout_keeps_its_rate(void **state)
{
    (void)state;
    enum { n = 40000 };
    static float ones[n], y[n], again[n];
    for (size_t i = 0; i < n; i++) ones[i] = 1.0f;
    rn_dropout_ref(NULL, y, ones, n, 0.2f, 9, 4);
    rn_dropout_ref(NULL, again, ones, n / 2, 0.2f, 9, 4);
    assert_memory_equal(y, again, sizeof y / 2);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        kept += y[i] != 0.0f;
        assert_true(y[i] == 0.0f || y[i] == 1.25f);
    }
    near((double)kept / n, 0.8, 0.01);
    uint32_t word[4]; /* the documented draw of elements 4..7 */
    rn_philox(word, 9, RN_STREAM_DROPOUT, 4, 1);
    for (size_t j = 0; j < 4; j++)
        assert_true((y[4 + j] != 0.0f) ==
                    ((double)(word[j] >> 8) * 0x1p-24 >= (double)0.2f));
}

static void decay_sum_is_the_sum(void **state)
{
    (void)state;
    static const double gammas[] = {0.5, 0.96875, 1.0 - 0x1p-20};
    for (size_t i = 0; i < 3; i++) {
        double sum = 0.0, term = 1.0;
        for (uint64_t n = 0; n < 5000; n++, term *= gammas[i]) {
            sum += term;
            near(rn_decay_sum(log(gammas[i]), n), sum, 1e-9);
        }
    }
    assert_true(rn_decay_sum(0.0, 0) == 1.0);
    assert_true(rn_decay_sum(0.0, 999999) == 1e6);
    assert_true(rn_decay_sum(-INFINITY, 7) == 1.0);
}

static void embedding_rows(void **state)
{
    (void)state;
    const float table[6] = {1, 2, 3, 4, 5, 6};
    const int32_t ids[3] = {2, 0, 2};
    float y[6], grad[6] = {0};
    rn_embed_fwd_ref(NULL, y, table, ids, 3, 2, 2.0f);
    assert_memory_equal(y, ((float[]){10, 12, 2, 4, 10, 12}), sizeof y);
    rn_embed_bwd_ref(NULL, grad, y, ids, 3, 2, 0.5f);
    assert_memory_equal(grad, ((float[]){1, 2, 0, 0, 10, 12}), sizeof grad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_and_slopes),
        cmocka_unit_test(gated_feed_forward),
        cmocka_unit_test(norm_gradients),
        cmocka_unit_test(head_norm_gradients),
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(adamw_follows_the_paper),
        cmocka_unit_test(rotary_is_a_complex_product),
        cmocka_unit_test(dropout_keeps_its_rate),
        cmocka_unit_test(decay_sum_is_the_sum),
        cmocka_unit_test(embedding_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

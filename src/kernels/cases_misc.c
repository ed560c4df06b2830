/* Cases of the small vector operations. */
#include "kernels/cases.h"

#include <math.h>

typedef struct bias_shape {
    size_t rows, dim, gap;
} bias_shape;

static const bias_shape bias_shapes[] = {
    {0, 3, 0},  {1, 1, 1},   {3, 17, 0},    {9, 33, 5},
    {5, 64, 0}, {65, 70, 2}, {131, 301, 3}, {2048, 1024, 0},
};

static size_t bias_count(const bias_shape *s)
{
    return s->rows ? s->rows * (s->dim + s->gap) - s->gap : 0;
}

static void declare_bias_fwd(rn_case *c)
{
    const bias_shape *s = &bias_shapes[c->index];
    rn_case_shape(c, "rows %zu, dim %zu", s->rows, s->dim);
    rn_case_floats(c, "y", bias_count(s), RN_CASE_INOUT, 1.0);
    rn_case_floats(c, "b", s->dim, RN_CASE_IN, 1.0);
}

static void run_bias_fwd(const rn_case *c, rn_exec *x)
{
    const bias_shape *s = &bias_shapes[c->index];
    x->k.bias_fwd(x, rn_case_f32(c, 0), s->dim + s->gap, rn_case_f32(c, 1), s->rows,
                  s->dim);
}

static void declare_bias_bwd(rn_case *c)
{
    const bias_shape *s = &bias_shapes[c->index];
    rn_case_shape(c, "rows %zu, dim %zu", s->rows, s->dim);
    rn_case_floats(c, "db", s->dim, RN_CASE_INOUT, 1.0);
    rn_case_floats(c, "dy", bias_count(s), RN_CASE_IN, 1.0);
}

static void run_bias_bwd(const rn_case *c, rn_exec *x)
{
    const bias_shape *s = &bias_shapes[c->index];
    x->k.bias_bwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), s->dim + s->gap, s->rows,
                  s->dim);
}

typedef struct scale_shape {
    size_t rows, heads, dim;
} scale_shape;

static const scale_shape scale_shapes[] = {
    {0, 2, 4}, {1, 1, 1}, {3, 2, 17}, {5, 3, 33}, {70, 4, 90}, {2048, 4, 512},
};

static void declare_scale_rows(rn_case *c)
{
    const scale_shape *s = &scale_shapes[c->index];
    rn_case_shape(c, "rows %zu, heads %zu, dim %zu", s->rows, s->heads, s->dim);
    rn_case_floats(c, "t", s->rows * s->heads * s->dim, RN_CASE_INOUT, 1.0);
    rn_case_floats(c, "s", s->rows * s->heads, RN_CASE_IN, 2.0);
}

static void run_scale_rows(const rn_case *c, rn_exec *x)
{
    const scale_shape *s = &scale_shapes[c->index];
    x->k.scale_rows(x, rn_case_f32(c, 0), rn_case_f32(c, 1), s->rows, s->heads, s->dim);
}

static const size_t vector_lengths[] = {
    0, 1, 3, 8, 17, 31, 64, 100, 1023, 4099, 30001, 66003, (size_t)4 << 20,
};

#define VECTOR_COUNT (sizeof vector_lengths / sizeof *vector_lengths)

static size_t vector_length(const rn_case *c)
{
    return vector_lengths[c->index];
}

static float dropout_rate(const rn_case *c)
{
    static const float rates[] = {0.1f, 0.0f, 0.5f, 0.9f};
    return c->index + 1 == VECTOR_COUNT ? rates[0] : rates[c->index % 4];
}

static void declare_dropout(rn_case *c)
{
    size_t n = vector_length(c);
    rn_case_shape(c, "n %zu, p %.1f", n, (double)dropout_rate(c));
    rn_case_floats(c, "y", n, RN_CASE_OUT, 0);
    rn_case_floats(c, "in", n, RN_CASE_IN, 1.0);
}

/* A counter and a seed that use all their bits. */
static void run_dropout(const rn_case *c, rn_exec *x)
{
    const uint64_t seed = 0x9e3779b97f4a7c15u, counter = 0xfedcba9876543210u;
    x->k.dropout(x, rn_case_f32(c, 0), rn_case_f32(c, 1), vector_length(c),
                 dropout_rate(c), seed, counter + c->index);
}

/* Every third case has b = 0 and a y that holds NaN before. */
static float axpby_b(const rn_case *c)
{
    return c->index % 3 == 2 ? 0.0f : 0.75f;
}

static void declare_axpby(rn_case *c)
{
    size_t n = vector_length(c);
    bool set = axpby_b(c) == 0.0f;
    rn_case_shape(c, "n %zu, b %.2f", n, (double)axpby_b(c));
    rn_case_floats(c, "y", n, set ? RN_CASE_OUT : RN_CASE_INOUT, 1.0);
    rn_case_floats(c, "in", n, RN_CASE_IN, 1.0);
}

/* In the shortest cases nothing may cancel: the result would be all rounding error. */
static void prepare_axpby(rn_case *c)
{
    for (size_t i = 0; i < vector_length(c) && i < 16; i++) {
        rn_case_f32(c, 0)[i] = fabsf(rn_case_f32(c, 0)[i]);
        rn_case_f32(c, 1)[i] = fabsf(rn_case_f32(c, 1)[i]);
    }
}

static void run_axpby(const rn_case *c, rn_exec *x)
{
    x->k.axpby(x, rn_case_f32(c, 0), 1.25f, rn_case_f32(c, 1), axpby_b(c),
               vector_length(c));
}

static void declare_sumsq(rn_case *c)
{
    size_t n = vector_length(c);
    rn_case_shape(c, "n %zu", n);
    rn_case_doubles(c, "sum", 1, RN_CASE_INOUT);
    rn_case_floats(c, "in", n, RN_CASE_IN, 1.0);
}

static void run_sumsq(const rn_case *c, rn_exec *x)
{
    x->k.sumsq(x, c->buffer[0].data, rn_case_f32(c, 1), vector_length(c));
}

static void declare_adamw(rn_case *c)
{
    size_t n = vector_length(c);
    rn_case_shape(c, "n %zu", n);
    rn_case_floats(c, "p", n, RN_CASE_INOUT, 1.0);
    rn_case_floats(c, "g", n, RN_CASE_IN, 1.0);
    rn_case_floats(c, "m", n, RN_CASE_INOUT, 0.5);
    rn_case_floats(c, "v", n, RN_CASE_INOUT, 0.5);
}

/* Second moments are not negative; the first element has no history and no gradient. */
static void prepare_adamw(rn_case *c)
{
    float *v = rn_case_f32(c, 3);
    size_t n = vector_length(c);
    for (size_t i = 0; i < n; i++) v[i] = fabsf(v[i]);
    if (n) rn_case_f32(c, 1)[0] = rn_case_f32(c, 2)[0] = v[0] = 0.0f;
}

static void run_adamw(const rn_case *c, rn_exec *x)
{
    const double step = 7.0 + (double)c->index;
    rn_adamw h = {.lr = 0.01f,
                  .beta1 = 0.9f,
                  .beta2 = 0.98f,
                  .eps = 1e-8f,
                  .decay = 0.05f,
                  .grad_scale = 0.5f,
                  .correct1 = 1.0 - pow(0.9, step),
                  .correct2 = 1.0 - pow(0.98, step)};
    x->k.adamw(x, &h, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
               rn_case_f32(c, 3), vector_length(c));
}

#define BIAS_COUNT  (sizeof bias_shapes / sizeof *bias_shapes)
#define SCALE_COUNT (sizeof scale_shapes / sizeof *scale_shapes)

const rn_case_kind rn_case_bias_fwd = {BIAS_COUNT, declare_bias_fwd, NULL, run_bias_fwd};
const rn_case_kind rn_case_bias_bwd = {BIAS_COUNT, declare_bias_bwd, NULL, run_bias_bwd};
const rn_case_kind rn_case_scale_rows = {SCALE_COUNT, declare_scale_rows, NULL,
                                         run_scale_rows};
const rn_case_kind rn_case_dropout = {VECTOR_COUNT, declare_dropout, NULL, run_dropout};
const rn_case_kind rn_case_axpby = {VECTOR_COUNT, declare_axpby, prepare_axpby,
                                    run_axpby};
const rn_case_kind rn_case_sumsq = {VECTOR_COUNT, declare_sumsq, NULL, run_sumsq};
const rn_case_kind rn_case_adamw = {VECTOR_COUNT, declare_adamw, prepare_adamw,
                                    run_adamw};

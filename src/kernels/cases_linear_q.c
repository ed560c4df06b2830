/* Cases of the products with quantised weights: every height of a register tile, slabs of
   the depth, a last block without its pair, ranges of columns; and of activations in
   bytes: ties, and blocks that are zero, tiny or not finite. */
#include "kernels/cases_linear.h"

#include <math.h>

static const rn_linear_shape shapes[] = {
    {0, 3, 32, 0, 0, 3},       {1, 1, 32, 0, 0, 1},       {1, 40, 96, 0, 0, 40},
    {2, 17, 64, 3, 0, 17},     {3, 48, 1056, 0, 16, 48},  {4, 33, 2080, 1, 0, 33},
    {5, 50, 1024, 2, 16, 45},  {6, 64, 160, 0, 0, 64},    {7, 31, 1120, 0, 0, 31},
    {13, 70, 1248, 5, 32, 70}, {23, 100, 1312, 0, 0, 99}, {1, 8192, 2048, 0, 0, 8192},
};

#define LINEAR(name, weights)                                                            \
    static void declare_##name(rn_case *c)                                               \
    {                                                                                    \
        rn_case_linear(c, &shapes[c->index], weights, RN_ACTS_Q8);                       \
    }                                                                                    \
    static void run_##name(const rn_case *c, rn_exec *x)                                 \
    {                                                                                    \
        const rn_linear_shape *s = &shapes[c->index];                                    \
        x->k.linear_##name(x, rn_case_f32(c, 0), s->n + s->gap, &c->acts, &c->panels,    \
                           s->begin, s->end);                                            \
    }                                                                                    \
    const rn_case_kind rn_case_linear_##name = {sizeof shapes / sizeof *shapes,          \
                                                declare_##name, rn_case_linear_prepare,  \
                                                run_##name};

LINEAR(q8_0, RN_WEIGHT_Q8_0)
LINEAR(q4_0, RN_WEIGHT_Q4_0)
LINEAR(q4_k, RN_WEIGHT_Q4_K)
LINEAR(q6_k, RN_WEIGHT_Q6_K)
#undef LINEAR

typedef struct acts_shape {
    size_t rows, k, gap;
} acts_shape;

static const acts_shape acts_shapes[] = {
    {0, 32, 0}, {1, 32, 0}, {3, 96, 5}, {7, 256, 1}, {5, 1056, 0}, {256, 2048, 0},
};

static void declare_acts(rn_case *c)
{
    const acts_shape *s = &acts_shapes[c->index];
    rn_case_shape(c, "rows %zu, k %zu", s->rows, s->k);
    rn_case_bytes(c, "to", rn_acts_bytes(RN_ACTS_Q8, s->rows, s->k), RN_CASE_OUT);
    rn_case_floats(c, "in", s->rows * (s->k + s->gap), RN_CASE_IN, 3.0);
}

/* Row 0: multiples of a half under a largest 127, so that every second one is a tie.
   Row 1: a block of zeros, a tiny one; row 2: one with an infinity, one with a NaN. */
static void prepare_acts(rn_case *c)
{
    const acts_shape *s = &acts_shapes[c->index];
    float *in = rn_case_f32(c, 1);
    for (size_t i = 0; s->rows > 0 && i < RN_PANEL_BLOCK; i++)
        in[i] = i == 5 ? -127.0f : 0.5f * (float)i - 8.0f;
    if (s->rows < 3 || s->k < 2 * RN_PANEL_BLOCK) return;
    in += s->k + s->gap;
    for (size_t i = 0; i < RN_PANEL_BLOCK; i++) {
        in[i] = 0.0f;
        in[RN_PANEL_BLOCK + i] = i % 2 ? 0x1p-101f : -0x1p-130f;
    }
    in += s->k + s->gap;
    in[7] = -INFINITY;
    in[RN_PANEL_BLOCK + 31] = NAN;
}

static void run_acts(const rn_case *c, rn_exec *x)
{
    const acts_shape *s = &acts_shapes[c->index];
    rn_acts to = rn_acts_place(RN_ACTS_Q8, s->rows, s->k, c->buffer[0].data);
    x->k.acts_q8(x, &to, rn_case_f32(c, 1), s->k + s->gap);
}

const rn_case_kind rn_case_acts_q8 = {sizeof acts_shapes / sizeof *acts_shapes,
                                      declare_acts, prepare_acts, run_acts};

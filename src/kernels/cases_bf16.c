/* Cases of the products with bfloat16 and half-float weights: every height of a register
   tile, an odd depth, more than one block of it, many rows, ranges of columns; and of
   activations in bfloat16: ties, both sides of the largest number, what is not finite. */
#include "kernels/cases_linear.h"

#include "core/half.h"

static const rn_linear_shape shapes[] = {
    {0, 3, 32, 0, 0, 3},        {1, 1, 1, 0, 0, 1},        {1, 40, 96, 0, 0, 40},
    {2, 17, 65, 3, 0, 17},      {3, 48, 1027, 0, 16, 48},  {4, 33, 300, 1, 0, 33},
    {5, 50, 131, 2, 16, 45},    {6, 64, 160, 0, 0, 64},    {7, 31, 112, 0, 0, 31},
    {8, 100, 77, 0, 48, 100},   {13, 70, 2101, 5, 32, 70}, {23, 100, 512, 0, 0, 99},
    {3, 20, 0, 1, 0, 20},       {57, 20, 0, 1, 0, 20},     {57, 70, 531, 3, 16, 61},
    {50, 33, 300, 1, 0, 33},    {264, 20, 256, 0, 0, 20},  {521, 18, 260, 2, 0, 18},
    {1, 8192, 2048, 0, 0, 8192}};

#define LINEAR(name, weights, form)                                                      \
    static void declare_##name(rn_case *c)                                               \
    {                                                                                    \
        rn_case_linear(c, &shapes[c->index], weights, form);                             \
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

LINEAR(bf16, RN_WEIGHT_BF16, RN_ACTS_F32)
LINEAR(f16, RN_WEIGHT_F16, RN_ACTS_F32)
LINEAR(bf16_bf16, RN_WEIGHT_BF16, RN_ACTS_BF16)
#undef LINEAR

typedef struct acts_shape {
    size_t rows, k, gap;
} acts_shape;

static const acts_shape acts_shapes[] = {
    {0, 32, 0}, {1, 1, 0}, {3, 95, 5}, {7, 256, 1}, {5, 1057, 0}, {256, 2048, 0},
};

static void declare_acts(rn_case *c)
{
    const acts_shape *s = &acts_shapes[c->index];
    rn_case_shape(c, "rows %zu, k %zu", s->rows, s->k);
    rn_case_bytes(c, "to", rn_acts_bytes(RN_ACTS_BF16, s->rows, s->k), RN_CASE_OUT);
    rn_case_floats(c, "in", s->rows * (s->k + s->gap), RN_CASE_IN, 3.0);
}

static void prepare_acts(rn_case *c)
{
    static const uint32_t special[] = {
        0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0xbf808000, 0x7f7f7fff,
        0x7f7f8000, 0xff7fffff, 0x7f800000, 0xff800000, 0x7f800001, 0xffffffff,
        0x00000001, 0x00008000, 0x00018000, 0x807fffff, 0x80000000};
    const acts_shape *s = &acts_shapes[c->index];
    float *in = rn_case_f32(c, 1);
    for (size_t i = 0; s->rows > 0 && i < sizeof special / sizeof *special; i++)
        if (i < s->k) in[i] = rn_float_of_bits(special[i]);
}

static void run_acts(const rn_case *c, rn_exec *x)
{
    const acts_shape *s = &acts_shapes[c->index];
    rn_acts to = rn_acts_place(RN_ACTS_BF16, s->rows, s->k, c->buffer[0].data);
    x->k.acts_bf16(x, &to, rn_case_f32(c, 1), s->k + s->gap);
}

const rn_case_kind rn_case_acts_bf16 = {sizeof acts_shapes / sizeof *acts_shapes,
                                        declare_acts, prepare_acts, run_acts};

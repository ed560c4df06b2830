/* Cases of the activations and of the gated feed-forward's gate. The first elements are
   the places where approximations go wrong: zeros, saturation, the range of the
   exponential. */
#include "kernels/cases.h"

typedef struct act_shape {
    size_t rows, width; /* rows is 1 for the element-wise ones */
    rn_activation kind;
} act_shape;

static const act_shape act_shapes[] = {
    {1, 0, RN_ACT_SWISH},    {1, 1, RN_ACT_GELU},      {1, 31, RN_ACT_RELU},
    {1, 100, RN_ACT_SWISH},  {1, 1001, RN_ACT_GELU},   {1, 30011, RN_ACT_RELU},
    {1, 70001, RN_ACT_GELU}, {1, 70001, RN_ACT_SWISH}, {1, (size_t)2 << 20, RN_ACT_GELU},
};

static const act_shape glu_shapes[] = {
    {0, 3, RN_ACT_SWISH},  {1, 1, RN_ACT_SWISH},    {3, 17, RN_ACT_GELU},
    {2, 33, RN_ACT_RELU},  {5, 100, RN_ACT_SWISH},  {67, 130, RN_ACT_GELU},
    {70, 95, RN_ACT_RELU}, {129, 77, RN_ACT_SWISH}, {2048, 1024, RN_ACT_SWISH},
};

static const char *const kinds[] = {"swish", "gelu", "relu"};

static void plant_extremes(float *in, size_t n)
{
    static const float values[] = {0.0f,  -0.0f,  1e-30f, -1e-30f, 1e-3f,  -1e-3f,
                                   5.5f,  -5.5f,  13.0f,  -13.0f,  40.0f,  -40.0f,
                                   87.5f, -87.5f, 95.0f,  -95.0f,  300.0f, -300.0f};
    size_t count = sizeof values / sizeof *values;
    for (size_t i = 0; i < count && i < n; i++) in[i] = values[i];
}

static void declare_act_fwd(rn_case *c)
{
    const act_shape *s = &act_shapes[c->index];
    rn_case_shape(c, "n %zu, %s", s->width, kinds[s->kind]);
    rn_case_floats(c, "y", s->width, RN_CASE_OUT, 0);
    rn_case_floats(c, "in", s->width, RN_CASE_IN, 9.0);
}

/* Large values would hide the errors of the small ones: only the medium shapes get them.
 */
static void prepare_act_fwd(rn_case *c)
{
    if (c->index == 4) plant_extremes(rn_case_f32(c, 1), act_shapes[c->index].width);
}

static void run_act_fwd(const rn_case *c, rn_exec *x)
{
    const act_shape *s = &act_shapes[c->index];
    x->k.act_fwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), s->width, s->kind);
}

static void declare_act_bwd(rn_case *c)
{
    const act_shape *s = &act_shapes[c->index];
    rn_case_shape(c, "n %zu, %s", s->width, kinds[s->kind]);
    rn_case_floats(c, "din", s->width, RN_CASE_OUT, 0);
    rn_case_floats(c, "dy", s->width, RN_CASE_IN, 1.0);
    rn_case_floats(c, "in", s->width, RN_CASE_IN, 9.0);
}

static void prepare_act_bwd(rn_case *c)
{
    plant_extremes(rn_case_f32(c, 2), act_shapes[c->index].width);
}

static void run_act_bwd(const rn_case *c, rn_exec *x)
{
    const act_shape *s = &act_shapes[c->index];
    x->k.act_bwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2), s->width,
                 s->kind);
}

static void declare_glu_fwd(rn_case *c)
{
    const act_shape *s = &glu_shapes[c->index];
    rn_case_shape(c, "rows %zu, F %zu, %s", s->rows, s->width, kinds[s->kind]);
    rn_case_floats(c, "h", s->rows * s->width, RN_CASE_OUT, 0);
    rn_case_floats(c, "gu", 2 * s->rows * s->width, RN_CASE_IN, 6.0);
}

static void run_glu_fwd(const rn_case *c, rn_exec *x)
{
    const act_shape *s = &glu_shapes[c->index];
    x->k.glu_fwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), s->rows, s->width, s->kind);
}

static void declare_glu_bwd(rn_case *c)
{
    const act_shape *s = &glu_shapes[c->index];
    rn_case_shape(c, "rows %zu, F %zu, %s", s->rows, s->width, kinds[s->kind]);
    rn_case_floats(c, "dgu", 2 * s->rows * s->width, RN_CASE_OUT, 0);
    rn_case_floats(c, "dh", s->rows * s->width, RN_CASE_IN, 1.0);
    rn_case_floats(c, "gu", 2 * s->rows * s->width, RN_CASE_IN, 6.0);
}

static void run_glu_bwd(const rn_case *c, rn_exec *x)
{
    const act_shape *s = &glu_shapes[c->index];
    x->k.glu_bwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2), s->rows,
                 s->width, s->kind);
}

#define ACT_COUNT (sizeof act_shapes / sizeof *act_shapes)
#define GLU_COUNT (sizeof glu_shapes / sizeof *glu_shapes)

const rn_case_kind rn_case_act_fwd = {ACT_COUNT, declare_act_fwd, prepare_act_fwd,
                                      run_act_fwd};
const rn_case_kind rn_case_act_bwd = {ACT_COUNT, declare_act_bwd, prepare_act_bwd,
                                      run_act_bwd};
const rn_case_kind rn_case_glu_fwd = {GLU_COUNT, declare_glu_fwd, NULL, run_glu_fwd};
const rn_case_kind rn_case_glu_bwd = {GLU_COUNT, declare_glu_bwd, NULL, run_glu_bwd};

/* Cases of the norms. The kept moments that the gradients read are those of the inputs,
   made by the reference's forward pass. */
#include "kernels/cases.h"

#include <math.h>

typedef struct norm_shape {
    size_t rows, dim;
    bool center, w, b, stats;
} norm_shape;

static const norm_shape norm_shapes[] = {
    {0, 5, false, true, true, true},        {1, 1, false, true, false, true},
    {3, 7, true, true, true, true},         {5, 16, false, false, false, false},
    {4, 33, true, false, false, true},      {2, 129, false, true, false, false},
    {70, 100, true, true, true, true},      {131, 260, false, true, false, true},
    {2048, 1024, false, true, false, true},
};

#define EPS 1e-5f

static void optional(rn_case *c, bool there, const char *name, size_t count,
                     rn_case_role role)
{
    if (there) rn_case_floats(c, name, count, role, 1.5);
    else rn_case_absent(c);
}

static void norm_text(rn_case *c, const norm_shape *s)
{
    rn_case_shape(c, "rows %zu, dim %zu%s", s->rows, s->dim,
                  s->center ? ", centered" : "");
}

static void declare_norm_fwd(rn_case *c)
{
    const norm_shape *s = &norm_shapes[c->index];
    norm_text(c, s);
    rn_case_floats(c, "y", s->rows * s->dim, RN_CASE_OUT, 0);
    optional(c, s->stats, "stats", 2 * s->rows, RN_CASE_OUT);
    rn_case_floats(c, "in", s->rows * s->dim, RN_CASE_IN, 2.0);
    optional(c, s->w, "w", s->dim, RN_CASE_IN);
    optional(c, s->b, "b", s->dim, RN_CASE_IN);
}

static void run_norm_fwd(const rn_case *c, rn_exec *x)
{
    const norm_shape *s = &norm_shapes[c->index];
    x->k.norm_fwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                  rn_case_f32(c, 3), rn_case_f32(c, 4), s->rows, s->dim, EPS, s->center);
}

static void declare_norm_bwd(rn_case *c)
{
    const norm_shape *s = &norm_shapes[c->index];
    norm_text(c, s);
    rn_case_floats(c, "din", s->rows * s->dim, RN_CASE_INOUT, 1.0);
    optional(c, s->w, "dw", s->dim, RN_CASE_INOUT);
    optional(c, s->b, "db", s->dim, RN_CASE_INOUT);
    rn_case_floats(c, "dy", s->rows * s->dim, RN_CASE_IN, 1.0);
    rn_case_floats(c, "in", s->rows * s->dim, RN_CASE_IN, 2.0);
    optional(c, s->w, "w", s->dim, RN_CASE_IN);
    rn_case_floats(c, "stats", 2 * s->rows, RN_CASE_IN, 1.0);
}

/* The moments of `in`; the normalised rows become what din holds before. */
static void prepare_norm_bwd(rn_case *c)
{
    const norm_shape *s = &norm_shapes[c->index];
    rn_norm_fwd_ref(NULL, rn_case_f32(c, 0), rn_case_f32(c, 6), rn_case_f32(c, 4), NULL,
                    NULL, s->rows, s->dim, EPS, s->center);
}

static void run_norm_bwd(const rn_case *c, rn_exec *x)
{
    const norm_shape *s = &norm_shapes[c->index];
    x->k.norm_bwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                  rn_case_f32(c, 3), rn_case_f32(c, 4), rn_case_f32(c, 5),
                  rn_case_f32(c, 6), s->rows, s->dim, s->center);
}

typedef struct head_shape {
    size_t rows, heads, dv, gap; /* floats between the gates of two rows */
    rn_head_norm kind;
    bool gate, w, shared, stats;
} head_shape;

static const head_shape head_shapes[] = {
    {0, 2, 8, 0, RN_HEAD_NORM_RMS, true, true, true, true},
    {1, 1, 3, 0, RN_HEAD_NORM_RMS, true, true, true, true},
    {3, 2, 5, 3, RN_HEAD_NORM_GROUP, true, true, false, true},
    {4, 3, 16, 0, RN_HEAD_NORM_NONE, true, true, true, true},
    {5, 1, 33, 1, RN_HEAD_NORM_RMS, false, false, true, false},
    {2, 4, 70, 0, RN_HEAD_NORM_GROUP, false, true, false, true},
    {67, 3, 48, 20, RN_HEAD_NORM_RMS, true, true, false, true},
    {70, 2, 65, 2, RN_HEAD_NORM_GROUP, true, true, true, true},
    {2048, 4, 512, 0, RN_HEAD_NORM_RMS, true, true, false, true},
};

static size_t gate_stride(const head_shape *s)
{
    return s->heads * s->dv + s->gap;
}

static size_t gate_count(const head_shape *s)
{
    return s->rows ? s->rows * gate_stride(s) - s->gap : 0;
}

static size_t head_weights(const head_shape *s)
{
    return s->shared ? s->dv : s->heads * s->dv;
}

static rn_headnorm head_arguments(const head_shape *s)
{
    return (rn_headnorm){.rows = s->rows,
                         .heads = s->heads,
                         .dv = s->dv,
                         .ldg = gate_stride(s),
                         .w_head = s->shared ? 0 : s->dv,
                         .kind = s->kind,
                         .eps = EPS};
}

static void head_text(rn_case *c, const head_shape *s)
{
    static const char *const kinds[] = {"rms", "group", "none"};
    rn_case_shape(c, "rows %zu, heads %zu, dv %zu, %s%s", s->rows, s->heads, s->dv,
                  kinds[s->kind], s->gate ? ", gate" : "");
}

static void declare_headnorm_fwd(rn_case *c)
{
    const head_shape *s = &head_shapes[c->index];
    size_t count = s->rows * s->heads * s->dv;
    head_text(c, s);
    rn_case_floats(c, "y", count, RN_CASE_OUT, 0);
    optional(c, s->stats, "stats", 2 * s->rows * s->heads, RN_CASE_OUT);
    rn_case_floats(c, "o", count, RN_CASE_IN, 2.0);
    if (s->gate) rn_case_floats(c, "g", gate_count(s), RN_CASE_IN, 6.0);
    else rn_case_absent(c);
    optional(c, s->w, "w", head_weights(s), RN_CASE_IN);
}

static void run_headnorm_fwd(const rn_case *c, rn_exec *x)
{
    rn_headnorm d = head_arguments(&head_shapes[c->index]);
    x->k.headnorm_fwd(x, &d, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                      rn_case_f32(c, 3), rn_case_f32(c, 4));
}

static void declare_headnorm_bwd(rn_case *c)
{
    const head_shape *s = &head_shapes[c->index];
    size_t count = s->rows * s->heads * s->dv;
    head_text(c, s);
    rn_case_floats(c, "d_o", count, RN_CASE_OUT, 0);
    if (s->gate) rn_case_floats(c, "dg", gate_count(s), RN_CASE_OUT, 0);
    else rn_case_absent(c);
    optional(c, s->w, "dw", head_weights(s), RN_CASE_INOUT);
    rn_case_floats(c, "dy", count, RN_CASE_IN, 1.0);
    rn_case_floats(c, "o", count, RN_CASE_IN, 2.0);
    if (s->gate) rn_case_floats(c, "g", gate_count(s), RN_CASE_IN, 6.0);
    else rn_case_absent(c);
    optional(c, s->w, "w", head_weights(s), RN_CASE_IN);
    rn_case_floats(c, "stats", 2 * s->rows * s->heads, RN_CASE_IN, 1.0);
}

/* The moments of o; the forward pass's y goes to d_o, which is reset to NaN. */
static void prepare_headnorm_bwd(rn_case *c)
{
    rn_headnorm d = head_arguments(&head_shapes[c->index]);
    float *y = rn_case_f32(c, 0);
    rn_headnorm_fwd_ref(NULL, &d, y, rn_case_f32(c, 7), rn_case_f32(c, 4), NULL, NULL);
    for (size_t i = 0; i < d.rows * d.heads * d.dv; i++) y[i] = NAN;
}

static void run_headnorm_bwd(const rn_case *c, rn_exec *x)
{
    rn_headnorm d = head_arguments(&head_shapes[c->index]);
    x->k.headnorm_bwd(x, &d, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                      rn_case_f32(c, 3), rn_case_f32(c, 4), rn_case_f32(c, 5),
                      rn_case_f32(c, 6), rn_case_f32(c, 7));
}

#define NORM_COUNT (sizeof norm_shapes / sizeof *norm_shapes)
#define HEAD_COUNT (sizeof head_shapes / sizeof *head_shapes)

const rn_case_kind rn_case_norm_fwd = {NORM_COUNT, declare_norm_fwd, NULL, run_norm_fwd};
const rn_case_kind rn_case_norm_bwd = {NORM_COUNT, declare_norm_bwd, prepare_norm_bwd,
                                       run_norm_bwd};
const rn_case_kind rn_case_headnorm_fwd = {HEAD_COUNT, declare_headnorm_fwd, NULL,
                                           run_headnorm_fwd};
const rn_case_kind rn_case_headnorm_bwd = {HEAD_COUNT, declare_headnorm_bwd,
                                           prepare_headnorm_bwd, run_headnorm_bwd};

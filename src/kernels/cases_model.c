/* Cases of the operations at the model's edges: embedding, rotary position, cross
 * entropy. */
#include "kernels/cases.h"

#include <math.h>

typedef struct rotary_shape {
    size_t rows, period, heads, dk, gap;
    rn_rotary_kind kind;
    float scale;
    bool inverse;
} rotary_shape;

static const rotary_shape rotary_shapes[] = {
    {0, 4, 2, 8, 0, RN_ROTARY_ADJACENT, 1.0f, false},
    {3, 4, 1, 2, 1, RN_ROTARY_ADJACENT, 0.5f, true},
    {5, 2, 3, 6, 0, RN_ROTARY_HALVES, 1.0f, false},
    {7, 7, 2, 20, 5, RN_ROTARY_ADJACENT, 0.25f, false},
    {9, 3, 1, 33, 0, RN_ROTARY_NONE, 0.125f, false},
    {4, 4, 2, 36, 3, RN_ROTARY_HALVES, 2.0f, true},
    {130, 50, 3, 64, 7, RN_ROTARY_ADJACENT, 0.125f, true},
    {129, 64, 3, 70, 0, RN_ROTARY_HALVES, 0.125f, false},
    {2048, 512, 4, 256, 0, RN_ROTARY_ADJACENT, 0.0625f, false},
};

static void declare_rotary(rn_case *c)
{
    static const char *const kinds[] = {"adjacent", "halves", "none"};
    const rotary_shape *s = &rotary_shapes[c->index];
    size_t ld = s->heads * s->dk + s->gap;
    rn_case_shape(c, "rows %zu, heads %zu, dk %zu, %s", s->rows, s->heads, s->dk,
                  kinds[s->kind]);
    rn_case_floats(c, "cos", s->period * (s->dk / 2), RN_CASE_IN, 1.0);
    rn_case_floats(c, "sin", s->period * (s->dk / 2), RN_CASE_IN, 1.0);
    rn_case_floats(c, "t", s->rows ? s->rows * ld - s->gap : 0, RN_CASE_INOUT, 1.0);
}

/* The random numbers of cos become angles. */
static void prepare_rotary(rn_case *c)
{
    const rotary_shape *s = &rotary_shapes[c->index];
    for (size_t i = 0; i < s->period * (s->dk / 2); i++) {
        float angle = 3.14159265f * rn_case_f32(c, 0)[i];
        rn_case_f32(c, 0)[i] = cosf(angle);
        rn_case_f32(c, 1)[i] = sinf(angle);
    }
}

static void run_rotary(const rn_case *c, rn_exec *x)
{
    const rotary_shape *s = &rotary_shapes[c->index];
    rn_rotary d = {.rows = s->rows,
                   .period = s->period,
                   .heads = s->heads,
                   .dk = s->dk,
                   .ld = s->heads * s->dk + s->gap,
                   .cos = rn_case_f32(c, 0),
                   .sin = rn_case_f32(c, 1),
                   .kind = s->kind,
                   .scale = s->scale,
                   .inverse = s->inverse};
    x->k.rotary(x, &d, rn_case_f32(c, 2));
}

typedef struct embed_shape {
    size_t rows, dim, vocab;
    float scale;
} embed_shape;

static const embed_shape embed_shapes[] = {
    {0, 3, 2, 1.0f},    {1, 1, 1, 2.0f},      {9, 17, 4, 1.5f},
    {33, 100, 7, 0.5f}, {300, 130, 40, 3.0f}, {2048, 1024, 32000, 1.0f},
};

static void embed_text(rn_case *c, const embed_shape *s)
{
    rn_case_shape(c, "rows %zu, dim %zu, vocabulary %zu", s->rows, s->dim, s->vocab);
}

static void declare_embed_fwd(rn_case *c)
{
    const embed_shape *s = &embed_shapes[c->index];
    embed_text(c, s);
    rn_case_floats(c, "y", s->rows * s->dim, RN_CASE_OUT, 0);
    rn_case_floats(c, "table", s->vocab * s->dim, RN_CASE_IN, 1.0);
    rn_case_ids(c, "ids", s->rows, 0, (int)s->vocab);
    c->bytes = 4.0 * (double)(s->rows * (2 * s->dim + 1));
}

static void run_embed_fwd(const rn_case *c, rn_exec *x)
{
    const embed_shape *s = &embed_shapes[c->index];
    x->k.embed_fwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_i32(c, 2), s->rows,
                   s->dim, s->scale);
}

static void declare_embed_bwd(rn_case *c)
{
    const embed_shape *s = &embed_shapes[c->index];
    embed_text(c, s);
    rn_case_floats(c, "dtable", s->vocab * s->dim, RN_CASE_INOUT, 1.0);
    rn_case_floats(c, "dy", s->rows * s->dim, RN_CASE_IN, 1.0);
    rn_case_ids(c, "ids", s->rows, 0, (int)s->vocab);
    c->bytes = 4.0 * (double)(s->rows * (3 * s->dim + 1));
}

static void run_embed_bwd(const rn_case *c, rn_exec *x)
{
    const embed_shape *s = &embed_shapes[c->index];
    x->k.embed_bwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_i32(c, 2), s->rows,
                   s->dim, s->scale);
}

typedef struct xent_shape {
    size_t rows, vocab;
    double spread; /* of the logits */
} xent_shape;

static const xent_shape xent_shapes[] = {
    {0, 4, 1.0},   {1, 1, 5.0},     {3, 7, 8.0},     {5, 33, 90.0},
    {9, 256, 4.0}, {67, 257, 12.0}, {12, 5003, 6.0}, {1024, 8192, 6.0},
};

static void xent_text(rn_case *c, const xent_shape *s)
{
    rn_case_shape(c, "rows %zu, vocabulary %zu", s->rows, s->vocab);
}

/* About a tenth of the targets is negative: masked. */
static void xent_targets(rn_case *c, const xent_shape *s)
{
    rn_case_ids(c, "targets", s->rows, -1 - (int)s->vocab / 10, (int)s->vocab);
}

static void declare_xent_fwd(rn_case *c)
{
    const xent_shape *s = &xent_shapes[c->index];
    xent_text(c, s);
    rn_case_floats(c, "loss", s->rows, RN_CASE_OUT, 0);
    rn_case_floats(c, "lse", s->rows, RN_CASE_OUT, 0);
    rn_case_floats(c, "logits", s->rows * s->vocab, RN_CASE_IN, s->spread);
    xent_targets(c, s);
}

static void run_xent_fwd(const rn_case *c, rn_exec *x)
{
    const xent_shape *s = &xent_shapes[c->index];
    x->k.xent_fwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                  rn_case_i32(c, 3), s->rows, s->vocab);
}

static void declare_xent_bwd(rn_case *c)
{
    const xent_shape *s = &xent_shapes[c->index];
    xent_text(c, s);
    rn_case_floats(c, "logits", s->rows * s->vocab, RN_CASE_INOUT, s->spread);
    rn_case_floats(c, "lse", s->rows, RN_CASE_IN, 1.0);
    xent_targets(c, s);
}

static void prepare_xent_bwd(rn_case *c)
{
    const xent_shape *s = &xent_shapes[c->index];
    float *lse = rn_case_f32(c, 1);
    for (size_t r = 0; r < s->rows; r++) {
        float loss;
        rn_xent_fwd_ref(NULL, &loss, lse + r, rn_case_f32(c, 0) + r * s->vocab,
                        rn_case_i32(c, 2) + r, 1, s->vocab);
    }
}

static void run_xent_bwd(const rn_case *c, rn_exec *x)
{
    const xent_shape *s = &xent_shapes[c->index];
    x->k.xent_bwd(x, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_i32(c, 2), s->rows,
                  s->vocab, 0.25f);
}

#define ROTARY_COUNT (sizeof rotary_shapes / sizeof *rotary_shapes)
#define EMBED_COUNT  (sizeof embed_shapes / sizeof *embed_shapes)
#define XENT_COUNT   (sizeof xent_shapes / sizeof *xent_shapes)

const rn_case_kind rn_case_rotary = {ROTARY_COUNT, declare_rotary, prepare_rotary,
                                     run_rotary};
const rn_case_kind rn_case_embed_fwd = {EMBED_COUNT, declare_embed_fwd, NULL,
                                        run_embed_fwd};
const rn_case_kind rn_case_embed_bwd = {EMBED_COUNT, declare_embed_bwd, NULL,
                                        run_embed_bwd};
const rn_case_kind rn_case_xent_fwd = {XENT_COUNT, declare_xent_fwd, NULL, run_xent_fwd};
const rn_case_kind rn_case_xent_bwd = {XENT_COUNT, declare_xent_bwd, prepare_xent_bwd,
                                       run_xent_bwd};

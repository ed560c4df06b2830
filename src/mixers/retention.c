/*
 * Multi-scale retention (arXiv 2307.08621, section 2.2):
 *
 *   q, k, v, g = x W_q, x W_k, x W_v, x W_g
 *   y = (swish(g) * HeadNorm(Retention(q, k, v))) W_o
 *
 * with q and k rotated by position and q scaled by dk^-1/2.
 *
 * q, k, v and g are one product and lie side by side in one matrix [rows][N]; the
 * retention kernels take them by their strides. All three forms are one call here; which
 * one runs is the segment's word.
 */
#include "mixers/mixers.h"
#include "mixers/retention.h"

#include "core/arena.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

retention_widths rn_retention_widths(const rn_mixer_config *c)
{
    retention_widths w = {.q = c->heads * c->key_dim,
                          .k = c->kv_heads * c->key_dim,
                          .v = c->kv_heads * c->value_dim,
                          .g = c->output_gate ? c->heads * c->value_dim : 0};
    w.all = w.q + w.k + w.v + w.g;
    return w;
}

static void matrix(rn_param_spec *p, const char *name, size_t out, size_t in, float gain)
{
    *p = (rn_param_spec){.dims = out ? 2 : 0, .shape = {out, in}, .gain = gain};
    snprintf(p->name, sizeof p->name, "%s.weight", name);
}

static void vector(rn_param_spec *p, const char *name, size_t n, float constant)
{
    *p = (rn_param_spec){.dims = n ? 1 : 0, .shape = {n, 1}, .constant = constant};
    snprintf(p->name, sizeof p->name, "%s", name);
}

static bool param(const rn_mixer_config *c, size_t i, rn_param_spec *p)
{
    const float in_gain = 0.17677669f,
                out_gain = 0.5f; /* 2^-2.5 and 2^-1, torchscale's */
    const retention_widths w = rn_retention_widths(c);
    const size_t bias = c->bias, o_in = c->heads * c->value_dim;
    switch (i) {
    case RETENTION_Q: matrix(p, "q", w.q, c->width, in_gain); return true;
    case RETENTION_K: matrix(p, "k", w.k, c->width, in_gain); break;
    case RETENTION_V:
        matrix(p, "v", w.v, c->width, in_gain);
        p->deepnorm = true;
        break;
    case RETENTION_G: matrix(p, "g", w.g, c->width, in_gain); break;
    case RETENTION_Q_BIAS: vector(p, "q.bias", bias * w.q, 0.0f); return true;
    case RETENTION_K_BIAS: vector(p, "k.bias", bias * w.k, 0.0f); break;
    case RETENTION_V_BIAS: vector(p, "v.bias", bias * w.v, 0.0f); break;
    case RETENTION_G_BIAS: vector(p, "g.bias", bias * w.g, 0.0f); break;
    case RETENTION_O:
        matrix(p, "o", c->width, o_in, out_gain);
        p->deepnorm = true;
        return true;
    case RETENTION_O_BIAS: vector(p, "o.bias", bias * c->width, 0.0f); return true;
    case RETENTION_HEAD_NORM: {
        bool shared = c->head_norm_weight == RN_HEAD_NORM_WEIGHT_SHARED;
        bool none = c->head_norm_weight == RN_HEAD_NORM_WEIGHT_NONE;
        vector(p, "head_norm.weight", none ? 0 : shared ? c->value_dim : o_in, 1.0f);
        return true;
    }
    default: return false;
    }
    p->joined = true;
    return true;
}

static size_t state_floats(const rn_mixer_config *c, rn_row_norm norm)
{
    size_t sums = norm == RN_ROW_NORM_PAPER; /* z beside each S */
    return c->heads * c->key_dim * (c->value_dim + sums);
}

/* What forward keeps for backward. */
typedef struct saved {
    float *qkvg;      /* [rows][N], q and k rotated */
    float *o;         /* [rows][H dv], after the row normaliser */
    float *row_scale; /* [rows][H] */
    float *stats;     /* [rows][H][2] of the head norm */
    float *gated;     /* [rows][H dv], what W_o is applied to */
} saved;

static saved place_saved(const rn_mixer_config *c, size_t rows, float *base,
                         size_t *floats)
{
    rn_carver m = {.base = (char *)base};
    size_t o = c->heads * c->value_dim;
    saved s = {.qkvg = rn_carve_floats(&m, rows * rn_retention_widths(c).all),
               .o = rn_carve_floats(&m, rows * o),
               .row_scale = rn_carve_floats(&m, rows * c->heads),
               .stats = rn_carve_floats(&m, rows * c->heads * 2),
               .gated = rn_carve_floats(&m, rows * o)};
    if (floats) *floats = m.used / sizeof(float);
    return s;
}

static size_t saved_floats(const rn_mixer_config *c, size_t rows)
{
    size_t floats;
    place_saved(c, rows, NULL, &floats);
    return floats;
}

/* The scratch of backward. */
typedef struct scratch {
    float *dqkvg, *dgated, *d_o;
} scratch;

static scratch place_scratch(const rn_mixer_config *c, size_t rows, float *base,
                             size_t *floats)
{
    rn_carver m = {.base = (char *)base};
    size_t o = c->heads * c->value_dim;
    scratch s = {.dqkvg = rn_carve_floats(&m, rows * rn_retention_widths(c).all),
                 .dgated = rn_carve_floats(&m, rows * o),
                 .d_o = rn_carve_floats(&m, rows * o)};
    if (floats) *floats = m.used / sizeof(float);
    return s;
}

static size_t work_floats(const rn_mixer_config *c, size_t rows, bool training)
{
    size_t floats = 0;
    if (training) place_scratch(c, rows, NULL, &floats);
    return floats;
}

retention_tables rn_retention_tables(const rn_mixer_config *c, size_t period,
                                     const float *base, size_t *floats)
{
    rn_carver m = {.base = (char *)base};
    retention_tables t = {.log_decay = rn_carve_floats(&m, c->heads)};
    t.cos = rn_carve_floats(&m, period * (c->key_dim / 2));
    t.sin = rn_carve_floats(&m, period * (c->key_dim / 2));
    if (floats) *floats = m.used / sizeof(float);
    return t;
}

static size_t shared_floats(const rn_mixer_config *c, size_t rows)
{
    size_t floats;
    rn_retention_tables(c, rows, NULL, &floats);
    return floats;
}

double rn_rotary_angle(const rn_mixer_config *c, size_t i)
{
    double n = (double)c->key_dim;
    if (c->angle_count) return c->angles[i];
    if (c->rotary == RN_ROTARY_HALVES) return pow(10000.0, -2.0 * (double)i / n);
    return c->key_dim == 2 ? 1.0 : pow(10000.0, -(double)i / (n / 2.0 - 1.0));
}

/* Rows of the tables from `row` on for positions from n on. */
static void fill_tables(const rn_mixer_config *c, retention_tables t, size_t row,
                        size_t end, uint64_t n)
{
    size_t half = c->key_dim / 2;
    for (; row < end; row++, n++) {
        for (size_t i = 0; i < half; i++) {
            double angle = (double)n * rn_rotary_angle(c, i);
            t.cos[row * half + i] = (float)cos(angle);
            t.sin[row * half + i] = (float)sin(angle);
        }
    }
}

/* A sequence shares the rows of the longest one before it where both begin at one
   position, as the documents of a packed row do. */
static void prepare(const rn_mixer_config *c, const rn_segment *s, float *shared)
{
    retention_tables t = rn_retention_tables(c, s->period, shared, NULL);
    for (size_t h = 0; h < c->heads; h++) t.log_decay[h] = (float)log(c->decays[h]);
    if (c->rotary == RN_ROTARY_NONE) return;
    size_t half = c->key_dim / 2, longest = 0, most = 0;
    for (size_t b = 0; b < s->batch && s->first[b] < s->period; b++) {
        size_t row = s->first[b], rows = s->first[b + 1] - row, same = 0;
        if (s->position[b] == s->position[longest]) same = rows < most ? rows : most;
        size_t from = s->first[longest] * half, to = row * half;
        memcpy(t.cos + to, t.cos + from, same * half * sizeof *t.cos);
        memcpy(t.sin + to, t.sin + from, same * half * sizeof *t.sin);
        fill_tables(c, t, row + same, row + rows, s->position[b] + same);
        if (rows <= most) continue;
        most = rows;
        longest = b;
    }
}

static void rotate(rn_exec *x, const rn_mixer_config *c, const rn_segment *s, float *qkvg,
                   bool inverse)
{
    retention_widths w = rn_retention_widths(c);
    retention_tables t = rn_retention_tables(c, s->period, s->shared, NULL);
    rn_rotary d = {.rows = s->rows,
                   .period = s->period,
                   .heads = c->heads,
                   .dk = c->key_dim,
                   .ld = w.all,
                   .cos = t.cos,
                   .sin = t.sin,
                   .kind = c->rotary,
                   .scale = (float)(1.0 / sqrt((double)c->key_dim)),
                   .inverse = inverse};
    x->k.rotary(x, &d, qkvg);
    if (c->rotary == RN_ROTARY_NONE) return;
    d.heads = c->kv_heads;
    d.scale = 1.0f;
    x->k.rotary(x, &d, qkvg + w.q);
}

static rn_retention operation(const rn_mixer_config *c, const rn_segment *s)
{
    retention_widths w = rn_retention_widths(c);
    size_t chunk = s->chunk ? s->chunk : rn_retention_chunk(c->key_dim, c->value_dim);
    return (rn_retention){
        .batch = s->batch,
        .first = s->first,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .dk = c->key_dim,
        .dv = c->value_dim,
        .q_row = w.all,
        .k_row = w.all,
        .v_row = w.all,
        .o_row = c->heads * c->value_dim,
        .log_decay = rn_retention_tables(c, s->period, s->shared, NULL).log_decay,
        .decay_head = 1,
        .seen = s->position,
        .norm = s->row_norm,
        .chunk = s->form == RN_FORM_PARALLEL ? 0 : chunk,
    };
}

static void retain(rn_exec *x, const rn_mixer_config *c, const rn_mixer_pass *p,
                   const saved *s)
{
    rn_retention d = operation(c, p->segment);
    retention_widths w = rn_retention_widths(c);
    const float *q = s->qkvg, *k = q + w.q, *v = k + w.k;
    float **z = d.norm == RN_ROW_NORM_PAPER && p->state ? p->parts : NULL;
    for (size_t b = 0; z && b < d.batch; b++)
        z[b] = p->state[b] + c->heads * c->key_dim * c->value_dim;
    if (p->segment->form == RN_FORM_RECURRENT)
        rn_retention_recurrent(x, &d, s->o, s->row_scale, q, k, v, p->state, z);
    else x->k.retention_fwd(x, &d, s->o, s->row_scale, q, k, v, p->state, z);
}

static rn_headnorm head_norm(const rn_mixer_config *c, size_t rows)
{
    bool channel = c->head_norm_weight == RN_HEAD_NORM_WEIGHT_CHANNEL;
    return (rn_headnorm){.rows = rows,
                         .heads = c->heads,
                         .dv = c->value_dim,
                         .ldg = rn_retention_widths(c).all,
                         .w_head = channel ? c->value_dim : 0,
                         .kind = c->head_norm,
                         .eps = (float)c->norm_eps};
}

static void forward(rn_exec *x, const rn_mixer_config *c, const rn_mixer_pass *p,
                    float *y, const float *in)
{
    size_t rows = p->segment->rows, o_in = c->heads * c->value_dim;
    retention_widths w = rn_retention_widths(c);
    saved s = place_saved(c, rows, p->saved, NULL);
    rn_form form = p->segment->form;
    rn_linear(x, form, s.qkvg, w.all, in, c->width, &p->matrices[RETENTION_Q], rows);
    if (c->bias)
        x->k.bias_fwd(x, s.qkvg, w.all, p->params[RETENTION_Q_BIAS], rows, w.all);
    rotate(x, c, p->segment, s.qkvg, false);
    retain(x, c, p, &s);
    const float *g = c->output_gate ? s.qkvg + w.all - w.g : NULL;
    rn_headnorm d = head_norm(c, rows);
    x->k.headnorm_fwd(x, &d, s.gated, s.stats, s.o, g, p->params[RETENTION_HEAD_NORM]);
    rn_linear(x, form, y, c->width, s.gated, o_in, &p->matrices[RETENTION_O], rows);
    if (c->bias)
        x->k.bias_fwd(x, y, c->width, p->params[RETENTION_O_BIAS], rows, c->width);
}

static void backward(rn_exec *x, const rn_mixer_config *c, const rn_mixer_pass *p,
                     float *din, const float *dy, const float *in)
{
    size_t rows = p->segment->rows, o_in = c->heads * c->value_dim;
    retention_widths w = rn_retention_widths(c);
    saved s = place_saved(c, rows, p->saved, NULL);
    scratch t = place_scratch(c, rows, p->work, NULL);
    float *const *grads = p->grads;
    if (c->bias) x->k.bias_bwd(x, grads[RETENTION_O_BIAS], dy, c->width, rows, c->width);
    rn_linear_backward(x, t.dgated, o_in, grads[RETENTION_O], dy, c->width, s.gated, o_in,
                       &p->matrices[RETENTION_O], rows);

    bool gate = c->output_gate;
    rn_headnorm n = head_norm(c, rows);
    x->k.headnorm_bwd(x, &n, t.d_o, gate ? t.dqkvg + w.all - w.g : NULL,
                      grads[RETENTION_HEAD_NORM], t.dgated, s.o,
                      gate ? s.qkvg + w.all - w.g : NULL, p->params[RETENTION_HEAD_NORM],
                      s.stats);

    rn_retention d = operation(c, p->segment);
    if (d.norm != RN_ROW_NORM_NONE)
        x->k.scale_rows(x, t.d_o, s.row_scale, rows, c->heads, c->value_dim);
    const float *q = s.qkvg, *k = q + w.q, *v = k + w.k;
    float *dq = t.dqkvg, *dk = dq + w.q, *dv = dk + w.k;
    x->k.retention_bwd(x, &d, dq, dk, dv, t.d_o, q, k, v, NULL, NULL);
    rotate(x, c, p->segment, t.dqkvg, true);
    if (c->bias) x->k.bias_bwd(x, grads[RETENTION_Q_BIAS], t.dqkvg, w.all, rows, w.all);
    rn_linear_backward(x, din, c->width, grads[RETENTION_Q], t.dqkvg, w.all, in, c->width,
                       &p->matrices[RETENTION_Q], rows);
}

static size_t scratch_bytes(const rn_mixer_config *c)
{
    return rn_retention_scratch(c->key_dim, c->value_dim);
}

/* A multiply-add is 2; the state's decay, outer product and read-out are 5 a number. */
static double flops_per_token(const rn_mixer_config *c)
{
    double d = (double)c->width, o = (double)(c->heads * c->value_dim);
    return 2.0 * d * (double)rn_retention_widths(c).all + 2.0 * o * d +
           5.0 * o * (double)c->key_dim;
}

const rn_mixer rn_mixer_retention = {
    .name = "retention",
    .param = param,
    .state_floats = state_floats,
    .saved_floats = saved_floats,
    .work_floats = work_floats,
    .shared_floats = shared_floats,
    .scratch_bytes = scratch_bytes,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .tail_floats = rn_retention_tail_floats,
    .step_bytes = rn_retention_step_bytes,
    .tail_run = rn_retention_tail_run,
    .step = rn_retention_step,
    .fold = rn_retention_fold,
    .halve = rn_retention_halve,
    .flops_per_token = flops_per_token,
};

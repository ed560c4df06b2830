/*
 * One layer, forward and backward. Both norm positions are the same steps in another
 * order:
 *
 *   pre    mid = alpha x + mixer(norm1 x)     out = alpha mid + ffn(norm2 mid)
 *   post   mid = norm1(alpha x + mixer x)     out = norm2(alpha mid + ffn mid)
 */
#include "model/run.h"

#include <string.h>

static void norm(rn_run *run, const rn_norm_at *at, float *y, float *stats,
                 const float *in, size_t dim, bool center)
{
    rn_exec *x = run->m->x;
    const float *w = run->m->weights;
    x->k.norm_fwd(x, y, stats, in, rn_at_const(w, at->weight), rn_at_const(w, at->bias),
                  run->rows, dim, (float)run->m->config.mixer.norm_eps, center);
}

static void norm_backward(rn_run *run, const rn_norm_at *at, float *grads, float *din,
                          const float *dy, const float *in, const float *stats,
                          size_t dim, bool center)
{
    rn_exec *x = run->m->x;
    x->k.norm_bwd(x, din, rn_at(grads, at->weight), rn_at(grads, at->bias), dy, in,
                  rn_at_const(run->m->weights, at->weight), stats, run->rows, dim,
                  center);
}

void rn_run_norm(rn_run *run, const rn_norm_at *at, float *y, float *stats,
                 const float *in)
{
    const rn_config *c = &run->m->config;
    norm(run, at, y, stats, in, c->mixer.width, c->norm == RN_NORM_LAYER);
}

void rn_run_norm_backward(rn_run *run, const rn_norm_at *at, float *grads, float *din,
                          const float *dy, const float *in, const float *stats)
{
    const rn_config *c = &run->m->config;
    norm_backward(run, at, grads, din, dy, in, stats, c->mixer.width,
                  c->norm == RN_NORM_LAYER);
}

void rn_run_hidden_norm(rn_run *run, const rn_norm_at *at, float *y, float *stats,
                        const float *in)
{
    const rn_config *c = &run->m->config;
    norm(run, at, y, stats, in, c->ffn_width, rn_config_ffn_norm_centers(c));
}

void rn_run_hidden_norm_backward(rn_run *run, const rn_norm_at *at, float *grads,
                                 float *din, const float *dy, const float *in,
                                 const float *stats)
{
    const rn_config *c = &run->m->config;
    norm_backward(run, at, grads, din, dy, in, stats, c->ffn_width,
                  rn_config_ffn_norm_centers(c));
}

/* Whether anything is dropped at all. */
static bool drops(const rn_run *run)
{
    return run->options.training && run->options.dropout > 0.0;
}

void rn_run_dropout(rn_run *run, float *y, size_t site)
{
    if (!drops(run)) return;
    rn_exec *x = run->m->x;
    size_t sites = 2 * run->m->config.layers + 1;
    x->k.dropout(x, y, y, run->rows * run->m->config.mixer.width,
                 (float)run->options.dropout, run->options.dropout_seed,
                 run->dropout_counter * sites + site);
}

static rn_mixer_pass mixer_pass(rn_run *run, size_t layer, layer_pass *p, float *grads)
{
    const rn_layer_at *at = &run->m->at->layers[layer];
    for (size_t i = 0; i < RN_MAX_PARAMS; i++) {
        run->params[i] = rn_at_const(run->m->weights, at->mixer[i]);
        run->grads[i] = grads ? rn_at(grads, at->mixer[i]) : NULL;
    }
    return (rn_mixer_pass){.segment = &run->segment,
                           .params = run->params,
                           .matrices = at->mixer_matrix,
                           .grads = run->grads,
                           .parts = run->parts,
                           .saved = p->mixer,
                           .work = run->work};
}

static void mix(rn_run *run, size_t layer, layer_pass *p, float *const *state, float *y,
                const float *in)
{
    const rn_mixer_config *c = &run->m->config.mixer;
    rn_mixer_pass pass = mixer_pass(run, layer, p, NULL);
    if (state) {
        size_t floats = c->kind->state_floats(c, run->segment.row_norm);
        for (size_t b = 0; b < run->segment.batch; b++)
            run->state[b] = state[b] + layer * floats;
        pass.state = run->state;
    }
    c->kind->forward(run->m->x, c, &pass, y, in);
}

/* branch = alpha in + branch. */
static void residual(rn_run *run, float *branch, const float *in)
{
    rn_exec *x = run->m->x;
    size_t n = run->rows * run->m->config.mixer.width;
    x->k.axpby(x, branch, (float)run->m->config.residual_scale, in, 1.0f, n);
}

void rn_run_layer(rn_run *run, size_t layer, float *const *state, float *out,
                  const float *in)
{
    const rn_layer_at *at = &run->m->at->layers[layer];
    layer_pass *p = &run->layers[layer];
    bool pre = run->m->config.norm_position == RN_NORM_PRE;

    if (pre) rn_run_norm(run, &at->mixer_norm, p->norm1, p->stats1, in);
    float *sum = pre ? p->mid : p->norm1;
    mix(run, layer, p, state, sum, pre ? p->norm1 : in);
    rn_run_dropout(run, sum, 1 + 2 * layer);
    residual(run, sum, in);
    if (!pre) rn_run_norm(run, &at->mixer_norm, p->mid, p->stats1, p->norm1);

    if (pre) rn_run_norm(run, &at->ffn_norm, p->norm2, p->stats2, p->mid);
    sum = pre ? out : p->norm2;
    rn_run_ffn(run, layer, p, sum, pre ? p->norm2 : p->mid);
    rn_run_dropout(run, sum, 2 + 2 * layer);
    residual(run, sum, p->mid);
    if (!pre) rn_run_norm(run, &at->ffn_norm, out, p->stats2, p->norm2);
}

/* Gradient through out = alpha in + branch(norm in) or norm(alpha in + branch in), where
   the branch's own backward pass has been handed in as a function. */
typedef void branch_backward(rn_run *run, size_t layer, float *grads, float *din,
                             const float *dy, const float *in);

static void mixer_backward(rn_run *run, size_t layer, float *grads, float *din,
                           const float *dy, const float *in)
{
    const rn_mixer_config *c = &run->m->config.mixer;
    rn_mixer_pass pass = mixer_pass(run, layer, &run->layers[layer], grads);
    c->kind->backward(run->m->x, c, &pass, din, dy, in);
}

static void ffn_backward(rn_run *run, size_t layer, float *grads, float *din,
                         const float *dy, const float *in)
{
    rn_run_ffn_backward(run, layer, &run->layers[layer], grads, din, dy, in);
}

/* One half of a layer. normed: the layer_pass's norm buffer; in: the half's input. */
static void half_backward(rn_run *run, size_t layer, float *grads, size_t site,
                          const rn_norm_at *norm, const float *normed, const float *stats,
                          const float *in, branch_backward *branch)
{
    rn_exec *x = run->m->x;
    grad_work *g = &run->grad;
    size_t d = run->m->config.mixer.width, n = run->rows * d;
    float alpha = (float)run->m->config.residual_scale;
    bool pre = run->m->config.norm_position == RN_NORM_PRE;
    if (!pre) { /* through the norm first: dx becomes the gradient of the sum */
        rn_exec_zero(x, g->a, n);
        rn_run_norm_backward(run, norm, grads, g->a, g->dx, normed, stats);
        memcpy(g->dx, g->a, n * sizeof *g->a);
    }
    const float *dy = g->dx;
    if (drops(run)) {
        memcpy(g->a, dy, n * sizeof *g->a);
        rn_run_dropout(run, g->a, site);
        dy = g->a;
    }
    branch(run, layer, grads, g->b, dy, pre ? normed : in);
    if (alpha != 1.0f) x->k.axpby(x, g->dx, 0.0f, g->b, alpha, n);
    if (pre) rn_run_norm_backward(run, norm, grads, g->dx, g->b, in, stats);
    else x->k.axpby(x, g->dx, 1.0f, g->b, 1.0f, n);
}

void rn_run_layer_backward(rn_run *run, size_t layer, float *grads, const float *in)
{
    const rn_layer_at *at = &run->m->at->layers[layer];
    const layer_pass *p = &run->layers[layer];
    half_backward(run, layer, grads, 2 + 2 * layer, &at->ffn_norm, p->norm2, p->stats2,
                  p->mid, ffn_backward);
    half_backward(run, layer, grads, 1 + 2 * layer, &at->mixer_norm, p->norm1, p->stats1,
                  in, mixer_backward);
}

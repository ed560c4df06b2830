/*
 * The feed-forward: gated h = act(x W_gate) * (x W_up), or plain h = act(x W_up); then an
 * optional norm over F, then h W_down.
 */
#include "model/run.h"

void rn_run_ffn(rn_run *run, size_t layer, layer_pass *p, float *y, const float *in)
{
    rn_exec *x = run->m->x;
    const rn_config *c = &run->m->config;
    const rn_layer_at *at = &run->m->at->layers[layer];
    const float *w = run->m->weights;
    size_t rows = run->rows, d = c->mixer.width, f = c->ffn_width;
    size_t n = c->ffn == RN_FFN_GATED ? 2 * f : f;

    rn_form form = run->segment.form;
    rn_linear(x, form, p->in, n, in, d, &at->in_matrix, rows);
    if (at->in_bias != RN_ABSENT) x->k.bias_fwd(x, p->in, n, w + at->in_bias, rows, n);
    if (c->ffn == RN_FFN_GATED) x->k.glu_fwd(x, p->hidden, p->in, rows, f, c->activation);
    else x->k.act_fwd(x, p->hidden, p->in, rows * f, c->activation);
    if (c->ffn_norm)
        rn_run_hidden_norm(run, &at->hidden_norm, p->hidden_normed, p->stats3, p->hidden);
    rn_linear(x, form, y, d, p->hidden_normed, f, &at->down_matrix, rows);
    if (at->down_bias != RN_ABSENT) x->k.bias_fwd(x, y, d, w + at->down_bias, rows, d);
}

void rn_run_ffn_backward(rn_run *run, size_t layer, layer_pass *p, float *grads,
                         float *din, const float *dy, const float *in)
{
    rn_exec *x = run->m->x;
    const rn_config *c = &run->m->config;
    const rn_layer_at *at = &run->m->at->layers[layer];
    const grad_work *g = &run->grad;
    size_t rows = run->rows, d = c->mixer.width, f = c->ffn_width;
    size_t n = c->ffn == RN_FFN_GATED ? 2 * f : f;

    if (at->down_bias != RN_ABSENT)
        x->k.bias_bwd(x, grads + at->down_bias, dy, d, rows, d);
    rn_linear_backward(x, g->d_hidden_normed, f, grads + at->down, dy, d,
                       p->hidden_normed, f, &at->down_matrix, rows);
    if (c->ffn_norm) {
        rn_exec_zero(x, g->d_hidden, rows * f);
        rn_run_hidden_norm_backward(run, &at->hidden_norm, grads, g->d_hidden,
                                    g->d_hidden_normed, p->hidden, p->stats3);
    }
    if (c->ffn == RN_FFN_GATED)
        x->k.glu_bwd(x, g->d_in, g->d_hidden, p->in, rows, f, c->activation);
    else x->k.act_bwd(x, g->d_in, g->d_hidden, p->in, rows * f, c->activation);
    if (at->in_bias != RN_ABSENT)
        x->k.bias_bwd(x, grads + at->in_bias, g->d_in, n, rows, n);
    rn_linear_backward(x, din, d, grads + at->in, g->d_in, n, in, d, &at->in_matrix,
                       rows);
}

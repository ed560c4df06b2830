/*
 * AdamW over a trainer's blocks (decoupled decay, Loshchilov and Hutter, ICLR 2019).
 * Decay acts on matrices only, so parameters are gathered into runs that are treated
 * alike.
 */
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

rn_status rn_spans_build(rn_span **spans, size_t *count, const rn_model *m, rn_error *err)
{
    rn_span *s = calloc(m->param_count ? m->param_count : 1, sizeof *s);
    if (!s) return rn_fail_memory(err, "optimizer spans", m->param_count * sizeof *s);

    size_t used = 0;
    for (size_t i = 0; i < m->param_count; i++) {
        const rn_param *p = &m->params[i];
        rn_span *last = used ? &s[used - 1] : NULL;
        if (last && last->decay == p->decay && p->offset >= last->offset + last->count)
            last->count = p->offset + p->count - last->offset;
        else s[used++] = (rn_span){p->offset, p->count, p->decay};
    }
    *spans = s;
    *count = used;
    return RN_OK;
}

double rn_gradient_norm(const rn_trainer *t)
{
    double sum = 0.0;
    t->model->x->k.sumsq(t->model->x, &sum, t->grads, t->model->floats);
    return sqrt(sum);
}

void rn_trainer_apply(rn_trainer *t, double lr, double grad_scale)
{
    const rn_train_options *o = &t->options;
    double step = (double)++t->state.applied;
    rn_exec *x = t->model->x;
    t->model->hashed = false;
    rn_adamw h = {
        .lr = (float)lr,
        .beta1 = (float)o->beta1,
        .beta2 = (float)o->beta2,
        .eps = (float)o->epsilon,
        .grad_scale = (float)grad_scale,
        .correct1 = 1.0 - pow(o->beta1, step),
        .correct2 = 1.0 - pow(o->beta2, step),
    };
    for (size_t i = 0; i < t->span_count; i++) {
        const rn_span *s = &t->spans[i];
        h.decay = s->decay ? (float)o->weight_decay : 0.0f;
        x->k.adamw(x, &h, t->model->weights + s->offset, t->grads + s->offset,
                   t->moment1 + s->offset, t->moment2 + s->offset, s->count);
    }
}

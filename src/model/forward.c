/* Forward over one segment of each sequence of a batch, loss, logits, and the way back.
 */
#include "model/run.h"

#include <string.h>

/* Rows after which positions repeat: a batch of equally long sequences at one position
   shares its rotation tables. */
static size_t position_period(const rn_batch *b)
{
    size_t n = b->first[1] - b->first[0];
    for (size_t i = 1; i < b->batch; i++)
        if (b->first[i + 1] - b->first[i] != n || b->position[i] != b->position[0])
            return b->first[b->batch];
    return n;
}

static bool same_positions(const rn_run *run, const rn_batch *b, size_t period)
{
    const rn_segment *s = &run->segment;
    return run->prepared && s->period == period && b->batch > 0 &&
           period == b->first[1] - b->first[0] && run->position[0] == b->position[0];
}

/* Takes over the batch, and prepares what the mixers share when positions have changed.
 */
static void begin(rn_run *run, const rn_batch *b)
{
    size_t period = b->batch ? position_period(b) : 0;
    bool same = same_positions(run, b, period);
    memcpy(run->first, b->first, (b->batch + 1) * sizeof *run->first);
    memcpy(run->position, b->position, b->batch * sizeof *run->position);
    run->rows = b->first[b->batch];
    run->ids = b->ids;
    run->dropout_counter = b->dropout_counter;
    run->segment = (rn_segment){.batch = b->batch,
                                .rows = run->rows,
                                .first = run->first,
                                .position = run->position,
                                .period = period,
                                .form = b->form,
                                .chunk = b->chunk,
                                .row_norm = b->row_norm,
                                .shared = run->shared};
    const rn_mixer_config *c = &run->m->config.mixer;
    if (!same) c->kind->prepare(c, &run->segment, run->shared);
    /* Only one period of equal rows can be recognised again from its first position. */
    run->prepared = b->batch && period == b->first[1] - b->first[0];
}

static void embed(rn_run *run)
{
    rn_exec *x = run->m->x;
    const rn_config *c = &run->m->config;
    float *to = c->embedding_norm ? run->embedded : rn_run_x(run, 0);
    rn_matrix_rows(x, to, &run->m->at->embedding_matrix, run->ids, run->rows,
                   (float)c->embedding_scale);
    if (c->embedding_norm)
        rn_run_norm(run, &run->m->at->embedding_norm, rn_run_x(run, 0),
                    run->embedded_stats, run->embedded);
    rn_run_dropout(run, rn_run_x(run, 0), 0);
}

void rn_run_forward(rn_run *run, const rn_batch *batch)
{
    const rn_config *c = &run->m->config;
    run->rested = false;
    begin(run, batch);
    embed(run);
    for (size_t i = 0; i < c->layers; i++)
        rn_run_layer(run, i, batch->state, rn_run_x(run, i + 1), rn_run_x(run, i));
    const float *x = rn_run_x(run, c->layers);
    if (c->norm_position == RN_NORM_PRE)
        rn_run_norm(run, &run->m->at->norm, run->last, run->last_stats, x);
    else memcpy(run->last, x, run->rows * c->mixer.width * sizeof *x);
}

void rn_run_logits(rn_run *run, size_t row, size_t count, float *logits)
{
    const rn_config *c = &run->m->config;
    size_t d = c->mixer.width;
    rn_linear(run->m->x, run->segment.form, logits, c->vocab_size, run->last + row * d, d,
              &run->m->at->output_matrix, count);
}

/* Rows row..row+n-1: their losses, and with a scale the gradients of output and hidden
   state. The hidden state's goes to grad.dx. */
static double loss_rows(rn_run *run, size_t row, size_t n, const int32_t *targets,
                        float grad_scale, float *grads, float *losses)
{
    rn_exec *x = run->m->x;
    const rn_config *c = &run->m->config;
    size_t d = c->mixer.width, v = c->vocab_size;
    float *loss = losses ? losses + row : run->loss;
    rn_run_logits(run, row, n, run->logits);
    x->k.xent_fwd(x, loss, run->lse, run->logits, targets + row, n, v);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += loss[i];
    if (grad_scale != 0.0f) {
        x->k.xent_bwd(x, run->logits, run->lse, targets + row, n, v, grad_scale);
        rn_linear_backward(x, run->grad.dx + row * d, d, grads + run->m->at->output,
                           run->logits, v, run->last + row * d, d,
                           &run->m->at->output_matrix, n);
    }
    return sum;
}

double rn_run_loss(rn_run *run, const int32_t *targets, float grad_scale, float *grads,
                   float *losses)
{
    const rn_config *c = &run->m->config;
    double sum = 0.0;
    for (size_t row = 0; row < run->rows; row += run->logit_rows) {
        size_t n = run->rows - row < run->logit_rows ? run->rows - row : run->logit_rows;
        sum += loss_rows(run, row, n, targets, grad_scale, grads, losses);
    }
    if (grad_scale == 0.0f || c->norm_position != RN_NORM_PRE) return sum;

    grad_work *g = &run->grad; /* back through the final norm */
    size_t floats = run->rows * c->mixer.width;
    memcpy(g->a, g->dx, floats * sizeof *g->a);
    rn_exec_zero(run->m->x, g->dx, floats);
    rn_run_norm_backward(run, &run->m->at->norm, grads, g->dx, g->a,
                         rn_run_x(run, c->layers), run->last_stats);
    return sum;
}

/* The padding token's embedding does not learn from its uses as an input. */
static void drop_pad_rows(const rn_run *run, float *dx)
{
    const rn_config *c = &run->m->config;
    const size_t d = c->mixer.width;
    for (size_t r = 0; r < run->rows && c->pad_token; r++)
        if ((size_t)run->ids[r] == c->pad_token - 1)
            memset(dx + r * d, 0, d * sizeof *dx);
}

static void embed_backward(rn_run *run, float *grads)
{
    rn_exec *x = run->m->x;
    const rn_config *c = &run->m->config;
    grad_work *g = &run->grad;
    size_t d = c->mixer.width, floats = run->rows * d;
    rn_run_dropout(run, g->dx, 0);
    if (c->embedding_norm) {
        memcpy(g->a, g->dx, floats * sizeof *g->a);
        rn_exec_zero(x, g->dx, floats);
        rn_run_norm_backward(run, &run->m->at->embedding_norm, grads, g->dx, g->a,
                             run->embedded, run->embedded_stats);
    }
    drop_pad_rows(run, g->dx);
    x->k.embed_bwd(x, grads + run->m->at->embedding, g->dx, run->ids, run->rows, d,
                   (float)c->embedding_scale);
}

void rn_run_backward(rn_run *run, float *grads)
{
    for (size_t i = run->m->config.layers; i-- > 0;) {
        if (run->options.recompute)
            rn_run_layer(run, i, NULL, run->branch, rn_run_x(run, i));
        rn_run_layer_backward(run, i, grads, rn_run_x(run, i));
    }
    embed_backward(run, grads);
}

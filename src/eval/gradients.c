/* Gradients of the mean loss of rows of ids: the training pass without the step. Rows go
   through in groups whose gradients add up. */
#include "core/arena.h"
#include "eval/ids.h"
#include "model/model.h"
#include "retnet/eval.h"

#include <string.h>

#define BATCH_ROWS 4096 /* tokens of one pass, unless one row is longer */

/* Memory of the passes. */
typedef struct pass {
    rn_run *run;
    size_t group;       /* rows of ids in a pass */
    size_t *first;      /* [group + 1] */
    uint64_t *position; /* [group], zeros */
    int32_t *targets;   /* [group * length] */
    float *grads;       /* [model floats] */
    void *block;
} pass;

static void place(pass *p, const rn_model *m, size_t length, rn_carver *c)
{
    p->first = rn_carve(c, p->group + 1, sizeof *p->first);
    p->position = rn_carve(c, p->group, sizeof *p->position);
    p->targets = rn_carve(c, p->group * length, sizeof *p->targets);
    p->grads = rn_carve_floats(c, m->floats);
}

static void close_pass(pass *p)
{
    rn_run_free(p->run);
    rn_block_free(p->block);
}

static rn_status open_pass(pass *p, rn_model *m, size_t batch, size_t length,
                           rn_error *err)
{
    *p = (pass){.group = length < BATCH_ROWS ? BATCH_ROWS / length : 1};
    if (p->group > batch) p->group = batch;
    rn_carver measure = {0};
    size_t bytes;
    place(p, m, length, &measure);
    rn_status st = rn_carve_total(&measure, "gradients", &bytes, err);
    if (!st) st = rn_block_alloc(&p->block, bytes, "gradients", err);
    if (st) return st;
    place(p, m, length, &(rn_carver){.base = p->block});
    for (size_t b = 0; b <= p->group; b++) p->first[b] = b * length;
    rn_run_options options = {
        .max_rows = p->group * length, .max_batch = p->group, .training = true};
    st = rn_run_create(&p->run, m, &options, err);
    if (st) close_pass(p);
    return st;
}

/* Adds the gradients of `group` rows of ids; their loss, summed. */
static double add_gradients(pass *p, rn_batch *batch, size_t length, float scale)
{
    size_t rows = batch->batch * length;
    memcpy(p->targets, batch->ids + 1, (rows - 1) * sizeof *p->targets);
    for (size_t b = 0; b < batch->batch; b++) p->targets[(b + 1) * length - 1] = -1;
    rn_run_forward(p->run, batch);
    double loss = rn_run_loss(p->run, p->targets, scale, p->grads, NULL);
    rn_run_backward(p->run, p->grads);
    return loss;
}

static rn_status check(const rn_model *m, const int32_t *ids, size_t batch, size_t length,
                       const rn_eval_options *options, rn_error *err)
{
    rn_status st = rn_model_check_float32(m, "gradients", err);
    if (st) return st;
    if (options->form == RN_FORM_RECURRENT)
        return rn_fail(err, RN_EINVAL,
                       "form: gradients go through chunkwise or parallel");
    if (options->window)
        return rn_fail(err, RN_EINVAL,
                       "window: gradients of rows of ids have no windows");
    return rn_ids_check(ids, batch, length, m->config.vocab_size, err);
}

rn_status rn_eval_gradients(rn_model *model, const int32_t *ids, size_t batch,
                            size_t length, const rn_eval_options *options,
                            float *const *grads, double *loss, rn_error *err)
{
    pass p;
    rn_batch rows = {.form = options->form, .chunk = options->chunk};
    rn_status st = check(model, ids, batch, length, options, err);
    if (!st)
        st = rn_config_row_norm(&model->config, options->row_norm, options->form,
                                &rows.row_norm, err);
    if (!st) st = open_pass(&p, model, batch, length, err);
    if (st) return st;
    rows.first = p.first;
    rows.position = p.position;
    double count = (double)batch * (double)(length - 1), sum = 0;
    for (size_t b = 0; b < batch; b += rows.batch) {
        rows.batch = batch - b < p.group ? batch - b : p.group;
        rows.ids = ids + b * length;
        sum += add_gradients(&p, &rows, length, (float)(1 / count));
    }
    for (size_t i = 0; i < model->param_count; i++) {
        const rn_param *param = &model->params[i];
        memcpy(grads[i], p.grads + param->offset, param->count * sizeof(float));
    }
    *loss = sum / count;
    close_pass(&p);
    return RN_OK;
}

/*
 * One optimizer step: micro-batches forward and backward into one block of gradients, the
 * mean over all their tokens, a global norm, clipping, AdamW. A step whose loss or norm
 * is not finite changes nothing but the counts. Nothing is allocated here after creation.
 */
#include "core/arena.h"
#include "retnet/retention.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Gradients above this have squares that float32 cannot hold. */
static const double largest_norm = 1e19;

/* Options as the run will use them: what is left open is settled once. */
static rn_status resolve(rn_train_options *o, const rn_model *m, rn_error *err)
{
    rn_status st = rn_train_check(o, err);
    if (st) return st;
    st = rn_config_row_norm(&m->config, o->row_norm, o->form, &o->row_norm, err);
    if (st) return st;
    if (o->dropout < 0) o->dropout = m->config.dropout;
    if (o->form == RN_FORM_PARALLEL) o->chunk = 0;
    else if (o->chunk == 0)
        o->chunk = rn_retention_chunk(m->config.mixer.key_dim, m->config.mixer.value_dim);
    return RN_OK;
}

static void carve_rows(rn_trainer *t, rn_carver *c, size_t tokens)
{
    t->inputs = rn_carve(c, tokens, sizeof *t->inputs);
    t->targets = rn_carve(c, tokens, sizeof *t->targets);
    t->first = rn_carve(c, tokens + 1, sizeof *t->first);
    t->position = rn_carve(c, tokens, sizeof *t->position);
}

static rn_status alloc_rows(rn_trainer *t, size_t tokens, rn_error *err)
{
    rn_carver c = {0};
    size_t bytes;
    carve_rows(t, &c, tokens);
    rn_status st = rn_carve_total(&c, "training rows", &bytes, err);
    if (st) return st;
    st = rn_block_alloc(&t->rows, bytes, "training rows", err);
    if (st) return st;
    c = (rn_carver){.base = t->rows};
    carve_rows(t, &c, tokens);
    return RN_OK;
}

static rn_status alloc_floats(float **out, size_t count, const char *what, rn_error *err)
{
    size_t bytes;
    if (!rn_mul_size(&bytes, count, sizeof(float)))
        return rn_fail(err, RN_ENOMEM, "the size of the %s does not fit in memory", what);
    void *block = NULL;
    rn_status st = rn_block_alloc(&block, bytes, what, err);
    if (!st) *out = block;
    return st;
}

static rn_status alloc_trainer(rn_trainer *t, rn_error *err)
{
    const rn_train_options *o = &t->options;
    size_t tokens, all, floats = t->model->floats;
    if (o->batch == SIZE_MAX || o->seq == SIZE_MAX ||
        !rn_mul_size(&tokens, o->batch, o->seq) || !rn_mul_size(&all, tokens, o->accum))
        return rn_fail(
            err, RN_EINVAL,
            "batch, seq, accum: %zu rows of %zu tokens, %zu times, do not fit in "
            "memory",
            o->batch, o->seq, o->accum);
    rn_status st = alloc_rows(t, tokens, err);
    if (!st) st = alloc_floats(&t->grads, floats, "gradients", err);
    if (!st) st = alloc_floats(&t->moment1, floats, "optimizer state", err);
    if (!st) st = alloc_floats(&t->moment2, floats, "optimizer state", err);
    if (!st) st = rn_spans_build(&t->spans, &t->span_count, t->model, err);
    if (st) return st;

    rn_run_options run = {
        .max_rows = tokens,
        .max_batch = tokens,
        .training = true,
        .recompute = o->recompute,
        .dropout = o->dropout,
        .dropout_seed = o->seed,
    };
    return rn_run_create(&t->run, t->model, &run, err);
}

rn_status rn_trainer_create(rn_trainer **out, rn_model *model,
                            const rn_train_options *options, rn_error *err)
{
    rn_status st = rn_model_check_float32(model, "training", err);
    if (st) return st;
    rn_trainer *t = calloc(1, sizeof *t);
    if (!t) return rn_fail_memory(err, "a trainer", sizeof *t);

    t->model = model;
    t->options = *options;
    t->state.best_val_loss = t->state.first_val_bits = NAN;
    st = resolve(&t->options, model, err);
    if (st) goto fail;
    st = alloc_trainer(t, err);
    if (st) goto fail;

    *out = t;
    return RN_OK;
fail:
    rn_trainer_free(t);
    return st;
}

void rn_trainer_free(rn_trainer *t)
{
    if (!t) return;
    rn_run_free(t->run);
    rn_block_free(t->grads);
    rn_block_free(t->moment1);
    rn_block_free(t->moment2);
    rn_block_free(t->rows);
    free(t->spans);
    free(t);
}

static rn_status check_ids(const rn_trainer *t, const int32_t *ids, size_t rows,
                           rn_error *err)
{
    size_t vocab = t->model->config.vocab_size;
    size_t count = rows * (t->options.seq + 1);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocab)
            return rn_fail(err, RN_EINVAL,
                           "ids: %ld at index %zu is outside the vocabulary of %zu",
                           (long)ids[i], i, vocab);
    return RN_OK;
}

/* Inputs and targets of one micro-batch of ids[batch][seq + 1]. Every document in a row
   is a sequence of its own; what its last token is followed by is not a target. Returns
   the number of sequences. */
static size_t split_rows(rn_trainer *t, const int32_t *ids, const uint8_t *starts)
{
    size_t seq = t->options.seq, sequences = 0, at = 0;
    for (size_t b = 0; b < t->options.batch; b++) {
        const int32_t *row = ids + b * (seq + 1);
        const uint8_t *start = starts ? starts + b * (seq + 1) : NULL;
        for (size_t i = 0; i < seq; i++, at++) {
            if (i == 0 || (start && start[i])) t->first[sequences++] = at;
            t->inputs[at] = row[i];
            t->targets[at] = start && start[i + 1] ? -1 : row[i + 1];
        }
    }
    t->first[sequences] = at;
    return sequences;
}

/* Targets of `rows` rows of seq + 1 tokens. */
static double count_targets(const rn_trainer *t, const uint8_t *starts, size_t rows)
{
    size_t seq = t->options.seq, count = rows * seq;
    for (size_t b = 0; starts && b < rows; b++)
        for (size_t i = 1; i <= seq; i++) count -= starts[b * (seq + 1) + i] != 0;
    return (double)count;
}

/* Adds the gradient of grad_scale times the summed loss of one micro-batch; returns the
 * sum. */
static double micro_batch(rn_trainer *t, const int32_t *ids, const uint8_t *starts,
                          size_t micro, double grad_scale)
{
    const rn_train_options *o = &t->options;
    rn_batch batch = {
        .batch = split_rows(t, ids, starts),
        .first = t->first,
        .position = t->position,
        .ids = t->inputs,
        .form = o->form,
        .chunk = o->chunk,
        .row_norm = o->row_norm,
        .dropout_counter = t->state.step * o->accum + micro,
    };
    rn_run_forward(t->run, &batch);
    double sum = rn_run_loss(t->run, t->targets, (float)grad_scale, t->grads, NULL);
    rn_run_backward(t->run, t->grads);
    return sum;
}

/* Mean loss over the targets of `accum` micro-batches, its gradient in t->grads. Not a
   number when there are none. */
static double gradients(rn_trainer *t, const int32_t *ids, const uint8_t *starts,
                        size_t accum)
{
    const rn_train_options *o = &t->options;
    size_t rows = o->batch * (o->seq + 1);
    double targets = count_targets(t, starts, accum * o->batch);
    double sum = 0.0;
    rn_exec_zero(t->model->x, t->grads, t->model->floats);
    if (targets == 0) return NAN;
    for (size_t a = 0; a < accum; a++)
        sum += micro_batch(t, ids + a * rows, starts ? starts + a * rows : NULL, a,
                           1.0 / targets);
    return sum * (1.0 / targets);
}

rn_status rn_trainer_step_at(rn_trainer *t, const int32_t *ids, const uint8_t *starts,
                             double lr, rn_step_result *result, rn_error *err)
{
    const rn_train_options *o = &t->options;
    rn_status st = check_ids(t, ids, o->accum * o->batch, err);
    if (st) return st;

    double loss = gradients(t, ids, starts, o->accum);
    double norm = rn_gradient_norm(t);
    double scale = o->clip > 0 && norm > o->clip ? o->clip / norm : 1.0;
    bool finite = isfinite(loss) && isfinite(norm) && norm * scale < largest_norm;
    if (finite) rn_trainer_apply(t, lr, scale);
    else t->state.skipped++;
    t->state.step++;

    *result = (rn_step_result){
        .step = t->state.step,
        .loss = loss,
        .grad_norm = norm,
        .lr = lr,
        .skipped = !finite,
    };
    return RN_OK;
}

rn_status rn_trainer_step(rn_trainer *t, const int32_t *ids, rn_step_result *result,
                          rn_error *err)
{
    return rn_trainer_step_documents(t, ids, NULL, result, err);
}

rn_status rn_trainer_step_documents(rn_trainer *t, const int32_t *ids,
                                    const uint8_t *starts, rn_step_result *result,
                                    rn_error *err)
{
    double lr = rn_schedule_lr(&t->options, t->state.step + 1, 0.0);
    return rn_trainer_step_at(t, ids, starts, lr, result, err);
}

rn_status rn_trainer_gradients(rn_trainer *t, const int32_t *ids, double *loss,
                               rn_error *err)
{
    return rn_trainer_gradients_documents(t, ids, NULL, loss, err);
}

rn_status rn_trainer_gradients_documents(rn_trainer *t, const int32_t *ids,
                                         const uint8_t *starts, double *loss,
                                         rn_error *err)
{
    rn_status st = check_ids(t, ids, t->options.batch, err);
    if (st) return st;
    *loss = gradients(t, ids, starts, 1);
    return RN_OK;
}

const float *rn_trainer_gradient(const rn_trainer *t, size_t index)
{
    return index < t->model->param_count ? t->grads + t->model->params[index].offset
                                         : NULL;
}

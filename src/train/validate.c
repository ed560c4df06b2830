/*
 * Loss over a whole validation text in windows of N tokens, each from an empty state:
 * window w reads tokens [wN, wN + N) and predicts [wN + 1, wN + N + 1). Windows that are
 * computed together are neighbours, so a batch is one stretch of text.
 */
#include "core/arena.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

struct rn_validator {
    rn_run *run;
    const rn_tokens *tokens;
    size_t window, windows; /* tokens in a window, windows in a batch */
    rn_batch batch;
    void *block;
    int32_t *ids; /* [windows * window + 1]: the targets are the inputs, one further */
    size_t *first;
    uint64_t *position;
};

static void carve_batch(rn_validator *v, rn_carver *c)
{
    v->ids = rn_carve(c, v->windows * v->window + 1, sizeof *v->ids);
    v->first = rn_carve(c, v->windows + 1, sizeof *v->first);
    v->position = rn_carve(c, v->windows, sizeof *v->position);
}

static rn_status alloc_batch(rn_validator *v, rn_error *err)
{
    rn_carver c = {0};
    size_t bytes;
    carve_batch(v, &c);
    rn_status st = rn_carve_total(&c, "validation windows", &bytes, err);
    if (st) return st;
    st = rn_block_alloc(&v->block, bytes, "validation windows", err);
    if (st) return st;
    c = (rn_carver){.base = v->block};
    carve_batch(v, &c);
    return RN_OK;
}

static rn_status create_run(rn_validator *v, const rn_trainer *t, rn_error *err)
{
    const rn_train_options *o = &t->options;
    v->batch = (rn_batch){
        .first = v->first,
        .position = v->position,
        .ids = v->ids,
        .form = o->form,
        .chunk = o->chunk,
        .row_norm = o->row_norm,
    };
    rn_run_options run = {.max_rows = v->windows * v->window, .max_batch = v->windows};
    return rn_run_create(&v->run, t->model, &run, err);
}

rn_status rn_validator_create(rn_validator **out, const rn_trainer *t,
                              const rn_tokens *tokens, size_t window, rn_error *err)
{
    uint64_t count = rn_tokens_count(tokens);
    if (count < 2)
        return rn_fail(err, RN_EINVAL, "val: %llu tokens, at least 2 wanted",
                       (unsigned long long)count);
    rn_validator *v = calloc(1, sizeof *v);
    if (!v) return rn_fail_memory(err, "a validator", sizeof *v);

    size_t rows = t->options.batch * t->options.seq;
    v->tokens = tokens;
    v->window = (uint64_t)window < count - 1 ? window : (size_t)(count - 1);
    v->windows = rows > v->window ? rows / v->window : 1;
    rn_status st = alloc_batch(v, err);
    if (st) goto fail;
    st = create_run(v, t, err);
    if (st) goto fail;

    *out = v;
    return RN_OK;
fail:
    rn_validator_free(v);
    return st;
}

void rn_validator_free(rn_validator *v)
{
    if (!v) return;
    rn_run_free(v->run);
    rn_block_free(v->block);
    free(v);
}

/* Summed loss of the `rows` predictions from token `at` on. */
static double stretch_loss(rn_validator *v, uint64_t at, size_t rows)
{
    rn_tokens_read(v->tokens, at, rows + 1, v->ids);
    v->batch.batch = (rows + v->window - 1) / v->window;
    for (size_t w = 0; w <= v->batch.batch; w++)
        v->first[w] = w * v->window < rows ? w * v->window : rows;
    rn_run_forward(v->run, &v->batch);
    return rn_run_loss(v->run, v->ids + 1, 0.0f, NULL, NULL);
}

double rn_validator_loss(rn_validator *v)
{
    uint64_t total = rn_tokens_count(v->tokens) - 1;
    size_t rows = v->windows * v->window;
    double sum = 0.0;
    for (uint64_t at = 0; at < total; at += rows)
        sum += stretch_loss(v, at, total - at < rows ? (size_t)(total - at) : rows);
    return sum / (double)total;
}

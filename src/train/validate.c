/*
 * Loss over a whole validation text in windows of N tokens, each from an empty state:
 * window w reads tokens [wN, wN + N) and predicts [wN + 1, wN + N + 1). Windows that are
 * computed together are neighbours, so a batch is one stretch of text. In a window the
 * state begins anew at each document, whose first token is not predicted.
 */
#include "core/arena.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

struct rn_validator {
    const rn_trainer *trainer;
    rn_run *run;
    const rn_tokens *tokens;
    rn_tokens_id id;
    size_t vocab;
    size_t window, windows; /* tokens in a window, windows in a batch */
    rn_batch batch;
    void *block;
    int32_t *ids;     /* [windows * window + 1] */
    int32_t *targets; /* the same, one further */
    uint8_t *starts;  /* of documents, as ids */
    size_t *first;    /* of sequences, at most one a token */
    uint64_t *position;
    double loss, targets_seen; /* sums */
};

static void carve_batch(rn_validator *v, rn_carver *c)
{
    size_t rows = v->windows * v->window;
    v->ids = rn_carve(c, rows + 1, sizeof *v->ids);
    v->targets = rn_carve(c, rows, sizeof *v->targets);
    v->starts = rn_carve(c, rows + 1, sizeof *v->starts);
    v->first = rn_carve(c, rows + 1, sizeof *v->first);
    v->position = rn_carve(c, rows, sizeof *v->position);
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

static rn_status create_run(rn_validator *v, rn_error *err)
{
    const rn_trainer *t = v->trainer;
    const rn_train_options *o = &t->options;
    v->batch = (rn_batch){
        .first = v->first,
        .position = v->position,
        .ids = v->ids,
        .form = o->form,
        .row_norm = o->row_norm,
    };
    size_t rows = v->windows * v->window;
    rn_run_options run = {.max_rows = rows, .max_batch = rows};
    v->vocab = t->model->config.vocab_size;
    return rn_run_create(&v->run, t->model, &run, err);
}

static rn_status identify(rn_tokens_id *id, const rn_tokens *tokens, rn_error *err)
{
    id->count = rn_tokens_count(tokens);
    id->documents = rn_tokens_documents(tokens);
    return rn_tokens_hash(tokens, &id->hash, err);
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
    v->trainer = t;
    v->tokens = tokens;
    v->window = (uint64_t)window < count - 1 ? window : (size_t)(count - 1);
    v->windows = rows > v->window ? rows / v->window : 1;
    rn_status st = identify(&v->id, tokens, err);
    if (st) goto fail;
    st = alloc_batch(v, err);
    if (st) goto fail;
    st = create_run(v, err);
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

const rn_tokens_id *rn_validator_tokens(const rn_validator *v)
{
    return &v->id;
}

/* Cuts the stretch into windows and documents. */
static void split(rn_validator *v, size_t rows)
{
    size_t sequences = 0;
    for (size_t i = 0; i < rows; i++) {
        bool border = v->starts[i + 1] != 0;
        if (i % v->window == 0 || v->starts[i]) v->first[sequences++] = i;
        v->targets[i] = border ? -1 : v->ids[i + 1];
        v->targets_seen += !border;
    }
    v->first[sequences] = rows;
    v->batch.batch = sequences;
}

/* They were checked when the run began; files may have been written to since. */
static rn_status check(const rn_validator *v, uint64_t at, size_t count, rn_error *err)
{
    for (size_t i = 0; i < count; i++)
        if ((size_t)v->ids[i] >= v->vocab)
            return rn_fail(err, RN_EFORMAT,
                           "val: token %llu has become %ld, the vocabulary has %zu ids",
                           (unsigned long long)(at + i), (long)v->ids[i], v->vocab);
    return RN_OK;
}

/* Adds the loss of the `rows` predictions from token `at` on. */
static rn_status stretch_loss(rn_validator *v, uint64_t at, size_t rows, rn_error *err)
{
    rn_status st =
        rn_tokens_read_documents(v->tokens, at, rows + 1, v->ids, v->starts, err);
    if (!st) st = check(v, at, rows + 1, err);
    if (st) return st;
    split(v, rows);
    rn_run_forward(v->run, &v->batch);
    v->loss += rn_run_loss(v->run, v->targets, 0.0f, NULL, NULL);
    return RN_OK;
}

rn_status rn_validator_loss(rn_validator *v, double *loss, rn_error *err)
{
    uint64_t total = rn_tokens_count(v->tokens) - 1;
    size_t rows = v->windows * v->window;
    rn_status st = RN_OK;
    v->loss = v->targets_seen = 0;
    v->batch.chunk = v->trainer->options.chunk; /* a checkpoint's, once one is loaded */
    for (uint64_t at = 0; !st && at < total; at += rows)
        st = stretch_loss(v, at, total - at < rows ? (size_t)(total - at) : rows, err);
    if (!st) *loss = v->loss / v->targets_seen;
    return st;
}

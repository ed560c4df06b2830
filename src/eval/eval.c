/*
 * Loss and logits of given tokens by any form. Text is a number of independent sequences
 * of equal length (the last may be shorter): windows, or rows of ids. Short sequences are
 * read whole, many in one batch; a long one is read in segments with its state carried.
 * The torchscale normaliser has no state to carry, so its sequences are always read
 * whole.
 */
#include "core/arena.h"
#include "core/clock.h"
#include "core/units.h"
#include "eval/ids.h"
#include "model/model.h"
#include "retnet/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS       4096         /* tokens of one pass */
#define SEGMENT          512          /* of a carried sequence, chunkwise and recurrent */
#define SEGMENT_PARALLEL 2048         /* work grows with its square */
#define MAX_WHOLE        16384        /* tokens that torchscale may ask to read at once */
#define STATE_BUDGET     (256u << 20) /* bytes of states of one batch */

/* What is read: sequence s has inputs [s stride, s stride + inputs(s)) of the tokens. */
typedef struct source {
    const rn_tokens *tokens; /* or */
    const int32_t *ids;
    uint64_t count;     /* tokens in all */
    uint64_t sequences; /* > 0 */
    uint64_t
        stride;   /* tokens from one sequence to the next = inputs of each but the last */
    bool windows; /* the token after a sequence's last input is predicted too */
} source;

/* How it is read. */
typedef struct plan {
    rn_form form;
    rn_row_norm row_norm;
    size_t chunk;
    size_t group;   /* sequences in a pass */
    size_t segment; /* inputs of each in a pass */
    bool states; /* the passes need states: a carried sequence, or the recurrent form */
} plan;

/* Memory of the passes. */
typedef struct reader {
    rn_model *model;
    rn_run *run;
    const source *text;
    const plan *plan;
    size_t state_floats;
    size_t *first;      /* [group + 1] */
    uint64_t *position; /* [group] */
    float **state;      /* [group] */
    float *states;
    int32_t *ids, *targets; /* [group * segment], ids with one more */
    void *block;
    double loss; /* sum, nats */
    uint64_t predicted;
} reader;

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Inputs of sequence s. */
static uint64_t inputs_of(const source *text, uint64_t s)
{
    uint64_t end = text->windows ? text->count - 1 : text->count;
    return min64(text->stride, end - s * text->stride);
}

static void read_tokens(const source *text, uint64_t at, size_t count, int32_t *out)
{
    if (text->tokens) rn_tokens_read(text->tokens, at, count, out);
    else memcpy(out, text->ids + at, count * sizeof *out);
}

static rn_status plan_whole(plan *p, uint64_t inputs, rn_error *err)
{
    if (inputs > MAX_WHOLE)
        return rn_fail(
            err, RN_EINVAL,
            "window: the row normaliser torchscale reads a window at once, and "
            "%llu tokens are more than %d: choose a window or another normaliser",
            (unsigned long long)inputs, MAX_WHOLE);
    p->segment = (size_t)inputs;
    return RN_OK;
}

/* Sequences of `inputs` tokens each: how many at once, and in what pieces. */
static rn_status make_plan(plan *p, const rn_model *m, const rn_eval_options *o,
                           uint64_t sequences, uint64_t inputs, rn_error *err)
{
    *p = (plan){.form = o->form, .chunk = o->chunk, .group = 1};
    rn_status st =
        rn_config_row_norm(&m->config, o->row_norm, o->form, &p->row_norm, err);
    if (st) return st;
    size_t segment = o->form == RN_FORM_PARALLEL ? SEGMENT_PARALLEL : SEGMENT;
    if (p->row_norm == RN_ROW_NORM_TORCHSCALE) st = plan_whole(p, inputs, err);
    else p->segment = (size_t)(inputs <= BATCH_ROWS ? inputs : segment);
    if (st) return st;
    p->states = p->segment < inputs || o->form == RN_FORM_RECURRENT;
    size_t state_bytes = rn_model_state_floats(m, p->row_norm) * sizeof(float);
    uint64_t most = BATCH_ROWS / p->segment;
    if (p->states && state_bytes) most = min64(most, STATE_BUDGET / state_bytes);
    if (p->segment == inputs && most > 1) p->group = (size_t)min64(most, sequences);
    return RN_OK;
}

static void place(reader *r, rn_carver *c)
{
    size_t group = r->plan->group, rows = group * r->plan->segment;
    r->first = rn_carve(c, group + 1, sizeof *r->first);
    r->position = rn_carve(c, group, sizeof *r->position);
    r->state = rn_carve(c, group, sizeof *r->state);
    r->ids = rn_carve(c, rows, sizeof *r->ids);
    r->targets = rn_carve(c, rows, sizeof *r->targets);
    r->states = rn_carve(c, r->plan->states ? group : 0, r->state_floats * sizeof(float));
}

static void close_reader(reader *r)
{
    rn_run_free(r->run);
    rn_block_free(r->block);
}

static rn_status open_reader(reader *r, rn_model *m, const source *text, const plan *p,
                             rn_error *err)
{
    *r = (reader){.model = m, .text = text, .plan = p};
    r->state_floats = rn_model_state_floats(m, p->row_norm);
    rn_carver measure = {0};
    size_t bytes;
    place(r, &measure);
    rn_status st = rn_carve_total(&measure, "evaluation", &bytes, err);
    if (!st) st = rn_block_alloc(&r->block, bytes, "evaluation", err);
    if (st) return st;
    place(r, &(rn_carver){.base = r->block});
    for (size_t b = 0; b < p->group; b++) r->state[b] = r->states + b * r->state_floats;
    rn_run_options options = {.max_rows = p->group * p->segment, .max_batch = p->group};
    st = rn_run_create(&r->run, m, &options, err);
    if (st) close_reader(r);
    return st;
}

/* Row by row: the inputs [at, at + count) of sequence s, and the token after each. */
static void fetch(reader *r, uint64_t s, uint64_t at, size_t count, size_t row)
{
    const source *text = r->text;
    uint64_t begin = s * text->stride + at;
    bool last = at + count == inputs_of(text, s) && !text->windows;
    read_tokens(text, begin, count, r->ids + row);
    read_tokens(text, begin + 1, count - last, r->targets + row);
    if (last) r->targets[row + count - 1] = -1;
    r->predicted += count - last;
}

/* One pass: inputs [at, ..) of sequences s .. s + group - 1; the rows that it had. */
static size_t pass(reader *r, uint64_t s, size_t group, uint64_t at, float *logits)
{
    size_t rows = 0;
    for (size_t b = 0; b < group; b++) {
        uint64_t left = inputs_of(r->text, s + b) - at;
        size_t count = (size_t)min64(left, r->plan->segment);
        r->first[b] = rows;
        r->position[b] = at;
        fetch(r, s + b, at, count, rows);
        rows += count;
    }
    r->first[group] = rows;
    rn_batch batch = {.batch = group,
                      .first = r->first,
                      .position = r->position,
                      .ids = r->ids,
                      .state = r->plan->states ? r->state : NULL,
                      .form = r->plan->form,
                      .chunk = r->plan->chunk,
                      .row_norm = r->plan->row_norm};
    rn_run_forward(r->run, &batch);
    if (logits) rn_run_logits(r->run, 0, rows, logits);
    r->loss += rn_run_loss(r->run, r->targets, 0, NULL, NULL);
    return rows;
}

/* Reads everything. logits: [inputs in all][vocab], or NULL. */
static void read_all(reader *r, const rn_eval_options *o, float *logits)
{
    const source *text = r->text;
    uint64_t total = text->windows ? text->count - 1 : text->count, done = 0;
    for (uint64_t s = 0; s < text->sequences; s += r->plan->group) {
        size_t group = (size_t)min64(r->plan->group, text->sequences - s);
        uint64_t inputs = inputs_of(text, s);
        if (r->plan->states)
            memset(r->states, 0, group * r->state_floats * sizeof(float));
        for (uint64_t at = 0; at < inputs; at += r->plan->segment) {
            size_t vocab = r->model->config.vocab_size;
            done += pass(r, s, group, at, logits ? logits + done * vocab : NULL);
            if (o->progress) o->progress(o->user, done, total);
        }
    }
}

static rn_status evaluate(rn_model *m, const source *text, const rn_eval_options *o,
                          float *logits, rn_eval_result *result, rn_error *err)
{
    plan p;
    reader r;
    double begin = rn_seconds();
    rn_status st = make_plan(&p, m, o, text->sequences, inputs_of(text, 0), err);
    if (!st) st = open_reader(&r, m, text, &p, err);
    if (st) return st;
    read_all(&r, o, logits);
    double loss = r.predicted ? r.loss / (double)r.predicted : (double)NAN;
    *result = (rn_eval_result){.loss = loss,
                               .perplexity = exp(loss),
                               .bits_per_byte = (double)NAN,
                               .tokens = r.predicted,
                               .seconds = rn_seconds() - begin,
                               .row_norm = p.row_norm};
    close_reader(&r);
    return RN_OK;
}

static rn_status check_model(const rn_model *m, rn_error *err)
{
    if (m->x) return RN_OK;
    return rn_fail(err, RN_EINVAL, "eval: the model is a description without weights");
}

rn_eval_options rn_eval_defaults(void)
{
    return (rn_eval_options){.row_norm = RN_ROW_NORM_AUTO};
}

double rn_eval_bits_per_byte(double loss, uint64_t tokens, uint64_t bytes)
{
    return rn_bits_per_byte(loss, tokens, bytes);
}

rn_status rn_eval_tokens(rn_model *model, const rn_tokens *tokens,
                         const rn_eval_options *options, rn_eval_result *result,
                         rn_error *err)
{
    rn_status st = check_model(model, err);
    if (st) return st;
    uint64_t count = rn_tokens_count(tokens);
    if (count < 2)
        return rn_fail(err, RN_EINVAL, "eval: %llu tokens leave nothing to predict",
                       (unsigned long long)count);
    st = rn_tokens_check(tokens, model->config.vocab_size, err);
    if (st) return st;
    uint64_t stride = options->window ? min64(options->window, count - 1) : count - 1;
    source text = {.tokens = tokens,
                   .count = count,
                   .stride = stride,
                   .sequences = (count - 1) / stride + ((count - 1) % stride != 0),
                   .windows = true};
    st = evaluate(model, &text, options, NULL, result, err);
    if (st) return st;
    result->bytes = rn_tokens_text_bytes(tokens);
    result->bits_per_byte = rn_eval_bits_per_byte(result->loss, count, result->bytes);
    return RN_OK;
}

rn_status rn_eval_ids(rn_model *model, const int32_t *ids, size_t batch, size_t length,
                      const rn_eval_options *options, float *logits,
                      rn_eval_result *result, rn_error *err)
{
    rn_status st = check_model(model, err);
    if (st) return st;
    if (options->window)
        return rn_fail(err, RN_EINVAL,
                       "window: rows of ids are read whole, not in windows of %zu",
                       options->window);
    st = rn_ids_check(ids, batch, length, model->config.vocab_size, err);
    if (st) return st;
    source text = {.ids = ids,
                   .count = (uint64_t)batch * length,
                   .sequences = batch,
                   .stride = length};
    return evaluate(model, &text, options, logits, result, err);
}

/*
 * Loss and logits of given tokens by any form. Text is a number of independent sequences:
 * windows of it or of its documents, or rows of ids. Short sequences are read whole, many
 * in one batch; a long one is read in segments with its state carried. The torchscale
 * normaliser has no state to carry, so its sequences are always read whole.
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
#define SCAN             512          /* tokens looked through for a document's end */

/* What is read. Sequences follow one another; each predicts the token after its last
   input too, but for rows of ids. */
typedef struct source {
    const rn_tokens *tokens; /* or */
    const int32_t *ids;
    uint64_t count;  /* tokens in all */
    uint64_t stride; /* inputs of a sequence, at most */
    size_t vocab;
    bool documents; /* sequences end at documents' ends */
} source;

/* A sequence: where its inputs begin, and how many there are. */
typedef struct sequence {
    uint64_t begin, inputs;
} sequence;

/* How it is read. */
typedef struct plan {
    rn_form form;
    rn_row_norm row_norm;
    size_t chunk;
    size_t rows;    /* inputs in a pass, at most */
    size_t group;   /* sequences in a pass, at most */
    size_t segment; /* inputs in a pass of a sequence that has more than `rows` */
    size_t states;  /* sequences of a pass that need a state: a carried one, or all in the
                       recurrent form */
} plan;

/* Memory of the passes, and how far they are. */
typedef struct reader {
    rn_model *model;
    rn_run *run;
    const source *text;
    const plan *plan;
    size_t state_floats;
    uint64_t at, end;    /* of the text: what comes next, and the document's end */
    sequence *sequences; /* [group] of the present pass */
    size_t *first;       /* [group + 1] */
    uint64_t *position;  /* [group] */
    float **state;       /* [states] */
    float *states;
    int32_t *ids, *targets; /* [rows] */
    void *block;
    double loss; /* sum, nats */
    uint64_t predicted;
} reader;

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Checked again, since a file may have been written to after it was checked. */
static rn_status read_tokens(const source *text, uint64_t at, size_t count, int32_t *out,
                             rn_error *err)
{
    if (!text->tokens) {
        memcpy(out, text->ids + at, count * sizeof *out);
        return RN_OK;
    }
    rn_status st = rn_tokens_read(text->tokens, at, count, out, err);
    for (size_t i = 0; !st && i < count; i++)
        if ((size_t)out[i] >= text->vocab)
            st = rn_fail(err, RN_EFORMAT,
                         "text: token %llu has become %ld, the vocabulary has %zu ids",
                         (unsigned long long)(at + i), (long)out[i], text->vocab);
    return st;
}

/* Where the document ends that holds token `at`. */
static rn_status find_end(const source *text, uint64_t at, uint64_t *end, rn_error *err)
{
    int32_t ids[SCAN];
    uint8_t starts[SCAN];
    *end = text->count;
    /* Pieces overlap by a token, which may be the one that ends the document. */
    while (text->documents && at + 1 < text->count) {
        size_t n = (size_t)min64(SCAN, text->count - at);
        rn_status st = rn_tokens_read_documents(text->tokens, at, n, ids, starts, err);
        if (st) return st;
        const uint8_t *next = memchr(starts + 1, 1, n - 1);
        if (next) {
            *end = at + (uint64_t)(next - starts);
            break;
        }
        at += n - 1;
    }
    return RN_OK;
}

/* The next sequence, without going on to the one after it; inputs 0: there is none. */
static rn_status next_sequence(reader *r, sequence *out, rn_error *err)
{
    const source *text = r->text;
    size_t target = text->tokens != NULL; /* the last token of a document is no input */
    while (r->end - r->at <= target && r->end < text->count) {
        r->at = r->end;
        rn_status st = find_end(text, r->at, &r->end, err);
        if (st) return st;
    }
    uint64_t left = r->end - r->at;
    *out = (sequence){r->at, left > target ? min64(text->stride, left - target) : 0};
    return RN_OK;
}

static rn_status fail_whole(uint64_t inputs, rn_error *err)
{
    return rn_fail(err, RN_EINVAL,
                   "window: the row normaliser torchscale reads a window at once, and "
                   "%llu tokens are more than %d: choose a window or another normaliser",
                   (unsigned long long)inputs, MAX_WHOLE);
}

/* Equal sequences of `inputs` tokens each, or documents of at most that. */
static rn_status make_plan(plan *p, const rn_model *m, const rn_eval_options *o,
                           const source *text, uint64_t inputs, rn_error *err)
{
    *p = (plan){.form = o->form, .chunk = o->chunk};
    rn_status st =
        rn_config_row_norm(&m->config, o->row_norm, o->form, &p->row_norm, err);
    if (st) return st;
    bool whole = p->row_norm == RN_ROW_NORM_TORCHSCALE;
    p->segment = o->form == RN_FORM_PARALLEL ? SEGMENT_PARALLEL : SEGMENT;
    if (text->documents) {
        uint64_t most = whole ? MAX_WHOLE : BATCH_ROWS;
        p->rows = (size_t)min64(most, text->count);
    } else if (whole && inputs > MAX_WHOLE) {
        return fail_whole(inputs, err);
    } else if (whole || inputs <= BATCH_ROWS) {
        p->rows = inputs < BATCH_ROWS ? BATCH_ROWS / (size_t)inputs * (size_t)inputs
                                      : (size_t)inputs;
        p->rows = (size_t)min64(p->rows, (text->count + inputs - 1) / inputs * inputs);
    } else {
        p->rows = p->segment;
    }
    bool carried = inputs > p->rows, recurrent = o->form == RN_FORM_RECURRENT;
    size_t state_bytes = rn_model_state_floats(m, p->row_norm) * sizeof(float);
    p->group = text->documents ? p->rows : carried ? 1 : p->rows / (size_t)inputs;
    if (recurrent && state_bytes && p->group > STATE_BUDGET / state_bytes)
        p->group = STATE_BUDGET / state_bytes ? STATE_BUDGET / state_bytes : 1;
    p->states = recurrent ? p->group : carried && !whole;
    return RN_OK;
}

static void place(reader *r, rn_carver *c)
{
    size_t group = r->plan->group, rows = r->plan->rows, states = r->plan->states;
    r->sequences = rn_carve(c, group, sizeof *r->sequences);
    r->first = rn_carve(c, group + 1, sizeof *r->first);
    r->position = rn_carve(c, group, sizeof *r->position);
    r->state = rn_carve(c, states, sizeof *r->state);
    r->ids = rn_carve(c, rows, sizeof *r->ids);
    r->targets = rn_carve(c, rows, sizeof *r->targets);
    r->states = rn_carve(c, states, r->state_floats * sizeof(float));
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
    for (size_t b = 0; b < p->states; b++) r->state[b] = r->states + b * r->state_floats;
    rn_run_options options = {.max_rows = p->rows, .max_batch = p->group};
    st = rn_run_create(&r->run, m, &options, err);
    if (st) close_reader(r);
    return st;
}

/* Row by row: `count` inputs of a sequence from `at` on, and the token after each. */
static rn_status fetch(reader *r, const sequence *s, uint64_t at, size_t count,
                       size_t row, rn_error *err)
{
    const source *text = r->text;
    bool last = at + count == s->inputs && !text->tokens;
    rn_status st = read_tokens(text, s->begin + at, count, r->ids + row, err);
    if (!st)
        st = read_tokens(text, s->begin + at + 1, count - last, r->targets + row, err);
    if (last) r->targets[row + count - 1] = -1;
    r->predicted += count - last;
    return st;
}

/* One pass: inputs [at, ..) of `group` sequences; *rows: how many they were. */
static rn_status pass(reader *r, size_t group, uint64_t at, bool states, float *logits,
                      size_t *rows, rn_error *err)
{
    rn_status st = RN_OK;
    *rows = 0;
    for (size_t b = 0; !st && b < group; b++) {
        uint64_t left = r->sequences[b].inputs - at;
        size_t most =
            r->sequences[b].inputs > r->plan->rows ? r->plan->segment : r->plan->rows;
        size_t count = (size_t)min64(left, most);
        r->first[b] = *rows;
        r->position[b] = at;
        st = fetch(r, &r->sequences[b], at, count, *rows, err);
        *rows += count;
    }
    if (st) return st;
    r->first[group] = *rows;
    rn_batch batch = {.batch = group,
                      .first = r->first,
                      .position = r->position,
                      .ids = r->ids,
                      .state = states ? r->state : NULL,
                      .form = r->plan->form,
                      .chunk = r->plan->chunk,
                      .row_norm = r->plan->row_norm};
    rn_run_forward(r->run, &batch);
    if (logits) rn_run_logits(r->run, 0, *rows, logits);
    r->loss += rn_run_loss(r->run, r->targets, 0, NULL, NULL);
    return RN_OK;
}

/* As many sequences as fit into a pass, or one that does not. */
static rn_status gather(reader *r, size_t *group, rn_error *err)
{
    const plan *p = r->plan;
    uint64_t rows = 0;
    *group = 0;
    while (*group < p->group) {
        sequence s;
        rn_status st = next_sequence(r, &s, err);
        if (st) return st;
        if (!s.inputs || (*group && s.inputs > p->rows - rows)) break;
        r->sequences[(*group)++] = s;
        r->at += s.inputs;
        rows += s.inputs;
        if (s.inputs > p->rows) break;
    }
    return RN_OK;
}

/* All passes of a gathered group. */
static rn_status read_group(reader *r, size_t group, const rn_eval_options *o,
                            float *logits, uint64_t *done, rn_error *err)
{
    const source *text = r->text;
    uint64_t inputs = r->sequences[0].inputs;
    bool carried = inputs > r->plan->rows;
    bool states = carried || r->plan->form == RN_FORM_RECURRENT;
    uint64_t total = text->ids ? text->count : text->count - 1;
    if (carried && r->plan->row_norm == RN_ROW_NORM_TORCHSCALE)
        return fail_whole(inputs, err);
    if (states) memset(r->states, 0, group * r->state_floats * sizeof(float));
    size_t vocab = text->vocab, rows = 0;
    for (uint64_t at = 0; at < inputs; at += rows) {
        float *to = logits ? logits + *done * vocab : NULL;
        rn_status st = pass(r, group, at, states, to, &rows, err);
        if (st) return st;
        *done += rows;
        uint64_t place = r->sequences[group - 1].begin + at + rows;
        if (o->progress)
            o->progress(o->user, text->documents ? min64(place, total) : *done, total);
        if (!carried) break;
    }
    return RN_OK;
}

/* Reads everything. logits: [inputs in all][vocab], or NULL. */
static rn_status read_all(reader *r, const rn_eval_options *o, float *logits,
                          rn_error *err)
{
    uint64_t done = 0;
    for (;;) {
        size_t group;
        rn_status st = gather(r, &group, err);
        if (!st && group) st = read_group(r, group, o, logits, &done, err);
        if (st || !group) return st;
    }
}

static rn_status evaluate(rn_model *m, const source *text, const rn_eval_options *o,
                          float *logits, rn_eval_result *result, rn_error *err)
{
    plan p;
    reader r;
    double begin = rn_seconds();
    rn_status st = make_plan(&p, m, o, text, text->stride, err);
    if (!st) st = open_reader(&r, m, text, &p, err);
    if (st) return st;
    st = read_all(&r, o, logits, err);
    double loss = r.predicted ? r.loss / (double)r.predicted : (double)NAN;
    if (!st)
        *result = (rn_eval_result){.loss = loss,
                                   .perplexity = exp(loss),
                                   .bits_per_byte = (double)NAN,
                                   .tokens = r.predicted,
                                   .seconds = rn_seconds() - begin,
                                   .row_norm = p.row_norm};
    close_reader(&r);
    return st;
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
                   .vocab = model->config.vocab_size,
                   .documents = options->documents && rn_tokens_documents(tokens)};
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
                   .vocab = model->config.vocab_size,
                   .stride = length};
    return evaluate(model, &text, options, logits, result, err);
}

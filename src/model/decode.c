/*
 * Decoding: one token of each of a few sequences, by a team of threads that walks through
 * all layers without going to sleep. Every step of a layer is cut over the team, by rows
 * (one a sequence), by columns of a product, or by heads, and ends with a wait:
 *
 *   rows: residual, norm | the mixer's step | rows: residual, norm |
 *   columns: feed-forward in, activation | columns: feed-forward out
 *
 * It is the recurrent form of forward.c, which goes over segments and keeps what a
 * backward pass needs.
 */
#include "model/params.h"

#include "core/arena.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct rn_decoder {
    rn_model *m;
    size_t max_batch;
    void *block;
    rn_exec one; /* the model's handle with one thread, for the members */
    rn_team team;

    float *x, *normed, *branch; /* [batch][D] */
    float *in, *hidden;         /* [batch][F or 2F], [batch][F] */
    float *logits;              /* [batch][V] */
    float *shared;
    void *input_forms, *hidden_forms, *mixer_work;
    float **state, **tail; /* [layers][batch] */
    size_t *tail_count, *first;
    uint64_t *position;
    bool halves; /* of every sequence */

    /* Of the present step. */
    const int32_t *ids;
    rn_segment segment;
};

static void place(rn_decoder *d, rn_carver *c)
{
    const rn_config *f = &d->m->config;
    const rn_mixer *mixer = f->mixer.kind;
    size_t rows = d->max_batch, width = f->mixer.width, fw = f->ffn_width;
    d->x = rn_carve_floats(c, rows * width);
    d->normed = rn_carve_floats(c, rows * width);
    d->branch = rn_carve_floats(c, rows * width);
    d->in = rn_carve_floats(c, rows * (f->ffn == RN_FFN_GATED ? 2 * fw : fw));
    d->hidden = rn_carve_floats(c, rows * fw);
    d->logits = rn_carve_floats(c, rows * f->vocab_size);
    d->shared = rn_carve_floats(c, mixer->shared_floats(&f->mixer, rows));
    d->input_forms = rn_carve(c, rn_operand_bytes(rows, width), 1);
    d->hidden_forms = rn_carve(c, rn_operand_bytes(rows, fw), 1);
    d->mixer_work = rn_carve(c, mixer->step_bytes(&f->mixer, rows), 1);
    d->state = rn_carve(c, f->layers * rows, sizeof *d->state);
    d->tail = rn_carve(c, f->layers * rows, sizeof *d->tail);
    d->tail_count = rn_carve(c, rows, sizeof *d->tail_count);
    d->first = rn_carve(c, rows + 1, sizeof *d->first);
    d->position = rn_carve(c, rows, sizeof *d->position);
}

rn_status rn_decoder_create(rn_decoder **out, rn_model *m, size_t max_batch,
                            rn_error *err)
{
    if (max_batch == 0 || max_batch > ((size_t)1 << 20))
        return rn_fail(err, RN_EINVAL, "a batch of %zu sequences", max_batch);
    rn_decoder *d =
        aligned_alloc(RN_ALIGN, (sizeof *d + RN_ALIGN - 1) / RN_ALIGN * RN_ALIGN);
    if (!d) return rn_fail_memory(err, "a decoder", sizeof *d);
    *d = (rn_decoder){.m = m, .max_batch = max_batch, .halves = rn_model_halves(m)};
    rn_carver measure = {0};
    size_t bytes;
    place(d, &measure);
    rn_status st = rn_carve_total(&measure, "a decoder", &bytes, err);
    if (!st) st = rn_block_alloc(&d->block, bytes, "a decoder", err);
    if (st) {
        rn_decoder_free(d);
        return st;
    }
    place(d, &(rn_carver){.base = d->block});
    *out = d;
    return RN_OK;
}

void rn_decoder_free(rn_decoder *d)
{
    if (!d) return;
    rn_block_free(d->block);
    free(d);
}

size_t rn_decoder_batch(const rn_decoder *d)
{
    return d->max_batch;
}

static const float *weight(const rn_decoder *d, size_t offset)
{
    return rn_at_const(d->m->weights, offset);
}

static void norm_of(rn_decoder *d, const rn_norm_at *at, float *y, const float *in,
                    size_t dim, bool center)
{
    d->one.k.norm_fwd(&d->one, y, NULL, in, weight(d, at->weight), weight(d, at->bias), 1,
                      dim, (float)d->m->config.mixer.norm_eps, center);
}

/* The norm of the layers' kind, of a row of D. */
static void norm_row(rn_decoder *d, const rn_norm_at *at, float *y, const float *in)
{
    const rn_config *c = &d->m->config;
    norm_of(d, at, y, in, c->mixer.width, c->norm == RN_NORM_LAYER);
}

static void embed_row(rn_decoder *d, size_t b)
{
    const rn_config *c = &d->m->config;
    const rn_matrix *w = &d->m->at->embedding_matrix;
    const size_t width = c->mixer.width;
    float *x = d->x + b * width, *to = c->embedding_norm ? d->branch + b * width : x;
    rn_matrix_rows(&d->one, to, w, &d->ids[b], 1, (float)c->embedding_scale);
    if (c->embedding_norm) norm_row(d, &d->m->at->embedding_norm, x, to);
}

/* Adds what a branch gave: x = alpha x + branch, or under post-norm the norm of that. */
static void add_branch(rn_decoder *d, const rn_norm_at *norm, size_t b)
{
    const rn_config *c = &d->m->config;
    const size_t width = c->mixer.width;
    float *x = d->x + b * width, *branch = d->branch + b * width;
    d->one.k.axpby(&d->one, branch, (float)c->residual_scale, x, 1.0f, width);
    if (c->norm_position == RN_NORM_POST) norm_row(d, norm, x, branch);
    else memcpy(x, branch, width * sizeof *x);
}

/* What the branch behind `norm` reads. */
static rn_operand branch_input(const rn_decoder *d, const rn_matrix *w)
{
    const size_t width = d->m->config.mixer.width;
    bool pre = d->m->config.norm_position == RN_NORM_PRE;
    return rn_operand_place(w, false, pre ? d->normed : d->x, d->segment.batch, width,
                            width, d->input_forms);
}

/* The member's rows: `after` (NULL: nothing) is the norm of the branch that has ended,
   `before` that of the one that begins, whose input is prepared for the first n columns
   of w. */
static void between(rn_decoder *d, int rank, const rn_norm_at *after,
                    const rn_norm_at *before, const rn_operand *in, const rn_matrix *w,
                    size_t n)
{
    const size_t width = d->m->config.mixer.width;
    const rn_range r = rn_team_share(&d->team, rank, d->segment.batch, 1);
    rn_linear_ask(&d->team, rank, w, n, r.begin == r.end ? RN_TEAM_IDLE : RN_TEAM_FIRST);
    for (size_t b = r.begin; b < r.end; b++) {
        if (after) add_branch(d, after, b);
        else embed_row(d, b);
        if (d->m->config.norm_position == RN_NORM_PRE)
            norm_row(d, before, d->normed + b * width, d->x + b * width);
    }
    rn_operand_rows(&d->one, in, r.begin, r.end);
    rn_team_wait(&d->team);
}

/* Asks for what the member's rows need in `between`, beside the branch. */
static void ask_rows(rn_decoder *d, int rank, const rn_norm_at *norm)
{
    const size_t width = d->m->config.mixer.width, bytes = width * sizeof(float);
    const rn_range r = rn_team_share(&d->team, rank, d->segment.batch, 1);
    if (r.begin == r.end) return;
    const float *w = weight(d, norm->weight);
    if (w) rn_team_ask(w, bytes);
    rn_team_ask(d->x + r.begin * width, bytes);
    rn_team_ask(d->normed + r.begin * width, bytes);
}

static void mix(rn_decoder *d, int rank, size_t layer, const rn_operand *in)
{
    const rn_mixer_config *c = &d->m->config.mixer;
    const rn_layer_at *at = &d->m->at->layers[layer];
    const float *params[RN_MAX_PARAMS];
    for (size_t i = 0; i < RN_MAX_PARAMS; i++) params[i] = weight(d, at->mixer[i]);
    const rn_mixer_step s = {.segment = &d->segment,
                             .params = params,
                             .matrices = at->mixer_matrix,
                             .in = *in,
                             .state = d->state + layer * d->max_batch,
                             .tail = d->tail + layer * d->max_batch,
                             .tail_count = d->tail_count,
                             .halves = d->halves,
                             .work = d->mixer_work,
                             .team = &d->team,
                             .rank = rank};
    c->kind->step(&d->one, c, &s, d->branch);
    ask_rows(d, rank, &at->ffn_norm);
    rn_team_wait(&d->team);
}

/* Columns begin .. end-1 of the activated hidden rows from the columns of `in`. */
static void activate(rn_decoder *d, rn_range r)
{
    const rn_config *c = &d->m->config;
    const size_t f = c->ffn_width, n = c->ffn == RN_FFN_GATED ? 2 * f : f;
    for (size_t b = 0; b < d->segment.batch && r.begin < r.end; b++) {
        float *h = d->hidden + b * f;
        const float *in = d->in + b * n;
        d->one.k.act_fwd(&d->one, h + r.begin, in + r.begin, r.end - r.begin,
                         c->activation);
        if (c->ffn != RN_FFN_GATED) continue;
        for (size_t i = r.begin; i < r.end; i++) h[i] *= in[f + i];
    }
}

/* Columns of the feed-forward's first product. */
static void ffn_columns(rn_decoder *d, const rn_layer_at *at, const rn_operand *in,
                        rn_range r)
{
    const rn_matrix *w = &at->in_matrix;
    const float *bias = weight(d, at->in_bias);
    rn_linear_range(&d->one, d->in, w->n, in, w, r.begin, r.end);
    if (bias && r.begin < r.end)
        d->one.k.bias_fwd(&d->one, d->in + r.begin, w->n, bias + r.begin,
                          d->segment.batch, r.end - r.begin);
}

/* The hidden columns begin .. end-1, from the same columns of a gated product's halves.
 */
static void hidden_columns(rn_decoder *d, const rn_layer_at *at, const rn_operand *in,
                           rn_range r)
{
    const size_t f = d->m->config.ffn_width, n = at->in_matrix.n;
    if (r.end - r.begin == f) ffn_columns(d, at, in, (rn_range){0, n});
    else
        for (size_t half = 0; half < n; half += f)
            ffn_columns(d, at, in, (rn_range){half + r.begin, half + r.end});
    activate(d, r);
}

/* The norm over the hidden rows where the model has one, and their forms. */
static void hidden_rows(rn_decoder *d, int rank, const rn_layer_at *at,
                        const rn_operand *hidden)
{
    const size_t f = d->m->config.ffn_width;
    const bool center = rn_config_ffn_norm_centers(&d->m->config);
    rn_team_wait(&d->team);
    const rn_range r = rn_team_share(&d->team, rank, d->segment.batch, 1);
    for (size_t b = r.begin; b < r.end && d->m->config.ffn_norm; b++) {
        float *h = d->hidden + b * f, *from = d->in + b * f; /* `in` is done with */
        memcpy(from, h, f * sizeof *h);
        norm_of(d, &at->hidden_norm, h, from, f, center);
    }
    rn_operand_rows(&d->one, hidden, r.begin, r.end);
}

/* The hidden columns of a piece and, where nothing else comes first, their forms. */
static void hidden_piece(rn_decoder *d, const rn_layer_at *at, const rn_operand *in,
                         const rn_operand *hidden, bool forms, rn_range r)
{
    hidden_columns(d, at, in, r);
    if (forms) rn_operand_columns(&d->one, hidden, r.begin, r.end);
}

static void feed_forward(rn_decoder *d, int rank, size_t layer, const rn_operand *in)
{
    const rn_config *c = &d->m->config;
    const rn_layer_at *at = &d->m->at->layers[layer];
    const rn_matrix *down = &at->down_matrix;
    const size_t f = c->ffn_width, batch = d->segment.batch;
    const rn_operand hidden =
        rn_operand_place(down, false, d->hidden, batch, f, f, d->hidden_forms);
    const bool whole = f % RN_LINEAR_CUT == 0; /* pieces are whole panels and blocks */
    const bool forms = whole && !c->ffn_norm;
    if (whole)
        for (rn_range r = rn_team_first(&d->team, rank, f, RN_LINEAR_CUT);
             r.begin < r.end; r = rn_team_next(&d->team, f, RN_LINEAR_CUT))
            hidden_piece(d, at, in, &hidden, forms, r);
    else if (rank == 0) hidden_piece(d, at, in, &hidden, forms, (rn_range){0, f});
    if (!forms) hidden_rows(d, rank, at, &hidden);
    rn_linear_ask(&d->team, rank, down, down->n, RN_TEAM_FIRST);
    rn_team_wait(&d->team);
    rn_linear_team(&d->one, &d->team, rank, d->branch, &hidden, down,
                   weight(d, at->down_bias));
    const size_t next = layer + 1;
    ask_rows(d, rank, next < c->layers ? &at[1].mixer_norm : &d->m->at->norm);
    rn_team_wait(&d->team);
}

static void walk(rn_decoder *d, int rank)
{
    const rn_config *c = &d->m->config;
    const rn_model_at *at = d->m->at;
    const rn_norm_at *ended = NULL;
    for (size_t i = 0; i < c->layers; i++) {
        const rn_layer_at *l = &at->layers[i];
        const rn_matrix *w = &l->mixer_matrix[0];
        rn_operand in = branch_input(d, w);
        between(d, rank, ended, &l->mixer_norm, &in, w, w->n);
        mix(d, rank, i, &in);
        in = branch_input(d, &l->in_matrix);
        between(d, rank, &l->mixer_norm, &l->ffn_norm, &in, &l->in_matrix, c->ffn_width);
        feed_forward(d, rank, i, &in);
        ended = &l->ffn_norm;
    }
    const rn_matrix *w = &at->output_matrix;
    const rn_operand last = branch_input(d, w);
    between(d, rank, ended, &at->norm, &last, w, w->n);
    rn_linear_team(&d->one, &d->team, rank, d->logits, &last, w, NULL);
}

/* Takes over the step's sequences. */
static void begin(rn_decoder *d, size_t batch, rn_sequence *const *sequences,
                  const int32_t *ids, rn_row_norm norm)
{
    const rn_config *c = &d->m->config;
    const rn_mixer *mixer = c->mixer.kind;
    const size_t state = mixer->state_floats(&c->mixer, norm);
    const size_t tail = mixer->tail_floats(&c->mixer);
    bool together = true;
    d->one = *d->m->x; /* whose scratch may have moved since the last step */
    d->one.threads = 1;
    d->ids = ids;
    for (size_t b = 0; b < batch; b++) {
        const rn_sequence *s = sequences[b];
        d->first[b] = b;
        d->position[b] = s->position;
        d->tail_count[b] = s->tail_count;
        together = together && s->position == sequences[0]->position;
        for (size_t i = 0; i < c->layers; i++) {
            d->state[i * d->max_batch + b] = s->state + i * state;
            d->tail[i * d->max_batch + b] = s->tail + i * tail;
        }
    }
    d->first[batch] = batch;
    d->segment = (rn_segment){.batch = batch,
                              .rows = batch,
                              .first = d->first,
                              .position = d->position,
                              .period = together ? 1 : batch,
                              .form = RN_FORM_RECURRENT,
                              .row_norm = norm,
                              .shared = d->shared};
    mixer->prepare(&c->mixer, &d->segment, d->shared);
}

/* Whether every product with a matrix rounds its activations to bytes; an absent one has
   none that does not. Float32 ones have no parts. */
static bool rounds_to_bytes(const rn_matrix *w)
{
    if (w->n && !w->parts) return false;
    for (size_t i = 0; i < w->parts; i++)
        if (rn_acts_of(w->part[i].type, false) != RN_ACTS_Q8) return false;
    return true;
}

bool rn_model_halves(const rn_model *m)
{
    const rn_mixer_config *c = &m->config.mixer;
    if (!c->kind->halve || !c->kind->halve(m->x, c, NULL, true)) return false;
    for (size_t i = 0; i < m->config.layers; i++)
        for (size_t j = 0; j < RN_MAX_PARAMS; j++)
            if (!rounds_to_bytes(&m->at->layers[i].mixer_matrix[j])) return false;
    return m->config.layers > 0;
}

void rn_states_halve(rn_model *m, rn_row_norm norm, float *state, size_t layers,
                     bool split)
{
    const rn_mixer_config *c = &m->config.mixer;
    const size_t floats = c->kind->state_floats(c, norm);
    for (size_t i = 0; i < layers; i++)
        c->kind->halve(m->x, c, state + i * floats, split);
}

/* Puts a sequence's state into the order that steps want. */
static void split_state(rn_model *m, rn_sequence *s, rn_row_norm norm)
{
    if (s->halves) return;
    rn_states_halve(m, norm, s->state, m->config.layers, true);
    s->halves = true;
}

void rn_decoder_step(rn_decoder *d, size_t batch, rn_sequence *const *sequences,
                     const int32_t *ids, rn_row_norm norm, float *const *logits)
{
    const size_t vocab = d->m->config.vocab_size;
    for (size_t b = 0; b < batch && d->halves; b++) split_state(d->m, sequences[b], norm);
    begin(d, batch, sequences, ids, norm);
    const int threads = rn_exec_parallel(d->m->x, d->m->floats + d->m->panel_bytes);
#pragma omp parallel num_threads(threads)
    {
#pragma omp single
        d->team.size = omp_get_num_threads();
        walk(d, omp_get_thread_num());
    }
    for (size_t b = 0; b < batch; b++) {
        rn_sequence *s = sequences[b];
        memcpy(logits[b], d->logits + b * vocab, vocab * sizeof *d->logits);
        s->position++;
        s->tail_count = (s->tail_count + 1) % RN_DECODE_TAIL;
    }
}

void rn_sequence_fold(rn_model *m, rn_sequence *s, rn_row_norm norm)
{
    const rn_mixer_config *c = &m->config.mixer;
    if (s->halves) rn_states_halve(m, norm, s->state, m->config.layers, false);
    s->halves = false;
    const size_t state = c->kind->state_floats(c, norm), tail = c->kind->tail_floats(c);
    for (size_t i = 0; i < m->config.layers && s->tail_count; i++)
        c->kind->fold(m->x, c, norm, s->state + i * state, s->tail + i * tail,
                      s->tail_count);
    s->tail_count = 0;
}

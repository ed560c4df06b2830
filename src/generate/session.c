/*
 * Sessions: one block of memory with the retention state, the newest tokens beside it,
 * the last logits, the ids of an unfinished reading chunk and the sampler's scratch.
 * Reading goes chunkwise and is cut at absolute multiples of the reading chunk, and where
 * logits or a step are asked for. A session allocates nothing after its creation; its
 * model makes room once for the largest number of sessions that step together. What a
 * session holds is read by one caller at a time.
 */
#include "generate/session.h"

#include "core/arena.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(rn_candidate) <= sizeof(double),
               "they share the sampler's scratch");

static void place(rn_session *s, rn_carver *c)
{
    size_t vocab = s->model->config.vocab_size;
    s->sequence.state = rn_carve_floats(c, s->state_floats);
    s->sequence.tail = rn_carve_floats(c, s->tail_floats);
    s->logits = rn_carve_floats(c, vocab);
    s->pending = rn_carve(c, RN_READ_CHUNK, sizeof *s->pending);
    s->scratch.logits = rn_carve_floats(c, vocab);
    void *shared = rn_carve(c, vocab, sizeof(double));
    s->scratch.weights = shared;
    s->scratch.candidates = shared;
}

static rn_status allocate(rn_session *s, rn_error *err)
{
    rn_carver measure = {0};
    size_t bytes;
    place(s, &measure);
    rn_status st = rn_carve_total(&measure, "a session", &bytes, err);
    if (st) return st;
    st = rn_block_alloc(&s->block, bytes, "a session", err);
    if (st) return st;
    s->block_bytes = rn_block_size(bytes);
    place(s, &(rn_carver){.base = s->block});
    return RN_OK;
}

/* The working memory that the sessions of a model share. */
static rn_status make_reader(rn_model *model, rn_error *err)
{
    if (model->reader) return RN_OK;
    rn_run_options options = {.max_rows = RN_READ_CHUNK, .max_batch = 1, .logit_rows = 1};
    rn_status st = rn_run_create(&model->reader, model, &options, err);
    if (!st) rn_run_rest(model->reader);
    return st;
}

/* The same for steps of `batch` sessions. */
static rn_status make_decoder(rn_model *model, size_t batch, rn_error *err)
{
    if (model->decoder && rn_decoder_batch(model->decoder) >= batch) return RN_OK;
    rn_decoder *decoder;
    rn_status st = rn_decoder_create(&decoder, model, batch, err);
    if (st) return st;
    rn_decoder_free(model->decoder);
    model->decoder = decoder;
    return RN_OK;
}

rn_status rn_session_create(rn_session **out, rn_model *model, rn_error *err)
{
    if (!model->x)
        return rn_fail(err, RN_EINVAL,
                       "session: the model is a description without weights");
    rn_session *s = calloc(1, sizeof *s);
    if (!s) return rn_fail_memory(err, "a session", sizeof *s);
    s->model = model;
    rn_status st = rn_config_row_norm(&model->config, RN_ROW_NORM_AUTO, RN_FORM_CHUNKWISE,
                                      &s->row_norm, err);
    if (st) goto fail;
    s->state_floats = rn_model_state_floats(model, s->row_norm);
    s->tail_floats = rn_model_tail_floats(model);
    st = make_reader(model, err);
    if (st) goto fail;
    st = make_decoder(model, 1, err);
    if (st) goto fail;
    st = allocate(s, err);
    if (st) goto fail;
    *out = s;
    return RN_OK;
fail:
    rn_session_free(s);
    return st;
}

rn_status rn_session_copy(rn_session **out, const rn_session *from, rn_error *err)
{
    rn_session *s = malloc(sizeof *s);
    if (!s) return rn_fail_memory(err, "a session", sizeof *s);
    *s = *from;
    s->block = NULL;
    rn_status st = allocate(s, err);
    if (st) {
        rn_session_free(s);
        return st;
    }
    memcpy(s->sequence.state, from->sequence.state,
           s->state_floats * sizeof *s->sequence.state);
    memcpy(s->sequence.tail, from->sequence.tail,
           s->tail_floats * sizeof *s->sequence.tail);
    memcpy(s->logits, from->logits, s->model->config.vocab_size * sizeof *s->logits);
    memcpy(s->pending, from->pending, s->pending_count * sizeof *s->pending);
    *out = s;
    return RN_OK;
}

void rn_session_free(rn_session *s)
{
    if (!s) return;
    rn_block_free(s->block);
    free(s);
}

void rn_session_reset(rn_session *s)
{
    memset(s->sequence.state, 0, s->state_floats * sizeof *s->sequence.state);
    s->sequence.tail_count = 0;
    s->sequence.halves = false;
    s->sequence.position = 0;
    s->pending_count = 0;
    s->position = 0;
}

/* Reads what is pending into the state and sets the logits after the last. */
static void read_pending(rn_session *s)
{
    if (s->pending_count == 0) return;
    rn_run *run = s->model->reader;
    rn_sequence *q = &s->sequence;
    rn_sequence_fold(s->model, q, s->row_norm);
    size_t first[2] = {0, s->pending_count};
    rn_batch batch = {.batch = 1,
                      .first = first,
                      .position = &q->position,
                      .ids = s->pending,
                      .state = &q->state,
                      .form = RN_FORM_CHUNKWISE,
                      .row_norm = s->row_norm};
    rn_run_forward(run, &batch);
    rn_run_logits(run, s->pending_count - 1, 1, s->logits);
    q->position += s->pending_count;
    s->pending_count = 0;
}

static rn_status check_id(const rn_session *s, const char *what, size_t index, int32_t id,
                          rn_error *err)
{
    size_t vocab = s->model->config.vocab_size;
    if (id >= 0 && (size_t)id < vocab) return RN_OK;
    return rn_fail(err, RN_EINVAL,
                   "%s: id %d at index %zu is outside the vocabulary of %zu", what,
                   (int)id, index, vocab);
}

static void append(rn_session *s, int32_t id)
{
    s->recent[s->position % RN_SESSION_RECENT] = id;
    s->position++;
}

rn_status rn_session_feed(rn_session *s, const int32_t *ids, size_t count, rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        rn_status st = check_id(s, "feed", i, ids[i], err);
        if (st) return st;
    }
    for (size_t i = 0; i < count; i++) {
        s->pending[s->pending_count++] = ids[i];
        append(s, ids[i]);
        if (s->position % RN_READ_CHUNK == 0) read_pending(s);
    }
    return RN_OK;
}

/* Everything that can fail before any session is touched. */
static rn_status check_step(rn_session *const *sessions, const int32_t *ids, size_t count,
                            rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        rn_status st = check_id(sessions[i], "step", i, ids[i], err);
        if (st) return st;
        if (sessions[i]->model != sessions[0]->model)
            return rn_fail(err, RN_EINVAL, "step: session %zu is of another model", i);
        for (size_t j = 0; j < i; j++)
            if (sessions[j] == sessions[i])
                return rn_fail(err, RN_EINVAL, "step: sessions %zu and %zu are the same",
                               j, i);
    }
    return make_decoder(sessions[0]->model,
                        count < RN_STEP_SESSIONS ? count : RN_STEP_SESSIONS, err);
}

static void step_some(rn_session *const *sessions, const int32_t *ids, size_t count)
{
    rn_sequence *sequences[RN_STEP_SESSIONS];
    float *logits[RN_STEP_SESSIONS];
    for (size_t i = 0; i < count; i++) {
        read_pending(sessions[i]);
        sequences[i] = &sessions[i]->sequence;
        logits[i] = sessions[i]->logits;
    }
    rn_model *m = sessions[0]->model;
    rn_run_rest(m->reader);
    rn_decoder_step(m->decoder, count, sequences, ids, sessions[0]->row_norm, logits);
    for (size_t i = 0; i < count; i++) append(sessions[i], ids[i]);
}

rn_status rn_sessions_step(rn_session *const *sessions, const int32_t *ids, size_t count,
                           rn_error *err)
{
    if (count == 0) return RN_OK;
    rn_status st = check_step(sessions, ids, count, err);
    if (st) return st;
    for (size_t i = 0; i < count; i += RN_STEP_SESSIONS)
        step_some(sessions + i, ids + i,
                  count - i < RN_STEP_SESSIONS ? count - i : RN_STEP_SESSIONS);
    return RN_OK;
}

rn_status rn_session_step(rn_session *s, int32_t id, rn_error *err)
{
    return rn_sessions_step(&s, &id, 1, err);
}

const float *rn_session_logits(rn_session *s)
{
    if (s->position == 0) return NULL;
    read_pending(s);
    return s->logits;
}

rn_status rn_session_sample(rn_session *s, const rn_sampling *how, int32_t *id,
                            rn_error *err)
{
    const float *logits = rn_session_logits(s);
    if (!logits)
        return rn_fail(err, RN_EINVAL,
                       "sample: the session is at position 0: feed it a token");
    size_t recent =
        s->position < RN_SESSION_RECENT ? (size_t)s->position : RN_SESSION_RECENT;
    rn_sampler_input in = {.logits = logits,
                           .vocab = s->model->config.vocab_size,
                           .recent = s->recent,
                           .recent_count = recent,
                           .position = s->position};
    return rn_sampler_draw(how, &in, &s->scratch, id, err);
}

uint64_t rn_session_position(const rn_session *s)
{
    return s->position;
}

size_t rn_session_state_bytes(const rn_session *s)
{
    return s->state_floats * sizeof *s->sequence.state;
}

size_t rn_session_bytes(const rn_session *s)
{
    return sizeof *s + s->block_bytes;
}

size_t rn_session_recent(const rn_session *s, int32_t *ids, size_t most)
{
    size_t count = most < RN_SESSION_RECENT ? most : RN_SESSION_RECENT;
    if (s->position < count) count = (size_t)s->position;
    for (size_t i = 0; i < count; i++)
        ids[i] = s->recent[(s->position - count + i) % RN_SESSION_RECENT];
    return count;
}

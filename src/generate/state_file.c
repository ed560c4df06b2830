/*
 * A session as a file, layout version 1 (docs/state-file.md): header, recent and pending
 * ids, logits, state, the newest tokens beside the state, checksum. Every size follows
 * from the model and from two small counts of the header; nothing of a file is believed
 * before the checksums and the model agree with it.
 */
#include "core/arena.h"
#include "core/digest.h"
#include "core/file.h"
#include "generate/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, HEADER = 96, CHECKSUM = 8, MODEL_FIELDS = 8 };

static const char magic[8] = {'r', 'n', 's', 't', 'a', 't', 'e', '\n'};

/* Larger positions have no exact angle. */
static const uint64_t last_position = (uint64_t)1 << 53;

/* What the header says; dims in the order of dim_names. */
typedef struct header {
    uint32_t weight_type;
    uint64_t model;
    uint32_t dims[MODEL_FIELDS];
    uint64_t state_floats;
    uint64_t position;
    uint32_t tail_count, pending_count;
} header;

static const char *const dim_names[MODEL_FIELDS] = {
    "layers",  "heads",     "kv_heads",   "width",
    "key_dim", "value_dim", "vocab_size", "row normaliser"};

/* Where the parts lie. */
typedef struct layout {
    size_t recent, pending, logits, state, tail, end; /* end: of the checksum */
} layout;

/* The stretches of floats that the newest tokens take beside the state. */
typedef struct tail_walk {
    size_t layer, run, offset, floats;
} tail_walk;

static bool next_run(const rn_session *s, size_t count, tail_walk *w)
{
    for (; w->layer < s->model->config.layers; w->layer++, w->run = 0) {
        w->floats = rn_model_tail_run(s->model, w->layer, count, w->run++, &w->offset);
        if (w->floats) return true;
    }
    return false;
}

/* All numbers together fit in memory, so their sum does not overflow. */
static layout lay_out(const rn_session *s, size_t tail_count, size_t pending_count)
{
    layout l = {.recent = HEADER};
    l.pending = l.recent + sizeof s->recent;
    l.logits = l.pending + pending_count * sizeof *s->pending;
    l.state = l.logits + s->model->config.vocab_size * sizeof *s->logits;
    l.tail = l.state + s->state_floats * sizeof(float);
    l.end = l.tail + CHECKSUM;
    for (tail_walk w = {0}; next_run(s, tail_count, &w);)
        l.end += w.floats * sizeof(float);
    return l;
}

/* The type that most of the model's numbers are held in. */
static uint32_t main_type(const rn_model *m)
{
    size_t count[RN_WEIGHT_TYPES] = {0}, best = 0;
    for (size_t i = 0; i < m->param_count; i++)
        count[m->params[i].type] +=
            m->params[i].shape[0] * (m->params[i].dims == 2 ? m->params[i].shape[1] : 1);
    for (size_t i = 1; i < RN_WEIGHT_TYPES; i++)
        if (count[i] > count[best]) best = i;
    return (uint32_t)best;
}

static rn_status header_of(const rn_session *s, header *h, rn_error *err)
{
    const rn_config *c = &s->model->config;
    const size_t dims[MODEL_FIELDS] = {
        c->layers,        c->mixer.heads,     c->mixer.kv_heads, c->mixer.width,
        c->mixer.key_dim, c->mixer.value_dim, c->vocab_size,     (size_t)s->row_norm};
    *h = (header){.weight_type = main_type(s->model),
                  .state_floats = s->state_floats,
                  .position = s->position,
                  .tail_count = (uint32_t)s->sequence.tail_count,
                  .pending_count = (uint32_t)s->pending_count};
    for (size_t i = 0; i < MODEL_FIELDS; i++) h->dims[i] = (uint32_t)dims[i];
    return rn_model_hash(s->model, &h->model, err);
}

static void put_u32(unsigned char *to, uint32_t n)
{
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(n >> 8 * i);
}

static void put_u64(unsigned char *to, uint64_t n)
{
    for (int i = 0; i < 8; i++) to[i] = (unsigned char)(n >> 8 * i);
}

static uint32_t get_u32(const unsigned char *from)
{
    uint32_t n = 0;
    for (int i = 0; i < 4; i++) n |= (uint32_t)from[i] << 8 * i;
    return n;
}

static uint64_t get_u64(const unsigned char *from)
{
    return (uint64_t)get_u32(from + 4) << 32 | get_u32(from);
}

static void pack_header(unsigned char to[HEADER], const header *h)
{
    memset(to, 0, HEADER);
    memcpy(to, magic, sizeof magic);
    put_u32(to + 8, VERSION);
    put_u32(to + 12, h->weight_type);
    put_u64(to + 16, h->model);
    for (size_t i = 0; i < MODEL_FIELDS; i++) put_u32(to + 24 + 4 * i, h->dims[i]);
    put_u64(to + 56, h->state_floats);
    put_u64(to + 64, h->position);
    put_u32(to + 72, h->tail_count);
    put_u32(to + 76, h->pending_count);
    put_u64(to + 88, rn_digest(to, 88));
}

static void unpack_header(header *h, const unsigned char from[HEADER])
{
    *h = (header){.weight_type = get_u32(from + 12),
                  .model = get_u64(from + 16),
                  .state_floats = get_u64(from + 56),
                  .position = get_u64(from + 64),
                  .tail_count = get_u32(from + 72),
                  .pending_count = get_u32(from + 76)};
    for (size_t i = 0; i < MODEL_FIELDS; i++) h->dims[i] = get_u32(from + 24 + 4 * i);
}

/* Index of the first number that is NaN or infinite; count: none. */
static size_t find_bad(const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        if ((bits & 0x7F800000u) == 0x7F800000u) return i;
    }
    return count;
}

/* `x` begins with number `from` of what it is a part of. */
static rn_status check_finite(const float *x, size_t from, size_t count, const char *path,
                              const char *what, rn_status status, rn_error *err)
{
    size_t bad = find_bad(x, count);
    if (bad == count) return RN_OK;
    return rn_fail(err, status, "%s: number %zu of the %s is %s", path, from + bad, what,
                   x[bad] != x[bad] ? "NaN" : "infinite");
}

static size_t layer_floats(const rn_session *s)
{
    const size_t layers = s->model->config.layers;
    return layers ? s->state_floats / layers : 0;
}

/* A layer's state as floats, in `space` (layer_floats) where the session has it in
 * halves. */
static const float *layer_state(const rn_session *s, size_t layer, float *space)
{
    const size_t floats = layer_floats(s);
    const float *state = s->sequence.state + layer * floats;
    if (!s->sequence.halves) return state;
    memcpy(space, state, floats * sizeof *space);
    rn_states_halve(s->model, s->row_norm, space, 1, false);
    return space;
}

static rn_status check_layer(const rn_session *s, size_t layer, const float *state,
                             const char *path, rn_status status, rn_error *err)
{
    const size_t floats = layer_floats(s);
    return check_finite(state, layer * floats, floats, path, "state", status, err);
}

/* Everything in a session that counts but its state. Logits mean nothing before a token
   is read. `status` is that of a failure. */
static rn_status check_numbers(const rn_session *s, const char *path, rn_status status,
                               rn_error *err)
{
    const rn_sequence *q = &s->sequence;
    rn_status st = RN_OK;
    if (q->position)
        st = check_finite(s->logits, 0, s->model->config.vocab_size, path, "logits",
                          status, err);
    size_t before = 0;
    for (tail_walk w = {0}; !st && next_run(s, q->tail_count, &w); before += w.floats)
        st = check_finite(q->tail + w.offset, before, w.floats, path,
                          "keys and values beside the state", status, err);
    return st;
}

/* ---- Saving ---- */

typedef struct sink {
    rn_writer *w;
    rn_digester digest;
} sink;

static rn_status put(sink *to, const void *bytes, size_t count, rn_error *err)
{
    rn_digester_add(&to->digest, bytes, count);
    return rn_writer_put(to->w, bytes, count, err);
}

static size_t recent_count(const rn_session *s)
{
    return s->position < RN_SESSION_RECENT ? (size_t)s->position : RN_SESSION_RECENT;
}

/* Recent ids and logits, with zeros where there is none yet. */
static rn_status put_recent(sink *to, const rn_session *s, rn_error *err)
{
    int32_t recent[RN_SESSION_RECENT] = {0};
    memcpy(recent, s->recent, recent_count(s) * sizeof *recent);
    return put(to, recent, sizeof recent, err);
}

static rn_status put_logits(sink *to, const rn_session *s, rn_error *err)
{
    const size_t vocab = s->model->config.vocab_size;
    const float zero = 0.0f;
    if (s->sequence.position) return put(to, s->logits, vocab * sizeof zero, err);
    rn_status st = RN_OK;
    for (size_t i = 0; i < vocab && !st; i++) st = put(to, &zero, sizeof zero, err);
    return st;
}

/* Checks each layer as well: to bring it into its order twice would take longer. */
static rn_status put_state(sink *to, const rn_session *s, const char *path, float *space,
                           rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; i < s->model->config.layers && !st; i++) {
        const float *state = layer_state(s, i, space);
        st = check_layer(s, i, state, path, RN_EINVAL, err);
        if (!st) st = put(to, state, layer_floats(s) * sizeof *state, err);
    }
    return st;
}

static rn_status put_session(sink *to, const rn_session *s, const header *h,
                             const char *path, float *space, rn_error *err)
{
    const rn_sequence *q = &s->sequence;
    unsigned char head[HEADER], checksum[CHECKSUM];
    pack_header(head, h);
    rn_status st = put(to, head, sizeof head, err);
    if (!st) st = put_recent(to, s, err);
    if (!st) st = put(to, s->pending, s->pending_count * sizeof *s->pending, err);
    if (!st) st = put_logits(to, s, err);
    if (!st) st = put_state(to, s, path, space, err);
    for (tail_walk w = {0}; !st && next_run(s, q->tail_count, &w);)
        st = put(to, q->tail + w.offset, w.floats * sizeof *q->tail, err);
    if (st) return st;
    put_u64(checksum, rn_digester_end(&to->digest));
    return rn_writer_put(to->w, checksum, sizeof checksum, err);
}

static rn_status save(const rn_session *s, const char *path, float *space, rn_error *err)
{
    header h;
    sink to;
    rn_status st = check_numbers(s, path, RN_EINVAL, err);
    if (!st) st = header_of(s, &h, err);
    if (!st) st = rn_writer_open(&to.w, path, err);
    if (st) return st;
    const layout l = lay_out(s, s->sequence.tail_count, s->pending_count);
    rn_digester_begin(&to.digest, l.end - CHECKSUM);
    st = put_session(&to, s, &h, path, space, err);
    if (!st) return rn_writer_commit(to.w, err);
    rn_writer_abandon(to.w);
    return st;
}

rn_status rn_session_save(const rn_session *s, const char *path, rn_error *err)
{
    if (!s->sequence.halves) return save(s, path, NULL, err);
    const size_t bytes = layer_floats(s) * sizeof(float);
    float *space = malloc(bytes);
    if (!space) return rn_fail_memory(err, "a layer's state", bytes);
    rn_status st = save(s, path, space, err);
    free(space);
    return st;
}

/* ---- Loading ---- */

/* That it is a session file of this version, with a whole header. */
static rn_status check_kind(const rn_map *file, const char *path, rn_error *err)
{
    if (file->size < sizeof magic || memcmp(file->data, magic, sizeof magic) != 0)
        return rn_fail(err, RN_EFORMAT, "%s: is not a session file", path);
    if (file->size >= 12 && get_u32(file->data + 8) != VERSION)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: a session file of version %" PRIu32 ", known is %d", path,
                       get_u32(file->data + 8), VERSION);
    if (file->size < HEADER)
        return rn_fail(err, RN_EFORMAT, "%s: truncated: %zu bytes, and the header has %d",
                       path, file->size, HEADER);
    if (get_u64(file->data + 88) != rn_digest(file->data, 88))
        return rn_fail(err, RN_EFORMAT,
                       "%s: damaged: the checksum of its header is wrong", path);
    return RN_OK;
}

static const char *type_name(uint32_t type)
{
    const char *name = type < RN_WEIGHT_TYPES ? rn_weight_type_name((int)type) : NULL;
    return name ? name : "unknown";
}

static rn_status check_model(const header *file, const header *own, const char *path,
                             rn_error *err)
{
    if (file->model != own->model)
        return rn_fail(err, RN_EINVAL,
                       "%s: belongs to another model: hash %016" PRIx64
                       " (weights %s), this model has %016" PRIx64 " (weights %s)",
                       path, file->model, type_name(file->weight_type), own->model,
                       type_name(own->weight_type));
    if (file->weight_type != own->weight_type)
        return rn_fail(err, RN_EFORMAT,
                       "%s: weight type %" PRIu32 " contradicts the model's %" PRIu32,
                       path, file->weight_type, own->weight_type);
    for (size_t i = 0; i < MODEL_FIELDS; i++)
        if (file->dims[i] != own->dims[i])
            return rn_fail(err, RN_EFORMAT,
                           "%s: %s is %" PRIu32 " in the file and %" PRIu32
                           " in the model",
                           path, dim_names[i], file->dims[i], own->dims[i]);
    if (file->state_floats != own->state_floats)
        return rn_fail(err, RN_EFORMAT,
                       "%s: a state of %" PRIu64 " numbers, and the model's has %" PRIu64,
                       path, file->state_floats, own->state_floats);
    return RN_OK;
}

/* A reading chunk ends at multiples of its size, so less than that is pending, and none
   of it from before the last multiple. */
static rn_status check_counts(const header *h, const char *path, rn_error *err)
{
    if (h->position > last_position)
        return rn_fail(err, RN_EFORMAT, "%s: position %" PRIu64 " is above 2^53", path,
                       h->position);
    if (h->pending_count > h->position % RN_READ_CHUNK)
        return rn_fail(err, RN_EFORMAT,
                       "%s: %" PRIu32 " ids are pending, which position %" PRIu64
                       " contradicts",
                       path, h->pending_count, h->position);
    if (h->tail_count >= RN_DECODE_TAIL || h->tail_count > h->position - h->pending_count)
        return rn_fail(err, RN_EFORMAT,
                       "%s: %" PRIu32 " tokens beside the state, which position %" PRIu64
                       " with %" PRIu32 " ids pending contradicts",
                       path, h->tail_count, h->position, h->pending_count);
    return RN_OK;
}

static rn_status check_size(const rn_map *file, const layout *l, const char *path,
                            rn_error *err)
{
    if (file->size != l->end)
        return rn_fail(err, RN_EFORMAT, "%s: %s: %zu bytes instead of %zu", path,
                       file->size < l->end ? "truncated" : "too long", file->size,
                       l->end);
    const size_t summed = l->end - CHECKSUM;
    if (get_u64(file->data + summed) != rn_digest(file->data, summed))
        return rn_fail(err, RN_EFORMAT, "%s: damaged: its checksum is wrong", path);
    return RN_OK;
}

static rn_status check_ids(const rn_session *s, const int32_t *ids, size_t count,
                           const char *path, const char *what, rn_error *err)
{
    const size_t vocab = s->model->config.vocab_size;
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocab)
            return rn_fail(err, RN_EFORMAT,
                           "%s: %s id %zu is %" PRId32 ", outside the vocabulary of %zu",
                           path, what, i, ids[i], vocab);
    return RN_OK;
}

/* The newest of the pending ids are told twice. */
static rn_status check_pending(const rn_session *s, const char *path, rn_error *err)
{
    const size_t count = s->pending_count;
    for (size_t i = count > RN_SESSION_RECENT ? count - RN_SESSION_RECENT : 0; i < count;
         i++) {
        const int32_t recent = s->recent[(s->position - count + i) % RN_SESSION_RECENT];
        if (s->pending[i] != recent)
            return rn_fail(err, RN_EFORMAT,
                           "%s: pending id %zu is %" PRId32
                           ", which the recent id %" PRId32 " contradicts",
                           path, i, s->pending[i], recent);
    }
    return RN_OK;
}

static rn_status check_contents(const rn_session *s, const char *path, rn_error *err)
{
    rn_status st = check_ids(s, s->recent, recent_count(s), path, "recent", err);
    if (!st) st = check_ids(s, s->pending, s->pending_count, path, "pending", err);
    if (!st) st = check_numbers(s, path, RN_EFORMAT, err);
    for (size_t i = 0; !st && i < s->model->config.layers; i++)
        st = check_layer(s, i, layer_state(s, i, NULL), path, RN_EFORMAT, err);
    for (size_t i = 0; !st && !s->sequence.position && i < s->state_floats; i++)
        if (s->sequence.state[i] != 0)
            st = rn_fail(err, RN_EFORMAT,
                         "%s: a state that is not empty, which position %" PRIu64
                         " with %zu ids pending contradicts",
                         path, s->position, s->pending_count);
    return st ? st : check_pending(s, path, err);
}

static void take(rn_session *s, const rn_map *file, const header *h, const layout *l)
{
    rn_sequence *q = &s->sequence;
    s->position = h->position;
    s->pending_count = h->pending_count;
    q->position = h->position - h->pending_count;
    q->tail_count = h->tail_count;
    memcpy(s->recent, file->data + l->recent, sizeof s->recent);
    memcpy(s->pending, file->data + l->pending, l->logits - l->pending);
    memcpy(s->logits, file->data + l->logits, l->state - l->logits);
    memcpy(q->state, file->data + l->state, l->tail - l->state);
    const unsigned char *from = file->data + l->tail;
    for (tail_walk w = {0}; next_run(s, q->tail_count, &w);) {
        memcpy(q->tail + w.offset, from, w.floats * sizeof *q->tail);
        from += w.floats * sizeof *q->tail;
    }
}

static rn_status read_session(rn_session *s, const rn_map *file, const char *path,
                              rn_error *err)
{
    header own, h;
    rn_status st = check_kind(file, path, err);
    if (!st) st = header_of(s, &own, err);
    if (st) return st;
    unpack_header(&h, file->data);
    st = check_model(&h, &own, path, err);
    if (!st) st = check_counts(&h, path, err);
    if (st) return st;
    const layout l = lay_out(s, h.tail_count, h.pending_count);
    st = check_size(file, &l, path, err);
    if (st) return st;
    take(s, file, &h, &l);
    return check_contents(s, path, err);
}

rn_status rn_session_load(rn_session **out, rn_model *model, const char *path,
                          rn_error *err)
{
    rn_session *s = NULL;
    rn_map file;
    rn_status st = rn_map_open(&file, path, err);
    if (st) return st;
    st = rn_session_create(&s, model, err);
    if (!st) st = read_session(s, &file, path, err);
    rn_map_close(&file);
    if (st) {
        rn_session_free(s);
        return st;
    }
    *out = s;
    return RN_OK;
}

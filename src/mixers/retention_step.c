/*
 * Decoding with retention: one token of each sequence by a team of threads.
 *
 *   columns of q, k, v, g | heads: rotate, remember k and v, read out, head norm, gate |
 *   columns of the output
 *
 * A head is one member's from rotation to gate, so its row stays in the first-level
 * cache.
 */
#include "mixers/retention.h"

#include "core/arena.h"
#include "kernels/halves.h"

#include <math.h>
#include <string.h>

typedef struct step_work {
    float *qkvg;  /* [batch][N] */
    float *gated; /* [batch][H dv] */
    void *forms;  /* of gated, for the output's product */
} step_work;

static step_work place(const rn_mixer_config *c, size_t batch, void *base, size_t *bytes)
{
    rn_carver m = {.base = base};
    size_t o = c->heads * c->value_dim;
    step_work w = {.qkvg = rn_carve_floats(&m, batch * rn_retention_widths(c).all),
                   .gated = rn_carve_floats(&m, batch * o)};
    w.forms = rn_carve(&m, rn_operand_bytes(batch, o), 1);
    if (bytes) *bytes = m.used;
    return w;
}

size_t rn_retention_step_bytes(const rn_mixer_config *c, size_t batch)
{
    size_t bytes;
    place(c, batch, NULL, &bytes);
    return bytes;
}

static size_t head_tail(const rn_mixer_config *c)
{
    return RN_DECODE_TAIL * (c->key_dim + c->value_dim);
}

size_t rn_retention_tail_floats(const rn_mixer_config *c)
{
    return c->kv_heads * head_tail(c);
}

/* Keys, then values, of each head. */
size_t rn_retention_tail_run(const rn_mixer_config *c, size_t count, size_t i,
                             size_t *offset)
{
    if (i >= 2 * c->kv_heads) return 0;
    const bool values = i % 2;
    *offset = i / 2 * head_tail(c) + (values ? RN_DECODE_TAIL * c->key_dim : 0);
    return count * (values ? c->value_dim : c->key_dim);
}

/* One head's row, rotated in place by the angles of sequence b and scaled. */
static void rotate(rn_exec *x, const rn_mixer_config *c, const rn_mixer_step *s, size_t b,
                   float *row, float scale)
{
    const rn_segment *g = s->segment;
    retention_tables t = rn_retention_tables(c, g->period, g->shared, NULL);
    size_t at = b % g->period * (c->key_dim / 2);
    rn_rotary d = {.rows = 1,
                   .period = 1,
                   .heads = 1,
                   .dk = c->key_dim,
                   .ld = c->key_dim,
                   .cos = t.cos + at,
                   .sin = t.sin + at,
                   .kind = c->rotary,
                   .scale = scale};
    x->k.rotary(x, &d, row);
}

/* Head h of sequence b: its part of the gated row. */
static void read_head(rn_exec *x, const rn_mixer_config *c, const rn_mixer_step *s,
                      const step_work *t, size_t b, size_t h, const float *tail)
{
    const retention_widths w = rn_retention_widths(c);
    const size_t dk = c->key_dim, dv = c->value_dim, shared = c->heads / c->kv_heads;
    const rn_segment *g = s->segment;
    const size_t count = s->tail_count[b] + 1;
    float o[RN_MAX_HEAD_WIDTH], *q = t->qkvg + b * w.all + h * dk;
    rotate(x, c, s, b, q, (float)(1.0 / sqrt((double)dk)));
    const rn_decode d = {
        .dk = dk,
        .dv = dv,
        .tail = count,
        .log_decay = rn_retention_tables(c, g->period, g->shared, NULL).log_decay[h],
        .norm = g->row_norm,
        .seen = g->position[b],
        .fold = count == RN_DECODE_TAIL,
        .halves = s->halves};
    const float *keys = tail + h / shared * head_tail(c);
    float *z = s->state[b] + c->heads * dk * dv + h * dk;
    x->k.retention_decode(x, &d, o, q, s->state[b] + h * dk * dv,
                          g->row_norm == RN_ROW_NORM_PAPER ? z : NULL, keys,
                          keys + RN_DECODE_TAIL * dk);

    const bool channel = c->head_norm_weight == RN_HEAD_NORM_WEIGHT_CHANNEL;
    const float *weight = s->params[RETENTION_HEAD_NORM];
    const rn_headnorm n = {.rows = 1,
                           .heads = 1,
                           .dv = dv,
                           .ldg = dv,
                           .kind = c->head_norm,
                           .eps = (float)c->norm_eps};
    const float *gate = t->qkvg + b * w.all + w.q + w.k + w.v + h * dv;
    x->k.headnorm_fwd(x, &n, t->gated + b * c->heads * dv + h * dv, NULL, o,
                      c->output_gate ? gate : NULL,
                      weight && channel ? weight + h * dv : weight);
}

/* The heads of sequence b that share key and value head kv. */
static void read_group(rn_exec *x, const rn_mixer_config *c, const rn_mixer_step *s,
                       const step_work *t, size_t b, size_t kv)
{
    const retention_widths w = rn_retention_widths(c);
    const size_t dk = c->key_dim, dv = c->value_dim, shared = c->heads / c->kv_heads;
    float *row = t->qkvg + b * w.all, *key = row + w.q + kv * dk;
    float *tail = s->tail[b] + kv * head_tail(c);
    if (c->rotary != RN_ROTARY_NONE) rotate(x, c, s, b, key, 1.0f);
    memcpy(tail + s->tail_count[b] * dk, key, dk * sizeof *key);
    memcpy(tail + RN_DECODE_TAIL * dk + s->tail_count[b] * dv, row + w.q + w.k + kv * dv,
           dv * sizeof *key);
    for (size_t h = kv * shared; h < (kv + 1) * shared; h++)
        read_head(x, c, s, t, b, h, s->tail[b]);
}

/* Asks for what group i of r reads first: the keys and values of its newest tokens, and
   the beginning of its state. */
static void ask_group(const rn_mixer_config *c, const rn_mixer_step *s, rn_range r,
                      size_t i)
{
    if (i >= r.end) return;
    const size_t b = i / c->kv_heads, kv = i % c->kv_heads, count = s->tail_count[b];
    const size_t state = c->heads / c->kv_heads * c->key_dim * c->value_dim;
    const float *keys = s->tail[b] + kv * head_tail(c), *first = s->state[b] + kv * state;
    const size_t bytes = state * sizeof *first;
    rn_team_ask(keys, count * c->key_dim * sizeof *keys);
    rn_team_ask(keys + RN_DECODE_TAIL * c->key_dim, count * c->value_dim * sizeof *keys);
    rn_team_ask(first, bytes < RN_TEAM_FIRST ? bytes : RN_TEAM_FIRST);
}

/* Whether the forms of a head's part of a row can be made by the one who made the part.
 */
static bool by_heads(const rn_mixer_config *c)
{
    size_t group = c->heads / c->kv_heads * c->value_dim;
    return group % RN_PANEL_BLOCK == 0;
}

static void prepare_group(rn_exec *x, const rn_mixer_config *c, const rn_operand *gated,
                          size_t b, size_t kv)
{
    size_t group = c->heads / c->kv_heads * c->value_dim;
    rn_operand row = rn_operand_row(gated, b);
    rn_operand_columns(x, &row, kv * group, (kv + 1) * group);
}

void rn_retention_step(rn_exec *x, const rn_mixer_config *c, const rn_mixer_step *s,
                       float *y)
{
    const size_t batch = s->segment->batch, o_in = c->heads * c->value_dim;
    const step_work t = place(c, batch, s->work, NULL);
    const rn_matrix *out = &s->matrices[RETENTION_O];
    const rn_operand gated =
        rn_operand_place(out, false, t.gated, batch, o_in, o_in, t.forms);

    rn_linear_team(x, s->team, s->rank, t.qkvg, &s->in, &s->matrices[RETENTION_Q],
                   s->params[RETENTION_Q_BIAS]);
    rn_range r = rn_team_share(s->team, s->rank, batch * c->kv_heads, 1);
    ask_group(c, s, r, r.begin);
    rn_team_wait(s->team);
    for (size_t i = r.begin; i < r.end; i++) {
        ask_group(c, s, r, i + 1);
        read_group(x, c, s, &t, i / c->kv_heads, i % c->kv_heads);
        if (by_heads(c)) prepare_group(x, c, &gated, i / c->kv_heads, i % c->kv_heads);
    }
    rn_linear_ask(s->team, s->rank, out, out->n, RN_TEAM_FIRST);
    rn_team_wait(s->team);
    if (!by_heads(c)) {
        r = rn_team_share(s->team, s->rank, batch, 1);
        rn_operand_rows(x, &gated, r.begin, r.end);
        rn_team_wait(s->team);
    }
    rn_linear_team(x, s->team, s->rank, y, &gated, out, s->params[RETENTION_O_BIAS]);
}

void rn_retention_fold(rn_exec *x, const rn_mixer_config *c, rn_row_norm norm,
                       float *state, const float *tail, size_t count)
{
    const size_t dk = c->key_dim, dv = c->value_dim, shared = c->heads / c->kv_heads;
#pragma omp parallel for schedule(static)                                                \
    num_threads(rn_exec_parallel(x, c->heads *dk *dv))
    for (size_t h = 0; h < c->heads; h++) {
        const rn_decode d = {.dk = dk,
                             .dv = dv,
                             .tail = count,
                             .log_decay = (float)log(c->decays[h]),
                             .norm = norm,
                             .fold = true};
        const float *keys = tail + h / shared * head_tail(c);
        float *z = state + c->heads * dk * dv + h * dk;
        x->k.retention_decode(x, &d, NULL, NULL, state + h * dk * dv,
                              norm == RN_ROW_NORM_PAPER ? z : NULL, keys,
                              keys + RN_DECODE_TAIL * dk);
    }
}

bool rn_retention_halve(rn_exec *x, const rn_mixer_config *c, float *state, bool split)
{
    const size_t count = c->key_dim * c->value_dim;
    if (c->value_dim % RN_HALVES_COLUMNS) return false;
    if (!state) return true;
#pragma omp parallel for schedule(static)                                                \
    num_threads(rn_exec_parallel(x, c->heads *count))
    for (size_t h = 0; h < c->heads; h++) {
        if (split) rn_halves_split(state + h * count, count, rn_exec_scratch(x));
        else rn_halves_join(state + h * count, count, rn_exec_scratch(x));
    }
    return true;
}

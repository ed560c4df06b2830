/* A model's life: parameters laid out by the config, one block of weights, and the table
   that finds each parameter by its role. */
#include "model/params.h"

#include "core/arena.h"
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Consecutive parameters, of one layer or of all. */
typedef struct range {
    const rn_param *from, *to;
} range;

static const rn_param *find(range r, const char *prefix, const char *name)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    for (const rn_param *p = r.from; p < r.to; p++)
        if (strcmp(p->name, full) == 0) return p;
    return NULL;
}

static size_t offset_of(range r, const char *prefix, const char *name)
{
    const rn_param *p = find(r, prefix, name);
    return p ? p->offset : RN_ABSENT;
}

/* The matrix that begins with parameter p, those joined to it included; none for one that
   is joined itself. In a description its parts have types and rows, but no data. */
static rn_matrix matrix_from(const rn_model *m, const rn_param *p)
{
    rn_matrix w = {0};
    if (!p || p->dims != 2 || p->spec.joined) return w;
    const size_t first = (size_t)(p - m->params);
    const size_t end = rn_params_joined(m->params, m->param_count, first);
    w.k = p->shape[1];
    w.f32 = m->weights ? rn_at_const(m->weights, p->offset) : NULL;
    for (size_t i = first; i < end; i++) {
        const rn_param *q = &m->params[i];
        w.n += q->shape[0];
        if (q->type == RN_WEIGHT_F32) continue;
        if (q->panels != RN_ABSENT)
            w.part[w.parts++] =
                (rn_panels){.type = q->type,
                            .k = w.k,
                            .data = m->panels ? m->panels + q->panels : NULL};
        w.part[w.parts - 1].n += q->shape[0];
    }
    return w;
}

static rn_norm_at norm_of(range r, const char *prefix, const char *name)
{
    char weight[48], bias[48];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    return (rn_norm_at){offset_of(r, prefix, weight), offset_of(r, prefix, bias)};
}

/* Finds the parameters of a layer, which begin at or behind `from`; returns their end. */
static const rn_param *find_layer(const rn_model *m, size_t layer, const rn_param *from,
                                  rn_layer_at *at)
{
    const rn_config *c = &m->config;
    char prefix[48], mixer[64];
    snprintf(prefix, sizeof prefix, "layers.%zu.", layer);
    snprintf(mixer, sizeof mixer, "layers.%zu.mixer.", layer);
    const rn_param *end = m->params + m->param_count;
    while (from < end && strncmp(from->name, prefix, strlen(prefix)) != 0) from++;
    range r = {from, from};
    while (r.to < end && strncmp(r.to->name, prefix, strlen(prefix)) == 0) r.to++;

    bool gated = c->ffn == RN_FFN_GATED;
    at->mixer_norm = norm_of(r, prefix, "mixer_norm");
    at->ffn_norm = norm_of(r, prefix, "ffn_norm");
    at->hidden_norm = norm_of(r, prefix, "ffn.norm");
    const char *in = gated ? "ffn.gate.weight" : "ffn.up.weight";
    at->in = offset_of(r, prefix, in);
    at->in_matrix = matrix_from(m, find(r, prefix, in));
    at->down_matrix = matrix_from(m, find(r, prefix, "ffn.down.weight"));
    at->in_bias = offset_of(r, prefix, gated ? "ffn.gate.bias" : "ffn.up.bias");
    at->down = offset_of(r, prefix, "ffn.down.weight");
    at->down_bias = offset_of(r, prefix, "ffn.down.bias");
    for (size_t i = 0; i < RN_MAX_PARAMS; i++) {
        rn_param_spec spec;
        bool there = c->mixer.kind->param(&c->mixer, i, &spec) && spec.dims;
        at->mixer[i] = there ? offset_of(r, mixer, spec.name) : RN_ABSENT;
        at->mixer_matrix[i] = matrix_from(m, there ? find(r, mixer, spec.name) : NULL);
    }
    return r.to;
}

static rn_status find_all(rn_model *m, rn_error *err)
{
    size_t layers = m->config.layers;
    size_t bytes = sizeof *m->at + layers * sizeof *m->at->layers;
    m->at = calloc(1, bytes);
    if (!m->at) return rn_fail_memory(err, "the parameter table", bytes);
    m->at->layers = (rn_layer_at *)(m->at + 1);
    range all = {m->params, m->params + m->param_count};
    const char *output = m->config.tied ? "embedding.weight" : "output.weight";
    m->at->embedding = offset_of(all, "", "embedding.weight");
    m->at->output = offset_of(all, "", output);
    m->at->embedding_matrix = matrix_from(m, find(all, "", "embedding.weight"));
    m->at->output_matrix = matrix_from(m, find(all, "", output));
    m->at->embedding_norm = norm_of(all, "", "embedding_norm");
    m->at->norm = norm_of(all, "", "norm");
    const rn_param *next = m->params;
    for (size_t i = 0; i < layers; i++) next = find_layer(m, i, next, &m->at->layers[i]);
    return RN_OK;
}

/* Memory for the weights, which the list has placed. */
static rn_status allocate(rn_model *m, rn_error *err)
{
    void *floats = NULL, *panels = NULL;
    rn_status st = rn_block_alloc(&floats, m->floats * sizeof(float), "the weights", err);
    m->weights = floats;
    if (!st) st = rn_block_alloc(&panels, m->panel_bytes, "the packed weights", err);
    m->panels = panels;
    return st;
}

rn_status rn_model_new_typed(rn_model **out, rn_exec *x, const rn_config *config,
                             const rn_weight_type *types, rn_error *err)
{
    rn_model *m = calloc(1, sizeof *m);
    if (!m) return rn_fail_memory(err, "a model", sizeof *m);
    m->x = x;
    m->config = *config;
    snprintf(m->dialect, sizeof m->dialect, "native");
    rn_status st = rn_params_list(&m->params, &m->param_count, &m->config, err);
    for (size_t i = 0; !st && types && i < m->param_count; i++)
        if (m->params[i].dims == 2) m->params[i].type = types[i];
    if (!st)
        st = rn_params_place(m->params, m->param_count, &m->floats, &m->panel_bytes, err);
    if (!st && x) st = allocate(m, err);
    if (!st) st = find_all(m, err);
    if (!st && x)
        st = rn_exec_reserve(x, config->mixer.kind->scratch_bytes(&config->mixer), err);
    if (st) {
        rn_model_free(m);
        return st;
    }
    *out = m;
    return RN_OK;
}

rn_status rn_model_new(rn_model **out, rn_exec *x, const rn_config *config, rn_error *err)
{
    return rn_model_new_typed(out, x, config, NULL, err);
}

void rn_model_free(rn_model *model)
{
    if (!model) return;
    rn_run_free(model->reader);
    rn_decoder_free(model->decoder);
    free(model->original);
    free(model->stored_types);
    free(model->unknown_keys);
    rn_block_free(model->weights);
    rn_block_free(model->panels);
    free(model->at);
    free(model->params);
    free(model);
}

size_t rn_model_state_floats(const rn_model *m, rn_row_norm norm)
{
    const rn_mixer_config *c = &m->config.mixer;
    return m->config.layers * c->kind->state_floats(c, norm);
}

size_t rn_model_tail_floats(const rn_model *m)
{
    const rn_mixer_config *c = &m->config.mixer;
    return m->config.layers * c->kind->tail_floats(c);
}

size_t rn_model_tail_run(const rn_model *m, size_t layer, size_t count, size_t i,
                         size_t *offset)
{
    const rn_mixer_config *c = &m->config.mixer;
    size_t at, floats = c->kind->tail_run(c, count, i, &at);
    if (floats) *offset = layer * c->kind->tail_floats(c) + at;
    return floats;
}

rn_status rn_model_check_float32(const rn_model *m, const char *what, rn_error *err)
{
    if (!m->x)
        return rn_fail(err, RN_EINVAL, "%s: the model is a description without weights",
                       what);
    for (size_t i = 0; i < m->param_count; i++)
        if (m->params[i].type != RN_WEIGHT_F32)
            return rn_fail(err, RN_EINVAL,
                           "%s: needs a model in float32, and %s is held as %s", what,
                           m->params[i].name, rn_weight_type_name(m->params[i].type));
    return RN_OK;
}

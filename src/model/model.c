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

static size_t offset_of(range r, const char *prefix, const char *name)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    for (const rn_param *p = r.from; p < r.to; p++)
        if (strcmp(p->name, full) == 0) return p->offset;
    return RN_ABSENT;
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
    at->in = offset_of(r, prefix, gated ? "ffn.gate.weight" : "ffn.up.weight");
    at->in_bias = offset_of(r, prefix, gated ? "ffn.gate.bias" : "ffn.up.bias");
    at->down = offset_of(r, prefix, "ffn.down.weight");
    at->down_bias = offset_of(r, prefix, "ffn.down.bias");
    for (size_t i = 0; i < RN_MAX_PARAMS; i++) {
        rn_param_spec spec;
        bool there = c->mixer.kind->param(&c->mixer, i, &spec) && spec.dims;
        at->mixer[i] = there ? offset_of(r, mixer, spec.name) : RN_ABSENT;
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
    m->at->embedding = offset_of(all, "", "embedding.weight");
    m->at->output =
        offset_of(all, "", m->config.tied ? "embedding.weight" : "output.weight");
    m->at->embedding_norm = norm_of(all, "", "embedding_norm");
    m->at->norm = norm_of(all, "", "norm");
    const rn_param *next = m->params;
    for (size_t i = 0; i < layers; i++) next = find_layer(m, i, next, &m->at->layers[i]);
    return RN_OK;
}

rn_status rn_model_new(rn_model **out, rn_exec *x, const rn_config *config, rn_error *err)
{
    rn_model *m = calloc(1, sizeof *m);
    if (!m) return rn_fail_memory(err, "a model", sizeof *m);
    m->x = x;
    m->config = *config;
    snprintf(m->dialect, sizeof m->dialect, "native");
    rn_status st =
        rn_params_layout(&m->params, &m->param_count, &m->floats, &m->config, err);
    if (!st) st = find_all(m, err);
    if (!st && x) {
        void *block = NULL;
        st = rn_block_alloc(&block, m->floats * sizeof(float), "the weights", err);
        m->weights = block;
    }
    if (!st && x)
        st = rn_exec_reserve(x, config->mixer.kind->scratch_bytes(&config->mixer), err);
    if (st) {
        rn_model_free(m);
        return st;
    }
    *out = m;
    return RN_OK;
}

void rn_model_free(rn_model *model)
{
    if (!model) return;
    rn_run_free(model->reader);
    free(model->original);
    free(model->stored_types);
    free(model->unknown_keys);
    rn_block_free(model->weights);
    free(model->at);
    free(model->params);
    free(model);
}

size_t rn_model_state_floats(const rn_model *m, rn_row_norm norm)
{
    const rn_mixer_config *c = &m->config.mixer;
    return m->config.layers * c->kind->state_floats(c, norm);
}

/*
 * The list of a model's parameters, which decides their order, names and places in one
 * block, and their initial values. Gradients and moments use the same places.
 */
#include "model/params.h"

#include "core/arena.h"
#include "core/error.h"
#include "core/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Walks the list; with params NULL it only counts. */
typedef struct list {
    rn_param *params;
    size_t count, floats;
    bool overflow;
    const rn_config *config;
} list;

static void add(list *l, const char *prefix, const rn_param_spec *spec)
{
    if (spec->dims == 0) return;
    size_t n = 0;
    if (!rn_mul_size(&n, spec->shape[0], spec->dims == 2 ? spec->shape[1] : 1))
        l->overflow = true;
    const size_t line = RN_ALIGN / sizeof(float);
    if (!spec->joined) l->floats = (l->floats + line - 1) / line * line;
    if (l->params) {
        rn_param *p = &l->params[l->count];
        snprintf(p->name, sizeof p->name, "%.38s%.39s", prefix, spec->name);
        p->dims = spec->dims;
        p->shape[0] = spec->shape[0];
        p->shape[1] = spec->dims == 2 ? spec->shape[1] : 1;
        p->offset = l->floats;
        p->count = n;
        p->decay = spec->dims == 2;
        p->spec = *spec;
    }
    l->count++;
    if (!rn_add_size(&l->floats, l->floats, n)) l->overflow = true;
}

static void add_matrix(list *l, const char *prefix, const char *name, size_t out,
                       size_t in, bool joined, bool deepnorm)
{
    rn_param_spec s = {.dims = 2, .shape = {out, in}, .joined = joined};
    s.gain = RN_GAIN_FAN_IN;
    s.deepnorm = deepnorm;
    snprintf(s.name, sizeof s.name, "%s.weight", name);
    add(l, prefix, &s);
}

static void add_bias(list *l, const char *prefix, const char *name, size_t n, bool joined)
{
    if (!l->config->mixer.bias) return;
    rn_param_spec s = {.dims = 1, .shape = {n, 1}, .joined = joined};
    snprintf(s.name, sizeof s.name, "%s.bias", name);
    add(l, prefix, &s);
}

/* A norm's weight (1) and, for LayerNorm, bias (0). */
static void add_norm(list *l, const char *prefix, const char *name, size_t n)
{
    rn_param_spec s = {.dims = 1, .shape = {n, 1}, .constant = 1.0f};
    snprintf(s.name, sizeof s.name, "%s.weight", name);
    add(l, prefix, &s);
    if (l->config->norm != RN_NORM_LAYER) return;
    s.constant = 0.0f;
    snprintf(s.name, sizeof s.name, "%s.bias", name);
    add(l, prefix, &s);
}

static void add_ffn(list *l, const char *prefix)
{
    const rn_config *c = l->config;
    size_t d = c->mixer.width, f = c->ffn_width;
    bool gated = c->ffn == RN_FFN_GATED;
    if (gated) add_matrix(l, prefix, "ffn.gate", f, d, false, true);
    add_matrix(l, prefix, "ffn.up", f, d, gated, !gated);
    if (gated) add_bias(l, prefix, "ffn.gate", f, false);
    add_bias(l, prefix, "ffn.up", f, gated);
    if (c->ffn_norm) add_norm(l, prefix, "ffn.norm", f);
    add_matrix(l, prefix, "ffn.down", d, f, false, true);
    add_bias(l, prefix, "ffn.down", d, false);
}

static void add_layer(list *l, size_t layer)
{
    const rn_config *c = l->config;
    char prefix[48], mixer[64];
    snprintf(prefix, sizeof prefix, "layers.%zu.", layer);
    snprintf(mixer, sizeof mixer, "layers.%zu.mixer.", layer);
    add_norm(l, prefix, "mixer_norm", c->mixer.width);
    rn_param_spec spec;
    for (size_t i = 0; c->mixer.kind->param(&c->mixer, i, &spec); i++)
        add(l, mixer, &spec);
    add_norm(l, prefix, "ffn_norm", c->mixer.width);
    add_ffn(l, prefix);
}

static void walk(list *l)
{
    const rn_config *c = l->config;
    rn_param_spec table = {.name = "embedding.weight",
                           .dims = 2,
                           .shape = {c->vocab_size, c->mixer.width},
                           .gain = RN_GAIN_EMBEDDING};
    add(l, "", &table);
    if (c->embedding_norm) add_norm(l, "", "embedding_norm", c->mixer.width);
    for (size_t i = 0; i < c->layers && !l->overflow; i++) add_layer(l, i);
    if (c->norm_position == RN_NORM_PRE) add_norm(l, "", "norm", c->mixer.width);
    snprintf(table.name, sizeof table.name, "output.weight");
    if (!c->tied) add(l, "", &table);
}

rn_status rn_params_layout(rn_param **params, size_t *count, size_t *floats,
                           const rn_config *config, rn_error *err)
{
    list l = {.config = config};
    walk(&l);
    size_t bytes;
    if (l.overflow || !rn_mul_size(&bytes, l.floats, sizeof(float)))
        return rn_fail(err, RN_ENOMEM, "a model of this config does not fit in memory");
    rn_param *p = calloc(l.count, sizeof *p);
    if (!p) return rn_fail_memory(err, "the parameter list", l.count * sizeof *p);
    l = (list){.config = config, .params = p};
    walk(&l);
    const size_t line = RN_ALIGN / sizeof(float);
    *params = p;
    *count = l.count;
    *floats = (l.floats + line - 1) / line * line;
    return RN_OK;
}

/* The half-width of the uniform (or the deviation of the normal) distribution that a
   parameter begins with. */
static double init_range(const rn_config *c, const rn_param *p, bool *normal)
{
    double out = (double)p->shape[0], in = (double)p->shape[1];
    *normal = false;
    if (c->init == RN_INIT_NORMAL) {
        *normal = true;
        return c->init_std;
    }
    if (p->spec.gain == RN_GAIN_EMBEDDING) {
        *normal = true;
        return 1.0 / sqrt(in);
    }
    double range = p->spec.gain == RN_GAIN_FAN_IN ? 1.0 / sqrt(in)
                                                  : p->spec.gain * sqrt(6.0 / (in + out));
    if (c->init == RN_INIT_DEEPNORM && p->spec.deepnorm)
        range /= pow(8.0 * (double)c->layers, 0.25);
    return range;
}

void rn_model_init(rn_model *m, uint64_t seed)
{
    for (size_t i = 0; i < m->param_count; i++) {
        const rn_param *p = &m->params[i];
        float *w = m->weights + p->offset;
        if (p->spec.gain == 0.0f) {
            for (size_t j = 0; j < p->count; j++) w[j] = p->spec.constant;
            continue;
        }
        bool normal;
        double range = init_range(&m->config, p, &normal);
        for (size_t j = 0; j < p->count; j++) {
            uint64_t hi = (uint64_t)i << 32 | (uint64_t)(j >> 32);
            float u =
                normal ? rn_normal(seed, RN_STREAM_INIT, hi, (uint32_t)j)
                       : 2.0f * rn_uniform(seed, RN_STREAM_INIT, hi, (uint32_t)j) - 1.0f;
            w[j] = (float)(range * u);
        }
    }
}

rn_param *rn_model_param(const rn_model *m, const char *name)
{
    for (size_t i = 0; i < m->param_count; i++)
        if (strcmp(m->params[i].name, name) == 0) return &m->params[i];
    return NULL;
}

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
    size_t count;
    bool overflow;
    const rn_config *config;
} list;

static void add(list *l, const char *prefix, const rn_param_spec *spec)
{
    if (spec->dims == 0) return;
    size_t n = 0;
    if (!rn_mul_size(&n, spec->shape[0], spec->dims == 2 ? spec->shape[1] : 1))
        l->overflow = true;
    if (l->params) {
        rn_param *p = &l->params[l->count];
        snprintf(p->name, sizeof p->name, "%.38s%.39s", prefix, spec->name);
        p->dims = spec->dims;
        p->shape[0] = spec->shape[0];
        p->shape[1] = spec->dims == 2 ? spec->shape[1] : 1;
        p->offset = RN_ABSENT;
        p->count = n;
        p->decay = spec->dims == 2;
        p->spec = *spec;
    }
    l->count++;
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
    if (!rn_config_ffn_bias(l->config)) return;
    rn_param_spec s = {.dims = 1, .shape = {n, 1}, .joined = joined};
    snprintf(s.name, sizeof s.name, "%s.bias", name);
    add(l, prefix, &s);
}

/* A norm's weight (1) and, for LayerNorm, bias (0). */
static void add_norm_of(list *l, const char *prefix, const char *name, size_t n,
                        bool layer)
{
    rn_param_spec s = {.dims = 1, .shape = {n, 1}, .constant = 1.0f};
    snprintf(s.name, sizeof s.name, "%s.weight", name);
    add(l, prefix, &s);
    if (!layer) return;
    s.constant = 0.0f;
    snprintf(s.name, sizeof s.name, "%s.bias", name);
    add(l, prefix, &s);
}

static void add_norm(list *l, const char *prefix, const char *name, size_t n)
{
    add_norm_of(l, prefix, name, n, l->config->norm == RN_NORM_LAYER);
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
    if (c->ffn_norm) add_norm_of(l, prefix, "ffn.norm", f, rn_config_ffn_norm_centers(c));
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

static rn_status too_large(rn_error *err)
{
    return rn_fail(err, RN_ENOMEM, "a model of this config does not fit in memory");
}

rn_status rn_params_list(rn_param **params, size_t *count, const rn_config *config,
                         rn_error *err)
{
    list l = {.config = config};
    walk(&l);
    if (l.overflow) return too_large(err);
    rn_param *p = calloc(l.count, sizeof *p);
    if (!p) return rn_fail_memory(err, "the parameter list", l.count * sizeof *p);
    l = (list){.config = config, .params = p};
    walk(&l);
    *params = p;
    *count = l.count;
    return RN_OK;
}

size_t rn_params_joined(const rn_param *params, size_t count, size_t i)
{
    size_t end = i + 1;
    while (end < count && params[end].spec.joined) end++;
    return end;
}

/* One float32 matrix among them makes all of them float32, and so do two types where the
   rows of one are not whole panels. */
static void share_type(rn_param *p, size_t count)
{
    bool all = true, one = true, panels = true;
    for (size_t i = 0; i < count; i++) {
        all = all && p[i].type != RN_WEIGHT_F32;
        one = one && p[i].type == p[0].type;
        panels = panels && (i + 1 == count || p[i].shape[0] % RN_PANEL == 0);
    }
    if (all && (one || (panels && count <= RN_MATRIX_PARTS))) return;
    for (size_t i = 0; i < count; i++) p[i].type = RN_WEIGHT_F32;
}

size_t rn_params_run(const rn_param *params, size_t count, size_t i)
{
    size_t end = i + 1;
    while (end < count && params[end].spec.joined && params[end].type == params[i].type)
        end++;
    return end;
}

/* Where the next parameters go. */
typedef struct places {
    size_t floats, panels;
    bool overflow;
} places;

/* Joined float32 parameters i .. end-1, without padding between them. */
static void place_floats(rn_param *p, size_t count, places *at)
{
    const size_t line = RN_ALIGN / sizeof(float);
    at->floats = (at->floats + line - 1) / line * line;
    for (size_t i = 0; i < count; i++) {
        p[i].offset = at->floats;
        p[i].panels = RN_ABSENT;
        if (!rn_add_size(&at->floats, at->floats, p[i].count)) at->overflow = true;
    }
}

/* Parameters of one packed type whose rows follow one another. */
static void place_run(rn_param *p, size_t count, places *at)
{
    size_t rows = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        p[i].offset = p[i].panels = RN_ABSENT;
        if (!rn_add_size(&rows, rows, p[i].shape[0])) at->overflow = true;
    }
    p[0].panels = at->panels;
    if (!rn_panels_bytes(p->type, rows, p->shape[1], &bytes) ||
        !rn_add_size(&at->panels, at->panels, bytes))
        at->overflow = true;
}

rn_status rn_params_place(rn_param *params, size_t count, size_t *floats,
                          size_t *panel_bytes, rn_error *err)
{
    places at = {0};
    for (size_t i = 0, end; i < count; i = end) {
        end = rn_params_joined(params, count, i);
        share_type(params + i, end - i);
        if (params[i].type == RN_WEIGHT_F32) {
            place_floats(params + i, end - i, &at);
            continue;
        }
        for (size_t j = i, next; j < end; j = next) {
            next = rn_params_run(params, end, j);
            place_run(params + j, next - j, &at);
        }
    }
    const size_t line = RN_ALIGN / sizeof(float);
    size_t bytes;
    if (at.overflow || !rn_add_size(&at.floats, at.floats, line - 1) ||
        !rn_mul_size(&bytes, at.floats, sizeof(float)))
        return too_large(err);
    *floats = at.floats / line * line;
    *panel_bytes = at.panels;
    return RN_OK;
}

rn_weight_type rn_param_type(const rn_param *p, rn_weight_type want)
{
    if (p->dims != 2) return RN_WEIGHT_F32;
    bool small = want > RN_WEIGHT_Q8_0;
    if (small && p->spec.gain == RN_GAIN_EMBEDDING) want = RN_WEIGHT_Q8_0;
    return rn_weight_type_fitting(want, p->shape[1]);
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

void rn_model_init_part(const rn_model *m, uint64_t seed, size_t index, size_t begin,
                        size_t count, float *out)
{
    const rn_param *p = &m->params[index];
    if (p->spec.gain == 0.0f) {
        for (size_t j = 0; j < count; j++) out[j] = p->spec.constant;
        return;
    }
    bool normal;
    double range = init_range(&m->config, p, &normal);
    for (size_t i = 0; i < count; i++) {
        size_t j = begin + i;
        uint64_t hi = (uint64_t)index << 32 | (uint64_t)(j >> 32);
        float u = normal
                      ? rn_normal(seed, RN_STREAM_INIT, hi, (uint32_t)j)
                      : 2.0f * rn_uniform(seed, RN_STREAM_INIT, hi, (uint32_t)j) - 1.0f;
        out[i] = (float)(range * u);
    }
}

void rn_model_init(rn_model *m, uint64_t seed)
{
    for (size_t i = 0; i < m->param_count; i++) {
        const rn_param *p = &m->params[i];
        if (p->offset == RN_ABSENT) continue;
        const size_t row = p->shape[p->dims - 1], rows = p->count / row;
        float *w = m->weights + p->offset;
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(m->x, p->count))
        for (size_t r = 0; r < rows; r++)
            rn_model_init_part(m, seed, i, r * row, row, w + r * row);
    }
}

rn_param *rn_model_param(const rn_model *m, const char *name)
{
    for (size_t i = 0; i < m->param_count; i++)
        if (strcmp(m->params[i].name, name) == 0) return &m->params[i];
    return NULL;
}

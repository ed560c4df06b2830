/* The small public functions around a model: making one from a source, its sizes, its
   config as text, its parameters. Opening and saving are in files of their own. */
#include "api/names.h"
#include "formats/checkpoint.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rn_status apply_text(rn_config *config, const char *text, rn_error *err)
{
    json_error_t where;
    json_t *keys = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!keys)
        return rn_fail(err, RN_EFORMAT, "config_json: line %d: %s", where.line,
                       where.text);
    rn_status st = rn_config_apply(config, keys, err);
    json_decref(keys);
    return st;
}

/* What a source means. */
typedef struct shape {
    rn_config config;
    const char *dialect;
    json_t *unknown; /* keys that nobody knows, or NULL */
} shape;

static rn_status apply_file(shape *s, const char *path, rn_error *err)
{
    json_t *keys;
    rn_status st = rn_config_read_keys(path, &keys, &s->unknown, &s->dialect, err);
    if (st) return st;
    st = rn_config_apply(&s->config, keys, err);
    json_decref(keys);
    return st ? rn_blame_file(err, st, path) : RN_OK;
}

/* The config with settings included, checked. s->unknown is the caller's in any case. */
static rn_status resolve(shape *s, const rn_model_source *source, rn_error *err)
{
    int given = !!source->preset + !!source->config_path + !!source->config_json;
    if (given != 1)
        return rn_fail(err, RN_EINVAL,
                       "model source: one of preset, config_path and config_json, not %d",
                       given);
    rn_status st;
    *s = (shape){.config = rn_config_defaults(), .dialect = "native"};
    if (source->preset) st = rn_config_preset(&s->config, source->preset, err);
    else if (source->config_path) st = apply_file(s, source->config_path, err);
    else st = apply_text(&s->config, source->config_json, err);
    for (size_t i = 0; i < source->settings_count && !st; i++)
        st = rn_config_set(&s->config, source->settings[i], err);
    return st ? st : rn_config_check(&s->config, err);
}

static rn_status keep_unknown_keys(rn_model *m, const json_t *unknown, rn_error *err)
{
    size_t count = json_array_size(unknown);
    if (!count) return RN_OK;
    const char **keys = calloc(count, sizeof *keys);
    if (!keys) return rn_fail_memory(err, "config keys", count * sizeof *keys);
    for (size_t i = 0; i < count; i++)
        keys[i] = json_string_value(json_array_get(unknown, i));
    rn_status st = rn_names_copy(&m->unknown_keys, keys, count, err);
    free(keys);
    return st;
}

/* The types of a model of this config whose matrices are wanted in one; malloc'd. */
static rn_status types_of(rn_weight_type **out, const rn_config *config,
                          rn_weight_type want, rn_error *err)
{
    rn_model *plan;
    rn_status st = rn_model_new(&plan, NULL, config, err);
    if (st) return st;
    rn_weight_type *types = calloc(plan->param_count, sizeof *types);
    for (size_t i = 0; types && i < plan->param_count; i++)
        types[i] = rn_param_type(&plan->params[i], want);
    if (!types) st = rn_fail_memory(err, "types", plan->param_count * sizeof *types);
    rn_model_free(plan);
    *out = types;
    return st;
}

static rn_status make(rn_model **out, rn_exec *x, const rn_model_source *source,
                      rn_weight_type type, rn_error *err)
{
    shape s = {.unknown = NULL};
    rn_model *m = NULL;
    rn_weight_type *types = NULL;
    rn_status st = resolve(&s, source, err);
    if (!st && type != RN_WEIGHT_F32) st = types_of(&types, &s.config, type, err);
    if (!st) st = rn_model_new_typed(&m, x, &s.config, types, err);
    if (!st) st = keep_unknown_keys(m, s.unknown, err);
    json_decref(s.unknown);
    free(types);
    if (st) {
        rn_model_free(m);
        return st;
    }
    snprintf(m->dialect, sizeof m->dialect, "%s", s.dialect);
    *out = m;
    return RN_OK;
}

/* Random rows in the type that they are held in. */
typedef struct random_rows {
    const rn_model *m;
    uint64_t seed;
} random_rows;

static rn_status make_rows(void *user, size_t index, size_t row, size_t count, void *rows,
                           rn_error *err)
{
    const random_rows *s = user;
    const rn_param *p = &s->m->params[index];
    const size_t k = p->shape[1], bytes = rn_weight_bytes(p->type, k);
    float *floats = malloc(k * sizeof *floats);
    if (!floats) return rn_fail_memory(err, "random weights", k * sizeof *floats);
    for (size_t r = 0; r < count; r++) {
        rn_model_init_part(s->m, s->seed, index, (row + r) * k, k, floats);
        rn_weight_encode(p->type, (char *)rows + r * bytes, floats, k);
    }
    free(floats);
    return RN_OK;
}

rn_status rn_model_create_as(rn_model **out, rn_exec *x, const rn_model_source *source,
                             uint64_t seed, rn_weight_type type, rn_error *err)
{
    if (type < RN_WEIGHT_F32 || type >= RN_WEIGHT_TYPES)
        return rn_fail(err, RN_EINVAL, "there is no weight type %d", (int)type);
    rn_model *m;
    rn_status st = make(&m, x, source, type, err);
    if (st) return st;
    rn_model_init(m, seed);
    random_rows rows = {m, seed};
    st = rn_model_pack(m, make_rows, &rows, err);
    if (st) {
        rn_model_free(m);
        return st;
    }
    *out = m;
    return RN_OK;
}

rn_status rn_model_create(rn_model **out, rn_exec *x, const rn_model_source *source,
                          uint64_t seed, rn_error *err)
{
    return rn_model_create_as(out, x, source, seed, RN_WEIGHT_F32, err);
}

rn_status rn_model_describe(rn_model **out, const rn_model_source *source, rn_error *err)
{
    return make(out, NULL, source, RN_WEIGHT_F32, err);
}

static double flops_per_token(const rn_config *c)
{
    double d = (double)c->mixer.width;
    double ffn = (c->ffn == RN_FFN_GATED ? 3 : 2) * 2.0 * d * (double)c->ffn_width;
    double layer = c->mixer.kind->flops_per_token(&c->mixer) + ffn;
    return (double)c->layers * layer + 2.0 * d * (double)c->vocab_size;
}

/* Of a session's state. */
static uint64_t state_bytes(const rn_model *m)
{
    rn_row_norm norm;
    if (rn_config_row_norm(&m->config, RN_ROW_NORM_AUTO, RN_FORM_CHUNKWISE, &norm, NULL))
        return 0; /* the config has no recurrent form */
    return (uint64_t)rn_model_state_floats(m, norm) * sizeof(float);
}

/* The lower halves of its matrices, where a step leaves them out. */
static uint64_t unread_bytes(const rn_model *m, uint64_t state)
{
    const uint64_t matrices = rn_model_state_floats(m, RN_ROW_NORM_NONE) * sizeof(float);
    return state && rn_model_halves(m) ? matrices / 2 : 0;
}

void rn_model_info_get(const rn_model *m, rn_model_info *out)
{
    const uint64_t state = state_bytes(m);
    *out = (rn_model_info){.weight_bytes =
                               (uint64_t)m->floats * sizeof(float) + m->panel_bytes,
                           .state_bytes = state,
                           .state_read_bytes = state - unread_bytes(m, state),
                           .flops_per_token = flops_per_token(&m->config),
                           .vocab_size = m->config.vocab_size,
                           .width = m->config.mixer.width,
                           .layers = m->config.layers,
                           .heads = m->config.mixer.heads};
    memcpy(out->dialect, m->dialect, sizeof out->dialect);
    for (size_t i = 0; i < m->param_count; i++) out->parameters += m->params[i].count;
}

char *rn_model_config_json(const rn_model *m)
{
    json_t *keys = rn_config_json(&m->config);
    char *text = keys ? json_dumps(keys, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(keys);
    return text;
}

const double *rn_model_decays(const rn_model *m)
{
    return m->config.mixer.decays;
}

size_t rn_model_tensor_count(const rn_model *m)
{
    return m->param_count;
}

rn_model_tensor rn_model_tensor_at(const rn_model *m, size_t index)
{
    const rn_param *p = &m->params[index];
    return (rn_model_tensor){
        .name = p->name,
        .dims = p->dims,
        .shape = {p->shape[0], p->shape[1]},
        .data = m->weights && p->offset != RN_ABSENT ? m->weights + p->offset : NULL};
}

rn_weight_type rn_model_tensor_held_type(const rn_model *m, size_t index)
{
    return m->params[index].type;
}

const char *rn_model_unknown_key(const rn_model *m, size_t index)
{
    for (size_t i = 0; m->unknown_keys && m->unknown_keys[i]; i++)
        if (i == index) return m->unknown_keys[i];
    return NULL;
}

const char *rn_model_tensor_original_name(const rn_model *m, size_t index)
{
    return m->original ? m->original[index] : m->params[index].name;
}

const char *rn_model_tensor_stored_type(const rn_model *m, size_t index)
{
    return m->stored_types ? m->stored_types[index] : "F32";
}

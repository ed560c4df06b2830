/*
 * Opening a checkpoint: its config over the defaults, then every parameter by its native
 * name. All tensors are looked up and measured before the weights get memory, so a config
 * that promises more than its file holds costs nothing. Messages speak of tensors by the
 * file's own names.
 */
#include "api/blame.h"
#include "api/names.h"
#include "formats/checkpoint.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rn_status read_config(rn_config *config, const rn_checkpoint *ck, const char *path,
                             rn_error *err)
{
    *config = rn_config_defaults();
    rn_status st = rn_config_apply(config, rn_checkpoint_config(ck), err);
    if (!st) st = rn_config_check(config, err);
    return st ? rn_blame_file(err, st, path) : RN_OK;
}

/* The config keys that decide the two dimensions of the parameters whose names hold
 * `part`. */
static const struct shape_keys {
    const char *part, *key[2];
} SHAPE_KEYS[] = {
    {"embedding.weight", {"vocab_size", "width"}},
    {"output.weight", {"vocab_size", "width"}},
    {".mixer.q.", {"heads * key_dim", "width"}},
    {".mixer.k.", {"kv_heads * key_dim", "width"}},
    {".mixer.v.", {"kv_heads * value_dim", "width"}},
    {".mixer.g.", {"heads * value_dim", "width"}},
    {".mixer.o.", {"width", "heads * value_dim"}},
    {".mixer.head_norm.", {"value_dim", "value_dim"}},
    {".ffn.gate.", {"ffn_width", "width"}},
    {".ffn.up.", {"ffn_width", "width"}},
    {".ffn.down.", {"width", "ffn_width"}},
    {".ffn.norm.", {"ffn_width", "ffn_width"}},
};

static const char *deciding_key(const char *name, int dim)
{
    for (size_t i = 0; i < sizeof SHAPE_KEYS / sizeof SHAPE_KEYS[0]; i++)
        if (strstr(name, SHAPE_KEYS[i].part)) return SHAPE_KEYS[i].key[dim];
    return "width";
}

/* "[48, 32]" in out. */
static const char *print_shape(char *out, size_t size, int dims, const uint64_t *shape)
{
    size_t used = 0;
    out[used++] = '[';
    for (int i = 0; i < dims && used + 24 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%llu", i ? ", " : "",
                                 (unsigned long long)shape[i]);
    snprintf(out + used, size - used, "]");
    return out;
}

static rn_status check_shape(const rn_param *p, const rn_tensor_view *t, const char *path,
                             rn_error *err)
{
    uint64_t want[2] = {p->shape[0], p->dims == 2 ? p->shape[1] : 0};
    int wrong = 0;
    if (t->dims == p->dims) {
        while (wrong < p->dims && t->shape[wrong] == want[wrong]) wrong++;
        if (wrong == p->dims) return RN_OK;
    }
    char has[256], asked[64];
    return rn_fail(
        err, RN_EFORMAT, "%s: tensor %s has shape %s, but its config asks for %s (%s)",
        path, t->name, print_shape(has, sizeof has, t->dims, t->shape),
        print_shape(asked, sizeof asked, p->dims, want), deciding_key(p->name, wrong));
}

/* views[i] becomes parameter i's tensor in the checkpoint. */
static rn_status match_tensors(const rn_tensor_view **views, const rn_model *plan,
                               rn_checkpoint *ck, const char *path, rn_error *err)
{
    for (size_t i = 0; i < plan->param_count; i++) {
        const rn_param *p = &plan->params[i];
        views[i] = rn_checkpoint_take(ck, p->name);
        if (!views[i])
            return rn_fail(err, RN_EFORMAT, "%s: tensor %s is missing", path,
                           rn_checkpoint_original_name(ck, p->name));
        rn_status st = check_shape(p, views[i], path, err);
        if (st) return st;
    }
    const char *unused = rn_checkpoint_unused(ck);
    if (unused)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s belongs to no part of its config's model", path,
                       unused);
    return RN_OK;
}

static rn_status fill_weights(rn_model *m, const rn_tensor_view *const *views,
                              const char *path, rn_error *err)
{
    for (size_t i = 0; i < m->param_count; i++) {
        const rn_param *p = &m->params[i];
        float *w = m->weights + p->offset;
        rn_status st = rn_tensor_floats(views[i], 0, p->count, w, err);
        if (st) return rn_blame_file(err, st, path);
        for (size_t e = 0; e < p->count; e++)
            if (!isfinite(w[e]))
                return rn_fail(err, RN_EFORMAT, "%s: tensor %s: element %zu is %g", path,
                               views[i]->name, e, (double)w[e]);
    }
    return RN_OK;
}

static rn_status keep_names(rn_model *m, const rn_tensor_view *const *views,
                            rn_error *err)
{
    const char **names = calloc(m->param_count, sizeof *names);
    if (!names) return rn_fail_memory(err, "names", m->param_count * sizeof *names);
    for (size_t i = 0; i < m->param_count; i++) names[i] = views[i]->name;
    rn_status st = rn_names_copy(&m->original, names, m->param_count, err);
    for (size_t i = 0; i < m->param_count; i++) names[i] = rn_dtype_name(views[i]->dtype);
    if (!st) st = rn_names_copy(&m->stored_types, names, m->param_count, err);
    free(names);
    return st;
}

static rn_status keep_unknown_keys(rn_model *m, const rn_checkpoint *ck, rn_error *err)
{
    const char *const *keys = rn_checkpoint_unknown_keys(ck);
    size_t count = 0;
    while (keys && keys[count]) count++;
    return count ? rn_names_copy(&m->unknown_keys, keys, count, err) : RN_OK;
}

/* A model of the plan's config with the tensors' values. */
static rn_status build(rn_model **out, rn_exec *x, const rn_model *plan,
                       const rn_tensor_view *const *views, const char *path,
                       rn_error *err)
{
    rn_model *m;
    rn_status st = rn_model_new(&m, x, &plan->config, err);
    if (st) return st;
    st = fill_weights(m, views, path, err);
    if (!st) st = keep_names(m, views, err);
    if (st) rn_model_free(m);
    else *out = m;
    return st;
}

rn_status rn_model_open(rn_model **out, rn_exec *x, const char *path, rn_error *err)
{
    rn_checkpoint *ck;
    rn_config config;
    rn_model *plan = NULL, *m = NULL;
    const rn_tensor_view **views = NULL;
    rn_status st = rn_checkpoint_open(&ck, path, err);
    if (st) return st;
    st = read_config(&config, ck, path, err);
    if (st) goto done;
    st = rn_model_new(&plan, NULL, &config, err);
    if (st) goto done;
    views = calloc(plan->param_count + 1, sizeof *views);
    if (!views) {
        st = rn_fail_memory(err, "tensor views", plan->param_count * sizeof *views);
        goto done;
    }
    st = match_tensors(views, plan, ck, path, err);
    if (!st) st = build(&m, x, plan, views, path, err);
    if (!st) st = keep_unknown_keys(m, ck, err);
    if (st) goto done;
    snprintf(m->dialect, sizeof m->dialect, "%s", rn_checkpoint_dialect(ck));
    *out = m;
    m = NULL;
done:
    rn_model_free(m);
    free(views);
    rn_model_free(plan);
    rn_checkpoint_close(ck);
    return st;
}

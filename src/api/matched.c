/*
 * Matching a checkpoint with its config: the config over the defaults, then every
 * parameter by its native name. All tensors are looked up and measured before anything
 * gets memory, so a config that promises more than its file holds costs nothing.
 */
#include "api/matched.h"

#include "api/blame.h"

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

void rn_matched_close(rn_matched *m)
{
    free(m->views);
    rn_model_free(m->plan);
    rn_checkpoint_close(m->checkpoint);
    *m = (rn_matched){NULL, NULL, NULL};
}

static rn_status match(rn_matched *m, const char *path, rn_error *err)
{
    rn_config config;
    rn_status st = rn_checkpoint_open(&m->checkpoint, path, err);
    if (!st) st = read_config(&config, m->checkpoint, path, err);
    if (!st) st = rn_model_new(&m->plan, NULL, &config, err);
    if (st) return st;
    size_t count = m->plan->param_count;
    m->views = calloc(count + 1, sizeof *m->views);
    if (!m->views) return rn_fail_memory(err, "tensor views", count * sizeof *m->views);
    return match_tensors(m->views, m->plan, m->checkpoint, path, err);
}

rn_status rn_matched_open(rn_matched *out, const char *path, rn_error *err)
{
    rn_matched m = {NULL, NULL, NULL};
    rn_status st = match(&m, path, err);
    if (st) rn_matched_close(&m);
    else *out = m;
    return st;
}

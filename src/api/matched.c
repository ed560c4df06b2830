/*
 * Matching a checkpoint with its config: the config over the defaults, then every
 * parameter by its native name. All tensors are looked up and measured before anything
 * gets memory, so a config that promises more than its file holds costs nothing.
 */
#include "api/matched.h"

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

static bool has_shape(const rn_param *p, const rn_tensor_view *t)
{
    return t->dims == p->dims && t->shape[0] == p->shape[0] &&
           (p->dims == 1 || t->shape[1] == p->shape[1]);
}

/* Tensor and config contradict each other: both sides with their numbers. */
static rn_status fail_shape(const rn_param *p, rn_checkpoint *ck, const char *path,
                            rn_error *err)
{
    uint32_t parts;
    char has[256], asked[64], words[160] = "";
    const rn_tensor_view *t = rn_checkpoint_whole(ck, p->name, &parts);
    uint64_t want[2] = {p->shape[0] * parts, p->dims == 2 ? p->shape[1] : 0};
    int wrong = t->dims == p->dims && p->dims == 2 && t->shape[0] == want[0];
    const char *key = rn_checkpoint_shape_key(ck, p->name, wrong);
    if (key) snprintf(words, sizeof words, " (%s)", key);
    return rn_fail(err, RN_EFORMAT,
                   "%s: tensor %s has shape %s, but its config asks for %s%s", path,
                   t->name, print_shape(has, sizeof has, t->dims, t->shape),
                   print_shape(asked, sizeof asked, p->dims, want), words);
}

static rn_status fail_presence(rn_checkpoint *ck, const char *stored, const char *what,
                               const char *path, rn_error *err)
{
    const char *key = rn_checkpoint_presence_key(ck, stored);
    return rn_fail(err, RN_EFORMAT, "%s: tensor %s %s%s%s%s", path, stored, what,
                   key ? " (" : "", key ? key : "", key ? ")" : "");
}

/* Shape and type of a parameter's tensor. */
static rn_status check_tensor(const rn_param *p, const rn_tensor_view *t,
                              rn_checkpoint *ck, const char *path, rn_error *err)
{
    if (!has_shape(p, t)) return fail_shape(p, ck, path, err);
    rn_status st = rn_tensor_floats(t, 0, 0, NULL, err);
    return st ? rn_blame_file(err, st, path) : RN_OK;
}

/* views[i] becomes parameter i's tensor in the checkpoint. */
static rn_status match_tensors(rn_tensor_view *views, const rn_model *plan,
                               rn_checkpoint *ck, const char *path, rn_error *err)
{
    for (size_t i = 0; i < plan->param_count; i++) {
        const rn_param *p = &plan->params[i];
        const rn_tensor_view *t = rn_checkpoint_take(ck, p->name);
        if (!t)
            return fail_presence(ck, rn_checkpoint_original_name(ck, p->name),
                                 "is missing", path, err);
        rn_status st = check_tensor(p, t, ck, path, err);
        if (st) return st;
        views[i] = *t;
    }
    const char *unused = rn_checkpoint_unused(ck);
    if (!unused) return RN_OK;
    return fail_presence(ck, unused, "belongs to no part of its config's model", path,
                         err);
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

void rn_matched_tell_unknown(const rn_matched *m,
                             void (*tell)(void *user, const char *key), void *user)
{
    const char *const *keys = rn_checkpoint_unknown_keys(m->checkpoint);
    for (; tell && *keys; keys++) tell(user, *keys);
}

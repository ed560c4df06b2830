/*
 * Opening a checkpoint: every parameter's tensor, matched by its native name, becomes
 * weights. Messages speak of tensors by the file's own names.
 */
#include "api/matched.h"
#include "api/names.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rn_status fill_weights(rn_model *m, const rn_tensor_view *views, const char *path,
                              rn_error *err)
{
    for (size_t i = 0; i < m->param_count; i++) {
        const rn_param *p = &m->params[i];
        if (p->offset == RN_ABSENT) continue;
        float *w = m->weights + p->offset;
        rn_status st = rn_tensor_floats(&views[i], 0, p->count, w, err);
        if (st) return rn_blame_file(err, st, path);
        for (size_t e = 0; e < p->count; e++)
            if (!isfinite(w[e]))
                return rn_fail(err, RN_EFORMAT, "%s: tensor %s: element %zu is %g", path,
                               views[i].name, e, (double)w[e]);
    }
    return RN_OK;
}

/* Where the rows of packed matrices come from. */
typedef struct row_source {
    const rn_model *m;
    const rn_tensor_view *views;
    const char *path;
} row_source;

/* Rows in another type than the file's, by way of float32. */
static rn_status convert_rows(const row_source *s, size_t index, size_t row, size_t count,
                              char *rows, rn_error *err)
{
    const rn_param *p = &s->m->params[index];
    const size_t k = p->shape[1], bytes = rn_weight_bytes(p->type, k);
    float *floats = malloc(k * sizeof *floats);
    if (!floats) return rn_fail_memory(err, s->path, k * sizeof *floats);
    rn_status st = RN_OK;
    for (size_t r = 0; r < count && !st; r++) {
        st = rn_tensor_floats(&s->views[index], (row + r) * k, k, floats, err);
        if (st) st = rn_blame_file(err, st, s->path);
        for (size_t e = 0; e < k && !st; e++)
            if (!isfinite(floats[e]))
                st = rn_fail(err, RN_EFORMAT, "%s: tensor %s: element %zu is %g", s->path,
                             s->views[index].name, (row + r) * k + e, (double)floats[e]);
        if (!st) rn_weight_encode(p->type, rows + r * bytes, floats, k);
    }
    free(floats);
    return st;
}

static rn_status stored_rows(void *user, size_t index, size_t row, size_t count,
                             void *rows, rn_error *err)
{
    const row_source *s = user;
    const rn_param *p = &s->m->params[index];
    const rn_tensor_view *v = &s->views[index];
    rn_weight_type stored;
    if (!rn_dtype_weight_type(v->dtype, &stored) || stored != p->type)
        return convert_rows(s, index, row, count, rows, err);
    const size_t bytes = rn_weight_bytes(p->type, p->shape[1]);
    memcpy(rows, (const char *)v->data + row * bytes, count * bytes);
    for (size_t r = 0; r < count; r++)
        if (!rn_weight_finite(p->type, (const char *)rows + r * bytes, p->shape[1]))
            return rn_fail(err, RN_EFORMAT,
                           "%s: tensor %s: row %zu holds a number that is not finite",
                           s->path, v->name, row + r);
    return RN_OK;
}

/* The type of each parameter: the file's, or the one asked for. */
static void choose_types(rn_weight_type *types, const rn_model *plan,
                         const rn_tensor_view *views, rn_weight_type want)
{
    for (size_t i = 0; i < plan->param_count; i++) {
        if (want != RN_WEIGHT_STORED) types[i] = rn_param_type(&plan->params[i], want);
        else if (!rn_dtype_weight_type(views[i].dtype, &types[i]))
            types[i] = RN_WEIGHT_F32; /* F64 */
    }
}

static rn_status keep_names(rn_model *m, const rn_tensor_view *views, rn_error *err)
{
    const char **names = calloc(m->param_count, sizeof *names);
    if (!names) return rn_fail_memory(err, "names", m->param_count * sizeof *names);
    for (size_t i = 0; i < m->param_count; i++) names[i] = views[i].name;
    rn_status st = rn_names_copy(&m->original, names, m->param_count, err);
    for (size_t i = 0; i < m->param_count; i++) names[i] = rn_dtype_name(views[i].dtype);
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

/* What a model knows of the checkpoint that it comes from. */
static rn_status keep_origin(rn_model *m, const rn_matched *c, rn_error *err)
{
    rn_status st = keep_names(m, c->views, err);
    if (!st) st = keep_unknown_keys(m, c->checkpoint, err);
    snprintf(m->dialect, sizeof m->dialect, "%s", rn_checkpoint_dialect(c->checkpoint));
    return st;
}

/* A model of the plan's config in its types, without values; a description when x is
   NULL. */
static rn_status lay_out(rn_model **out, rn_exec *x, const rn_matched *c,
                         rn_weight_type type, const char *path, rn_error *err)
{
    rn_model *m = NULL;
    const size_t bytes = c->plan->param_count * sizeof(rn_weight_type);
    rn_weight_type *types = malloc(bytes);
    if (!types) return rn_fail_memory(err, path, bytes);
    choose_types(types, c->plan, c->views, type);
    rn_status st = rn_model_new_typed(&m, x, &c->plan->config, types, err);
    free(types);
    if (!st) st = keep_origin(m, c, err);
    if (st) rn_model_free(m);
    else *out = m;
    return st;
}

/* The same with the tensors' values. */
static rn_status build(rn_model **out, rn_exec *x, const rn_matched *c,
                       rn_weight_type type, const char *path, rn_error *err)
{
    rn_model *m = NULL;
    rn_status st = lay_out(&m, x, c, type, path, err);
    if (st) return st;
    st = fill_weights(m, c->views, path, err);
    row_source rows = {m, c->views, path};
    if (!st) st = rn_model_pack(m, stored_rows, &rows, err);
    if (st) {
        rn_model_free(m);
        return st;
    }
    *out = m;
    return RN_OK;
}

rn_status rn_model_load(rn_model **out, rn_exec *x, const char *path, rn_weight_type type,
                        rn_error *err)
{
    if (type < RN_WEIGHT_STORED || type >= RN_WEIGHT_TYPES)
        return rn_fail(err, RN_EINVAL, "there is no weight type %d", (int)type);
    rn_matched c;
    rn_status st = rn_matched_open(&c, path, err);
    if (st) return st;
    st = build(out, x, &c, type, path, err);
    rn_matched_close(&c);
    return st;
}

rn_status rn_model_inspect(rn_model **out, const char *path, rn_error *err)
{
    rn_matched c;
    rn_status st = rn_matched_open(&c, path, err);
    if (st) return st;
    st = lay_out(out, NULL, &c, RN_WEIGHT_STORED, path, err);
    rn_matched_close(&c);
    return st;
}

rn_status rn_model_open(rn_model **out, rn_exec *x, const char *path, rn_error *err)
{
    return rn_model_load(out, x, path, RN_WEIGHT_F32, err);
}

/* The arrays of a checkpoint: AdamW's moments out and in, weights in. Names are checked
   in full before the first number is copied. */
#include "core/file.h"
#include "formats/safetensors.h"
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

/* A moment's name: "m." or "v." and the parameter's. */
typedef struct moment_name {
    char text[sizeof((rn_param *)0)->name + 2];
} moment_name;

static moment_name name_of(char which, const rn_param *p)
{
    moment_name n;
    snprintf(n.text, sizeof n.text, "%c.%s", which, p->name);
    return n;
}

static rn_tensor_view view_of(const rn_param *p, const char *name, const float *block)
{
    rn_tensor_view v = {
        .name = name,
        .dtype = RN_DTYPE_F32,
        .dims = p->dims,
        .count = p->count,
        .data = block + p->offset,
        .bytes = p->count * sizeof(float),
    };
    for (int d = 0; d < p->dims; d++) v.shape[d] = p->shape[d];
    return v;
}

rn_status rn_moments_write(const rn_trainer *t, const char *path, rn_error *err)
{
    const rn_model *m = t->model;
    size_t count = 2 * m->param_count;
    moment_name *names = calloc(count ? count : 1, sizeof *names);
    rn_tensor_view *views = calloc(count ? count : 1, sizeof *views);
    rn_status st;
    if (!names || !views) {
        st = rn_fail_memory(err, "the list of moments",
                            count * (sizeof *names + sizeof *views));
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        const rn_param *p = &m->params[i / 2];
        names[i] = name_of(i % 2 ? 'v' : 'm', p);
        views[i] = view_of(p, names[i].text, i % 2 ? t->moment2 : t->moment1);
    }
    st = rn_safetensors_write(path, views, count, NULL, err);
done:
    free(names);
    free(views);
    return st;
}

/* The tensor `name` of a file, which must be parameter p's twin; NULL with the error set.
 */
static const rn_tensor_view *find_twin(const rn_safetensors *f, const char *path,
                                       const char *name, const rn_param *p, rn_error *err)
{
    const rn_tensor_view *v = rn_safetensors_find(f, name);
    if (!v) {
        rn_fail(err, RN_EFORMAT, "%s: tensor %s is missing", path, name);
        return NULL;
    }
    bool same = v->dtype == RN_DTYPE_F32 && v->dims == p->dims && v->count == p->count;
    for (int d = 0; same && d < p->dims; d++) same = v->shape[d] == p->shape[d];
    if (same) return v;
    char shape[48];
    snprintf(shape, sizeof shape, p->dims > 1 ? "[%zu, %zu]" : "[%zu]", p->shape[0],
             p->shape[1]);
    rn_fail(err, RN_EFORMAT, "%s: tensor %s is not the F32 %s that the model has", path,
            name, shape);
    return NULL;
}

/* A block of floats and the tensors that fill it: PREFIXname. */
typedef struct source {
    const rn_safetensors *file;
    const char *path;
    char prefix; /* 0: the plain name */
    float *block;
} source;

/* copy false: only checks that every tensor is there. */
static rn_status read_block(const rn_model *m, const source *s, bool copy, rn_error *err)
{
    for (size_t i = 0; i < m->param_count; i++) {
        const rn_param *p = &m->params[i];
        moment_name n = name_of(s->prefix, p);
        const char *name = s->prefix ? n.text : p->name;
        const rn_tensor_view *v = find_twin(s->file, s->path, name, p, err);
        if (!v) return RN_EFORMAT;
        if (copy) memcpy(s->block + p->offset, v->data, v->bytes);
    }
    return RN_OK;
}

static rn_status read_all(rn_trainer *t, const source *sources, size_t count,
                          rn_error *err)
{
    for (int copy = 0; copy < 2; copy++)
        for (size_t i = 0; i < count; i++) {
            rn_status st = read_block(t->model, &sources[i], copy, err);
            if (st) return st;
        }
    return RN_OK;
}

rn_status rn_trainer_read(rn_trainer *t, const char *folder, rn_error *err)
{
    rn_safetensors *weights = NULL, *moments = NULL;
    char *weights_path = rn_path_join(folder, "model.safetensors");
    char *moments_path = rn_path_join(folder, "optimizer.safetensors");
    rn_status st;
    if (!weights_path || !moments_path) {
        st = rn_fail_memory(err, "a path", strlen(folder));
        goto done;
    }
    st = rn_safetensors_open(&weights, weights_path, err);
    if (st) goto done;
    st = rn_safetensors_open(&moments, moments_path, err);
    if (st) goto done;
    const source sources[] = {
        {weights, weights_path, 0, t->model->weights},
        {moments, moments_path, 'm', t->moment1},
        {moments, moments_path, 'v', t->moment2},
    };
    t->model->hashed = false;
    st = read_all(t, sources, 3, err);
done:
    rn_safetensors_close(weights);
    rn_safetensors_close(moments);
    free(weights_path);
    free(moments_path);
    return st;
}

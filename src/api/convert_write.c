/*
 * Writing a conversion's tensors. Each is made row by row from the source's parameter of
 * the same native name: as it is stored, or with the rows of q and k in another order
 * (rotated pairs side by side, or half a head apart), repeated for the heads that shared
 * them, or multiplied by what the target has no place for.
 */
#include "api/convert.h"

#include "core/arena.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)1 << 20) /* bytes written between two reports of progress */

typedef struct source {
    const rn_tensor_view *view; /* NULL: made */
    const float *made;
    size_t rows, length;          /* of the target, in numbers */
    size_t bytes;                 /* of a row of the target */
    rn_rotary_kind order, wanted; /* of the pairs inside a head; equal: as they are */
    size_t width, group; /* rows of a head; heads of the target to one of the source */
    float *columns;      /* factors [length], or NULL */
    bool embedding;      /* scaled and normed as the model would */
} source;

typedef struct output {
    rn_conversion *c;
    rn_model *plan; /* of the target */
    rn_tensor_view *views;
    source *sources;
    size_t count;
    char (*names)[256];
    float *angle, *decay; /* the buffers */
    float *numbers;       /* a row */
    unsigned char *bytes; /* a row */
    uint64_t done, told;
} output;

/* The source's row behind row r of the target. */
static size_t row_behind(const source *s, size_t r)
{
    size_t head = r / s->width / s->group, i = r % s->width, half = s->width / 2;
    if (s->order != s->wanted && s->wanted == RN_ROTARY_HALVES)
        i = i < half ? 2 * i : 2 * (i - half) + 1;
    else if (s->order != s->wanted) i = i % 2 ? half + i / 2 : i / 2;
    return head * s->width + i;
}

static bool holds(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

static const rn_tensor_view *find_view(const rn_conversion *c, const char *name)
{
    const rn_model *m = c->in.plan;
    for (size_t i = 0; i < m->param_count; i++)
        if (!strcmp(m->params[i].name, name)) return &c->in.views[i];
    return NULL;
}

/* Factors of the output projection's columns: the head norm's weights, which follow the
   norm and so can follow the gate. */
static rn_status read_columns(const rn_conversion *c, const char *name, source *s,
                              rn_error *err)
{
    char norm[96];
    snprintf(norm, sizeof norm, "%.*s.head_norm.weight",
             (int)(strstr(name, ".o.weight") - name), name);
    const rn_tensor_view *v = find_view(c, norm);
    s->columns = malloc(s->length * sizeof *s->columns);
    if (!s->columns) return rn_fail_memory(err, name, s->length * sizeof *s->columns);
    rn_status st = rn_tensor_floats(v, 0, v->count, s->columns, err);
    if (st) return rn_blame_file(err, st, c->path);
    for (size_t i = (size_t)v->count; i < s->length; i++)
        s->columns[i] = s->columns[i % v->count];
    return RN_OK;
}

/* How the rows of a parameter of the mixer move. */
static void plan_rows(const rn_conversion *c, const char *name, source *s)
{
    const rn_mixer_config *from = &c->from.mixer, *to = &c->to.mixer;
    bool q = holds(name, ".mixer.q."), k = holds(name, ".mixer.k.");
    bool v = holds(name, ".mixer.v.");
    s->width = s->group = 1;
    if (q || k) {
        s->width = from->key_dim;
        s->order = from->rotary == RN_ROTARY_NONE ? to->rotary : from->rotary;
        s->wanted = to->rotary;
    }
    if (v) s->width = from->value_dim;
    if (k || v) s->group = to->kv_heads / from->kv_heads;
}

/* The type that the target's numbers have: blocks are this library's own, and matrices
   alone have them. */
static rn_dtype target_type(const rn_conversion *c, const source *s)
{
    rn_weight_type type;
    if (!rn_dtype_weight_type(s->view->dtype, &type))
        return s->columns || s->embedding ? RN_DTYPE_F32 : s->view->dtype;
    bool blocks = rn_weight_block(type) > 1, kept = !c->dialect && s->view->dims == 2;
    return blocks && !kept ? RN_DTYPE_F32 : s->view->dtype;
}

static rn_status set_row_bytes(output *o, size_t i, rn_error *err)
{
    source *s = &o->sources[i];
    uint64_t bytes = 0, all = 0;
    if (!rn_dtype_bytes(o->views[i].dtype, s->length, &bytes) ||
        __builtin_mul_overflow(bytes, (uint64_t)s->rows, &all))
        return rn_fail(err, RN_EUNSUPPORTED, "%s: tensor %s: rows of %zu numbers",
                       o->c->path, o->views[i].name, s->length);
    s->bytes = (size_t)bytes;
    o->c->report.bytes_out += all;
    o->c->report.tensors++;
    return RN_OK;
}

static rn_status name_tensor(output *o, size_t i, const char *native, rn_error *err)
{
    const rn_conversion *c = o->c;
    rn_stored stored = {.parts = 1};
    snprintf(stored.name, sizeof stored.name, "%s", native);
    rn_source target = {.path = c->path, .config = c->config};
    if (c->dialect && !c->dialect->tensor(&target, native, &stored))
        return rn_fail(err, RN_EUNSUPPORTED, "%s: %s has no place for %s", c->path,
                       c->options->to, native);
    memcpy(o->names[i], stored.name, sizeof stored.name);
    o->views[i].name = o->names[i];
    return RN_OK;
}

static rn_status plan_tensor(output *o, size_t i, rn_error *err)
{
    const rn_conversion *c = o->c;
    const rn_param *p = &o->plan->params[i];
    source *s = &o->sources[i];
    *s = (source){.rows = p->shape[0], .length = p->dims == 2 ? p->shape[1] : 1};
    s->view = find_view(c, p->name);
    if (!s->view && !strcmp(p->name, "output.weight"))
        s->view = find_view(c, "embedding.weight");
    if (!s->view)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: there is no %s", c->path, p->name);
    plan_rows(c, p->name, s);
    s->embedding = !strcmp(p->name, "embedding.weight") &&
                   (c->from.embedding_scale != c->to.embedding_scale ||
                    c->from.embedding_norm != c->to.embedding_norm);
    rn_status st = name_tensor(o, i, p->name, err);
    if (!st && holds(p->name, ".mixer.o.weight") &&
        c->from.mixer.head_norm_weight != c->to.mixer.head_norm_weight)
        st = read_columns(c, p->name, s, err);
    if (st) return st;
    o->views[i].dtype = target_type(c, s);
    o->views[i].dims = p->dims;
    o->views[i].shape[0] = p->shape[0];
    o->views[i].shape[1] = p->dims == 2 ? p->shape[1] : 0;
    return set_row_bytes(o, i, err);
}

static rn_status plan_buffer(output *o, const char *name, float **values, size_t count,
                             rn_error *err)
{
    size_t i = o->count++;
    *values = calloc(count + 1, sizeof **values);
    if (!*values) return rn_fail_memory(err, name, count * sizeof **values);
    snprintf(o->names[i], sizeof o->names[i], "retnet_rel_pos.%s", name);
    o->views[i] = (rn_tensor_view){
        .name = o->names[i], .dtype = RN_DTYPE_F32, .dims = 1, .shape = {count}};
    o->sources[i] =
        (source){.made = *values, .rows = count, .length = 1, .width = 1, .group = 1};
    return set_row_bytes(o, i, err);
}

/* Each angle twice, and the logarithms of the decays. */
static rn_status plan_buffers(output *o, rn_error *err)
{
    const rn_mixer_config *m = &o->c->to.mixer;
    if (!o->c->buffers) return RN_OK;
    rn_status st = plan_buffer(o, "angle", &o->angle, m->key_dim, err);
    if (!st) st = plan_buffer(o, "decay", &o->decay, m->heads, err);
    if (st) return st;
    for (size_t i = 0; i < m->key_dim; i++) o->angle[i] = (float)m->angles[i / 2];
    for (size_t h = 0; h < m->heads; h++) o->decay[h] = (float)log(m->decays[h]);
    return RN_OK;
}

/* A row as numbers, with what the target leaves out put into it. */
static rn_status make_row(output *o, size_t i, size_t row, rn_error *err)
{
    const source *s = &o->sources[i];
    const rn_conversion *c = o->c;
    rn_status st =
        rn_tensor_floats(s->view, (uint64_t)row * s->length, s->length, o->numbers, err);
    if (st) return rn_blame_file(err, st, c->path);
    double scale = s->embedding ? c->from.embedding_scale / c->to.embedding_scale : 1;
    double square = 0;
    for (size_t j = 0; j < s->length; j++) {
        double x = (double)o->numbers[j] * scale;
        o->numbers[j] = (float)(s->columns ? x * (double)s->columns[j] : x);
        square += x * x;
    }
    if (!s->embedding || c->from.embedding_norm == c->to.embedding_norm) return RN_OK;
    const rn_tensor_view *w = find_view(c, "embedding_norm.weight");
    double factor = 1 / sqrt(square / (double)s->length + c->from.mixer.norm_eps);
    for (size_t j = 0; j < s->length; j++) {
        float weight;
        st = rn_tensor_floats(w, j, 1, &weight, err);
        if (st) return rn_blame_file(err, st, c->path);
        o->numbers[j] = (float)((double)o->numbers[j] * factor * (double)weight);
    }
    return RN_OK;
}

/* Whether the target's bytes are the source's, and in its order. */
static bool is_copied(const source *s, rn_dtype to)
{
    return s->made || (to == s->view->dtype && !s->columns && !s->embedding);
}

static bool is_in_order(const source *s)
{
    return s->order == s->wanted && s->group == 1;
}

/* The bytes of row r of target tensor i, in place or in o->bytes. */
static rn_status row_bytes(output *o, size_t i, size_t r, const void **out, rn_error *err)
{
    const source *s = &o->sources[i];
    size_t row = row_behind(s, r);
    if (is_copied(s, o->views[i].dtype)) {
        const char *all = s->made ? (const char *)s->made : s->view->data;
        *out = all + row * s->bytes;
        return RN_OK;
    }
    rn_weight_type type = RN_WEIGHT_F32;
    rn_dtype_weight_type(o->views[i].dtype, &type);
    rn_status st = make_row(o, i, row, err);
    if (!st) rn_weight_encode(type, o->bytes, o->numbers, s->length);
    *out = o->bytes;
    return st;
}

static rn_status tell(output *o, bool now, rn_error *err)
{
    const rn_convert_options *how = o->c->options;
    if (!how->progress || (!now && o->done - o->told < PIECE)) return RN_OK;
    o->told = o->done;
    if (!how->progress(how->user, o->done, o->c->report.bytes_out)) return RN_OK;
    return rn_fail(err, RN_EINTERRUPTED, "%s: interrupted, nothing is written",
                   o->c->path);
}

static rn_status put_tensor(output *o, size_t i, rn_safetensors_writer *w, rn_error *err)
{
    const source *s = &o->sources[i];
    bool whole = is_in_order(s) && is_copied(s, o->views[i].dtype);
    size_t step = whole && s->bytes && s->bytes < PIECE ? PIECE / s->bytes : 1;
    for (size_t r = 0; r < s->rows; r += step) {
        const void *bytes = NULL;
        size_t n = s->rows - r < step ? s->rows - r : step;
        rn_status st = row_bytes(o, i, r, &bytes, err);
        if (!st) st = rn_safetensors_writer_put(w, bytes, n * s->bytes, err);
        o->done += n * s->bytes;
        if (!st) st = tell(o, false, err);
        if (st) return st;
    }
    return tell(o, true, err);
}

static rn_status put_all(output *o, const char *path, rn_error *err)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    rn_safetensors_writer *w;
    rn_status st = rn_safetensors_writer_open(&w, path, o->views, o->count,
                                              o->c->dialect ? metadata : NULL, err);
    if (st) return st;
    for (size_t i = 0; !st && i < o->count; i++) st = put_tensor(o, i, w, err);
    if (!st) return rn_safetensors_writer_commit(w, err);
    rn_safetensors_writer_abandon(w);
    return st;
}

/* Blocks become float32 where only this library knows them: one thing for all. */
static rn_status lose_blocks(output *o, rn_error *err)
{
    for (size_t i = 0; i < o->plan->param_count; i++) {
        const rn_tensor_view *v = o->sources[i].view;
        rn_weight_type type;
        if (o->c->dialect && rn_dtype_weight_type(v->dtype, &type) &&
            rn_weight_block(type) > 1)
            return rn_convert_lose(o->c, err, "blocks: tensor %s is %s and becomes F32",
                                   v->name, rn_dtype_name(v->dtype));
    }
    return RN_OK;
}

static rn_status reserve(output *o, rn_error *err)
{
    size_t most = 1, bytes;
    for (size_t i = 0; i < o->count; i++)
        if (o->sources[i].length > most) most = o->sources[i].length;
    if (!rn_mul_size(&bytes, most, sizeof *o->numbers))
        return rn_fail_memory(err, "a row", SIZE_MAX);
    o->numbers = malloc(bytes);
    o->bytes = malloc(bytes);
    return o->numbers && o->bytes ? RN_OK : rn_fail_memory(err, "a row", bytes);
}

static rn_status plan_all(output *o, rn_error *err)
{
    rn_status st = rn_config_check(&o->c->to, err);
    if (!st) st = rn_model_new(&o->plan, NULL, &o->c->to, err);
    if (st) return st;
    o->count = o->plan->param_count;
    o->views = calloc(o->count + 2, sizeof *o->views);
    o->sources = calloc(o->count + 2, sizeof *o->sources);
    o->names = calloc(o->count + 2, sizeof *o->names);
    if (!o->views || !o->sources || !o->names)
        return rn_fail_memory(err, "tensor views", o->count * sizeof *o->names);
    for (size_t i = 0; !st && i < o->plan->param_count; i++) st = plan_tensor(o, i, err);
    if (!st) st = lose_blocks(o, err);
    if (!st) st = plan_buffers(o, err);
    return st ? st : reserve(o, err);
}

rn_status rn_convert_write(rn_conversion *c, const char *path, rn_error *err)
{
    output o = {.c = c};
    rn_status st = plan_all(&o, err);
    if (!st) st = put_all(&o, path, err);
    for (size_t i = 0; o.sources && i < o.count; i++) free(o.sources[i].columns);
    free(o.views);
    free(o.sources);
    free(o.names);
    free(o.angle);
    free(o.decay);
    free(o.numbers);
    free(o.bytes);
    rn_model_free(o.plan);
    return st;
}

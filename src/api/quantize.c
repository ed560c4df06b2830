/*
 * Rewriting a checkpoint in smaller number formats. First everything that can be refused
 * is looked at; then a folder beside `out` is filled, tensor by tensor and a piece of
 * rows at a time, and takes its name at the end.
 */
#define _POSIX_C_SOURCE 200809L
#include "retnet/quantize.h"

#include "api/matched.h"
#include "api/save.h"
#include "api/filled.h"
#include "core/arena.h"
#include "core/file.h"
#include "cpu/cpu.h"
#include "formats/side_files.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PIECE        ((size_t)1 << 20) /* numbers encoded at once, a row at least */
#define MOST_THREADS 1024

typedef struct rewriting {
    const char *path; /* of the input */
    const rn_quantize_options *options;
    int threads;
    rn_matched in;
    rn_tensor_view *out; /* [parameters], without data */
    float *numbers;      /* a piece */
    unsigned char *blocks;
    uint64_t done, total; /* numbers */
    rn_quantize_report report;
} rewriting;

/* A parameter as rows of one length. */
typedef struct rows {
    size_t count, length;
} rows;

static rows rows_of(const rn_param *p)
{
    return p->dims == 2 ? (rows){p->shape[0], p->shape[1]} : (rows){1, p->shape[0]};
}

static size_t rows_at_once(rows r)
{
    size_t fit = PIECE / (r.length ? r.length : 1);
    fit = fit ? fit : 1;
    return fit < r.count ? fit : r.count;
}

/* ---- what becomes of each tensor ---- */

static bool is_embedding(const rn_param *p)
{
    return strcmp(p->name, "embedding.weight") == 0 ||
           strcmp(p->name, "output.weight") == 0;
}

/* Numbers that were rounded once already are not rounded again. */
static rn_status check_stored(const rewriting *r, const rn_tensor_view *t, rn_error *err)
{
    rn_weight_type type;
    if (rn_dtype_weight_type(t->dtype, &type) && rn_weight_block(type) > 1)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: tensor %s is %s already; quantize the checkpoint that it was "
                       "made from",
                       r->path, t->name, rn_dtype_name(t->dtype));
    return RN_OK;
}

/* The type that parameter p gets, and whether it is another for want of whole blocks. */
static rn_weight_type choose(const rewriting *r, const rn_param *p,
                             const rn_tensor_view *t, bool *fallback)
{
    rn_weight_type want = r->options->type, kept, type;
    *fallback = false;
    if (r->options->keep_embeddings && is_embedding(p))
        return rn_dtype_weight_type(t->dtype, &kept) ? kept : RN_WEIGHT_F32;
    type = rn_param_type(p, want);
    bool policy = p->dims != 2 || (is_embedding(p) && type == RN_WEIGHT_Q8_0);
    *fallback = type != want && !policy;
    return type;
}

static rn_status plan_tensor(rewriting *r, size_t i, rn_error *err)
{
    const rn_param *p = &r->in.plan->params[i];
    const rn_tensor_view *t = &r->in.views[i];
    bool fallback;
    rn_status st = check_stored(r, t, err);
    if (st) return st;
    rn_weight_type type = choose(r, p, t, &fallback);
    r->out[i] = (rn_tensor_view){.name = p->name,
                                 .dtype = rn_dtype_of_weight(type),
                                 .dims = p->dims,
                                 .shape = {p->shape[0], p->dims == 2 ? p->shape[1] : 0}};
    r->total += p->count;
    r->report.bytes_in += t->bytes;
    r->report.bytes_out += rn_weight_bytes(type, p->count);
    r->report.tensors++;
    r->report.fallbacks += fallback;
    if (fallback && r->options->fallback)
        r->options->fallback(r->options->user, p->name, type);
    return RN_OK;
}

/* Room for the largest piece, in float32 and in no more bytes than that. */
static rn_status reserve(rewriting *r, rn_error *err)
{
    size_t most = 0, bytes = 0;
    for (size_t i = 0; i < r->report.tensors; i++) {
        rows s = rows_of(&r->in.plan->params[i]);
        size_t numbers = rows_at_once(s) * s.length; /* no more than the parameter has */
        most = numbers > most ? numbers : most;
    }
    if (!rn_mul_size(&bytes, most, sizeof *r->numbers))
        return rn_fail_memory(err, "a tensor", SIZE_MAX);
    r->numbers = malloc(bytes + 1);
    r->blocks = malloc(bytes + 1);
    return r->numbers && r->blocks ? RN_OK : rn_fail_memory(err, "a tensor", bytes);
}

static rn_status plan(rewriting *r, rn_error *err)
{
    rn_status st = rn_matched_open(&r->in, r->path, err);
    if (st) return st;
    rn_matched_tell_unknown(&r->in, r->options->unknown_key, r->options->user);
    size_t count = r->in.plan->param_count;
    r->out = calloc(count + 1, sizeof *r->out);
    if (!r->out) return rn_fail_memory(err, "tensor views", count * sizeof *r->out);
    for (size_t i = 0; !st && i < count; i++) st = plan_tensor(r, i, err);
    return st ? st : reserve(r, err);
}

/* ---- writing ---- */

/* Encodes row `row`; its first number that is not finite, or `length`. */
static size_t encode_row(const rn_tensor_view *t, rn_weight_type type, size_t row,
                         size_t length, float *numbers, unsigned char *out)
{
    rn_tensor_floats(t, (uint64_t)row * length, length, numbers, NULL);
    for (size_t i = 0; i < length; i++)
        if (!isfinite(numbers[i])) return i;
    rn_weight_encode(type, out, numbers, length);
    return length;
}

/* Rows first .. first + count - 1 of parameter i into r->blocks. */
static rn_status encode_rows(rewriting *r, size_t i, size_t first, size_t count,
                             rn_error *err)
{
    const rn_tensor_view *t = &r->in.views[i];
    const size_t length = rows_of(&r->in.plan->params[i]).length;
    rn_weight_type type = RN_WEIGHT_F32;
    rn_dtype_weight_type(r->out[i].dtype, &type);
    const size_t bytes = rn_weight_bytes(type, length);
    size_t bad = SIZE_MAX;
#pragma omp parallel for schedule(static) num_threads(r->threads) reduction(min : bad)
    for (size_t k = 0; k < count; k++) {
        size_t at = encode_row(t, type, first + k, length, r->numbers + k * length,
                               r->blocks + k * bytes);
        size_t element = (first + k) * length + at;
        if (at < length && element < bad) bad = element;
    }
    if (bad == SIZE_MAX) return RN_OK;
    float value = 0.0f;
    rn_tensor_floats(t, bad, 1, &value, NULL);
    return rn_fail(err, RN_EFORMAT, "%s: tensor %s: element %zu is %g", r->path, t->name,
                   bad, (double)value);
}

static rn_status put_tensor(rewriting *r, size_t i, rn_safetensors_writer *w,
                            rn_error *err)
{
    const rn_param *p = &r->in.plan->params[i];
    const rows s = rows_of(p);
    const size_t step = rows_at_once(s);
    rn_weight_type type = RN_WEIGHT_F32;
    rn_dtype_weight_type(r->out[i].dtype, &type);
    for (size_t at = 0; at < s.count; at += step) {
        size_t n = s.count - at < step ? s.count - at : step;
        rn_status st = encode_rows(r, i, at, n, err);
        size_t bytes = n * rn_weight_bytes(type, s.length);
        if (!st) st = rn_safetensors_writer_put(w, r->blocks, bytes, err);
        if (st) return st;
    }
    r->done += p->count;
    const rn_quantize_options *o = r->options;
    if (o->progress && o->progress(o->user, r->done, r->total))
        return rn_fail(err, RN_EINTERRUPTED, "%s: interrupted, nothing is written",
                       r->path);
    return RN_OK;
}

static rn_status write_weights(rewriting *r, const char *path, rn_error *err)
{
    rn_safetensors_writer *w;
    size_t count = r->report.tensors;
    rn_status st = rn_safetensors_writer_open(&w, path, r->out, count, NULL, err);
    if (st) return st;
    for (size_t i = 0; !st && i < count; i++) st = put_tensor(r, i, w, err);
    if (!st) return rn_safetensors_writer_commit(w, err);
    rn_safetensors_writer_abandon(w);
    return st;
}

static rn_status fill_folder(void *user, const char *folder, rn_error *err)
{
    rewriting *r = user;
    char *config = rn_path_join(folder, RN_CONFIG_FILE);
    char *weights = rn_path_join(folder, RN_WEIGHTS_FILE);
    rn_status st = config && weights ? rn_side_files_copy(r->path, folder, err)
                                     : rn_fail_memory(err, folder, strlen(folder));
    if (!st) st = rn_save_config(r->in.plan, config, err);
    if (!st) st = write_weights(r, weights, err);
    free(config);
    free(weights);
    return st;
}

static rn_status check_options(const rn_quantize_options *o, const char *out,
                               rn_error *err)
{
    if (!rn_weight_type_name(o->type))
        return rn_fail(err, RN_EINVAL, "type: %d is no type of weights", (int)o->type);
    if (o->threads < 0 || o->threads > MOST_THREADS)
        return rn_fail(err, RN_EINVAL, "threads: %d is not in 0..%d", o->threads,
                       MOST_THREADS);
    return rn_check_free(out, err);
}

rn_status rn_quantize(const char *in, const char *out, const rn_quantize_options *options,
                      rn_quantize_report *report, rn_error *err)
{
    rewriting r = {.path = in, .options = options};
    rn_status st = check_options(options, out, err);
    if (st) return st;
    r.threads = options->threads ? options->threads : rn_cpu_cores();
    st = plan(&r, err);
    if (!st) st = rn_folder_filled(out, fill_folder, &r, err);
    if (!st && report) *report = r.report;
    free(r.numbers);
    free(r.blocks);
    free(r.out);
    rn_matched_close(&r.in);
    return st;
}

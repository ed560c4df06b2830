/* Any checkpoint as one GGUF file: the metadata first, then the tensors' bytes as they
   are, a piece at a time. */
#define _POSIX_C_SOURCE 200809L
#include "api/convert.h"

#include "api/filled.h"
#include "api/matched.h"
#include "core/file.h"
#include "formats/dtype.h"
#include "formats/gguf_model.h"

#include <stdlib.h>
#include <string.h>

#define PIECE                ((size_t)1 << 24) /* bytes written at once */
#define QUANTIZATION_VERSION 2                 /* of the blocks' layouts */

typedef struct converting {
    const char *in;
    const rn_convert_options *options;
    rn_matched from;
    rn_tensor_view *views;               /* [parameters], under the file's names */
    char (*names)[RN_GGUF_MAX_NAME + 1]; /* [parameters] */
    uint64_t done, total;                /* bytes */
} converting;

/* ---- metadata ---- */

/* The number by which general.file_type calls a file mostly of this type. */
static uint32_t file_type(rn_dtype dtype)
{
    switch (dtype) {
    case RN_DTYPE_F16: return 1;
    case RN_DTYPE_Q4_0: return 2;
    case RN_DTYPE_Q8_0: return 7;
    case RN_DTYPE_Q4_K: return 14;
    case RN_DTYPE_Q6_K: return 18;
    case RN_DTYPE_BF16: return 32;
    default: return 0;
    }
}

/* The type that most numbers have. */
static rn_dtype common_type(const converting *c)
{
    uint64_t numbers[RN_DTYPE_Q6_K + 1] = {0};
    size_t most = RN_DTYPE_F32;
    for (size_t i = 0; i < c->from.plan->param_count; i++) {
        size_t type = (size_t)c->views[i].dtype;
        numbers[type] += c->views[i].count;
        if (numbers[type] > numbers[most]) most = type;
    }
    return (rn_dtype)most;
}

static bool has_blocks(const converting *c)
{
    for (size_t i = 0; i < c->from.plan->param_count; i++)
        if (rn_dtype_is_blocks(c->views[i].dtype)) return true;
    return false;
}

/* The last part of the input's path, without ".gguf" or ".safetensors". */
static void put_name(rn_gguf_meta *m, const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    const char *name = path + begin;
    size_t length = end - begin;
    static const char *const endings[] = {".gguf", ".safetensors"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && !memcmp(name + length - n, endings[i], n)) length -= n;
    }
    rn_gguf_put_text(m, "general.name", name, length);
}

static rn_status make_meta(const converting *c, rn_gguf_meta *m, rn_error *err)
{
    const rn_model *plan = c->from.plan;
    json_t *native = rn_config_json(&plan->config);
    if (!native) return rn_fail_memory(err, c->in, sizeof plan->config);
    rn_gguf_put_text(m, "general.architecture", RN_GGUF_ARCHITECTURE,
                     strlen(RN_GGUF_ARCHITECTURE));
    put_name(m, c->in);
    rn_gguf_put_u32(m, "general.alignment", RN_GGUF_ALIGNMENT);
    rn_gguf_put_u32(m, "general.file_type", file_type(common_type(c)));
    if (has_blocks(c))
        rn_gguf_put_u32(m, "general.quantization_version", QUANTIZATION_VERSION);
    rn_status st = rn_gguf_put_config(
        m, native, rn_checkpoint_stored_config(c->from.checkpoint), c->in, err);
    json_decref(native);
    return st ? st : rn_gguf_put_files(m, c->in, plan->config.vocab_size, err);
}

/* ---- tensors ---- */

static rn_status plan_tensors(converting *c, rn_error *err)
{
    rn_status st = rn_matched_open(&c->from, c->in, err);
    if (st) return st;
    const rn_convert_options *o = c->options;
    if (o) rn_matched_tell_unknown(&c->from, o->unknown_key, o->user);
    size_t count = c->from.plan->param_count;
    c->views = calloc(count + 1, sizeof *c->views);
    c->names = calloc(count + 1, sizeof *c->names);
    if (!c->views || !c->names)
        return rn_fail_memory(err, c->in, count * sizeof *c->views);
    for (size_t i = 0; i < count; i++) {
        const char *native = c->from.plan->params[i].name;
        if (!rn_gguf_tensor_name(native, c->names[i], sizeof c->names[i]))
            return rn_fail(err, RN_EUNSUPPORTED,
                           "%s: tensor %s has no name of at most %d bytes in GGUF", c->in,
                           native, RN_GGUF_MAX_NAME);
        c->views[i] = c->from.views[i];
        c->views[i].name = c->names[i];
        c->total += c->views[i].bytes;
    }
    return RN_OK;
}

static rn_status put_tensor(converting *c, size_t i, rn_gguf_writer *w, rn_error *err)
{
    const rn_tensor_view *t = &c->views[i];
    const unsigned char *data = t->data;
    rn_status st = RN_OK;
    for (uint64_t at = 0; at < t->bytes && !st; at += PIECE) {
        uint64_t left = t->bytes - at;
        st = rn_gguf_writer_put(w, data + at, left < PIECE ? (size_t)left : PIECE, err);
    }
    c->done += t->bytes;
    const rn_convert_options *o = c->options;
    if (!st && o && o->progress && o->progress(o->user, c->done, c->total))
        return rn_fail(err, RN_EINTERRUPTED, "%s: interrupted, nothing is written",
                       c->in);
    return st;
}

static rn_status write_file(void *user, const char *path, rn_error *err)
{
    converting *c = user;
    rn_gguf_meta meta = {0};
    rn_gguf_writer *w = NULL;
    size_t count = c->from.plan->param_count;
    rn_status st = make_meta(c, &meta, err);
    if (!st) st = rn_gguf_writer_open(&w, path, &meta, c->views, count, err);
    rn_gguf_meta_free(&meta);
    for (size_t i = 0; i < count && !st; i++) st = put_tensor(c, i, w, err);
    if (!st) return rn_gguf_writer_commit(w, err);
    rn_gguf_writer_abandon(w);
    return st;
}

rn_status rn_convert_gguf(const char *in, const char *out,
                          const rn_convert_options *options, rn_convert_report *report,
                          rn_error *err)
{
    converting c = {.in = in, .options = options};
    rn_status st = rn_check_free(out, err);
    if (!st) st = plan_tensors(&c, err);
    if (!st) st = rn_file_filled(out, write_file, &c, err);
    if (!st && report)
        *report = (rn_convert_report){.tensors = c.from.plan->param_count,
                                      .bytes_out = c.total};
    free(c.views);
    free(c.names);
    rn_matched_close(&c.from);
    return st;
}

/*
 * Conversion to another layout. Everything that can be refused is looked at before a
 * folder beside `out` is filled, which takes its name at the end.
 */
#define _POSIX_C_SOURCE 200809L
#include "api/convert.h"

#include "api/save.h"
#include "api/filled.h"
#include "core/file.h"
#include "formats/gguf.h"
#include "formats/side_files.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rn_status rn_convert_lose(rn_conversion *c, rn_error *err, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const rn_convert_options *o = c->options;
    if (!o->lossy)
        return rn_fail(
            err, RN_EUNSUPPORTED,
            "%s: %s cannot say the same: %s (a lossy conversion can come near)", c->path,
            o->to, what);
    c->report.lossy++;
    if (o->lost) o->lost(o->user, what);
    return RN_OK;
}

rn_status rn_convert_check(const rn_conversion *c, const rn_convert_need *needs,
                           size_t count, rn_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!needs[i].there)
            return rn_fail(err, RN_EUNSUPPORTED, "%s: %s has no such model: %s", c->path,
                           c->options->to, needs[i].what);
    return RN_OK;
}

bool rn_convert_row_norm_matters(const rn_config *config)
{
    return config->mixer.norm_eps != 0 || config->mixer.head_norm == RN_HEAD_NORM_NONE;
}

/* The ids of special tokens, which a GGUF file has outside its config. */
static rn_status copy_ids(rn_conversion *c, rn_error *err)
{
    static const char *const keys[][2] = {
        {"bos_token_id", "tokenizer.ggml.bos_token_id"},
        {"eos_token_id", "tokenizer.ggml.eos_token_id"},
    };
    rn_gguf *f;
    int64_t id;
    if (!rn_gguf_is(c->path)) return RN_OK;
    rn_status st = rn_gguf_open(&f, c->path, err);
    if (st) return st;
    for (size_t i = 0; !st && i < sizeof keys / sizeof keys[0]; i++) {
        const rn_gguf_value *value = rn_gguf_find(f, keys[i][1]);
        if (!value || !rn_gguf_int(value, &id)) continue;
        if (id < 0 || (uint64_t)id >= c->from.vocab_size) continue;
        if (json_object_set_new(c->config, keys[i][0], json_integer(id)))
            st = rn_fail_memory(err, c->path, 0);
    }
    rn_gguf_close(f);
    return st;
}

rn_status rn_convert_copy_keys(rn_conversion *c, const char *const *keys, rn_error *err)
{
    const json_t *stored = rn_checkpoint_stored_config(c->in.checkpoint);
    for (; *keys; keys++) {
        json_t *value = json_object_get(stored, *keys);
        if (value && !json_is_null(value) && json_object_set(c->config, *keys, value))
            return rn_fail_memory(err, c->path, 0);
    }
    return copy_ids(c, err);
}

const char *rn_convert_torch_type(const rn_conversion *c)
{
    switch (c->in.views[0].dtype) {
    case RN_DTYPE_BF16: return "bfloat16";
    case RN_DTYPE_F16: return "float16";
    default: return "float32";
    }
}

static rn_status plan_native(rn_conversion *c, rn_error *err)
{
    (void)c, (void)err;
    return RN_OK;
}

static const struct {
    const char *name;
    rn_status (*plan)(rn_conversion *c, rn_error *err);
} targets[] = {
    {"native", plan_native},
    {"hf-fla", rn_convert_plan_fla},
    {"torchscale", rn_convert_plan_torchscale},
};

static rn_status plan(rn_conversion *c, rn_error *err)
{
    rn_status st = rn_matched_open(&c->in, c->path, err);
    if (st) return st;
    rn_matched_tell_unknown(&c->in, c->options->unknown_key, c->options->user);
    c->from = c->to = c->in.plan->config;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if (!strcmp(c->options->to, targets[i].name)) return targets[i].plan(c, err);
    return rn_fail(err, RN_EINVAL, "to: there is no layout \"%.60s\"", c->options->to);
}

static rn_status write_config(const rn_conversion *c, const char *path, rn_error *err)
{
    if (!c->config) return rn_save_config(c->in.plan, path, err);
    char *text = json_dumps(c->config, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (!text) return rn_fail_memory(err, path, 0);
    rn_status st = rn_save_text(text, path, err);
    free(text);
    return st;
}

static rn_status fill_folder(void *user, const char *folder, rn_error *err)
{
    rn_conversion *c = user;
    char *config = rn_path_join(folder, RN_CONFIG_FILE);
    char *weights = rn_path_join(folder, RN_WEIGHTS_FILE);
    rn_status st = config && weights ? rn_side_files_copy(c->path, folder, err)
                                     : rn_fail_memory(err, folder, strlen(folder));
    if (!st) st = write_config(c, config, err);
    if (!st) st = rn_convert_write(c, weights, err);
    free(config);
    free(weights);
    return st;
}

static rn_status check_options(const rn_convert_options *o, const char *out,
                               rn_error *err)
{
    bool known = o->to && !strcmp(o->to, "gguf");
    for (size_t i = 0; o->to && i < sizeof targets / sizeof targets[0]; i++)
        known |= !strcmp(o->to, targets[i].name);
    if (!known)
        return rn_fail(err, RN_EINVAL,
                       "to: there is no layout \"%.60s\" (native, hf-fla, torchscale, "
                       "gguf)",
                       o->to ? o->to : "");
    return rn_check_free(out, err);
}

rn_status rn_convert(const char *in, const char *out, const rn_convert_options *options,
                     rn_convert_report *report, rn_error *err)
{
    rn_conversion c = {.path = in, .options = options};
    rn_status st = check_options(options, out, err);
    if (st) return st;
    if (!strcmp(options->to, "gguf"))
        return rn_convert_gguf(in, out, options, report, err);
    st = plan(&c, err);
    if (!st) st = rn_folder_filled(out, fill_folder, &c, err);
    if (!st && report) *report = c.report;
    json_decref(c.config);
    rn_matched_close(&c.in);
    return st;
}

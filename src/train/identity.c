/*
 * What makes a run the same run: the options that shape its numbers, the model's config
 * and the data. Written as one JSON object and compared key by key, so that the list of
 * options stands in one place.
 */
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

static const char *schedule_name(rn_schedule s)
{
    switch (s) {
    case RN_SCHEDULE_LINEAR: return "linear";
    case RN_SCHEDULE_COSINE: return "cosine";
    case RN_SCHEDULE_CONSTANT: return "constant";
    }
    return "unknown";
}

static const char *row_norm_name(rn_row_norm n)
{
    switch (n) {
    case RN_ROW_NORM_NONE: return "none";
    case RN_ROW_NORM_DECAY: return "decay";
    case RN_ROW_NORM_PAPER: return "paper";
    case RN_ROW_NORM_TORCHSCALE: return "torchscale";
    case RN_ROW_NORM_AUTO: return "auto";
    }
    return "unknown";
}

/* JSON integers are signed: 64-bit patterns are written as text. */
static json_t *hex(uint64_t value)
{
    return json_sprintf("%016llx", (unsigned long long)value);
}

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *options_json(const rn_train_options *o, double max_minutes)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:s, s:f, s:f, s:f, s:f, s:f, "
                     "s:f, s:s, s:o, "
                     "s:s, s:o, s:f}",
                     "steps", integer(o->steps), "batch", integer(o->batch), "seq",
                     integer(o->seq), "accum", integer(o->accum), "lr", o->lr, "min_lr",
                     o->min_lr, "warmup", integer(o->warmup), "schedule",
                     schedule_name(o->schedule), "beta1", o->beta1, "beta2", o->beta2,
                     "epsilon", o->epsilon, "weight_decay", o->weight_decay, "clip",
                     o->clip, "dropout", o->dropout, "form",
                     o->form == RN_FORM_PARALLEL ? "parallel" : "chunkwise", "chunk",
                     integer(o->chunk), "row_norm", row_norm_name(o->row_norm), "seed",
                     hex(o->seed), "max_minutes", max_minutes);
}

json_t *rn_identity_json(const rn_run_identity *id)
{
    return json_pack("{s:o, s:o, s:o}", "options",
                     options_json(&id->trainer->options, id->max_minutes), "config",
                     rn_config_json(&id->trainer->model->config), "data",
                     rn_mixture_json(id->data));
}

/* A value as text for a message, cut short where it is long. */
typedef struct value_text {
    char text[80];
} value_text;

static value_text text_of(const json_t *value)
{
    value_text v = {"nothing"};
    char *dump =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9))
              : NULL;
    if (dump) snprintf(v.text, sizeof v.text, "%.*s", (int)sizeof v.text - 1, dump);
    free(dump);
    return v;
}

/* A constant rate does not ask when the run ends, so the end may be moved. */
static bool may_change(const char *key, const rn_run_identity *id, bool asked_chunk)
{
    bool constant = id->trainer->options.schedule == RN_SCHEDULE_CONSTANT;
    if (strcmp(key, "chunk") == 0) return !asked_chunk;
    if (strcmp(key, "steps") == 0 || strcmp(key, "max_minutes") == 0) return constant;
    return false;
}

static rn_status compare_section(const json_t *was, const json_t *is, const char *section,
                                 const rn_run_identity *id, bool asked_chunk,
                                 const char *path, rn_error *err)
{
    const json_t *old_section = json_object_get(was, section);
    json_t *new_section = json_object_get(is, section);
    const char *key;
    json_t *value;
    json_object_foreach(new_section, key, value)
    {
        json_t *old = json_object_get(old_section, key);
        bool same = old ? json_equal(old, value) : json_is_null(value);
        if (same || may_change(key, id, asked_chunk)) continue;
        return rn_fail(err, RN_EFORMAT,
                       "%s: cannot resume: %s %s: it is %s in the checkpoint, now %s",
                       path, section, key, text_of(old).text, text_of(value).text);
    }
    return RN_OK;
}

rn_status rn_identity_compare(const json_t *was, const rn_run_identity *id,
                              bool asked_chunk, const char *path, rn_error *err)
{
    static const char *const sections[] = {"config", "data", "options"};
    json_t *is = rn_identity_json(id);
    if (!is) return rn_fail(err, RN_ENOMEM, "out of memory for the options of %s", path);
    rn_status st = RN_OK;
    for (size_t i = 0; i < 3 && !st; i++)
        st = compare_section(was, is, sections[i], id, asked_chunk, path, err);
    json_decref(is);
    return st;
}

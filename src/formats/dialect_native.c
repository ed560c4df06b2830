/* The library's own checkpoints: the config's keys and the tensors' names are the
   model's, so only the version is checked here. */
#include "formats/dialect.h"

#include <stdio.h>
#include <string.h>

#define VERSION 1

static const rn_shape_keys shape_keys[] = {
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
    {"", {"width", "width"}},
    {NULL, {NULL, NULL}},
};

static const rn_presence_key presence_keys[] = {
    {"output.", "tied"},
    {"embedding_norm.", "embedding_norm"},
    {".ffn.norm.", "ffn_norm"},
    {".head_norm.", "head_norm_weight"},
    {".mixer.g.", "output_gate"},
    {".ffn.gate.", "ffn"},
    {"_norm.", NULL},
    {"norm.weight", "norm_position"},
    {".bias", "bias"},
    {NULL, NULL},
};

static bool detect(const rn_source *s)
{
    const char *format = json_string_value(json_object_get(s->config, "format"));
    return format && !strcmp(format, "retnet");
}

static rn_status config(const rn_source *s, json_t **native, rn_error *err)
{
    const json_t *version = json_object_get(s->config, "version");
    if (!json_is_integer(version))
        return rn_fail(err, RN_EFORMAT, "%s: version is not a whole number", s->path);
    if (json_integer_value(version) != VERSION)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: version %lld; this library reads version %d", s->path,
                       (long long)json_integer_value(version), VERSION);
    json_t *keys = json_object();
    if (!keys || json_object_update(keys, (json_t *)s->config)) {
        json_decref(keys);
        return rn_fail_memory(err, s->path, json_object_size(s->config));
    }
    json_object_del(keys, "format");
    json_object_del(keys, "version");
    *native = keys;
    return RN_OK;
}

static bool tensor(const rn_source *s, const char *native, rn_stored *out)
{
    (void)s;
    *out = (rn_stored){.parts = 1};
    int length = snprintf(out->name, sizeof out->name, "%s", native);
    return length >= 0 && (size_t)length < sizeof out->name;
}

static bool is_buffer(const rn_source *s, const char *original)
{
    (void)s, (void)original;
    return false;
}

const rn_dialect rn_dialect_native = {
    .name = "native",
    .detect = detect,
    .config = config,
    .tensor = tensor,
    .is_buffer = is_buffer,
    .shape_keys = shape_keys,
    .presence_keys = presence_keys,
    .layers_key = "layers",
};

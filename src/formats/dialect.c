/* Which dialect a config is in, and what to say of those that are not read. */
#include "formats/dialect.h"

#include <string.h>

static const rn_dialect *const dialects[] = {&rn_dialect_native, &rn_dialect_gguf,
                                             &rn_dialect_torchscale};

bool rn_source_has(const rn_source *s, const char *name)
{
    return s->weights && rn_weights_find(s->weights, name) != RN_NO_WEIGHT;
}

bool rn_source_has_ending(const rn_source *s, const char *ending)
{
    size_t count = s->weights ? rn_weights_count(s->weights) : 0, length = strlen(ending);
    for (size_t i = 0; i < count; i++) {
        const char *name = rn_weights_at(s->weights, i)->name;
        size_t n = strlen(name);
        if (n >= length && !strcmp(name + n - length, ending)) return true;
    }
    return false;
}

static bool has_key(const rn_source *s, const char *key)
{
    return json_object_get(s->config, key) != NULL;
}

static bool is_fla(const rn_source *s)
{
    const char *type = json_string_value(json_object_get(s->config, "model_type"));
    return has_key(s, "hidden_size") &&
           (has_key(s, "expand_k") || (type && !strcmp(type, "retnet")));
}

static bool is_syncdoth_first(const rn_source *s)
{
    return has_key(s, "qk_dim") || rn_source_has_ending(s, ".msr.qkv.weight");
}

static bool is_legacy(const rn_source *s)
{
    if (!has_key(s, "decoder_embed_dim")) return false;
    if (s->weights) return rn_source_has_ending(s, "q_proj.bias");
    return !has_key(s, "decoder_value_embed_dim");
}

static bool is_syncdoth(const rn_source *s)
{
    return has_key(s, "decoder_embed_dim") &&
           (has_key(s, "model_type") || has_key(s, "architectures") ||
            has_key(s, "forward_impl") || rn_source_has(s, "model.embed_tokens.weight"));
}

static const struct {
    bool (*is)(const rn_source *s);
    const char *what;
} unread[] = {
    {is_fla, "a flash-linear-attention RetNet (hidden_size)"},
    {is_syncdoth_first, "syncdoth's first layout (qk_dim, model.blocks), another model"},
    {is_legacy, "torchscale's layout from before 28 September 2023 (q_proj.bias, no "
                "decoder_value_embed_dim)"},
    {is_syncdoth, "a syncdoth RetNet (model_type beside decoder_embed_dim)"},
};

rn_status rn_dialect_detect(const rn_dialect **out, const rn_source *s, rn_error *err)
{
    for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++)
        if (!has_key(s, "format") && unread[i].is(s))
            return rn_fail(err, RN_EUNSUPPORTED, "%s: %s, which is not read", s->path,
                           unread[i].what);
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
        if (!dialects[i]->detect(s)) continue;
        *out = dialects[i];
        return RN_OK;
    }
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: not a RetNet config: neither \"format\": \"retnet\" nor "
                   "decoder_embed_dim is there",
                   s->path);
}

/* Which dialect a config is in, what to say of those that are not read, and what the
   dialects' tables of names share. */
#include "formats/dialect.h"

#include "formats/keys.h"

#include <string.h>

/* The first that recognises a config has it. */
static const rn_dialect *const dialects[] = {
    &rn_dialect_native, &rn_dialect_gguf,     &rn_dialect_fla,
    &rn_dialect_legacy, &rn_dialect_syncdoth, &rn_dialect_torchscale};

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

static const rn_stem *find_stem(const rn_stem *stems, const char *name, size_t length)
{
    for (; stems->native; stems++)
        if (strlen(stems->native) == length && !memcmp(stems->native, name, length))
            return stems;
    return NULL;
}

const rn_stem *rn_stem_find(const rn_stem *model, const rn_stem *layer,
                            const char *native, int *layer_length, const char **leaf)
{
    const char *begin = native;
    *leaf = strrchr(native, '.');
    *layer_length = 0;
    if (!*leaf) return NULL;
    if (strncmp(native, "layers.", 7) != 0)
        return find_stem(model, native, (size_t)(*leaf - native));
    begin = native + 7 + strspn(native + 7, "0123456789");
    if (begin == native + 7 || *begin++ != '.' || begin > *leaf) return NULL;
    if (begin - native > 64) return NULL;
    *layer_length = (int)(begin - native);
    return find_stem(layer, begin, (size_t)(*leaf - begin));
}

rn_status rn_dialect_pad_token(const rn_source *s, uint32_t vocab, json_t *native,
                               rn_error *err)
{
    const json_t *value = json_object_get(s->config, "pad_token_id");
    if (!value || json_is_null(value)) return RN_OK;
    if (!json_is_integer(value))
        return rn_fail(err, RN_EFORMAT, "%s: pad_token_id is not a whole number",
                       s->path);
    json_int_t id = json_integer_value(value);
    if (id < -(json_int_t)vocab || id >= (json_int_t)vocab)
        return rn_fail(err, RN_EFORMAT, "%s: pad_token_id is %lld, vocab_size is %lu",
                       s->path, (long long)id, (unsigned long)vocab);
    if (json_object_set_new(native, "pad_token",
                            json_integer(id < 0 ? id + (json_int_t)vocab : id)))
        return rn_fail_memory(err, s->path, sizeof id);
    return RN_OK;
}

static bool is_syncdoth_first(const rn_source *s)
{
    return json_object_get(s->config, "qk_dim") != NULL ||
           rn_source_has_ending(s, ".msr.qkv.weight");
}

rn_status rn_dialect_detect(const rn_dialect **out, const rn_source *s, rn_error *err)
{
    if (!json_object_get(s->config, "format") && is_syncdoth_first(s))
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: syncdoth's first layout (qk_dim, model.blocks), another "
                       "model, which is not read",
                       s->path);
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
        if (!dialects[i]->detect(s)) continue;
        *out = dialects[i];
        return RN_OK;
    }
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: not a RetNet config: there is neither \"format\": \"retnet\", "
                   "nor decoder_embed_dim, nor hidden_size with \"model_type\": "
                   "\"retnet\"",
                   s->path);
}

/*
 * The configs of torchscale's family: keys of its RetNetConfig with its defaults for all
 * but the sizes, and the stored decays and angles. Mixtures of experts, multiway and xPos
 * scaling are refused.
 */
#include "formats/dialect_torchscale.h"
#include "formats/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a config says: the sizes as it has them, and which variant it describes. */
typedef struct sizes {
    uint32_t vocab, width, value_width, heads, ffn_width, layers;
    bool legacy; /* LayerNorm and biases everywhere */
    bool plain;  /* a feed-forward without gate, with biases */
} sizes;

/* The `expected` floats of a stored vector, to be freed. */
static rn_status read_buffer(float **out, const rn_source *s, const rn_tensor_view *t,
                             uint32_t expected, const char *rule, rn_error *err)
{
    if (t->dims != 1 || t->count != expected)
        return rn_fail(err, RN_EFORMAT,
                       "%s: tensor %s has %" PRIu64
                       " entries in %d dimensions, %s is %" PRIu32,
                       s->path, t->name, t->count, t->dims, rule, expected);
    float *values = malloc(expected * sizeof *values);
    if (!values) return rn_fail_memory(err, t->name, expected * sizeof *values);
    rn_status st = rn_tensor_floats(t, 0, expected, values, err);
    if (st) {
        free(values);
        return rn_blame_file(err, st, s->path);
    }
    *out = values;
    return RN_OK;
}

static rn_status append(json_t *list, double value, const rn_source *s, rn_error *err)
{
    if (json_array_append_new(list, json_real(value)))
        return rn_fail_memory(err, s->path, sizeof value);
    return RN_OK;
}

/* gamma of each head: exp of the stored logarithms, or 1 - 2^(-5-h). */
static rn_status fill_decays(json_t *list, const rn_source *s, uint32_t heads,
                             rn_error *err)
{
    const rn_tensor_view *t = rn_torchscale_buffer(s, "decay");
    float *logs = NULL;
    rn_status st = RN_OK;
    if (t) st = read_buffer(&logs, s, t, heads, "decoder_retention_heads", err);
    for (uint32_t h = 0; !st && h < heads; h++) {
        double gamma = t ? exp((double)logs[h]) : 1.0 - ldexp(1.0, -5 - (int)h);
        if (gamma > 0.0 && gamma <= 1.0) st = append(list, gamma, s, err);
        else
            st = rn_fail(err, RN_EFORMAT,
                         "%s: tensor %s: entry %" PRIu32 " is %g, not the log of a decay",
                         s->path, t->name, h, (double)logs[h]);
    }
    free(logs);
    return st;
}

/* The stored thetas, each of which is there twice, for components 2i and 2i+1. */
static rn_status fill_angles(json_t *list, const rn_source *s, const rn_tensor_view *t,
                             uint32_t key_dim, rn_error *err)
{
    float *twice;
    rn_status st = read_buffer(&twice, s, t, key_dim,
                               "decoder_embed_dim / decoder_retention_heads", err);
    if (st) return st;
    for (uint32_t i = 0; !st && i + 1 < key_dim; i += 2) {
        if (isfinite(twice[i]) && twice[i] == twice[i + 1])
            st = append(list, (double)twice[i], s, err);
        else
            st = rn_fail(err, RN_EFORMAT,
                         "%s: tensor %s: entries %" PRIu32 " and %" PRIu32
                         " are %g and %g, expected one angle twice",
                         s->path, t->name, i, i + 1, (double)twice[i],
                         (double)twice[i + 1]);
    }
    free(twice);
    return st;
}

/* A new list under `key`, owned by the config. */
static json_t *add_list(json_t *native, const char *key)
{
    json_t *list = json_array();
    return json_object_set_new(native, key, list) == 0 ? list : NULL;
}

static rn_status add_buffers(json_t *native, const rn_source *s, const sizes *z,
                             rn_error *err)
{
    json_t *decays = add_list(native, "decays");
    if (!decays) return rn_fail_memory(err, s->path, z->heads);
    rn_status st = fill_decays(decays, s, z->heads, err);
    const rn_tensor_view *t = rn_torchscale_buffer(s, "angle");
    if (st || !t) return st;
    json_t *angles = add_list(native, "angles");
    if (!angles) return rn_fail_memory(err, s->path, (size_t)t->bytes);
    return fill_angles(angles, s, t, z->width / z->heads, err);
}

/* The older layout had values of a fixed multiple of the width. */
static uint32_t read_value_width(rn_keys *k, const sizes *z)
{
    if (!z->legacy || rn_keys_has(k, "decoder_value_embed_dim"))
        return rn_keys_size(k, "decoder_value_embed_dim", INT32_MAX);
    double width = (double)z->width * rn_keys_real(k, "value_factor", 2, 0, 65536);
    if (k->status || (width >= 1 && width <= INT32_MAX && width == floor(width)))
        return (uint32_t)width;
    k->status = rn_fail(k->err, RN_EFORMAT,
                        "%s: value_factor * decoder_embed_dim is %g, not a width",
                        k->path, width);
    return 1;
}

static rn_status read_sizes(rn_keys *k, sizes *z)
{
    const uint32_t any = INT32_MAX;
    z->vocab = rn_keys_size(k, "vocab_size", any);
    z->width = rn_keys_size(k, "decoder_embed_dim", any);
    z->value_width = read_value_width(k, z);
    z->heads = rn_keys_size(k, "decoder_retention_heads", RN_DIALECT_MAX_HEADS);
    z->ffn_width = rn_keys_size(k, "decoder_ffn_embed_dim", any);
    z->layers = rn_keys_size(k, "decoder_layers", RN_DIALECT_MAX_LAYERS);
    if (k->status) return k->status;
    bool keys_divide = z->width % z->heads == 0;
    if (keys_divide && z->value_width % z->heads == 0) return RN_OK;
    return rn_fail(k->err, RN_EFORMAT,
                   "%s: %s %" PRIu32
                   " is not a multiple of decoder_retention_heads %" PRIu32,
                   k->path, keys_divide ? "decoder_value_embed_dim" : "decoder_embed_dim",
                   keys_divide ? z->value_width : z->width, z->heads);
}

/* What would make it another model than the one that is read. */
static rn_status refuse_others(rn_keys *k)
{
    static const char *const rows[] = {"multiway", "xpos_rel_pos", "no_output_layer"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool value = rn_keys_bool(k, rows[i], false);
        if (k->status) return k->status;
        if (value)
            return rn_fail(k->err, RN_EUNSUPPORTED,
                           "%s: %s is true, which is not supported", k->path, rows[i]);
    }
    rn_keys_bool(k, "use_glu", true);
    if (rn_keys_real(k, "moe_expert_count", 0, 0, INT32_MAX) == 0) return k->status;
    return rn_fail(k->err, RN_EUNSUPPORTED,
                   "%s: moe_expert_count is not 0: mixtures of experts are not supported",
                   k->path);
}

/* Decays by another rule, of which only the stored result can be taken. */
static rn_status refuse_lm_decay(rn_keys *k, const rn_source *s)
{
    bool other = rn_keys_bool(k, "use_lm_decay", false);
    if (k->status || !other || rn_torchscale_buffer(s, "decay")) return k->status;
    return rn_fail(k->err, RN_EUNSUPPORTED,
                   "%s: use_lm_decay is true, which is not supported without the tensor "
                   "retnet_rel_pos.decay",
                   k->path);
}

static const char *read_activation(rn_keys *k)
{
    const char *text = rn_keys_text(k, "activation_fn", "gelu");
    if (!strcmp(text, "swish") || !strcmp(text, "silu")) return "swish";
    if (!strcmp(text, "gelu")) return "gelu";
    if (!strcmp(text, "relu")) return "relu";
    if (!k->status)
        k->status =
            rn_fail(k->err, RN_EUNSUPPORTED,
                    "%s: activation_fn %.40s is not supported (swish, silu, gelu, relu)",
                    k->path, text);
    return "gelu";
}

/* The keys that are the same in every variant. */
static rn_status translate(rn_keys *k, const sizes *z, json_t **out)
{
    bool deepnorm = rn_keys_bool(k, "deepnorm", false);
    bool pre = rn_keys_bool(k, "decoder_normalize_before", true);
    bool unscaled = rn_keys_bool(k, "no_scale_embedding", true);
    bool tied = rn_keys_bool(k, "share_decoder_input_output_embed", false);
    tied |= rn_keys_bool(k, "tie_word_embeddings", false);
    bool embedding_norm = rn_keys_bool(k, "layernorm_embedding", false);
    double eps = rn_keys_real(k, "layernorm_eps", z->legacy ? 1e-5 : 1e-6, 0, 1);
    double dropout = rn_keys_real(k, "dropout", 0, 0, 1);
    const char *activation = read_activation(k);
    if (k->status) return k->status;
    json_t *native = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
        " s:s, s:I, s:s, s:s, s:s, s:f, s:s, s:s, s:b, s:b,"
        " s:b, s:f, s:b, s:f, s:s, s:s, s:f, s:s, s:f}",
        "mixer", "retention", "vocab_size", (json_int_t)z->vocab, "width",
        (json_int_t)z->width, "layers", (json_int_t)z->layers, "heads",
        (json_int_t)z->heads, "kv_heads", (json_int_t)z->heads, "key_dim",
        (json_int_t)(z->width / z->heads), "value_dim",
        (json_int_t)(z->value_width / z->heads), "ffn", z->plain ? "plain" : "gated",
        "ffn_width", (json_int_t)z->ffn_width, "activation", activation, "norm",
        z->legacy ? "layer" : "rms", "norm_position", pre ? "pre" : "post", "norm_eps",
        eps, "head_norm", z->legacy ? "group" : "rms", "head_norm_weight", "none",
        "output_gate", 1, "bias", (int)z->legacy, "tied", (int)tied, "embedding_scale",
        unscaled ? 1.0 : sqrt((double)z->width), "embedding_norm", (int)embedding_norm,
        "residual_scale", deepnorm ? pow(2.0 * (double)z->layers, 0.25) : 1.0, "rotary",
        "adjacent", "row_norm", z->legacy ? "paper-parallel" : "auto", "dropout", dropout,
        "init", deepnorm ? "deepnorm" : "xavier", "init_std", 0.02);
    if (!native) return rn_fail_memory(k->err, k->path, 0);
    *out = native;
    return RN_OK;
}

/* The feed-forward without gate has a norm when subln holds, which deepnorm turns off. */
static rn_status add_feed_forward(rn_keys *k, const sizes *z, json_t *native)
{
    bool deepnorm = rn_keys_bool(k, "deepnorm", false);
    bool norm = rn_keys_bool(k, "subln", !deepnorm);
    bool rms = rn_keys_bool(k, "use_ffn_rms_norm", false);
    if (k->status) return k->status;
    bool failed =
        json_object_set_new(native, "ffn_norm", json_boolean(z->plain && norm)) != 0;
    if (z->plain && !z->legacy) {
        const char *kind = rms ? "rms" : "layer";
        failed |= json_object_set_new(native, "ffn_bias", json_string("all")) != 0;
        failed |=
            norm && json_object_set_new(native, "ffn_norm_kind", json_string(kind)) != 0;
    }
    return failed ? rn_fail_memory(k->err, k->path, 0) : RN_OK;
}

/* syncdoth's own default is that id 0 pads; null is none. */
static rn_status add_pad_token(const rn_source *s, const sizes *z, json_t *native,
                               rn_error *err)
{
    bool given = json_object_get(s->config, "pad_token_id") != NULL;
    if (given || z->legacy || !rn_dialect_syncdoth.detect(s))
        return rn_dialect_pad_token(s, z->vocab, native, err);
    if (json_object_set_new(native, "pad_token", json_integer(0)))
        return rn_fail_memory(err, s->path, 0);
    return RN_OK;
}

rn_status rn_torchscale_config(const rn_source *s, json_t **native, rn_error *err)
{
    rn_keys k = {s->config, s->path, err, RN_OK};
    sizes z = {.legacy = rn_torchscale_is_legacy(s), .plain = rn_torchscale_is_plain(s)};
    json_t *made = NULL;
    rn_status st = refuse_others(&k);
    if (!st) st = refuse_lm_decay(&k, s);
    if (!st) st = read_sizes(&k, &z);
    if (!st) st = translate(&k, &z, &made);
    if (!st) st = add_feed_forward(&k, &z, made);
    if (!st) st = add_pad_token(s, &z, made, err);
    if (!st) st = add_buffers(made, s, &z, err);
    if (st) {
        json_decref(made);
        return st;
    }
    *native = made;
    return RN_OK;
}

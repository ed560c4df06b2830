/*
 * torchscale's RetNet as it has been since 28 September 2023: RMS norms, no biases, a
 * gated feed-forward. The config's keys are those of its RetNetConfig, with its defaults
 * for all but the sizes; tensor names may carry fairseq's prefix "decoder.". Mixture of
 * experts, multiway and xPos scaling are refused.
 */
#include "formats/dialect.h"
#include "formats/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct stem {
    const char *native, *stored;
} stem;

static const stem model_stems[] = {
    {"embedding", "embed_tokens"},
    {"embedding_norm", "layernorm_embedding"},
    {"norm", "layer_norm"},
    {"output", "output_projection"},
};

/* fc1 is the activated half of the gated feed-forward, torchscale's "gate" the linear
 * one. */
static const stem layer_stems[] = {
    {"mixer.q", "retention.q_proj"},
    {"mixer.k", "retention.k_proj"},
    {"mixer.v", "retention.v_proj"},
    {"mixer.g", "retention.g_proj"},
    {"mixer.o", "retention.out_proj"},
    {"mixer_norm", "retention_layer_norm"},
    {"ffn_norm", "final_layer_norm"},
    {"ffn.gate", "ffn.fc1"},
    {"ffn.up", "ffn.gate"},
    {"ffn.down", "ffn.fc2"},
};

static const char *const known_keys[] = {
    "activation_dropout",
    "activation_fn",
    "architectures",
    "bos_token_id",
    "checkpoint_activations",
    "chunkwise_recurrent",
    "ddp_rank",
    "decoder_embed_dim",
    "decoder_ffn_embed_dim",
    "decoder_layers",
    "decoder_normalize_before",
    "decoder_retention_heads",
    "decoder_value_embed_dim",
    "deepnorm",
    "drop_path_rate",
    "dropout",
    "dtype",
    "eos_token_id",
    "fsdp",
    "initializer_range",
    "layernorm_embedding",
    "layernorm_eps",
    "max_rel_pos",
    "max_target_positions",
    "moe_eval_capacity_token_fraction",
    "moe_expert_count",
    "moe_freq",
    "moe_gating_use_fp32",
    "moe_normalize_gate_prob_before_dropping",
    "moe_second_expert_policy",
    "moe_top1_expert",
    "multiway",
    "no_output_layer",
    "no_scale_embedding",
    "pad_token_id",
    "recurrent_chunk_size",
    "rel_pos_buckets",
    "share_decoder_input_output_embed",
    "subln",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_glu",
    "use_lm_decay",
    "use_xmoe",
    "vocab_size",
    "xpos_rel_pos",
    "xpos_scale_base",
    "z_loss_coeff",
    NULL,
};

/* The sizes, as the config has them. */
typedef struct sizes {
    uint32_t vocab, width, value_width, heads, ffn_width, layers;
} sizes;

static const char *prefix_of(const rn_source *s)
{
    return rn_source_has(s, "decoder.embed_tokens.weight") ? "decoder." : "";
}

static const char *find_stem(const stem *stems, size_t count, const char *native,
                             size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(stems[i].native) == length && !memcmp(stems[i].native, native, length))
            return stems[i].stored;
    return NULL;
}

/* Native names are STEM.LEAF or layers.I.STEM.LEAF, the leaf being weight or bias. */
static bool tensor_name(const rn_source *s, const char *native, char *out, size_t size)
{
    const char *leaf = strrchr(native, '.'), *begin = native, *stored;
    if (!leaf) return false;
    if (!strncmp(native, "layers.", 7)) {
        begin = native + 7 + strspn(native + 7, "0123456789");
        if (begin == native + 7 || *begin++ != '.' || begin > leaf) return false;
        stored =
            find_stem(layer_stems, COUNT(layer_stems), begin, (size_t)(leaf - begin));
    } else {
        stored =
            find_stem(model_stems, COUNT(model_stems), begin, (size_t)(leaf - begin));
    }
    if (!stored) return false;
    int length = snprintf(out, size, "%s%.*s%s%s", prefix_of(s), (int)(begin - native),
                          native, stored, leaf);
    return length >= 0 && (size_t)length < size;
}

static const rn_tensor_view *find_buffer(const rn_source *s, const char *which)
{
    if (!s->weights) return NULL;
    char full[64];
    snprintf(full, sizeof full, "%sretnet_rel_pos.%s", prefix_of(s), which);
    size_t at = rn_weights_find(s->weights, full);
    return at == RN_NO_WEIGHT ? NULL : rn_weights_at(s->weights, at);
}

static bool is_buffer(const rn_source *s, const char *original)
{
    const char *prefix = prefix_of(s);
    size_t length = strlen(prefix);
    if (strncmp(original, prefix, length) != 0) return false;
    return !strcmp(original + length, "retnet_rel_pos.angle") ||
           !strcmp(original + length, "retnet_rel_pos.decay");
}

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
        return st;
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
    const rn_tensor_view *t = find_buffer(s, "decay");
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
    const rn_tensor_view *t = find_buffer(s, "angle");
    if (st || !t) return st;
    json_t *angles = add_list(native, "angles");
    if (!angles) return rn_fail_memory(err, s->path, (size_t)t->bytes);
    return fill_angles(angles, s, t, z->width / z->heads, err);
}

static rn_status read_sizes(rn_keys *k, sizes *z)
{
    const uint32_t any = INT32_MAX;
    z->vocab = rn_keys_size(k, "vocab_size", any);
    z->width = rn_keys_size(k, "decoder_embed_dim", any);
    z->value_width = rn_keys_size(k, "decoder_value_embed_dim", any);
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
    static const struct {
        const char *key;
        bool needed;
    } rows[] = {
        {"multiway", false},
        {"xpos_rel_pos", false},
        {"no_output_layer", false},
        {"use_glu", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool value = rn_keys_bool(k, rows[i].key, rows[i].needed);
        if (k->status) return k->status;
        if (value != rows[i].needed)
            return rn_fail(k->err, RN_EUNSUPPORTED,
                           "%s: %s is %s, which is not supported", k->path, rows[i].key,
                           value ? "true" : "false");
    }
    if (rn_keys_real(k, "moe_expert_count", 0, 0, INT32_MAX) == 0) return k->status;
    return rn_fail(k->err, RN_EUNSUPPORTED,
                   "%s: moe_expert_count is not 0: mixtures of experts are not supported",
                   k->path);
}

/* Decays by another rule, of which only the stored result can be taken. */
static rn_status refuse_lm_decay(rn_keys *k, const rn_source *s)
{
    bool other = rn_keys_bool(k, "use_lm_decay", false);
    if (k->status || !other || find_buffer(s, "decay")) return k->status;
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

/* All native keys that follow from config keys alone. */
static rn_status translate(rn_keys *k, const sizes *z, json_t **out)
{
    bool deepnorm = rn_keys_bool(k, "deepnorm", false);
    bool pre = rn_keys_bool(k, "decoder_normalize_before", true);
    bool unscaled = rn_keys_bool(k, "no_scale_embedding", true);
    bool tied = rn_keys_bool(k, "share_decoder_input_output_embed", false);
    tied |= rn_keys_bool(k, "tie_word_embeddings", false);
    bool embedding_norm = rn_keys_bool(k, "layernorm_embedding", false);
    double eps = rn_keys_real(k, "layernorm_eps", 1e-6, 0, 1);
    double dropout = rn_keys_real(k, "dropout", 0, 0, 1);
    const char *activation = read_activation(k);
    if (k->status) return k->status;
    json_t *native = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
        " s:s, s:I, s:b, s:s, s:s, s:s, s:f, s:s, s:s, s:b, s:b,"
        " s:b, s:f, s:b, s:f, s:s, s:s, s:f, s:s, s:f}",
        "mixer", "retention", "vocab_size", (json_int_t)z->vocab, "width",
        (json_int_t)z->width, "layers", (json_int_t)z->layers, "heads",
        (json_int_t)z->heads, "kv_heads", (json_int_t)z->heads, "key_dim",
        (json_int_t)(z->width / z->heads), "value_dim",
        (json_int_t)(z->value_width / z->heads), "ffn", "gated", "ffn_width",
        (json_int_t)z->ffn_width, "ffn_norm", 0, "activation", activation, "norm", "rms",
        "norm_position", pre ? "pre" : "post", "norm_eps", eps, "head_norm", "rms",
        "head_norm_weight", "none", "output_gate", 1, "bias", 0, "tied", (int)tied,
        "embedding_scale", unscaled ? 1.0 : sqrt((double)z->width), "embedding_norm",
        (int)embedding_norm, "residual_scale",
        deepnorm ? pow(2.0 * (double)z->layers, 0.25) : 1.0, "rotary", "adjacent",
        "row_norm", "auto", "dropout", dropout, "init", deepnorm ? "deepnorm" : "xavier",
        "init_std", 0.02);
    if (!native) return rn_fail_memory(k->err, k->path, 0);
    *out = native;
    return RN_OK;
}

static rn_status config(const rn_source *s, json_t **native, rn_error *err)
{
    rn_keys k = {s->config, s->path, err, RN_OK};
    sizes z;
    json_t *made = NULL;
    rn_status st = refuse_others(&k);
    if (!st) st = refuse_lm_decay(&k, s);
    if (!st) st = read_sizes(&k, &z);
    if (!st) st = translate(&k, &z, &made);
    if (!st) st = add_buffers(made, s, &z, err);
    if (st) {
        json_decref(made);
        return st;
    }
    *native = made;
    return RN_OK;
}

static bool detect(const rn_source *s)
{
    return json_object_get(s->config, "decoder_embed_dim") != NULL;
}

const rn_dialect rn_dialect_torchscale = {
    .name = "torchscale",
    .detect = detect,
    .config = config,
    .tensor_name = tensor_name,
    .is_buffer = is_buffer,
    .keys = known_keys,
};

/*
 * torchscale's RetNet and syncdoth's copy of it: names and recognition. Three dialects:
 * torchscale as it has been since 28 September 2023 (RMS norms, no biases, a gated
 * feed-forward), syncdoth's with the output projection called lm_head and a choice of
 * feed-forwards, and the layout that both had before.
 */
#include "formats/dialect_torchscale.h"

#include <stdio.h>
#include <string.h>

static const rn_stem model_stems[] = {
    {"embedding", "embed_tokens"},
    {"embedding_norm", "layernorm_embedding"},
    {"norm", "layer_norm"},
    {"output", "output_projection"},
    {NULL, NULL},
};

#define MIXER_STEMS                                                                      \
    {"mixer.q", "retention.q_proj"}, {"mixer.k", "retention.k_proj"},                    \
        {"mixer.v", "retention.v_proj"}, {"mixer.g", "retention.g_proj"},                \
        {"mixer.o", "retention.out_proj"}, {"mixer_norm", "retention_layer_norm"},       \
        {"ffn_norm", "final_layer_norm"},                                                \
    {                                                                                    \
        "ffn.down", "ffn.fc2"                                                            \
    }

/* fc1 is the activated half of the gated feed-forward, torchscale's "gate" the linear
   one. */
static const rn_stem gated_stems[] = {
    MIXER_STEMS, {"ffn.gate", "ffn.fc1"}, {"ffn.up", "ffn.gate"}, {NULL, NULL}};
static const rn_stem plain_stems[] = {
    MIXER_STEMS, {"ffn.up", "ffn.fc1"}, {"ffn.norm", "ffn.ffn_layernorm"}, {NULL, NULL}};

static const char *const known_keys[] = {
    "_name_or_path",
    "activation_dropout",
    "activation_fn",
    "architectures",
    "auto_map",
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
    "disable_fused_ops",
    "dropout",
    "dtype",
    "eos_token_id",
    "forward_impl",
    "fsdp",
    "initializer_range",
    "is_decoder",
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
    "model_type",
    "multiway",
    "no_output_layer",
    "no_scale_embedding",
    "output_retentions",
    "pad_token_id",
    "recurrent_chunk_size",
    "rel_pos_buckets",
    "share_decoder_input_output_embed",
    "subln",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_ffn_rms_norm",
    "use_glu",
    "use_lm_decay",
    "use_xmoe",
    "value_factor",
    "vocab_size",
    "xpos_rel_pos",
    "xpos_scale_base",
    "z_loss_coeff",
    NULL,
};

#define FFN_SHAPES                                                                       \
    {".ffn.gate.", {"decoder_ffn_embed_dim", "decoder_embed_dim"}},                      \
        {".ffn.up.", {"decoder_ffn_embed_dim", "decoder_embed_dim"}},                    \
        {".ffn.down.weight", {"decoder_embed_dim", "decoder_ffn_embed_dim"}},            \
        {".ffn.norm.", {"decoder_ffn_embed_dim", NULL}},                                 \
        {"embedding.weight", {"vocab_size", "decoder_embed_dim"}},                       \
        {"output.weight", {"vocab_size", "decoder_embed_dim"}},                          \
        {"", {"decoder_embed_dim", "decoder_embed_dim"}},                                \
    {                                                                                    \
        NULL,                                                                            \
        {                                                                                \
            NULL, NULL                                                                   \
        }                                                                                \
    }

static const rn_shape_keys shape_keys[] = {
    {".mixer.v.", {"decoder_value_embed_dim", "decoder_embed_dim"}},
    {".mixer.g.", {"decoder_value_embed_dim", "decoder_embed_dim"}},
    {".mixer.o.weight", {"decoder_embed_dim", "decoder_value_embed_dim"}},
    FFN_SHAPES};

#define LEGACY_VALUES "value_factor * decoder_embed_dim"
static const rn_shape_keys legacy_shape_keys[] = {
    {".mixer.v.", {LEGACY_VALUES, "decoder_embed_dim"}},
    {".mixer.g.", {LEGACY_VALUES, "decoder_embed_dim"}},
    {".mixer.o.weight", {"decoder_embed_dim", LEGACY_VALUES}},
    FFN_SHAPES};

static const rn_presence_key presence_keys[] = {
    {"output_projection.", "share_decoder_input_output_embed"},
    {"lm_head.", "tie_word_embeddings"},
    {"layernorm_embedding.", "layernorm_embedding"},
    {"ffn_layernorm.", "subln"},
    {".ffn.", "use_glu"},
    {"retention_layer_norm.", NULL},
    {"final_layer_norm.", NULL},
    {"layer_norm.", "decoder_normalize_before"},
    {NULL, NULL},
};

/* One tensor of the first layer tells the prefix, in files without an embedding too. */
const char *rn_torchscale_prefix(const rn_source *s)
{
    static const char *const prefixes[] = {"decoder.", "model."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%sembed_tokens.weight", prefixes[i]);
        if (rn_source_has(s, name)) return prefixes[i];
        snprintf(name, sizeof name, "%slayers.0.retention.q_proj.weight", prefixes[i]);
        if (rn_source_has(s, name)) return prefixes[i];
    }
    return "";
}

bool rn_torchscale_is_legacy(const rn_source *s)
{
    if (!s->weights) return !json_object_get(s->config, "decoder_value_embed_dim");
    char name[64];
    snprintf(name, sizeof name, "%slayers.0.retention.q_proj.bias",
             rn_torchscale_prefix(s));
    return rn_source_has(s, name);
}

bool rn_torchscale_is_plain(const rn_source *s)
{
    return rn_torchscale_is_legacy(s) ||
           json_is_false(json_object_get(s->config, "use_glu"));
}

static bool tensor(const rn_source *s, const char *native, rn_stored *out)
{
    int length;
    const char *leaf;
    const rn_stem *layer = rn_torchscale_is_plain(s) ? plain_stems : gated_stems;
    const rn_stem *stem = rn_stem_find(model_stems, layer, native, &length, &leaf);
    *out = (rn_stored){.parts = 1};
    if (!stem) return false;
    int n = snprintf(out->name, sizeof out->name, "%s%.*s%s%s", rn_torchscale_prefix(s),
                     length, native, stem->stored, leaf);
    if (!strcmp(stem->native, "output") && !rn_source_has(s, out->name) &&
        (rn_source_has(s, "lm_head.weight") || rn_dialect_syncdoth.detect(s)))
        n = snprintf(out->name, sizeof out->name, "lm_head%s", leaf);
    return n >= 0 && (size_t)n < sizeof out->name;
}

const rn_tensor_view *rn_torchscale_buffer(const rn_source *s, const char *which)
{
    if (!s->weights) return NULL;
    char full[64];
    snprintf(full, sizeof full, "%sretnet_rel_pos.%s", rn_torchscale_prefix(s), which);
    size_t at = rn_weights_find(s->weights, full);
    return at == RN_NO_WEIGHT ? NULL : rn_weights_at(s->weights, at);
}

static bool is_buffer(const rn_source *s, const char *original)
{
    const char *prefix = rn_torchscale_prefix(s);
    size_t length = strlen(prefix);
    if (strncmp(original, prefix, length) != 0) return false;
    return !strcmp(original + length, "retnet_rel_pos.angle") ||
           !strcmp(original + length, "retnet_rel_pos.decay") ||
           !strcmp(original + length, "version");
}

static bool has_key(const rn_source *s, const char *key)
{
    return json_object_get(s->config, key) != NULL;
}

static bool detect(const rn_source *s)
{
    return has_key(s, "decoder_embed_dim");
}

static bool detect_syncdoth(const rn_source *s)
{
    return detect(s) &&
           (has_key(s, "model_type") || has_key(s, "architectures") ||
            has_key(s, "forward_impl") || !strcmp(rn_torchscale_prefix(s), "model."));
}

static bool detect_legacy(const rn_source *s)
{
    return detect(s) && rn_torchscale_is_legacy(s);
}

#define DIALECT(called, detects, shapes)                                                 \
    {                                                                                    \
        .name = called, .detect = detects, .config = rn_torchscale_config,               \
        .tensor = tensor, .is_buffer = is_buffer, .keys = known_keys,                    \
        .shape_keys = shapes, .presence_keys = presence_keys,                            \
        .layers_key = "decoder_layers",                                                  \
    }

const rn_dialect rn_dialect_torchscale = DIALECT("torchscale", detect, shape_keys);
const rn_dialect rn_dialect_syncdoth = DIALECT("syncdoth", detect_syncdoth, shape_keys);
const rn_dialect rn_dialect_legacy =
    DIALECT("torchscale-2023", detect_legacy, legacy_shape_keys);

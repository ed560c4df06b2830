/*
 * flash-linear-attention's RetNet: rotation of halves, no row normaliser, a head norm
 * with a weight shared by the heads. Before 9 February 2025 mlp.gate_proj held gate above
 * up. Hybrid attention layers and feature maps are other models and refused;
 * use_short_conv has no effect in published code.
 */
#include "formats/dialect.h"
#include "formats/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const rn_stem model_stems[] = {
    {"embedding", "model.embeddings"},
    {"norm", "model.norm"},
    {"output", "lm_head"},
    {NULL, NULL},
};

static const rn_stem layer_stems[] = {
    {"mixer_norm", "attn_norm"},
    {"mixer.q", "attn.q_proj"},
    {"mixer.k", "attn.k_proj"},
    {"mixer.v", "attn.v_proj"},
    {"mixer.g", "attn.g_proj"},
    {"mixer.o", "attn.o_proj"},
    {"mixer.head_norm", "attn.g_norm_swish_gate"},
    {"ffn_norm", "mlp_norm"},
    {"ffn.gate", "mlp.gate_proj"},
    {"ffn.up", "mlp.up_proj"},
    {"ffn.down", "mlp.down_proj"},
    {NULL, NULL},
};

static const char *const known_keys[] = {
    "_name_or_path",
    "architectures",
    "attn",
    "attn_mode",
    "attnres_block_size",
    "auto_map",
    "bos_token_id",
    "conv_size",
    "dtype",
    "elementwise_affine",
    "eos_token_id",
    "expand_k",
    "expand_v",
    "feature_map",
    "fuse_cross_entropy",
    "fuse_linear_cross_entropy",
    "fuse_norm",
    "fuse_swiglu",
    "hidden_act",
    "hidden_ratio",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "model_type",
    "norm_eps",
    "num_heads",
    "num_hidden_layers",
    "num_kv_heads",
    "pad_token_id",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_l2warp",
    "use_output_gate",
    "use_short_conv",
    "vocab_size",
    NULL,
};

static const rn_shape_keys shape_keys[] = {
    {"embedding.", {"vocab_size", "hidden_size"}},
    {"output.", {"vocab_size", "hidden_size"}},
    {".mixer.q.", {"expand_k", "hidden_size"}},
    {".mixer.k.", {"num_kv_heads", "hidden_size"}},
    {".mixer.v.", {"num_kv_heads", "hidden_size"}},
    {".mixer.g.", {"expand_v", "hidden_size"}},
    {".mixer.o.", {"hidden_size", "expand_v"}},
    {".mixer.head_norm.", {"num_heads", NULL}},
    {".ffn.gate.", {"intermediate_size", "hidden_size"}},
    {".ffn.up.", {"intermediate_size", "hidden_size"}},
    {".ffn.down.", {"hidden_size", "intermediate_size"}},
    {"", {"hidden_size", "hidden_size"}},
    {NULL, {NULL, NULL}},
};

static const rn_presence_key presence_keys[] = {
    {"lm_head.", "tie_word_embeddings"},
    {".g_norm", "elementwise_affine"},
    {".g_proj.", "use_output_gate"},
    {NULL, NULL},
};

typedef struct sizes {
    uint32_t vocab, width, layers, heads, kv_heads, ffn_width;
    uint32_t key_dim, value_dim; /* of a head */
} sizes;

/* "model.layers.I.STEM.LEAF" in out->name. */
static bool name_layer(rn_stored *out, const char *native, int length, const char *stem,
                       const char *leaf)
{
    int n = snprintf(out->name, sizeof out->name, "%s%.*s%s%s", length ? "model." : "",
                     length, native, stem, leaf);
    return n >= 0 && (size_t)n < sizeof out->name;
}

/* Head norm and gate are one kernel under these switches, and its weight is called so. */
static bool has_fused_norm(const rn_source *s)
{
    const char *act = json_string_value(json_object_get(s->config, "hidden_act"));
    return !json_is_false(json_object_get(s->config, "fuse_norm")) &&
           !json_is_false(json_object_get(s->config, "use_output_gate")) &&
           (!act || !strcmp(act, "swish"));
}

static bool tensor(const rn_source *s, const char *native, rn_stored *out)
{
    int length;
    const char *leaf;
    const rn_stem *stem = rn_stem_find(model_stems, layer_stems, native, &length, &leaf);
    *out = (rn_stored){.parts = 1};
    bool head_norm = stem && !strcmp(stem->native, "mixer.head_norm");
    const char *stored = stem ? stem->stored : NULL;
    if (head_norm && !has_fused_norm(s)) stored = "attn.g_norm";
    if (!stem || !name_layer(out, native, length, stored, leaf)) return false;
    if (!s->weights || rn_source_has(s, out->name)) {
        if (strcmp(stem->native, "ffn.gate") != 0) return true;
        rn_stored up;
        if (name_layer(&up, native, length, "mlp.up_proj", leaf) && s->weights &&
            !rn_source_has(s, up.name))
            out->parts = 2;
        return true;
    }
    rn_stored other = {.part = 1, .parts = 2};
    if (head_norm) { /* by the other name it is the same */
        const char *name = has_fused_norm(s) ? "attn.g_norm" : stem->stored;
        other = (rn_stored){.parts = 1};
        name_layer(&other, native, length, name, leaf);
    } else if (!strcmp(stem->native, "ffn.up")) {
        name_layer(&other, native, length, "mlp.gate_proj", leaf);
    } else {
        return true;
    }
    if (rn_source_has(s, other.name)) *out = other;
    return true;
}

/* Tables that older versions stored with each layer, and that follow from its width. */
static bool is_buffer(const rn_source *s, const char *original)
{
    (void)s;
    static const char ending[] = ".attn.rotary.inv_freq";
    size_t n = strlen(original), e = sizeof ending - 1;
    return n > e && !strcmp(original + n - e, ending);
}

static uint32_t read_or(rn_keys *k, const char *key, uint32_t fallback, uint32_t high)
{
    return rn_keys_has(k, key) ? rn_keys_size(k, key, high) : fallback;
}

/* The width of a head's keys or values: int(hidden_size * expand) / num_heads. */
static uint32_t read_head_width(rn_keys *k, const sizes *z, const char *key,
                                double fallback)
{
    double expand = rn_keys_real(k, key, fallback, 0, 65536);
    double width = floor((double)z->width * expand);
    if (k->status) return 1;
    if (width < 1 || width > INT32_MAX || fmod(width, (double)z->heads) != 0) {
        k->status = rn_fail(k->err, RN_EFORMAT,
                            "%s: %s %g of hidden_size %" PRIu32
                            " is a width of %.0f, not a multiple of num_heads %" PRIu32,
                            k->path, key, expand, z->width, width, z->heads);
        return 1;
    }
    return (uint32_t)width / z->heads;
}

/* int(D ratio 2/3), rounded up to a multiple of 256, unless it is given; a ratio of null
   is 4. */
static uint32_t read_ffn_width(rn_keys *k, const sizes *z)
{
    if (rn_keys_has(k, "intermediate_size"))
        return rn_keys_size(k, "intermediate_size", INT32_MAX);
    bool null = json_is_null(json_object_get(k->object, "hidden_ratio"));
    double ratio = rn_keys_real(k, "hidden_ratio", null ? 4 : 2, 0, 65536);
    double width = ceil(floor((double)z->width * ratio * 2 / 3) / 256) * 256;
    if (k->status) return 1;
    if (width >= 1 && width <= INT32_MAX) return (uint32_t)width;
    k->status = rn_fail(k->err, RN_EFORMAT,
                        "%s: hidden_ratio %g of hidden_size %" PRIu32
                        " is a width of %.0f, outside 1..%d",
                        k->path, ratio, z->width, width, INT32_MAX);
    return 1;
}

static rn_status read_sizes(rn_keys *k, sizes *z)
{
    const uint32_t any = INT32_MAX;
    z->vocab = read_or(k, "vocab_size", 32000, any);
    z->width = rn_keys_size(k, "hidden_size", any);
    z->layers = read_or(k, "num_hidden_layers", 24, RN_DIALECT_MAX_LAYERS);
    z->heads = read_or(k, "num_heads", 8, RN_DIALECT_MAX_HEADS);
    z->kv_heads = read_or(k, "num_kv_heads", z->heads, RN_DIALECT_MAX_HEADS);
    if (k->status) return k->status;
    if (z->heads % z->kv_heads)
        return rn_fail(k->err, RN_EFORMAT,
                       "%s: num_kv_heads %" PRIu32 " does not divide num_heads %" PRIu32,
                       k->path, z->kv_heads, z->heads);
    z->key_dim = read_head_width(k, z, "expand_k", 1);
    z->value_dim = read_head_width(k, z, "expand_v", 2);
    z->ffn_width = read_ffn_width(k, z);
    return k->status;
}

/* What would make it another model than the one that is read. */
static rn_status refuse_others(rn_keys *k)
{
    static const struct {
        const char *key, *what;
    } rows[] = {
        {"attn", "hybrid models with attention layers are not supported"},
        {"attnres_block_size", "attention over layers' outputs is not supported"},
        {"feature_map", "feature maps of queries and keys are not supported"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rn_keys_has(k, rows[i].key))
            return rn_fail(k->err, RN_EUNSUPPORTED, "%s: %s is not null: %s", k->path,
                           rows[i].key, rows[i].what);
    const char *act = rn_keys_text(k, "hidden_act", "swish");
    if (k->status || !strcmp(act, "swish") || !strcmp(act, "silu")) return k->status;
    return rn_fail(k->err, RN_EUNSUPPORTED,
                   "%s: hidden_act %.40s is not supported (swish, silu)", k->path, act);
}

/* A switch whose null means no: Python asks for its truth. */
static bool read_switch(rn_keys *k, const char *key)
{
    return rn_keys_bool(k, key, !json_is_null(json_object_get(k->object, key)));
}

static rn_status translate(rn_keys *k, const sizes *z, json_t **out)
{
    bool gate = read_switch(k, "use_output_gate");
    bool affine = read_switch(k, "elementwise_affine");
    bool tied = rn_keys_bool(k, "tie_word_embeddings", false);
    double eps = rn_keys_real(k, "norm_eps", 1e-6, 0, 1);
    double std = rn_keys_real(k, "initializer_range", 0.02, 0, 1e3);
    if (k->status) return k->status;
    json_t *native = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
        " s:s, s:I, s:b, s:s, s:s, s:s, s:f, s:s, s:s, s:b, s:b,"
        " s:b, s:f, s:b, s:f, s:s, s:s, s:s, s:f, s:s, s:f}",
        "mixer", "retention", "vocab_size", (json_int_t)z->vocab, "width",
        (json_int_t)z->width, "layers", (json_int_t)z->layers, "heads",
        (json_int_t)z->heads, "kv_heads", (json_int_t)z->kv_heads, "key_dim",
        (json_int_t)z->key_dim, "value_dim", (json_int_t)z->value_dim, "ffn", "gated",
        "ffn_width", (json_int_t)z->ffn_width, "ffn_norm", 0, "activation", "swish",
        "norm", "rms", "norm_position", "pre", "norm_eps", eps, "head_norm", "rms",
        "head_norm_weight", affine ? "shared" : "none", "output_gate", (int)gate, "bias",
        0, "tied", (int)tied, "embedding_scale", 1.0, "embedding_norm", 0,
        "residual_scale", 1.0, "rotary", "halves", "row_norm", "none", "decays", "powers",
        "dropout", 0.0, "init", "normal", "init_std", std);
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
    if (!st) st = read_sizes(&k, &z);
    if (!st) st = translate(&k, &z, &made);
    if (!st) st = rn_dialect_pad_token(s, z.vocab, made, err);
    if (st) {
        json_decref(made);
        return st;
    }
    *native = made;
    return RN_OK;
}

static bool detect(const rn_source *s)
{
    const char *type = json_string_value(json_object_get(s->config, "model_type"));
    if (json_object_get(s->config, "decoder_embed_dim")) return false;
    return json_object_get(s->config, "hidden_size") &&
           (json_object_get(s->config, "expand_k") || (type && !strcmp(type, "retnet")));
}

const rn_dialect rn_dialect_fla = {
    .name = "fla",
    .detect = detect,
    .config = config,
    .tensor = tensor,
    .is_buffer = is_buffer,
    .keys = known_keys,
    .shape_keys = shape_keys,
    .presence_keys = presence_keys,
    .layers_key = "num_hidden_layers",
};

/*
 * A GGUF file as a model. Its config is the object of rn_gguf_config: standard keys, and
 * native ones under retnet.config. What a file with the standard keys alone leaves open
 * is as in flash-linear-attention's RetNet, or as its tensors say. Keys that say the same
 * thing twice must agree.
 */
#include "formats/dialect.h"
#include "formats/gguf_model.h"
#include "formats/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BASE     10000.0
#define MAX_BASE 1e12

static const char *const known_keys[] = {
    "general.architecture",
    "retnet.context_length",
    "retnet.vocab_size",
    "retnet.embedding_length",
    "retnet.block_count",
    "retnet.feed_forward_length",
    "retnet.attention.head_count",
    "retnet.attention.head_count_kv",
    "retnet.attention.key_length",
    "retnet.attention.value_length",
    RN_GGUF_NATIVE,
    RN_GGUF_DECAYS,
    RN_GGUF_ROPE_DIMS,
    RN_GGUF_ROPE_BASE,
    RN_GGUF_RMS_EPS,
    RN_GGUF_LAYER_EPS,
    RN_GGUF_HEAD_EPS,
    NULL,
};

#define ATTENTION "retnet.attention."
#define WIDTH     "retnet.embedding_length"
#define FFN_WIDTH "retnet.feed_forward_length"
static const rn_shape_keys shape_keys[] = {
    {"embedding.weight", {"retnet.vocab_size", WIDTH}},
    {"output.weight", {"retnet.vocab_size", WIDTH}},
    {".mixer.q.", {ATTENTION "key_length", WIDTH}},
    {".mixer.k.", {ATTENTION "key_length", WIDTH}},
    {".mixer.v.", {ATTENTION "value_length", WIDTH}},
    {".mixer.g.", {ATTENTION "value_length", WIDTH}},
    {".mixer.o.", {WIDTH, ATTENTION "value_length"}},
    {".mixer.head_norm.", {ATTENTION "value_length", ATTENTION "value_length"}},
    {".ffn.gate.", {FFN_WIDTH, WIDTH}},
    {".ffn.up.", {FFN_WIDTH, WIDTH}},
    {".ffn.down.", {WIDTH, FFN_WIDTH}},
    {".ffn.norm.", {FFN_WIDTH, FFN_WIDTH}},
    {"", {WIDTH, WIDTH}},
    {NULL, {NULL, NULL}},
};

static const rn_presence_key presence_keys[] = {
    {".attn_output.bias", RN_GGUF_NATIVE "bias"},
    {".attn_output.", NULL},
    {"output.", RN_GGUF_NATIVE "tied"},
    {"token_embd_norm.", RN_GGUF_NATIVE "embedding_norm"},
    {".ffn_sub_norm.", RN_GGUF_NATIVE "ffn_norm"},
    {".attn_sub_norm.", RN_GGUF_NATIVE "head_norm_weight"},
    {".attn_g", RN_GGUF_NATIVE "output_gate"},
    {".ffn_gate.", RN_GGUF_NATIVE "ffn"},
    {"attn_norm.", NULL},
    {"ffn_norm.", NULL},
    {"output_norm.", RN_GGUF_NATIVE "norm_position"},
    {".bias", RN_GGUF_NATIVE "bias"},
    {NULL, NULL},
};

typedef struct reading {
    const rn_source *s;
    json_t *native;
    rn_keys keys; /* over the standard keys */
} reading;

static const char *text_of(const reading *r, const char *name)
{
    const char *text = json_string_value(json_object_get(r->native, name));
    return text ? text : "";
}

/* Whether the native key is there already. */
static bool has(const reading *r, const char *name)
{
    return json_object_get(r->native, name) != NULL;
}

static rn_status set(reading *r, const char *name, json_t *value)
{
    if (!json_object_set_new(r->native, name, value)) return RN_OK;
    return rn_fail_memory(r->keys.err, r->s->path, strlen(name));
}

static rn_status contradict(const reading *r, const char *key, double value,
                            const char *other, double than)
{
    return rn_fail(r->keys.err, RN_EFORMAT, "%s: %s is %.17g, but %s is %.17g",
                   r->s->path, key, value, other, than);
}

/* ---- sizes ---- */

static rn_status read_size(reading *r, const rn_gguf_size *z)
{
    char own[96];
    if (!rn_keys_has(&r->keys, z->key)) return RN_OK;
    uint32_t n = rn_keys_size(&r->keys, z->key, INT32_MAX);
    if (r->keys.status) return r->keys.status;
    const json_t *old = json_object_get(r->native, z->native);
    if (!old) return set(r, z->native, json_integer(n));
    if (json_is_integer(old) && json_integer_value(old) == n) return RN_OK;
    snprintf(own, sizeof own, "%s%s", RN_GGUF_NATIVE, z->native);
    return contradict(r, z->key, n, own, json_number_value(old));
}

static const rn_tensor_view *find_tensor(const reading *r, const char *name)
{
    size_t at = r->s->weights ? rn_weights_find(r->s->weights, name) : RN_NO_WEIGHT;
    return at == RN_NO_WEIGHT ? NULL : rn_weights_at(r->s->weights, at);
}

static rn_status read_sizes(reading *r)
{
    rn_status st = RN_OK;
    for (const rn_gguf_size *z = rn_gguf_sizes; z->key && !st; z++) st = read_size(r, z);
    const rn_tensor_view *t = find_tensor(r, "token_embd.weight");
    if (!st && !has(r, "vocab_size") && t && t->dims == 2 && t->shape[0] <= INT32_MAX)
        st = set(r, "vocab_size", json_integer((json_int_t)t->shape[0]));
    for (const rn_gguf_size *z = rn_gguf_sizes; z->key && !st; z++) {
        bool needed = !strcmp(z->native, "width") || !strcmp(z->native, "layers") ||
                      !strcmp(z->native, "heads") || !strcmp(z->native, "vocab_size");
        if (needed && !has(r, z->native))
            st =
                rn_fail(r->keys.err, RN_EFORMAT, "%s: %s is missing", r->s->path, z->key);
    }
    return st;
}

/* ---- norms ---- */

/* The three keys mean the model's one eps, in float32. */
static rn_status read_eps(reading *r)
{
    static const char *const keys[] = {RN_GGUF_RMS_EPS, RN_GGUF_LAYER_EPS,
                                       RN_GGUF_HEAD_EPS};
    const char *from = RN_GGUF_NATIVE "norm_eps";
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!rn_keys_has(&r->keys, keys[i])) continue;
        double eps = rn_gguf_widen(rn_keys_real(&r->keys, keys[i], 0, 0, 1));
        if (r->keys.status) return r->keys.status;
        const json_t *old = json_object_get(r->native, "norm_eps");
        if (old && (float)json_number_value(old) != (float)eps)
            return contradict(r, keys[i], eps, from, json_number_value(old));
        rn_status st = old ? RN_OK : set(r, "norm_eps", json_real(eps));
        if (st) return st;
        if (!old) from = keys[i];
    }
    return RN_OK;
}

/* ---- decays ---- */

static rn_status check_decays(const reading *r, const json_t *list)
{
    json_int_t heads = json_integer_value(json_object_get(r->native, "heads"));
    if (!json_is_array(list))
        return rn_fail(r->keys.err, RN_EFORMAT, "%s: %s is not a list of numbers",
                       r->s->path, RN_GGUF_DECAYS);
    if (json_array_size(list) != (size_t)heads)
        return rn_fail(r->keys.err, RN_EFORMAT,
                       "%s: %s has %zu numbers, but retnet.attention.head_count is %lld",
                       r->s->path, RN_GGUF_DECAYS, json_array_size(list),
                       (long long)heads);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        double gamma = json_number_value(item);
        if (!json_is_number(item) || !(gamma > 0.0 && gamma <= 1.0))
            return rn_fail(r->keys.err, RN_EFORMAT,
                           "%s: %s: entry %zu is %g, not a decay in (0, 1]", r->s->path,
                           RN_GGUF_DECAYS, i, gamma);
    }
    return RN_OK;
}

static rn_status read_decays(reading *r)
{
    json_t *list = json_object_get(r->s->config, RN_GGUF_DECAYS);
    if (!list) return RN_OK;
    rn_status st = check_decays(r, list);
    if (st) return st;
    const json_t *old = json_object_get(r->native, "decays");
    if (old && !json_equal(old, list))
        return rn_fail(r->keys.err, RN_EFORMAT, "%s: %s and %sdecays are not the same",
                       r->s->path, RN_GGUF_DECAYS, RN_GGUF_NATIVE);
    return set(r, "decays", json_incref(list));
}

/* ---- rotation ---- */

static size_t key_dim(const reading *r)
{
    json_int_t dim = json_integer_value(json_object_get(r->native, "key_dim"));
    json_int_t width = json_integer_value(json_object_get(r->native, "width"));
    json_int_t heads = json_integer_value(json_object_get(r->native, "heads"));
    if (dim == 0 && heads > 0) dim = width / heads;
    return dim > 0 ? (size_t)dim : 0;
}

/* How many components rotate: all or none. */
static rn_status read_rope_dims(reading *r)
{
    double all = (double)key_dim(r);
    double dims = rn_keys_real(&r->keys, RN_GGUF_ROPE_DIMS, all, 0, INT32_MAX);
    if (r->keys.status) return r->keys.status;
    if (!has(r, "rotary")) {
        rn_status st = set(r, "rotary", json_string(dims == 0 ? "none" : "halves"));
        if (st) return st;
    }
    bool none = !strcmp(text_of(r, "rotary"), "none");
    if (!rn_keys_has(&r->keys, RN_GGUF_ROPE_DIMS) || dims == (none ? 0 : all))
        return RN_OK;
    if (none || dims == 0)
        return rn_fail(r->keys.err, RN_EFORMAT, "%s: %s is %g, but %srotary is %s",
                       r->s->path, RN_GGUF_ROPE_DIMS, dims, RN_GGUF_NATIVE,
                       text_of(r, "rotary"));
    return rn_fail(
        r->keys.err, RN_EUNSUPPORTED,
        "%s: %s is %g, but retnet.attention.key_length is %g: heads that rotate "
        "in part are not supported",
        r->s->path, RN_GGUF_ROPE_DIMS, dims, all);
}

/* The angles of a base that is not the usual one. */
static rn_status make_angles(reading *r, double base)
{
    size_t n = key_dim(r);
    json_t *list = json_array();
    rn_status st = list ? RN_OK : rn_fail_memory(r->keys.err, r->s->path, n);
    if (n > RN_DIALECT_MAX_HEADS) n = 0; /* such a config is refused later */
    for (size_t i = 0; i < n / 2 && !st; i++) {
        double angle = rn_gguf_angle(text_of(r, "rotary"), base, n, i);
        if (json_array_append_new(list, json_real(angle)))
            st = rn_fail_memory(r->keys.err, r->s->path, n);
    }
    if (!st) return set(r, "angles", list);
    json_decref(list);
    return st;
}

static rn_status read_rope_base(reading *r)
{
    double base = rn_keys_real(&r->keys, RN_GGUF_ROPE_BASE, BASE, 1, MAX_BASE);
    if (r->keys.status) return r->keys.status;
    const char *rotary = text_of(r, "rotary");
    const json_t *angles = json_object_get(r->native, "angles");
    if (!rn_keys_has(&r->keys, RN_GGUF_ROPE_BASE) || !strcmp(rotary, "none"))
        return RN_OK;
    if (!angles) return base == BASE ? RN_OK : make_angles(r, base);
    if (rn_gguf_angles_follow(angles, rotary, base)) return RN_OK;
    return rn_fail(r->keys.err, RN_EFORMAT,
                   "%s: %s is %g, but the angles of %sangles are others", r->s->path,
                   RN_GGUF_ROPE_BASE, base, RN_GGUF_NATIVE);
}

/* ---- what is left open ---- */

static bool has_gate(const reading *r)
{
    return !r->s->weights || find_tensor(r, "blk.0.attn_gate.weight") ||
           find_tensor(r, "blk.0.attn_g.weight");
}

/* One weight a component for all heads, or one a channel, or none. */
static const char *head_weights(const reading *r)
{
    const rn_tensor_view *t = find_tensor(r, "blk.0.attn_sub_norm.weight");
    json_int_t heads = json_integer_value(json_object_get(r->native, "heads"));
    json_int_t width = json_integer_value(json_object_get(r->native, "width"));
    json_int_t dv = json_integer_value(json_object_get(r->native, "value_dim"));
    if (!r->s->weights) return "shared";
    if (!t) return "none";
    if (dv <= 0) dv = heads > 0 ? 2 * width / heads : 0;
    return dv > 0 && t->count == (uint64_t)dv ? "shared" : "channel";
}

static rn_status fill_open(reading *r)
{
    bool weights = r->s->weights != NULL;
    bool layer = rn_keys_has(&r->keys, RN_GGUF_LAYER_EPS) &&
                 !rn_keys_has(&r->keys, RN_GGUF_RMS_EPS);
    json_t *open =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:s}", "mixer",
                  "retention", "ffn", "gated", "activation", "swish", "norm",
                  layer ? "layer" : "rms", "norm_position", "pre", "head_norm", "rms",
                  "head_norm_weight", head_weights(r), "output_gate", (int)has_gate(r),
                  "bias", (int)(find_tensor(r, "blk.0.attn_q.bias") != NULL), "tied",
                  (int)(weights && !find_tensor(r, "output.weight")), "row_norm", "none");
    int failed = open ? json_object_update_missing(r->native, open) : -1;
    json_decref(open);
    return failed ? rn_fail_memory(r->keys.err, r->s->path, 0) : RN_OK;
}

/* The native keys as they are. */
static rn_status read_native(reading *r)
{
    const size_t length = strlen(RN_GGUF_NATIVE);
    rn_status st = RN_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)r->s->config, key, value)
    {
        if (!st && !strncmp(key, RN_GGUF_NATIVE, length))
            st = set(r, key + length, json_incref(value));
    }
    return st;
}

static rn_status read_config(reading *r)
{
    const char *name = rn_keys_text(&r->keys, "general.architecture", "");
    if (r->keys.status) return r->keys.status;
    if (strcmp(name, RN_GGUF_ARCHITECTURE) != 0)
        return rn_fail(r->keys.err, RN_EUNSUPPORTED,
                       "%s: general.architecture is \"%.60s\", not \"%s\"", r->s->path,
                       name, RN_GGUF_ARCHITECTURE);
    rn_status st = read_native(r);
    if (!st) st = read_sizes(r);
    if (!st) st = read_eps(r);
    if (!st) st = read_decays(r);
    if (!st) st = read_rope_dims(r);
    if (!st) st = read_rope_base(r);
    return st ? st : fill_open(r);
}

static rn_status config(const rn_source *s, json_t **native, rn_error *err)
{
    reading r = {s, json_object(), {s->config, s->path, err, RN_OK}};
    rn_status st = r.native ? read_config(&r) : rn_fail_memory(err, s->path, 0);
    if (st) json_decref(r.native);
    else *native = r.native;
    return st;
}

/* The gate goes by two names. */
static bool tensor(const rn_source *s, const char *native, rn_stored *out)
{
    char other[RN_GGUF_MAX_NAME + 1];
    *out = (rn_stored){.parts = 1};
    if (!rn_gguf_tensor_name(native, out->name, sizeof out->name)) return false;
    char *gate = strstr(out->name, ".attn_gate.");
    if (!gate || rn_source_has(s, out->name)) return true;
    int n = snprintf(other, sizeof other, "%.*s.attn_g.%s", (int)(gate - out->name),
                     out->name, gate + strlen(".attn_gate."));
    if (n >= 0 && (size_t)n < sizeof other && rn_source_has(s, other))
        snprintf(out->name, sizeof out->name, "%s", other);
    return true;
}

static bool is_buffer(const rn_source *s, const char *original)
{
    (void)s, (void)original;
    return false;
}

static bool detect(const rn_source *s)
{
    return json_object_get(s->config, "general.architecture") != NULL;
}

const rn_dialect rn_dialect_gguf = {
    .name = "gguf",
    .detect = detect,
    .config = config,
    .tensor = tensor,
    .is_buffer = is_buffer,
    .keys = known_keys,
    .shape_keys = shape_keys,
    .presence_keys = presence_keys,
    .layers_key = "retnet.block_count",
};

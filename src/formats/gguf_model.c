/* The one table of tensor names and the one of config keys, and writing by them. Reading
   is in dialect_gguf.c, tokenizers are in gguf_tokenizer.c. */
#include "formats/gguf_model.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANGLE_ERROR 1e-5 /* of an angle stored in float32, relative, with room */
#define BASE        10000.0

/* A retention has no context to run out of. Where the config does not say what its model
   was made for, programs that size something by this key get the number that other
   recurrent models give. */
#define CONTEXT_LENGTH (1 << 20)

const rn_gguf_size rn_gguf_sizes[] = {
    {"retnet.vocab_size", "vocab_size"},
    {"retnet.embedding_length", "width"},
    {"retnet.block_count", "layers"},
    {"retnet.feed_forward_length", "ffn_width"},
    {"retnet.attention.head_count", "heads"},
    {"retnet.attention.head_count_kv", "kv_heads"},
    {"retnet.attention.key_length", "key_dim"},
    {"retnet.attention.value_length", "value_dim"},
    {NULL, NULL},
};

static const struct stem {
    const char *native, *stored;
} stems[] = {
    {"embedding", "token_embd"},  {"embedding_norm", "token_embd_norm"},
    {"norm", "output_norm"},      {"output", "output"},
    {"mixer_norm", "attn_norm"},  {"mixer.q", "attn_q"},
    {"mixer.k", "attn_k"},        {"mixer.v", "attn_v"},
    {"mixer.g", "attn_gate"},     {"mixer.head_norm", "attn_sub_norm"},
    {"mixer.o", "attn_output"},   {"ffn_norm", "ffn_norm"},
    {"ffn.gate", "ffn_gate"},     {"ffn.up", "ffn_up"},
    {"ffn.norm", "ffn_sub_norm"}, {"ffn.down", "ffn_down"},
};

bool rn_gguf_tensor_name(const char *native, char *out, size_t size)
{
    const char *begin = native, *leaf = strrchr(native, '.'), *stored = NULL;
    int layer = 0; /* digits of the layer's number */
    if (!leaf) return false;
    if (!strncmp(native, "layers.", 7)) {
        layer = (int)strspn(native + 7, "0123456789");
        begin = native + 7 + layer + 1;
        if (!layer || begin[-1] != '.' || begin > leaf) return false;
    }
    size_t length = (size_t)(leaf - begin);
    for (size_t i = 0; i < sizeof stems / sizeof stems[0]; i++)
        if (strlen(stems[i].native) == length && !memcmp(stems[i].native, begin, length))
            stored = stems[i].stored;
    if (!stored) stored = begin;
    else length = strlen(stored);
    int n = layer ? snprintf(out, size, "blk.%.*s.%.*s%s", layer, native + 7, (int)length,
                             stored, leaf)
                  : snprintf(out, size, "%.*s%s", (int)length, stored, leaf);
    return n >= 0 && (size_t)n < size;
}

double rn_gguf_widen(double x)
{
    char text[40];
    if (!isfinite(x) || fabs(x) > FLT_MAX || (double)(float)x != x) return x;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, x);
        double shorter = strtod(text, NULL);
        if ((float)shorter == (float)x) return shorter;
    }
    return x;
}

double rn_gguf_angle(const char *rotary, double base, size_t key_dim, size_t i)
{
    double n = (double)key_dim;
    if (!strcmp(rotary, "halves")) return pow(base, -2.0 * (double)i / n);
    return key_dim == 2 ? 1.0 : pow(base, -(double)i / (n / 2.0 - 1.0));
}

bool rn_gguf_angles_follow(const json_t *angles, const char *rotary, double base)
{
    size_t n = json_array_size(angles);
    for (size_t i = 0; i < n; i++) {
        double is = json_number_value(json_array_get(angles, i));
        double rule = rn_gguf_angle(rotary, base, 2 * n, i);
        if (!(fabs(is - rule) <= ANGLE_ERROR * rule)) return false;
    }
    return true;
}

static const char *text_of(const json_t *native, const char *key)
{
    const char *text = json_string_value(json_object_get(native, key));
    return text ? text : "";
}

static rn_status put_reals(rn_gguf_meta *m, const char *key, const json_t *list,
                           const char *path, rn_error *err)
{
    size_t n = json_array_size(list);
    double *values = calloc(n + 1, sizeof *values);
    if (!values) return rn_fail_memory(err, path, n * sizeof *values);
    bool numbers = true;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        numbers = numbers && json_is_number(item);
        values[i] = json_number_value(item);
    }
    if (numbers) rn_gguf_put_array(m, key, RN_GGUF_F64, values, n);
    free(values);
    if (numbers) return RN_OK;
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: %s is a list of something else than numbers", path, key);
}

/* A native key as retnet.config.KEY. */
static rn_status put_native(rn_gguf_meta *m, const char *name, const json_t *value,
                            const char *path, rn_error *err)
{
    char key[128];
    if (json_is_null(value)) return RN_OK;
    int n = snprintf(key, sizeof key, "%s%s", RN_GGUF_NATIVE, name);
    if (n < 0 || (size_t)n >= sizeof key || json_is_object(value))
        return rn_fail(err, RN_EUNSUPPORTED, "%s: GGUF cannot hold config key %.100s",
                       path, name);
    if (json_is_array(value)) return put_reals(m, key, value, path, err);
    if (json_is_string(value))
        rn_gguf_put_text(m, key, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value)) rn_gguf_put_i64(m, key, json_integer_value(value));
    else if (json_is_real(value)) rn_gguf_put_f64(m, key, json_real_value(value));
    else rn_gguf_put_bool(m, key, json_is_true(value));
    return RN_OK;
}

static const char *size_key(const char *native)
{
    for (const rn_gguf_size *z = rn_gguf_sizes; z->key; z++)
        if (!strcmp(z->native, native)) return z->key;
    return NULL;
}

/* eps under the keys of other programs, which are float32, and exactly where that is not
   exact. */
static rn_status put_eps(rn_gguf_meta *m, const json_t *native, const json_t *value,
                         const char *path, rn_error *err)
{
    double eps = json_number_value(value);
    bool layer = !strcmp(text_of(native, "norm"), "layer");
    rn_gguf_put_f32(m, layer ? RN_GGUF_LAYER_EPS : RN_GGUF_RMS_EPS, (float)eps);
    if (strcmp(text_of(native, "head_norm"), "none") != 0)
        rn_gguf_put_f32(m, RN_GGUF_HEAD_EPS, (float)eps);
    if (rn_gguf_widen((double)(float)eps) == eps) return RN_OK;
    return put_native(m, "norm_eps", value, path, err);
}

static void put_rope(rn_gguf_meta *m, const json_t *native)
{
    const char *rotary = text_of(native, "rotary");
    json_int_t dims = json_integer_value(json_object_get(native, "key_dim"));
    bool none = !strcmp(rotary, "none");
    rn_gguf_put_u32(m, RN_GGUF_ROPE_DIMS, none ? 0 : (uint32_t)dims);
    if (!none && rn_gguf_angles_follow(json_object_get(native, "angles"), rotary, BASE))
        rn_gguf_put_f32(m, RN_GGUF_ROPE_BASE, (float)BASE);
}

static rn_status put_key(rn_gguf_meta *m, const json_t *native, const char *name,
                         const json_t *value, const char *path, rn_error *err)
{
    const char *key = size_key(name);
    json_int_t n = json_integer_value(value);
    if (!strcmp(name, "format") || !strcmp(name, "version")) return RN_OK;
    if (!strcmp(name, "norm_eps")) return put_eps(m, native, value, path, err);
    if (!strcmp(name, "decays") && json_is_array(value))
        return put_reals(m, RN_GGUF_DECAYS, value, path, err);
    if (!key || !json_is_integer(value) || n < 1 || n > UINT32_MAX)
        return put_native(m, name, value, path, err);
    rn_gguf_put_u32(m, key, (uint32_t)n);
    return RN_OK;
}

static uint32_t context_length(const json_t *stored)
{
    static const char *const keys[] = {"retnet.context_length", "max_position_embeddings",
                                       "max_target_positions"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_int_t n = json_integer_value(json_object_get(stored, keys[i]));
        if (n > 0 && n <= INT32_MAX) return (uint32_t)n;
    }
    return CONTEXT_LENGTH;
}

rn_status rn_gguf_put_config(rn_gguf_meta *m, const json_t *native, const json_t *stored,
                             const char *path, rn_error *err)
{
    rn_status st = RN_OK;
    const char *name;
    json_t *value;
    rn_gguf_put_u32(m, "retnet.context_length", context_length(stored));
    json_object_foreach((json_t *)(uintptr_t)native, name, value)
    {
        if (!st) st = put_key(m, native, name, value, path, err);
    }
    put_rope(m, native);
    return st;
}

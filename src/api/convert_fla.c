/*
 * The config of flash-linear-attention's RetNet: what it cannot hold of ours, and its
 * config.json. Rotated pairs change their places (convert_write.c); the angles are fla's
 * own rule, so torchscale's have no place here beyond dk = 2.
 */
#include "api/convert.h"

#include "mixers/retention.h"

#include <math.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NEAR         1e-6 /* relative: both sides compute angles and decays in float32 */

static rn_status check_kind(const rn_conversion *c, rn_error *err)
{
    const rn_config *f = &c->from;
    const rn_mixer_config *m = &f->mixer;
    const rn_convert_need needs[] = {
        {f->ffn == RN_FFN_GATED, "ffn is not gated"},
        {!f->ffn_norm, "ffn_norm is true"},
        {f->activation == RN_ACT_SWISH, "activation is not swish"},
        {!m->bias && !rn_config_ffn_bias(f), "there are biases"},
        {f->norm == RN_NORM_RMS, "norm is not rms"},
        {f->norm_position == RN_NORM_PRE, "norm_position is not pre"},
        {m->head_norm == RN_HEAD_NORM_RMS, "head_norm is not rms"},
        {m->rotary != RN_ROTARY_NONE, "rotary is none"},
    };
    return rn_convert_check(c, needs, COUNT(needs), err);
}

/* The first pair whose angle is not fla's, or dk / 2. */
static size_t other_angle(const rn_mixer_config *m, const rn_mixer_config *to)
{
    for (size_t i = 0; i < m->key_dim / 2; i++) {
        double want = rn_rotary_angle(to, i);
        if (!(fabs(rn_rotary_angle(m, i) - want) <= NEAR * want)) return i;
    }
    return m->key_dim / 2;
}

/* 1 - 2^(-5-h), which is 1 in float32 from head 20 on. */
static double fla_decay(size_t h)
{
    return 1.0 - ldexp(1.0, -5 - (int)h);
}

static size_t other_decay(const rn_mixer_config *m)
{
    for (size_t h = 0; h < m->heads; h++) {
        double got = log(m->decays[h]), want = log(fla_decay(h));
        bool both_one = got > -0x1p-24 && want > -0x1p-24;
        if (!both_one && !(fabs(got - want) <= NEAR * fabs(want))) return h;
    }
    return m->heads;
}

static rn_status lose_mixing(rn_conversion *c, rn_error *err)
{
    rn_mixer_config *to = &c->to.mixer;
    const rn_mixer_config *m = &c->from.mixer;
    rn_status st = RN_OK;
    to->rotary = RN_ROTARY_HALVES;
    to->angle_count = 0;
    size_t i = other_angle(m, to);
    if (i < m->key_dim / 2)
        st = rn_convert_lose(c, err, "angles: pair %zu turns by %g a token, fla's by %g",
                             i, rn_rotary_angle(m, i), rn_rotary_angle(to, i));
    size_t h = other_decay(m);
    if (!st && h < m->heads)
        st = rn_convert_lose(c, err, "decays: head %zu has %.9g, fla's %.9g", h,
                             m->decays[h], fla_decay(h));
    to->decay_rule = RN_DECAY_POWERS;
    if (!st && m->head_norm_weight == RN_HEAD_NORM_WEIGHT_CHANNEL) {
        st = rn_convert_lose(c, err,
                             "head_norm_weight is of each channel: multiplied into the "
                             "output projections and rounded");
        to->head_norm_weight = RN_HEAD_NORM_WEIGHT_NONE;
    }
    return st;
}

static rn_status lose_rest(rn_conversion *c, rn_error *err)
{
    const rn_config *f = &c->from;
    rn_config *to = &c->to;
    rn_status st = RN_OK;
    if (f->row_norm != RN_ROW_NORM_NONE && rn_convert_row_norm_matters(f))
        st = rn_convert_lose(c, err,
                             "row_norm: fla has none, which shows where norm_eps %g does",
                             f->mixer.norm_eps);
    to->row_norm = RN_ROW_NORM_NONE;
    if (!st && (f->embedding_scale != 1 || f->embedding_norm)) {
        st = rn_convert_lose(c, err,
                             "embedding_scale %g, embedding_norm %s: multiplied into the "
                             "embedding and rounded",
                             f->embedding_scale, f->embedding_norm ? "true" : "false");
        to->tied = false; /* the output has the embedding as it was */
        to->embedding_scale = 1;
        to->embedding_norm = false;
    }
    if (!st && f->residual_scale != 1)
        st = rn_convert_lose(c, err, "residual_scale %g becomes 1", f->residual_scale);
    to->residual_scale = 1;
    if (!st && f->dropout != 0)
        st = rn_convert_lose(c, err, "dropout %g in training becomes 0", f->dropout);
    to->dropout = 0;
    return st;
}

/* The factor that makes int(hidden_size * factor) the width. */
static double expansion(size_t width, size_t hidden)
{
    double factor = (double)width / (double)hidden;
    while (floor((double)hidden * factor) < (double)width)
        factor = nextafter(factor, INFINITY);
    return factor;
}

static json_t *kv_heads(const rn_mixer_config *m)
{
    return m->kv_heads == m->heads ? json_null() : json_integer((json_int_t)m->kv_heads);
}

static json_t *pad_token(const rn_config *f)
{
    return f->pad_token ? json_integer((json_int_t)f->pad_token - 1) : json_null();
}

static json_t *config_of(const rn_conversion *c)
{
    const rn_config *f = &c->to;
    const rn_mixer_config *m = &f->mixer;
    double std = f->init == RN_INIT_NORMAL ? f->init_std : 0.02;
    return json_pack(
        "{s:[s], s:n, s:s, s:n, s:b, s:n, s:f, s:f, s:n, s:b, s:b, s:b, s:s, s:i, s:I, "
        "s:f, s:I,"
        " s:i, s:s, s:f, s:I, s:I, s:o, s:o, s:b, s:s, s:b, s:b, s:b, s:I}",
        "architectures", "RetNetForCausalLM", "attn", "attn_mode", "chunk",
        "bos_token_id", "elementwise_affine",
        (int)(m->head_norm_weight != RN_HEAD_NORM_WEIGHT_NONE), "eos_token_id",
        "expand_k", expansion(m->heads * m->key_dim, m->width), "expand_v",
        expansion(m->heads * m->value_dim, m->width), "feature_map", "fuse_cross_entropy",
        1, "fuse_norm", 1, "fuse_swiglu", 1, "hidden_act", "swish", "hidden_ratio", 2,
        "hidden_size", (json_int_t)m->width, "initializer_range", std,
        "intermediate_size", (json_int_t)f->ffn_width, "max_position_embeddings", 2048,
        "model_type", "retnet", "norm_eps", m->norm_eps, "num_heads",
        (json_int_t)m->heads, "num_hidden_layers", (json_int_t)f->layers, "num_kv_heads",
        kv_heads(m), "pad_token_id", pad_token(f), "tie_word_embeddings", (int)f->tied,
        "torch_dtype", rn_convert_torch_type(c), "use_cache", 1, "use_output_gate",
        (int)m->output_gate, "use_short_conv", 0, "vocab_size",
        (json_int_t)f->vocab_size);
}

rn_status rn_convert_plan_fla(rn_conversion *c, rn_error *err)
{
    rn_status st = check_kind(c, err);
    if (!st) st = lose_mixing(c, err);
    if (!st) st = lose_rest(c, err);
    if (st) return st;
    c->dialect = &rn_dialect_fla;
    c->config = config_of(c);
    return c->config ? rn_convert_copy_ids(c, err) : rn_fail_memory(err, c->path, 0);
}

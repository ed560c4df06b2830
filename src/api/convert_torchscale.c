/*
 * The configs of torchscale's RetNet, its present layout and the one from before 28
 * September 2023: what they cannot hold of ours, and their config.json. Angles and decays
 * of any value have their places in the file (retnet_rel_pos.*).
 */
#include "api/convert.h"

#include "mixers/retention.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static double deepnorm_scale(const rn_config *f)
{
    return pow(2.0 * (double)f->layers, 0.25);
}

static bool nearly(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

/* LayerNorm and biases were the older layout's. */
static bool is_legacy(const rn_config *f)
{
    return f->norm == RN_NORM_LAYER;
}

static rn_status check_widths(const rn_conversion *c, rn_error *err)
{
    const rn_mixer_config *m = &c->from.mixer;
    const rn_convert_need needs[] = {
        {m->heads * m->key_dim == m->width, "heads * key_dim is not width"},
        {m->key_dim % 2 == 0, "key_dim is odd"},
        {m->output_gate, "output_gate is false"},
    };
    return rn_convert_check(c, needs, COUNT(needs), err);
}

static rn_status check_present(const rn_conversion *c, rn_error *err)
{
    const rn_config *f = &c->from;
    const rn_convert_need needs[] = {
        {f->ffn == RN_FFN_GATED, "ffn is not gated, and norm is rms"},
        {!f->ffn_norm, "ffn_norm is true, and norm is rms"},
        {!f->mixer.bias && !rn_config_ffn_bias(f), "there are biases, and norm is rms"},
        {f->mixer.head_norm == RN_HEAD_NORM_RMS, "head_norm is not rms, and norm is rms"},
    };
    return rn_convert_check(c, needs, COUNT(needs), err);
}

static rn_status check_legacy(const rn_conversion *c, rn_error *err)
{
    const rn_config *f = &c->from;
    const rn_mixer_config *m = &f->mixer;
    bool deepnorm = nearly(f->residual_scale, deepnorm_scale(f));
    bool post = f->norm_position == RN_NORM_POST;
    const rn_convert_need needs[] = {
        {f->ffn == RN_FFN_PLAIN, "ffn is gated, and norm is layer"},
        {m->bias && rn_config_ffn_bias(f), "norm is layer without biases everywhere"},
        {m->head_norm == RN_HEAD_NORM_GROUP, "head_norm is not group, and norm is layer"},
        {m->heads * m->value_dim == 2 * m->width,
         "heads * value_dim is not twice the width, and norm is layer"},
        {f->activation != RN_ACT_SWISH, "activation is swish, and norm is layer"},
        {!f->ffn_norm || rn_config_ffn_norm_centers(f),
         "ffn_norm_kind is rms, and norm is layer"},
        {!f->ffn_norm || (!post && !deepnorm),
         "ffn_norm with norm_position post or DeepNet's residual_scale"},
        {!deepnorm || post, "DeepNet's residual_scale with norm_position pre"},
    };
    return rn_convert_check(c, needs, COUNT(needs), err);
}

static rn_status lose_mixing(rn_conversion *c, rn_error *err)
{
    const rn_mixer_config *m = &c->from.mixer;
    rn_mixer_config *to = &c->to.mixer;
    rn_status st = RN_OK;
    if (m->kv_heads != m->heads)
        st = rn_convert_lose(c, err,
                             "kv_heads %zu of %zu heads: keys and values are repeated "
                             "for each of their heads",
                             m->kv_heads, m->heads);
    to->kv_heads = m->heads;
    if (!st && m->head_norm_weight != RN_HEAD_NORM_WEIGHT_NONE)
        st = rn_convert_lose(c, err,
                             "head_norm_weight: multiplied into the output projections "
                             "and rounded");
    to->head_norm_weight = RN_HEAD_NORM_WEIGHT_NONE;
    to->angle_count = m->key_dim / 2;
    for (size_t i = 0; i < to->angle_count; i++)
        to->angles[i] = m->rotary == RN_ROTARY_NONE ? 0 : rn_rotary_angle(m, i);
    to->rotary = RN_ROTARY_ADJACENT;
    return st;
}

static rn_status lose_rest(rn_conversion *c, rn_error *err)
{
    const rn_config *f = &c->from;
    rn_config *to = &c->to;
    rn_status st = RN_OK;
    to->row_norm = is_legacy(f) ? RN_ROW_NORM_PAPER_PARALLEL : (int)RN_ROW_NORM_AUTO;
    if (f->row_norm != to->row_norm && rn_convert_row_norm_matters(f))
        st = rn_convert_lose(c, err,
                             "row_norm: torchscale's own is another, which shows where "
                             "norm_eps %g does",
                             f->mixer.norm_eps);
    double root = sqrt((double)f->mixer.width);
    if (!st && f->embedding_scale != 1 && !nearly(f->embedding_scale, root)) {
        st =
            rn_convert_lose(c, err,
                            "embedding_scale %g is neither 1 nor sqrt(width): multiplied "
                            "into the embedding and rounded",
                            f->embedding_scale);
        to->tied = false; /* the output has the embedding as it was */
        to->embedding_scale = 1;
    }
    double alpha = deepnorm_scale(f);
    if (!st && f->residual_scale != 1 && !nearly(f->residual_scale, alpha)) {
        to->residual_scale =
            fabs(f->residual_scale - alpha) < fabs(f->residual_scale - 1) ? alpha : 1;
        st = rn_convert_lose(c, err, "residual_scale %g becomes %g", f->residual_scale,
                             to->residual_scale);
    }
    return st;
}

static json_t *config_of(const rn_conversion *c)
{
    static const char *const activations[] = {"swish", "gelu", "relu"};
    const rn_config *f = &c->to;
    const rn_mixer_config *m = &f->mixer;
    bool deepnorm = f->residual_scale != 1;
    bool subln = is_legacy(f) ? f->ffn_norm : !deepnorm;
    return json_pack(
        "{s:s, s:b, s:I, s:I, s:I, s:b, s:I, s:b, s:f, s:b, s:f, s:b, s:b, s:b, s:i,"
        " s:b, s:b, s:I}",
        "activation_fn", activations[f->activation], "chunkwise_recurrent", 0,
        "decoder_embed_dim", (json_int_t)m->width, "decoder_ffn_embed_dim",
        (json_int_t)f->ffn_width, "decoder_layers", (json_int_t)f->layers,
        "decoder_normalize_before", (int)(f->norm_position == RN_NORM_PRE),
        "decoder_retention_heads", (json_int_t)m->heads, "deepnorm", (int)deepnorm,
        "dropout", f->dropout, "layernorm_embedding", (int)f->embedding_norm,
        "layernorm_eps", m->norm_eps, "multiway", 0, "no_output_layer", 0,
        "no_scale_embedding", (int)(f->embedding_scale == 1), "recurrent_chunk_size", 512,
        "share_decoder_input_output_embed", (int)f->tied, "subln", (int)subln,
        "vocab_size", (json_int_t)f->vocab_size);
}

/* The keys that not every model has. */
static rn_status add_keys(rn_conversion *c, rn_error *err)
{
    const rn_config *f = &c->to;
    json_int_t values = (json_int_t)(f->mixer.heads * f->mixer.value_dim);
    bool failed = false;
    if (!is_legacy(f))
        failed = json_object_set_new(c->config, "decoder_value_embed_dim",
                                     json_integer(values)) != 0;
    if (f->pad_token)
        failed |= json_object_set_new(c->config, "pad_token_id",
                                      json_integer((json_int_t)f->pad_token - 1)) != 0;
    return failed ? rn_fail_memory(err, c->path, 0) : rn_convert_copy_ids(c, err);
}

rn_status rn_convert_plan_torchscale(rn_conversion *c, rn_error *err)
{
    rn_status st = check_widths(c, err);
    if (!st) st = is_legacy(&c->from) ? check_legacy(c, err) : check_present(c, err);
    if (!st) st = lose_mixing(c, err);
    if (!st) st = lose_rest(c, err);
    if (st) return st;
    c->dialect = is_legacy(&c->from) ? &rn_dialect_legacy : &rn_dialect_torchscale;
    c->buffers = true;
    c->config = config_of(c);
    return c->config ? add_keys(c, err) : rn_fail_memory(err, c->path, 0);
}

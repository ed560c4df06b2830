/* The dialects that other programs write, opened as models: configs read as their code
   reads them, tensors under all their names, and contradictions told with both sides.
   What the golden folders compute is in test_eval. */
#define _XOPEN_SOURCE 700
#include "checkpoint_fixture.h"
#include "exec_fixture.h"

#include "formats/checkpoint.h"
#include "retnet/eval.h"
#include "retnet/model.h"

#include <math.h>
#include <time.h>

#define FLA      RN_GOLDEN "/fla-bf16"
#define FUSED    RN_GOLDEN "/fla-fused-mlp"
#define SYNCDOTH RN_GOLDEN "/syncdoth"
#define LEGACY   RN_GOLDEN "/legacy-2023"

static rn_model *open_model(const char *path)
{
    rn_model *m;
    rn_error err;
    if (rn_model_open(&m, exec, path, &err)) fail_msg("%s", err.message);
    return m;
}

static rn_status try_open(const char *path, rn_error *err)
{
    rn_model *m = NULL;
    rn_status st = rn_model_open(&m, exec, path, err);
    rn_model_free(m);
    return st;
}

/* Loss of a fixed row of ids. */
static double loss_of(rn_model *m, rn_form form)
{
    const int32_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
    rn_eval_options how = rn_eval_defaults();
    rn_eval_result result;
    rn_error err;
    how.form = form;
    if (rn_eval_ids(m, ids, 1, COUNT(ids), &how, NULL, &result, &err))
        fail_msg("%s", err.message);
    return result.loss;
}

static double loss_at(const char *path, rn_form form)
{
    rn_model *m = open_model(path);
    double loss = loss_of(m, form);
    rn_model_free(m);
    return loss;
}

static uint64_t parameters_of(const char *config)
{
    rn_model *m;
    rn_model_info info;
    rn_model_source source = {.config_path = put_text("described.json", config)};
    rn_error err;
    if (rn_model_describe(&m, &source, &err)) fail_msg("%s", err.message);
    rn_model_info_get(m, &info);
    assert_string_equal(info.dialect, "fla");
    rn_model_free(m);
    return info.parameters;
}

/* As fla's authors publish them: the feed-forward's width follows from the ratio. */
static void published_sizes(void **state)
{
    (void)state;
#define PUBLISHED(width, layers, heads)                                                  \
    "{\"architectures\": [\"RetNetForCausalLM\"], \"attn_mode\": \"chunk\","             \
    " \"bos_token_id\": 1, \"elementwise_affine\": true, \"eos_token_id\": 2,"           \
    " \"expand_k\": 1, \"expand_v\": 2, \"fuse_norm\": true, \"hidden_act\": \"swish\"," \
    " \"hidden_ratio\": 2, \"hidden_size\": " width ", \"intermediate_size\": null,"     \
    " \"model_type\": \"retnet\", \"norm_eps\": 1e-06, \"num_heads\": " heads            \
    ", \"num_hidden_layers\": " layers ", \"tie_word_embeddings\": false,"               \
    " \"torch_dtype\": \"bfloat16\", \"vocab_size\": 32000}"
    assert_int_equal(parameters_of(PUBLISHED("2048", "24", "8")), 1351727104);
    assert_int_equal(parameters_of(PUBLISHED("2560", "32", "10")), 2722548224);
    assert_int_equal(parameters_of("{\"model_type\": \"retnet\", \"hidden_size\": 2048}"),
                     1351727104);
}

static const json_t *read_fla(const char *keys, json_t **owned)
{
    char text[1000];
    const char *dialect;
    snprintf(text, sizeof text,
             "{\"model_type\": \"retnet\", \"hidden_size\": 96, \"num_heads\": 4%s%s}",
             *keys ? ", " : "", keys);
    WORKS(rn_config_read(put_text("fla.json", text), owned, &dialect, err));
    assert_string_equal(dialect, "fla");
    return *owned;
}

static void fla_rules(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *key;
        const char *value; /* as JSON */
    } rows[] = {
        {"", "ffn_width", "256"},
        {"\"hidden_ratio\": 4", "ffn_width", "256"},
        {"\"hidden_ratio\": 4.01", "ffn_width", "256"},
        {"\"hidden_ratio\": 4.04", "ffn_width", "512"},
        {"\"hidden_ratio\": null", "ffn_width", "256"},
        {"\"intermediate_size\": 100", "ffn_width", "100"},
        {"\"expand_k\": 0.5", "key_dim", "12"},
        {"\"expand_v\": 1.5", "value_dim", "36"},
        {"\"expand_v\": 1", "value_dim", "24"},
        {"", "value_dim", "48"},
        {"", "kv_heads", "4"},
        {"\"num_kv_heads\": 2", "kv_heads", "2"},
        {"\"num_kv_heads\": null", "kv_heads", "4"},
        {"", "head_norm_weight", "\"shared\""},
        {"\"elementwise_affine\": false", "head_norm_weight", "\"none\""},
        {"\"elementwise_affine\": null", "head_norm_weight", "\"none\""},
        {"", "output_gate", "true"},
        {"\"use_output_gate\": false", "output_gate", "false"},
        {"", "row_norm", "\"none\""},
        {"", "rotary", "\"halves\""},
        {"", "layers", "24"},
        {"", "vocab_size", "32000"},
        {"\"hidden_act\": \"silu\"", "activation", "\"swish\""},
        {"\"pad_token_id\": 0", "pad_token", "0"},
        {"\"pad_token_id\": -1", "pad_token", "31999"},
        {"\"attn\": null, \"attnres_block_size\": null", "norm", "\"rms\""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *owned, *want = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
        const json_t *got = json_object_get(read_fla(rows[i].keys, &owned), rows[i].key);
        if (!json_equal(got, want)) fail_msg("%s: %s", rows[i].keys, rows[i].key);
        json_decref(owned);
        json_decref(want);
    }
}

static void fla_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        rn_status status;
        const char *words;
    } rows[] = {
        {"\"attn\": {\"layers\": [1], \"num_heads\": 2}", RN_EUNSUPPORTED,
         "attn is not null"},
        {"\"attnres_block_size\": 4", RN_EUNSUPPORTED, "attnres_block_size is not null"},
        {"\"feature_map\": \"relu\"", RN_EUNSUPPORTED, "feature_map is not null"},
        {"\"hidden_act\": \"gelu\"", RN_EUNSUPPORTED, "hidden_act gelu"},
        {"\"hidden_act\": 3", RN_EFORMAT, "hidden_act is not a string"},
        {"\"expand_k\": 0.35", RN_EFORMAT, "expand_k 0.35 of hidden_size 96"},
        {"\"expand_k\": 0", RN_EFORMAT, "expand_k 0 of hidden_size 96"},
        {"\"expand_k\": -1", RN_EFORMAT, "expand_k is -1"},
        {"\"expand_v\": 1e300", RN_EFORMAT, "expand_v is 1e+300"},
        {"\"expand_v\": \"2\"", RN_EFORMAT, "expand_v is not a number"},
        {"\"num_kv_heads\": 3", RN_EFORMAT, "num_kv_heads 3 does not divide num_heads 4"},
        {"\"num_kv_heads\": 0", RN_EFORMAT, "num_kv_heads is 0"},
        {"\"hidden_ratio\": 0", RN_EFORMAT, "hidden_ratio 0 of hidden_size 96"},
        {"\"intermediate_size\": -5", RN_EFORMAT, "intermediate_size is -5"},
        {"\"num_hidden_layers\": 1000000", RN_EFORMAT, "num_hidden_layers is 1000000"},
        {"\"vocab_size\": 9223372036854775807", RN_EFORMAT, "vocab_size is 922337203"},
        {"\"vocab_size\": 1.5", RN_EFORMAT, "vocab_size is not a whole number"},
        {"\"tie_word_embeddings\": 1", RN_EFORMAT, "tie_word_embeddings"},
        {"\"norm_eps\": \"x\"", RN_EFORMAT, "norm_eps is not a number"},
        {"\"pad_token_id\": 32000", RN_EFORMAT, "pad_token_id is 32000"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[1000];
        json_t *config;
        const char *dialect;
        snprintf(
            text, sizeof text,
            "{\"model_type\": \"retnet\", \"hidden_size\": 96, \"num_heads\": 4, %s}",
            rows[i].keys);
        FAILS(rn_config_read(put_text("bad.json", text), &config, &dialect, err),
              rows[i].status, rows[i].words);
    }
}

static void dialects_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *config, *dialect;
    } rows[] = {
#define TS                                                                               \
    "\"vocab_size\": 9, \"decoder_embed_dim\": 8, \"decoder_retention_heads\": 2,"       \
    " \"decoder_ffn_embed_dim\": 12, \"decoder_layers\": 1"
        {"{\"hidden_size\": 64, \"expand_k\": 1.0, \"num_heads\": 4}", "fla"},
        {"{" TS ", \"decoder_value_embed_dim\": 8}", "torchscale"},
        {"{" TS ", \"decoder_value_embed_dim\": 8, \"model_type\": \"retnet\"}",
         "syncdoth"},
        {"{" TS ", \"decoder_value_embed_dim\": 8, \"hidden_size\": 8, \"model_type\": "
         "\"retnet\"}",
         "syncdoth"},
        {"{" TS "}", "torchscale-2023"},
        {"{" TS ", \"value_factor\": 1, \"model_type\": \"retnet\"}", "torchscale-2023"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *config;
        const char *dialect;
        WORKS(rn_config_read(put_text("which.json", rows[i].config), &config, &dialect,
                             err));
        assert_string_equal(dialect, rows[i].dialect);
        json_decref(config);
    }
}

static const json_t *read_ts(const char *keys, json_t **owned)
{
    char text[1000];
    const char *dialect;
    snprintf(text, sizeof text, "{" TS "%s%s}", *keys ? ", " : "", keys);
    WORKS(rn_config_read(put_text("ts.json", text), owned, &dialect, err));
    return *owned;
}

static void older_and_ungated_rules(void **state)
{
    (void)state;
#define NOW "\"decoder_value_embed_dim\": 8, \"forward_impl\": \"x\", "
    static const struct {
        const char *keys, *key, *value;
    } rows[] = {
        {"", "value_dim", "8"},
        {"\"value_factor\": 1", "value_dim", "4"},
        {"", "norm_eps", "1e-5"},
        {"", "norm", "\"layer\""},
        {"", "head_norm", "\"group\""},
        {"", "bias", "true"},
        {"", "ffn", "\"plain\""},
        {"", "ffn_norm", "true"},
        {"\"subln\": false", "ffn_norm", "false"},
        {"\"deepnorm\": true", "ffn_norm", "false"},
        {"", "activation", "\"gelu\""},
        {"\"activation_fn\": \"relu\"", "activation", "\"relu\""},
        {"", "row_norm", "\"paper-parallel\""},
        {NOW "\"use_glu\": false", "ffn", "\"plain\""},
        {NOW "\"use_glu\": false", "ffn_bias", "\"all\""},
        {NOW "\"use_glu\": false", "ffn_norm_kind", "\"layer\""},
        {NOW "\"use_glu\": false, \"use_ffn_rms_norm\": true", "ffn_norm_kind",
         "\"rms\""},
        {NOW "\"use_glu\": false, \"subln\": false", "ffn_norm", "false"},
        {NOW "\"use_glu\": false", "norm", "\"rms\""},
        {NOW "\"use_glu\": false", "bias", "false"},
        {NOW "\"use_glu\": false", "norm_eps", "1e-6"},
        {NOW "\"use_glu\": true", "ffn_norm", "false"},
        {NOW "\"pad_token_id\": 3", "pad_token", "3"},
        {NOW "\"pad_token_id\": -2", "pad_token", "7"},
        {NOW "\"dropout\": 0.0", "pad_token", "0"}, /* its own default */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *owned, *want = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
        const json_t *got = json_object_get(read_ts(rows[i].keys, &owned), rows[i].key);
        if (!json_equal(got, want)) fail_msg("%s: %s", rows[i].keys, rows[i].key);
        json_decref(owned);
        json_decref(want);
    }
}

/* A key changed in a good folder against its tensors: the message has both sides. */
static void contradictions_name_both_sides(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *key, *value, *words;
    } rows[] = {
        {FLA, "hidden_size", "96",
         "model.embeddings.weight has shape [199, 48], but its "
         "config asks for [199, 96] (hidden_size 96)"},
        {FLA, "vocab_size", "200",
         "[199, 48], but its config asks for [200, 48] "
         "(vocab_size 200)"},
        {FLA, "expand_k", "0.5",
         "attn.q_proj.weight has shape [48, 48], but its config "
         "asks for [24, 48] (expand_k 0.5)"},
        {FLA, "expand_v", "1", "attn.v_proj.weight has shape [96, 48]"},
        {FLA, "num_heads", "2",
         "attn.g_norm_swish_gate.weight has shape [24], but its "
         "config asks for [48] (num_heads 2)"},
        {FLA, "num_kv_heads", "2",
         "attn.k_proj.weight has shape [48, 48], but its config "
         "asks for [24, 48] (num_kv_heads 2)"},
        {FLA, "intermediate_size", "65", "(intermediate_size 65)"},
        {FLA, "num_hidden_layers", "3",
         "model.layers.2.attn_norm.weight is missing (num_hidden_layers 3)"},
        {FLA, "num_hidden_layers", "1",
         "model.layers.1.attn.g_norm_swish_gate.weight "
         "belongs to no part of its config's model "
         "(num_hidden_layers 1)"},
        {FLA, "tie_word_embeddings", "true", "lm_head.weight"},
        {FLA, "elementwise_affine", "false",
         "g_norm_swish_gate.weight belongs to no part of its config's model "
         "(elementwise_affine false)"},
        {FLA, "use_output_gate", "false", "g_proj.weight belongs to no part"},
        {FUSED, "tie_word_embeddings", "false",
         "lm_head.weight is missing (tie_word_embeddings false)"},
        {FUSED, "intermediate_size", "80",
         "mlp.gate_proj.weight has shape [144, 40], but "
         "its config asks for [160, 40] "
         "(intermediate_size 80)"},
        {SYNCDOTH, "layernorm_embedding", "false",
         "model.layernorm_embedding.weight belongs to no part of its config's model "
         "(layernorm_embedding false)"},
        {SYNCDOTH, "use_glu", "false",
         "model.layers.0.ffn.fc1.bias is missing (use_glu "
         "false)"},
        {SYNCDOTH, "decoder_normalize_before", "false",
         "model.layer_norm.weight belongs to no part of its config's model "
         "(decoder_normalize_before false)"},
        {SYNCDOTH, "decoder_value_embed_dim", "96",
         "v_proj.weight has shape [80, 48], but its config asks for [96, 48] "
         "(decoder_value_embed_dim 96)"},
        {SYNCDOTH, "decoder_layers", "3",
         "model.layers.2.retention_layer_norm.weight is missing (decoder_layers 3)"},
        {LEGACY, "subln", "false",
         "layers.0.ffn.ffn_layernorm.bias belongs to no part of "
         "its config's model (subln false)"},
        {LEGACY, "decoder_ffn_embed_dim", "80", "(decoder_ffn_embed_dim 80)"},
        {LEGACY, "value_factor", "1",
         "v_proj.weight has shape [88, 44], but its config "
         "asks for [44, 44] (value_factor * "
         "decoder_embed_dim)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *path = copy_golden(rows[i].folder, "contradiction");
        change_config("contradiction", rows[i].key, rows[i].value);
        FAILS(try_open(path, err), RN_EFORMAT, rows[i].words);
    }
}

static void missing_parts_are_named(void **state)
{
    (void)state;
    const char *path = copy_golden(FLA, "parts");
    rename_tensor("parts", "model.layers.1.mlp.up_proj.weight", NULL);
    FAILS(try_open(path, err), RN_EFORMAT,
          "model.layers.1.mlp.gate_proj.weight has shape [64, 48], but its config asks "
          "for [128, 48]");
    path = copy_golden(FLA, "parts");
    rename_tensor("parts", "model.norm.weight", "model.nerm.weight");
    FAILS(try_open(path, err), RN_EFORMAT, "model.norm.weight is missing");
    path = copy_golden(LEGACY, "parts");
    rename_tensor("parts", "layers.1.ffn.fc2.bias", NULL);
    FAILS(try_open(path, err), RN_EFORMAT, "layers.1.ffn.fc2.bias is missing");
}

/* The one matrix of a tied model under either name, or both when they are equal. */
static void tied_names(void **state)
{
    (void)state;
    double want = loss_at(FUSED, RN_FORM_PARALLEL);
    const char *path = copy_golden(FUSED, "tied");
    rename_tensor("tied", "model.embeddings.weight", "lm_head.weight");
    rn_model *m = open_model(path);
    assert_string_equal(rn_model_tensor_original_name(m, 0), "lm_head.weight");
    assert_true(loss_of(m, RN_FORM_PARALLEL) == want);
    rn_model_free(m);

    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, FUSED "/model.safetensors", err));
    rn_tensor_view both = *rn_safetensors_find(f, "model.embeddings.weight");
    add_tensor("tied", &both);
    assert_true(loss_at(path, RN_FORM_PARALLEL) == want);
    float *other = malloc((size_t)both.bytes);
    assert_non_null(other);
    memcpy(other, both.data, (size_t)both.bytes);
    other[77] += 1;
    both.data = other;
    add_tensor("tied", &both);
    FAILS(try_open(path, err), RN_EFORMAT,
          "lm_head.weight and model.embeddings.weight differ in element 77");
    rename_tensor("tied", "lm_head.weight", NULL);
    rename_tensor("tied", "model.embeddings.weight", NULL);
    FAILS(try_open(path, err), RN_EFORMAT, "model.embeddings.weight is missing");
    free(other);
    rn_safetensors_close(f);
}

/* Names that older and other writers give the same tensors. */
static void names_of_other_writers(void **state)
{
    (void)state;
    double want = loss_at(FLA, RN_FORM_RECURRENT);
    const char *path = copy_golden(FLA, "names");
    for (int i = 0; i < 2; i++) {
        char from[100], to[100];
        snprintf(from, sizeof from, "model.layers.%d.attn.g_norm_swish_gate.weight", i);
        snprintf(to, sizeof to, "model.layers.%d.attn.g_norm.weight", i);
        rename_tensor("names", from, to);
    }
    assert_true(loss_at(path, RN_FORM_RECURRENT) == want);
    change_config("names", "fuse_norm", "false");
    assert_true(loss_at(path, RN_FORM_RECURRENT) == want);
    static const float table[6];
    rn_tensor_view t = {.name = "model.layers.0.attn.rotary.inv_freq",
                        .dims = 1,
                        .shape = {6},
                        .data = table};
    add_tensor("names", &t);
    assert_true(loss_at(path, RN_FORM_RECURRENT) == want);

    want = loss_at(SYNCDOTH, RN_FORM_RECURRENT);
    path = copy_golden(SYNCDOTH, "names");
    rename_tensor("names", "lm_head.weight", "model.output_projection.weight");
    assert_true(loss_at(path, RN_FORM_RECURRENT) == want);
}

/* Gives all tensors of a copied folder a prefix, but for the output projection, which is
   named `output`. */
static void add_prefix(const char *name, const char *prefix, const char *output)
{
    static char names[96][128];
    char file[256];
    rn_safetensors *f;
    rn_tensor_view views[96];
    snprintf(file, sizeof file, "%s/model.safetensors", name);
    WORKS(rn_safetensors_open(&f, in_scratch(file), err));
    size_t n = rn_safetensors_count(f);
    assert_true(n <= COUNT(views));
    for (size_t i = 0; i < n; i++) {
        views[i] = *rn_safetensors_at(f, i);
        bool is_output = !strcmp(views[i].name, "output_projection.weight");
        if (is_output) snprintf(names[i], sizeof names[i], "%s", output);
        else snprintf(names[i], sizeof names[i], "%s%s", prefix, views[i].name);
        views[i].name = names[i];
    }
    WORKS(rn_safetensors_write(in_scratch(file), views, n, NULL, err));
    rn_safetensors_close(f);
}

static void prefixes(void **state)
{
    (void)state;
    double want = loss_at(LEGACY, RN_FORM_PARALLEL);
    const char *path = copy_golden(LEGACY, "prefix");
    add_prefix("prefix", "decoder.", "decoder.output_projection.weight");
    assert_true(loss_at(path, RN_FORM_PARALLEL) == want);
    path = copy_golden(LEGACY, "prefix");
    add_prefix("prefix", "model.", "lm_head.weight");
    change_config("prefix", "model_type", "\"retnet\"");
    assert_true(loss_at(path, RN_FORM_PARALLEL) == want);
}

static void unknown_keys_warn(void **state)
{
    (void)state;
    rn_model *m = open_model(FUSED);
    assert_string_equal(rn_model_unknown_key(m, 0), "share_conv_kernel");
    assert_null(rn_model_unknown_key(m, 1));
    rn_model_free(m);
    const char *const clean[] = {FLA, SYNCDOTH, LEGACY};
    const char *const names[] = {"fla", "syncdoth", "torchscale-2023"};
    for (size_t i = 0; i < COUNT(clean); i++) {
        rn_model_info info;
        m = open_model(clean[i]);
        assert_null(rn_model_unknown_key(m, 0));
        rn_model_info_get(m, &info);
        assert_string_equal(info.dialect, names[i]);
        rn_model_free(m);
    }
}

static void a_look_needs_no_weights(void **state)
{
    (void)state;
    rn_model *m;
    rn_model_info info;
    WORKS(rn_model_inspect(&m, FLA, err));
    rn_model_info_get(m, &info);
    assert_string_equal(info.dialect, "fla");
    assert_null(rn_model_tensor_at(m, 0).data);
    assert_string_equal(rn_model_tensor_original_name(m, 0), "model.embeddings.weight");
    assert_string_equal(rn_model_tensor_stored_type(m, 0), "BF16");
    rn_model_free(m);
    WORKS(rn_model_inspect(&m, FUSED, err));
    assert_string_equal(rn_model_unknown_key(m, 0), "share_conv_kernel");
    rn_model_free(m);
    const char *path = copy_golden(FLA, "look");
    change_config("look", "vocab_size", "7");
    FAILS(rn_model_inspect(&m, path, err), RN_EFORMAT, "vocab_size 7");
}

/* A native folder of zeros in bf16, which takes no room on the disk. */
static void write_hollow(const char *name, const rn_model *m)
{
    char path[256];
    json_t *header = json_object();
    uint64_t at = 0;
    for (size_t i = 0; i < rn_model_tensor_count(m); i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        uint64_t end = at + 2 * t.shape[0] * t.shape[1];
        json_t *shape = t.dims == 1 ? json_pack("[I]", (json_int_t)t.shape[0])
                                    : json_pack("[I, I]", (json_int_t)t.shape[0],
                                                (json_int_t)t.shape[1]);
        json_object_set_new(header, t.name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "BF16", "shape",
                                      shape, "data_offsets", (json_int_t)at,
                                      (json_int_t)end));
        at = end;
    }
    char *text = json_dumps(header, 0), *config = rn_model_config_json(m);
    size_t length = strlen(text);
    unsigned char *bytes = calloc(length + 8, 1);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, text, length);
    snprintf(path, sizeof path, "%s/model.safetensors", name);
    put_bytes(path, bytes, length + 8);
    assert_int_equal(truncate(in_scratch(path), (off_t)(length + 8 + at)), 0);
    snprintf(path, sizeof path, "%s/config.json", name);
    put_text(path, config);
    free(bytes);
    free(text);
    free(config);
    json_decref(header);
}

static void a_large_model_opens_at_once(void **state)
{
    (void)state;
    struct timespec begin, end;
    rn_model *m;
    rn_model_source source = {.config_path = in_scratch("described.json")};
    WORKS(rn_model_describe(&m, &source, err)); /* fla's 1.3B */
    WORKS(rn_make_folder(in_scratch("hollow"), err));
    write_hollow("hollow", m);
    rn_model_free(m);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    WORKS(rn_model_inspect(&m, in_scratch("hollow"), err));
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) +
                     1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    rn_model_info info;
    rn_model_info_get(m, &info);
    assert_int_equal(info.parameters, 1351727104);
    assert_true(seconds < 1);
    rn_model_free(m);
}

/* ---- gradients ---- */

static rn_model *make_model(const char *const *settings, size_t count)
{
    rn_model *m;
    rn_error err;
    rn_model_source source = {
        .config_json = "{\"vocab_size\": 11, \"width\": 8, \"layers\": 2, \"heads\": 2,"
                       " \"ffn_width\": 12, \"norm_eps\": 1e-3}",
        .settings = settings,
        .settings_count = count};
    if (rn_model_create(&m, exec, &source, 5, &err)) fail_msg("%s", err.message);
    return m;
}

static float **gradients(rn_model *m, const int32_t *ids, size_t length, double *loss)
{
    size_t count = rn_model_tensor_count(m);
    float **grads = calloc(count, sizeof *grads);
    rn_eval_options how = rn_eval_defaults();
    rn_error err;
    assert_non_null(grads);
    for (size_t i = 0; i < count; i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        grads[i] = calloc(t.shape[0] * t.shape[1], sizeof **grads);
        assert_non_null(grads[i]);
    }
    if (rn_eval_gradients(m, ids, 1, length, &how, grads, loss, &err))
        fail_msg("%s", err.message);
    return grads;
}

static void free_gradients(rn_model *m, float **grads)
{
    for (size_t i = 0; i < rn_model_tensor_count(m); i++) free(grads[i]);
    free(grads);
}

/* The padding token's row has no gradient by its uses as an input, all else the same. */
static void check_pad(const char *tied)
{
    const int32_t ids[] = {3, 4, 3, 5, 3, 7};
    const char *const settings[] = {tied, "embedding_norm=true", "pad_token=3"};
    double loss, other;
    rn_model *with = make_model(settings, 3), *without = make_model(settings, 2);
    float **a = gradients(with, ids, COUNT(ids), &loss);
    float **b = gradients(without, ids, COUNT(ids), &other);
    bool is_tied = strcmp(tied, "tied=true") == 0;
    assert_true(loss == other);
    for (size_t i = 0; i < rn_model_tensor_count(with); i++) {
        rn_model_tensor t = rn_model_tensor_at(with, i);
        for (size_t e = 0; e < t.shape[0] * t.shape[1]; e++) {
            bool pad = i == 0 && e / t.shape[1] == 3;
            if (!pad) assert_true(a[i][e] == b[i][e]);
            else if (!is_tied) assert_true(a[i][e] == 0 && b[i][e] != 0);
            else assert_true(a[i][e] != 0 && a[i][e] != b[i][e]);
        }
    }
    free_gradients(with, a);
    free_gradients(without, b);
    rn_model_free(with);
    rn_model_free(without);
}

static void the_padding_row_does_not_learn(void **state)
{
    (void)state;
    check_pad("tied=false");
    check_pad("tied=true");
    rn_model *m = open_model(SYNCDOTH);
    char *config = rn_model_config_json(m);
    assert_non_null(strstr(config, "\"pad_token\": 150"));
    free(config);
    rn_model_free(m);
}

/* A feed-forward with a LayerNorm and biases inside a model with neither: gradients
   against central differences of the loss, and the step against the whole. */
static void a_feed_forward_of_its_own_kind(void **state)
{
    (void)state;
    const int32_t ids[] = {3, 4, 9, 5, 3, 7, 1};
    const char *const kinds[] = {"ffn_norm_kind=layer", "ffn_norm_kind=rms"};
    for (size_t k = 0; k < 2; k++) {
        const char *const settings[] = {"ffn=plain", "ffn_norm=true", "ffn_bias=all",
                                        "row_norm=none", kinds[k]};
        rn_model *m = make_model(settings, COUNT(settings));
        size_t norms = 0;
        double loss, up, down, ignored;
        float **g = gradients(m, ids, COUNT(ids), &loss);
        for (size_t i = 0; i < rn_model_tensor_count(m); i++) {
            rn_model_tensor t = rn_model_tensor_at(m, i);
            bool norm = strstr(t.name, "ffn.norm.") != NULL;
            norms += norm;
            if (!norm && !strstr(t.name, "ffn.up") && !strstr(t.name, "ffn.down"))
                continue;
            const float step = 0.02f, kept = t.data[1];
            t.data[1] = kept + step;
            free_gradients(m, gradients(m, ids, COUNT(ids), &up));
            t.data[1] = kept - step;
            free_gradients(m, gradients(m, ids, COUNT(ids), &down));
            t.data[1] = kept;
            double slope = (up - down) / (2 * (double)step);
            if (!(fabs(slope - (double)g[i][1]) < 2e-5 + 2e-2 * fabs(slope)))
                fail_msg("%s: %g, slope %g", t.name, (double)g[i][1], slope);
        }
        assert_int_equal(norms, k == 0 ? 4 : 2);
        free_gradients(m, gradients(m, ids, COUNT(ids), &ignored));
        assert_true(fabs(loss_of(m, RN_FORM_PARALLEL) - loss_of(m, RN_FORM_RECURRENT)) <
                    1e-5);
        free_gradients(m, g);
        rn_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_sizes),
        cmocka_unit_test(fla_rules),
        cmocka_unit_test(fla_refusals),
        cmocka_unit_test(dialects_are_told_apart),
        cmocka_unit_test(older_and_ungated_rules),
        cmocka_unit_test(contradictions_name_both_sides),
        cmocka_unit_test(missing_parts_are_named),
        cmocka_unit_test(tied_names),
        cmocka_unit_test(names_of_other_writers),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(unknown_keys_warn),
        cmocka_unit_test(a_look_needs_no_weights),
        cmocka_unit_test(a_large_model_opens_at_once),
        cmocka_unit_test(the_padding_row_does_not_learn),
        cmocka_unit_test(a_feed_forward_of_its_own_kind),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

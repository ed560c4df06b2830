/* Checkpoints of the dialects: configs translated key by key, tensors found under native
   names, and damaged or contradictory folders refused with a message that says where. */
#define _XOPEN_SOURCE 700
#include "core/file.h"
#include "formats/checkpoint.h"

#include <math.h>
#include <stdbool.h>

#include "checkpoint_fixture.h"

#define TIED   RN_GOLDEN "/torchscale-tied"
#define NATIVE RN_GOLDEN "/reference/models"

static rn_status try_open(const char *path, rn_error *err)
{
    rn_checkpoint *c = NULL;
    rn_status st = rn_checkpoint_open(&c, path, err);
    if (st) assert_null(c);
    rn_checkpoint_close(c);
    return st;
}

static void check_text(const json_t *config, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(config, key));
    if (!text || strcmp(text, expected))
        fail_msg("%s is %s, expected %s", key, text ? text : "no text", expected);
}

static void check_number(const json_t *config, const char *key, double expected)
{
    const json_t *value = json_object_get(config, key);
    if (!json_is_number(value) || json_number_value(value) != expected)
        fail_msg("%s is %.17g, expected %.17g", key, json_number_value(value), expected);
}

static void check_bool(const json_t *config, const char *key, bool expected)
{
    const json_t *value = json_object_get(config, key);
    if (!json_is_boolean(value) || json_is_true(value) != expected) fail_msg("%s", key);
}

/* What differs between the torchscale folders. */
typedef struct folder {
    const char *name, *activation, *position, *init;
    double vocab, width, heads, layers, ffn_width, key_dim, value_dim, eps, scale,
        residual;
    bool tied, embedding_norm;
} folder;

static const folder folders[] = {
    {"torchscale-tied", "swish", "pre", "xavier", 211, 48, 3, 2, 80, 16, 32, 1e-6,
     6.9282032302755088, 1, true, false},
    {"torchscale-sharded", "swish", "pre", "xavier", 211, 48, 3, 2, 80, 16, 32, 1e-6,
     6.9282032302755088, 1, true, false},
    {"torchscale-deepnorm", "gelu", "post", "deepnorm", 131, 48, 2, 3, 80, 24, 36, 1e-5,
     1, 1.5650845800732873, false, true},
    {"torchscale-official-init", "swish", "pre", "xavier", 97, 64, 4, 2, 96, 16, 24, 1e-6,
     8, 1, false, false},
};

static void check_translation(const json_t *c, const folder *f)
{
    static const char *const texts[][2] = {{"mixer", "retention"},
                                           {"ffn", "gated"},
                                           {"norm", "rms"},
                                           {"head_norm", "rms"},
                                           {"head_norm_weight", "none"},
                                           {"rotary", "adjacent"},
                                           {"row_norm", "auto"}};
    for (size_t i = 0; i < COUNT(texts); i++) check_text(c, texts[i][0], texts[i][1]);
    check_text(c, "activation", f->activation);
    check_text(c, "norm_position", f->position);
    check_text(c, "init", f->init);
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"vocab_size", f->vocab},
        {"width", f->width},
        {"layers", f->layers},
        {"heads", f->heads},
        {"kv_heads", f->heads},
        {"key_dim", f->key_dim},
        {"value_dim", f->value_dim},
        {"ffn_width", f->ffn_width},
        {"norm_eps", f->eps},
        {"embedding_scale", f->scale},
        {"residual_scale", f->residual},
        {"dropout", 0},
        {"init_std", 0.02},
    };
    for (size_t i = 0; i < COUNT(numbers); i++)
        check_number(c, numbers[i].key, numbers[i].value);
    check_bool(c, "ffn_norm", false);
    check_bool(c, "output_gate", true);
    check_bool(c, "bias", false);
    check_bool(c, "tied", f->tied);
    check_bool(c, "embedding_norm", f->embedding_norm);
}

static void torchscale_configs_are_translated(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(folders); i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", RN_GOLDEN, folders[i].name);
        json_t *config;
        const char *dialect;
        WORKS(rn_config_read(path, &config, &dialect, err));
        assert_string_equal(dialect, "torchscale");
        check_translation(config, &folders[i]);
        const json_t *decays = json_object_get(config, "decays");
        assert_int_equal(json_array_size(decays), (size_t)folders[i].heads);
        for (size_t h = 0; h < json_array_size(decays); h++)
            assert_true(json_number_value(json_array_get(decays, h)) ==
                        1 - pow(2, -5 - (double)h));
        assert_null(json_object_get(config, "angles"));
        assert_int_equal(json_object_size(config), 29);
        json_decref(config);
    }
}

/* Stored buffers: gamma is exp of the stored float, thetas are 10000^(-i/(dk/2 - 1)). */
static void check_buffers(const json_t *c, const folder *f)
{
    const json_t *decays = json_object_get(c, "decays"),
                 *angles = json_object_get(c, "angles");
    assert_int_equal(json_array_size(decays), (size_t)f->heads);
    for (size_t h = 0; h < json_array_size(decays); h++) {
        double gamma = 1 - pow(2, -5 - (double)h);
        double stored = exp((double)(float)log(gamma));
        assert_true(fabs(json_number_value(json_array_get(decays, h)) - stored) < 2e-9);
        assert_true(fabs(json_number_value(json_array_get(decays, h)) - gamma) < 1e-7);
    }
    size_t half = (size_t)f->key_dim / 2;
    assert_int_equal(json_array_size(angles), half);
    for (size_t i = 0; i < half; i++) {
        double theta = pow(10000, -(double)i / (double)(half - 1));
        double stored = json_number_value(json_array_get(angles, i));
        assert_true(fabs(stored / theta - 1) < 1e-6);
        assert_true(stored == (double)(float)stored);
    }
}

/* The layers' tensors by their native names, in the shapes that the config means. */
static void take_layers(rn_checkpoint *c, const folder *f)
{
    const double D = f->width, dk = f->key_dim * f->heads, dv = f->value_dim * f->heads;
    const struct {
        const char *name;
        double rows, columns; /* 0: a vector */
    } layer[] = {{"mixer_norm", D, 0},        {"mixer.q", dk, D},
                 {"mixer.k", dk, D},          {"mixer.v", dv, D},
                 {"mixer.g", dv, D},          {"mixer.o", D, dv},
                 {"ffn_norm", D, 0},          {"ffn.gate", f->ffn_width, D},
                 {"ffn.up", f->ffn_width, D}, {"ffn.down", D, f->ffn_width}};
    char name[128];
    for (int l = 0; l < (int)f->layers; l++)
        for (size_t i = 0; i < COUNT(layer); i++) {
            snprintf(name, sizeof name, "layers.%d.%s.weight", l, layer[i].name);
            const rn_tensor_view *t = rn_checkpoint_take(c, name);
            if (!t) fail_msg("%s: %s is missing", f->name, name);
            assert_int_equal(t->dims, layer[i].columns > 0 ? 2 : 1);
            assert_int_equal(t->shape[0], (uint64_t)layer[i].rows);
            if (t->dims == 2) assert_int_equal(t->shape[1], (uint64_t)layer[i].columns);
        }
}

/* And everything else: nothing is left over then. */
static void take_all(rn_checkpoint *c, const folder *f)
{
    take_layers(c, f);
    assert_non_null(rn_checkpoint_unused(c));
    assert_non_null(rn_checkpoint_take(c, "embedding.weight"));
    bool pre = !strcmp(f->position, "pre");
    assert_true(!rn_checkpoint_take(c, "embedding_norm.weight") == !f->embedding_norm);
    assert_true(!rn_checkpoint_take(c, "norm.weight") == !pre);
    assert_true(!rn_checkpoint_take(c, "output.weight") == f->tied);
    assert_null(rn_checkpoint_unused(c));
}

static void torchscale_checkpoints_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(folders); i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", RN_GOLDEN, folders[i].name);
        rn_checkpoint *c;
        WORKS(rn_checkpoint_open(&c, path, err));
        assert_string_equal(rn_checkpoint_dialect(c), "torchscale");
        assert_null(rn_checkpoint_unknown_keys(c)[0]);
        check_translation(rn_checkpoint_config(c), &folders[i]);
        check_buffers(rn_checkpoint_config(c), &folders[i]);
        take_all(c, &folders[i]);
        rn_checkpoint_close(c);
    }
}

static void names_are_told_in_the_files_own_words(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"embedding.weight", "embed_tokens.weight"},
        {"embedding_norm.weight", "layernorm_embedding.weight"},
        {"norm.weight", "layer_norm.weight"},
        {"output.weight", "output_projection.weight"},
        {"layers.0.mixer.q.weight", "layers.0.retention.q_proj.weight"},
        {"layers.12.mixer.k.bias", "layers.12.retention.k_proj.bias"},
        {"layers.1.mixer.v.weight", "layers.1.retention.v_proj.weight"},
        {"layers.1.mixer.g.weight", "layers.1.retention.g_proj.weight"},
        {"layers.1.mixer.o.weight", "layers.1.retention.out_proj.weight"},
        {"layers.1.mixer_norm.weight", "layers.1.retention_layer_norm.weight"},
        {"layers.1.ffn_norm.weight", "layers.1.final_layer_norm.weight"},
        {"layers.1.ffn.gate.weight", "layers.1.ffn.fc1.weight"},
        {"layers.1.ffn.up.weight", "layers.1.ffn.gate.weight"},
        {"layers.1.ffn.down.weight", "layers.1.ffn.fc2.weight"},
        {"layers.1.mixer.head_norm.weight", "layers.1.mixer.head_norm.weight"},
        {"layers..mixer.q.weight", "layers..mixer.q.weight"},
        {"layers.1.weight", "layers.1.weight"},
        {"layers.1", "layers.1"},
        {"nothing", "nothing"},
    };
    rn_checkpoint *c;
    WORKS(rn_checkpoint_open(&c, TIED, err));
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(rn_checkpoint_original_name(c, rows[i][0]), rows[i][1]);
    char *giant = calloc(1, 5000);
    assert_non_null(giant);
    memset(giant, 'x', 4000);
    assert_null(rn_checkpoint_take(c, giant));
    free(giant);
    rn_checkpoint_close(c);
}

static void a_decoder_prefix_is_understood(void **state)
{
    (void)state;
    const char *path = copy_golden(TIED, "prefix");
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, in_scratch("prefix/model.safetensors"), err));
    static char names[64][96];
    rn_tensor_view views[64];
    size_t n = rn_safetensors_count(f);
    for (size_t i = 0; i < n; i++) {
        views[i] = *rn_safetensors_at(f, i);
        snprintf(names[i], sizeof names[i], "decoder.%s", views[i].name);
        views[i].name = names[i];
    }
    WORKS(rn_safetensors_write(in_scratch("prefix/model.safetensors"), views, n, NULL,
                               err));
    rn_safetensors_close(f);
    rn_checkpoint *c;
    WORKS(rn_checkpoint_open(&c, path, err));
    check_buffers(rn_checkpoint_config(c), &folders[0]);
    take_all(c, &folders[0]);
    assert_string_equal(rn_checkpoint_original_name(c, "layers.0.mixer.q.weight"),
                        "decoder.layers.0.retention.q_proj.weight");
    rn_checkpoint_close(c);
}

static void a_file_beside_its_config_is_enough(void **state)
{
    (void)state;
    rn_checkpoint *c;
    WORKS(rn_checkpoint_open(&c, TIED "/model.safetensors", err));
    take_all(c, &folders[0]);
    rn_checkpoint_close(c);
    WORKS(rn_checkpoint_open(
        &c, RN_GOLDEN "/torchscale-sharded/model.safetensors.index.json", err));
    take_all(c, &folders[1]);
    rn_checkpoint_close(c);
}

static void native_checkpoints_are_handed_on(void **state)
{
    (void)state;
    static const char *const names[] = {"angles",   "bare",        "channel", "deepnorm",
                                        "fla",      "layer-decay", "legacy",  "narrow",
                                        "official", "post-layer",  "wide-key"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[1024], file[1100];
        snprintf(path, sizeof path, "%s/%s", NATIVE, names[i]);
        snprintf(file, sizeof file, "%s/config.json", path);
        json_t *stored = json_load_file(file, 0, NULL);
        rn_checkpoint *c;
        WORKS(rn_checkpoint_open(&c, path, err));
        assert_string_equal(rn_checkpoint_dialect(c), "native");
        assert_null(rn_checkpoint_unknown_keys(c)[0]);
        const json_t *config = rn_checkpoint_config(c);
        assert_null(json_object_get(config, "format"));
        assert_null(json_object_get(config, "version"));
        json_object_del(stored, "format");
        json_object_del(stored, "version");
        assert_true(json_equal(stored, config));
        json_decref(stored);
        assert_non_null(rn_checkpoint_take(c, "embedding.weight"));
        const rn_tensor_view *q = rn_checkpoint_take(c, "layers.0.mixer.q.weight");
        assert_string_equal(q->name, "layers.0.mixer.q.weight");
        assert_string_equal(rn_checkpoint_original_name(c, "norm.weight"), "norm.weight");
        assert_non_null(rn_checkpoint_unused(c));
        rn_checkpoint_close(c);
    }
    json_t *config;
    const char *dialect;
    WORKS(rn_config_read(NATIVE "/fla/config.json", &config, &dialect, err));
    assert_string_equal(dialect, "native");
    check_text(config, "rotary", "halves");
    json_decref(config);
}

static void native_versions_are_checked(void **state)
{
    (void)state;
    const char *path = copy_golden(NATIVE "/fla", "native");
    change_config("native", "version", "2");
    FAILS(try_open(path, err), RN_EUNSUPPORTED, "config.json: version 2");
    change_config("native", "version", "\"1\"");
    FAILS(try_open(path, err), RN_EFORMAT, "version");
    change_config("native", "version", NULL);
    FAILS(try_open(path, err), RN_EFORMAT, "version");
    change_config("native", "format", "\"other\"");
    FAILS(try_open(path, err), RN_EUNSUPPORTED, "not a RetNet config");
}

/* One key changed in a good torchscale config, and what that must lead to. */
static void bad_config_values_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        rn_status status;
        const char *words;
    } rows[] = {
        {"vocab_size", NULL, RN_EFORMAT, "vocab_size is missing"},
        {"vocab_size", "null", RN_EFORMAT, "vocab_size is missing"},
        {"vocab_size", "0", RN_EFORMAT, "vocab_size is 0"},
        {"vocab_size", "-5", RN_EFORMAT, "vocab_size is -5"},
        {"vocab_size", "2147483648", RN_EFORMAT, "vocab_size is 2147483648"},
        {"vocab_size", "1.5", RN_EFORMAT, "vocab_size is not a whole number"},
        {"vocab_size", "\"211\"", RN_EFORMAT, "vocab_size is not a whole number"},
        {"decoder_layers", "65537", RN_EFORMAT, "decoder_layers is 65537"},
        {"decoder_ffn_embed_dim", "[]", RN_EFORMAT, "decoder_ffn_embed_dim"},
        {"decoder_embed_dim", "49", RN_EFORMAT,
         "decoder_embed_dim 49 is not a multiple of decoder_retention_heads 3"},
        {"decoder_value_embed_dim", "97", RN_EFORMAT,
         "decoder_value_embed_dim 97 is not a multiple of decoder_retention_heads 3"},
        {"decoder_retention_heads", "1000000", RN_EFORMAT, "decoder_retention_heads"},
        {"decoder_retention_heads", "4", RN_EFORMAT,
         "retnet_rel_pos.decay has 3 entries"},
        {"decoder_embed_dim", "96", RN_EFORMAT, "retnet_rel_pos.angle has 16 entries"},
        {"activation_fn", "\"tanh\"", RN_EUNSUPPORTED, "activation_fn tanh"},
        {"activation_fn", "3", RN_EFORMAT, "activation_fn is not a string"},
        {"layernorm_eps", "-1", RN_EFORMAT, "layernorm_eps is -1"},
        {"layernorm_eps", "\"x\"", RN_EFORMAT, "layernorm_eps is not a number"},
        {"dropout", "1.5", RN_EFORMAT, "dropout is 1.5"},
        {"deepnorm", "1", RN_EFORMAT, "deepnorm is not true or false"},
        {"moe_expert_count", "4", RN_EUNSUPPORTED, "moe_expert_count"},
        {"multiway", "true", RN_EUNSUPPORTED, "multiway"},
        {"xpos_rel_pos", "true", RN_EUNSUPPORTED, "xpos_rel_pos"},
        {"no_output_layer", "true", RN_EUNSUPPORTED, "no_output_layer"},
        {"use_glu", "3", RN_EFORMAT, "use_glu is not true or false"},
        {"pad_token_id", "211", RN_EFORMAT, "pad_token_id is 211, vocab_size is 211"},
        {"pad_token_id", "-212", RN_EFORMAT, "pad_token_id is -212"},
        {"pad_token_id", "\"x\"", RN_EFORMAT, "pad_token_id is not a whole number"},
        {"pad_token_id", "-1", RN_OK, ""},
        {"decoder_embed_dim", NULL, RN_EUNSUPPORTED, "not a RetNet config"},
        {"use_glu", "true", RN_OK, ""},
        {"activation_fn", "\"silu\"", RN_OK, ""},
        {"layernorm_eps", "1", RN_OK, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *path = copy_golden(TIED, "values");
        change_config("values", rows[i].key, rows[i].value);
        rn_error err = {RN_OK, ""};
        rn_status st = try_open(path, &err);
        if (st != rows[i].status)
            print_error("%s: %s\n", rows[i].key,
                        rows[i].value ? rows[i].value : "removed");
        check_failure(st, rows[i].status, &err, rows[i].words);
        if (st) assert_non_null(strstr(err.message, "values/config.json"));
    }
}

static void defaults_are_torchscales(void **state)
{
    (void)state;
    const char *text = "{\"decoder_embed_dim\": 8, \"decoder_value_embed_dim\": 16, "
                       "\"decoder_retention_heads\": 2, \"decoder_ffn_embed_dim\": 12, "
                       "\"decoder_layers\": 1, \"vocab_size\": 10}";
    static const folder expected = {"defaults", "gelu", "pre", "xavier", 10, 8,
                                    2,          1,      12,    4,        8,  1e-6,
                                    1,          1,      false, false};
    json_t *config;
    const char *dialect;
    WORKS(rn_config_read(put_text("default.json", text), &config, &dialect, err));
    check_translation(config, &expected);
    json_decref(config);
}

static void tied_heads_must_agree(void **state)
{
    (void)state;
    const char *path = copy_golden(TIED, "tied");
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, TIED "/model.safetensors", err));
    const rn_tensor_view *embedding = rn_safetensors_find(f, "embed_tokens.weight");
    float *values = malloc((size_t)embedding->bytes);
    assert_non_null(values);
    memcpy(values, embedding->data, (size_t)embedding->bytes);
    rn_tensor_view output = *embedding;
    output.name = "output_projection.weight";
    output.data = values;

    add_tensor("tied", &output);
    rn_checkpoint *c;
    WORKS(rn_checkpoint_open(&c, path, err));
    take_layers(c, &folders[0]);
    assert_non_null(rn_checkpoint_take(c, "embedding.weight"));
    assert_non_null(rn_checkpoint_take(c, "norm.weight"));
    assert_null(rn_checkpoint_unused(c));
    rn_checkpoint_close(c);

    values[9001] += 1;
    add_tensor("tied", &output);
    FAILS(try_open(path, err), RN_EFORMAT,
          "output_projection.weight and embed_tokens.weight differ in element 9001");
    output.shape[0] = 48;
    output.shape[1] = 211;
    add_tensor("tied", &output);
    FAILS(try_open(path, err), RN_EFORMAT, "different shapes");
    output.shape[0] = 211;
    output.shape[1] = 48;
    output.dtype = RN_DTYPE_I32;
    add_tensor("tied", &output);
    FAILS(try_open(path, err), RN_EUNSUPPORTED,
          "tied/config.json: tensor output_projection.weight: I32");
    free(values);
    rn_safetensors_close(f);
}

static void damaged_buffers_are_named(void **state)
{
    (void)state;
    const char *path = copy_golden(TIED, "buffers");
    float angle[16] = {1, 1, 0.5f, 0.5f}, decay[3] = {-0.1f, -0.2f, -0.3f};
    rn_tensor_view a = {
        .name = "retnet_rel_pos.angle", .dims = 1, .shape = {16}, .data = angle};
    rn_tensor_view d = {
        .name = "retnet_rel_pos.decay", .dims = 1, .shape = {3}, .data = decay};
    add_tensor("buffers", &a);
    add_tensor("buffers", &d);
    WORKS(try_open(path, err));
    angle[5] = 1;
    add_tensor("buffers", &a);
    FAILS(try_open(path, err), RN_EFORMAT, "retnet_rel_pos.angle: entries 4 and 5");
    angle[4] = angle[5] = (float)INFINITY;
    add_tensor("buffers", &a);
    FAILS(try_open(path, err), RN_EFORMAT, "retnet_rel_pos.angle: entries 4 and 5");
    a.data = NULL;
    add_tensor("buffers", &a);
    WORKS(try_open(path, err));
    static const float bad[] = {0.5f, -1000.0f, (float)NAN, (float)INFINITY};
    for (size_t i = 0; i < COUNT(bad); i++) {
        decay[1] = bad[i];
        add_tensor("buffers", &d);
        FAILS(try_open(path, err), RN_EFORMAT, "retnet_rel_pos.decay: entry 1");
    }
    d.dims = 2;
    d.shape[1] = 1;
    add_tensor("buffers", &d);
    FAILS(try_open(path, err), RN_EFORMAT, "in 2 dimensions");
    d.dims = 1;
    d.dtype = RN_DTYPE_I32;
    add_tensor("buffers", &d);
    FAILS(try_open(path, err), RN_EUNSUPPORTED,
          "buffers/config.json: tensor retnet_rel_pos.decay: I32");
}

static void missing_and_damaged_files_are_named(void **state)
{
    (void)state;
    FAILS(try_open(in_scratch("nowhere"), err), RN_ENOTFOUND, "nowhere");
    WORKS(rn_make_folder(in_scratch("files"), err));
    const char *path = in_scratch("files");
    FAILS(try_open(path, err), RN_ENOTFOUND, "files/config.json");
    path = copy_golden(TIED, "files");
    assert_int_equal(unlink(in_scratch("files/model.safetensors")), 0);
    FAILS(try_open(path, err), RN_ENOTFOUND, "neither model.safetensors nor");
    put_text("files/model.safetensors", "");
    FAILS(try_open(path, err), RN_EFORMAT, "files/model.safetensors");
    static const char *const configs[] = {"",        "{", "[]", "3", "{\"a\":1,\"a\":2}",
                                          "\xff\xfe"};
    for (size_t i = 0; i < COUNT(configs); i++) {
        put_text("files/config.json", configs[i]);
        FAILS(try_open(path, err), RN_EFORMAT, "files/config.json");
        json_t *config;
        const char *dialect;
        FAILS(rn_config_read(path, &config, &dialect, err), RN_EFORMAT,
              "files/config.json");
    }
}

static void indexes_are_checked(void **state)
{
    (void)state;
    const char *sharded = RN_GOLDEN "/torchscale-sharded";
    const char *path = copy_golden(sharded, "index");
    const char *file = "index/model.safetensors.index.json";
    assert_int_equal(unlink(in_scratch("index/model-00002-of-00002.safetensors")), 0);
    FAILS(try_open(path, err), RN_ENOTFOUND, "model-00002-of-00002.safetensors");
    path = copy_golden(sharded, "index");
    size_t size;
    char *good = get_bytes(in_scratch(file), &size);
    static const struct {
        const char *from, *to, *words;
    } rows[] = {
        {"weight_map", "weight_mop", "no weight_map"},
        {"\"weight_map\": {", "\"weight_map\": [ {", "line"},
        {"00001-of-00002", "00003-of-00002", "model-00003-of-00002"},
        {"layer_norm.weight\": \"model-00001", "layer_norm.weight\": \"model-00002",
         "layer_norm.weight is not in model-00002"},
        {"\"layer_norm.weight\"", "\"layer_nerm.weight\"", "layer_nerm.weight is not in"},
        {"\"layer_norm.weight\": \"model-00001-of-00002.safetensors\",", "",
         "layer_norm.weight of model-00001-of-00002.safetensors is not listed"},
        {"\"model-00001", "\"../index/model-00001", "not a file's name"},
        {"\"model-00001-of-00002.safetensors\"", "7", "not a file's name"},
        {"\"model-00001-of-00002.safetensors\"", "\"\"", "not a file's name"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *at = strstr(good, rows[i].from);
        assert_non_null(at);
        char *bad = malloc(size + 100);
        assert_non_null(bad);
        snprintf(bad, size + 100, "%.*s%s%s", (int)(at - good), good, rows[i].to,
                 at + strlen(rows[i].from));
        put_text(file, bad);
        free(bad);
        rn_error err = {RN_OK, ""};
        rn_status st = try_open(path, &err);
        bool missing = !strcmp(rows[i].words, "model-00003-of-00002");
        check_failure(st, missing ? RN_ENOTFOUND : RN_EFORMAT, &err, rows[i].words);
    }
    for (size_t n = 0; n < size; n += 37) {
        put_bytes(file, good, n);
        FAILS(try_open(path, err), RN_EFORMAT, "model.safetensors.index.json");
    }
    put_text(file, good);
    WORKS(try_open(path, err));
    free(good);
}

static void other_models_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *words;
    } rows[] = {
        {"{\"qk_dim\": 64, \"model_type\": \"retnet\"}", "syncdoth's first layout"},
        {"{\"hidden_size\": 64, \"model_type\": \"llama\"}", "not a RetNet config"},
        {"{\"hidden_size\": 64}", "not a RetNet config"},
        {"{\"model_type\": \"retnet\"}", "not a RetNet config"},
        {"{}", "not a RetNet config"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *config;
        const char *dialect;
        const char *path = put_text("other.json", rows[i].config);
        FAILS(rn_config_read(path, &config, &dialect, err), RN_EUNSUPPORTED,
              rows[i].words);
    }
    const char *path = copy_golden(TIED, "blocks");
    static const float qkv[48];
    rn_tensor_view t = {
        .name = "model.blocks.0.msr.qkv.weight", .dims = 1, .shape = {48}, .data = qkv};
    add_tensor("blocks", &t);
    FAILS(try_open(path, err), RN_EUNSUPPORTED, "syncdoth's first layout");
}

/* Decays by another rule are taken where they are stored, and refused elsewhere. */
static void another_decay_rule_needs_its_buffer(void **state)
{
    (void)state;
    const char *path = copy_golden(TIED, "lm_decay");
    json_t *config;
    const char *dialect;
    change_config("lm_decay", "use_lm_decay", "true");
    WORKS(try_open(path, err));
    FAILS(rn_config_read(path, &config, &dialect, err), RN_EUNSUPPORTED, "use_lm_decay");
    add_tensor("lm_decay", &(rn_tensor_view){.name = "retnet_rel_pos.decay"});
    FAILS(try_open(path, err), RN_EUNSUPPORTED, "use_lm_decay");
    change_config("lm_decay", "use_lm_decay", "false");
    WORKS(try_open(path, err));
}

static void unknown_keys_are_listed(void **state)
{
    (void)state;
    const char *path = copy_golden(TIED, "keys");
    change_config("keys", "rms_norm_eps", "1e-6");
    change_config("keys", "share_conv_kernel", "true");
    change_config("keys", "share_decoder_input_output_embed", "false");
    change_config("keys", "tie_word_embeddings", "true");
    rn_checkpoint *c;
    WORKS(rn_checkpoint_open(&c, path, err));
    check_bool(rn_checkpoint_config(c), "tied", true);
    const char *const *keys = rn_checkpoint_unknown_keys(c);
    assert_string_equal(keys[0], "rms_norm_eps");
    assert_string_equal(keys[1], "share_conv_kernel");
    assert_null(keys[2]);
    rn_checkpoint_close(c);

    json_t *config, *unknown;
    const char *dialect;
    WORKS(rn_config_read_keys(path, &config, &unknown, &dialect, err));
    assert_int_equal(json_array_size(unknown), 2);
    check_text(config, "mixer", "retention");
    json_decref(config);
    json_decref(unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torchscale_configs_are_translated),
        cmocka_unit_test(torchscale_checkpoints_are_whole),
        cmocka_unit_test(names_are_told_in_the_files_own_words),
        cmocka_unit_test(a_decoder_prefix_is_understood),
        cmocka_unit_test(a_file_beside_its_config_is_enough),
        cmocka_unit_test(native_checkpoints_are_handed_on),
        cmocka_unit_test(native_versions_are_checked),
        cmocka_unit_test(bad_config_values_are_named),
        cmocka_unit_test(defaults_are_torchscales),
        cmocka_unit_test(tied_heads_must_agree),
        cmocka_unit_test(damaged_buffers_are_named),
        cmocka_unit_test(missing_and_damaged_files_are_named),
        cmocka_unit_test(indexes_are_checked),
        cmocka_unit_test(other_models_are_refused),
        cmocka_unit_test(another_decay_rule_needs_its_buffer),
        cmocka_unit_test(unknown_keys_are_listed),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

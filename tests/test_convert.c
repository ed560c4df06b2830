/* Conversions: tensors and meaning there and back, what each layout refuses and what it
   loses when told to, that the other programs' names, shapes and keys are met, and that
   nothing half-made is left. Then the program. */
#define _XOPEN_SOURCE 700
#include "checkpoint_fixture.h"
#include "exec_fixture.h"

#include "child.h"

#include "formats/gguf.h"
#include "retnet/convert.h"
#include "retnet/eval.h"
#include "retnet/quantize.h"

#include <math.h>

/* A new name in the folder for each use. */
static const char *fresh(void)
{
    static unsigned count;
    static char names[200][1100];
    assert_true(count < COUNT(names));
    snprintf(names[count], sizeof names[0], "%s/out%u", scratch, count);
    return names[count++];
}

static char told[2000];
static void tell(void *user, const char *what)
{
    assert_ptr_equal(user, told);
    strncat(told, what, sizeof told - strlen(told) - 2);
    strcat(told, "\n");
}

static rn_status convert(const char *in, const char *out, const char *to, bool lossy,
                         rn_convert_report *report, rn_error *err)
{
    rn_convert_options how = {.to = to, .lossy = lossy, .lost = tell, .user = told};
    told[0] = '\0';
    return rn_convert(in, out, &how, report, err);
}

static rn_safetensors *open_tensors(const char *folder)
{
    char path[1200];
    rn_safetensors *f;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    WORKS(rn_safetensors_open(&f, path, err));
    return f;
}

/* Bytes of all tensors of a folder, or of a GGUF file. */
static uint64_t tensor_bytes(const char *path)
{
    uint64_t bytes = 0;
    if (rn_gguf_is(path)) {
        rn_gguf *f;
        WORKS(rn_gguf_open(&f, path, err));
        for (size_t i = 0; i < rn_gguf_count(f); i++) bytes += rn_gguf_at(f, i)->bytes;
        rn_gguf_close(f);
    } else {
        rn_safetensors *f = open_tensors(path);
        for (size_t i = 0; i < rn_safetensors_count(f); i++)
            bytes += rn_safetensors_at(f, i)->bytes;
        rn_safetensors_close(f);
    }
    return bytes;
}

/* Converts without loss into a new folder. */
static const char *exactly(const char *in, const char *to)
{
    rn_convert_report report;
    const char *out = fresh();
    WORKS(convert(in, out, to, false, &report, err));
    assert_int_equal(report.lossy, 0);
    assert_true(report.tensors > 0);
    assert_int_equal(report.bytes_out, tensor_bytes(out));
    assert_string_equal(told, "");
    return out;
}

static const char *with_losses(const char *in, const char *to, size_t count)
{
    rn_convert_report report;
    const char *out = fresh();
    WORKS(convert(in, out, to, true, &report, err));
    if (report.lossy != count) fail_msg("%zu losses: %s", report.lossy, told);
    assert_int_equal(report.bytes_out, tensor_bytes(out));
    return out;
}

static rn_model *open_model(const char *path)
{
    rn_model *m;
    rn_error err;
    if (rn_model_open(&m, exec, path, &err)) fail_msg("%s", err.message);
    return m;
}

/* A random model of a few heads, saved as a native folder. */
static const char *save_model(const char *const *settings, size_t count)
{
    rn_model *m;
    const char *path = fresh();
    rn_model_source source = {
        .config_json = "{\"vocab_size\": 23, \"width\": 24, \"layers\": 2, \"heads\": 3,"
                       " \"value_dim\": 12, \"ffn_width\": 40, \"norm_eps\": 1e-5,"
                       " \"tied\": false}",
        .settings = settings,
        .settings_count = count};
    WORKS(rn_model_create(&m, exec, &source, 9, err));
    for (size_t i = 0; i < rn_model_tensor_count(m); i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        for (size_t e = 0; t.dims == 1 && e < t.shape[0]; e++)
            t.data[e] += 0.01f * (float)((e * 7 + i) % 11); /* no ones and zeros */
    }
    WORKS(rn_model_save(m, path, err));
    rn_model_free(m);
    return path;
}

#define SAVE(...)                                                                        \
    save_model((const char *const[]){__VA_ARGS__},                                       \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define FLA_LIKE "rotary=halves", "head_norm_weight=shared", "row_norm=none"

static double loss_at(const char *path, rn_row_norm norm)
{
    const int32_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};
    rn_model *m = open_model(path);
    rn_eval_options how = {.form = RN_FORM_RECURRENT, .row_norm = norm};
    rn_eval_result result;
    rn_error err;
    if (rn_eval_ids(m, ids, 1, COUNT(ids), &how, NULL, &result, &err))
        fail_msg("%s", err.message);
    rn_model_free(m);
    return result.loss;
}

static void check_loss(const char *a, const char *b, double allowed)
{
    double x = loss_at(a, RN_ROW_NORM_AUTO), y = loss_at(b, RN_ROW_NORM_AUTO);
    if (!(fabs(x - y) <= allowed)) fail_msg("%s: %.9g, %s: %.9g", a, x, b, y);
}

/* Every tensor of `a` is in `b`, byte for byte, and of the same type and shape. */
static void check_tensors(const char *a, const char *b)
{
    rn_safetensors *x = open_tensors(a), *y = open_tensors(b);
    assert_int_equal(rn_safetensors_count(x), rn_safetensors_count(y));
    for (size_t i = 0; i < rn_safetensors_count(x); i++) {
        const rn_tensor_view *t = rn_safetensors_at(x, i);
        const rn_tensor_view *u = rn_safetensors_find(y, t->name);
        if (!u || u->dtype != t->dtype || u->dims != t->dims ||
            memcmp(u->shape, t->shape, sizeof t->shape) || u->bytes != t->bytes ||
            memcmp(u->data, t->data, (size_t)t->bytes))
            fail_msg("%s differs", t->name);
    }
    rn_safetensors_close(x);
    rn_safetensors_close(y);
}

static json_t *config_at(const char *folder)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/config.json", folder);
    json_t *config = json_load_file(path, 0, NULL);
    assert_non_null(config);
    return config;
}

/* The keys of both configs that both have are equal. */
static void check_configs(const char *a, const char *b, size_t at_least)
{
    json_t *x = config_at(a), *y = config_at(b), *value;
    const char *key;
    size_t same = 0;
    json_object_foreach(x, key, value)
    {
        json_t *other = json_object_get(y, key);
        bool numbers = json_is_number(value) && json_is_number(other);
        bool equal = numbers ? json_number_value(value) == json_number_value(other)
                             : json_equal(value, other);
        if (other && !equal) fail_msg("%s differs", key);
        same += other != NULL;
    }
    if (same < at_least) fail_msg("%zu keys in common", same);
    json_decref(x);
    json_decref(y);
}

/* ---- there and back ---- */

static void native_and_fla(void **state)
{
    (void)state;
    const char *const models[] = {
        SAVE(FLA_LIKE),
        SAVE(FLA_LIKE, "tied=true", "pad_token=4"),
        SAVE(FLA_LIKE, "heads=4", "kv_heads=2", "key_dim=6", "value_dim=10"),
        SAVE("rotary=halves", "row_norm=none", "output_gate=false"),
        SAVE(FLA_LIKE, "output_gate=false"),
    };
    for (size_t i = 0; i < COUNT(models); i++) {
        const char *fla = exactly(models[i], "hf-fla"), *back = exactly(fla, "native");
        check_tensors(models[i], back);
        check_loss(models[i], fla, 0);
        json_t *a = config_at(models[i]), *b = config_at(back);
        json_object_del(a, "init");
        json_object_del(b, "init");
        if (!json_equal(a, b)) fail_msg("config of model %zu", i);
        json_decref(a);
        json_decref(b);
    }
}

static void torchscale_and_native(void **state)
{
    (void)state;
    static const char *const folders[] = {
        RN_GOLDEN "/torchscale-tied", RN_GOLDEN "/torchscale-deepnorm",
        RN_GOLDEN "/torchscale-official-init", RN_GOLDEN "/legacy-2023"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        const char *back = exactly(exactly(folders[i], "native"), "torchscale");
        check_tensors(folders[i], back);
        copy_golden(folders[i], "original");
        change_config("original", "recurrent_chunk_size", "512"); /* not the model's */
        check_configs(in_scratch("original"), back, 16);
        check_loss(folders[i], back, 0);
        check_configs(folders[i], exactly(folders[i], "torchscale"), 24);
    }
    const char *shards = exactly(RN_GOLDEN "/torchscale-sharded", "torchscale");
    check_tensors(folders[0], shards);
}

static void types_are_kept(void **state)
{
    (void)state;
    const char *back = exactly(exactly(RN_GOLDEN "/fla-bf16", "native"), "hf-fla");
    check_tensors(RN_GOLDEN "/fla-bf16", back);
    json_t *config = config_at(back);
    assert_string_equal(json_string_value(json_object_get(config, "torch_dtype")),
                        "bfloat16");
    json_decref(config);
}

/* The fused layout comes back split. */
static void fused_becomes_split(void **state)
{
    (void)state;
    const char *split = exactly(RN_GOLDEN "/fla-fused-mlp", "hf-fla");
    rn_safetensors *f = open_tensors(split),
                   *whole = open_tensors(RN_GOLDEN "/fla-fused-mlp");
    const rn_tensor_view *gate =
        rn_safetensors_find(f, "model.layers.2.mlp.gate_proj.weight");
    const rn_tensor_view *up =
        rn_safetensors_find(f, "model.layers.2.mlp.up_proj.weight");
    const rn_tensor_view *both =
        rn_safetensors_find(whole, "model.layers.2.mlp.gate_proj.weight");
    assert_true(gate->shape[0] == 72 && up->shape[0] == 72);
    assert_memory_equal(gate->data, both->data, (size_t)gate->bytes);
    assert_memory_equal(up->data, (const char *)both->data + gate->bytes,
                        (size_t)up->bytes);
    rn_safetensors_close(f);
    rn_safetensors_close(whole);
    check_loss(RN_GOLDEN "/fla-fused-mlp", split, 0);
    check_configs(RN_GOLDEN "/fla-fused-mlp", split, 26);
}

static void the_roles_of_the_gate(void **state)
{
    (void)state;
    rn_safetensors *a = open_tensors(RN_GOLDEN "/torchscale-tied");
    rn_safetensors *b =
        open_tensors(with_losses(RN_GOLDEN "/torchscale-tied", "hf-fla", 3));
    static const char *const pairs[][2] = {
        {"layers.1.ffn.fc1.weight", "model.layers.1.mlp.gate_proj.weight"},
        {"layers.1.ffn.gate.weight", "model.layers.1.mlp.up_proj.weight"},
        {"layers.1.ffn.fc2.weight", "model.layers.1.mlp.down_proj.weight"},
        {"layers.1.retention.v_proj.weight", "model.layers.1.attn.v_proj.weight"},
        {"embed_tokens.weight", "lm_head.weight"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        const rn_tensor_view *x = rn_safetensors_find(a, pairs[i][0]);
        const rn_tensor_view *y = rn_safetensors_find(b, pairs[i][1]);
        assert_memory_equal(x->data, y->data, (size_t)x->bytes);
    }
    const float *x = rn_safetensors_find(a, "embed_tokens.weight")->data;
    const float *y = rn_safetensors_find(b, "model.embeddings.weight")->data;
    for (size_t i = 0; i < 100; i++)
        assert_true(fabs((double)y[i] / (double)x[i] / sqrt(48) - 1) < 1e-6);
    assert_string_equal(rn_safetensors_metadata(b, "format"), "pt");
    rn_safetensors_close(a);
    rn_safetensors_close(b);
}

/* torchscale to fla is exact only when its angles are fla's (and eps does not show). */
static void exact_when_the_angles_agree(void **state)
{
    (void)state;
    const char *other = SAVE("row_norm=none", "heads=2", "value_dim=6");
    FAILS(convert(other, fresh(), "hf-fla", false, NULL, err), RN_EUNSUPPORTED,
          "angles: pair 1");
    char angles[200];
    snprintf(angles, sizeof angles, "angles=[1,%.9g,%.9g,%.9g,%.9g,%.9g]",
             pow(10000, -2.0 / 12), pow(10000, -4.0 / 12), pow(10000, -6.0 / 12),
             pow(10000, -8.0 / 12), pow(10000, -10.0 / 12));
    const char *same = SAVE("row_norm=none", "heads=2", "value_dim=6", angles);
    const char *fla = exactly(same, "hf-fla");
    check_loss(same, fla, 2e-6);
    double moved =
        fabs(loss_at(other, RN_ROW_NORM_AUTO) - loss_at(fla, RN_ROW_NORM_AUTO));
    assert_true(moved > 1e-5);
    check_tensors(exactly(fla, "native"), exactly(fla, "native"));
    /* and back: pairs side by side again */
    const char *native = with_losses(fla, "torchscale", 1);
    assert_non_null(strstr(told, "row_norm"));
    double want = loss_at(same, RN_ROW_NORM_NONE),
           got = loss_at(native, RN_ROW_NORM_NONE);
    assert_true(fabs(want - got) < 2e-6);
}

static void without_eps_normalisers_do_not_show(void **state)
{
    (void)state;
    const char *narrow = SAVE("heads=12", "value_dim=4", "norm_eps=0"); /* dk = 2 */
    const char *fla = exactly(narrow, "hf-fla");
    check_loss(narrow, fla, 2e-6);
    const char *back = exactly(fla, "torchscale");
    check_loss(narrow, back, 2e-6);
}

/* ---- refusals and losses ---- */

static void each_obstacle_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *to, *setting, *words;
        size_t losses; /* 0: not even lossy */
    } rows[] = {
        {"hf-fla", "ffn=plain", "ffn is not gated", 0},
        {"hf-fla", "ffn_norm=true", "ffn_norm is true", 0},
        {"hf-fla", "activation=gelu", "activation is not swish", 0},
        {"hf-fla", "bias=true", "there are biases", 0},
        {"hf-fla", "ffn_bias=all", "there are biases", 0},
        {"hf-fla", "norm=layer", "norm is not rms", 0},
        {"hf-fla", "norm_position=post", "norm_position is not pre", 0},
        {"hf-fla", "head_norm=group", "head_norm is not rms", 0},
        {"hf-fla", "rotary=none", "rotary is none", 0},
        {"hf-fla", "row_norm=decay", "row_norm", 1},
        {"hf-fla", "decays=0.5,0.7,0.9", "decays: head 0 has 0.5, fla's 0.96875", 1},
        {"hf-fla", "angles=1,0.5,0.25,0.1", "angles: pair 1 turns by 0.5", 1},
        {"hf-fla", "embedding_scale=2", "embedding_scale 2", 1},
        {"hf-fla", "embedding_norm=true", "embedding_norm true", 1},
        {"hf-fla", "residual_scale=1.5", "residual_scale 1.5", 1},
        {"hf-fla", "head_norm_weight=channel", "head_norm_weight", 1},
        {"hf-fla", "dropout=0.1", "dropout 0.1", 1},
        {"torchscale", "output_gate=false", "output_gate is false", 0},
        {"torchscale", "key_dim=6", "heads * key_dim is not width", 0},
        {"torchscale", "ffn=plain", "ffn is not gated", 0},
        {"torchscale", "ffn_bias=all", "there are biases", 0},
        {"torchscale", "head_norm=group", "head_norm is not rms", 0},
        {"torchscale", "norm=layer", "ffn is gated, and norm is layer", 0},
        {"torchscale", "row_norm=none", "row_norm", 2},
        {"torchscale", "embedding_scale=2", "embedding_scale 2", 2},
        {"torchscale", "residual_scale=1.5", "residual_scale 1.5 becomes 1.41421", 2},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool fla = !strcmp(rows[i].to, "hf-fla");
        const char *in =
            fla ? SAVE(FLA_LIKE, rows[i].setting)
                : SAVE("head_norm_weight=shared", "row_norm=auto", rows[i].setting);
        const char *out = fresh();
        rn_error why = {RN_OK, ""};
        rn_convert_report report;
        rn_status st = convert(in, out, rows[i].to, rows[i].losses > 0, &report, &why);
        if (rows[i].losses) {
            if (st) fail_msg("%s: %s", rows[i].setting, why.message);
            if (!strstr(told, rows[i].words)) fail_msg("%s", told);
            assert_int_equal(report.lossy, rows[i].losses);
            loss_at(out, RN_ROW_NORM_AUTO);
            FAILS(convert(in, fresh(), rows[i].to, false, NULL, err), RN_EUNSUPPORTED,
                  in);
        } else {
            check_failure(st, RN_EUNSUPPORTED, &why, rows[i].words);
            assert_false(rn_path_exists(out));
        }
    }
}

/* What is multiplied into weights computes the same but for rounding. */
static void lost_factors_are_folded(void **state)
{
    (void)state;
    const char *const models[] = {
        SAVE(FLA_LIKE, "embedding_scale=3"),
        SAVE(FLA_LIKE, "embedding_scale=3", "tied=true"),
        SAVE(FLA_LIKE, "embedding_norm=true", "embedding_scale=2", "tied=true"),
        SAVE("rotary=halves", "row_norm=none", "head_norm_weight=channel"),
    };
    for (size_t i = 0; i < COUNT(models); i++)
        check_loss(models[i], with_losses(models[i], "hf-fla", 1), 2e-6);
    const char *grouped =
        SAVE("heads=4", "kv_heads=2", "key_dim=6", "head_norm_weight=shared");
    double got = loss_at(with_losses(grouped, "torchscale", 3), RN_ROW_NORM_NONE);
    assert_true(fabs(got - loss_at(grouped, RN_ROW_NORM_NONE)) < 2e-6);
}

static void blocks_stay_at_home(void **state)
{
    (void)state;
    const char *in =
        SAVE("width=32", "heads=2", "value_dim=32", "ffn_width=64", FLA_LIKE);
    const char *small = fresh();
    rn_quantize_options how = {.type = RN_WEIGHT_Q8_0, .threads = 1};
    WORKS(rn_quantize(in, small, &how, NULL, err));
    check_tensors(small, exactly(small, "native"));
    FAILS(convert(small, fresh(), "hf-fla", false, NULL, err), RN_EUNSUPPORTED, "Q8_0");
    check_loss(small, with_losses(small, "hf-fla", 1), 1e-6);
}

/* A copy of a GGUF file of width 32 with its last norm in one Q8_0 block. */
static const char *with_norm_in_a_block(const char *from)
{
    static rn_tensor_view views[96];
    float numbers[32];
    unsigned char block[34];
    rn_gguf *f;
    rn_gguf_meta meta = {0};
    rn_gguf_writer *w;
    const char *out = fresh(), *key;
    const rn_gguf_value *value;
    WORKS(rn_gguf_open(&f, from, err));
    for (size_t i = 0; rn_gguf_pair_at(f, i, &key, &value); i++)
        rn_gguf_put_copy(&meta, key, value);
    size_t count = rn_gguf_count(f);
    assert_in_range(count, 1, COUNT(views));
    for (size_t i = 0; i < count; i++) {
        views[i] = *rn_gguf_at(f, i);
        if (strcmp(views[i].name, "output_norm.weight")) continue;
        WORKS(rn_tensor_floats(&views[i], 0, 32, numbers, err));
        rn_weight_encode(RN_WEIGHT_Q8_0, block, numbers, 32);
        views[i].dtype = RN_DTYPE_Q8_0;
        views[i].data = block;
        views[i].bytes = sizeof block;
    }
    WORKS(rn_gguf_writer_open(&w, out, &meta, views, count, err));
    for (size_t i = 0; i < count; i++)
        WORKS(rn_gguf_writer_put(w, views[i].data, (size_t)views[i].bytes, err));
    WORKS(rn_gguf_writer_commit(w, err));
    rn_gguf_meta_free(&meta);
    rn_gguf_close(f);
    return out;
}

/* GGUF may have vectors in blocks: elsewhere they are float32, number by number. */
static void vectors_leave_their_blocks(void **state)
{
    (void)state;
    const char *plain = exactly(
        SAVE("width=32", "heads=2", "value_dim=32", "ffn_width=64", FLA_LIKE), "gguf");
    const char *in = with_norm_in_a_block(plain);
    double loss = loss_at(in, RN_ROW_NORM_AUTO);
    assert_true(loss != loss_at(plain, RN_ROW_NORM_AUTO));
    check_loss(in, exactly(in, "native"), 0);
    check_loss(in, exactly(in, "gguf"), 0);
    FAILS(convert(in, fresh(), "hf-fla", false, NULL, err), RN_EUNSUPPORTED,
          "blocks: tensor output_norm.weight is Q8_0 and becomes F32");
    check_loss(in, with_losses(in, "hf-fla", 1), 0);
}

/* Whole numbers are no weights, whatever their shape: nothing is made of them. */
static void integers_are_no_weights(void **state)
{
    (void)state;
    static const int32_t numbers[23 * 24];
    static const char *const layouts[] = {"native", "hf-fla", "torchscale", "gguf"};
    const char *in = copy_golden(SAVE(FLA_LIKE), "integers"), *out = fresh();
    const char *words = "integers: tensor embedding.weight: I32, expected F32,";
    const rn_tensor_view added = {.name = "embedding.weight",
                                  .dtype = RN_DTYPE_I32,
                                  .dims = 2,
                                  .shape = {23, 24},
                                  .data = numbers};
    add_tensor("integers", &added);
    for (size_t i = 0; i < COUNT(layouts); i++)
        FAILS(convert(in, out, layouts[i], true, NULL, err), RN_EUNSUPPORTED, words);
    rn_quantize_options how = {.type = RN_WEIGHT_Q8_0};
    FAILS(rn_quantize(in, out, &how, NULL, err), RN_EUNSUPPORTED, words);
    rn_model *m;
    FAILS(rn_model_inspect(&m, in, err), RN_EUNSUPPORTED, words);
    FAILS(rn_model_open(&m, exec, in, err), RN_EUNSUPPORTED, words);
    assert_false(rn_path_exists(out));
}

/* ---- the folder ---- */

static void side_files_and_ids(void **state)
{
    (void)state;
    const char *in = copy_golden(RN_GOLDEN "/fla-bf16", "sides");
    put_text("sides/tokenizer.json", "{\"a\": 1}");
    put_text("sides/generation_config.json", "{}");
    put_text("sides/notes.txt", "not ours");
    change_config("sides", "eos_token_id", "[2, 7]");
    const char *out = exactly(in, "hf-fla");
    char path[1200];
    snprintf(path, sizeof path, "%s/notes.txt", out);
    assert_false(rn_path_exists(path));
    snprintf(path, sizeof path, "%s/tokenizer.json", out);
    size_t size;
    char *text = get_bytes(path, &size);
    assert_string_equal(text, "{\"a\": 1}");
    free(text);
    check_configs(in, out, 26);
}

static json_int_t id_in(const char *folder, const char *key)
{
    json_t *config = config_at(folder);
    json_t *id = json_object_get(config, key);
    json_int_t found = json_is_integer(id) ? json_integer_value(id) : -1;
    json_decref(config);
    return found;
}

/* By way of GGUF, which has them outside its config, and without generation_config.json.
 */
static void ids_of_tokens_come_back(void **state)
{
    (void)state;
    copy_golden(RN_GOLDEN "/fla-bf16", "tokens");
    change_config("tokens", "bos_token_id", "5");
    change_config("tokens", "eos_token_id", "7");
    const char *gguf = exactly(in_scratch("tokens"), "gguf");
    const char *back[] = {exactly(gguf, "hf-fla"), with_losses(gguf, "torchscale", 2)};
    for (size_t i = 0; i < COUNT(back); i++) {
        assert_int_equal(id_in(back[i], "bos_token_id"), 5);
        assert_int_equal(id_in(back[i], "eos_token_id"), 7);
    }
    change_config("tokens", "bos_token_id", "null");
    back[0] = exactly(exactly(in_scratch("tokens"), "gguf"), "hf-fla");
    assert_int_equal(id_in(back[0], "bos_token_id"), -1);
    assert_int_equal(id_in(back[0], "eos_token_id"), 7);
}

/* A key that nobody knows is told before it is dropped, to every layout. */
static void unknown_keys_are_told(void **state)
{
    (void)state;
    static const char *const layouts[] = {"native", "hf-fla", "torchscale", "gguf"};
    const char *in = copy_golden(RN_GOLDEN "/fla-bf16", "keys");
    change_config("keys", "share_conv_kernel", "true");
    change_config("keys", "rms_norm_eps", "1e-5");
    const char *keys = "share_conv_kernel\nrms_norm_eps\n";
    for (size_t i = 0; i < COUNT(layouts); i++) {
        rn_convert_options how = {
            .to = layouts[i], .lossy = true, .unknown_key = tell, .user = told};
        told[0] = '\0';
        WORKS(rn_convert(in, fresh(), &how, NULL, err));
        assert_string_equal(told, keys);
    }
    rn_quantize_options small = {
        .type = RN_WEIGHT_Q8_0, .unknown_key = tell, .user = told};
    told[0] = '\0';
    WORKS(rn_quantize(in, fresh(), &small, NULL, err));
    assert_string_equal(told, keys);
    child runs[] = {RUN("convert", in, fresh(), "--to", "native"),
                    RUN("quantize", in, fresh(), "--type", "bf16")};
    for (size_t i = 0; i < COUNT(runs); i++) {
        assert_int_equal(runs[i].code, 0);
        assert_non_null(strstr(runs[i].err, "retnet: warning: "));
        assert_non_null(strstr(runs[i].err, "keys: config key 'share_conv_kernel' is "
                                            "unknown and ignored\n"));
        child_free(&runs[i]);
    }
    child c = RUN("convert", in, fresh(), "--to", "native", "--quiet");
    check_done(&c);
    child_free(&c);
}

static bool stop(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    assert_true(done <= total);
    return true;
}

static void nothing_half_made(void **state)
{
    (void)state;
    const char *in = RN_GOLDEN "/fla-bf16", *out = fresh();
    in_scratch("there");
    WORKS(rn_make_folder(in_scratch("there"), err));
    size_t before = entries(scratch);
    FAILS(convert(in, in_scratch("there"), "native", false, NULL, err), RN_EEXIST,
          "exists already");
    FAILS(convert(in, out, "pickle", false, NULL, err), RN_EINVAL, "\"pickle\"");
    FAILS(convert(in, out, NULL, false, NULL, err), RN_EINVAL, "no layout");
    FAILS(convert(in_scratch("nowhere"), out, "native", false, NULL, err), RN_ENOTFOUND,
          "nowhere");
    rn_convert_options how = {.to = "native", .progress = stop};
    FAILS(rn_convert(in, out, &how, NULL, err), RN_EINTERRUPTED, "interrupted");
    FAILS(convert(in, in_scratch("no/where/out"), "native", false, NULL, err),
          RN_ENOTFOUND, "no/where");
    assert_int_equal(entries(scratch), before);
}

static void program(void **state)
{
    (void)state;
    const char *in = RN_GOLDEN "/fla-bf16", *out = fresh();
    child c = RUN("convert", in, out, "--to", "native", "--json");
    if (c.code) fail_msg("%s", c.err);
    json_t *o = child_json(&c);
    assert_true(json_number(o, "tensors") == 25);
    assert_true(json_number(o, "lossy") == 0);
    assert_true(json_number(o, "bytes_out") == 149376);
    json_decref(o);
    child_free(&c);
    c = RUN("convert", in, out, "--to", "native");
    check_refused(&c, 1, "exists already");
    child_free(&c);
    c = RUN("convert", in, fresh());
    check_refused(&c, 2, "--to LAYOUT is missing");
    child_free(&c);
    static const char *const idle[] = {"--threads=1", "--cpu=ref", "--device=cpu",
                                       "--seed=1"};
    for (size_t i = 0; i < COUNT(idle); i++) {
        c = RUN("convert", in, fresh(), "--to", "native", idle[i]);
        check_refused(&c, 2, "unknown option");
        child_free(&c);
    }
    c = RUN("convert", in, fresh(), "--to", "torchscale");
    check_refused(&c, 1, "head_norm_weight");
    child_free(&c);
    c = RUN("convert", in, fresh(), "--to", "torchscale", "--lossy");
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.err, "lost: row_norm"));
    assert_non_null(strstr(c.out, "2 things are not the same"));
    child_free(&c);
}

/* The program's gradients of a fused layout have its shapes. */
static void program_gradients_of_a_fused_layout(void **state)
{
    (void)state;
    const char *in = RN_GOLDEN "/fla-fused-mlp", *file = in_scratch("grads");
    child c = RUN("eval", in, "--ids", RN_GOLDEN "/fla-fused-mlp/io.safetensors",
                  "--form", "parallel", "--grads", file, "--quiet");
    if (c.code) fail_msg("%s", c.err);
    child_free(&c);
    rn_safetensors *got, *want;
    WORKS(rn_safetensors_open(&got, file, err));
    WORKS(rn_safetensors_open(&want, RN_GOLDEN "/fla-fused-mlp/io.safetensors", err));
    size_t seen = 0;
    for (size_t i = 0; i < rn_safetensors_count(want); i++) {
        const rn_tensor_view *t = rn_safetensors_at(want, i);
        if (strncmp(t->name, "grad.", 5) != 0) continue;
        const rn_tensor_view *g = rn_safetensors_find(got, t->name);
        if (!g || memcmp(g->shape, t->shape, sizeof g->shape)) fail_msg("%s", t->name);
        double far = 0, most = 0;
        for (uint64_t e = 0; e < t->count; e++) {
            float x, y;
            WORKS(rn_tensor_floats(g, e, 1, &x, err));
            WORKS(rn_tensor_floats(t, e, 1, &y, err));
            far = fmax(far, fabs((double)x - (double)y));
            most = fmax(most, fabs((double)y));
        }
        if (!(far <= 1e-3 * most)) fail_msg("%s: off by %g of %g", t->name, far, most);
        seen++;
    }
    assert_int_equal(seen, rn_safetensors_count(got));
    rn_safetensors_close(got);
    rn_safetensors_close(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native_and_fla),
        cmocka_unit_test(torchscale_and_native),
        cmocka_unit_test(types_are_kept),
        cmocka_unit_test(fused_becomes_split),
        cmocka_unit_test(the_roles_of_the_gate),
        cmocka_unit_test(exact_when_the_angles_agree),
        cmocka_unit_test(without_eps_normalisers_do_not_show),
        cmocka_unit_test(each_obstacle_is_named),
        cmocka_unit_test(lost_factors_are_folded),
        cmocka_unit_test(blocks_stay_at_home),
        cmocka_unit_test(vectors_leave_their_blocks),
        cmocka_unit_test(integers_are_no_weights),
        cmocka_unit_test(side_files_and_ids),
        cmocka_unit_test(ids_of_tokens_come_back),
        cmocka_unit_test(unknown_keys_are_told),
        cmocka_unit_test(nothing_half_made),
        cmocka_unit_test(program),
        cmocka_unit_test(program_gradients_of_a_fused_layout),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

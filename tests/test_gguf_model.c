/* GGUF files as models: converted ones compute the same bits as what they were made from,
   in every weight type; standard keys alone open as fla's RetNet; what contradicts itself
   is refused; decays are inside. */
#define _XOPEN_SOURCE 700
#include "gguf_fixture.h"

#include "child.h"

#include "formats/checkpoint.h"
#include "retnet/eval.h"
#include "retnet/quantize.h"
#include "retnet/session.h"

#include <string.h>

#define FIXTURE RN_GOLDEN "/gguf/model.gguf"
#define LENGTH  24

/* Rows of 256, 96 and 288: in the four-bit types, two of them fall back. */
static const char CONFIG[] =
    "{\"vocab_size\": 256, \"width\": 256, \"layers\": 1, \"heads\": 2, \"key_dim\": 64,"
    " \"value_dim\": 48, \"ffn_width\": 288, \"bias\": true, \"norm\": \"layer\","
    " \"ffn_norm\": true, \"embedding_norm\": true, \"norm_eps\": 1.2345678901e-5,"
    " \"decays\": [0.9123456789012345, 0.98765432101234567], \"kv_heads\": 1,"
    " \"head_norm_weight\": \"channel\", \"embedding_scale\": 1.7, \"row_norm\": "
    "\"auto\"}";

static rn_model *load(const char *path, rn_weight_type type)
{
    rn_model *m = NULL;
    WORKS(rn_model_load(&m, exec, path, type, err));
    return m;
}

/* The same bits in every form, and in decoding. */
static void check_same(const char *a, const char *b, rn_weight_type type)
{
    rn_model *models[2] = {load(a, type), load(b, type)};
    rn_model_info info;
    rn_model_info_get(models[0], &info);
    const size_t vocab = info.vocab_size, n = LENGTH * vocab;
    float *logits[2] = {test_floats(n), test_floats(n)};
    int32_t ids[LENGTH];
    for (int i = 0; i < LENGTH; i++) ids[i] = (int32_t)((size_t)(i * i + 3) % vocab);
    for (int form = 0; form < 3; form++) {
        for (int k = 0; k < 2; k++) {
            rn_eval_options o = rn_eval_defaults();
            rn_eval_result result;
            o.form = (rn_form)form;
            WORKS(rn_eval_ids(models[k], ids, 1, LENGTH, &o, logits[k], &result, err));
        }
        assert_memory_equal(logits[0], logits[1], n * sizeof(float));
    }
    for (int k = 0; k < 2; k++) {
        free(logits[k]);
        rn_model_free(models[k]);
    }
}

/* Config key for key, tensor for tensor. */
static void check_checkpoint(const char *from, const char *gguf)
{
    rn_model *a = load(from, RN_WEIGHT_F32), *b = load(gguf, RN_WEIGHT_F32);
    char *x = rn_model_config_json(a), *y = rn_model_config_json(b);
    assert_string_equal(x, y);
    rn_model_info info;
    rn_model_info_get(b, &info);
    assert_string_equal(info.dialect, "gguf");
    assert_null(rn_model_unknown_key(b, 0));
    for (size_t i = 0; i < rn_model_tensor_count(a); i++)
        assert_string_equal(rn_model_tensor_stored_type(a, i),
                            rn_model_tensor_stored_type(b, i));
    free(x);
    free(y);
    rn_model_free(a);
    rn_model_free(b);
}

static void every_dialect_computes_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {"torchscale-tied",
                                        "torchscale-sharded",
                                        "torchscale-deepnorm",
                                        "torchscale-official-init",
                                        "fla-bf16",
                                        "fla-fused-mlp",
                                        "syncdoth",
                                        "legacy-2023"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char from[512];
        snprintf(from, sizeof from, "%s/%s", RN_GOLDEN, names[i]);
        const char *gguf = convert(from, "dialect.gguf");
        check_checkpoint(from, gguf);
        check_same(from, gguf, RN_WEIGHT_STORED);
    }
}

static void every_type_computes_the_same(void **state)
{
    (void)state;
    const char *from = in_scratch("plain"), *small = in_scratch("small");
    make_model(CONFIG, from);
    for (int type = 0; type < RN_WEIGHT_TYPES; type++) {
        rn_quantize_options o = {.type = (rn_weight_type)type};
        WORKS(rn_quantize(from, small, &o, NULL, err));
        const char *gguf = convert(small, "small.gguf");
        check_checkpoint(small, gguf);
        check_same(small, gguf, RN_WEIGHT_STORED);
        check_same(small, gguf, RN_WEIGHT_F32);
        WORKS(rn_remove_folder(small, err));
    }
}

/* A GGUF file converted again is the same file but for its name. */
static void a_copy_of_a_copy_is_the_same(void **state)
{
    (void)state;
    size_t size, other;
    make_model(CONFIG, in_scratch("again"));
    put_text("again/generation_config.json", "{\"eos_token_id\": [7, 8]}");
    const char *a = convert(in_scratch("again"), "again.gguf");
    mkdir(in_scratch("sub"), 0700);
    const char *b = convert(a, "sub/again.gguf");
    char *x = get_bytes(a, &size), *y = get_bytes(b, &other);
    assert_int_equal(size, other);
    assert_memory_equal(x, y, size);
    free(x);
    free(y);
}

static void a_gguf_file_can_be_quantized(void **state)
{
    (void)state;
    rn_quantize_options o = {.type = RN_WEIGHT_Q8_0};
    make_model(CONFIG, in_scratch("base"));
    const char *gguf = convert(in_scratch("base"), "base.gguf");
    WORKS(rn_quantize(in_scratch("base"), in_scratch("q-a"), &o, NULL, err));
    WORKS(rn_quantize(gguf, in_scratch("q-b"), &o, NULL, err));
    check_same(in_scratch("q-a"), in_scratch("q-b"), RN_WEIGHT_STORED);
}

/* ---- standard keys ---- */

/* The fixture's tensors in fla's own layout, in float32. */
static void write_fla(const rn_gguf *f, const char *folder)
{
    static const char *const names[][2] = {
        {"token_embd", "model.embeddings"},
        {"output_norm", "model.norm"},
        {"output", "lm_head"},
        {"blk.0.attn_norm", "model.layers.0.attn_norm"},
        {"blk.0.attn_q", "model.layers.0.attn.q_proj"},
        {"blk.0.attn_k", "model.layers.0.attn.k_proj"},
        {"blk.0.attn_v", "model.layers.0.attn.v_proj"},
        {"blk.0.attn_g", "model.layers.0.attn.g_proj"},
        {"blk.0.attn_output", "model.layers.0.attn.o_proj"},
        {"blk.0.attn_sub_norm", "model.layers.0.attn.g_norm_swish_gate"},
        {"blk.0.ffn_norm", "model.layers.0.mlp_norm"},
        {"blk.0.ffn_gate", "model.layers.0.mlp.gate_proj"},
        {"blk.0.ffn_up", "model.layers.0.mlp.up_proj"},
        {"blk.0.ffn_down", "model.layers.0.mlp.down_proj"},
    };
    static char text[14][64], wanted[64];
    rn_tensor_view views[14];
    for (size_t i = 0; i < 14; i++) {
        size_t k = 0;
        snprintf(wanted, sizeof wanted, "%s.weight", names[i][0]);
        while (strcmp(rn_gguf_at(f, k)->name, wanted)) k++;
        views[i] = *rn_gguf_at(f, k);
        snprintf(text[i], sizeof text[i], "%s.weight", names[i][1]);
        float *x = test_floats((size_t)views[i].count);
        WORKS(rn_tensor_floats(&views[i], 0, views[i].count, x, err));
        views[i].name = text[i];
        views[i].dtype = RN_DTYPE_F32;
        views[i].data = x;
    }
    WORKS(rn_make_folder(folder, err));
    WORKS(
        rn_safetensors_write(in_scratch("fla/model.safetensors"), views, 14, NULL, err));
    for (size_t i = 0; i < 14; i++) free((void *)(uintptr_t)views[i].data);
}

static void standard_keys_mean_flas_retnet(void **state)
{
    (void)state;
    rn_gguf *f = NULL;
    WORKS(rn_gguf_open(&f, FIXTURE, err));
    write_fla(f, in_scratch("fla"));
    rn_gguf_close(f);
    put_text("fla/config.json",
             "{\"model_type\": \"retnet\", \"vocab_size\": 24, \"hidden_size\": 32,"
             " \"num_heads\": 2, \"num_hidden_layers\": 1, \"intermediate_size\": 32,"
             " \"expand_k\": 1, \"expand_v\": 2, \"norm_eps\": 1e-6,"
             " \"tie_word_embeddings\": false}");
    check_same(in_scratch("fla"), FIXTURE, RN_WEIGHT_F32);
    rn_model *a = load(in_scratch("fla"), RN_WEIGHT_F32),
             *b = load(FIXTURE, RN_WEIGHT_F32);
    char *text[2] = {rn_model_config_json(a), rn_model_config_json(b)};
    json_t *x = json_loads(text[0], 0, NULL), *y = json_loads(text[1], 0, NULL);
    const char *key;
    json_t *value;
    json_object_foreach(x, key, value)
    {
        if (strncmp(key, "init", 4) && !json_equal(value, json_object_get(y, key)))
            fail_msg("config key %s differs", key);
    }
    json_decref(x);
    json_decref(y);
    free(text[0]);
    free(text[1]);
    rn_model_free(a);
    rn_model_free(b);
}

/* ---- contradictions ---- */

/* The fixture with keys left out or replaced, and one tensor left out. */
typedef struct change {
    const char *drop, *drop_tensor;
    void (*add)(rn_gguf_meta *m);
} change;

static const char *write_changed(const change *c)
{
    rn_gguf *f = NULL;
    rn_gguf_meta meta = {0};
    rn_gguf_writer *w = NULL;
    rn_tensor_view views[14];
    const char *path = in_scratch("changed.gguf"), *key;
    const rn_gguf_value *v;
    size_t count = 0;
    WORKS(rn_gguf_open(&f, FIXTURE, err));
    for (size_t i = 0; rn_gguf_pair_at(f, i, &key, &v); i++)
        if (!c->drop || strcmp(key, c->drop) != 0) rn_gguf_put_copy(&meta, key, v);
    if (c->add) c->add(&meta);
    for (size_t i = 0; i < rn_gguf_count(f); i++)
        if (!c->drop_tensor || strcmp(rn_gguf_at(f, i)->name, c->drop_tensor) != 0)
            views[count++] = *rn_gguf_at(f, i);
    WORKS(rn_gguf_writer_open(&w, path, &meta, views, count, err));
    for (size_t i = 0; i < count; i++)
        WORKS(rn_gguf_writer_put(w, views[i].data, (size_t)views[i].bytes, err));
    WORKS(rn_gguf_writer_commit(w, err));
    rn_gguf_meta_free(&meta);
    rn_gguf_close(f);
    return path;
}

#define ADD(name, call)                                                                  \
    static void name(rn_gguf_meta *m)                                                    \
    {                                                                                    \
        call;                                                                            \
    }
static const float decays_3[] = {0.9f, 0.9f, 0.9f}, decays_1[] = {0.9f, 1.5f};
static const float decays_nan[] = {0.9f, NAN};
ADD(llama, rn_gguf_put_text(m, "general.architecture", "llama", 5))
ADD(no_text, rn_gguf_put_u32(m, "general.architecture", 5))
ADD(nul_text, rn_gguf_put_text(m, "general.architecture", "retnet\0x", 8))
ADD(bad_text, rn_gguf_put_text(m, "general.architecture", "\xff", 1))
ADD(wider, rn_gguf_put_u32(m, "retnet.embedding_length", 48))
ADD(width_text, rn_gguf_put_text(m, "retnet.embedding_length", "32", 2))
ADD(width_zero, rn_gguf_put_u32(m, "retnet.embedding_length", 0))
ADD(width_huge, rn_gguf_put_u64(m, "retnet.embedding_length", UINT64_MAX))
ADD(two_layers, rn_gguf_put_u32(m, "retnet.block_count", 2))
ADD(many_layers, rn_gguf_put_u32(m, "retnet.block_count", 2000000000))
ADD(vocab, rn_gguf_put_u32(m, "retnet.vocab_size", 25))
ADD(own_width, rn_gguf_put_u32(m, "retnet.config.width", 64))
ADD(own_eps, rn_gguf_put_f64(m, "retnet.config.norm_eps", 1e-5))
ADD(head_eps, rn_gguf_put_f32(m, "retnet.attention.group_norm_epsilon", 1e-5f))
ADD(eps_nan, rn_gguf_put_f32(m, "retnet.attention.layer_norm_rms_epsilon", NAN))
ADD(own_unknown, rn_gguf_put_bool(m, "retnet.config.colour", true))
ADD(own_wrong, rn_gguf_put_text(m, "retnet.config.rotary", "sideways", 8))
ADD(own_decays, rn_gguf_put_array(m, "retnet.config.decays", RN_GGUF_F32, decays_1, 2))
ADD(three, rn_gguf_put_array(m, "retnet.retention.decay", RN_GGUF_F32, decays_3, 3))
ADD(above_one, rn_gguf_put_array(m, "retnet.retention.decay", RN_GGUF_F32, decays_1, 2))
ADD(not_finite,
    rn_gguf_put_array(m, "retnet.retention.decay", RN_GGUF_F32, decays_nan, 2))
ADD(no_list, rn_gguf_put_f32(m, "retnet.retention.decay", 0.9f))
ADD(tied, rn_gguf_put_bool(m, "retnet.config.tied", true))
ADD(no_gate, rn_gguf_put_bool(m, "retnet.config.output_gate", false))
ADD(partly, rn_gguf_put_u32(m, "retnet.rope.dimension_count", 8))
ADD(own_none, rn_gguf_put_text(m, "retnet.config.rotary", "none", 4))
ADD(angles, double a[8] = {0};
    rn_gguf_put_array(m, "retnet.config.angles", RN_GGUF_F64, a, 8))

/* What each change makes of the file, with the words of both sides. */
static const struct {
    change change;
    rn_status status;
    const char *words[2];
} contradictions[] = {
    {{"general.architecture", NULL, NULL},
     RN_EFORMAT,
     {"general.architecture", "missing"}},
    {{"general.architecture", NULL, llama}, RN_EUNSUPPORTED, {"\"llama\"", "\"retnet\""}},
    {{"general.architecture", NULL, no_text},
     RN_EFORMAT,
     {"general.architecture", "string"}},
    {{"general.architecture", NULL, nul_text},
     RN_EFORMAT,
     {"general.architecture", "UTF-8"}},
    {{"general.architecture", NULL, bad_text},
     RN_EFORMAT,
     {"general.architecture", "UTF-8"}},
    {{"retnet.embedding_length", NULL, NULL},
     RN_EFORMAT,
     {"embedding_length", "missing"}},
    {{"retnet.embedding_length", NULL, wider},
     RN_EFORMAT,
     {"token_embd.weight", "embedding_length 48"}},
    {{"retnet.embedding_length", NULL, width_text},
     RN_EFORMAT,
     {"embedding_length", "whole"}},
    {{"retnet.embedding_length", NULL, width_zero},
     RN_EFORMAT,
     {"embedding_length is 0", ""}},
    {{"retnet.embedding_length", NULL, width_huge},
     RN_EFORMAT,
     {"embedding_length", "whole"}},
    {{"retnet.block_count", NULL, two_layers},
     RN_EFORMAT,
     {"blk.1.attn_norm.weight", "block_count 2"}},
    {{"retnet.block_count", NULL, many_layers}, RN_EFORMAT, {"layers", "2e+09"}},
    {{"retnet.attention.head_count", NULL, NULL}, RN_EFORMAT, {"head_count", "missing"}},
    {{"retnet.vocab_size", NULL, vocab},
     RN_EFORMAT,
     {"token_embd.weight", "vocab_size 25"}},
    {{NULL, NULL, own_width},
     RN_EFORMAT,
     {"embedding_length is 32", "config.width is 64"}},
    {{NULL, NULL, own_eps}, RN_EFORMAT, {"rms_epsilon", "config.norm_eps"}},
    {{NULL, NULL, head_eps}, RN_EFORMAT, {"rms_epsilon", "group_norm_epsilon"}},
    {{"retnet.attention.layer_norm_rms_epsilon", NULL, eps_nan},
     RN_EFORMAT,
     {"rms_epsilon", "not finite"}},
    {{NULL, NULL, own_unknown}, RN_EFORMAT, {"colour", ""}},
    {{NULL, NULL, own_wrong}, RN_EFORMAT, {"rotary", "sideways"}},
    {{NULL, NULL, own_decays}, RN_EFORMAT, {"retention.decay", "config.decays"}},
    {{"retnet.retention.decay", NULL, three},
     RN_EFORMAT,
     {"decay has 3", "head_count is 2"}},
    {{"retnet.retention.decay", NULL, above_one},
     RN_EFORMAT,
     {"entry 1 is 1.5", "decay"}},
    {{"retnet.retention.decay", NULL, not_finite}, RN_EFORMAT, {"decay", "not finite"}},
    {{"retnet.retention.decay", NULL, no_list}, RN_EFORMAT, {"decay", "list"}},
    {{NULL, NULL, tied}, RN_EFORMAT, {"token_embd.weight", "output.weight"}},
    {{NULL, NULL, no_gate}, RN_EFORMAT, {"attn_g.weight", "config.output_gate false"}},
    {{NULL, "blk.0.attn_k.weight", NULL}, RN_EFORMAT, {"blk.0.attn_k.weight", "missing"}},
    {{"retnet.rope.dimension_count", NULL, partly},
     RN_EUNSUPPORTED,
     {"dimension_count is 8", "key_length is 16"}},
    {{NULL, NULL, own_none}, RN_EFORMAT, {"dimension_count is 16", "rotary is none"}},
    {{NULL, NULL, angles}, RN_EFORMAT, {"freq_base is 10000", "config.angles"}},
};

static void contradictions_name_both(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof contradictions / sizeof contradictions[0]; i++) {
        rn_model *m = NULL;
        rn_error err = {RN_OK, ""};
        rn_status st =
            rn_model_open(&m, exec, write_changed(&contradictions[i].change), &err);
        check_failure(st, contradictions[i].status, &err, contradictions[i].words[0]);
        check_failure(st, contradictions[i].status, &err, contradictions[i].words[1]);
    }
}

ADD(strange, rn_gguf_put_u32(m, "retnet.strange", 1); rn_gguf_put_u32(m, "test.other", 1))
ADD(base, rn_gguf_put_f32(m, "retnet.rope.freq_base", 500.0f))

/* What opens all the same. */
static void what_is_left_open_is_filled_in(void **state)
{
    (void)state;
    rn_model *m = load(write_changed(&(change){NULL, NULL, strange}), RN_WEIGHT_F32);
    assert_string_equal(rn_model_unknown_key(m, 0), "retnet.strange");
    assert_null(rn_model_unknown_key(m, 1));
    rn_model_free(m);

    m = load(write_changed(&(change){NULL, "output.weight", NULL}), RN_WEIGHT_F32);
    char *text = rn_model_config_json(m);
    assert_non_null(strstr(text, "\"tied\": true"));
    free(text);
    rn_model_free(m);

    m = load(write_changed(&(change){"retnet.retention.decay", NULL, NULL}),
             RN_WEIGHT_F32);
    assert_true(rn_model_decays(m)[1] == 1 - 1.0 / 64);
    rn_model_free(m);

    m = load(write_changed(&(change){"retnet.rope.freq_base", NULL, base}),
             RN_WEIGHT_F32);
    text = rn_model_config_json(m);
    json_t *config = json_loads(text, 0, NULL);
    double angle =
        json_number_value(json_array_get(json_object_get(config, "angles"), 3));
    assert_true(fabs(angle - pow(500.0, -6.0 / 16)) < 1e-15);
    json_decref(config);
    free(text);
    rn_model_free(m);
}

static void a_config_alone_is_read(void **state)
{
    (void)state;
    rn_model *m = NULL;
    rn_model_source source = {.config_path = FIXTURE};
    WORKS(rn_model_describe(&m, &source, err));
    rn_model_info info;
    rn_model_info_get(m, &info);
    assert_int_equal(info.parameters, 12928);
    rn_model_free(m);
}

/* ---- whole or not there ---- */

static bool stop(void *user, uint64_t done, uint64_t total)
{
    size_t *calls = user;
    assert_true(done <= total);
    return ++*calls == 2;
}

static void an_existing_file_is_kept(void **state)
{
    (void)state;
    size_t calls = 0;
    rn_convert_options o = {.progress = stop, .user = &calls};
    make_model(CONFIG, in_scratch("kept"));
    put_text("there.gguf", "mine");
    FAILS(rn_convert_gguf(in_scratch("kept"), in_scratch("there.gguf"), NULL, NULL, err),
          RN_EEXIST, "exists already");
    FAILS(rn_convert_gguf(in_scratch("kept"), in_scratch("half.gguf"), &o, NULL, err),
          RN_EINTERRUPTED, "nothing is written");
    assert_int_equal(calls, 2);
    assert_false(rn_path_exists(in_scratch("half.gguf")));
    FAILS(rn_convert_gguf(in_scratch("none"), in_scratch("half.gguf"), NULL, NULL, err),
          RN_ENOTFOUND, "does not exist");
}

/* Somebody else makes `out` while the work goes on. */
static bool make_late(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    put_text("late.gguf", "mine");
    return false;
}

/* A link to nothing, and a file that was not there at first. */
static void what_has_the_name_keeps_it(void **state)
{
    (void)state;
    rn_convert_options o = {.progress = make_late};
    const char *late = in_scratch("late.gguf"), *link = in_scratch("link.gguf");
    struct stat info;
    size_t size;
    make_model(CONFIG, in_scratch("name"));
    assert_int_equal(symlink("nowhere", link), 0);
    size_t before = entries(scratch);
    FAILS(rn_convert_gguf(in_scratch("name"), link, NULL, NULL, err), RN_EEXIST,
          "link.gguf: exists already");
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(entries(scratch), before);
    FAILS(rn_convert_gguf(in_scratch("name"), late, &o, NULL, err), RN_EEXIST,
          "late.gguf");
    char *mine = get_bytes(late, &size);
    assert_string_equal(mine, "mine");
    free(mine);
    assert_int_equal(entries(scratch), before + 1);
}

/* ---- the program ---- */

static double loss_of(const char *model)
{
    child c = RUN("eval", model, "--ids", put_text("ids.json", "[[1, 7, 3, 9, 2, 11]]"),
                  "--json", "-q");
    return done_number(c, "loss");
}

static void the_program_takes_gguf_files(void **state)
{
    (void)state;
    const char *gguf = in_scratch("program.gguf");
    make_model(CONFIG, in_scratch("program"));
    child c = RUN("convert", in_scratch("program"), gguf, "--to", "gguf", "--json", "-q");
    check_done(&c);
    json_t *o = child_json(&c);
    assert_int_equal(json_number(o, "lossy"), 0);
    json_decref(o);
    child_free(&c);
    assert_true(loss_of(gguf) == loss_of(in_scratch("program")));

    c = RUN("info", gguf, "--json");
    check_done(&c);
    o = child_json(&c);
    assert_string_equal(json_string_value(json_object_get(o, "dialect")), "gguf");
    json_decref(o);
    child_free(&c);

    c = RUN("generate", gguf, "--prompt", "ab", "--tokens", "5", "--greedy", "-q");
    child d = RUN("generate", in_scratch("program"), "--prompt", "ab", "--tokens", "5",
                  "--greedy", "-q");
    assert_int_equal(c.code, 0);
    assert_string_equal(c.out, d.out);
    child_free(&c);
    child_free(&d);

    c = RUN("info", write_changed(&(change){"general.architecture", NULL, llama}));
    assert_int_equal(c.code, 0); /* listed, though no model */
    assert_non_null(strstr(c.out, "retnet.retention.decay = [0.96875, 0.984375]"));
    child_free(&c);
    c = RUN("eval", put_text("cut.gguf", "GGUF\3"), "--ids", in_scratch("ids.json"));
    check_refused(&c, 1, "cut.gguf: cut off in its header");
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dialect_computes_the_same),
        cmocka_unit_test(every_type_computes_the_same),
        cmocka_unit_test(a_copy_of_a_copy_is_the_same),
        cmocka_unit_test(a_gguf_file_can_be_quantized),
        cmocka_unit_test(standard_keys_mean_flas_retnet),
        cmocka_unit_test(contradictions_name_both),
        cmocka_unit_test(what_is_left_open_is_filled_in),
        cmocka_unit_test(a_config_alone_is_read),
        cmocka_unit_test(an_existing_file_is_kept),
        cmocka_unit_test(what_has_the_name_keeps_it),
        cmocka_unit_test(the_program_takes_gguf_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* What info says of checkpoints and of files that are none: the sizes of the types that
   are stored, tensors of types that are not read, parts of models, and text of strangers
   that would move a terminal. */
#define _XOPEN_SOURCE 700
#include "checkpoint_fixture.h"
#include "exec_fixture.h"

#include "child.h"

#include "formats/gguf.h"
#include "retnet/convert.h"
#include "retnet/model.h"
#include "retnet/quantize.h"

#define FLA   RN_GOLDEN "/fla-bf16"
#define FUSED RN_GOLDEN "/fla-fused-mlp"

/* ---- sizes ---- */

/* Heads of whole halves, and rows of whole blocks in all products of the mixers. */
static const char *make_model(void)
{
    static const char config[] =
        "{\"vocab_size\": 67, \"width\": 64, \"layers\": 2, \"heads\": 2, \"key_dim\": "
        "32, \"value_dim\": 64, \"ffn_width\": 128, \"row_norm\": \"none\"}";
    rn_model *m;
    WORKS(rn_model_create(&m, exec, &(rn_model_source){.config_json = config}, 5, err));
    WORKS(rn_model_save(m, in_scratch("f32"), err));
    rn_model_free(m);
    return in_scratch("f32");
}

static const char *quantized(const char *in, const char *name, rn_weight_type type)
{
    WORKS(rn_quantize(in, in_scratch(name), &(rn_quantize_options){.type = type}, NULL,
                      err));
    return in_scratch(name);
}

/* What a look tells is what the model takes when it is loaded as it is stored, and the
   program tells the same. */
static rn_model_info check_sizes(const char *path)
{
    rn_model *seen, *held;
    rn_model_info look, load;
    WORKS(rn_model_inspect(&seen, path, err));
    WORKS(rn_model_load(&held, exec, path, RN_WEIGHT_STORED, err));
    rn_model_info_get(seen, &look);
    rn_model_info_get(held, &load);
    assert_int_equal(look.weight_bytes, load.weight_bytes);
    assert_int_equal(look.state_bytes, load.state_bytes);
    assert_int_equal(look.state_read_bytes, load.state_read_bytes);
    for (size_t i = 0; i < rn_model_tensor_count(held); i++)
        assert_int_equal(rn_model_tensor_held_type(seen, i),
                         rn_model_tensor_held_type(held, i));
    assert_null(rn_model_tensor_at(seen, 0).data);
    rn_model_free(seen);
    rn_model_free(held);
    assert_true(done_number(RUN("info", path, "--json", "-q"), "weight_bytes") ==
                (double)load.weight_bytes);
    return load;
}

static void sizes_are_those_of_the_stored_types(void **state)
{
    (void)state;
    const char *f32 = make_model(), *gguf = in_scratch("q4_0.gguf");
    const char *q4_0 = quantized(f32, "q4_0", RN_WEIGHT_Q4_0);
    const rn_convert_options how = {.to = "gguf"};
    WORKS(rn_convert(q4_0, gguf, &how, NULL, err));
    rn_model_info full = check_sizes(f32);
    rn_model_info half = check_sizes(quantized(f32, "bf16", RN_WEIGHT_BF16));
    rn_model_info blocks = check_sizes(q4_0), same = check_sizes(gguf);
    assert_true(3 * half.weight_bytes < 2 * full.weight_bytes);
    assert_true(3 * blocks.weight_bytes < 2 * half.weight_bytes);
    assert_int_equal(same.weight_bytes, blocks.weight_bytes);
    assert_int_equal(full.state_read_bytes, full.state_bytes);
    assert_int_equal(2 * blocks.state_read_bytes, blocks.state_bytes);
    check_sizes(FLA);
    check_sizes(FUSED);
}

/* ---- tensors ---- */

/* Rows of one stored tensor are listed as that tensor. */
static void a_stored_tensor_is_listed_once(void **state)
{
    (void)state;
    const char *name = "model.layers.1.mlp.gate_proj.weight";
    child c = RUN("info", FUSED, "--json", "-q");
    check_done(&c);
    json_t *o = child_json(&c), *tensor;
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, FUSED "/model.safetensors", err));
    const json_t *list = json_object_get(o, "tensors");
    assert_int_equal(json_array_size(list), rn_safetensors_count(f));
    size_t i;
    json_array_foreach(list, i, tensor)
    {
        const json_t *shape = json_object_get(tensor, "shape");
        const rn_tensor_view *t =
            rn_safetensors_find(f, json_string_value(json_object_get(tensor, "name")));
        assert_non_null(t);
        assert_int_equal(json_array_size(shape), t->dims);
        for (int d = 0; d < t->dims; d++)
            assert_int_equal(json_integer_value(json_array_get(shape, (size_t)d)),
                             t->shape[d]);
    }
    rn_safetensors_close(f);
    json_decref(o);
    child_free(&c);
    c = RUN("info", FUSED, "--tensors", "-q");
    check_done(&c);
    const char *at = strstr(c.out, name);
    assert_non_null(at);
    assert_null(strstr(at + 1, name));
    child_free(&c);
}

/* A tensor of eight-bit floats in a model's file: the file is listed, the model refused
   by name. */
static void unread_types_are_listed(void **state)
{
    (void)state;
    rn_model *m;
    copy_golden(FLA, "eights");
    add_tensor("eights", &(rn_tensor_view){.name = "odd.scale",
                                           .dtype = RN_DTYPE_F8_E4M3,
                                           .dims = 2,
                                           .shape = {3, 5},
                                           .data = "fifteen numbers"});
    child c = RUN("info", in_scratch("eights/model.safetensors"));
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "F8_E4M3 3 x 5\n"));
    assert_non_null(strstr(c.err, "tensor odd.scale has dtype F8_E4M3"));
    child_free(&c);
    c = RUN("info", in_scratch("eights"));
    check_refused(&c, 1, "tensor odd.scale has dtype F8_E4M3, which is not read");
    child_free(&c);
    FAILS(rn_model_open(&m, exec, in_scratch("eights"), err), RN_EUNSUPPORTED,
          "eights/model.safetensors: tensor odd.scale has dtype F8_E4M3");
}

/* ---- GGUF files that are no models ---- */

/* One tensor, an architecture and, above 0, a number of parts. */
static const char *put_gguf(const char *name, const char *architecture, uint32_t parts)
{
    static const float numbers[4] = {1, 2, 3, 4};
    const rn_tensor_view view = {.name = "lone.weight", .dims = 1, .shape = {4}};
    const char *path = in_scratch(name);
    rn_gguf_meta meta = {0};
    rn_gguf_writer *w;
    rn_gguf_put_text(&meta, "general.architecture", architecture, strlen(architecture));
    if (parts) rn_gguf_put_u32(&meta, "split.count", parts);
    WORKS(rn_gguf_writer_open(&w, path, &meta, &view, 1, err));
    WORKS(rn_gguf_writer_put(w, numbers, sizeof numbers, err));
    WORKS(rn_gguf_writer_commit(w, err));
    rn_gguf_meta_free(&meta);
    return path;
}

static void a_part_of_a_model_is_listed(void **state)
{
    (void)state;
    rn_model *m;
    const char *part = put_gguf("model-00001-of-00003.gguf", "retnet", 3);
    child c = RUN("info", part);
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "lone.weight"));
    assert_non_null(strstr(c.out, "split.count = 3"));
    assert_non_null(strstr(c.err, "one of 3 parts of a model"));
    child_free(&c);
    FAILS(rn_model_open(&m, exec, part, err), RN_EUNSUPPORTED, "one of 3 parts");
}

static void check_plain(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if ((*c < 0x20 && *c != '\n') || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
            fail_msg("control character %#x in: %s", *c, text);
}

static void a_strangers_text_stays_text(void **state)
{
    (void)state;
    const char *path = put_gguf("rude.gguf",
                                "\033[2J\xc2\x9b"
                                "31m\r\a\x7f",
                                0);
    child c = RUN("info", path);
    assert_int_equal(c.code, 0);
    check_plain(c.out);
    check_plain(c.err);
    assert_non_null(strstr(c.out, "= ?[2J?31m???\n"));
    assert_non_null(strstr(c.err, "\"?[2J?31m???\""));
    assert_ptr_equal(strchr(c.err, '\n'), c.err + c.err_size - 1);
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_those_of_the_stored_types),
        cmocka_unit_test(a_stored_tensor_is_listed_once),
        cmocka_unit_test(unread_types_are_listed),
        cmocka_unit_test(a_part_of_a_model_is_listed),
        cmocka_unit_test(a_strangers_text_stays_text),
    };
    return cmocka_run_group_tests_name("program_info", tests, set_up, tear_down);
}

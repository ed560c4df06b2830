/* Blocks in safetensors: what the writer says of them, what the reader makes of it,
   ranges of their numbers, metadata that lie, and writing tensor by tensor. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "core/rng.h"
#include "formats/dtype.h"
#include "formats/safetensors.h"

#include <math.h>

enum { ROWS = 3, COLUMNS = 512, COUNT = ROWS * COLUMNS };

static const struct {
    rn_weight_type type;
    rn_dtype dtype;
    const char *name;
} types[] = {
    {RN_WEIGHT_F32, RN_DTYPE_F32, "F32"},    {RN_WEIGHT_BF16, RN_DTYPE_BF16, "BF16"},
    {RN_WEIGHT_F16, RN_DTYPE_F16, "F16"},    {RN_WEIGHT_Q8_0, RN_DTYPE_Q8_0, "Q8_0"},
    {RN_WEIGHT_Q4_0, RN_DTYPE_Q4_0, "Q4_0"}, {RN_WEIGHT_Q4_K, RN_DTYPE_Q4_K, "Q4_K"},
    {RN_WEIGHT_Q6_K, RN_DTYPE_Q6_K, "Q6_K"},
};
#define TYPES  (sizeof types / sizeof types[0])
#define BLOCKS 3 /* the first of blocks */

/* ROWS x COLUMNS numbers in each type, and what those stand for. */
static unsigned char stored[TYPES][4 * COUNT];
static float numbers[TYPES][COUNT];

static int make_tensors(void **state)
{
    float x[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) x[i] = rn_normal(1, RN_STREAM_TEST, 2, i);
    for (size_t i = 0; i < TYPES; i++) {
        rn_weight_encode(types[i].type, stored[i], x, COUNT);
        rn_weight_decode(types[i].type, numbers[i], stored[i], COUNT);
    }
    return scratch_open(state);
}

static rn_tensor_view view_of(size_t i)
{
    return (rn_tensor_view){.name = types[i].name,
                            .dtype = types[i].dtype,
                            .dims = 2,
                            .shape = {ROWS, COLUMNS},
                            .data = stored[i]};
}

static const char *write_all(void)
{
    rn_tensor_view views[TYPES];
    const char *path = in_scratch("all"), *more[] = {"title", "seven types", NULL};
    for (size_t i = 0; i < TYPES; i++) views[i] = view_of(i);
    WORKS(rn_safetensors_write(path, views, TYPES, more, err));
    return path;
}

static void dtypes_and_weight_types_agree(void **state)
{
    (void)state;
    for (int d = 0; d <= RN_DTYPE_Q6_K; d++) {
        rn_weight_type type = RN_WEIGHT_STORED;
        size_t i = 0;
        while (i < TYPES && types[i].dtype != (rn_dtype)d) i++;
        assert_int_equal(rn_dtype_weight_type((rn_dtype)d, &type), i < TYPES);
        assert_int_equal(type, i < TYPES ? types[i].type : RN_WEIGHT_STORED);
        if (i == TYPES) continue;
        assert_int_equal(rn_dtype_of_weight(type), d);
        assert_string_equal(rn_dtype_name((rn_dtype)d), types[i].name);
        rn_dtype found;
        assert_int_equal(rn_dtype_find(&found, types[i].name), i < BLOCKS);
    }
    uint64_t bytes = 7;
    assert_true(rn_dtype_bytes(RN_DTYPE_Q4_K, 512, &bytes) && bytes == 288);
    assert_true(rn_dtype_bytes(RN_DTYPE_BF16, 3, &bytes) && bytes == 6);
    assert_false(rn_dtype_bytes(RN_DTYPE_Q4_K, 511, &bytes));
    assert_false(rn_dtype_bytes(RN_DTYPE_Q8_0, UINT64_MAX - 31, &bytes));
    assert_false(rn_dtype_bytes(RN_DTYPE_F64, UINT64_MAX / 8 + 1, &bytes));
}

/* The file itself holds U8 tensors and a type in the metadata. */
static void blocks_come_back_as_they_were(void **state)
{
    (void)state;
    rn_safetensors *f;
    const char *path = write_all();
    WORKS(rn_safetensors_open(&f, path, err));
    assert_string_equal(rn_safetensors_metadata(f, "title"), "seven types");
    assert_string_equal(rn_safetensors_metadata(f, "type:Q4_K"), "q4_k");
    assert_null(rn_safetensors_metadata(f, "type:BF16"));
    for (size_t i = 0; i < TYPES; i++) {
        const rn_tensor_view *t = rn_safetensors_find(f, types[i].name);
        uint64_t bytes = rn_weight_bytes(types[i].type, COUNT);
        float got[COUNT];
        assert_non_null(t);
        assert_int_equal(t->dtype, types[i].dtype);
        assert_int_equal(t->dims, 2);
        assert_true(t->shape[0] == ROWS && t->shape[1] == COLUMNS && t->count == COUNT);
        assert_int_equal(t->bytes, bytes);
        assert_memory_equal(t->data, stored[i], bytes);
        WORKS(rn_tensor_floats(t, 0, COUNT, got, err));
        assert_memory_equal(got, numbers[i], sizeof got);
    }
    rn_safetensors_close(f);
    size_t size;
    char *text = get_bytes(path, &size), *at = strstr(text + 8, "\"Q6_K\":{");
    assert_non_null(at);
    assert_memory_equal(at, "\"Q6_K\":{\"dtype\":\"U8\",\"shape\":[3,420]", 36);
    free(text);
}

static void every_range_can_be_read(void **state)
{
    (void)state;
    static const uint64_t ends[] = {0,   1,   31,  32,  33,  255,  256,
                                    257, 480, 511, 512, 513, 1024, COUNT};
    const size_t count = sizeof ends / sizeof ends[0];
    for (size_t i = 0; i < TYPES; i++) {
        rn_tensor_view t = view_of(i);
        t.count = COUNT;
        for (size_t a = 0; a < count; a++)
            for (size_t b = a; b < count; b++) {
                float got[COUNT + 1];
                uint64_t n = ends[b] - ends[a];
                got[n] = 77;
                WORKS(rn_tensor_floats(&t, ends[a], n, got, err));
                assert_memory_equal(got, numbers[i] + ends[a], n * sizeof *got);
                assert_true(got[n] == 77);
            }
        float one;
        int64_t whole;
        FAILS(rn_tensor_floats(&t, COUNT, 1, &one, err), RN_EINVAL, types[i].name);
        FAILS(rn_tensor_ints(&t, 0, 1, &whole, err), RN_EUNSUPPORTED, types[i].name);
    }
}

/* ---- metadata that lie ---- */

static const char *put_header(const char *metadata, const char *dtype, const char *shape,
                              size_t data)
{
    char bytes[4096] = {0}, *text = bytes + 8;
    int length = snprintf(text, 2048,
                          "{\"__metadata__\":{%s},\"w\":{\"dtype\":\"%s\",\"shape\":%s,"
                          "\"data_offsets\":[0,%zu]}}",
                          metadata, dtype, shape, data);
    uint64_t header = (uint64_t)length;
    memcpy(bytes, &header, sizeof header);
    return put_bytes("lie", bytes, 8 + (size_t)length + data);
}

static void lying_metadata_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *metadata, *dtype, *shape;
        size_t data;
        const char *words;
    } rows[] = {
        {"\"type:v\":\"q8_0\"", "U8", "[2,34]", 68, "tensor v a type"},
        {"\"type:\":\"q8_0\"", "U8", "[2,34]", 68, "tensor  a type"},
        {"\"type:a\\nb\":\"q8_0\"", "U8", "[2,34]", 68, "tensor a?b a type"},
        {"\"type:w\":\"q5_k\"", "U8", "[2,34]", 68,
         "tensor w: its metadata call it q5_k"},
        {"\"type:w\":\"\"", "U8", "[2,34]", 68, "is no type of blocks"},
        {"\"type:w\":\"q\\t\"", "U8", "[2,34]", 68, "call it q?, which"},
        {"\"type:w\":\"bf16\"", "U8", "[2,34]", 68, "is no type of blocks"},
        {"\"type:w\":\"q8_0\"", "I8", "[2,34]", 68, "not in I8 and 2"},
        {"\"type:w\":\"q8_0\"", "BF16", "[1,34]", 68, "not in BF16"},
        {"\"type:w\":\"q8_0\"", "U8", "[68]", 68, "not in U8 and 1"},
        {"\"type:w\":\"q8_0\"", "U8", "[2,1,34]", 68, "not in U8 and 3"},
        {"\"type:w\":\"q8_0\"", "U8", "[2,33]", 66, "w: rows of 33 bytes"},
        {"\"type:w\":\"q4_k\"", "U8", "[1,145]", 145, "w: rows of 145 bytes"},
        {"\"type:w\":\"q4_0\"", "U8", "[0,9223372036854775807]", 0, "w: rows of 9223"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path =
            put_header(rows[i].metadata, rows[i].dtype, rows[i].shape, rows[i].data);
        rn_safetensors *f;
        rn_error err = {RN_OK, ""};
        check_failure(rn_safetensors_open(&f, path, &err), RN_EFORMAT, &err,
                      rows[i].words);
        assert_non_null(strstr(err.message, "lie"));
    }
    static const char *const fine[] = {"\"type:w\":\"q8_0\"", "\"type:w\":\"Q8_0\"",
                                       "\"type\":\"w\",\"types:w\":\"q9\""};
    for (size_t i = 0; i < 3; i++) {
        rn_safetensors *f;
        WORKS(rn_safetensors_open(&f, put_header(fine[i], "U8", "[2,34]", 68), err));
        const rn_tensor_view *t = rn_safetensors_find(f, "w");
        assert_int_equal(t->dtype, i < 2 ? RN_DTYPE_Q8_0 : RN_DTYPE_U8);
        assert_int_equal(t->shape[1], i < 2 ? 32 : 34);
        rn_safetensors_close(f);
    }
}

/* ---- writing ---- */

static void what_is_no_matrix_of_blocks_is_not_written(void **state)
{
    (void)state;
    rn_tensor_view t = view_of(5);
    const char *path = in_scratch("odd");
    t.shape[1] = 511;
    FAILS(rn_safetensors_write(path, &t, 1, NULL, err), RN_EINVAL, "Q4_K");
    t.shape[1] = 512;
    t.dims = 1;
    FAILS(rn_safetensors_write(path, &t, 1, NULL, err), RN_EINVAL, "Q4_K");
    t.dims = 2;
    t.shape[0] = UINT64_MAX / 4;
    FAILS(rn_safetensors_write(path, &t, 1, NULL, err), RN_EINVAL, "Q4_K");
    assert_int_equal(access(path, F_OK), -1);
}

/* The same bytes as the writer of whole files, whatever the pieces. */
static void pieces_make_the_same_file(void **state)
{
    (void)state;
    size_t whole_size, size;
    char *whole = get_bytes(write_all(), &whole_size);
    rn_tensor_view views[TYPES];
    const char *path = in_scratch("pieces"), *more[] = {"title", "seven types", NULL};
    for (size_t i = 0; i < TYPES; i++) {
        views[i] = view_of(i);
        views[i].data = NULL;
    }
    rn_safetensors_writer *w;
    WORKS(rn_safetensors_writer_open(&w, path, views, TYPES, more, err));
    for (size_t i = 0; i < TYPES; i++) {
        size_t left = rn_weight_bytes(types[i].type, COUNT), step = 1 + 100 * i;
        for (size_t at = 0; left; at += step) {
            step = step < left ? step : left;
            WORKS(rn_safetensors_writer_put(w, stored[i] + at, step, err));
            left -= step;
        }
    }
    FAILS(rn_safetensors_writer_put(w, "x", 1, err), RN_EINVAL, "leaves room for 0");
    WORKS(rn_safetensors_writer_commit(w, err));
    char *pieces = get_bytes(path, &size);
    assert_int_equal(size, whole_size);
    assert_memory_equal(pieces, whole, size);
    free(whole);
    free(pieces);
}

static void a_file_with_missing_data_does_not_appear(void **state)
{
    (void)state;
    rn_tensor_view t = view_of(3);
    const char *path = in_scratch("short");
    rn_safetensors_writer *w;
    WORKS(rn_safetensors_writer_open(&w, path, &t, 1, NULL, err));
    WORKS(rn_safetensors_writer_put(w, stored[3], 34, err));
    FAILS(rn_safetensors_writer_commit(w, err), RN_EINVAL, "bytes of data are missing");
    assert_int_equal(access(path, F_OK), -1);
    WORKS(rn_safetensors_writer_open(&w, path, &t, 1, NULL, err));
    rn_safetensors_writer_abandon(w);
    rn_safetensors_writer_abandon(NULL);
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_and_weight_types_agree),
        cmocka_unit_test(blocks_come_back_as_they_were),
        cmocka_unit_test(every_range_can_be_read),
        cmocka_unit_test(lying_metadata_are_refused),
        cmocka_unit_test(what_is_no_matrix_of_blocks_is_not_written),
        cmocka_unit_test(pieces_make_the_same_file),
        cmocka_unit_test(a_file_with_missing_data_does_not_appear),
    };
    return cmocka_run_group_tests_name("block_tensor", tests, make_tensors,
                                       scratch_close);
}

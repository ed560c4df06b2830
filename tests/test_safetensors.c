/* safetensors files: what is written comes back, what is wrong is refused with the right
   status and a message that names it, and no damage to a file does more than that. */
#define _XOPEN_SOURCE 700
#include "core/rng.h"
#include "formats/weights.h"
#include "retnet/file.h"

#include <math.h>
#include <stdbool.h>
#include <time.h>

#include "scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A file of a header's text and `size` bytes of data, all 1. */
static const char *put_file(const char *name, const char *header, size_t size)
{
    uint64_t length = strlen(header);
    size_t total = sizeof length + (size_t)length + size;
    char *bytes = malloc(total);
    assert_non_null(bytes);
    memcpy(bytes, &length, sizeof length);
    memcpy(bytes + sizeof length, header, (size_t)length);
    memset(bytes + sizeof length + length, 1, size);
    const char *path = put_bytes(name, bytes, total);
    free(bytes);
    return path;
}

static rn_status try_open(const char *path, rn_error *err)
{
    rn_safetensors *f = NULL;
    rn_status st = rn_safetensors_open(&f, path, err);
    if (st) assert_null(f);
    rn_safetensors_close(f);
    return st;
}

static void tensors_come_back(void **state)
{
    (void)state;
    unsigned char data[64];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7);
    rn_tensor_view views[] = {
        {.name = "matrix",
         .dtype = RN_DTYPE_F32,
         .dims = 2,
         .shape = {2, 3},
         .data = data},
        {.name = "none",
         .dtype = RN_DTYPE_F64,
         .dims = 3,
         .shape = {2, 0, 5},
         .data = NULL},
        {.name = "scalar", .dtype = RN_DTYPE_I64, .dims = 0, .data = data + 8},
        {.name = "odd", .dtype = RN_DTYPE_U8, .dims = 1, .shape = {3}, .data = data + 1},
        {.name = "after odd",
         .dtype = RN_DTYPE_BF16,
         .dims = 1,
         .shape = {5},
         .data = data},
    };
    const char *metadata[] = {"format", "pt", "quote", "a \"b\" \\ c", NULL};
    const char *path = in_scratch("round.safetensors");
    WORKS(rn_safetensors_write(path, views, COUNT(views), metadata, err));

    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, path, err));
    assert_int_equal(rn_safetensors_count(f), COUNT(views));
    const size_t bytes[] = {24, 0, 8, 3, 10};
    for (size_t i = 0; i < COUNT(views); i++) {
        const rn_tensor_view *t = rn_safetensors_find(f, views[i].name);
        assert_non_null(t);
        assert_string_equal(t->name, views[i].name);
        assert_int_equal(t->dtype, views[i].dtype);
        assert_int_equal(t->dims, views[i].dims);
        assert_memory_equal(t->shape, views[i].shape, sizeof t->shape);
        assert_int_equal(t->bytes, bytes[i]);
        uint64_t from_count = 0;
        assert_true(rn_dtype_bytes(t->dtype, t->count, &from_count));
        assert_int_equal(from_count, bytes[i]);
        if (bytes[i]) assert_memory_equal(t->data, views[i].data, bytes[i]);
    }
    assert_int_equal((uintptr_t)rn_safetensors_at(f, 0)->data % 64, 0);
    assert_null(rn_safetensors_find(f, "matri"));
    assert_null(rn_safetensors_find(f, "__metadata__"));
    assert_string_equal(rn_safetensors_metadata(f, "quote"), "a \"b\" \\ c");
    assert_null(rn_safetensors_metadata(f, "none"));
    const char *key, *value;
    assert_true(rn_safetensors_metadata_at(f, 1, &key, &value));
    assert_string_equal(key, "quote");
    assert_false(rn_safetensors_metadata_at(f, 2, &key, &value));
    rn_safetensors_close(f);
}

static void an_empty_list_is_a_file(void **state)
{
    (void)state;
    const char *path = in_scratch("list.safetensors"), *key, *value;
    WORKS(rn_safetensors_write(path, NULL, 0, NULL, err));
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, path, err));
    assert_int_equal(rn_safetensors_count(f), 0);
    assert_null(rn_safetensors_find(f, "x"));
    assert_null(rn_safetensors_metadata(f, "x"));
    assert_false(rn_safetensors_metadata_at(f, 0, &key, &value));
    rn_safetensors_close(f);
}

static void bad_tensors_are_not_written(void **state)
{
    (void)state;
    static const float x[2];
    const char *path = put_text("keep.safetensors", "old");
    const rn_tensor_view ok = {.name = "a", .dims = 1, .shape = {2}, .data = x};
    rn_tensor_view two[2] = {ok, ok};
    FAILS(rn_safetensors_write(path, two, 2, NULL, err), RN_EINVAL, "'a'");
    two[1].name = "__metadata__";
    FAILS(rn_safetensors_write(path, two, 2, NULL, err), RN_EINVAL, "__metadata__");
    two[1].name = "";
    FAILS(rn_safetensors_write(path, two, 2, NULL, err), RN_EINVAL, "empty");
    two[1].name = "\xff";
    FAILS(rn_safetensors_write(path, two, 2, NULL, err), RN_EINVAL, "UTF-8");
    two[1] =
        (rn_tensor_view){.name = "big", .dims = 2, .shape = {1ull << 40, 1ull << 40}};
    FAILS(rn_safetensors_write(path, two, 2, NULL, err), RN_EINVAL, "big");
    two[1] = (rn_tensor_view){.name = "deep", .dims = RN_MAX_DIMS + 1};
    FAILS(rn_safetensors_write(path, two, 2, NULL, err), RN_EINVAL, "deep");
    size_t size;
    char *bytes = get_bytes(path, &size);
    assert_string_equal(bytes, "old");
    free(bytes);
    FAILS(rn_safetensors_write(in_scratch("no/where"), &ok, 1, NULL, err), RN_ENOTFOUND,
          "no/where");
}

/* Types that are known by name and size alone: told, not read. */
static void unread_types_are_described(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t bytes; /* of four */
    } rows[] = {
        {"F4", 2},          {"F6_E2M3", 3},     {"F6_E3M2", 3},
        {"F8_E4M3", 4},     {"F8_E5M2", 4},     {"F8_E8M0", 4},
        {"F8_E4M3FNUZ", 4}, {"F8_E5M2FNUZ", 4}, {"C64", 32},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char header[200], words[100];
        float floats[4];
        int64_t ints[4];
        rn_file *file;
        rn_safetensors *f;
        rn_weights *w;
        snprintf(header, sizeof header,
                 "{\"w\":{\"dtype\":\"%s\",\"shape\":[2,2],\"data_offsets\":[0,%d]}}",
                 rows[i].name, (int)rows[i].bytes);
        snprintf(words, sizeof words, "unread: tensor w has dtype %s", rows[i].name);
        const char *path = put_file("unread", header, (size_t)rows[i].bytes);
        WORKS(rn_file_describe(&file, path, err));
        assert_string_equal(rn_file_tensor_at(file, 0).type, rows[i].name);
        assert_int_equal(rn_file_tensor_at(file, 0).bytes, rows[i].bytes);
        rn_file_free(file);
        FAILS(rn_weights_open(&w, path, err), RN_EUNSUPPORTED, words);
        WORKS(rn_safetensors_open(&f, path, err));
        const rn_tensor_view *t = rn_safetensors_at(f, 0);
        FAILS(rn_tensor_floats(t, 0, 4, floats, err), RN_EUNSUPPORTED, rows[i].name);
        FAILS(rn_tensor_ints(t, 0, 4, ints, err), RN_EUNSUPPORTED, rows[i].name);
        rn_safetensors_close(f);
    }
}

/* Going through the metadata pair by pair costs what their number says, not its square:
   a walk from the first for each would take minutes here. */
static void many_pairs_are_walked_at_once(void **state)
{
    (void)state;
    enum { PAIRS = 200000, ROOM = 24 };
    char *text = malloc(PAIRS * ROOM + 100), *to = text;
    assert_non_null(text);
    to += sprintf(to, "{\"__metadata__\":{");
    for (int i = 0; i < PAIRS; i++)
        to += sprintf(to, "%s\"%d\":\"%d\"", i ? "," : "", i, -i);
    strcpy(to, "}}");
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, put_file("pairs", text, 0), err));
    free(text);
    const char *key, *value;
    size_t count = 0;
    const clock_t begin = clock();
    for (; rn_safetensors_metadata_at(f, count, &key, &value); count++)
        if (count % 1000 == 0 && clock() - begin > 2 * CLOCKS_PER_SEC)
            fail_msg("%zu of %d pairs in two seconds", count, PAIRS);
    assert_int_equal(count, PAIRS);
    assert_string_equal(key, "199999");
    assert_string_equal(value, "-199999");
    assert_string_equal(rn_safetensors_metadata(f, "7"), "-7");
    rn_safetensors_close(f);
}

/* The value of a small float format by its definition. */
static double decode(uint32_t bits, int exponent_bits, int fraction_bits)
{
    uint32_t fraction = bits & ((1u << fraction_bits) - 1);
    int exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    int bias = (1 << (exponent_bits - 1)) - 1;
    double sign = bits >> (exponent_bits + fraction_bits) ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign *
           ldexp(fraction + (1u << fraction_bits), exponent - bias - fraction_bits);
}

static void every_16_bit_float_is_exact(void **state)
{
    (void)state;
    static uint16_t bits[65536];
    static float out[65536];
    for (uint32_t i = 0; i < 65536; i++) bits[i] = (uint16_t)i;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        rn_tensor_view t = {.name = "t", .count = 65536, .data = bits};
        t.dtype = bf16 ? RN_DTYPE_BF16 : RN_DTYPE_F16;
        WORKS(rn_tensor_floats(&t, 0, 65536, out, err));
        for (uint32_t i = 0; i < 65536; i++) {
            double expected = bf16 ? decode(i, 8, 7) : decode(i, 5, 10);
            if (isnan(expected)) assert_true(isnan(out[i]));
            else assert_true((double)out[i] == expected);
            assert_int_equal(!!signbit(out[i]), i >> 15);
        }
    }
}

static void floats_are_read_in_parts(void **state)
{
    (void)state;
    const double doubles[] = {0.1, -2.5, 1e300, 1e-320, 3};
    unsigned char bytes[sizeof doubles + 1];
    memcpy(bytes + 1, doubles, sizeof doubles); /* not aligned */
    rn_tensor_view t = {
        .name = "part", .dtype = RN_DTYPE_F64, .count = 5, .data = bytes + 1};
    float out[5] = {9, 9, 9, 9, 9};
    WORKS(rn_tensor_floats(&t, 1, 2, out, err));
    assert_true(out[0] == -2.5f && isinf(out[1]) && out[2] == 9);
    WORKS(rn_tensor_floats(&t, 5, 0, out, err));
    WORKS(rn_tensor_floats(&t, 0, 1, out, err));
    assert_true(out[0] == (float)0.1);
    FAILS(rn_tensor_floats(&t, 4, 2, out, err), RN_EINVAL, "part");
    FAILS(rn_tensor_floats(&t, UINT64_MAX, 2, out, err), RN_EINVAL, "part");
    FAILS(rn_tensor_floats(&t, 1, UINT64_MAX, out, err), RN_EINVAL, "part");
    int64_t ints[5];
    FAILS(rn_tensor_ints(&t, 0, 1, ints, err), RN_EUNSUPPORTED, "part");
    t.dtype = RN_DTYPE_I32;
    FAILS(rn_tensor_floats(&t, 0, 1, out, err), RN_EUNSUPPORTED, "part: I32");
}

static void integers_keep_their_sign(void **state)
{
    (void)state;
    static const struct {
        rn_dtype dtype;
        int64_t of_ones, of_high; /* all bits set; only the highest bit set */
    } rows[] = {
        {RN_DTYPE_I64, -1, INT64_MIN}, {RN_DTYPE_I32, -1, INT32_MIN},
        {RN_DTYPE_I16, -1, INT16_MIN}, {RN_DTYPE_I8, -1, INT8_MIN},
        {RN_DTYPE_U8, 255, 128},       {RN_DTYPE_BOOL, 255, 128},
        {RN_DTYPE_U16, 65535, 32768},  {RN_DTYPE_U32, UINT32_MAX, 1ll << 31},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char bytes[16] = {0};
        uint64_t size = 0;
        assert_true(rn_dtype_bytes(rows[i].dtype, 1, &size));
        memset(bytes, 0xff, size);
        bytes[2 * size - 1] = 0x80;
        rn_tensor_view t = {
            .name = "t", .dtype = rows[i].dtype, .count = 2, .data = bytes};
        int64_t out[2];
        WORKS(rn_tensor_ints(&t, 0, 2, out, err));
        assert_int_equal(out[0], rows[i].of_ones);
        assert_int_equal(out[1], rows[i].of_high);
    }
    uint64_t large[2] = {INT64_MAX, 1ull << 63};
    rn_tensor_view t = {
        .name = "large", .dtype = RN_DTYPE_U64, .count = 2, .data = large};
    int64_t out[2];
    WORKS(rn_tensor_ints(&t, 0, 1, out, err));
    assert_int_equal(out[0], INT64_MAX);
    FAILS(rn_tensor_ints(&t, 0, 2, out, err), RN_EFORMAT, "element 1");
}

#define ENTRY(dtype, shape, offsets)                                                     \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define ONE(dtype, shape, offsets) "{\"w\":" ENTRY(dtype, shape, offsets) "}"
#define TWO(a, b)                  "{\"a\":" ENTRY("U8", "[4]", a) ",\"b\":" ENTRY("U8", "[4]", b) "}"

static void hostile_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        rn_status status;
        const char *words;
    } rows[] = {
        {"[]", 0, RN_EFORMAT, "begin with '{'"},
        {" {}", 0, RN_EFORMAT, "begin with '{'"},
        {"{", 8, RN_EFORMAT, "line 1"},
        {"{}x", 0, RN_EFORMAT, "line 1"},
        {"{\"w\":\x01}", 0, RN_EFORMAT, "line 1"},
        {"{}", 1, RN_EFORMAT, "holds 1"},
        {"{\"w\":3}", 0, RN_EFORMAT, "w has no dtype"},
        {"{\"w\":{}}", 0, RN_EFORMAT, "w has no dtype"},
        {"{\"w\":{\"dtype\":1}}", 0, RN_EFORMAT, "w has no dtype"},
        {"{\"w\":{\"dtype\":\"F32\"}}", 0, RN_EFORMAT, "w has no shape"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, RN_EFORMAT, "w: data_offsets"},
        {ONE("F8_E4M4", "[4]", "[0,4]"), 4, RN_EUNSUPPORTED, "w: unknown dtype F8_E4M4"},
        {ONE("Q8_0", "[34]", "[0,34]"), 34, RN_EUNSUPPORTED, "w: unknown dtype Q8_0"},
        {ONE("F4", "[3]", "[0,2]"), 2, RN_EFORMAT, "w: 3 elements of F4 overflow or are"},
        {ONE("F6_E2M3", "[2]", "[0,2]"), 2, RN_EFORMAT, "not whole bytes"},
        {ONE("F4", "[4]", "[0,4]"), 4, RN_EFORMAT, "w: its shape in F4 needs 2 bytes"},
        {ONE("f32", "[1]", "[0,4]"), 4, RN_EUNSUPPORTED, "w: unknown dtype"},
        {ONE("F32", "4", "[0,4]"), 4, RN_EFORMAT, "w has no shape"},
        {ONE("F32", "[-1]", "[0,4]"), 4, RN_EFORMAT, "w: dimension 0"},
        {ONE("F32", "[1, 1.0]", "[0,4]"), 4, RN_EFORMAT, "w: dimension 1"},
        {ONE("F32", "[\"1\"]", "[0,4]"), 4, RN_EFORMAT, "w: dimension 0"},
        {ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, RN_EUNSUPPORTED, "w has 9 dim"},
        {ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, RN_EFORMAT, "overflow"},
        {ONE("U8", "[9223372036854775807,2,2]", "[0,0]"), 0, RN_EFORMAT, "overflow"},
        {ONE("F64", "[4611686018427387904]", "[0,0]"), 0, RN_EFORMAT,
         "w: 4611686018427387904 elements of F64 overflow"},
        {ONE("F32", "[99999999999999999999]", "[0,4]"), 4, RN_EFORMAT, "line 1"},
        {ONE("F32", "[2]", "[0,4]"), 4, RN_EFORMAT, "w: its shape in F32 needs 8 bytes"},
        {ONE("F32", "[0]", "[0,4]"), 4, RN_EFORMAT, "needs 0 bytes"},
        {ONE("F32", "[1]", "[0,8]"), 4, RN_EFORMAT, "w: data_offsets [0, 8] lie outside"},
        {ONE("F32", "[1]", "[4,0]"), 4, RN_EFORMAT, "w: data_offsets [4, 0]"},
        {ONE("F32", "[1]", "[-4,0]"), 4, RN_EFORMAT, "w: data_offsets are not"},
        {ONE("F32", "[1]", "[0.0,4]"), 4, RN_EFORMAT, "w: data_offsets are not"},
        {ONE("F32", "[1]", "[0,4,8]"), 8, RN_EFORMAT, "w: data_offsets are not"},
        {ONE("F32", "[1]", "[0]"), 4, RN_EFORMAT, "w: data_offsets are not"},
        {ONE("F32", "[1]", "[9223372036854775804,9223372036854775807]"), 4, RN_EFORMAT,
         "lie outside"},
        {ONE("F32", "[1]", "[4,8]"), 8, RN_EFORMAT, "w begins at byte 4"},
        {ONE("F32", "[1]", "[0,4]"), 8, RN_EFORMAT, "take 4 bytes, the file holds 8"},
        {TWO("[0,4]", "[0,4]"), 4, RN_EFORMAT, "overlap"},
        {TWO("[0,4]", "[3,7]"), 7, RN_EFORMAT, "b begins at byte 3"},
        {TWO("[5,9]", "[0,4]"), 9, RN_EFORMAT, "hole"},
        {"{\"a\":" ENTRY("U8", "[4]", "[0,4]") ",\"a\":" ENTRY("U8", "[4]", "[4,8]") "}",
         8, RN_EFORMAT, "duplicate"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]}"
         "}",
         1, RN_EFORMAT, "duplicate"},
        {"{\"\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, RN_EFORMAT, "name has 0 bytes"},
        {"{\"a\\nb\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, RN_EFORMAT,
         "control characters"},
        {"{\"a\\u0000b\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, RN_EFORMAT, "line 1"},
        {"{\"\xff\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, RN_EFORMAT, "line 1"},
        {"{\"__metadata__\":[]}", 0, RN_EFORMAT, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, RN_EFORMAT, "__metadata__ holds"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *path = put_file("hostile", rows[i].header, rows[i].data);
        rn_error err = {RN_OK, ""};
        rn_status st = try_open(path, &err);
        if (st != rows[i].status) print_error("header: %s\n", rows[i].header);
        check_failure(st, rows[i].status, &err, rows[i].words);
        assert_non_null(strstr(err.message, "hostile"));
    }
}

static void deep_and_long_headers_are_refused(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(2 * DEPTH + 64);
    assert_non_null(text);
    char *p = text + sprintf(text, "{\"w\":");
    memset(p, '[', DEPTH);
    memset(p + DEPTH, ']', DEPTH);
    strcpy(p + 2 * DEPTH, "}");
    FAILS(try_open(put_file("deep", text, 0), err), RN_EFORMAT, "depth");

    memset(text, 'n', 600);
    memcpy(text, "{\"", 2);
    strcpy(text + 600, "\":" ENTRY("U8", "[1]", "[0,1]") "}");
    FAILS(try_open(put_file("name", text, 1), err), RN_EFORMAT, "598 bytes");
    free(text);

    static const uint64_t lengths[] = {0, 1, 100, 100000001, UINT64_MAX, 1ull << 63};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        unsigned char bytes[32] = {0};
        memcpy(bytes, &lengths[i], 8);
        memcpy(bytes + 8, "{}", 2);
        FAILS(try_open(put_bytes("length", bytes, sizeof bytes), err), RN_EFORMAT,
              lengths[i] < sizeof bytes ? "length" : "its header would be");
    }
    FAILS(try_open(in_scratch("missing"), err), RN_ENOTFOUND, "missing");
    FAILS(try_open(put_text("nothing", ""), err), RN_EFORMAT, "nothing: 0 bytes");
    FAILS(try_open(scratch, err), RN_EINVAL, "folder");
}

static void padding_and_empty_tensors_are_fine(void **state)
{
    (void)state;
    const char *header = "{\"z\":" ENTRY("F32", "[0,3]", "[4,4]") ",\"b\":" ENTRY(
        "U8", "[4]", "[4,8]") ",\"y\":" ENTRY("F32", "[0]",
                                              "[8,8]") ",\"a\":" ENTRY("F32", "[]",
                                                                       "[0,4]") "}    ";
    WORKS(try_open(put_file("fine", header, 8), err));
}

/* A small valid file of several types, and its size. */
static char *small_file(size_t *size)
{
    static const float w[4] = {1, 2, 3, 4};
    static const uint16_t h[3] = {1, 2, 3};
    const rn_tensor_view views[] = {
        {.name = "w", .dtype = RN_DTYPE_F32, .dims = 2, .shape = {2, 2}, .data = w},
        {.name = "h", .dtype = RN_DTYPE_F16, .dims = 1, .shape = {3}, .data = h},
        {.name = "i", .dtype = RN_DTYPE_I16, .dims = 1, .shape = {3}, .data = h},
    };
    const char *metadata[] = {"k", "v", NULL}, *path = in_scratch("small");
    WORKS(rn_safetensors_write(path, views, COUNT(views), metadata, err));
    return get_bytes(path, size);
}

/* Opens what may be damaged and reads all of it; true when it was accepted. */
static bool read_whole(const char *path)
{
    rn_safetensors *f;
    rn_error err = {RN_OK, ""};
    rn_status st = rn_safetensors_open(&f, path, &err);
    if (st) {
        assert_true(st == RN_EFORMAT || st == RN_EUNSUPPORTED);
        assert_true(err.message[0] && err.status == st);
        return false;
    }
    for (size_t i = 0; i < rn_safetensors_count(f); i++) {
        const rn_tensor_view *t = rn_safetensors_at(f, i);
        assert_true(t->count <= 64);
        float floats[64];
        int64_t ints[64];
        rn_status a = rn_tensor_floats(t, 0, t->count, floats, NULL);
        rn_status b = rn_tensor_ints(t, 0, t->count, ints, NULL);
        assert_true(a == RN_OK || b != RN_EUNSUPPORTED);
        assert_ptr_equal(rn_safetensors_find(f, t->name), t);
    }
    rn_safetensors_close(f);
    return true;
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t size;
    char *bytes = small_file(&size);
    for (size_t n = 0; n < size; n++) {
        char *copy = malloc(n + 1); /* its own block: reading beyond would be seen */
        assert_non_null(copy);
        memcpy(copy, bytes, n);
        assert_false(read_whole(put_bytes("cut", copy, n)));
        free(copy);
    }
    assert_true(read_whole(put_bytes("cut", bytes, size)));
    bytes[size] = 0;
    assert_false(read_whole(put_bytes("cut", bytes, size + 1)));
    free(bytes);
}

static void corruption_is_refused_or_harmless(void **state)
{
    (void)state;
    size_t size, accepted = 0;
    char *bytes = small_file(&size);
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    for (uint32_t i = 0; i < 6000; i++) {
        uint32_t draw[4];
        rn_philox(draw, 1, RN_STREAM_TEST, i, 0);
        size_t at = i < 8 * 256 ? i / 256 : draw[0] % (8 + (size_t)length);
        char before = bytes[at];
        bytes[at] = i < 8 * 256 ? (char)(i % 256) : (char)(draw[1] % 256);
        accepted += read_whole(put_bytes("damaged", bytes, size));
        bytes[at] = before;
    }
    assert_true(accepted > 0 && accepted < 3000);
    free(bytes);
}

static void golden_files_are_read(void **state)
{
    (void)state;
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, RN_GOLDEN "/torchscale-tied/model.safetensors", err));
    assert_int_equal(rn_safetensors_count(f), 24);
    assert_string_equal(rn_safetensors_metadata(f, "format"), "pt");
    const rn_tensor_view *t = rn_safetensors_find(f, "retnet_rel_pos.decay");
    float decay[3];
    WORKS(rn_tensor_floats(t, 0, 3, decay, err));
    for (int h = 0; h < 3; h++)
        assert_true(fabs((double)decay[h] - log(1 - ldexp(1, -5 - h))) < 1e-8);
    rn_safetensors_close(f);
    WORKS(rn_safetensors_open(&f, RN_GOLDEN "/torchscale-tied/io.safetensors", err));
    int64_t ids[80];
    WORKS(rn_tensor_ints(rn_safetensors_find(f, "ids"), 0, 80, ids, err));
    for (int i = 0; i < 80; i++) assert_true(ids[i] >= 0 && ids[i] < 211);
    rn_safetensors_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_back),
        cmocka_unit_test(an_empty_list_is_a_file),
        cmocka_unit_test(bad_tensors_are_not_written),
        cmocka_unit_test(unread_types_are_described),
        cmocka_unit_test(many_pairs_are_walked_at_once),
        cmocka_unit_test(every_16_bit_float_is_exact),
        cmocka_unit_test(floats_are_read_in_parts),
        cmocka_unit_test(integers_keep_their_sign),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(deep_and_long_headers_are_refused),
        cmocka_unit_test(padding_and_empty_tensors_are_fine),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(corruption_is_refused_or_harmless),
        cmocka_unit_test(golden_files_are_read),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

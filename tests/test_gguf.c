/* GGUF files: what the `gguf` package wrote is read value by value and written again byte
   by byte; every field of a file bent; the writer's refusals. */
#define _GNU_SOURCE
#include "test.h"

#include "scratch.h"

#include "core/file.h"
#include "formats/weights.h"
#include "retnet/file.h"

#include <string.h>

#define FIXTURE RN_GOLDEN "/gguf/model.gguf"

static rn_gguf *open_file(const char *path)
{
    rn_gguf *f = NULL;
    WORKS(rn_gguf_open(&f, path, err));
    return f;
}

static const rn_gguf_value *find(const rn_gguf *f, const char *key)
{
    const rn_gguf_value *v = rn_gguf_find(f, key);
    if (!v) fail_msg("no key %s", key);
    return v;
}

static void check_text(const rn_gguf_value *v, const char *want)
{
    const char *text;
    size_t length;
    assert_true(rn_gguf_text(v, &text, &length));
    assert_int_equal(length, strlen(want));
    assert_memory_equal(text, want, length);
}

/* ---- reading ---- */

static void whole_numbers_keep_their_value(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        rn_gguf_type type;
        int64_t value;
    } rows[] = {
        {"test.uint8", RN_GGUF_U8, 200},
        {"test.int8", RN_GGUF_I8, -100},
        {"test.uint16", RN_GGUF_U16, 60000},
        {"test.int16", RN_GGUF_I16, -30000},
        {"test.uint32", RN_GGUF_U32, 4000000000},
        {"test.int32", RN_GGUF_I32, -2000000000},
        {"test.int64", RN_GGUF_I64, INT64_MIN},
        {"retnet.embedding_length", RN_GGUF_U32, 32},
    };
    rn_gguf *f = open_file(FIXTURE);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const rn_gguf_value *v = find(f, rows[i].key);
        int64_t n = 0;
        assert_int_equal(v->type, rows[i].type);
        assert_true(rn_gguf_int(v, &n));
        assert_true(n == rows[i].value);
    }
    int64_t n;
    double x;
    assert_false(rn_gguf_int(find(f, "test.uint64"), &n)); /* 2^64 - 1 */
    assert_true(rn_gguf_real(find(f, "test.uint64"), &x));
    assert_true(x == 18446744073709551616.0);
    assert_false(rn_gguf_int(find(f, "test.bool"), &n));
    assert_null(rn_gguf_find(f, "test.none"));
    rn_gguf_close(f);
}

static void other_values_keep_theirs(void **state)
{
    (void)state;
    rn_gguf *f = open_file(FIXTURE);
    double x = 0;
    bool truth = false;
    assert_true(rn_gguf_real(find(f, "test.float32"), &x) && x == (double)0.1f);
    assert_true(rn_gguf_real(find(f, "test.float64"), &x) && x == 0.1);
    assert_true(rn_gguf_bool(find(f, "test.bool"), &truth) && truth);
    check_text(find(f, "test.string"), "zw\xc3\xb6lf\n");
    check_text(find(f, "general.architecture"), "retnet");
    rn_gguf_close(f);
}

static void arrays_are_walked(void **state)
{
    (void)state;
    static const char *const words[] = {"one", "", "three"};
    static const int64_t numbers[] = {1, -2, 3}, nested[3][3] = {{1, 2}, {3}, {4, 5, 6}};
    rn_gguf *f = open_file(FIXTURE);
    rn_gguf_value item, inner;
    size_t at = 0, n = 0, k;
    int64_t whole;
    while (rn_gguf_next(find(f, "test.strings"), &at, &item))
        check_text(&item, words[n++]);
    assert_int_equal(n, 3);
    for (at = n = 0; rn_gguf_next(find(f, "test.array"), &at, &item); n++)
        assert_true(rn_gguf_int(&item, &whole) && whole == numbers[n]);
    assert_int_equal(n, 3);
    for (at = n = 0; rn_gguf_next(find(f, "test.nested"), &at, &item); n++) {
        size_t inside = 0;
        for (k = 0; rn_gguf_next(&item, &inside, &inner); k++)
            assert_true(rn_gguf_int(&inner, &whole) && whole == nested[n][k]);
        assert_int_equal(k, item.count);
    }
    assert_int_equal(n, 3);
    rn_gguf_close(f);
}

static double entry(const rn_gguf_value *list, size_t index)
{
    rn_gguf_value item = {0};
    size_t at = 0;
    double x = NAN;
    for (size_t i = 0; i <= index; i++) assert_true(rn_gguf_next(list, &at, &item));
    assert_true(rn_gguf_real(&item, &x));
    return x;
}

/* Numbers decode to what the package makes of them. */
static void tensors_hold_their_numbers(void **state)
{
    (void)state;
    rn_gguf *f = open_file(FIXTURE);
    assert_int_equal(rn_gguf_count(f), 14);
    for (size_t i = 0; i < rn_gguf_count(f); i++) {
        const rn_tensor_view *t = rn_gguf_at(f, i);
        char key[128];
        snprintf(key, sizeof key, "test.sums.%s", t->name);
        float *x = test_floats((size_t)t->count);
        WORKS(rn_tensor_floats(t, 0, t->count, x, err));
        double sum = 0, squares = 0;
        for (size_t e = 0; e < t->count; e++) {
            sum += (double)x[e];
            squares += (double)x[e] * (double)x[e];
        }
        assert_true(fabs(sum - entry(find(f, key), 0)) < 1e-5);
        assert_true(fabs(squares - entry(find(f, key), 1)) < 1e-5);
        free(x);
    }
    const rn_tensor_view *first = rn_gguf_at(f, 0);
    assert_string_equal(first->name, "token_embd.weight");
    assert_int_equal(first->shape[0], 24); /* rows first, as everywhere here */
    assert_int_equal(first->shape[1], 32);
    rn_gguf_close(f);
}

/* ---- writing ---- */

static void write_copy(const rn_gguf *f, const char *path, size_t piece)
{
    rn_gguf_meta meta = {0};
    rn_gguf_writer *w = NULL;
    rn_tensor_view views[32];
    size_t count = rn_gguf_count(f);
    const char *key;
    const rn_gguf_value *v;
    for (size_t i = 0; rn_gguf_pair_at(f, i, &key, &v); i++)
        rn_gguf_put_copy(&meta, key, v);
    for (size_t i = 0; i < count; i++) views[i] = *rn_gguf_at(f, i);
    WORKS(rn_gguf_writer_open(&w, path, &meta, views, count, err));
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < views[i].bytes; at += piece) {
            size_t left = views[i].bytes - at;
            const char *from = views[i].data;
            WORKS(rn_gguf_writer_put(w, from + at, left < piece ? left : piece, err));
        }
    WORKS(rn_gguf_writer_commit(w, err));
    rn_gguf_meta_free(&meta);
}

static void the_same_bytes_are_written(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 1000, SIZE_MAX / 2};
    rn_gguf *f = open_file(FIXTURE);
    size_t size, other;
    char *want = get_bytes(FIXTURE, &size);
    for (size_t i = 0; i < 3; i++) {
        const char *path = in_scratch("copy.gguf");
        write_copy(f, path, pieces[i]);
        char *got = get_bytes(path, &other);
        assert_int_equal(other, size);
        assert_memory_equal(got, want, size);
        free(got);
    }
    free(want);
    rn_gguf_close(f);
}

/* What each rn_gguf_put_* leaves. */
static void put_values_are_read_back(void **state)
{
    (void)state;
    static const double reals[] = {0.1, 1.0 / 3};
    rn_gguf_meta m = {0};
    rn_gguf_writer *w = NULL;
    const char *path = in_scratch("values.gguf");
    rn_gguf_put_u32(&m, "a", UINT32_MAX);
    rn_gguf_put_u64(&m, "b", (uint64_t)INT64_MAX);
    rn_gguf_put_i64(&m, "c", INT64_MIN);
    rn_gguf_put_f32(&m, "d", 0.1f);
    rn_gguf_put_f64(&m, "e", 0.1);
    rn_gguf_put_bool(&m, "f", true);
    rn_gguf_put_array(&m, "g", RN_GGUF_F64, reals, 2);
    rn_gguf_put_strings(&m, "h", 1);
    rn_gguf_put_item(&m, "x\0y", 3);
    WORKS(rn_gguf_writer_open(&w, path, &m, NULL, 0, err));
    WORKS(rn_gguf_writer_commit(w, err));
    rn_gguf_meta_free(&m);
    rn_gguf *f = open_file(path);
    int64_t n = 0;
    double x = 0;
    bool truth = false;
    assert_true(rn_gguf_int(find(f, "a"), &n) && n == UINT32_MAX);
    assert_true(rn_gguf_int(find(f, "b"), &n) && n == INT64_MAX);
    assert_true(rn_gguf_int(find(f, "c"), &n) && n == INT64_MIN);
    assert_true(rn_gguf_real(find(f, "d"), &x) && x == (double)0.1f);
    assert_true(rn_gguf_real(find(f, "e"), &x) && x == 0.1);
    assert_true(rn_gguf_bool(find(f, "f"), &truth) && truth);
    assert_true(entry(find(f, "g"), 1) == 1.0 / 3);
    rn_gguf_value item;
    size_t at = 0;
    assert_true(rn_gguf_next(find(f, "h"), &at, &item) && item.bytes == 3);
    rn_gguf_close(f);
}

static rn_status try_write(const rn_tensor_view *views, size_t count, const void *bytes,
                           size_t size, rn_error *err)
{
    rn_gguf_meta m = {0};
    rn_gguf_writer *w = NULL;
    const char *path = in_scratch("refused.gguf");
    rn_status st = rn_gguf_writer_open(&w, path, &m, views, count, err);
    if (st) return st;
    st = rn_gguf_writer_put(w, bytes, size, err);
    if (!st) return rn_gguf_writer_commit(w, err);
    rn_gguf_writer_abandon(w);
    return st;
}

/* What files cannot hold, and what is not all put. */
static const char long_name[] =
    "0123456789012345678901234567890123456789012345678901234567890123";
static const struct {
    rn_tensor_view views[2];
    size_t count, size;
    rn_status status;
    const char *words;
} unwritable[] = {
    {{{.name = "", .dims = 1, .shape = {4}}}, 1, 16, RN_EUNSUPPORTED, "1 to 63 bytes"},
    {{{.name = long_name, .dims = 1, .shape = {4}}}, 1, 16, RN_EUNSUPPORTED, "1 to 63"},
    {{{.name = "a", .dims = 5, .shape = {1, 1, 1, 1, 1}}},
     1,
     4,
     RN_EUNSUPPORTED,
     "5 dimensions"},
    {{{.name = "a", .dims = 0}}, 1, 4, RN_EUNSUPPORTED, "0 dimensions"},
    {{{.name = "a", .dims = 1, .shape = {0}}}, 1, 0, RN_EUNSUPPORTED, "empty"},
    {{{.name = "a", .dtype = RN_DTYPE_BOOL, .dims = 1, .shape = {4}}},
     1,
     4,
     RN_EUNSUPPORTED,
     "BOOL, which GGUF lacks"},
    {{{.name = "a", .dtype = RN_DTYPE_Q8_0, .dims = 2, .shape = {32, 2}}},
     1,
     4,
     RN_EINVAL,
     "not whole blocks"},
    {{{.name = "a", .dims = 2, .shape = {1ull << 40, 1ull << 40}}},
     1,
     4,
     RN_EUNSUPPORTED,
     "overflows"},
    {{{.name = "a", .dims = 1, .shape = {1ull << 61}}}, 1, 4, RN_EINVAL, "overflows"},
    {{{.name = "a", .dims = 1, .shape = {1}}, {.name = "a", .dims = 1, .shape = {1}}},
     2,
     8,
     RN_EINVAL,
     "'a' is there twice"},
    {{{.name = "a", .dims = 1, .shape = {4}}}, 1, 12, RN_EINVAL, "missing"},
    {{{.name = "a", .dims = 1, .shape = {4}}}, 1, 20, RN_EINVAL, "4 bytes more"},
};

static void the_writer_refuses(void **state)
{
    (void)state;
    static const unsigned char bytes[64];
    for (size_t i = 0; i < sizeof unwritable / sizeof unwritable[0]; i++) {
        FAILS(try_write(unwritable[i].views, unwritable[i].count, bytes,
                        unwritable[i].size, err),
              unwritable[i].status, unwritable[i].words);
        assert_false(rn_path_exists(in_scratch("refused.gguf")));
    }
}

/* ---- hostile files ---- */

/* A file with one of everything that can be bent. */
static char *make_victim(size_t *size)
{
    static const uint32_t list[] = {1, 2, 3};
    static const unsigned char data[256];
    static const rn_tensor_view views[] = {
        {.name = "alpha", .dims = 2, .shape = {2, 4}},
        {.name = "gamma", .dtype = RN_DTYPE_Q8_0, .dims = 2, .shape = {1, 32}},
    };
    rn_gguf_meta m = {0};
    rn_gguf_writer *w = NULL;
    const char *path = in_scratch("victim.gguf");
    rn_gguf_put_u32(&m, "general.alignment", 32);
    rn_gguf_put_bool(&m, "key.bool", true);
    rn_gguf_put_text(&m, "key.text", "abc", 3);
    rn_gguf_put_array(&m, "key.list", RN_GGUF_U32, list, 3);
    rn_gguf_put_strings(&m, "key.strs", 2);
    rn_gguf_put_item(&m, "one", 3);
    rn_gguf_put_item(&m, "two", 3);
    rn_gguf_put_u32(&m, "split.count", 1);
    WORKS(rn_gguf_writer_open(&w, path, &m, views, 2, err));
    WORKS(rn_gguf_writer_put(w, data, 32 + 34, err));
    WORKS(rn_gguf_writer_commit(w, err));
    rn_gguf_meta_free(&m);
    return get_bytes(path, size);
}

/* Replaces `count` bytes at `delta` behind the end of `mark` (NULL: the file's begin). */
typedef struct bend {
    const char *mark;
    int delta;
    uint64_t bytes;
    size_t count;
    rn_status status;
    const char *words;
} bend;

static const bend bends[] = {
    {NULL, 0, 'g', 1, RN_EFORMAT, "not a GGUF file"},
    {NULL, 4, 2, 4, RN_EUNSUPPORTED, "version 2"},
    {NULL, 4, 4, 4, RN_EUNSUPPORTED, "version 4"},
    {NULL, 4, 0x03000000, 4, RN_EUNSUPPORTED, "big-endian"},
    {NULL, 8, 3, 8, RN_EFORMAT, "tensor 2 has a name of 0 bytes"},
    {NULL, 8, UINT64_MAX, 8, RN_EFORMAT, "18446744073709551615 tensors"},
    {NULL, 8, 1000, 8, RN_EFORMAT, "1000 tensors"},
    {NULL, 16, UINT64_MAX / 8, 8, RN_EFORMAT, "keys in"},
    {NULL, 16, 5, 8, RN_EFORMAT, ""}, /* the last key read as a tensor */
    {"key.bool", -16, 0, 8, RN_EFORMAT, "name of 0 bytes"},
    {"key.bool", -16, 65536, 8, RN_EFORMAT, "cut off in the name of key 1"},
    {"key.bool", -16, UINT64_MAX, 8, RN_EFORMAT, "cut off in the name of key 1"},
    {"key.bool", -1, '\n', 1, RN_EFORMAT, "control characters"},
    {"key.bool", -1, 0, 1, RN_EFORMAT, "control characters"},
    {"key.bool", 0, 13, 4, RN_EFORMAT, "value of key.bool has an unknown type"},
    {"key.bool", 4, 2, 1, RN_EFORMAT, "neither 0 nor 1"},
    {"key.text", 4, 1000, 8, RN_EFORMAT, "value of key.text is cut off"},
    {"key.text", 4, UINT64_MAX, 8, RN_EFORMAT, "value of key.text is cut off"},
    {"key.text", -4, 0x6c6f6f62, 4, RN_EFORMAT, "key.bool is there twice"},
    {"key.list", 4, 13, 4, RN_EFORMAT, "array of an unknown type"},
    {"key.list", 8, 1000, 8, RN_EFORMAT, "value of key.list is cut off"},
    {"key.list", 8, 1ull << 62, 8, RN_EFORMAT, "value of key.list is cut off"},
    {"key.strs", 8, 1ull << 61, 8, RN_EFORMAT, "value of key.strs is cut off"},
    {"key.strs", 16, UINT64_MAX - 3, 8, RN_EFORMAT, "value of key.strs is cut off"},
    {"general.alignment", 4, 0, 4, RN_EFORMAT, "alignment is 0, not a power of two"},
    {"general.alignment", 4, 48, 4, RN_EFORMAT, "alignment is 48"},
    {"general.alignment", 4, 1u << 31, 4, RN_EFORMAT, "alignment is 2147483648"},
    {"general.alignment", 0, RN_GGUF_F32, 4, RN_EFORMAT, "not a whole number"},
    {"split.count", 4, 2, 4, RN_OK, ""}, /* it is listed, but no model */
    {"alpha", -13, 0, 8, RN_EFORMAT, "tensor 0 has a name of 0 bytes"},
    {"alpha", -13, 65, 8, RN_EFORMAT, "tensor 0 has a name of 65 bytes, not 1 to 64"},
    {"alpha", -13, 1ull << 40, 8, RN_EFORMAT, "cut off in the name of tensor 0"},
    {"alpha", -2, 0x7f, 1, RN_EFORMAT, "control characters"},
    {"gamma", -5, 0x616d6d6167, 0, RN_OK, ""}, /* nothing is bent: it opens */
    {"alpha", 0, 0, 4, RN_EFORMAT, "alpha has 0 dimensions"},
    {"alpha", 0, 5, 4, RN_EFORMAT, "alpha has 5 dimensions"},
    {"alpha", 4, 0, 8, RN_EFORMAT, "dimension 0 is 0"},
    {"alpha", 4, 1ull << 63, 8, RN_EFORMAT, "dimension 0 is -"},
    {"alpha", 4, 1ull << 62, 8, RN_EFORMAT, "its size overflows"},
    {"alpha", 4, INT64_MAX, 8, RN_EFORMAT, "size overflows"},
    {"alpha", 12, INT64_MAX, 8, RN_EFORMAT, "product of its shape overflows"},
    {"alpha", 20, 3, 4, RN_EFORMAT, "rows of 4 are not whole blocks of Q4_1"},
    {"alpha", 20, 4, 4, RN_EUNSUPPORTED, "type 4, which is not known"},
    {"alpha", 20, UINT32_MAX, 4, RN_EUNSUPPORTED, "type 4294967295"},
    {"alpha", 20, 2, 4, RN_EFORMAT, "rows of 4 are not whole blocks of Q4_0"},
    {"alpha", 24, 16, 8, RN_EFORMAT, "offset 16 is no multiple of 32"},
    {"alpha", 24, 32, 8, RN_EFORMAT, "overlap"},
    {"alpha", 24, 96, 8, RN_EFORMAT, "lie outside"},
    {"alpha", 24, UINT64_MAX - 31, 8, RN_EFORMAT, "lie outside"},
    {"gamma", 4, 31, 8, RN_EFORMAT, "rows of 31 are not whole blocks of Q8_0"},
    {"gamma", 4, 96, 8, RN_EFORMAT, "gamma: 102 bytes at 32 lie outside"},
    {"gamma", 24, 0, 8, RN_EFORMAT, "overlap"},
};

static rn_status open_bytes(const void *bytes, size_t size, rn_error *err)
{
    rn_gguf *f = NULL;
    rn_status st = rn_gguf_open(&f, put_bytes("bent.gguf", bytes, size), err);
    rn_gguf_close(f);
    return st;
}

static void every_field_bent(void **state)
{
    (void)state;
    size_t size;
    char *victim = make_victim(&size);
    for (size_t i = 0; i < sizeof bends / sizeof bends[0]; i++) {
        const bend *b = &bends[i];
        char *bent = malloc(size);
        assert_non_null(bent);
        memcpy(bent, victim, size);
        char *mark = b->mark ? memmem(bent, size, b->mark, strlen(b->mark)) : bent;
        assert_non_null(mark);
        char *at = mark + (b->mark ? strlen(b->mark) : 0) + b->delta;
        memcpy(at, &b->bytes, b->count);
        rn_error err = {RN_OK, ""};
        rn_status st = open_bytes(bent, size, &err);
        if (b->status) check_failure(st, b->status, &err, b->words);
        else assert_int_equal(st, RN_OK);
        free(bent);
    }
    free(victim);
}

static void names_are_unique(void **state)
{
    (void)state;
    size_t size;
    char *victim = make_victim(&size);
    memcpy(memmem(victim, size, "gamma", 5), "alpha", 5);
    FAILS(open_bytes(victim, size, err), RN_EFORMAT, "tensor alpha is there twice");
    free(victim);
}

static void cut_anywhere_it_is_refused(void **state)
{
    (void)state;
    size_t size;
    char *victim = make_victim(&size);
    size_t end = size - 30; /* the last tensor's padding may be missing */
    for (size_t n = 0; n < end; n++) {
        rn_error err = {RN_OK, ""};
        rn_status st = open_bytes(victim, n, &err);
        if (st != RN_EFORMAT) fail_msg("cut to %zu of %zu bytes: %d", n, size, st);
    }
    WORKS(open_bytes(victim, end, err));
    free(victim);
}

static void arrays_nest_only_so_deep(void **state)
{
    (void)state;
    for (size_t depth = 1; depth < 12; depth++) {
        rn_gguf_meta m = {0};
        rn_gguf_writer *w = NULL;
        unsigned char bytes[16 * 12];
        size_t used = 0;
        for (size_t i = 1; i < depth; i++) { /* arrays of one array each */
            uint32_t item = i + 1 < depth ? RN_GGUF_ARRAY : RN_GGUF_U8;
            uint64_t count = i + 1 < depth ? 1 : 0;
            memcpy(bytes + used, &item, sizeof item);
            memcpy(bytes + used + 4, &count, sizeof count);
            used += 12;
        }
        rn_gguf_value v = {RN_GGUF_ARRAY, depth > 1 ? RN_GGUF_ARRAY : RN_GGUF_U8,
                           depth > 1, bytes, used};
        rn_gguf_put_copy(&m, "deep", &v);
        WORKS(rn_gguf_writer_open(&w, in_scratch("deep.gguf"), &m, NULL, 0, err));
        WORKS(rn_gguf_writer_commit(w, err));
        rn_gguf_meta_free(&m);
        rn_gguf *f = NULL;
        rn_error err;
        rn_status st = rn_gguf_open(&f, in_scratch("deep.gguf"), &err);
        if (depth <= 8) assert_int_equal(st, RN_OK);
        else check_failure(st, RN_EFORMAT, &err, "nests arrays too deep");
        rn_gguf_close(f);
    }
}

/* ---- telling ---- */

static void files_are_described(void **state)
{
    (void)state;
    rn_file *file = NULL;
    const char *key, *value, *text = NULL, *list = NULL;
    WORKS(rn_file_describe(&file, FIXTURE, err));
    assert_string_equal(rn_file_format(file), "gguf");
    assert_int_equal(rn_file_tensor_count(file), 14);
    rn_file_tensor t = rn_file_tensor_at(file, 3);
    assert_string_equal(t.name, "blk.0.attn_k.weight");
    assert_string_equal(t.type, "BF16");
    assert_int_equal(t.shape[0], 32);
    for (size_t i = 0; rn_file_metadata_at(file, i, &key, &value); i++) {
        if (!strcmp(key, "test.int64")) text = value;
        if (!strcmp(key, "test.nested")) list = value;
    }
    assert_string_equal(text, "-9223372036854775808");
    assert_string_equal(list, "[[2 entries], [1 entries], [3 entries]]");
    rn_file_free(file);
}

/* Files with types that are not read can be listed all the same. */
static void unread_types_are_described(void **state)
{
    (void)state;
    static const struct {
        char type, columns;
        const char *name;
        uint64_t bytes;
    } rows[] = {
        {6, 32, "Q5_0", 22},   {9, 32, "Q8_1", 36},  {39, 64, "MXFP4", 34},
        {40, 64, "NVFP4", 36}, {42, 64, "Q2_0", 18},
    };
    size_t size;
    char *victim = make_victim(&size), words[40];
    char *gamma = memmem(victim, size, "gamma", 5);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gamma[5 + 4] = rows[i].columns;
        gamma[5 + 20] = rows[i].type;
        const char *path = put_bytes("other.gguf", victim, size);
        rn_file *file = NULL;
        rn_weights *w = NULL;
        WORKS(rn_file_describe(&file, path, err));
        rn_file_tensor t = rn_file_tensor_at(file, 1);
        assert_string_equal(t.name, "gamma");
        assert_string_equal(t.type, rows[i].name);
        assert_int_equal(t.bytes, rows[i].bytes);
        assert_int_equal(t.shape[1], rows[i].columns);
        rn_file_free(file);
        snprintf(words, sizeof words, "gamma has type %s", rows[i].name);
        FAILS(rn_weights_open(&w, path, err), RN_EUNSUPPORTED, words);
    }
    free(victim);
}

/* So can one part of a model, which is none by itself. */
static void parts_are_described(void **state)
{
    (void)state;
    size_t size;
    char *victim = make_victim(&size);
    char *split = memmem(victim, size, "split.count", 11);
    split[11 + 4] = 3;
    const char *path = put_bytes("part.gguf", victim, size);
    rn_file *file = NULL;
    rn_weights *w = NULL;
    WORKS(rn_file_describe(&file, path, err));
    assert_int_equal(rn_file_tensor_count(file), 2);
    rn_file_free(file);
    FAILS(rn_weights_open(&w, path, err), RN_EUNSUPPORTED, "one of 3 parts of a model");
    free(victim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_keep_their_value),
        cmocka_unit_test(other_values_keep_theirs),
        cmocka_unit_test(arrays_are_walked),
        cmocka_unit_test(tensors_hold_their_numbers),
        cmocka_unit_test(the_same_bytes_are_written),
        cmocka_unit_test(put_values_are_read_back),
        cmocka_unit_test(the_writer_refuses),
        cmocka_unit_test(every_field_bent),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(cut_anywhere_it_is_refused),
        cmocka_unit_test(arrays_nest_only_so_deep),
        cmocka_unit_test(files_are_described),
        cmocka_unit_test(unread_types_are_described),
        cmocka_unit_test(parts_are_described),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

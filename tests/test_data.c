/* Kinds of training data: JSONL, zstd, Megatron's index, folders of all; and what is
   damaged in them. */
#define _XOPEN_SOURCE 700
#include "core/file.h"
#include "formats/jsonl.h"
#include "formats/megatron.h"
#include "retnet/data.h"

#include <stdbool.h>
#include <signal.h>
#include <sys/resource.h>
#include <zstd.h>

#include "scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static rn_tokenizer *bytes_of_text;

static int set_up(void **state)
{
    return scratch_open(state) || rn_tokenizer_open(&bytes_of_text, "byte", NULL);
}

static int tear_down(void **state)
{
    rn_tokenizer_free(bytes_of_text);
    return scratch_close(state);
}

/* ---- what a sequence holds ---- */

static void check_text(const rn_tokens *t, const char *text, size_t size)
{
    assert_int_equal(rn_tokens_count(t), size);
    int32_t *ids = malloc((size + 1) * sizeof *ids);
    assert_non_null(ids);
    WORKS(rn_tokens_read(t, 0, size, ids, err));
    for (size_t i = 0; i < size; i++) assert_int_equal(ids[i], (unsigned char)text[i]);
    free(ids);
}

/* Documents begin at starts[0 .. count - 1], whatever block is read. */
static void check_starts(const rn_tokens *t, const uint64_t *starts, size_t count)
{
    size_t n = (size_t)rn_tokens_count(t);
    int32_t *ids = malloc(n * sizeof *ids);
    uint8_t *got = malloc(n), *want = calloc(n, 1);
    assert_true(ids && got && want);
    for (size_t i = 0; i < count; i++) want[starts[i]] = 1;
    for (size_t at = 0; at < n; at++) {
        WORKS(rn_tokens_read_documents(t, at, n - at, ids, got, err));
        assert_int_equal(got[0], 1);
        assert_memory_equal(got + 1, want + at + 1, n - at - 1);
    }
    free(ids);
    free(got);
    free(want);
}

static rn_tokens *build(const char *name, const char *const *paths, size_t count)
{
    rn_tokens *t = NULL;
    WORKS(rn_tokens_build(&t, in_scratch(name), paths, count, NULL, bytes_of_text, err));
    return t;
}

static void build_fails(const char *path, rn_status expected, const char *words)
{
    rn_tokens *t = NULL;
    const char *out = in_scratch("failed.bin");
    FAILS(rn_tokens_build(&t, out, &path, 1, NULL, bytes_of_text, err), expected, words);
    assert_null(t);
    assert_false(rn_path_exists(out));
    assert_false(rn_path_exists(in_scratch("failed.idx")));
}

/* ---- JSONL ---- */

static void records_are_documents(void **state)
{
    (void)state;
    const char *path =
        put_text("good.jsonl", "\xef\xbb\xbf{\"text\": \"one\"}\n"
                               "{\"id\": 123456789012345678901234567890, \"text\": "
                               "\"t\\u00e9\\n\\u0000z\", \"meta\": {\"text\": 5}}\r\n"
                               "\n  \t\r\n"
                               "{\"text\": \"\"}\n"
                               "{\"text\": \"\xf0\x9f\x98\x80 last\"}");
    static const char text[] = "onet\xc3\xa9\n\0z\xf0\x9f\x98\x80 last";
    const uint64_t starts[] = {0, 3, 9};
    rn_tokens *t = build("jsonl.bin", &path, 1);
    check_text(t, text, sizeof text - 1);
    check_starts(t, starts, 3);
    assert_int_equal(rn_tokens_text_bytes(t), sizeof text - 1);
    assert_true(rn_tokens_documents(t) != 0);
    rn_tokens_set_documents(t, RN_DOCUMENTS_NONE, 0);
    assert_true(rn_tokens_documents(t) == 0);
    check_starts(t, starts, 1);
    rn_tokens_free(t);
    WORKS(rn_tokens_open(&t, in_scratch("jsonl.bin"), err));
    check_starts(t, starts, 3);
    rn_tokens_free(t);
    WORKS(rn_tokens_open(&t, in_scratch("jsonl.idx"), err));
    check_starts(t, starts, 3);
    rn_tokens_free(t);
}

static void bad_records_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"[1]", "line 2 is no JSON object"},
        {"5", "line 2 is no JSON object"},
        {"\"text\"", "line 2 is no JSON object"},
        {"{\"texts\": \"x\"}", "line 2: no \"text\""},
        {"{\"text\": 7}", "line 2: \"text\" is no string"},
        {"{\"text\": null}", "line 2: \"text\" is no string"},
        {"{\"text\": \"x\"", "line 2, column"},
        {"{\"text\": \"x\"} {\"text\": \"y\"}", "line 2, column"},
        {"{\"text\": \"\xff\"}", "line 2, column"},
        {"{\"text\": \"\\ud800\"}", "line 2, column"},
        {"text", "line 2, column"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char lines[200];
        snprintf(lines, sizeof lines, "{\"text\": \"fine\"}\n%s\n{\"text\": \"fine\"}\n",
                 cases[i].line);
        build_fails(put_text("bad.jsonl", lines), RN_EFORMAT, cases[i].words);
        build_fails(put_text("bad.ndjson", lines), RN_EFORMAT, "bad.ndjson");
    }
    char *deep = malloc(200000);
    memset(deep, '[', 200000);
    build_fails(put_bytes("deep.jsonl", deep, 200000), RN_EFORMAT, "line 1");
    free(deep);
}

static void lines_have_a_limit(void **state)
{
    (void)state;
    size_t size = RN_JSONL_LINE + 100;
    char *line = malloc(size);
    assert_non_null(line);
    memset(line, 'a', size);
    memcpy(line, "{\"text\": \"", 10);
    build_fails(put_bytes("long.jsonl", line, size), RN_EFORMAT, "line 1 has more than");
    /* Longer than the reader's first buffer, and read whole. */
    memcpy(line + 300000 - 3, "\"}\n", 3);
    const char *path = put_bytes("long.jsonl", line, 300000);
    rn_tokens *t = build("long.bin", &path, 1);
    assert_int_equal(rn_tokens_count(t), 300000 - 13);
    rn_tokens_free(t);
    free(line);
}

/* ---- zstd ---- */

/* Appends a frame of `size` bytes of text to the file under construction. */
static size_t add_frame(char *out, size_t room, const void *text, size_t size)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    assert_non_null(c);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(c, out, room, text, size);
    assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(c);
    return n;
}

/* Bytes that do not repeat, and then bytes that do, so that frames are long and short. */
static char *make_text(size_t size)
{
    char *text = malloc(size);
    assert_non_null(text);
    uint32_t x = 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = i % 4096 < 2048 ? (char)(x >> 24) : 'e';
    }
    return text;
}

static void frames_are_one_text(void **state)
{
    (void)state;
    const size_t size = 700000;
    char *text = make_text(size), *file = malloc(2 * size);
    assert_non_null(file);
    size_t n = add_frame(file, 2 * size, text, 5);
    n += add_frame(file + n, 2 * size - n, text, 0);
    memcpy(file + n, "\x51\x2a\x4d\x18\x03\0\0\0abc", 11); /* a skippable frame */
    n += 11;
    n += add_frame(file + n, 2 * size - n, text + 5, size - 5);
    const char *path = put_bytes("text.txt.zst", file, n);
    rn_tokens *t = build("zst.bin", &path, 1);
    check_text(t, text, size);
    assert_true(rn_tokens_documents(t) == 0);
    assert_int_equal(rn_tokens_text_bytes(t), size);
    rn_tokens_free(t);
    free(text);
    free(file);
}

static void damaged_frames_are_errors(void **state)
{
    (void)state;
    const size_t size = 20000;
    char *text = make_text(size), *file = malloc(2 * size);
    assert_non_null(file);
    size_t n = add_frame(file, 2 * size, text, size);
    for (size_t cut = 0; cut < n; cut += cut < 40 || cut + 40 > n ? 1 : 1999)
        build_fails(put_bytes("cut.zst", file, cut), RN_EFORMAT, "cut.zst");
    build_fails(put_bytes("cut.zst", file, n / 2), RN_EFORMAT, "it ends at byte");
    for (size_t at = 0; at < n; at += at < 10 ? 1 : 997) {
        if (at == 4) continue; /* this bit of a frame's description means nothing */
        file[at] ^= 0x10;
        rn_tokens *t = NULL;
        const char *path = put_bytes("damaged.zst", file, n);
        rn_error e = {0};
        assert_true(rn_tokens_build(&t, in_scratch("d.bin"), &path, 1, NULL,
                                    bytes_of_text, &e) == RN_EFORMAT);
        assert_non_null(strstr(e.message, "damaged.zst: "));
        file[at] ^= 0x10;
    }
    memcpy(file + n, "more", 4);
    build_fails(put_bytes("more.zst", file, n + 4), RN_EFORMAT, "byte");
    build_fails(put_text("plain.zst", "not compressed at all"), RN_EFORMAT,
                "plain.zst: damaged at byte");
    build_fails(put_text("shard.bin.zst", "x"), RN_EUNSUPPORTED, "compressed token file");
    free(text);
    free(file);
}

static void records_may_be_compressed(void **state)
{
    (void)state;
    static const char lines[] = "{\"text\": \"ab\"}\n{\"text\": \"c\"}\n";
    char file[200];
    size_t n = add_frame(file, sizeof file, lines, sizeof lines - 1);
    const char *path = put_bytes("lines.jsonl.zst", file, n);
    const uint64_t starts[] = {0, 2};
    rn_tokens *t = build("lines.bin", &path, 1);
    check_text(t, "abc", 3);
    check_starts(t, starts, 2);
    rn_tokens_free(t);
    n = add_frame(file, sizeof file, "{\"text\": \"ab\"}\n[]", 17);
    build_fails(put_bytes("lines.jsonl.zst", file, n), RN_EFORMAT, "line 2");
}

/* ---- Megatron ---- */

typedef struct index_file {
    unsigned char bytes[1024];
    size_t size;
} index_file;

static void put_number(index_file *f, uint64_t x, size_t width)
{
    for (size_t i = 0; i < width; i++) f->bytes[f->size++] = (unsigned char)(x >> 8 * i);
}

/* Sequences of 3, 0, 2, 4 tokens of `width` bytes; documents begin with sequences 0, 2, 2
   and 3: at tokens 0, 3, an empty one, and 5. */
static index_file make_index(unsigned code, size_t width)
{
    static const uint64_t lengths[] = {3, 0, 2, 4}, documents[] = {0, 2, 2, 3, 4};
    index_file f = {.size = 9};
    memcpy(f.bytes, "MMIDIDX\0\0", 9);
    put_number(&f, 1, 8);
    put_number(&f, code, 1);
    put_number(&f, 4, 8);
    put_number(&f, 5, 8);
    uint64_t at = 0;
    for (size_t i = 0; i < 4; i++) put_number(&f, lengths[i], 4);
    for (size_t i = 0; i < 4; at += lengths[i++]) put_number(&f, at * width, 8);
    for (size_t i = 0; i < 5; i++) put_number(&f, documents[i], 8);
    return f;
}

static const char *put_shard(const index_file *index, size_t width)
{
    unsigned char ids[9 * 8] = {0};
    for (size_t i = 0; i < 9; i++) ids[i * width] = (unsigned char)(10 + i);
    put_bytes("m.idx", index->bytes, index->size);
    return put_bytes("m.bin", ids, 9 * width);
}

static const char nine[] = "\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12";

static void indices_tell_documents(void **state)
{
    (void)state;
    static const size_t widths[] = {0, 1, 1, 2, 4, 8, 0, 0, 2};
    const uint64_t starts[] = {0, 3, 5};
    for (unsigned code = 1; code < COUNT(widths); code++) {
        if (!widths[code]) continue;
        index_file f = make_index(code, widths[code]);
        rn_tokens *t, *part;
        WORKS(rn_tokens_open(&t, put_shard(&f, widths[code]), err));
        check_text(t, nine, 9);
        check_starts(t, starts, 3);
        WORKS(rn_tokens_slice(&part, t, 2, 5, err));
        check_text(part, nine + 2, 5);
        const uint64_t inside[] = {0, 1, 3};
        check_starts(part, inside, 3);
        rn_tokens_free(part);
        rn_tokens_free(t);
    }
}

static void negative_ids_are_refused(void **state)
{
    (void)state;
    for (unsigned code = 2; code <= 5; code++) {
        size_t width = code == 2 ? 1 : (size_t)1 << (code - 2);
        index_file f = make_index(code, width);
        size_t size;
        char *ids = get_bytes(put_shard(&f, width), &size);
        memset(ids + 4 * width, 0xff, width);
        rn_tokens *t;
        WORKS(rn_tokens_open(&t, put_bytes("m.bin", ids, size), err));
        FAILS(rn_tokens_check(t, 256, err), RN_EFORMAT, "token 4 is -1");
        int32_t got[9];
        FAILS(rn_tokens_read(t, 0, 9, got, err), RN_EFORMAT, "token 4 is -1");
        rn_tokens_free(t);
        free(ids);
    }
}

/* An index with `width` bytes at `at` changed, of u16 tokens. */
static void index_fails(size_t at, uint64_t value, size_t width, rn_status expected,
                        const char *words)
{
    index_file f = make_index(8, 2), g = f;
    g.size = at;
    put_number(&g, value, width);
    g.size = f.size;
    rn_tokens *t = NULL;
    FAILS(rn_tokens_open(&t, put_shard(&g, 2), err), expected, words);
    assert_null(t);
}

static void contradicting_indices_are_refused(void **state)
{
    (void)state;
    const size_t lengths = 34, places = lengths + 16, documents = places + 32;
    index_fails(0, 'X', 1, RN_EFORMAT, "m.idx: not an index");
    index_fails(8, 1, 1, RN_EFORMAT, "m.idx: not an index");
    index_fails(9, 2, 8, RN_EUNSUPPORTED, "version 2");
    index_fails(17, 6, 1, RN_EUNSUPPORTED, "type code 6");
    index_fails(17, 0, 1, RN_EUNSUPPORTED, "type code 0");
    index_fails(17, 255, 1, RN_EUNSUPPORTED, "type code 255");
    index_fails(17, 4, 1, RN_EUNSUPPORTED, "sequence 1 begins at byte 6");
    index_fails(18, 5, 8, RN_EFORMAT, "counts 5 sequences");
    index_fails(18, UINT64_MAX, 8, RN_EFORMAT, "counts 18446744073709551615");
    index_fails(18, UINT64_MAX / 12 + 2, 8, RN_EFORMAT, "sequences");
    index_fails(26, UINT64_MAX / 8 + 1, 8, RN_EFORMAT, "documents");
    index_fails(26, 4, 8, RN_EFORMAT, "4 documents");
    index_fails(lengths, 2, 4, RN_EUNSUPPORTED, "sequence 1 begins at byte 6");
    index_fails(lengths, UINT32_MAX, 4, RN_EFORMAT, "sequence 0 has -1 tokens");
    index_fails(lengths + 12, 3, 4, RN_EFORMAT, "8 tokens of 2 bytes");
    index_fails(lengths + 12, 5, 4, RN_EFORMAT, "sequence 3, 5 tokens");
    index_fails(places + 8, UINT64_MAX, 8, RN_EFORMAT, "from byte -1");
    index_fails(places + 24, 18, 8, RN_EFORMAT, "sequence 3");
    index_fails(places + 24, (uint64_t)1 << 62, 8, RN_EFORMAT, "sequence 3");
    index_fails(places + 24, 8, 8, RN_EUNSUPPORTED, "not behind");
    index_fails(documents, 1, 8, RN_EFORMAT, "document 0 begins");
    index_fails(documents + 8, 3, 8, RN_EFORMAT, "document 2 begins with sequence 2");
    index_fails(documents + 8, UINT64_MAX, 8, RN_EFORMAT, "document 1");
    index_fails(documents + 32, 3, 8, RN_EFORMAT, "document 4");
    index_fails(documents + 32, 5, 8, RN_EFORMAT, "document 4");

    index_file f = make_index(8, 2);
    for (size_t cut = 0; cut < f.size; cut++) {
        index_file g = f;
        g.size = cut;
        rn_tokens *t = NULL;
        FAILS(rn_tokens_open(&t, put_shard(&g, 2), err), RN_EFORMAT, "m.idx: ");
    }
    const char *path = put_shard(&f, 2);
    rn_tokens *t = NULL;
    FAILS(rn_tokens_open(&t, put_bytes("m.bin", nine, 9), err), RN_EFORMAT, "m.idx");
    put_bytes("m.bin", nine, 0);
    FAILS(rn_tokens_open(&t, path, err), RN_EFORMAT, "m.idx");
    assert_null(t);
}

static void written_indices_are_read(void **state)
{
    (void)state;
    const uint64_t lengths[] = {5, 1, (uint64_t)INT32_MAX + 7, 2};
    const char *path = in_scratch("w.idx");
    WORKS(rn_megatron_write(path, lengths, 4, 4, err));
    size_t size;
    char *bytes = get_bytes(path, &size);
    rn_megatron m;
    uint64_t total = (uint64_t)INT32_MAX + 15;
    WORKS(rn_megatron_parse(&m, (unsigned char *)bytes, size, 4 * total, path, err));
    assert_true(m.tokens == total && m.width == 4);
    assert_int_equal(m.start_count, 4);
    assert_int_equal(m.starts[2], 6);
    assert_true(m.starts[3] == total - 2);
    free(m.starts);
    free(bytes);
}

/* ---- documents by an id ---- */

static void ids_tell_documents(void **state)
{
    (void)state;
    const uint16_t ids[] = {7, 1, 7, 7, 2, 3, 7};
    rn_tokens *t, *both;
    WORKS(rn_tokens_open(&t, put_bytes("ids.bin", ids, sizeof ids), err));
    const uint64_t none[] = {0}, end[] = {0, 1, 3, 4}, begin[] = {0, 2, 3, 6};
    check_starts(t, none, 1);
    assert_true(rn_tokens_documents(t) == 0);
    rn_tokens_set_end(t, 7);
    check_starts(t, end, 4);
    uint64_t hash = rn_tokens_documents(t);
    rn_tokens_set_documents(t, RN_DOCUMENTS_BEGIN, 7);
    check_starts(t, begin, 4);
    assert_int_equal(rn_tokens_text_bytes(t), 0);
    WORKS(rn_tokens_count_text(t, bytes_of_text, err));
    assert_int_equal(rn_tokens_text_bytes(t), COUNT(ids));
    assert_true(hash && rn_tokens_documents(t) && rn_tokens_documents(t) != hash);
    rn_tokens_set_end(t, 3); /* only where nothing else is known */
    check_starts(t, begin, 4);
    const rn_tokens *list[] = {t, t};
    WORKS(rn_tokens_join(&both, list, 2, err));
    assert_int_equal(rn_tokens_count(both), 14);
    const uint64_t joined[] = {0, 2, 3, 6, 7, 9, 10, 13};
    check_starts(both, joined, 8);
    rn_tokens_free(both);
    rn_tokens_free(t);
}

static void gpt2_shards_begin_documents(void **state)
{
    (void)state;
    unsigned char file[1024 + 12] = {0};
    const int32_t header[] = {20240520, 1, 6};
    const uint16_t ids[] = {50256, 5, 6, 50256, 7, 50256};
    memcpy(file, header, sizeof header);
    memcpy(file + 1024, ids, sizeof ids);
    const uint64_t starts[] = {0, 3, 5};
    rn_tokens *t;
    WORKS(rn_tokens_open(&t, put_bytes("gpt2.bin", file, sizeof file), err));
    check_starts(t, starts, 3);
    rn_tokens_set_end(t, 5);
    check_starts(t, starts, 3);
    rn_tokens_free(t);
    const int32_t wide[] = {20240801, 7, 3};
    memcpy(file, wide, sizeof wide);
    WORKS(rn_tokens_open(&t, put_bytes("wide.bin", file, sizeof file), err));
    assert_true(rn_tokens_documents(t) == 0);
    rn_tokens_free(t);
}

/* ---- folders of everything ---- */

static void folders_hold_all_kinds(void **state)
{
    (void)state;
    WORKS(rn_make_folder(in_scratch("all"), err));
    index_file f = make_index(8, 2);
    put_shard(&f, 2);
    assert_int_equal(rename(in_scratch("m.idx"), in_scratch("all/b.idx")), 0);
    assert_int_equal(rename(in_scratch("m.bin"), in_scratch("all/b.bin")), 0);
    const char *folder = in_scratch("all");
    assert_true(rn_tokens_is(folder, NULL));
    put_text("all/a.txt", "first");
    put_text("all/c.jsonl", "{\"text\": \"x\"}\n{\"text\": \"yz\"}\n");
    assert_false(rn_tokens_is(folder, NULL));
    assert_false(rn_tokens_is(folder, in_scratch("all/a.txt")));
    assert_false(rn_tokens_is(folder, folder));
    rn_tokens *t = build("all.bin", &folder, 1);
    check_text(t,
               "first"
               "\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12"
               "xyz",
               17);
    const uint64_t starts[] = {0, 5, 8, 10, 14, 15};
    check_starts(t, starts, 6);
    assert_int_equal(rn_tokens_text_bytes(t), 0);
    rn_tokens_free(t);
    t = NULL;
    FAILS(rn_tokens_open_all(&t, &folder, 1, NULL, err), RN_EUNSUPPORTED, "a.txt");
    assert_null(t);
}

static void shards_are_read_in_place(void **state)
{
    (void)state;
    const uint16_t one[] = {1, 2, 3}, two[] = {4, 5};
    WORKS(rn_make_folder(in_scratch("shards"), err));
    put_bytes("shards/a.bin", one, sizeof one);
    put_bytes("shards/b.bin", two, sizeof two);
    const char *folder = in_scratch("shards");
    assert_true(rn_tokens_is(folder, NULL));
    rn_tokens *t, *part;
    WORKS(rn_tokens_open_all(&t, &folder, 1, NULL, err));
    check_text(t, "\1\2\3\4\5", 5);
    const uint64_t starts[] = {0, 3};
    check_starts(t, starts, 2);
    WORKS(rn_tokens_slice(&part, t, 1, 3, err));
    check_text(part, "\2\3\4", 3);
    rn_tokens_free(part);
    FAILS(rn_tokens_check(t, 5, err), RN_EFORMAT, "b.bin: token 1 is 5");

    /* Cut off while it is open: an error, not the end of the process. */
    assert_int_equal(truncate(in_scratch("shards/b.bin"), 2), 0);
    int32_t ids[5];
    WORKS(rn_tokens_read(t, 0, 4, ids, err));
    FAILS(rn_tokens_read(t, 0, 5, ids, err), RN_EFORMAT, "b.bin: cut off");
    rn_tokens_free(t);
}

/* ---- work that is watched ---- */

typedef struct watch {
    uint64_t calls, stop_at, done, total;
} watch;

static void on_progress(void *user, uint64_t done, uint64_t total, bool *stop)
{
    watch *w = user;
    assert_true(done >= w->done && done <= total);
    w->done = done;
    w->total = total;
    *stop = ++w->calls == w->stop_at;
}

static void building_tells_and_stops(void **state)
{
    (void)state;
    char *text = make_text(1000000);
    const char *paths[] = {put_bytes("p1", text, 1000000), put_bytes("p2", text, 500000)};
    watch w = {0};
    rn_build_options o = {
        .tokenizer = bytes_of_text, .threads = 2, .progress = on_progress, .user = &w};
    rn_tokens *t;
    WORKS(rn_tokens_build_with(&t, in_scratch("p.bin"), paths, 2, &o, err));
    assert_true(w.calls > 4 && w.done == w.total && w.total == 1500000);
    const uint64_t second = 1000000;
    int32_t ids[2];
    uint8_t starts[2];
    WORKS(rn_tokens_read_documents(t, second - 1, 2, ids, starts, err));
    assert_int_equal(starts[1], 1);
    assert_int_equal(ids[1], (unsigned char)text[0]);
    rn_tokens_free(t);
    w = (watch){.stop_at = 3};
    t = NULL;
    FAILS(rn_tokens_build_with(&t, in_scratch("p2.bin"), paths, 2, &o, err),
          RN_EINTERRUPTED, "stopped");
    assert_null(t);
    assert_false(rn_path_exists(in_scratch("p2.bin")));
    free(text);
}

/* A new file that does not come to be leaves the old one and its index. */
static void failed_builds_keep_the_old(void **state)
{
    (void)state;
    put_text("old1", "one");
    const char *old[] = {in_scratch("old1"), put_text("old2", "two")};
    const char *file = in_scratch("kept.bin");
    const uint64_t starts[] = {0, 3};
    rn_tokens *t = build("kept.bin", old, 2);
    rn_tokens_free(t);
    char *text = make_text(20000);
    const char *path = put_bytes("new", text, 20000);
    free(text);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){10000, before.rlim_max});
    rn_error failure = {RN_OK, ""};
    rn_status st = rn_tokens_build(&t, file, &path, 1, NULL, bytes_of_text, &failure);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    check_failure(st, RN_EIO, &failure, "kept.bin: cannot be written");
    WORKS(rn_tokens_open(&t, file, err));
    check_text(t, "onetwo", 6);
    check_starts(t, starts, 2);
    rn_tokens_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_documents),
        cmocka_unit_test(bad_records_name_their_line),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(frames_are_one_text),
        cmocka_unit_test(damaged_frames_are_errors),
        cmocka_unit_test(records_may_be_compressed),
        cmocka_unit_test(indices_tell_documents),
        cmocka_unit_test(negative_ids_are_refused),
        cmocka_unit_test(contradicting_indices_are_refused),
        cmocka_unit_test(written_indices_are_read),
        cmocka_unit_test(ids_tell_documents),
        cmocka_unit_test(gpt2_shards_begin_documents),
        cmocka_unit_test(folders_hold_all_kinds),
        cmocka_unit_test(shards_are_read_in_place),
        cmocka_unit_test(building_tells_and_stops),
        cmocka_unit_test(failed_builds_keep_the_old),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

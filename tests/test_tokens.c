/* Text to tokens: the byte tokenizer, token files in their layouts, files from folders,
   and what is refused. */
#define _XOPEN_SOURCE 700
#include "core/file.h"
#include "formats/shard.h"
#include "formats/text.h"
#include "retnet/data.h"

#include <stdbool.h>

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

static void bytes_are_ids(void **state)
{
    (void)state;
    assert_int_equal(rn_tokenizer_vocab(bytes_of_text), 256);
    assert_true(rn_tokenizer_bytewise(bytes_of_text));
    unsigned char text[256];
    for (int i = 0; i < 256; i++) text[i] = (unsigned char)(255 - i);
    int32_t *ids;
    size_t count;
    WORKS(rn_tokenizer_encode(bytes_of_text, text, 256, 0, &ids, &count, err));
    assert_int_equal(count, 256);
    for (int i = 0; i < 256; i++) {
        char *piece;
        size_t length;
        assert_int_equal(ids[i], 255 - i);
        WORKS(rn_tokenizer_decode(bytes_of_text, ids + i, 1, true, &piece, &length, err));
        assert_int_equal(length, 1);
        assert_int_equal((unsigned char)piece[0], 255 - i);
        free(piece);
    }
    free(ids);
    WORKS(rn_tokenizer_encode(bytes_of_text, "", 0, 0, &ids, &count, err));
    assert_int_equal(count, 0);
    free(ids);
    static const int32_t outside[] = {-1, 256, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(outside); i++) {
        char *piece;
        size_t length = 7;
        WORKS(rn_tokenizer_decode(bytes_of_text, outside + i, 1, true, &piece, &length,
                                  err));
        assert_int_equal(length, 0);
        free(piece);
    }
    rn_tokenizer_free(NULL);
}

static void other_tokenizers_are_refused(void **state)
{
    (void)state;
    rn_tokenizer *t = NULL;
    FAILS(rn_tokenizer_open(&t, "words", err), RN_ENOTFOUND, "words");
    FAILS(rn_tokenizer_open(&t, put_text("tokenizer.json", "{}"), err), RN_EFORMAT,
          "tokenizer.json: model");
    assert_null(t);
}

static void check_ids(const rn_tokens *t, const int32_t *ids, size_t count)
{
    assert_int_equal(rn_tokens_count(t), count);
    int32_t got[64];
    WORKS(rn_tokens_read(t, 0, count, got, err));
    assert_memory_equal(got, ids, count * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        WORKS(rn_tokens_read(t, i, 1, got, err));
        assert_int_equal(got[0], ids[i]);
    }
}

static uint64_t hash_of(const rn_tokens *t)
{
    uint64_t hash = 0;
    WORKS(rn_tokens_hash(t, &hash, err));
    return hash;
}

/* The three layouts of the same ids, written by hand. */
static const int32_t sample[] = {0, 1, 255, 256, 65535, 7, 7};

static const char *put_layout(int layout)
{
    unsigned char bytes[1024 + sizeof sample] = {0};
    int32_t headers[][3] = {
        {0}, {20240520, 1, COUNT(sample)}, {20240801, 7, COUNT(sample)}};
    size_t at = layout ? 1024 : 0, width = layout == 2 ? 4 : 2;
    memcpy(bytes, headers[layout], layout ? sizeof headers[0] : 0);
    for (size_t i = 0; i < COUNT(sample); i++)
        memcpy(bytes + at + i * width, &sample[i], width);
    static const char *const names[] = {"plain.bin", "short.bin", "wide.tokens"};
    return put_bytes(names[layout], bytes, at + COUNT(sample) * width);
}

static void layouts_hold_the_same_tokens(void **state)
{
    (void)state;
    uint64_t hash[3];
    for (int layout = 0; layout < 3; layout++) {
        rn_tokens *t;
        WORKS(rn_tokens_open(&t, put_layout(layout), err));
        check_ids(t, sample, COUNT(sample));
        assert_int_equal(rn_tokens_text_bytes(t), 0);
        WORKS(rn_tokens_hash(t, &hash[layout], err));
        WORKS(rn_tokens_check(t, 65536, err));
        FAILS(rn_tokens_check(t, 65535, err), RN_EFORMAT, "token 4 is 65535");
        rn_tokens_free(t);
    }
    assert_true(hash[0] == hash[1] && hash[1] == hash[2]);
    rn_tokens_free(NULL);
}

static void slices_are_views(void **state)
{
    (void)state;
    for (int layout = 0; layout < 3; layout++) {
        rn_tokens *t, *part, *inner, *none = NULL;
        WORKS(rn_tokens_open(&t, put_layout(layout), err));
        WORKS(rn_tokens_slice(&part, t, 2, 4, err));
        check_ids(part, sample + 2, 4);
        WORKS(rn_tokens_slice(&inner, part, 1, 2, err));
        check_ids(inner, sample + 3, 2);
        FAILS(rn_tokens_slice(&none, part, 1, 4, err), RN_EINVAL, "it has 4");
        FAILS(rn_tokens_slice(&none, part, 5, 0, err), RN_EINVAL, "it has 4");
        FAILS(rn_tokens_slice(&none, part, UINT64_MAX, 2, err), RN_EINVAL, "it has 4");
        assert_null(none);
        WORKS(rn_tokens_slice(&none, part, 4, 0, err));
        assert_int_equal(rn_tokens_count(none), 0);
        assert_true(hash_of(part) != hash_of(t));
        assert_true(hash_of(part) != hash_of(inner));
        rn_tokens_free(none);
        rn_tokens_free(inner);
        rn_tokens_free(part);
        rn_tokens_free(t);
    }
}

static void every_changed_token_changes_the_hash(void **state)
{
    (void)state;
    uint16_t ids[40];
    for (size_t i = 0; i < 40; i++) ids[i] = (uint16_t)(i * 3);
    rn_tokens *t;
    WORKS(rn_tokens_open(&t, put_bytes("hash.bin", ids, sizeof ids), err));
    uint64_t hash = hash_of(t);
    rn_tokens_free(t);
    for (size_t i = 0; i < 40; i++) {
        ids[i] ^= 0x100;
        WORKS(rn_tokens_open(&t, put_bytes("hash.bin", ids, sizeof ids), err));
        assert_true(hash_of(t) != hash);
        rn_tokens_free(t);
        ids[i] ^= 0x100;
    }
    WORKS(rn_tokens_open(&t, put_bytes("hash.bin", ids, sizeof ids - 2), err));
    assert_true(hash_of(t) != hash);
    rn_tokens_free(t);
}

static void damaged_token_files_are_refused(void **state)
{
    (void)state;
    rn_tokens *t = NULL;
    FAILS(rn_tokens_open(&t, in_scratch("none.bin"), err), RN_ENOTFOUND, "none.bin");
    FAILS(rn_tokens_open(&t, put_text("empty.bin", ""), err), RN_EFORMAT, "empty.bin");
    FAILS(rn_tokens_open(&t, put_text("odd.bin", "abc"), err), RN_EFORMAT,
          "odd.bin: 3 bytes");
    FAILS(rn_tokens_open(&t, put_text("text.txt", "hello"), err), RN_EUNSUPPORTED,
          "text.txt");
    FAILS(rn_tokens_open(&t, scratch, err), RN_EINVAL, "folder");
    for (int layout = 1; layout < 3; layout++) {
        size_t size;
        char *bytes = get_bytes(put_layout(layout), &size);
        for (size_t n = 8; n < size; n += n < 1000 ? 100 : 1)
            FAILS(rn_tokens_open(&t, put_bytes("cut.bin", bytes, n), err), RN_EFORMAT,
                  n < 1024 ? "cut off inside the header" : "the header counts 7");
        bytes[size] = 0;
        FAILS(rn_tokens_open(&t, put_bytes("long.bin", bytes, size + 1), err), RN_EFORMAT,
              "long.bin: the header counts 7");
        bytes[4]++;
        FAILS(rn_tokens_open(&t, put_bytes("version.bin", bytes, size), err),
              RN_EUNSUPPORTED, "version");
        bytes[4]--;
        memset(bytes + 8, 0, 4);
        FAILS(rn_tokens_open(&t, put_bytes("zero.bin", bytes, 1024), err), RN_EFORMAT,
              "counts 0");
        memset(bytes + 8, 0xff, 4);
        FAILS(rn_tokens_open(&t, put_bytes("negative.bin", bytes, size), err), RN_EFORMAT,
              "counts -1");
        free(bytes);
    }
    assert_null(t);
}

static void text_becomes_a_token_file(void **state)
{
    (void)state;
    WORKS(rn_make_folder(in_scratch("text/sub"), err));
    put_text("text/b.txt", "second ");
    put_text("text/a.txt", "first ");
    put_text("text/sub/c.md", "\xc3\xa9 third ");
    put_text("text/.hidden", "never");
    put_text("text/empty.txt", "");
    put_text("last", "last");
    const char *paths[] = {in_scratch("text"), in_scratch("last")};
    rn_tokens *t;
    for (int again = 0; again < 2; again++) {
        /* The second time the output lies in the folder that is read, and is left out. */
        const char *out = in_scratch("text/out.bin");
        WORKS(rn_tokens_build(&t, out, paths, 2, NULL, bytes_of_text, err));
        static const char expected[] = "first second \xc3\xa9 third last";
        assert_int_equal(rn_tokens_count(t), sizeof expected - 1);
        assert_int_equal(rn_tokens_text_bytes(t), sizeof expected - 1);
        for (size_t i = 0; i < sizeof expected - 1; i++) {
            int32_t id;
            WORKS(rn_tokens_read(t, i, 1, &id, err));
            assert_int_equal(id, (unsigned char)expected[i]);
        }
        rn_tokens *part;
        WORKS(rn_tokens_slice(&part, t, 3, 5, err));
        assert_int_equal(rn_tokens_text_bytes(part), 5);
        rn_tokens_free(part);
        rn_tokens_free(t);
    }
    WORKS(rn_tokens_open(&t, in_scratch("text/out.bin"), err));
    rn_tokens_free(t);
    const char *self = in_scratch("text/out.bin");
    FAILS(rn_tokens_build(&t, self, &self, 1, NULL, bytes_of_text, err), RN_EINVAL,
          "input and output");
}

static void long_texts_are_read_in_pieces(void **state)
{
    (void)state;
    const size_t size = ((size_t)5 << 19) + 17;
    unsigned char *text = malloc(size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) text[i] = (unsigned char)(i * 31 + i / 251);
    const char *path = put_bytes("long.txt", text, size);
    rn_tokens *t;
    WORKS(rn_tokens_build(&t, in_scratch("long-out.bin"), &path, 1, NULL, bytes_of_text,
                          err));
    assert_int_equal(rn_tokens_count(t), size);
    int32_t *ids = malloc(size * sizeof *ids);
    assert_non_null(ids);
    WORKS(rn_tokens_read(t, 0, size, ids, err));
    size_t wrong = 0;
    for (size_t i = 0; i < size; i++) wrong += ids[i] != text[i];
    assert_int_equal(wrong, 0);
    free(ids);
    free(text);
    rn_tokens_free(t);
}

static void token_files_are_appended(void **state)
{
    (void)state;
    const uint16_t ids[] = {'a', 0, 255};
    const char *paths[] = {put_bytes("some.bin", ids, sizeof ids),
                           put_text("some.txt", "xy")};
    const int32_t expected[] = {'a', 0, 255, 'x', 'y'};
    rn_tokens *t;
    WORKS(
        rn_tokens_build(&t, in_scratch("both.bin"), paths, 2, NULL, bytes_of_text, err));
    check_ids(t, expected, 5);
    assert_int_equal(rn_tokens_text_bytes(t), 0);
    rn_tokens_free(t);
    const uint16_t large[] = {1, 2, 256};
    const char *bad = put_bytes("large.bin", large, sizeof large);
    put_text("before.bin", "old!");
    FAILS(
        rn_tokens_build(&t, in_scratch("before.bin"), &bad, 1, NULL, bytes_of_text, err),
        RN_EFORMAT, "large.bin: token 2 is 256");
    WORKS(rn_tokens_open(&t, in_scratch("before.bin"), err));
    assert_int_equal(rn_tokens_count(t), 2);
    rn_tokens_free(t);
}

static void nothing_to_read_is_an_error(void **state)
{
    (void)state;
    rn_tokens *t = NULL;
    const char *out = in_scratch("nothing.bin"), *path = in_scratch("void");
    FAILS(rn_tokens_build(&t, out, &path, 1, NULL, bytes_of_text, err), RN_ENOTFOUND,
          "void");
    WORKS(rn_make_folder(in_scratch("void/deeper"), err));
    FAILS(rn_tokens_build(&t, out, &path, 1, NULL, bytes_of_text, err), RN_ENOTFOUND,
          "no files");
    FAILS(rn_tokens_build(&t, out, NULL, 0, NULL, bytes_of_text, err), RN_ENOTFOUND,
          "no files");
    put_text("void/deeper/empty", "");
    FAILS(rn_tokens_build(&t, out, &path, 1, NULL, bytes_of_text, err), RN_EFORMAT,
          "no text");
    path = "/dev/zero";
    FAILS(rn_tokens_build(&t, out, &path, 1, NULL, bytes_of_text, err), RN_EINVAL,
          "/dev/zero");
    path = put_text("good.txt", "good");
    FAILS(rn_tokens_build(&t, in_scratch("out.txt"), &path, 1, NULL, bytes_of_text, err),
          RN_EINVAL, ".bin");
    FAILS(
        rn_tokens_build(&t, in_scratch("no/out.bin"), &path, 1, NULL, bytes_of_text, err),
        RN_ENOTFOUND, "no/out.bin");
    assert_null(t);
    assert_false(rn_path_exists(out));
}

static void make_link(const char *to, const char *name)
{
    assert_int_equal(symlink(to, in_scratch(name)), 0);
}

static void folders_are_read_in_order_and_without_loops(void **state)
{
    (void)state;
    WORKS(rn_make_folder(in_scratch("tree/a/b"), err));
    WORKS(rn_make_folder(in_scratch("tree/.git"), err));
    WORKS(rn_make_folder(in_scratch("outside"), err));
    static const char *const files[] = {"tree/z",     "tree/a/x",    "tree/a-b",
                                        "tree/a/b/1", "tree/.git/x", "outside/file"};
    for (size_t i = 0; i < COUNT(files); i++) put_text(files[i], "text");
    make_link(in_scratch("tree"), "tree/a/loop");
    make_link("..", "tree/a/b/up");
    make_link(in_scratch("outside"), "tree/folder-link");
    make_link(in_scratch("outside/file"), "tree/file-link");
    make_link("nowhere", "tree/dangling");
    assert_int_equal(mkfifo(in_scratch("tree/pipe"), 0600), 0);

    static const char *const expected[] = {"tree/a-b",       "tree/a/b/1", "tree/a/x",
                                           "tree/file-link", "tree/z",     "tree/a/b/1"};
    const char *paths[] = {in_scratch("tree"), in_scratch("tree/a/b/1")};
    rn_paths found;
    WORKS(rn_text_collect(&found, paths, 2, NULL, err));
    assert_int_equal(found.count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_string_equal(found.path[i], in_scratch(expected[i]));
    rn_paths_free(&found);
    /* A link that is named is followed. */
    paths[0] = in_scratch("tree/folder-link");
    WORKS(rn_text_collect(&found, paths, 1, NULL, err));
    assert_int_equal(found.count, 1);
    rn_paths_free(&found);
}

static void many_files_are_collected(void **state)
{
    (void)state;
    WORKS(rn_make_folder(in_scratch("many"), err));
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "%03d", 299 - i);
        char *path = rn_path_join(in_scratch("many"), name);
        assert_non_null(path);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        fclose(f);
        free(path);
    }
    const char *path = in_scratch("many");
    rn_paths found;
    WORKS(rn_text_collect(&found, &path, 1, NULL, err));
    assert_int_equal(found.count, 300);
    for (size_t i = 1; i < 300; i++)
        assert_true(strcmp(found.path[i - 1], found.path[i]) < 0);
    rn_paths_free(&found);
}

static void large_vocabularies_get_wide_ids(void **state)
{
    (void)state;
    const char *path = in_scratch("wide.out");
    rn_shard_writer *w;
    int32_t ids[5000];
    for (int i = 0; i < 5000; i++) ids[i] = i * 100000;
    WORKS(rn_shard_writer_open(&w, path, 65537, err));
    WORKS(rn_shard_writer_put(w, ids, 5000, err));
    WORKS(rn_shard_writer_put(w, ids, 1, err));
    WORKS(rn_shard_writer_commit(w, err));
    rn_tokens *t;
    WORKS(rn_tokens_open(&t, path, err));
    assert_int_equal(rn_tokens_count(t), 5001);
    int32_t got[5001];
    WORKS(rn_tokens_read(t, 0, 5001, got, err));
    assert_memory_equal(got, ids, sizeof ids);
    assert_int_equal(got[5000], 0);
    rn_tokens_free(t);

    path = in_scratch("narrow.bin");
    WORKS(rn_shard_writer_open(&w, path, 65536, err));
    WORKS(rn_shard_writer_put(w, &sample[4], 1, err));
    rn_shard_writer_abandon(w);
    assert_false(rn_path_exists(path));
    WORKS(rn_shard_writer_open(&w, path, 65536, err));
    WORKS(rn_shard_writer_put(w, &sample[4], 1, err));
    WORKS(rn_shard_writer_commit(w, err));
    size_t size;
    char *bytes = get_bytes(path, &size);
    assert_int_equal(size, 2);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_ids),
        cmocka_unit_test(other_tokenizers_are_refused),
        cmocka_unit_test(layouts_hold_the_same_tokens),
        cmocka_unit_test(slices_are_views),
        cmocka_unit_test(every_changed_token_changes_the_hash),
        cmocka_unit_test(damaged_token_files_are_refused),
        cmocka_unit_test(text_becomes_a_token_file),
        cmocka_unit_test(long_texts_are_read_in_pieces),
        cmocka_unit_test(token_files_are_appended),
        cmocka_unit_test(nothing_to_read_is_an_error),
        cmocka_unit_test(folders_are_read_in_order_and_without_loops),
        cmocka_unit_test(many_files_are_collected),
        cmocka_unit_test(large_vocabularies_get_wide_ids),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

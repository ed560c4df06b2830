/* The bottom room: carving, blocks, random numbers, maps, whole-file writes, folders. */
#define _XOPEN_SOURCE 700
#include "core/arena.h"
#include "core/file.h"
#include "core/rng.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "scratch.h"

static void carving_measures_and_places_alike(void **state)
{
    (void)state;
    rn_carver measure = {NULL, 0, false};
    for (size_t i = 0; i < 5; i++) assert_null(rn_carve(&measure, i * 7, 3));
    size_t total;
    WORKS(rn_carve_total(&measure, "test", &total, err));
    assert_int_equal(total % RN_ALIGN, 0);
    void *block;
    WORKS(rn_block_alloc(&block, total, "test", err));
    rn_carver place = {block, 0, false};
    char *end = block;
    for (size_t i = 0; i < 5; i++) {
        char *at = rn_carve(&place, i * 7, 3);
        assert_int_equal((uintptr_t)at % RN_ALIGN, 0);
        assert_true(at >= end);
        end = at + i * 21;
    }
    assert_int_equal(place.used, total);
    assert_true(end <= (char *)block + total);
    rn_block_free(block);
}

static void carving_reports_overflow(void **state)
{
    (void)state;
    const size_t counts[][2] = {{SIZE_MAX, 2}, {SIZE_MAX / 4, 5}, {SIZE_MAX - 10, 1}};
    for (size_t i = 0; i < 3; i++) {
        rn_carver c = {NULL, 0, false};
        rn_carve_floats(&c, 10);
        rn_carve(&c, counts[i][0], counts[i][1]);
        rn_carve_floats(&c, 10);
        size_t total = 1;
        FAILS(rn_carve_total(&c, "the thing", &total, err), RN_ENOMEM, "the thing");
        assert_int_equal(total, 1);
    }
    size_t out = 7;
    assert_false(rn_mul_size(&out, SIZE_MAX / 2, 3));
    assert_false(rn_add_size(&out, SIZE_MAX, 1));
    assert_int_equal(out, 7);
    assert_true(rn_mul_size(&out, 6, 7) && out == 42);
}

static void blocks_are_zeroed_and_aligned(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 64, 1000, ((size_t)2 << 20) + 1};
    for (size_t i = 0; i < 4; i++) {
        void *block;
        WORKS(rn_block_alloc(&block, sizes[i], "test", err));
        assert_int_equal((uintptr_t)block % RN_ALIGN, 0);
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(((char *)block)[b], 0);
        memset(block, 1, sizes[i]);
        rn_block_free(block);
    }
    void *none = &none;
    WORKS(rn_block_alloc(&none, 0, "test", err));
    assert_null(none);
    FAILS(rn_block_alloc(&none, SIZE_MAX, "much", err), RN_ENOMEM, "much");
}

/* What rn_block_size says is what can be written: the sanitizers see more. */
static void blocks_take_what_they_say(void **state)
{
    (void)state;
    const size_t huge = (size_t)2 << 20, sizes[] = {1, 64, 65, huge - 1, huge, huge + 1};
    const size_t takes[] = {64, 64, 128, huge, huge, 2 * huge};
    for (size_t i = 0; i < 6; i++) {
        void *block;
        assert_int_equal(rn_block_size(sizes[i]), takes[i]);
        WORKS(rn_block_alloc(&block, sizes[i], "test", err));
        memset(block, 1, takes[i]);
        rn_block_free(block);
    }
    assert_int_equal(rn_block_size(SIZE_MAX), 0);
}

/* Known answers of philox4x32-10: counter words 0..3, key words 0..1, result. */
static void philox_gives_the_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        const uint32_t *c = rows[i].counter;
        uint64_t seed = (uint64_t)rows[i].key[1] << 32 | rows[i].key[0];
        uint32_t out[4];
        rn_philox(out, seed, (rn_draw)c[1], (uint64_t)c[3] << 32 | c[2], c[0]);
        assert_memory_equal(out, rows[i].out, sizeof out);
    }
}

static void draws_have_their_moments(void **state)
{
    (void)state;
    const uint32_t n = 100000;
    double sum = 0, square = 0, normal = 0, normal_square = 0;
    for (uint32_t i = 0; i < n; i++) {
        float u = rn_uniform(3, RN_STREAM_TEST, 1, i),
              z = rn_normal(3, RN_STREAM_TEST, 2, i);
        assert_true(u >= 0.0f && u < 1.0f);
        assert_true(isfinite(z));
        sum += u;
        square += (double)u * u;
        normal += z;
        normal_square += (double)z * z;
    }
    assert_true(fabs(sum / n - 0.5) < 0.005);
    assert_true(fabs(square / n - 1.0 / 3) < 0.005);
    assert_true(fabs(normal / n) < 0.02);
    assert_true(fabs(normal_square / n - 1) < 0.02);
    assert_true(rn_uniform(3, RN_STREAM_TEST, 1, 0) !=
                rn_uniform(4, RN_STREAM_TEST, 1, 0));
    assert_true(rn_uniform(3, RN_STREAM_TEST, 1, 0) !=
                rn_uniform(3, RN_STREAM_DATA, 1, 0));
}

static void permutations_are_bijections(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 255, 1000, 4097};
    static bool seen[5000];
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
        for (uint64_t round = 0; round < 3; round++) {
            memset(seen, 0, sizeof seen);
            for (uint64_t i = 0; i < sizes[k]; i++) {
                uint64_t p = rn_permute(9, RN_STREAM_DATA, round, sizes[k], i);
                assert_true(p < sizes[k]);
                assert_false(seen[p]);
                seen[p] = true;
            }
        }
    size_t fixed = 0, same = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t p = rn_permute(9, RN_STREAM_DATA, 0, 1000, i);
        fixed += p == i;
        same += p == rn_permute(9, RN_STREAM_DATA, 1, 1000, i);
    }
    assert_true(fixed < 20 && same < 20);
    const uint64_t large = ((uint64_t)1 << 62) + 12345;
    for (uint64_t i = 0; i < 10; i++)
        assert_true(rn_permute(9, RN_STREAM_DATA, 0, large, i) < large);
}

static void maps_show_files(void **state)
{
    (void)state;
    rn_map map;
    WORKS(rn_map_open(&map, put_text("map.txt", "hello"), err));
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "hello", 5);
    rn_map_close(&map);
    assert_null(map.data);
    WORKS(rn_map_open(&map, put_text("empty", ""), err));
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    rn_map_close(&map);
}

static void maps_refuse_what_is_no_file(void **state)
{
    (void)state;
    rn_map map;
    FAILS(rn_map_open(&map, in_scratch("none"), err), RN_ENOTFOUND, "none");
    FAILS(rn_map_open(&map, scratch, err), RN_EINVAL, "folder");
    FAILS(rn_map_open(&map, "/dev/zero", err), RN_EINVAL, "/dev/zero");
    assert_int_equal(mkfifo(in_scratch("pipe"), 0600), 0);
    FAILS(rn_map_open(&map, in_scratch("pipe"), err), RN_EINVAL, "pipe");
}

/* The path of the writer's temporary file beside `path`. */
static const char *temp_of(const char *path)
{
    static char temp[1100];
    snprintf(temp, sizeof temp, "%.1023s.tmp-%ld", path, (long)getpid());
    return temp;
}

static void check_content(const char *path, const char *expected, size_t expected_size)
{
    size_t size;
    char *bytes = get_bytes(path, &size);
    assert_int_equal(size, expected_size);
    assert_memory_equal(bytes, expected, size);
    free(bytes);
}

static void writes_appear_whole(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    char *content = malloc(SIZE);
    assert_non_null(content);
    for (size_t i = 0; i < SIZE; i++) content[i] = (char)(i * 31 + i / 257);
    const size_t pieces[] = {1, 37, 4096, 65535, 65536, 65537, SIZE};
    const char *path = in_scratch("whole");
    for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
        rn_writer *w;
        put_text("whole", "old");
        WORKS(rn_writer_open(&w, path, err));
        size_t step = pieces[k] == 1 ? 13 : pieces[k];
        for (size_t at = 0; at < SIZE; at += step)
            WORKS(
                rn_writer_put(w, content + at, SIZE - at < step ? SIZE - at : step, err));
        check_content(path, "old", 3);
        assert_true(rn_path_exists(temp_of(path)));
        char mark = (char)('A' + k);
        WORKS(rn_writer_patch(w, 5, &mark, 1, err));
        WORKS(rn_writer_commit(w, err));
        content[5] = mark;
        check_content(path, content, SIZE);
        assert_false(rn_path_exists(temp_of(path)));
    }
    free(content);
}

static void abandoned_writes_leave_nothing(void **state)
{
    (void)state;
    const char *path = put_text("kept", "old");
    rn_writer *w;
    WORKS(rn_writer_open(&w, path, err));
    WORKS(rn_writer_put(w, "new", 3, err));
    rn_writer_abandon(w);
    rn_writer_abandon(NULL);
    check_content(path, "old", 3);
    assert_false(rn_path_exists(temp_of(path)));
}

static void two_writers_of_one_file_do_not_mix(void **state)
{
    (void)state;
    const char *path = in_scratch("twice");
    rn_writer *a, *b;
    WORKS(rn_writer_open(&a, path, err));
    WORKS(rn_writer_open(&b, path, err));
    WORKS(rn_writer_put(a, "first", 5, err));
    WORKS(rn_writer_put(b, "second", 6, err));
    WORKS(rn_writer_commit(a, err));
    check_content(path, "first", 5);
    WORKS(rn_writer_commit(b, err));
    check_content(path, "second", 6);
}

/* Files above the limit cannot be written, as on a full disk: a short write, then an
 * error. */
static void limit_file_size(rlim_t bytes)
{
    static struct rlimit before;
    if (bytes) {
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        struct rlimit limit = {bytes, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    } else {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    }
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    static const char content[200000];
    const char *path = put_text("full", "old");
    limit_file_size(100000);
    rn_error put = {RN_OK, ""}, whole = {RN_OK, ""}, late = {RN_OK, ""},
             commit = {RN_OK, ""};
    rn_status whole_st = rn_write_file(path, content, sizeof content, &whole);
    rn_writer *w = NULL;
    rn_status open_st = rn_writer_open(&w, path, NULL);
    rn_status put_st = rn_writer_put(w, content, sizeof content, &put);
    limit_file_size(0);
    rn_status more_st = rn_writer_put(w, "more", 4, NULL);
    rn_status commit_st =
        rn_writer_commit(w, &commit); /* there is room again: too late */
    limit_file_size(100000);
    rn_status late_open = rn_writer_open(&w, path, NULL);
    rn_status small_st = rn_writer_put(w, content, 60000, NULL); /* in the buffer */
    rn_status second_st = rn_writer_put(w, content, 60000, NULL);
    rn_status late_st = rn_writer_commit(w, &late); /* the flush fails */
    limit_file_size(0);

    check_failure(whole_st, RN_EIO, &whole, path);
    check_failure(whole_st, RN_EIO, &whole, strerror(EFBIG));
    assert_int_equal(open_st, RN_OK);
    check_failure(put_st, RN_EIO, &put, strerror(EFBIG));
    assert_int_equal(more_st, RN_OK);
    check_failure(commit_st, RN_EIO, &commit, "full");
    assert_int_equal(late_open | small_st | second_st, RN_OK);
    check_failure(late_st, RN_EIO, &late, strerror(EFBIG));
    check_content(path, "old", 3);
    assert_false(rn_path_exists(temp_of(path)));
}

static void writers_respect_what_is_there(void **state)
{
    (void)state;
    rn_writer *w;
    const char *taken = in_scratch("taken");
    WORKS(rn_writer_open(&w, taken, err));
    WORKS(rn_make_folder(taken, err));
    FAILS(rn_writer_commit(w, err), RN_EIO, "taken: cannot be renamed");
    assert_false(rn_path_exists(temp_of(taken)));

    FAILS(rn_writer_open(&w, in_scratch("no/such/file"), err), RN_ENOTFOUND,
          "no/such/file");
    FAILS(rn_writer_open(&w, scratch, err), RN_EINVAL, "not a file");
    FAILS(rn_write_file("/dev/null", "x", 1, err), RN_EINVAL, "/dev/null");

    const char *target = put_text("target", "old"), *link = in_scratch("link");
    assert_int_equal(chmod(target, 0640), 0);
    assert_int_equal(symlink(target, link), 0);
    WORKS(rn_write_file(link, "new", 3, err));
    struct stat info;
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    check_content(target, "new", 3);
    assert_int_equal(stat(target, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

/* In a folder that cannot be opened, and so not be synced, nothing is replaced. Root may
   open all: it becomes somebody else in a child. */
static int write_as_nobody(const char *path)
{
    rn_error err = {0};
    if (getuid() == 0 && setuid(65534)) return 3;
    return rn_write_file(path, "new", 3, &err) == RN_EIO ? 0 : 1;
}

static void a_folder_that_cannot_be_synced_keeps_its_file(void **state)
{
    (void)state;
    WORKS(rn_make_folder(in_scratch("shut"), err));
    const char *target = put_text("shut/target", "old");
    if (getuid() == 0) assert_int_equal(chown(in_scratch("shut"), 65534, 65534), 0);
    assert_int_equal(chmod(scratch, 0755), 0);
    assert_int_equal(chmod(in_scratch("shut"), 0300), 0);
    pid_t pid = fork();
    if (pid == 0) _exit(write_as_nobody(target));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(in_scratch("shut"), 0700), 0);
    assert_int_equal(status, 0);
    check_content(target, "old", 3);
}

static void folders_are_made_with_parents(void **state)
{
    (void)state;
    WORKS(rn_make_folder(in_scratch("a/b/c"), err));
    assert_true(rn_path_is_folder(in_scratch("a/b/c")));
    WORKS(rn_make_folder(in_scratch("a/b/c"), err));
    WORKS(rn_make_folder(in_scratch("a//d/"), err));
    assert_true(rn_path_is_folder(in_scratch("a/d")));
    put_text("a/file", "x");
    FAILS(rn_make_folder(in_scratch("a/file"), err), RN_EEXIST, "a/file");
    FAILS(rn_make_folder(in_scratch("a/file/below"), err), RN_EEXIST, "a/file");
    FAILS(rn_make_folder("", err), RN_EINVAL, "empty");
    WORKS(rn_sync_folder(in_scratch("a"), err));
    FAILS(rn_sync_folder(in_scratch("nowhere"), err), RN_ENOTFOUND, "nowhere");
    assert_false(rn_path_is_folder(in_scratch("a/file")));
    assert_false(rn_path_exists(in_scratch("a/none")));
}

static void folders_replace_each_other(void **state)
{
    (void)state;
    const char *from = in_scratch("next"), *to = in_scratch("current");
    WORKS(rn_make_folder(from, err));
    put_text("next/one", "1");
    WORKS(rn_replace_folder(from, to, err));
    assert_false(rn_path_exists(from));
    check_content(in_scratch("current/one"), "1", 1);

    WORKS(rn_make_folder(from, err));
    put_text("next/two", "2");
    WORKS(rn_replace_folder(from, to, err));
    assert_false(rn_path_exists(from));
    assert_false(rn_path_exists(in_scratch("current/one")));
    assert_false(rn_path_exists(in_scratch("current.old")));
    check_content(in_scratch("current/two"), "2", 1);

    FAILS(rn_replace_folder(in_scratch("missing"), to, err), RN_ENOTFOUND, "missing");
    check_content(in_scratch("current/two"), "2", 1);
    WORKS(rn_make_folder(from, err));
    FAILS(rn_replace_folder(from, put_text("plain", ""), err), RN_EEXIST, "plain");
}

/* Whatever has the name already keeps it, and the file stays where it was. */
static void placed_files_replace_nothing(void **state)
{
    (void)state;
    const char *from = put_text("placed-from", "new"), *to = in_scratch("placed");
    const char *nowhere = in_scratch("placed-link");
    assert_int_equal(symlink("nowhere", nowhere), 0);
    assert_true(rn_path_is_taken(nowhere) && !rn_path_exists(nowhere));
    assert_false(rn_path_is_taken(to));
    FAILS(rn_place_file(from, put_text("placed-file", "old"), err), RN_EEXIST,
          "placed-f");
    FAILS(rn_place_file(from, nowhere, err), RN_EEXIST, "placed-link");
    FAILS(rn_place_file(from, scratch, err), RN_EEXIST, scratch);
    check_content(in_scratch("placed-file"), "old", 3);
    check_content(from, "new", 3);
    WORKS(rn_place_file(from, to, err));
    check_content(to, "new", 3);
    assert_false(rn_path_is_taken(from));
}

static void folders_are_removed_with_their_files(void **state)
{
    (void)state;
    WORKS(rn_make_folder(in_scratch("gone"), err));
    put_text("gone/x", "1");
    put_text("gone/.y", "2");
    WORKS(rn_remove_folder(in_scratch("gone"), err));
    assert_false(rn_path_exists(in_scratch("gone")));
    WORKS(rn_remove_folder(in_scratch("gone"), err));
    WORKS(rn_make_folder(in_scratch("outer/inner"), err));
    FAILS(rn_remove_folder(in_scratch("outer"), err), RN_EIO, "inner");

    WORKS(rn_make_folder(in_scratch("real"), err));
    put_text("real/file", "1");
    assert_int_equal(symlink(in_scratch("real"), in_scratch("alias")), 0);
    assert_int_not_equal(rn_remove_folder(in_scratch("alias"), NULL), RN_OK);
    assert_true(rn_path_exists(in_scratch("real/file")));
}

static void paths_are_joined(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"x/y", "", "x/y/"}};
    for (size_t i = 0; i < 4; i++) {
        char *joined = rn_path_join(rows[i][0], rows[i][1]);
        assert_string_equal(joined, rows[i][2]);
        free(joined);
    }
}

static void errors_carry_one_line(void **state)
{
    (void)state;
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    rn_error err;
    assert_int_equal(rn_fail(&err, RN_EFORMAT, "%s", text), RN_EFORMAT);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(rn_fail(NULL, RN_EIO, "x"), RN_EIO);
    errno = ENOSPC;
    check_failure(rn_fail_errno(&err, "%s", "file"), RN_EIO, &err, "file: No space left");
    errno = ENOENT;
    assert_int_equal(rn_fail_errno(&err, "x"), RN_ENOTFOUND);
    for (int st = 0; st >= -8; st--) assert_non_null(rn_status_text((rn_status)st));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carving_measures_and_places_alike),
        cmocka_unit_test(carving_reports_overflow),
        cmocka_unit_test(blocks_are_zeroed_and_aligned),
        cmocka_unit_test(blocks_take_what_they_say),
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(draws_have_their_moments),
        cmocka_unit_test(permutations_are_bijections),
        cmocka_unit_test(maps_show_files),
        cmocka_unit_test(maps_refuse_what_is_no_file),
        cmocka_unit_test(writes_appear_whole),
        cmocka_unit_test(abandoned_writes_leave_nothing),
        cmocka_unit_test(two_writers_of_one_file_do_not_mix),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(writers_respect_what_is_there),
        cmocka_unit_test(a_folder_that_cannot_be_synced_keeps_its_file),
        cmocka_unit_test(folders_are_made_with_parents),
        cmocka_unit_test(folders_replace_each_other),
        cmocka_unit_test(placed_files_replace_nothing),
        cmocka_unit_test(folders_are_removed_with_their_files),
        cmocka_unit_test(paths_are_joined),
        cmocka_unit_test(errors_carry_one_line),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

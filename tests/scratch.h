/* A folder of a test's own, made by the group's setup and removed by its teardown, and
   what the tests of files have in common. Include after the test's own headers and
   macros. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include "core/error.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[512];

static inline int scratch_open(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/retnet-test-XXXXXX",
             base && *base ? base : "/tmp");
    return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_remove(const char *path, const struct stat *info, int kind,
                                 struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static inline int scratch_close(void **state)
{
    (void)state;
    return nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* "FOLDER/name", valid to the end of the program. */
static inline const char *in_scratch(const char *name)
{
    static char paths[200][1024];
    char path[sizeof paths[0]];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (!paths[i][0]) memcpy(paths[i], path, sizeof path);
        if (!strcmp(paths[i], path)) return paths[i];
    }
    fail_msg("too many files of tests");
    return NULL;
}

static inline const char *put_bytes(const char *name, const void *bytes, size_t size)
{
    const char *path = in_scratch(name);
    remove(path); /* rewriting in place makes some file systems wait for the disk */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline const char *put_text(const char *name, const char *text)
{
    return put_bytes(name, text, strlen(text));
}

/* Names in a folder that do not begin with a dot. */
static inline size_t entries(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static inline char *get_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    bytes[*size] = '\0';
    return bytes;
}

/* The status is the expected one, and the message is one line that contains `words`. */
static inline void check_failure(rn_status st, rn_status expected, const rn_error *err,
                                 const char *words)
{
    if (st != expected)
        fail_msg("status %d, expected %d; expected words: %s; message: %s", st, expected,
                 words, st ? err->message : "none");
    assert_int_equal(err->status, expected);
    if (!strstr(err->message, words))
        fail_msg("message without \"%s\": %s", words, err->message);
    for (const char *p = err->message; *p; p++) assert_true((unsigned char)*p >= 0x20);
}

#define FAILS(call, expected, words)                                                     \
    do {                                                                                 \
        rn_error err_ = {RN_OK, ""}, *err = &err_;                                       \
        check_failure((call), (expected), err, (words));                                 \
    } while (0)

#define WORKS(call)                                                                      \
    do {                                                                                 \
        rn_error err_ = {RN_OK, ""}, *err = &err_;                                       \
        if ((call) != RN_OK) fail_msg("%s: %s", #call, err->message);                    \
    } while (0)

#endif

/* Running the program as a child: arguments in, exit code and both streams out. Include
   after scratch.h, whose folder holds the streams. */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include "scratch.h"

#include <stdbool.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

typedef struct child {
    int code; /* exit code; 1000 + number for a signal */
    char *out, *err;
    size_t out_size, err_size;
} child;

/* Where the child's standard output goes, when not to a file of the test. */
typedef enum child_out {
    CHILD_FILE,
    CHILD_CLOSED,
    CHILD_FULL,
    CHILD_NO_READER
} child_out;

static inline void child_stream(int fd, const char *path, int flags)
{
    int file = open(path, flags, 0600);
    if (file < 0 || dup2(file, fd) < 0) _exit(99);
    close(file);
}

static inline void child_redirect(child_out out)
{
    int ends[2];
    if (out == CHILD_FILE)
        child_stream(1, in_scratch("stdout"), O_WRONLY | O_CREAT | O_TRUNC);
    else if (out == CHILD_FULL) child_stream(1, "/dev/full", O_WRONLY);
    else if (out == CHILD_CLOSED) close(1);
    else if (pipe(ends) || close(ends[0]) || dup2(ends[1], 1) < 0) _exit(99);
    child_stream(2, in_scratch("stderr"), O_WRONLY | O_CREAT | O_TRUNC);
}

/* argv begins with "retnet" and ends with NULL. input: a file for standard input, or
 * NULL. */
static inline pid_t child_start(const char *const *argv, const char *input, child_out out)
{
    in_scratch("stdout"), in_scratch("stderr");
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    child_stream(0, input ? input : "/dev/null", O_RDONLY);
    child_redirect(out);
    execv(RN_PROGRAM, (char *const *)(uintptr_t)argv);
    _exit(98);
}

static inline child child_wait(pid_t pid, child_out out)
{
    int status;
    child c = {0};
    assert_int_equal(waitpid(pid, &status, 0), pid);
    c.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    if (out == CHILD_FILE) c.out = get_bytes(in_scratch("stdout"), &c.out_size);
    c.err = get_bytes(in_scratch("stderr"), &c.err_size);
    return c;
}

static inline child child_run(const char *const *argv, const char *input, child_out out)
{
    return child_wait(child_start(argv, input, out), out);
}

static inline void child_free(child *c)
{
    free(c->out);
    free(c->err);
    *c = (child){0};
}

#define ARGV(...) ((const char *const[]){"retnet", __VA_ARGS__, NULL})
#define RUN(...)  child_run(ARGV(__VA_ARGS__), NULL, CHILD_FILE)

/* Done, with nothing on standard error. */
static inline void check_done(const child *c)
{
    if (c->code || c->err_size) fail_msg("code %d: %s", c->code, c->err);
}

/* The expected code, nothing on standard output, and one line on standard error that
   begins with the program's name and holds `words`. */
static inline void check_refused(const child *c, int code, const char *words)
{
    if (c->code != code)
        fail_msg("code %d, not %d (%s): %s", c->code, code, words, c->err);
    assert_int_equal(c->out_size, 0);
    if (!strstr(c->err, words)) fail_msg("no \"%s\" in: %s", words, c->err);
    assert_memory_equal(c->err, "retnet", 6);
    const char *newline = strchr(c->err, '\n');
    if (!newline || newline[1]) fail_msg("not one line: %s", c->err);
}

/* Exactly one JSON object and a newline; released with json_decref. */
static inline json_t *child_json(const child *c)
{
    json_error_t where;
    json_t *o = json_loads(c->out, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (!json_is_object(o)) fail_msg("not one JSON object: %s: %s", where.text, c->out);
    assert_ptr_equal(strchr(c->out, '\n'), c->out + c->out_size - 1);
    return o;
}

static inline double json_number(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (!json_is_number(value)) fail_msg("%s is no number", key);
    return json_number_value(value);
}

/* A number of the JSON of a child that ended well; the child is freed. */
static inline double done_number(child c, const char *key)
{
    check_done(&c);
    json_t *o = child_json(&c);
    const double number = json_number(o, key);
    json_decref(o);
    child_free(&c);
    return number;
}

/* Under the thread sanitizer OpenMP itself does not start with files that small. */
static inline bool needs_large_files(void)
{
#if defined(__has_feature)
#    if __has_feature(thread_sanitizer)
    return true;
#    endif
#endif
    return false;
}

#endif

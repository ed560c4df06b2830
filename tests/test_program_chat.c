/* retnet chat, end to end: through a pipe, where lines are turns and only answers come
   out, and through a pseudo-terminal, with editing, history and Ctrl-C. */
#define _XOPEN_SOURCE 700
#include <stdbool.h>

#include "child.h"
#include "retnet/model.h"

#include <poll.h>
#include <time.h>

#define MODEL "--random", "3", "--preset", "nano", "--threads", "1"
#define CHAT  "chat", MODEL, "--seed", "1", "-n", "12"
/* Zeros throughout: the likeliest token is always byte 0, and no answer ends by itself.
 */
#define ENDLESS                                                                          \
    "chat", in_scratch("flat"), "--threads", "1", "--greedy", "-n", "1000000000"

#define TALK(input, ...)                                                                 \
    child_run(ARGV(__VA_ARGS__), put_text("input", input), CHILD_FILE)

static void make_flat_model(const char *folder)
{
    rn_exec *x;
    rn_model *m;
    rn_model_source source = {
        .config_json = "{\"vocab_size\": 256, \"width\": 16, \"layers\": 1, \"heads\": 1,"
                       " \"key_dim\": 8, \"value_dim\": 16, \"ffn_width\": 16}"};
    WORKS(rn_exec_open(&x, NULL, err));
    WORKS(rn_model_create(&m, x, &source, 1, err));
    for (size_t i = 0; i < rn_model_tensor_count(m); i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        memset(t.data, 0, t.shape[0] * (t.dims == 2 ? t.shape[1] : 1) * sizeof *t.data);
    }
    WORKS(rn_model_save(m, folder, err));
    rn_model_free(m);
    rn_exec_close(x);
}

static int open_group(void **state)
{
    if (scratch_open(state) || chdir(scratch)) return -1;
    make_flat_model(in_scratch("flat"));
    return setenv("XDG_STATE_HOME", in_scratch("state"), 1);
}

/* Exit code 0, nothing on standard error, and this many answers. */
static void check_answers(const child *c, size_t count)
{
    size_t lines = 0;
    check_done(c);
    for (size_t i = 0; i < c->out_size; i++) lines += c->out[i] == '\n';
    assert_int_equal(lines, count);
}

static void same_text(child *a, child *b)
{
    assert_string_equal(a->out, b->out);
    child_free(a);
    child_free(b);
}

static void lines_are_turns(void **state)
{
    (void)state;
    child c = TALK("one\ntwo\n\nthree", CHAT, "--quiet");
    check_answers(&c, 3);
    child crlf =
        TALK("one\r\ntwo\r\n\r\n/forks x\nthree\n/quit\nfour\n", CHAT, "--quiet");
    assert_int_equal(crlf.code, 1);
    assert_non_null(strstr(crlf.err, "/forks: unexpected 'x'"));
    assert_non_null(strstr(crlf.err, "1 command failed"));
    same_text(&c, &crlf);
    c = TALK("", CHAT);
    check_answers(&c, 0);
    child_free(&c);
}

/* The text of a call of generate that reads `prompt` and stops at a newline. */
static size_t generated(char *out, const char *file, const char *text)
{
    child c = RUN("generate", MODEL, "--seed", "1", "-n", "12", "--quiet", "--session",
                  file, "-p", text, "--stop", "\n");
    const size_t length = c.out_size;
    check_done(&c);
    memcpy(out, c.out, length);
    memcpy(out + length, "\n", 2);
    child_free(&c);
    return length + 1;
}

/* The template plain, in terms of generate. */
static void turns_are_what_generate_does(void **state)
{
    (void)state;
    char answers[600];
    const char *file = in_scratch("by-generate");
    child c = TALK("one\ntwo\n//x\n", CHAT, "--quiet");
    check_answers(&c, 3);
    size_t used = generated(answers, file, "one\n");
    used += generated(answers + used, file, "\ntwo\n");
    generated(answers + used, file, "\n/x\n");
    assert_string_equal(c.out, answers);
    child_free(&c);
}

/* Two chats over one file say what one chat says. */
static void sessions_go_on(void **state)
{
    (void)state;
    const char *file = in_scratch("talk");
    child whole = TALK("one\ntwo\nthree\n", CHAT, "--quiet");
    child a = TALK("one\n", CHAT, "--quiet", "--session", file);
    child b = TALK("two\nthree\n", CHAT, "--session", file);
    check_answers(&whole, 3);
    check_answers(&a, 1);
    assert_int_equal(b.code, 0);
    assert_non_null(strstr(b.err, "talk: goes on at position "));
    assert_memory_equal(whole.out, a.out, a.out_size);
    assert_string_equal(whole.out + a.out_size, b.out);
    child_free(&whole);
    child_free(&a);
    child_free(&b);
}

/* Line number `index` of the output. */
static const char *answer_of(const child *c, size_t index, size_t *length)
{
    const char *line = c->out, *end = c->out + c->out_size;
    for (;; index--) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        assert_non_null(newline);
        *length = (size_t)(newline - line);
        if (index == 0) return line;
        line = newline + 1;
    }
}

/* What /undo, /save, /load, /fork, /switch and /reset lead to, said without them. */
static void commands_move_between_states(void **state)
{
    (void)state;
    static const char script[] =
        "one\n/save by command\n/fork b\ntwo\n/switch main\nthree\n/switch  b \nfour\n"
        "/load by command\nthree\n/undo\n/undo\n/undo\nfour\n"
        "/reset\none\n/undo\n/undo\n/undo\nfour\n";
    child c = TALK(script, CHAT, "--quiet");
    child two = TALK("one\ntwo\nfour\n", CHAT, "--quiet");
    child three = TALK("one\nthree\n", CHAT, "--quiet");
    check_answers(&c, 8);
    /* one two three four | three | four | one | four */
    const child *const from[8] = {&two, &two, &three, &two, &three, &two, &two, &two};
    static const size_t line[8] = {0, 1, 1, 2, 1, 2, 0, 2};
    for (size_t i = 0; i < 8; i++) {
        size_t length, wanted;
        const char *is = answer_of(&c, i, &length);
        const char *was = answer_of(from[i], line[i], &wanted);
        assert_int_equal(length, wanted);
        assert_true(length > 0);
        assert_memory_equal(is, was, length);
    }
    child_free(&c);
    child_free(&two);
    child_free(&three);
}

/* Copies to go back to are bounded in bytes, and it is said when none is left. */
static void undo_has_an_end(void **state)
{
    (void)state;
    child c = TALK("one\ntwo\n/undo\n/undo\n", CHAT, "--undo-memory", "1");
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.err, "back at position"));
    assert_non_null(strstr(c.err, "nothing is left to undo"));
    child_free(&c);
    c = TALK("one\n/undo\n", CHAT, "--undo-memory", "0");
    assert_null(strstr(c.err, "back at position"));
    assert_non_null(strstr(c.err, "nothing is left to undo"));
    child_free(&c);
    c = TALK("one\ntwo\n/undo\n/undo\n", CHAT);
    assert_null(strstr(c.err, "nothing is left to undo"));
    child_free(&c);
}

static void failures_are_told(void **state)
{
    (void)state;
    put_text("damaged", "rnstate\n");
    static const char script[] =
        "/load damaged\n/load absent\n/save no/such\n/save\n/nope\n/switch x\n"
        "/fork main\n/\n/fork 0123456789012345678901234567890123456789\none\n";
    child c = TALK(script, CHAT, "--json");
    static const char *const words[] = {"damaged: truncated",
                                        "absent: ",
                                        "no/such: ",
                                        "FILE is missing",
                                        "unknown command '/nope'",
                                        "no fork 'x'",
                                        "'main' is there",
                                        "unknown command '/'",
                                        "a name of more than 39 b",
                                        "9 commands failed"};
    assert_int_equal(c.code, 1);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strstr(c.err, words[i])) fail_msg("no \"%s\" in %s", words[i], c.err);
    json_t *o = child_json(&c);
    assert_int_equal(json_array_size(json_object_get(o, "answers")), 1);
    assert_int_equal((int)json_number(o, "failed_commands"), 9);
    json_decref(o);
    child_free(&c);
    c = RUN("chat", MODEL, "--set", "vocab_size=300");
    check_refused(&c, 1, "tokenizer");
    child_free(&c);
    c = RUN("chat", MODEL, "--session", in_scratch("damaged"));
    check_refused(&c, 1, "truncated");
    child_free(&c);
    c = RUN("chat", MODEL, "--greedy", "--temperature", "1");
    check_refused(&c, 2, "--greedy");
    child_free(&c);
}

/* ---- A terminal ---- */

typedef struct terminal {
    int fd;
    pid_t pid;
    char seen[65536];
    size_t used;
} terminal;

static void terminal_child(const char *name, const char *const *argv)
{
    setsid();
    int fd = open(name, O_RDWR);
    if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0) _exit(99);
    child_stream(2, in_scratch("stderr"), O_WRONLY | O_CREAT | O_TRUNC);
    setenv("TERM", "xterm", 1);
    execv(RN_PROGRAM, (char *const *)(uintptr_t)argv);
    _exit(98);
}

static bool terminal_open(terminal *t, const char *const *argv)
{
    *t = (terminal){.fd = posix_openpt(O_RDWR | O_NOCTTY)};
    if (t->fd < 0) return false;
    fcntl(t->fd, F_SETFD, FD_CLOEXEC); /* the child ends when the test does */
    if (grantpt(t->fd) || unlockpt(t->fd) || !ptsname(t->fd)) {
        close(t->fd);
        return false;
    }
    const char *name = ptsname(t->fd);
    in_scratch("stderr");
    fflush(NULL);
    t->pid = fork();
    assert_true(t->pid >= 0);
    if (!t->pid) terminal_child(name, argv);
    return true;
}

/* Reads until `words` have come since the last call, and forgets what was before. */
static void expect(terminal *t, const char *words)
{
    const time_t begin = time(NULL);
    for (;;) {
        t->seen[t->used] = '\0';
        char *found = strstr(t->seen, words);
        if (found) {
            t->used -= (size_t)(found - t->seen) + strlen(words);
            memmove(t->seen, found + strlen(words), t->used);
            return;
        }
        struct pollfd in = {.fd = t->fd, .events = POLLIN};
        if (time(NULL) - begin > 20) fail_msg("no \"%s\" in: %s", words, t->seen);
        if (poll(&in, 1, 100) <= 0) continue;
        ssize_t got = read(t->fd, t->seen + t->used, sizeof t->seen - 1 - t->used);
        if (got < 0) fail_msg("closed before \"%s\": %s", words, t->seen);
        for (ssize_t i = 0; i < got; i++)
            if (!t->seen[t->used + (size_t)i]) t->seen[t->used + (size_t)i] = '?';
        t->used += (size_t)got;
        if (t->used > sizeof t->seen / 2) {
            memmove(t->seen, t->seen + t->used - 1000, 1000);
            t->used = 1000;
        }
    }
}

static void type(const terminal *t, const char *keys)
{
    assert_int_equal(write(t->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void check_left(terminal *t, int code)
{
    int status;
    char rest[4096];
    struct pollfd in = {.fd = t->fd, .events = POLLIN};
    const time_t begin = time(NULL);
    do {
        if (time(NULL) - begin > 20) kill(t->pid, SIGKILL);
    } while (poll(&in, 1, 100) == 0 || read(t->fd, rest, sizeof rest) > 0);
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
    close(t->fd);
}

/* Ctrl-C ends an answer and clears a line; arrows find older lines; Ctrl-D leaves, and
   the session is saved. */
static void terminals_edit_and_interrupt(void **state)
{
    (void)state;
    terminal t;
    const char *file = in_scratch("typed"), *history = in_scratch("state/retnet/history");
    if (!terminal_open(&t, ARGV(ENDLESS, "--session", file))) skip();
    expect(&t, "> ");
    type(&t, "hellp\x7fo\n");
    expect(&t, "??????????");
    type(&t, "\x03");
    expect(&t, "> ");
    type(&t, "/nothing of this\x03");
    expect(&t, "> ");
    type(&t, "/fork \xc3\xa9\n");
    expect(&t, "\xc3\xa9> ");
    type(&t, "\x1b[A\x1b[A\n");
    expect(&t, "??????????");
    type(&t, "\x03");
    expect(&t, "> ");
    type(&t, "\x04");
    check_left(&t, 0);

    size_t size;
    char *lines = get_bytes(history, &size);
    assert_non_null(strstr(lines, "\nhello\\012\n"));
    assert_null(strstr(lines, "nothing"));
    free(lines);
    child c = RUN(ENDLESS, "--session", file);
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.err, "typed: goes on at position"));
    child_free(&c);
}

/* A history that cannot be kept is no error, and a file that is none stays. */
static void histories_are_optional(void **state)
{
    (void)state;
    terminal t;
    size_t size;
    setenv("XDG_STATE_HOME", put_text("a-file", "text\n"), 1);
    if (!terminal_open(&t, ARGV("chat", MODEL, "-n", "5"))) skip();
    expect(&t, "> ");
    type(&t, "/quit\n");
    check_left(&t, 0);

    setenv("XDG_STATE_HOME", in_scratch("other"), 1);
    assert_int_equal(mkdir(in_scratch("other"), 0700), 0);
    assert_int_equal(mkdir(in_scratch("other/retnet"), 0700), 0);
    put_text("other/retnet/history", "not a history\n");
    if (!terminal_open(&t, ARGV("chat", MODEL, "-n", "5"))) skip();
    expect(&t, "> ");
    type(&t, "/quit\n");
    check_left(&t, 0);
    char *text = get_bytes(in_scratch("other/retnet/history"), &size);
    assert_string_equal(text, "not a history\n");
    free(text);
}

/* SIGTERM saves and leaves, wherever it comes. */
static void termination_saves(void **state)
{
    (void)state;
    terminal t;
    const char *file = in_scratch("ended");
    if (!terminal_open(&t, ARGV(ENDLESS, "--session", file))) skip();
    expect(&t, "> ");
    type(&t, "hello\n");
    expect(&t, "??????????");
    assert_int_equal(kill(t.pid, SIGTERM), 0);
    check_left(&t, 130);
    assert_int_equal(access(file, R_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_turns),
        cmocka_unit_test(turns_are_what_generate_does),
        cmocka_unit_test(sessions_go_on),
        cmocka_unit_test(commands_move_between_states),
        cmocka_unit_test(undo_has_an_end),
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(terminals_edit_and_interrupt),
        cmocka_unit_test(histories_are_optional),
        cmocka_unit_test(termination_saves),
    };
    return cmocka_run_group_tests_name("program_chat", tests, open_group, scratch_close);
}

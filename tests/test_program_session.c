/* generate --session, end to end: parts give what the whole gives, nothing is read twice,
   whatever ends a call; files that do not fit are refused and left as they are. */
#define _XOPEN_SOURCE 700
#include "program_fixture.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

#define MODEL "--threads", "1", "--quiet"
#define DRAW  "--temperature", "1.2", "--repeat-penalty", "1.2", "--seed", "5"

static const char prompt[] = "the king of a small land. the king of";
enum { PROMPT = sizeof prompt - 1, LONG_PROMPT = 16 << 20 };

static json_t *done_json(child *c)
{
    check_done(c);
    json_t *o = child_json(c);
    child_free(c);
    return o;
}

#define GENERATE_AS(...)                                                                 \
    done_json(                                                                           \
        (child[]){RUN("generate", in_scratch("model"), MODEL, "--json", __VA_ARGS__)})
#define GENERATE(...) GENERATE_AS(DRAW, __VA_ARGS__)
#define CALM          "--temperature", "1", "--top-k", "6" /* letters only */

static const char *session(const char *name)
{
    const char *path = in_scratch(name);
    remove(path);
    return path;
}

static double number(const json_t *o, const char *key)
{
    return json_number(o, key);
}

/* Where a call began and ended. */
static void check_positions(const json_t *o, bool resumed, double before, double read)
{
    assert_int_equal(json_is_true(json_object_get(o, "resumed")), resumed);
    assert_true(number(o, "position_before") == before);
    assert_true(number(o, "prompt_tokens") == read);
    assert_true(number(o, "position") == before + read + number(o, "tokens"));
}

/* ids of `parts`, one after the other, are those of `whole`. */
static void check_joined(const json_t *whole, json_t *const *parts, size_t count)
{
    json_t *joined = json_array();
    for (size_t i = 0; i < count; i++)
        assert_int_equal(json_array_extend(joined, json_object_get(parts[i], "ids")), 0);
    char *a = json_dumps(json_object_get(whole, "ids"), 0), *b = json_dumps(joined, 0);
    assert_string_equal(a, b);
    free(a);
    free(b);
    json_decref(joined);
}

static void parts_give_the_whole(void **state)
{
    (void)state;
    const char *file = session("parts");
    json_t *whole = GENERATE("-p", prompt, "-n", "61");
    json_t *parts[3] = {GENERATE("-p", prompt, "-n", "20", "--session", file),
                        GENERATE("-n", "1", "--session", file),
                        GENERATE("-n", "40", "--session", file)};
    check_positions(parts[0], false, 0, PROMPT);
    check_positions(parts[1], true, PROMPT + 20, 0);
    check_positions(parts[2], true, PROMPT + 21, 0);
    check_joined(whole, parts, 3);
    for (size_t i = 0; i < 3; i++) json_decref(parts[i]);
    json_decref(whole);
}

/* The header's count of ids that are not read yet. */
static void check_pending(const char *file, uint32_t count)
{
    uint32_t pending;
    memcpy(&pending, file + 76, sizeof pending);
    assert_int_equal(pending, count);
}

/* A prompt in two calls, the first of which draws nothing. */
static void prompts_are_appended(void **state)
{
    (void)state;
    const char *file = session("appended");
    char head[PROMPT];
    snprintf(head, sizeof head, "%.*s", PROMPT - 9, prompt);
    json_t *whole = GENERATE("-p", prompt, "-n", "30");
    json_t *first = GENERATE("-p", head, "-n", "0", "--session", file);
    size_t size;
    char *before = get_bytes(file, &size);
    json_t *second = GENERATE("-p", prompt + PROMPT - 9, "-n", "30", "--session", file);
    check_positions(first, false, 0, PROMPT - 9);
    check_pending(before, PROMPT - 9);
    free(before);
    check_positions(second, true, PROMPT - 9, 9);
    check_joined(whole, &second, 1);
    json_decref(first);
    json_decref(second);
    json_decref(whole);
}

/* A stop string leaves the session at the end of the text before it, from where the text
   goes on as it would have. The decoy holds text back from four tokens before it. */
static void stops_are_left_out(void **state)
{
    (void)state;
    json_t *whole = GENERATE_AS(CALM, "-p", prompt, "-n", "90");
    const char *text = json_string_value(json_object_get(whole, "text"));
    assert_int_equal(strlen(text), 90);
    for (size_t length = 1; length < 11; length++) {
        const char *file = session("stops");
        char stop[12], decoy[12];
        snprintf(stop, sizeof stop, "%.*s", (int)length, text + 40);
        snprintf(decoy, sizeof decoy, "%.*s\x01", 6, text + 36);
        json_t *part = GENERATE_AS(CALM, "-p", prompt, "-n", "90", "--session", file,
                                   "--stop", stop, "--stop", decoy);
        const char *before = json_string_value(json_object_get(part, "text"));
        const size_t shown = strlen(before);
        assert_string_equal(json_string_value(json_object_get(part, "finish_reason")),
                            "stop");
        assert_true(shown <= 40);
        assert_memory_equal(text, before, shown);
        assert_true(number(part, "position") == (double)(PROMPT + shown));
        json_t *rest = GENERATE_AS(CALM, "-n", "20", "--session", file);
        const char *after = json_string_value(json_object_get(rest, "text"));
        assert_memory_equal(text + shown, after, strlen(after));
        assert_int_equal(strlen(after), 20);
        json_decref(part);
        json_decref(rest);
    }
    json_decref(whole);
}

/* With all letters held back until the next one comes, and a stop far behind: the session
   kept for going back is brought forward on the way. */
static void stops_far_behind_are_left_out(void **state)
{
    (void)state;
    enum { FAR = 300, STOP = 12 };
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz. \n";
    json_t *whole = GENERATE_AS(CALM, "-p", prompt, "-n", "400");
    const char *text = json_string_value(json_object_get(whole, "text"));
    const char *file = session("far");
    char stop[STOP + 1], decoys[sizeof letters][3];
    snprintf(stop, sizeof stop, "%.*s", STOP, text + FAR);
    const char *argv[32 + 2 * sizeof letters] = {
        "retnet", "generate", in_scratch("model"), MODEL, "--json", CALM, "-p", prompt,
        "-n",     "400",      "--session",         file,  "--stop", stop};
    size_t argc = 0;
    while (argv[argc]) argc++;
    for (size_t i = 0; letters[i]; i++) {
        snprintf(decoys[i], sizeof decoys[i], "%c\x01", letters[i]);
        argv[argc++] = "--stop";
        argv[argc++] = decoys[i];
    }
    child c = child_run(argv, NULL, CHILD_FILE);
    json_t *part = done_json(&c);
    const char *before = json_string_value(json_object_get(part, "text"));
    const size_t shown = strlen(before);
    assert_in_range(shown, 100, FAR);
    assert_memory_equal(text, before, shown);
    size_t tokens = 0; /* a byte of no character is shown as one */
    for (size_t i = 0; i < shown; i++) tokens += (before[i] & 0xC0) != 0x80;
    assert_true(number(part, "position") == (double)(PROMPT + tokens));
    json_t *rest = GENERATE_AS(CALM, "-n", "20", "--session", file);
    const char *after = json_string_value(json_object_get(rest, "text"));
    assert_memory_equal(text + shown, after, 20);
    json_decref(rest);
    json_decref(part);
    json_decref(whole);
}

/* A token whose first half is shown and whose second begins a character of the stop is
   not in the session: the text goes on with the whole of it. */
static void stops_inside_a_token_are_left_out(void **state)
{
    (void)state;
    char text[4001] = "";
    while (strlen(text) < 3980) strcat(text, "ab \xF0\x9F\x99\x82 cd \xF0\x9F\x9A\x80 ");
    const char *in = put_text("smiles", text), *file = session("smile");
    const char *tokenizer = in_scratch("smiles.json"), *model = in_scratch("smiling");
    child c = RUN("tokenizer", "train", tokenizer, in, "--vocab", "260", "-q");
    assert_int_equal(c.code, 0);
    child_free(&c);
    c = RUN("train", "--data", in, "--tokenizer", tokenizer, "--out", model, TINY,
            TINY_STEPS, "--steps", "150", "-q");
    assert_int_equal(c.code, 0);
    child_free(&c);
    c = RUN("generate", model, MODEL, "--greedy", "-p", "ab", "-n", "30", "--session",
            file, "--stop", "\xF0\x9F\x99\x82");
    check_done(&c);
    assert_string_equal(c.out, " ");
    child_free(&c);
    c = RUN("generate", model, MODEL, "--greedy", "-n", "12", "--session", file);
    check_done(&c);
    assert_memory_equal(c.out, " \xF0\x9F\x99\x82 cd", 8);
    child_free(&c);
}

/* Starts a call that would not end, and waits until it has written something. */
static pid_t start_endless(const char *file)
{
    struct stat status = {0};
    const char *const *argv = ARGV("generate", in_scratch("model"), MODEL, DRAW, "-p",
                                   prompt, "-n", "1000000000", "--session", file);
    pid_t pid = child_start(argv, NULL, CHILD_FILE);
    for (int i = 0; i < 2000 && status.st_size == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        if (stat(in_scratch("stdout"), &status)) status.st_size = 0;
    }
    assert_true(status.st_size > 0);
    return pid;
}

/* Ctrl-C saves what was drawn; a call that continues draws what would have followed. */
static void interrupts_save(void **state)
{
    (void)state;
    const char *file = session("interrupted");
    remove(in_scratch("stdout"));
    pid_t pid = start_endless(file);
    assert_int_equal(kill(pid, SIGINT), 0);
    child c = child_wait(pid, CHILD_FILE);
    assert_int_equal(c.code, 130);
    child_free(&c);
    json_t *rest = GENERATE("-n", "15", "--session", file);
    assert_true(json_is_true(json_object_get(rest, "resumed")));
    const double drawn = number(rest, "position_before") - PROMPT;
    assert_true(drawn > 0);

    char count[32];
    snprintf(count, sizeof count, "%.0f", drawn);
    json_t *part = GENERATE("-p", prompt, "-n", count, "--session", session("again"));
    json_t *same = GENERATE("-n", "15", "--session", in_scratch("again"));
    check_joined(rest, &same, 1);
    json_decref(part);
    json_decref(same);
    json_decref(rest);
}

typedef struct contents {
    char *bytes;
    size_t size;
} contents;

static contents contents_of(const char *path)
{
    contents c;
    c.bytes = get_bytes(path, &c.size);
    return c;
}

/* The file holds what it held. */
static void check_untouched(const char *path, contents *was)
{
    contents is = contents_of(path);
    assert_int_equal(is.size, was->size);
    assert_memory_equal(is.bytes, was->bytes, is.size);
    free(is.bytes);
}

/* Ctrl-C so many seconds after the start of a call that reads a long prompt; whether it
   was in the middle of the prompt by then. */
static bool interrupt_prompt(const char *file, int seconds)
{
    pid_t pid = child_start(ARGV("generate", "--random", "1", "--preset", "nano",
                                 "--threads", "1", "--prompt-file", in_scratch("long"),
                                 "--session", file, "-n", "1"),
                            NULL, CHILD_FILE);
    nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
    assert_int_equal(kill(pid, SIGINT), 0);
    child c = child_wait(pid, CHILD_FILE);
    assert_int_equal(c.code, 130);
    assert_int_equal(access(file, F_OK), -1);
    const bool reading = strstr(c.err, "not saved") != NULL;
    child_free(&c);
    return reading;
}

/* Ctrl-C before the prompt was read to its end: nothing was done. Slow builds on slow
   machines take their time to begin. */
static void interrupted_prompts_are_not_saved(void **state)
{
    (void)state;
    char *text = calloc(1, LONG_PROMPT);
    assert_non_null(text);
    put_bytes("long", text, LONG_PROMPT);
    int seconds = 1;
    while (!interrupt_prompt(session("unread"), seconds)) {
        seconds *= 2;
        assert_in_range(seconds, 1, 16);
    }
    free(text);
}

static void a_killed_call_leaves_the_file(void **state)
{
    (void)state;
    const char *file = session("killed");
    json_decref(GENERATE("-p", prompt, "-n", "5", "--session", file));
    contents was = contents_of(file);
    remove(in_scratch("stdout"));
    pid_t pid = start_endless(file);
    assert_int_equal(kill(pid, SIGKILL), 0);
    child c = child_wait(pid, CHILD_FILE);
    assert_int_equal(c.code, 1000 + SIGKILL);
    child_free(&c);
    check_untouched(file, &was);
    free(was.bytes);
}

static void check_refusal(child *c, int code, const char *words)
{
    check_refused(c, code, words);
    child_free(c);
}

#define REFUSED(code, words, ...)                                                        \
    check_refusal((child[]){RUN("generate", __VA_ARGS__)}, code, words)

static void other_files_are_refused(void **state)
{
    (void)state;
    const char *file = session("mine"), *model = in_scratch("model");
    json_decref(GENERATE("-p", prompt, "-n", "5", "--session", file));
    contents was = contents_of(file);
    REFUSED(1, "another model", "--random", "1", "--preset", "nano", "-p", "a", "-n", "2",
            "--session", file);
    REFUSED(1, "another model", model, "--type", "bf16", "-p", "a", "--session", file);
    check_untouched(file, &was);

    was.bytes[was.size / 2] ^= 1;
    const char *bent = put_bytes("bent", was.bytes, was.size);
    REFUSED(1, "checksum", model, "-n", "2", "--session", bent);
    check_untouched(bent, &was);
    put_bytes("bent", was.bytes, was.size - 1);
    REFUSED(1, "truncated", model, "-n", "2", "--session", bent);
    put_bytes("bent", "", 0);
    REFUSED(1, "not a session", model, "-p", "a", "--session", bent);
    REFUSED(1, "not a file", model, "-p", "a", "--session", scratch);
    REFUSED(1, "cannot be created", model, "-p", "a", "--session", in_scratch("no/s"));
    REFUSED(2, "the FILE is empty", model, "-p", "a", "--session", "");
    REFUSED(2, "--prompt", model, "-n", "2", "--session", session("absent"));
    assert_int_equal(access(in_scratch("absent"), F_OK), -1);
    free(was.bytes);
}

/* A full disk: the text is there, the old session too. */
static void failed_saves_leave_the_file(void **state)
{
    (void)state;
    if (needs_large_files()) skip();
    const char *file = session("full");
    json_decref(GENERATE("-p", prompt, "-n", "5", "--session", file));
    contents was = contents_of(file);
    struct rlimit limit, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 1500;
    assert_true(was.size > small.rlim_cur);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    child c = RUN("generate", in_scratch("model"), MODEL, "-n", "5", "--session", file);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(c.code, 1);
    assert_true(c.out_size >= 5);
    assert_non_null(strstr(c.err, file));
    child_free(&c);
    check_untouched(file, &was);
    free(was.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_give_the_whole),
        cmocka_unit_test(prompts_are_appended),
        cmocka_unit_test(stops_are_left_out),
        cmocka_unit_test(stops_far_behind_are_left_out),
        cmocka_unit_test(stops_inside_a_token_are_left_out),
        cmocka_unit_test(interrupts_save),
        cmocka_unit_test(interrupted_prompts_are_not_saved),
        cmocka_unit_test(a_killed_call_leaves_the_file),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(failed_saves_leave_the_file),
    };
    return cmocka_run_group_tests_name("program_session", tests, program_open,
                                       scratch_close);
}

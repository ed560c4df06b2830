/* retnet tokenizer from the outside: training, ids as text, JSON and token files, texts
   from files, folders, JSONL and standard input, and what is refused. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "child.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

/* With a program that reads `input`. */
#define FED(input, ...) child_run(ARGV(__VA_ARGS__), input, CHILD_FILE)

#define TRAIN(out, ...)                                                                  \
    RUN("tokenizer", "train", in_scratch(out), in_scratch("text"), __VA_ARGS__)

static void check_out(child *c, const char *want)
{
    check_done(c);
    assert_string_equal(c->out, want);
    child_free(c);
}

static int group_open(void **state)
{
    if (scratch_open(state)) return -1;
    put_text("text", "low lower lowest<|endoftext|>newer newest \u65e5\u672c\n");
    put_text("ids", "104 105 10\n\n33\n");
    child c = TRAIN("t.json", "--vocab", "280", "--json", "-q");
    int code = c.code;
    if (code) fprintf(stderr, "%s\n", c.err);
    child_free(&c);
    return code;
}

static void ids_of_bytes(void **state)
{
    (void)state;
    const char *in = put_text("in", "hi\n!");
    child c = FED(in, "tokenizer", "encode", "byte");
    check_out(&c, "104 105 10 33\n");
    c = RUN("tokenizer", "encode", "byte", in, in);
    check_out(&c, "104 105 10 33\n104 105 10 33\n");
    for (int files = 0; files < 2; files++) {
        const char *lines = put_text("lines", "a b\n\nc\r\nd");
        c = files ? RUN("tokenizer", "encode", "byte", lines, "--lines")
                  : FED(lines, "tokenizer", "encode", "byte", "--lines");
        check_out(&c, "97 32 98\n\n99 13\n100\n");
    }
    c = FED(put_text("nothing", ""), "tokenizer", "encode", "byte");
    check_out(&c, "\n");
    c = FED(put_text("nothing", ""), "tokenizer", "encode", "byte", "--lines");
    check_out(&c, "");
}

static void check_ids(const json_t *o, const char *want)
{
    char *got = json_dumps(json_object_get(o, "ids"), JSON_COMPACT);
    assert_non_null(got);
    assert_string_equal(got, want);
    free(got);
}

static json_t *done_json(child *c)
{
    check_done(c);
    json_t *o = child_json(c);
    child_free(c);
    return o;
}

/* One list for one plain text, a list of lists for what may be several. */
static void ids_in_json(void **state)
{
    (void)state;
    const char *in = put_text("in", "hi\n!");
    const char *rows =
        put_text("rows.jsonl", "{\"text\":\"a\\u0000\"}\n{\"text\":\"\"}\n");
    mkdir(in_scratch("folder"), 0700);
    put_text("folder/x", "x");
    child c = RUN("tokenizer", "encode", "byte", in, "--json", "-q");
    json_t *o = done_json(&c);
    check_ids(o, "[104,105,10,33]");
    assert_true(json_number(o, "tokens") == 4 && json_number(o, "bytes") == 4);
    assert_true(json_number(o, "vocab") == 256);
    assert_true(json_number(o, "seconds") >= 0);
    assert_true(json_number(o, "megabytes_per_second") >= 0);
    json_decref(o);
    c = FED(in, "tokenizer", "encode", "byte", "--json", "--lines", "-q");
    o = done_json(&c);
    check_ids(o, "[[104,105],[33]]");
    json_decref(o);
    c = RUN("tokenizer", "encode", "byte", rows, "--json", "-q");
    o = done_json(&c);
    check_ids(o, "[[97,0],[]]");
    json_decref(o);
    c = RUN("tokenizer", "encode", "byte", in_scratch("folder"), "--json", "-q");
    o = done_json(&c);
    check_ids(o, "[[120]]");
    json_decref(o);
}

static void bytes_of_ids(void **state)
{
    (void)state;
    const char *ids = in_scratch("ids");
    child c = FED(ids, "tokenizer", "decode", "byte");
    check_out(&c, "hi\n!");
    c = RUN("tokenizer", "decode", "byte", ids, "--lines");
    check_out(&c, "hi\n\n\n!\n");
    c = FED(put_text("in", " [[104, 105],\t[10]]\r\n"), "tokenizer", "decode", "byte");
    check_out(&c, "hi\n");
    c = RUN("tokenizer", "decode", "byte", put_text("in", "255 65 0"), "--json", "-q");
    json_t *o = done_json(&c);
    const json_t *text = json_object_get(o, "text");
    assert_int_equal(json_string_length(text), 5);
    assert_memory_equal(json_string_value(text), "\ufffdA\0", 5);
    assert_true(json_number(o, "tokens") == 3 && json_number(o, "bytes") == 3);
    json_decref(o);
    c = RUN("tokenizer", "decode", "byte", ids, "--json", "--lines", "-q");
    o = done_json(&c);
    text = json_object_get(o, "text");
    assert_int_equal(json_array_size(text), 3);
    assert_string_equal(json_string_value(json_array_get(text, 0)), "hi\n");
    assert_string_equal(json_string_value(json_array_get(text, 1)), "");
    json_decref(o);
    c = RUN("tokenizer", "decode", "byte", put_text("in", "65 256 66"));
    assert_int_equal(c.code, 0);
    assert_string_equal(c.out, "AB");
    assert_non_null(strstr(c.err, "1 ids have no token"));
    child_free(&c);
}

/* Every byte, more of them than fit into one batch, through a token file. */
static void token_files(void **state)
{
    (void)state;
    enum { SIZE = 5000000 };
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (unsigned i = 0, x = 1; i < SIZE; i++)
        bytes[i] = (char)(x = x * 1664525u + 1013904223u, x >> 24);
    const char *in = put_bytes("bytes", bytes, SIZE), *small = in_scratch("text");
    const char *out = in_scratch("ids.bin");
    child c = RUN("tokenizer", "encode", "byte", small, in, small, "--out", out, "--json",
                  "-q");
    json_t *o = done_json(&c);
    assert_null(json_object_get(o, "ids"));
    json_decref(o);
    size_t size, extra;
    char *ids = get_bytes(out, &size), *text = get_bytes(small, &extra);
    assert_int_equal(size, 2 * (SIZE + 2 * extra));
    free(ids);
    c = RUN("tokenizer", "decode", "byte", out, "-q");
    check_done(&c);
    assert_int_equal(c.out_size, SIZE + 2 * extra);
    assert_memory_equal(c.out, text, extra);
    assert_memory_equal(c.out + extra, bytes, SIZE);
    assert_memory_equal(c.out + extra + SIZE, text, extra);
    child_free(&c);
    free(text);
    free(bytes);
}

/* Many lines: batches end by their bytes (a line has 3,000) and by their number (10). */
static void many_lines(void **state)
{
    (void)state;
    enum { SIZE = 6000000 };
    char *text = malloc(SIZE), *joined = malloc(SIZE);
    assert_non_null(text);
    assert_non_null(joined);
    for (int few = 0; few < 2; few++) {
        size_t length = few ? 3000 : 10;
        size_t size = length * (few ? 2000 : 10000), used = 0;
        for (size_t i = 0; i < size; i++) {
            text[i] = i % length == length - 1 ? '\n' : (char)('a' + i / length % 26);
            if (text[i] != '\n') joined[used++] = text[i];
        }
        const char *in = put_bytes("many", text, size), *out = in_scratch("many.bin");
        child c = RUN("tokenizer", "encode", "byte", in, "--lines", "--out", out, "-q");
        check_done(&c);
        child_free(&c);
        c = RUN("tokenizer", "decode", "byte", out, "-q");
        check_done(&c);
        assert_int_equal(c.out_size, used);
        assert_memory_equal(c.out, joined, used);
        child_free(&c);
    }
    free(text);
    free(joined);
}

/* ---- trained tokenizers ---- */

static void training_reports(void **state)
{
    (void)state;
    child c = TRAIN("r.json", "--vocab", "270", "--json", "-q", "--special",
                    "<|endoftext|>", "<|user|>", "-t", "2");
    json_t *o = done_json(&c);
    assert_true(json_number(o, "vocab") == 270 && json_number(o, "merges") == 12);
    assert_true(json_number(o, "texts") == 1 && json_number(o, "tokens") > 0);
    size_t size;
    free(get_bytes(in_scratch("text"), &size));
    assert_true(json_number(o, "bytes") == (double)size);
    json_decref(o);
    /* Into a folder, over what is there, and fewer ids than asked for, which is told. */
    mkdir(in_scratch("model"), 0700);
    for (int i = 0; i < 2; i++) {
        c = TRAIN("model", "--vocab", "5000");
        assert_int_equal(c.code, 0);
        assert_non_null(strstr(c.err, "no more to merge"));
        assert_non_null(strstr(c.out, "model/tokenizer.json"));
        child_free(&c);
    }
    assert_int_equal(access(in_scratch("model/tokenizer.json"), R_OK), 0);
}

static void round_trip(const char *tokenizer)
{
    const char *name = in_scratch(tokenizer), *text = in_scratch("text");
    child ids = RUN("tokenizer", "encode", name, text, "--special");
    check_done(&ids);
    const char *file = put_bytes("out", ids.out, ids.out_size);
    size_t size;
    char *want = get_bytes(text, &size);
    child back = RUN("tokenizer", "encode", name, text);
    check_done(&back);
    file = put_bytes("out", back.out, back.out_size);
    child_free(&back);
    back = RUN("tokenizer", "decode", name, file);
    check_out(&back, want);
    free(want);
    child_free(&ids);
}

static void trained_tokenizers_encode(void **state)
{
    (void)state;
    child c = TRAIN("p.json", "--style", "sentencepiece", "--vocab", "300", "--special",
                    "<|endoftext|>", "-q");
    assert_int_equal(c.code, 0);
    child_free(&c);
    round_trip("t.json");
    round_trip("p.json");
    round_trip("model");
}

static void special_and_plain(void **state)
{
    (void)state;
    const char *in = put_text("in", "a<|endoftext|>");
    const char *bytes = in_scratch("t.json"), *pieces = in_scratch("p.json");
    child c = FED(in, "tokenizer", "encode", bytes);
    check_out(&c, "65 0\n"); /* ids begin with the special token, "a" is the 65th */
    c = FED(in, "tokenizer", "encode", bytes, "--plain");
    check_done(&c);
    assert_null(strstr(c.out, " 0\n"));
    child_free(&c);
    c = FED(in, "tokenizer", "encode", pieces, "--special");
    check_done(&c);
    assert_memory_equal(c.out, "1 ", 2);
    child_free(&c);
    const char *ids = put_text("in", "65 0 65");
    c = RUN("tokenizer", "decode", bytes, ids);
    check_out(&c, "a<|endoftext|>a");
    c = RUN("tokenizer", "decode", bytes, ids, "--special");
    check_out(&c, "a<|endoftext|>a");
    c = RUN("tokenizer", "decode", bytes, ids, "--no-special");
    check_out(&c, "aa");
}

/* A vocabulary beyond 65,536 makes a file of 32 bits an id. */
static void large_vocabularies(void **state)
{
    (void)state;
    enum { LETTERS = 400000 };
    char *text = malloc(LETTERS);
    assert_non_null(text);
    for (unsigned i = 0, x = 1; i < LETTERS; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = (char)((x >> 16) % 8 == 0 ? ' ' : 'a' + (x >> 20) % 26);
    }
    const char *in = put_bytes("letters", text, LETTERS), *big = in_scratch("big.json");
    child c = RUN("tokenizer", "train", big, in, "--vocab", "66000", "--json", "-q");
    json_t *o = done_json(&c);
    assert_true(json_number(o, "vocab") == 66000);
    json_decref(o);
    c = RUN("tokenizer", "encode", big, in, "--out", in_scratch("big.bin"), "-q");
    check_done(&c);
    child_free(&c);
    size_t size;
    char *ids = get_bytes(in_scratch("big.bin"), &size);
    assert_memory_equal(ids, "\xa1\xd9\x34\x01\x07\0\0\0", 8); /* 20240801, 7 */
    free(ids);
    c = RUN("tokenizer", "decode", big, in_scratch("big.bin"));
    assert_int_equal(c.out_size, LETTERS);
    assert_memory_equal(c.out, text, LETTERS);
    child_free(&c);
    free(text);
}

/* ---- where texts end ---- */

static void check_file(const char *name, const uint16_t *want, size_t count)
{
    size_t size;
    char *got = get_bytes(in_scratch(name), &size);
    assert_int_equal(size, count * sizeof *want);
    assert_memory_equal(got, want, size);
    free(got);
}

#define ENCODE_OUT(out, ...)                                                             \
    RUN("tokenizer", "encode", in_scratch("t.json"), "--out", in_scratch(out),           \
        __VA_ARGS__)

/* One text keeps its ids; of several each but an empty one is followed by the end, 0. */
static void several_texts_end_in_an_id(void **state)
{
    (void)state;
    const uint16_t one[] = {65}, all[] = {65, 0, 66, 0, 67, 0}, lines[] = {65, 0, 66, 0};
    mkdir(in_scratch("ends"), 0700);
    const char *a = put_text("ends/a", "a"), *b = put_text("ends/b", "b");
    put_text("ends/c", "");
    put_text("ends/d", "c<|endoftext|>");
    child c = ENCODE_OUT("e1.bin", a);
    check_done(&c);
    child_free(&c);
    check_file("e1.bin", one, 1);
    c = ENCODE_OUT("e2.bin", in_scratch("ends"), "--json");
    json_t *o = done_json(&c);
    assert_true(json_number(o, "tokens") == 6);
    json_decref(o);
    check_file("e2.bin", all, 6);
    c = ENCODE_OUT("e3.bin", a, b);
    check_done(&c);
    child_free(&c);
    check_file("e3.bin", lines, 4);
    c = ENCODE_OUT("e4.bin", put_text("ends.txt", "a\n\nb\n"), "--lines");
    check_done(&c);
    child_free(&c);
    check_file("e4.bin", lines, 4);
    c = ENCODE_OUT("e5.bin", put_text("e.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n"));
    check_done(&c);
    child_free(&c);
    check_file("e5.bin", lines, 4);
}

static void lost_borders_are_told(void **state)
{
    (void)state;
    const char *a = put_text("a", "a"), *out = in_scratch("lost.bin");
    child c = RUN("tokenizer", "encode", "byte", a, a, "--out", out);
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.err, "lost.bin: the borders of its 2 texts are not kept"));
    child_free(&c);
    c = RUN("tokenizer", "encode", "byte", a, "--out", out);
    check_done(&c);
    child_free(&c);
}

/* ---- what goes wrong ---- */

static void check_error(int code, const char *words, const char *const *argv)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    check_refused(&c, code, words);
    child_free(&c);
}

#define REFUSED(code, words, ...) check_error(code, words, ARGV("tokenizer", __VA_ARGS__))

static void wrong_usage_and_files(void **state)
{
    (void)state;
    const char *none = in_scratch("none"), *text = in_scratch("text");
    const char *x = put_text("x", "1 2x 3"), *far = put_text("far", "4294967296");
    const char *row = put_text("row.jsonl", "{\"text\": 3}\n");
    REFUSED(2, "FILES... is missing", "train", none);
    REFUSED(2, "vocabulary of 200: must be 257 to", "train", none, text, "--vocab=200");
    REFUSED(2, "is not one of byte-bpe, sentencepiece", "train", none, text, "--style=x");
    REFUSED(2, "at least 2", "train", none, text, "--special", "x");
    REFUSED(1, "No such file", "train", none, in_scratch("missing"));
    REFUSED(1, "row.jsonl: line 1", "train", none, row);
    REFUSED(1, "both input and output", "train", text, text);
    REFUSED(1, "no text to train", "train", none, put_text("nothing", ""));
    REFUSED(1, "its folder", "train", in_scratch("no/where.json"), text);
    REFUSED(1, "neither", "encode", "missing-tokenizer", text);
    REFUSED(1, "row.jsonl: line 1", "encode", "byte", row, "--out", in_scratch("n.bin"));
    REFUSED(1, "none", "encode", "byte", text, "--out", none);
    REFUSED(2, "exclude each other", "decode", "byte", "--special", "--no-special");
    REFUSED(1, "far: 4294967296 is outside", "decode", "byte", far);
    REFUSED(1, "both input and output", "encode", "byte", in_scratch("ids.bin"), "--out",
            in_scratch("ids.bin"));
    put_text("stale.idx", "an index");
    REFUSED(1, "stale.idx: is in the way", "encode", "byte", text, "--out",
            in_scratch("stale.bin"));
    assert_int_not_equal(access(in_scratch("stale.bin"), F_OK), 0);
    child c = RUN("tokenizer", "decode", "byte", x);
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.err, "x: '2x' is not a token id"));
    child_free(&c);
    assert_int_not_equal(access(none, F_OK), 0);
    assert_int_not_equal(access(in_scratch("n.bin"), F_OK), 0);
}

static void output_that_cannot_be_written(void **state)
{
    (void)state;
    const char *text = in_scratch("text"), *ids = in_scratch("ids");
    child c = child_run(ARGV("tokenizer", "encode", "byte", text), NULL, CHILD_FULL);
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.err, "standard output"));
    child_free(&c);
    c = child_run(ARGV("tokenizer", "decode", "byte", ids), NULL, CHILD_NO_READER);
    assert_int_equal(c.code, 1);
    child_free(&c);
}

/* A disk that is full: nothing is told of a file that is not there. */
static void files_that_cannot_be_written(void **state)
{
    (void)state;
    if (needs_large_files()) skip();
    char *text = calloc(20001, 1);
    assert_non_null(text);
    memset(text, 'x', 20000);
    const char *in = put_text("long", text), *out = in_scratch("full.bin");
    free(text);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){10000, before.rlim_max});
    child c = RUN("tokenizer", "encode", "byte", in, "--out", out);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    check_refused(&c, 1, "full.bin: cannot be written");
    child_free(&c);
    assert_int_not_equal(access(out, F_OK), 0);
}

/* Files of the scratch folder whose names begin so. */
static bool is_there(const char *begin)
{
    char line[1200];
    snprintf(line, sizeof line, "ls '%s'/%s* > /dev/null 2>&1", scratch, begin);
    return system(line) == 0;
}

/* Ctrl-C while standard input is waited for: the file that was begun is gone. */
static void interrupted_encoding_leaves_nothing(void **state)
{
    (void)state;
    const char *fifo = in_scratch("fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int keep = open(fifo, O_RDWR); /* so that neither side waits for the other */
    assert_true(keep >= 0);
    pid_t pid = child_start(ARGV("tokenizer", "encode", "byte", "--out",
                                 in_scratch("stopped.bin"), "--lines"),
                            fifo, CHILD_FILE);
    const struct timespec moment = {0, 20000000};
    for (int i = 0; i < 500 && !is_there("stopped.bin.tmp"); i++)
        nanosleep(&moment, NULL);
    assert_true(is_there("stopped.bin.tmp"));
    kill(pid, SIGINT);
    child c = child_wait(pid, CHILD_FILE);
    close(keep);
    assert_int_equal(c.code, 130);
    assert_false(is_there("stopped.bin"));
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_bytes),
        cmocka_unit_test(ids_in_json),
        cmocka_unit_test(bytes_of_ids),
        cmocka_unit_test(token_files),
        cmocka_unit_test(many_lines),
        cmocka_unit_test(training_reports),
        cmocka_unit_test(trained_tokenizers_encode),
        cmocka_unit_test(special_and_plain),
        cmocka_unit_test(large_vocabularies),
        cmocka_unit_test(several_texts_end_in_an_id),
        cmocka_unit_test(lost_borders_are_told),
        cmocka_unit_test(wrong_usage_and_files),
        cmocka_unit_test(output_that_cannot_be_written),
        cmocka_unit_test(files_that_cannot_be_written),
        cmocka_unit_test(interrupted_encoding_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, group_open, scratch_close);
}

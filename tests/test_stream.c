/* The text stream: broken UTF-8 as the WHATWG decoder replaces it, stop strings, and the
   same text however the bytes are cut. */
#include "retnet/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FFFD "\xEF\xBF\xBD"

/* The text of a whole run, and where it stopped. */
typedef struct shown {
    char text[4096];
    size_t length;
    bool stopped;
} shown;

static void add(shown *s, const char *text, size_t length)
{
    assert_true(s->length + length <= sizeof s->text);
    memcpy(s->text + s->length, text, length);
    s->length += length;
}

/* Feeds bytes in pieces: cut[i] true begins a new one at byte i. */
static shown run(const char *bytes, size_t count, const unsigned char *cut,
                 const char *const *stops, size_t stop_count)
{
    shown s = {.length = 0};
    rn_stream *stream;
    const char *text;
    size_t length;
    assert_int_equal(rn_stream_create(&stream, stops, stop_count, NULL), RN_OK);
    for (size_t begin = 0, end; begin < count; begin = end) {
        bool stopped = false;
        for (end = begin + 1; end < count && !cut[end]; end++) {
        }
        assert_int_equal(rn_stream_put(stream, bytes + begin, end - begin, &text, &length,
                                       &stopped, NULL),
                         RN_OK);
        assert_false(s.stopped && (length > 0 || !stopped));
        add(&s, text, length);
        s.stopped = stopped;
    }
    assert_int_equal(rn_stream_end(stream, &text, &length, NULL), RN_OK);
    add(&s, text, length);
    rn_stream_free(stream);
    return s;
}

static void check(const char *bytes, size_t count, const unsigned char *cut,
                  const char *const *stops, size_t stop_count, const char *want,
                  bool stopped)
{
    shown s = run(bytes, count, cut, stops, stop_count);
    if (s.length != strlen(want) || memcmp(s.text, want, s.length) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", (int)s.length, s.text, want);
    assert_int_equal(s.stopped, stopped);
}

/* Every way of cutting up to 12 bytes, and whole, byte by byte and in twos for more. */
static void check_all_cuts(const char *bytes, size_t count, const char *const *stops,
                           size_t stop_count, const char *want, bool stopped)
{
    unsigned char cut[512];
    assert_in_range(count, 1, sizeof cut);
    size_t ways = count <= 12 ? (size_t)1 << (count - 1) : 1;
    for (size_t way = 0; way < ways; way++) {
        for (size_t i = 0; i < count; i++)
            cut[i] = i > 0 && i <= 12 && (way >> (i - 1) & 1);
        check(bytes, count, cut, stops, stop_count, want, stopped);
    }
    for (size_t step = 1; step < 8; step++) {
        for (size_t i = 0; i < count; i++) cut[i] = i % step == 0;
        check(bytes, count, cut, stops, stop_count, want, stopped);
    }
}

/* Bytes and their text by the "maximal subpart" practice (Unicode 15, table 3-8 to 3-11).
 */
static void broken_utf8_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *want;
    } cases[] = {
        {"plain", "plain"},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"\x80z\xBF", FFFD "z" FFFD},
        {"\xC0\xAF\xE0\x80\xBF", FFFD FFFD FFFD FFFD FFFD},
        {"\xF0\x81\x82\x41", FFFD FFFD FFFD "A"},
        {"\xED\xA0\x80\xED\xBF\xBF", FFFD FFFD FFFD FFFD FFFD FFFD},
        {"\xF4\x91\x92\x93\xFF\x41", FFFD FFFD FFFD FFFD FFFD "A"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", FFFD FFFD FFFD FFFD "A"},
        {"\xF4\x8F\xBF\xBF\xED\x9F\xBF", "\xF4\x8F\xBF\xBF\xED\x9F\xBF"},
        {"a\xE2\x82", "a" FFFD},
        {"a\xF0\x9F\x98", "a" FFFD},
        {"a\xC3", "a" FFFD},
        {"\xC3\xC3\xA9\xFE", FFFD "\xC3\xA9" FFFD},
        {"\xF5\x80\xC1\x80", FFFD FFFD FFFD FFFD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_all_cuts(cases[i].bytes, strlen(cases[i].bytes), NULL, 0, cases[i].want,
                       false);
}

static void zero_bytes_pass(void **state)
{
    (void)state;
    unsigned char cut[5] = {0};
    shown s = run("a\0b\0\xC3", 5, cut, NULL, 0);
    assert_int_equal(s.length, 7);
    assert_memory_equal(s.text, "a\0b\0" FFFD, 7);
}

static void stop_strings(void **state)
{
    (void)state;
    const char *const two[] = {"\n\n", "END"};
    const char *const overlap[] = {"aab", "", "aaac"};
    const char *const inside[] = {"xabc", "ab"};
    const char *const longer[] = {"b", "ab"}, *const shorter[] = {"ab", "b"};
    const char *const periodic[] = {"aabaaac"};
    const char *const accent[] = {"\xC3\xA9!"};
    const char *const replaced[] = {FFFD "q"};
    check_all_cuts("one\n\ntwo", 8, two, 2, "one", true);
    check_all_cuts("one\ntEND", 8, two, 2, "one\nt", true);
    check_all_cuts("EN\nEENDS", 8, two, 2, "EN\nE", true);
    check_all_cuts("one\nENtwo\n", 10, two, 2, "one\nENtwo\n", false);
    check_all_cuts("END", 3, two, 2, "", true);
    check_all_cuts("aaaaaab", 7, overlap, 3, "aaaa", true);
    check_all_cuts("aaaaaacb", 8, overlap, 3, "aaa", true);
    check_all_cuts("aaaaaadab", 9, overlap, 3, "aaaaaadab", false);
    check_all_cuts("zxabc", 5, inside, 2, "zx", true);
    check_all_cuts("zab", 3, longer, 2, "z", true);
    check_all_cuts("zab", 3, shorter, 2, "z", true);
    check_all_cuts("aaaac", 5, overlap, 3, "a", true);
    check_all_cuts("aabaaabaaac", 11, periodic, 1, "aaba", true);
    check_all_cuts("caf\xC3\xA9\xC3\xA9!x", 9, accent, 1, "caf\xC3\xA9", true);
    check_all_cuts("p\xE2\x82q", 4, replaced, 1, "p", true);
}

/* What cannot belong to a stop string or a character is shown at once. */
static void holds_back_only_what_it_must(void **state)
{
    (void)state;
    const char *const stops[] = {"stop"};
    static const struct {
        const char *bytes, *want;
    } steps[] = {{"go s", "go "},
                 {"t", ""},
                 {"a", "sta"},
                 {"\xE2", ""},
                 {"\x82", ""},
                 {"\xAC", "\xE2\x82\xAC"},
                 {"sto", ""},
                 {"sto", "sto"},
                 {"\xC3", ""},
                 {"x", "sto" FFFD "x"},
                 {"st\xC3\xA9", "st\xC3\xA9"}};
    rn_stream *stream;
    const char *text;
    size_t length;
    bool stopped;
    assert_int_equal(rn_stream_create(&stream, stops, 1, NULL), RN_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        size_t count = strlen(steps[i].bytes);
        assert_int_equal(
            rn_stream_put(stream, steps[i].bytes, count, &text, &length, &stopped, NULL),
            RN_OK);
        if (length != strlen(steps[i].want) || memcmp(text, steps[i].want, length) != 0)
            fail_msg("step %zu: \"%.*s\" instead of \"%s\"", i, (int)length, text,
                     steps[i].want);
    }
    rn_stream_free(stream);
}

static void nothing_follows_a_stop(void **state)
{
    (void)state;
    const char *const stops[] = {"."};
    rn_stream *stream;
    const char *text;
    size_t length;
    bool stopped = false;
    assert_int_equal(rn_stream_create(&stream, stops, 1, NULL), RN_OK);
    assert_int_equal(rn_stream_put(stream, "a.b", 3, &text, &length, &stopped, NULL),
                     RN_OK);
    assert_int_equal(length, 1);
    assert_true(stopped);
    assert_int_equal(rn_stream_put(stream, "c\xC3", 2, &text, &length, &stopped, NULL),
                     RN_OK);
    assert_int_equal(length, 0);
    assert_true(stopped);
    assert_int_equal(rn_stream_end(stream, &text, &length, NULL), RN_OK);
    assert_int_equal(length, 0);
    rn_stream_free(stream);
    rn_stream_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_utf8_is_replaced),
        cmocka_unit_test(zero_bytes_pass),
        cmocka_unit_test(stop_strings),
        cmocka_unit_test(holds_back_only_what_it_must),
        cmocka_unit_test(nothing_follows_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every golden case of the tokenizers package: ids, text from ids all at once and id by
   id, Unicode's classes and NFC. */
#define _XOPEN_SOURCE 700
#include "tokenizer/unicode.h"

#include <stdbool.h>

#include "scratch.h"
#include "tokenizer_fixture.h"

typedef struct golden {
    const char *folder;
    rn_tokenizer *tokenizer;
    size_t line;
} golden;

static int32_t *ids_of(const json_t *array, size_t *count)
{
    *count = json_array_size(array);
    int32_t *ids = malloc((*count + 1) * sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < *count; i++)
        ids[i] = (int32_t)(uint32_t)json_integer_value(json_array_get(array, i));
    return ids;
}

static void check_ids(const golden *g, const json_t *line, const char *key,
                      unsigned flags)
{
    const json_t *text = json_object_get(line, "text");
    size_t count, expected_count;
    int32_t *ids, *expected = ids_of(json_object_get(line, key), &expected_count);
    WORKS(rn_tokenizer_encode(g->tokenizer, json_string_value(text),
                              json_string_length(text), flags, &ids, &count, err));
    if (count != expected_count || memcmp(ids, expected, count * sizeof *ids) != 0)
        fail_msg("%s: line %zu: %s of \"%.200s\" differ", g->folder, g->line, key,
                 json_string_value(text));
    free(ids);
    free(expected);
}

static void check_stream(const golden *g, const int32_t *ids, size_t count, bool skip,
                         const char *text, size_t length)
{
    rn_detokenizer *d;
    size_t at = 0, n;
    WORKS(rn_detokenizer_create(&d, g->tokenizer, skip, err));
    for (size_t i = 0; i <= count; i++) {
        const char *part;
        if (i < count) WORKS(rn_detokenizer_put(d, ids[i], &part, &n, err));
        else WORKS(rn_detokenizer_end(d, &part, &n, err));
        if (n > length - at || memcmp(text + at, part, n) != 0)
            fail_msg("%s: line %zu: id %zu streams other text", g->folder, g->line, i);
        at += n;
    }
    assert_int_equal(at, length);
    rn_detokenizer_free(d);
}

static void check_text(const golden *g, const json_t *line, const char *from,
                       const char *key, bool skip)
{
    const json_t *expected = json_object_get(line, key);
    if (!expected) return;
    size_t count, length;
    char *text;
    int32_t *ids = ids_of(json_object_get(line, from), &count);
    WORKS(rn_tokenizer_decode(g->tokenizer, ids, count, skip, &text, &length, err));
    if (length != json_string_length(expected) ||
        memcmp(text, json_string_value(expected), length) != 0)
        fail_msg("%s: line %zu: %s is \"%s\", not \"%s\"", g->folder, g->line, key, text,
                 json_string_value(expected));
    check_stream(g, ids, count, skip, text, length);
    free(text);
    free(ids);
}

static void check_case(const json_t *line, void *user)
{
    golden *g = user;
    g->line++;
    if (json_object_get(line, "text")) {
        check_ids(g, line, "ids", 0);
        check_ids(g, line, "ids_special", RN_ENCODE_SPECIAL);
    }
    check_text(g, line, "ids", "decoded", false);
    check_text(g, line, "ids", "decoded_skip", true);
    check_text(g, line, "ids_special", "decoded_special", false);
}

static void golden_cases_agree(void **state)
{
    (void)state;
    size_t cases = 0;
    for (size_t i = 0; i < GOLDEN_FOLDERS; i++) {
        golden g = {.folder = golden_folders[i],
                    .tokenizer = golden_tokenizer(golden_folders[i])};
        cases += golden_lines(g.folder, "cases.jsonl", check_case, &g);
        g.line = 0;
        golden_lines(g.folder, "decode_cases.jsonl", check_case, &g);
        rn_tokenizer_free(g.tokenizer);
    }
    assert_int_equal(cases, 676 + 676 + 678 + 675 + 676 + 257 + 149);
}

static void check_nfc(const json_t *line, void *user)
{
    const json_t *text = json_object_get(line, "text"),
                 *expected = json_object_get(line, "nfc");
    rn_bytes out = {.used = 0};
    WORKS(rn_nfc(user, &out, (const unsigned char *)json_string_value(text),
                 json_string_length(text), err));
    if (out.used != json_string_length(expected) ||
        memcmp(out.data, json_string_value(expected), out.used) != 0)
        fail_msg("NFC of %s differs", json_string_value(text));
    rn_bytes_free(&out);
}

static void nfc_agrees(void **state)
{
    (void)state;
    rn_classes t;
    WORKS(rn_classes_make(&t, err));
    assert_int_equal(golden_lines("unicode", "nfc_cases.jsonl", check_nfc, &t), 600);
    rn_classes_free(&t);
}

static void check_class(const rn_classes *t, const json_t *ranges, rn_class class)
{
    const json_t *range;
    size_t i, inside = 0, found = 0;
    json_array_foreach(ranges, i, range)
    {
        json_int_t first = json_integer_value(json_array_get(range, 0));
        json_int_t last = json_integer_value(json_array_get(range, 1));
        for (json_int_t c = first; c <= last; c++, inside++)
            assert_int_equal(rn_class_of(t, (uint32_t)c), class);
    }
    for (uint32_t c = 0; c < 0x110000 + 256; c++) found += rn_class_of(t, c) == class;
    assert_int_equal(found, inside);
}

static void classes_agree(void **state)
{
    (void)state;
    size_t size;
    char *bytes = golden_bytes("unicode", "classes.json", &size);
    json_t *json = json_loadb(bytes, size, 0, NULL);
    assert_non_null(json);
    rn_classes t;
    WORKS(rn_classes_make(&t, err));
    check_class(&t, json_object_get(json, "L"), RN_CLASS_LETTER);
    check_class(&t, json_object_get(json, "N"), RN_CLASS_NUMBER);
    check_class(&t, json_object_get(json, "s"), RN_CLASS_BLANK);
    rn_classes_free(&t);
    json_decref(json);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_agree),
        cmocka_unit_test(nfc_agrees),
        cmocka_unit_test(golden_cases_agree),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

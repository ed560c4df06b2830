/* Tokenizers beyond the golden cases: any bytes come back, streams equal the whole, many
   texts equal one by one, long words, merging against its definition, the written-out
   splitters against their expressions, and small tokenizers for what the golden files
   lack. */
#define _XOPEN_SOURCE 700
#include "core/clock.h"
#include "tokenizer/bpe_merge.h"
#include "tokenizer/file.h"

#include <stdbool.h>

#include "scratch.h"
#include "tokenizer_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static rn_tokenizer *goldens[GOLDEN_FOLDERS];

static int set_up(void **state)
{
    if (scratch_open(state)) return -1;
    for (size_t i = 0; i < GOLDEN_FOLDERS; i++)
        goldens[i] = golden_tokenizer(golden_folders[i]);
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < GOLDEN_FOLDERS; i++) rn_tokenizer_free(goldens[i]);
    return scratch_close(state);
}

static rn_tokenizer *golden_named(const char *folder)
{
    for (size_t i = 0; i < GOLDEN_FOLDERS; i++)
        if (!strcmp(golden_folders[i], folder)) return goldens[i];
    fail_msg("no %s", folder);
    return NULL;
}

static void check_round_trip(const rn_tokenizer *t, const char *text, size_t length,
                             uint64_t seed)
{
    int32_t *ids;
    size_t count, n;
    char *back;
    WORKS(rn_tokenizer_encode(t, text, length, RN_ENCODE_PLAIN, &ids, &count, err));
    WORKS(rn_tokenizer_decode_bytes(t, ids, count, false, &back, &n, err));
    if (n != length || memcmp(text, back, n) != 0)
        fail_msg("seed %u: %zu bytes come back as %zu", (unsigned)seed, length, n);
    free(back);
    free(ids);
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    static const char *const folders[] = {"gpt2", "llama3", "llama", "mistral-metaspace"};
    for (size_t f = 0; f < COUNT(folders); f++)
        for (uint64_t seed = 1; seed < 300; seed++) {
            char text[2100] = "x";
            size_t length = 1 + random_below(seed, 1u << 20, 2000), used = length;
            if (seed % 2) used = 1 + random_text(text + 1, length, seed, true);
            else
                for (size_t i = 1; i < length; i++)
                    text[i] = (char)random_below(seed, i, 256);
            for (size_t i = 0; i + 2 < used; i++) /* U+2581 becomes a space */
                if (!memcmp(text + i, "\xE2\x96\x81", 3)) memset(text + i, '_', 3);
            check_round_trip(golden_named(folders[f]), text, used, seed);
        }
}

static void streams_equal_the_whole(void **state)
{
    (void)state;
    for (size_t f = 0; f < GOLDEN_FOLDERS; f++)
        for (uint64_t seed = 1; seed < 400; seed++) {
            int32_t ids[60];
            const size_t count = random_below(seed, 1000, 60), bytes = seed % 3;
            const size_t vocab = rn_tokenizer_vocab(goldens[f]) + 3;
            for (size_t i = 0; i < count; i++)
                ids[i] = (int32_t)random_below(seed, i, bytes ? 3 + 259 : vocab) - 1;
            char *text;
            size_t length, at = 0;
            const bool skip = seed % 2;
            WORKS(rn_tokenizer_decode(goldens[f], ids, count, skip, &text, &length, err));
            assert_true(rn_utf8_valid((const unsigned char *)text, length));
            rn_detokenizer *d;
            WORKS(rn_detokenizer_create(&d, goldens[f], skip, err));
            for (size_t i = 0; i <= count; i++) {
                const char *part;
                size_t n;
                if (i < count) WORKS(rn_detokenizer_put(d, ids[i], &part, &n, err));
                else WORKS(rn_detokenizer_end(d, &part, &n, err));
                assert_true(n <= length - at);
                assert_memory_equal(part, text + at, n);
                at += n;
            }
            assert_int_equal(at, length);
            rn_detokenizer_free(d);
            free(text);
        }
}

static void finished_text_is_not_held_back(void **state)
{
    (void)state;
    const rn_tokenizer *t = golden_named("llama");
    static const char *const pieces[] = {"\xE2\x96\x81th", "<0xE2>", "<0x82>", "<0xAC>",
                                         "a"};
    static const char *const shown[] = {"th", "", "", "", "\xE2\x82\xAC\x61"};
    rn_detokenizer *d;
    WORKS(rn_detokenizer_create(&d, t, true, err));
    for (size_t i = 0; i < COUNT(pieces); i++) {
        const char *part;
        size_t n;
        int32_t id = rn_tokenizer_find_id(t, pieces[i], strlen(pieces[i]));
        assert_true(id >= 0);
        WORKS(rn_detokenizer_put(d, id, &part, &n, err));
        assert_int_equal(n, strlen(shown[i]));
        assert_memory_equal(part, shown[i], n);
    }
    rn_detokenizer_free(d);
}

#define TEXTS 200

static void many_texts_equal_one_by_one(void **state)
{
    (void)state;
    static char room[TEXTS][600];
    const char *texts[TEXTS];
    size_t lengths[TEXTS], counts[TEXTS];
    int32_t *ids[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        texts[i] = room[i];
        lengths[i] = random_text(room[i], i * 3, i + 1, true);
    }
    for (size_t f = 0; f < GOLDEN_FOLDERS; f++)
        for (int threads = 0; threads < 5; threads += 2) {
            WORKS(rn_tokenizer_encode_batch(goldens[f], texts, lengths, TEXTS,
                                            RN_ENCODE_SPECIAL, threads, ids, counts,
                                            err));
            for (size_t i = 0; i < TEXTS; i++) {
                int32_t *one;
                size_t count;
                WORKS(rn_tokenizer_encode(goldens[f], texts[i], lengths[i],
                                          RN_ENCODE_SPECIAL, &one, &count, err));
                assert_int_equal(count, counts[i]);
                assert_memory_equal(one, ids[i], count * sizeof *one);
                free(one);
                free(ids[i]);
            }
        }
}

/* A second here would be a day for what is quadratic. */
static void long_words_take_no_long_time(void **state)
{
    (void)state;
    const size_t length = 1000000;
    char *text = malloc(length);
    assert_non_null(text);
    for (int what = 0; what < 4; what++) {
        for (size_t i = 0; i < length; i++)
            text[i] = what == 0   ? 'a'
                      : what == 1 ? ' '
                      : what == 2 ? "etaoinshr"[random_below(7, i, 9)]
                                  : "\xE6\x97\xA5"[i % 3];
        for (size_t f = 0; f < GOLDEN_FOLDERS; f++) {
            int32_t *ids;
            size_t count;
            double begin = rn_seconds();
            WORKS(rn_tokenizer_encode(goldens[f], text, length, 0, &ids, &count, err));
            assert_true(rn_seconds() - begin < 20);
            free(ids);
        }
    }
    free(text);
}

/* Texts cut where nothing can merge give the ids of the text as one word. */
static void cutting_words_changes_nothing(void **state)
{
    (void)state;
    static const char *const folders[] = {"llama", "mistral-metaspace", "extra-unk"};
    for (size_t f = 0; f < COUNT(folders); f++) {
        rn_file_tokenizer *t = (rn_file_tokenizer *)golden_named(folders[f]);
        uint64_t *pairs = t->bpe.pairs;
        assert_non_null(pairs);
        for (uint64_t seed = 1; seed < 300; seed++) {
            char text[700];
            int32_t *ids[2];
            size_t count[2], length = random_text(text, sizeof text, seed, seed % 2);
            for (int whole = 0; whole < 2; whole++) {
                t->bpe.pairs = whole ? NULL : pairs;
                WORKS(rn_tokenizer_encode(&t->base, text, length, 0, &ids[whole],
                                          &count[whole], err));
            }
            t->bpe.pairs = pairs;
            assert_int_equal(count[0], count[1]);
            assert_memory_equal(ids[0], ids[1], count[0] * sizeof *ids[0]);
            free(ids[0]);
            free(ids[1]);
        }
    }
}

/* Merging by its definition: the lowest rank, the leftmost first, until there is none. */
static size_t merge_plainly(const rn_merges *m, int32_t *ids, size_t n)
{
    for (;;) {
        const rn_merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const rn_merge *found = rn_merges_find(m, ids[i], ids[i + 1]);
            if (found && (!best || found->rank < best->rank)) best = found, at = i;
        }
        if (!best) return n;
        ids[at] = best->result;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static void merging_follows_its_definition(void **state)
{
    (void)state;
    rn_merge_room room = {.symbols = NULL};
    for (uint64_t seed = 1; seed < 400; seed++) {
        rn_merges m;
        WORKS(rn_merges_make(&m, 40, err));
        for (int32_t i = 0; i < 40; i++)
            rn_merges_add(&m, (int32_t)random_below(seed, (uint64_t)i, (size_t)(3 + i)),
                          (int32_t)random_below(seed, (uint64_t)i + 50, (size_t)(3 + i)),
                          3 + i, (uint32_t)random_below(seed, (uint64_t)i + 99, 1000));
        for (size_t n = 0; n < 120; n += 1 + n / 8) {
            int32_t ids[120], plain[120];
            for (size_t i = 0; i < n; i++)
                ids[i] = plain[i] = (int32_t)random_below(seed, 1000 + i, 3);
            size_t left = n, expected = merge_plainly(&m, plain, n);
            WORKS(rn_bpe_merge(&m, &room, ids, &left, err));
            assert_int_equal(left, expected);
            assert_memory_equal(ids, plain, left * sizeof *ids);
        }
        rn_merges_free(&m);
    }
    rn_merge_room_free(&room);
}

static const char *const expressions[] = {
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"};

static void splitters_follow_their_expressions(void **state)
{
    (void)state;
    rn_classes classes;
    WORKS(rn_classes_make(&classes, err));
    for (size_t e = 0; e < 2; e++) {
        rn_regex *regex;
        WORKS(rn_regex_make(&regex, expressions[e], strlen(expressions[e]), "e", err));
        for (uint64_t seed = 1; seed < 600; seed++) {
            unsigned char text[400];
            size_t length = random_text((char *)text, sizeof text, seed, false);
            rn_regex_search *search;
            WORKS(rn_regex_search_make(&search, regex, text, length, err));
            for (size_t at = 0, begin, end; at < length; at = end) {
                WORKS(rn_regex_next(search, &begin, &end, err));
                assert_int_equal(begin, at);
                size_t mine = e ? rn_split_tiktoken(&classes, text, length, at, 3)
                                : rn_split_gpt2(&classes, text, length, at);
                if (mine != end)
                    fail_msg("seed %u, expression %zu: %zu..%zu, not ..%zu",
                             (unsigned)seed, e, at, mine, end);
            }
            rn_regex_search_free(search);
        }
        rn_regex_free(regex);
    }
    rn_classes_free(&classes);
}

/* ---- small tokenizers: one token for each letter, what matters is where words end ----
 */

/* a..z, A, digits, blanks; merges make "ab", "bc", "abc" (later), "__" and "a_". */
static rn_tokenizer *small(const char *fields)
{
    char text[4096];
    snprintf(text, sizeof text,
             "{\"version\":\"1.0\",%s%s\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,"
             "\"b\":1,\"c\":2,\"x\":3,\"1\":4,\"2\":5,\"_\":6,\" \":7,\"ab\":8,\"bc\":9,"
             "\"abc\":10,\"aa\":11,\"xx\":12,\"11\":13,\"_a\":14,\"<unk>\":15,"
             "\"\xC3\x84\":16,\"<0xC3>\":17,\"<0xBC>\":18},\"merges\":[[\"b\",\"c\"],"
             "[\"a\",\"b\"],[\"a\",\"bc\"],[\"a\",\"a\"],[\"x\",\"x\"],[\"1\",\"1\"],"
             "[\"_\",\"a\"]]%s}}",
             fields, *fields && fields[strlen(fields) - 1] != ',' ? "," : "",
             strstr(fields, "@unk") ? ",\"unk_token\":\"<unk>\"" : "");
    rn_tokenizer *t;
    WORKS(rn_tokenizer_open(&t, put_text("small.json", text), err));
    return t;
}

/* The ids' contents with bars between. */
static void check_words(const rn_tokenizer *t, const char *text, unsigned flags,
                        const char *expected)
{
    int32_t *ids;
    size_t count, used = 0;
    char got[1024] = "";
    WORKS(rn_tokenizer_encode(t, text, strlen(text), flags, &ids, &count, err));
    for (size_t i = 0; i < count; i++) {
        rn_token token;
        assert_true(t->kind->token(t, ids[i], &token));
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%.*s", i ? "|" : "",
                                 (int)token.length, (const char *)token.content);
    }
    if (strcmp(got, expected) != 0) fail_msg("%s: %s, not %s", text, got, expected);
    free(ids);
}

static void small_pre_tokenizers_work(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *text, *expected;
    } cases[] = {
        {"", "abcab", "abc|ab"},
        {"", "aaa", "aa|a"},
        {"", "a?b", "ab"}, /* what is unknown vanishes */
        {"\"pre_tokenizer\":null,\"normalizer\":null,", "xxx", "xx|x"},
        {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"b\"},"
         "\"behavior\":\"Isolated\",\"invert\":false}",
         "abcabxx", "a|b|c|a|b|xx"},
        {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"x\"},"
         "\"behavior\":\"Removed\",\"invert\":false}",
         "abxcxxab", "ab|c|ab"},
        {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[ab]+\"},"
         "\"behavior\":\"Removed\",\"invert\":true}",
         "abxcxxab", "ab|ab"},
        {"\"pre_tokenizer\":{\"type\":\"Digits\",\"individual_digits\":true}", "11xx",
         "1|1|xx"},
        {"\"pre_tokenizer\":{\"type\":\"Digits\"}", "x11x", "x|11|x"},
        {"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}", "a b",
         "_a|_|b"},
        {"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","
         "\"prepend_scheme\":\"never\"}",
         "a a", "a|_a"},
        {"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"str_rep\":"
         "\"?\",\"add_prefix_space\":true}",
         "a", "_a"},
        {"\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
         "\"Digits\"},{\"type\":\"Metaspace\",\"replacement\":\"_\","
         "\"prepend_scheme\":\"first\"}]}",
         "a1a", "_a|1|a"},
        {"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\","
         "\"pattern\":{\"String\":\"12\"},\"content\":\"ab\"},{\"type\":\"Prepend\","
         "\"prepend\":\"x\"}]}",
         "x12x121", "xx|ab|x|ab|1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        rn_tokenizer *t = small(cases[i].fields);
        check_words(t, cases[i].text, 0, cases[i].expected);
        rn_tokenizer_free(t);
    }
}

#define ADDED(id, content, special, normalized, lstrip, rstrip, single)                  \
    "{\"id\":" #id ",\"content\":\"" content "\",\"special\":" #special                  \
    ",\"normalized\":" #normalized ",\"lstrip\":" #lstrip ",\"rstrip\":" #rstrip         \
    ",\"single_word\":" #single "}"

static void added_tokens_are_cut_out(void **state)
{
    (void)state;
    rn_tokenizer *t = small(
        "\"added_tokens\":[" ADDED(19, "<s>", true, false, false, true, false) "," ADDED(
            20, "word", false, false, false, false,
            true) "," ADDED(21, "ord", false, false, false, false,
                            false) "," ADDED(22, "bcd", false, false, false, false,
                                             false) "," ADDED(10, "abc", false, true,
                                                              false, false, false) "],");
    check_words(t, "a<s>  b", 0, "a|<s>|b");
    check_words(t, "a<s>b", RN_ENCODE_PLAIN, "ab"); /* < s > vanish */
    check_words(t, "xwordx", 0, "xx"); /* a failed word is not searched for ord */
    check_words(t, "x word x", 0, "x| |word| |x");
    check_words(t, "xord", 0, "x|ord");
    check_words(t, "abcd", 0, "a|bcd");
    check_words(t, "xabcx", 0, "x|abc|x");
    assert_int_equal(rn_tokenizer_vocab(t), 23);
    assert_false(rn_tokenizer_bytewise(t));
    assert_int_equal(rn_tokenizer_find_id(t, "word", 4), 20);
    assert_int_equal(rn_tokenizer_find_id(t, "nothing", 7), -1);
    rn_tokenizer_free(t);
}

/* Blanks that an rstrip token took are not walked again for each of many tokens. */
static void blanks_are_walked_once(void **state)
{
    (void)state;
    rn_tokenizer *t =
        small("\"added_tokens\":[" ADDED(7, " ", false, false, true, true, false) "],");
    const size_t length = 1000000;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, ' ', length);
    int32_t *ids;
    size_t count;
    double begin = rn_seconds();
    WORKS(rn_tokenizer_encode(t, text, length, 0, &ids, &count, err));
    assert_true(rn_seconds() - begin < 20);
    free(ids);
    free(text);
    rn_tokenizer_free(t);
}

static void template_ids_are_put_around(void **state)
{
    (void)state;
    rn_tokenizer *t =
        small("\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":"
              "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"u\"}},"
              "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"w\"}}],"
              "\"special_tokens\":{\"u\":{\"ids\":[15,3]},\"w\":{\"ids\":[4]}}}]},"
              "\"padding\":{},\"truncation\":{\"max_length\":3},");
    check_words(t, "abc", RN_ENCODE_SPECIAL, "<unk>|x|abc|1");
    check_words(t, "", RN_ENCODE_SPECIAL, "<unk>|x|1");
    check_words(t, "abcabcabcabc", 0, "abc|abc|abc|abc");
    assert_non_null(strstr(rn_tokenizer_note(t, 0), "truncation"));
    assert_non_null(strstr(rn_tokenizer_note(t, 1), "padding"));
    assert_null(rn_tokenizer_note(t, 2));
    assert_null(rn_tokenizer_note(t, 9));
    rn_tokenizer_free(t);
}

static void put_config(const char *eos)
{
    char text[200];
    snprintf(text, sizeof text, "{\"eos_token\": %s}", eos);
    put_text("tokenizer_config.json", text);
}

static void the_end_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *eos;
        int32_t id;
    } cases[] = {{"\"<s>\"", 19}, {"{\"content\": \"x\"}", 3}, {"null", 20}, {"3", 20}};
    static const char added[] =
        "\"added_tokens\":[" ADDED(19, "<s>", true, false, false, true, false) "," ADDED(
            20, "</s>", true, false, false, false, false) "],";
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_config(cases[i].eos);
        rn_tokenizer *t = small(added);
        assert_int_equal(rn_tokenizer_end_id(t), cases[i].id);
        rn_tokenizer_free(t);
    }
    remove(in_scratch("tokenizer_config.json"));
    rn_tokenizer *t = small(added);
    assert_int_equal(rn_tokenizer_end_id(t), 20);
    rn_tokenizer_free(t);
    put_text("tokenizer_config.json", "[");
    FAILS(rn_tokenizer_open(&t, in_scratch("small.json"), err), RN_EFORMAT,
          "tokenizer_config.json");
    remove(in_scratch("tokenizer_config.json"));
    t = small("");
    assert_int_equal(rn_tokenizer_end_id(t), -1);
    rn_tokenizer_free(t);
}

/* An expression that backtracks without end stops; a useful one over much text does not.
 */
static void expressions_are_limited(void **state)
{
    (void)state;
    static const char *const bad[] = {"(a+)+$", "\\\\s+$", "(a|aa)+$", "(?:a*+b?)*[cd]"};
    const size_t length = 60000;
    char *text = malloc(length + 1), fields[300];
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(fields, sizeof fields,
                 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},"
                 "\"behavior\":\"Isolated\"}",
                 bad[i]);
        rn_tokenizer *t = small(fields);
        memset(text, i == 1 ? ' ' : 'a', length);
        text[length] = 'x';
        int32_t *ids = NULL;
        size_t count;
        FAILS(rn_tokenizer_encode(t, text, length + 1, 0, &ids, &count, err),
              RN_EUNSUPPORTED, "too many steps");
        assert_null(ids);
        rn_tokenizer_free(t);
    }
    rn_tokenizer *t =
        small("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":"
              "\" ?[a-z]+| ?[0-9]+|\\\\s+\"},\"behavior\":\"Isolated\"}");
    for (size_t i = 0; i < length; i++) text[i] = "abc 12 xx "[i % 10];
    int32_t *ids;
    size_t count;
    WORKS(rn_tokenizer_encode(t, text, length, 0, &ids, &count, err));
    free(ids);
    free(text);
    rn_tokenizer_free(t);
}

/* What Oniguruma and PCRE2 read differently is translated or refused. */
static void expressions_mean_what_they_did(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "\\\\h+",   "[\\\\H]", "[a[bc]]", "[a&&b]", "(?m:.)", "(?i-x:a)",
        "[^\\\\S]", "a{2}+",   "a{1,2}+", "\\\\Qa", "(?",     "[[:alpha:]]"};
    static const struct {
        const char *regex, *text, *expected;
    } cases[] = {
        {"\\\\s+", "a \xE1\xA0\x8E\x62", "a| |b"}, /* U+180E is no blank */
        {"[\\\\sb]+", "a b\xE1\xA0\x8E", "a| |b"},
        {"\\\\S+", "ab ab", "ab| |ab"},
        {"^a", "ab\nab\nxx", "a|b|a|b|xx"},
        {"[]b]", "ab]", "a|b"},
        {"a{1,2}", "aaa", "aa|a"},
        {"(?i:B)", "abab", "a|b|a|b"},
    };
    char fields[300];
    static const char form[] = "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{"
                               "\"Regex\":\"%s\"},\"behavior\":\"Isolated\"}";
    for (size_t i = 0; i < COUNT(refused); i++) {
        char json[400];
        rn_tokenizer *t;
        snprintf(fields, sizeof fields, form, refused[i]);
        snprintf(json, sizeof json, "{%s,\"model\":{\"vocab\":{},\"merges\":[]}}",
                 fields);
        FAILS(rn_tokenizer_open(&t, put_text("refused.json", json), err), RN_EUNSUPPORTED,
              "pre_tokenizer: the expression");
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(fields, sizeof fields, form, cases[i].regex);
        rn_tokenizer *t = small(fields);
        check_words(t, cases[i].text, 0, cases[i].expected);
        rn_tokenizer_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(streams_equal_the_whole),
        cmocka_unit_test(finished_text_is_not_held_back),
        cmocka_unit_test(many_texts_equal_one_by_one),
        cmocka_unit_test(long_words_take_no_long_time),
        cmocka_unit_test(cutting_words_changes_nothing),
        cmocka_unit_test(merging_follows_its_definition),
        cmocka_unit_test(splitters_follow_their_expressions),
        cmocka_unit_test(small_pre_tokenizers_work),
        cmocka_unit_test(added_tokens_are_cut_out),
        cmocka_unit_test(blanks_are_walked_once),
        cmocka_unit_test(template_ids_are_put_around),
        cmocka_unit_test(the_end_is_found),
        cmocka_unit_test(expressions_are_limited),
        cmocka_unit_test(expressions_mean_what_they_did),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

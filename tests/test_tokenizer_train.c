/* Training of tokenizers: merges computed by hand and by a naive trainer, the layout of
   the file, independence of threads, special tokens, what is refused, and where texts
   come from. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "retnet/text.h"
#include "retnet/tokenizer.h"

#include <jansson.h>

#define EXTRA 4 /* merges asked for beyond what there is */

/* Gives strings one after the other, the last one is NULL. */
typedef struct strings {
    const char *const *next;
} strings;

static rn_status next_string(void *user, const char **text, size_t *length, rn_error *err)
{
    strings *s = user;
    (void)err;
    *text = *s->next;
    *length = *text ? strlen(*text) : 0;
    if (*text) s->next++;
    return RN_OK;
}

static rn_status train(const char *name, const char *const *texts,
                       const rn_tokenizer_training *how, rn_tokenizer_trained *report,
                       rn_error *err)
{
    strings s = {texts};
    rn_texts *t;
    rn_status st = rn_texts_from(&t, next_string, &s, err);
    if (st) return st;
    st = rn_tokenizer_train(in_scratch(name), t, how, report, err);
    rn_texts_close(t);
    return st;
}

static json_t *load(const char *name)
{
    json_error_t where;
    json_t *o = json_load_file(in_scratch(name), JSON_REJECT_DUPLICATES, &where);
    if (!o) fail_msg("%s: %s", name, where.text);
    return o;
}

static json_t *trained(const char *const *texts, const rn_tokenizer_training *how)
{
    WORKS(train("t.json", texts, how, NULL, err));
    return load("t.json");
}

static json_t *part(const json_t *o, const char *key)
{
    json_t *found = json_object_get(json_object_get(o, "model"), key);
    assert_non_null(found);
    return found;
}

static void check_id(const json_t *o, const char *token, int id)
{
    const json_t *found = json_object_get(part(o, "vocab"), token);
    if (!json_is_integer(found)) fail_msg("no token '%s'", token);
    if (json_integer_value(found) != id)
        fail_msg("'%s' is %d, not %d", token, (int)json_integer_value(found), id);
}

static void check_merges(const json_t *o, const char *const *want)
{
    const json_t *merges = part(o, "merges");
    size_t count = 0;
    for (; want[count]; count++) {
        const char *got = json_string_value(json_array_get(merges, count));
        if (!got || strcmp(got, want[count]))
            fail_msg("merge %zu is '%s', not '%s'", count, got ? got : "none",
                     want[count]);
    }
    assert_int_equal(json_array_size(merges), count);
}

#define TEXTS(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define MERGES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BYTES(n)                                                                         \
    &(rn_tokenizer_training)                                                             \
    {                                                                                    \
        .vocab = 256 + (n), .threads = 2                                                 \
    }
#define PIECES(n)                                                                        \
    &(rn_tokenizer_training)                                                             \
    {                                                                                    \
        .vocab = (n), .style = RN_STYLE_SENTENCEPIECE, .threads = 2                      \
    }

/* "ab", " ab" twice, " abc": a b comes 4 times, the others less. */
static void merges_the_most_frequent_pair(void **state)
{
    (void)state;
    rn_tokenizer_trained r;
    WORKS(train("t.json", TEXTS("ab ab ab abc"), BYTES(3 + EXTRA), &r, err));
    json_t *o = load("t.json");
    check_merges(o, MERGES("a b", "\u0120 ab", "\u0120ab c"));
    check_id(o, "!", 0);
    check_id(o, "a", 'a' - '!');
    check_id(o, "\u00a1", 94);
    check_id(o, "\u0100", 188);
    check_id(o, "\u0120", 220);
    check_id(o, "\u0143", 255);
    check_id(o, "ab", 256);
    check_id(o, "\u0120ab", 257);
    check_id(o, "\u0120abc", 258);
    assert_int_equal(json_object_size(part(o, "vocab")), 259);
    assert_int_equal(r.vocab, 259);
    assert_int_equal(r.merges, 3);
    assert_int_equal(r.texts, 1);
    assert_int_equal(r.bytes, 12);
    assert_int_equal(r.words, 4);
    assert_int_equal(r.distinct_words, 3);
    assert_int_equal(r.tokens, 4);
    json_decref(o);
}

static void stops_at_the_vocabulary(void **state)
{
    (void)state;
    json_t *o = trained(TEXTS("ab ab ab abc"), BYTES(2));
    check_merges(o, MERGES("a b", "\u0120 ab"));
    json_decref(o);
    o = trained(TEXTS("ab ab"), BYTES(0));
    check_merges(o, MERGES(NULL));
    json_decref(o);
}

/* All pairs come once: x y (87, 88), z w (89, 86), then the blank (220). */
static void equals_go_by_ids(void **state)
{
    (void)state;
    json_t *o = trained(TEXTS("xy zw"), BYTES(EXTRA));
    check_merges(o, MERGES("x y", "z w", "\u0120 zw"));
    json_decref(o);
    o = trained(TEXTS("xz", "xy"), BYTES(EXTRA));
    check_merges(o, MERGES("x y", "x z"));
    json_decref(o);
}

/* aa aa a: both pairs come once, (aa, a) has the lower right id. */
static void runs_merge_from_the_left(void **state)
{
    (void)state;
    json_t *o = trained(TEXTS("aaaaa"), BYTES(EXTRA));
    check_merges(o, MERGES("a a", "aa a", "aa aaa"));
    json_decref(o);
}

/* The words of GPT-2's expression, each twice so that their pairs come before others:
   nothing merges over a border of words. */
static void words_are_those_of_gpt2(void **state)
{
    (void)state;
    json_t *o = trained(TEXTS("I'll, 12ab\t\tc"), BYTES(30));
    const json_t *vocab = part(o, "vocab");
    static const char *const there[] = {"'ll", "\u012012", "ab"};
    static const char *const absent[] = {"I'", "I'll",    "ll,",          ",\u0120",
                                         "2a", "b\u0109", "\u0109\u0109", "\u0109c"};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        if (!json_object_get(vocab, there[i])) fail_msg("no '%s'", there[i]);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (json_object_get(vocab, absent[i])) fail_msg("a token '%s'", absent[i]);
    json_decref(o);
}

/* ---- against a naive trainer ---- */

enum { SHORT = 24, WORDS = 60, RULES = 40 };

typedef struct rule {
    int left, right, made;
} rule;

typedef struct naive {
    rule rules[RULES];
    size_t count;
    char tokens[256 + RULES][SHORT + 1];
    int vocab;
    int word[WORDS][SHORT];
    size_t length[WORDS], words;
} naive;

/* What an encoder does with the last rule: the pair of lowest rank, the leftmost of them,
   until none is left. */
static void encode_word(const naive *n, size_t w, int *s, size_t *length)
{
    (void)w;
    for (;;) {
        size_t best = RULES, place = 0;
        for (size_t i = 0; i + 1 < *length; i++)
            for (size_t r = 0; r < n->count && r < best; r++)
                if (n->rules[r].left == s[i] && n->rules[r].right == s[i + 1])
                    best = r, place = i;
        if (best == RULES) return;
        s[place] = n->rules[best].made;
        memmove(s + place + 1, s + place + 2, (*length - place - 2) * sizeof *s);
        --*length;
    }
}

/* The most frequent pair without a rule; false: there is none. */
static bool best_pair(const naive *n, int *left, int *right)
{
    int most = 0;
    for (int a = 0; a < n->vocab; a++)
        for (int b = 0; b < n->vocab; b++) {
            int count = 0;
            for (size_t w = 0; w < n->words; w++)
                for (size_t i = 0; i + 1 < n->length[w]; i++)
                    count += n->word[w][i] == a && n->word[w][i + 1] == b;
            if (count > most) most = count, *left = a, *right = b;
        }
    return most > 0;
}

static int find_token(const naive *n, const char *text)
{
    for (int i = 0; i < n->vocab; i++)
        if (!strcmp(n->tokens[i], text)) return i;
    return -1;
}

/* Letters from a on get ids from 0 on, as their order among the bytes is the same. */
static void naive_train(naive *n, int letters)
{
    n->count = 0;
    n->vocab = letters;
    for (int i = 0; i < letters; i++) snprintf(n->tokens[i], SHORT, "%c", 'a' + i);
    for (int left = 0, right = 0; n->count < RULES && best_pair(n, &left, &right);) {
        char text[2 * SHORT + 2];
        snprintf(text, sizeof text, "%s%s", n->tokens[left], n->tokens[right]);
        int made = find_token(n, text);
        if (made < 0) {
            made = n->vocab++;
            memcpy(n->tokens[made], text, strlen(text) + 1);
        }
        n->rules[n->count++] = (rule){left, right, made};
        for (size_t w = 0; w < n->words; w++)
            encode_word(n, w, n->word[w], &n->length[w]);
    }
}

/* Random words of few letters, as a text of lines. */
static char *random_words(naive *n, unsigned *seed, int letters)
{
    char *text = malloc(WORDS * (SHORT + 1) + 1);
    size_t used = 0;
    assert_non_null(text);
    n->words = WORDS;
    for (size_t w = 0; w < WORDS; w++) {
        n->length[w] = 1 + (*seed >> 16) % (SHORT / 2);
        for (size_t i = 0; i < n->length[w]; i++) {
            *seed = *seed * 1664525u + 1013904223u;
            n->word[w][i] = (int)((*seed >> 20) % (unsigned)letters);
            text[used++] = (char)('a' + n->word[w][i]);
        }
        text[used++] = '\n';
    }
    text[used] = 0;
    return text;
}

static void merges_are_those_of_a_naive_trainer(void **state)
{
    (void)state;
    static naive n;
    unsigned seed = 1;
    for (int round = 0; round < 40; round++) {
        int letters = 1 + round % 4;
        char *text = random_words(&n, &seed, letters);
        naive_train(&n, letters);
        size_t tokens = (size_t)(n.vocab - letters);
        json_t *o = trained(TEXTS(text), BYTES(tokens));
        const json_t *merges = part(o, "merges");
        for (size_t i = 0; i < json_array_size(merges) && i < n.count; i++) {
            char want[2 * SHORT + 4];
            snprintf(want, sizeof want, "%s %s", n.tokens[n.rules[i].left],
                     n.tokens[n.rules[i].right]);
            const char *got = json_string_value(json_array_get(merges, i));
            if (strcmp(got, want))
                fail_msg("round %d, merge %zu: '%s', not '%s'", round, i, got, want);
        }
        assert_int_equal(json_object_size(part(o, "vocab")), 256 + tokens);
        json_decref(o);
        free(text);
    }
}

/* ---- threads and memory ---- */

/* Many kinds of characters, in three megabytes. */
static char *long_text(size_t size)
{
    static const char *const parts[] = {
        "the ", "in", "\u00e9t\u00e9 ", "\n", "\u65e5\u672c", " 12", "'s ",
        "    ", "x",  "\u2581y",        "\t", "ing"};
    char *text = malloc(size + 16);
    assert_non_null(text);
    size_t used = 0;
    for (unsigned seed = 7; used < size;) {
        seed = seed * 1664525u + 1013904223u;
        const char *p = parts[(seed >> 16) % 12 * ((seed >> 8) % 12) % 12];
        memcpy(text + used, p, strlen(p));
        used += strlen(p);
    }
    text[used] = 0;
    return text;
}

static void check_same(const char *a, const char *b)
{
    size_t n, m;
    char *x = get_bytes(in_scratch(a), &n), *y = get_bytes(in_scratch(b), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    char *text = long_text(3u << 20);
    for (int style = 0; style < 2; style++)
        for (size_t limit = 0; limit < 2000; limit += 1000) {
            rn_tokenizer_training how = {.vocab = 900,
                                         .style = (rn_tokenizer_style)style,
                                         .max_words = limit,
                                         .threads = 1};
            const char *const *texts = TEXTS("a small text", text, "and another", text);
            WORKS(train("one", texts, &how, NULL, err));
            for (int threads = 2; threads <= 5; threads += 3) {
                how.threads = threads;
                WORKS(train("many", texts, &how, NULL, err));
                check_same("one", "many");
            }
        }
    free(text);
}

/* A long text is counted in pieces, none of which ends inside a word. */
static void pieces_end_between_words(void **state)
{
    (void)state;
    enum { TIMES = 100000 };
    static const char *const word[] = {" seventeen-letter", " \u65e5\u672c\u8a9e"};
    for (size_t style = 0; style < 2; style++) {
        size_t n = strlen(word[style]);
        char *text = malloc(n * TIMES + 1);
        assert_non_null(text);
        for (size_t i = 0; i < TIMES; i++) memcpy(text + n * i, word[style], n);
        text[n * TIMES] = 0;
        rn_tokenizer_trained r;
        rn_tokenizer_training how = {
            .vocab = 400, .style = (rn_tokenizer_style)style, .threads = 2};
        WORKS(train("t.json", TEXTS(text), &how, &r, err));
        assert_int_equal(r.distinct_words, style ? 1 : 3); /* by bytes: -, letters */
        assert_int_equal(r.words, style ? TIMES : 3 * TIMES);
        free(text);
    }
}

static void rare_words_are_forgotten(void **state)
{
    (void)state;
    char *text = long_text(3u << 20);
    rn_tokenizer_trained all, few;
    rn_tokenizer_training how = {.vocab = 600, .threads = 2};
    WORKS(train("t.json", TEXTS(text), &how, &all, err));
    how.max_words = 200;
    WORKS(train("t.json", TEXTS(text), &how, &few, err));
    assert_true(all.distinct_words > 200);
    assert_in_range(few.distinct_words, 1, 200);
    assert_int_equal(all.words, few.words);
    free(text);
}

/* ---- special tokens ---- */

static void special_tokens_are_no_text(void **state)
{
    (void)state;
    const char *const special[] = {"<end>", "<e", "<end>"};
    rn_tokenizer_training how = {
        .vocab = 300, .special = special, .special_count = 3, .threads = 2};
    json_t *o = trained(TEXTS("<end>xy<end>zu<e<end>"), &how);
    check_merges(o, MERGES("x y", "z u"));
    check_id(o, "<end>", 0);
    check_id(o, "<e", 1);
    check_id(o, "!", 2);
    check_id(o, "xy", 258);
    const json_t *added = json_object_get(o, "added_tokens");
    assert_int_equal(json_array_size(added), 2);
    const json_t *first = json_array_get(added, 0);
    assert_string_equal(json_string_value(json_object_get(first, "content")), "<end>");
    assert_int_equal(json_integer_value(json_object_get(first, "id")), 0);
    assert_true(json_is_true(json_object_get(first, "special")));
    assert_true(json_is_false(json_object_get(first, "normalized")));
    json_decref(o);
}

/* The spelling of " x" in the file is a special token, and so are <0x41>'s six
   characters: no merge may make them. */
static void merges_never_spell_a_special_token(void **state)
{
    (void)state;
    const char *const special[] = {"\u0120x"};
    rn_tokenizer_training how = {
        .vocab = 300, .special = special, .special_count = 1, .threads = 1};
    json_t *o = trained(TEXTS("a x x xy"), &how);
    check_merges(o, MERGES("x y", "\u0120 xy"));
    json_decref(o);

    const char *text = "<0x41> <0x41> <0x41> </s> </s> </s>";
    o = trained(TEXTS(text), PIECES(320));
    const json_t *merges = part(o, "merges");
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const char *m = json_string_value(json_array_get(merges, i));
        char joined[64];
        snprintf(joined, sizeof joined, "%.*s%s", (int)strcspn(m, " "), m,
                 m + strcspn(m, " ") + 1);
        assert_string_not_equal(joined, "<0x41>");
        assert_string_not_equal(joined, "</s>");
    }
    check_id(o, "<0x41>", 3 + 0x41);
    check_id(o, "</s>", 2);
    json_decref(o);
}

static void special_tokens_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {{"", "0 characters"},
               {"x", "1 characters"},
               {"\u65e5", "1 characters"},
               {"a\xff", "not UTF-8"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rn_tokenizer_training how = {
            .vocab = 300, .special = &bad[i].text, .special_count = 1};
        FAILS(train("none", TEXTS("ab"), &how, NULL, err), RN_EINVAL, bad[i].words);
    }
    const char *byte = "<0x0A>";
    rn_tokenizer_training how = *PIECES(400);
    how.special = &byte;
    how.special_count = 1;
    FAILS(train("none", TEXTS("ab"), &how, NULL, err), RN_EINVAL, "stands for a byte");
    assert_int_not_equal(access(in_scratch("none"), F_OK), 0);
}

/* ---- sentencepiece ---- */

static void pieces_have_their_layout(void **state)
{
    (void)state;
    const char *const special[] = {"<user>"};
    rn_tokenizer_training how = *PIECES(300);
    how.special = special;
    how.special_count = 1;
    json_t *o = trained(TEXTS("ab ab\nab\tb<user>ab"), &how);
    check_id(o, "<unk>", 0);
    check_id(o, "<s>", 1);
    check_id(o, "</s>", 2);
    check_id(o, "<0x00>", 3);
    check_id(o, "<0xFF>", 258);
    check_id(o, "<user>", 259);
    check_id(o, "a", 260);
    check_id(o, "b", 261);
    check_id(o, "\u2581", 262);
    check_merges(o, MERGES("a b", "\u2581 ab"));
    assert_int_equal(json_array_size(json_object_get(o, "added_tokens")), 4);
    assert_true(json_is_true(part(o, "byte_fallback")));
    assert_string_equal(json_string_value(part(o, "unk_token")), "<unk>");
    json_decref(o);
}

/* Both spellings of the blank are one; runs of blanks go to the word behind them. */
static void pieces_begin_with_their_blanks(void **state)
{
    (void)state;
    json_t *o = trained(TEXTS("a  b\u2581\u2581b  b"), PIECES(400));
    check_merges(o, MERGES("\u2581 b", "\u2581 \u2581b"));
    json_decref(o);
}

/* One character in 2,000 has no token, and stops merges. */
static void rare_characters_are_bytes(void **state)
{
    (void)state;
    char text[6101] = "";
    for (size_t i = 0; i < 3000; i++) memcpy(text + 2 * i, "ab", 3);
    memcpy(text + 3000, "\u65e5", 3);
    json_t *o = trained(TEXTS(text), PIECES(270));
    assert_null(json_object_get(part(o, "vocab"), "\u65e5"));
    json_decref(o);
    o = trained(TEXTS("ab\u65e5"), PIECES(270));
    assert_non_null(json_object_get(part(o, "vocab"), "\u65e5"));
    check_merges(o, MERGES("a b", "ab \u65e5"));
    json_decref(o);
    /* Room for the blank and one more: the most frequent. */
    o = trained(TEXTS("abb b bb"), PIECES(261));
    check_id(o, "b", 259);
    check_id(o, "\u2581", 260);
    check_merges(o, MERGES(NULL));
    json_decref(o);
}

/* ---- limits and errors ---- */

static bool stop_at(void *user, rn_training_stage stage, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    return stage == *(const rn_training_stage *)user;
}

static rn_status broken_text(void *user, const char **text, size_t *length, rn_error *err)
{
    (void)user, (void)text, (void)length;
    return rn_fail(err, RN_EIO, "the tape is torn");
}

static void failures_leave_nothing(void **state)
{
    (void)state;
    FAILS(train("none", TEXTS("ab"), BYTES(-1), NULL, err), RN_EINVAL,
          "vocabulary of 255: must be 256 to");
    FAILS(train("none", TEXTS("ab"), PIECES(259), NULL, err), RN_EINVAL,
          "vocabulary of 259: must be 260 to");
    FAILS(train("none", TEXTS("ab"), BYTES(RN_TRAINING_MAX_VOCAB), NULL, err), RN_EINVAL,
          "must be 256 to 1048576");
    FAILS(train("none", TEXTS("", ""), BYTES(5), NULL, err), RN_EFORMAT, "no text");
    FAILS(train("none/t", TEXTS("ab"), BYTES(5), NULL, err), RN_ENOTFOUND, "none/t");
    for (rn_training_stage at = RN_STAGE_COUNT; at <= RN_STAGE_MERGE; at++) {
        rn_tokenizer_training how = {.vocab = 300, .progress = stop_at, .user = &at};
        FAILS(train("none", TEXTS("ab"), &how, NULL, err), RN_EINTERRUPTED, "stopped");
    }
    rn_texts *t;
    WORKS(rn_texts_from(&t, broken_text, NULL, err));
    FAILS(rn_tokenizer_train(in_scratch("none"), t, BYTES(5), NULL, err), RN_EIO, "torn");
    rn_texts_close(t);
    assert_int_not_equal(access(in_scratch("none"), F_OK), 0);
}

/* Tokens and words have an end: a run of a million letters gives tokens of 256 bytes at
   most. */
static void tokens_have_an_end(void **state)
{
    (void)state;
    char *text = malloc(1000001);
    assert_non_null(text);
    memset(text, 'a', 1000000);
    text[1000000] = 0;
    json_t *o = trained(TEXTS(text), BYTES(2000));
    const char *token;
    json_t *id;
    size_t longest = 0;
    json_object_foreach(part(o, "vocab"), token, id)
    {
        size_t n = strlen(token);
        longest = n > longest ? n : longest;
    }
    assert_int_equal(longest, 256);
    json_decref(o);
    free(text);
}

/* ---- with the encoder ---- */

/* Characters of one to four bytes, controls, blanks and special tokens; no U+2581, which
   sentencepiece takes for a blank. */
static size_t random_text(char *out, unsigned *seed)
{
    static const char *const parts[] = {
        " ",  "a",  "\n", "\u00e9", "\u65e5", "\t", "\U0001f600", "</s>",
        "<s", "th", "  ", "\x01",   "'s",     "9",  "\u0301",     "<0x41>"};
    size_t used = 0, count = (*seed >> 16) % 40;
    for (size_t i = 0; i < count; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        const char *p = parts[(*seed >> 16) % 16];
        memcpy(out + used, p, strlen(p));
        used += strlen(p);
    }
    return used;
}

static void what_is_encoded_comes_back(void **state)
{
    (void)state;
    enum { ROUNDS = 300, ROOM = 400 };
    char *text = long_text(1u << 16), *random = malloc((size_t)ROUNDS * ROOM);
    const char *texts[ROUNDS];
    size_t lengths[ROUNDS], counts[ROUNDS];
    int32_t *ids[ROUNDS];
    unsigned seed = 3;
    assert_non_null(random);
    for (size_t i = 0; i < ROUNDS; i++) {
        texts[i] = random + i * ROOM;
        lengths[i] = random_text(random + i * ROOM, &seed);
    }
    for (int style = 0; style < 2; style++) {
        rn_tokenizer_training how = {
            .vocab = 700, .style = (rn_tokenizer_style)style, .threads = 2};
        rn_tokenizer *t;
        WORKS(train("t.json", TEXTS(text), &how, NULL, err));
        WORKS(rn_tokenizer_open(&t, in_scratch("t.json"), err));
        assert_int_equal(rn_tokenizer_vocab(t), 700);
        WORKS(
            rn_tokenizer_encode_batch(t, texts, lengths, ROUNDS, 0, 3, ids, counts, err));
        for (size_t i = 0; i < ROUNDS; i++) {
            char *back;
            size_t length, count;
            int32_t *alone;
            WORKS(rn_tokenizer_decode(t, ids[i], counts[i], false, &back, &length, err));
            if (length != lengths[i] || memcmp(back, texts[i], length) != 0)
                fail_msg("'%.*s' came back as '%s'", (int)lengths[i], texts[i], back);
            WORKS(rn_tokenizer_encode(t, texts[i], lengths[i], 0, &alone, &count, err));
            assert_int_equal(count, counts[i]);
            assert_memory_equal(alone, ids[i], count * sizeof *alone);
            free(alone);
            free(back);
            free(ids[i]);
        }
        rn_tokenizer_free(t);
    }
    free(text);
    free(random);
}

/* Training and encoding agree: the words of the text are as many tokens as was told. */
static void tokens_are_counted_as_encoded(void **state)
{
    (void)state;
    char *text = long_text(300000);
    for (int style = 0; style < 2; style++) {
        rn_tokenizer_training how = {
            .vocab = 700, .style = (rn_tokenizer_style)style, .threads = 2};
        rn_tokenizer_trained r;
        rn_tokenizer *t;
        int32_t *ids;
        size_t count;
        WORKS(train("t.json", TEXTS(text), &how, &r, err));
        WORKS(rn_tokenizer_open(&t, in_scratch("t.json"), err));
        WORKS(rn_tokenizer_encode(t, text, strlen(text), 0, &ids, &count, err));
        assert_int_equal(count, r.tokens);
        free(ids);
        rn_tokenizer_free(t);
    }
    free(text);
}

/* ---- texts ---- */

static void check_texts(const char *path, const char *leave_out, const char *const *want)
{
    rn_texts *t;
    const char *text;
    size_t length;
    WORKS(rn_texts_open(&t, &path, 1, leave_out, err));
    for (; *want; want++) {
        WORKS(rn_texts_next(t, &text, &length, err));
        assert_non_null(text);
        assert_int_equal(length, strlen(*want));
        assert_memory_equal(text, *want, length);
    }
    WORKS(rn_texts_next(t, &text, &length, err));
    assert_null(text);
    assert_int_equal(rn_texts_done(t), rn_texts_total(t));
    rn_texts_close(t);
}

static void texts_come_from_files_folders_and_lines(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_scratch("in"), 0700), 0);
    assert_int_equal(mkdir(in_scratch("in/sub"), 0700), 0);
    put_text("in/b", "second");
    put_text("in/sub/c", "fourth\n");
    put_text("in/a.jsonl", "{\"text\": \"one\"}\n\n  \r\n{\"x\": 1, \"text\": \"\"}");
    put_text("in/empty", "");
    put_text("in/out", "left out");
    check_texts(in_scratch("in"), in_scratch("in/out"),
                TEXTS("one", "", "second", "", "fourth\n"));
    check_texts(in_scratch("in/b"), NULL, TEXTS("second"));

    static const char packed[] = {/* "packed\n" in a frame of zstd */
                                  '\x28', '\xb5', '\x2f', '\xfd', '\x20', '\x07',
                                  '\x39', '\x00', '\x00', 'p',    'a',    'c',
                                  'k',    'e',    'd',    '\n'};
    check_texts(put_bytes("p.txt.zst", packed, sizeof packed), NULL, TEXTS("packed\n"));

    rn_texts *t;
    const char *text, *path = put_text("zero.jsonl", "{\"text\": \"a\\u0000b\"}");
    size_t length;
    WORKS(rn_texts_open(&t, &path, 1, NULL, err));
    WORKS(rn_texts_next(t, &text, &length, err));
    assert_int_equal(length, 3);
    assert_memory_equal(text, "a\0b", 3);
    rn_texts_close(t);
}

/* Of a file that is cut off behind our back no byte is asked for any more. */
static void texts_outlive_their_files(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    memset(bytes, 'x', SIZE);
    const char *path = put_bytes("cut", bytes, SIZE), *text;
    rn_texts *t;
    size_t length;
    WORKS(rn_texts_open(&t, &path, 1, NULL, err));
    WORKS(rn_texts_next(t, &text, &length, err));
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(length, SIZE);
    assert_memory_equal(text, bytes, SIZE);
    rn_texts_close(t);
    free(bytes);
}

static void texts_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes, *words;
        rn_status status;
    } bad[] = {
        {"bad1.jsonl", "{\"text\": \"a\"}\n{\"text\": 1}", "line 2", RN_EFORMAT},
        {"bad2.jsonl", "\n{\"text\"", "bad2.jsonl: line 2", RN_EFORMAT},
        {"bad3.jsonl", "[\"text\"]", "line 1", RN_EFORMAT},
        {"ids.bin", "abcd", "token file", RN_EUNSUPPORTED},
        {"t.zst", "abcd", "t.zst", RN_EFORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = put_text(bad[i].name, bad[i].bytes), *text = "";
        size_t length;
        rn_texts *t;
        rn_error failure = {RN_OK, ""};
        WORKS(rn_texts_open(&t, &path, 1, NULL, err));
        rn_status st = RN_OK;
        while (!st && text) st = rn_texts_next(t, &text, &length, &failure);
        check_failure(st, bad[i].status, &failure, bad[i].words);
        rn_texts_close(t);
    }
    const char *missing = in_scratch("missing");
    rn_texts *t;
    FAILS(rn_texts_open(&t, &missing, 1, NULL, err), RN_ENOTFOUND, "missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_the_most_frequent_pair),
        cmocka_unit_test(stops_at_the_vocabulary),
        cmocka_unit_test(equals_go_by_ids),
        cmocka_unit_test(runs_merge_from_the_left),
        cmocka_unit_test(words_are_those_of_gpt2),
        cmocka_unit_test(merges_are_those_of_a_naive_trainer),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(pieces_end_between_words),
        cmocka_unit_test(rare_words_are_forgotten),
        cmocka_unit_test(special_tokens_are_no_text),
        cmocka_unit_test(merges_never_spell_a_special_token),
        cmocka_unit_test(special_tokens_that_cannot_be),
        cmocka_unit_test(pieces_have_their_layout),
        cmocka_unit_test(pieces_begin_with_their_blanks),
        cmocka_unit_test(rare_characters_are_bytes),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(tokens_have_an_end),
        cmocka_unit_test(what_is_encoded_comes_back),
        cmocka_unit_test(tokens_are_counted_as_encoded),
        cmocka_unit_test(texts_come_from_files_folders_and_lines),
        cmocka_unit_test(texts_outlive_their_files),
        cmocka_unit_test(texts_that_are_none),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

/*
 * What training starts from. byte-bpe: special tokens, then the 256 bytes in the order of
 * the characters that stand for them. sentencepiece: <unk>, <s>, </s>, the bytes as
 * <0xNN>, special tokens, then characters in the order of code points: as many of the
 * most frequent as make up all but one in 2,000 of the text, without control characters.
 */
#include "core/arena.h"
#include "tokenizer/train_split.h"
#include "tokenizer/train_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODES = 0x110000, BYTES = 256, RARE = 2000 };

typedef struct letter {
    uint64_t count;
    uint32_t code;
} letter;

void rn_train_model_free(rn_train_model *m)
{
    rn_words_free(&m->tokens);
    free(m->rules);
    *m = (rn_train_model){0};
}

static rn_status add_token(rn_train_model *m, const char *text, size_t length, bool plain,
                           rn_error *err)
{
    return rn_words_add(&m->tokens, text, length, plain, NULL, err);
}

static size_t spell(char out[4], uint32_t code)
{
    return rn_utf8_put((unsigned char *)out, code);
}

/* GPT-2's characters: a byte that is printable stands for itself. */
static bool stands_for_itself(uint32_t byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The characters of bytes 0..255. */
static void byte_codes(uint32_t codes[BYTES])
{
    uint32_t next = BYTES;
    for (uint32_t b = 0; b < BYTES; b++) codes[b] = stands_for_itself(b) ? b : next++;
}

/* Two characters or more of UTF-8. */
static rn_status check_special(const char *text, rn_error *err)
{
    size_t length = strlen(text), characters = 0;
    for (size_t at = 0; at < length; characters++) {
        uint32_t code;
        at += rn_utf8_next((const unsigned char *)text + at, length - at, &code);
        if (code >= RN_BAD_BYTE)
            return rn_fail(err, RN_EINVAL, "a special token is not UTF-8");
    }
    if (characters < 2)
        return rn_fail(err, RN_EINVAL,
                       "special token '%s': has %zu characters, at least 2 are needed",
                       text, characters);
    return RN_OK;
}

static rn_status add_specials(rn_train_model *m, const rn_tokenizer_training *how,
                              rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < how->special_count; i++) {
        const char *text = how->special[i];
        st = check_special(text, err);
        size_t old = rn_words_find(&m->tokens, text, strlen(text));
        if (!st && old != RN_WORD_NONE && old >= 3 && how->style != RN_STYLE_BYTE_BPE &&
            !strncmp(text, "<0x", 3) && strlen(text) == 6)
            st = rn_fail(err, RN_EINVAL, "special token '%s': stands for a byte", text);
        if (!st) st = add_token(m, text, strlen(text), false, err);
    }
    return st;
}

static rn_status byte_alphabet(rn_train_model *m, const rn_tokenizer_training *how,
                               rn_error *err)
{
    rn_status st = add_specials(m, how, err);
    for (uint32_t code = 0; !st && code < BYTES; code++) {
        char text[4];
        if (stands_for_itself(code))
            st = add_token(m, text, spell(text, code), true, err);
    }
    for (uint32_t code = BYTES; !st && code < BYTES + 68; code++) {
        char text[4];
        st = add_token(m, text, spell(text, code), true, err);
    }
    return st;
}

/* How often each character came; spaces as the mark. */
static uint64_t count_letters(uint64_t *counts, const rn_words *words)
{
    uint64_t total = 0;
    for (size_t i = 0; i < words->count; i++) {
        const rn_word *word = &words->words[i];
        uint32_t code;
        for (size_t at = 0; at < word->length;) {
            at += rn_utf8_next(words->bytes + word->at + at, word->length - at, &code);
            if (!rn_train_is_letter(code)) continue;
            counts[code == ' ' ? RN_TRAIN_MARK : code] += word->count;
            total += word->count;
        }
    }
    return total;
}

static int by_count(const void *a, const void *b)
{
    const letter *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return (x->code > y->code) - (x->code < y->code);
}

static int by_code(const void *a, const void *b)
{
    const letter *x = a, *y = b;
    return (x->code > y->code) - (x->code < y->code);
}

/* The letters that get tokens, at most `most` of them, by code; returns their number. */
static size_t choose_letters(letter *letters, size_t count, uint64_t total, size_t most)
{
    uint64_t covered = 0;
    size_t chosen = 0;
    qsort(letters, count, sizeof *letters, by_count);
    while (chosen < count && chosen < most && total - covered > total / RARE)
        covered += letters[chosen++].count;
    qsort(letters, chosen, sizeof *letters, by_code);
    return chosen;
}

/* The characters that came, with their counts. */
static rn_status list_letters(letter **out, size_t *count, const uint64_t *counts,
                              rn_error *err)
{
    size_t n = 0;
    for (uint32_t code = 0; code < CODES; code++) n += counts[code] > 0;
    letter *list = malloc((n + 1) * sizeof *list);
    if (!list) return rn_fail_memory(err, "an alphabet", n * sizeof *list);
    *out = list;
    *count = n;
    n = 0;
    for (uint32_t code = 0; code < CODES; code++)
        if (counts[code]) list[n++] = (letter){counts[code], code};
    return RN_OK;
}

static rn_status add_letters(rn_train_model *m, const rn_words *words, size_t most,
                             rn_error *err)
{
    uint64_t *counts = calloc(CODES, sizeof *counts);
    letter *letters = NULL;
    size_t count = 0;
    if (!counts) return rn_fail_memory(err, "an alphabet", CODES * sizeof *counts);
    uint64_t total = count_letters(counts, words), mark = total / RARE + 1;
    counts[RN_TRAIN_MARK] += mark; /* never left out */
    rn_status st = list_letters(&letters, &count, counts, err);
    free(counts);
    if (!st) count = choose_letters(letters, count, total + mark, most);
    for (size_t i = 0; !st && i < count; i++) {
        char text[4];
        st = add_token(m, text, spell(text, letters[i].code), true, err);
    }
    free(letters);
    return st;
}

static rn_status piece_alphabet(rn_train_model *m, const rn_tokenizer_training *how,
                                rn_error *err)
{
    static const char *const control[] = {"<unk>", "<s>", "</s>"};
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < 3; i++)
        st = add_token(m, control[i], strlen(control[i]), false, err);
    for (unsigned b = 0; !st && b < BYTES; b++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", b);
        st = add_token(m, text, 6, false, err);
    }
    return st ? st : add_specials(m, how, err);
}

rn_status rn_train_alphabet(rn_train_model *m, const rn_words *words,
                            const rn_tokenizer_training *how, rn_error *err)
{
    bool bytes = how->style == RN_STYLE_BYTE_BPE;
    rn_status st = bytes ? byte_alphabet(m, how, err) : piece_alphabet(m, how, err);
    size_t least = m->tokens.count + !bytes;
    if (st) return st;
    if (how->vocab < least || how->vocab > RN_TRAINING_MAX_VOCAB)
        return rn_fail(err, RN_EINVAL,
                       "vocabulary of %zu: must be %zu to %zu in style %s with these "
                       "special tokens",
                       how->vocab, least, RN_TRAINING_MAX_VOCAB,
                       rn_tokenizer_style_name(how->style));
    return bytes ? RN_OK : add_letters(m, words, how->vocab - m->tokens.count, err);
}

/* ---- words as symbols ---- */

static uint32_t symbol_of(const rn_train_model *m, uint32_t code)
{
    char text[4];
    size_t index = rn_words_find(&m->tokens, text, spell(text, code));
    return index == RN_WORD_NONE ? RN_TRAIN_NONE : (uint32_t)index;
}

static size_t byte_symbols(uint32_t *out, const uint32_t bytes[BYTES],
                           const unsigned char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) out[i] = bytes[word[i]];
    return length;
}

/* A character without a token is as many symbols as it has bytes. */
static size_t letter_symbols(uint32_t *out, const rn_train_model *m,
                             const unsigned char *word, size_t length)
{
    size_t n = 0;
    for (size_t at = 0, size; at < length; at += size) {
        uint32_t code;
        size = rn_utf8_next(word + at, length - at, &code);
        uint32_t shown = code == ' ' ? RN_TRAIN_MARK : code;
        uint32_t symbol = rn_train_is_letter(code) ? symbol_of(m, shown) : RN_TRAIN_NONE;
        size_t times = symbol == RN_TRAIN_NONE ? size : 1;
        for (size_t i = 0; i < times; i++) out[n++] = symbol;
    }
    return n;
}

rn_status rn_train_symbols_make(rn_train_symbols *s, const rn_train_model *m,
                                const rn_words *words, rn_tokenizer_style style,
                                rn_error *err)
{
    uint32_t bytes[BYTES];
    size_t room;
    if (!rn_mul_size(&room, words->used + 1, sizeof *s->ids))
        return rn_fail_memory(err, "symbols of words", words->used);
    s->ids = malloc(room);
    s->begin = malloc((words->count + 1) * sizeof *s->begin);
    if (!s->ids || !s->begin) return rn_fail_memory(err, "symbols of words", room);
    byte_codes(bytes);
    if (style == RN_STYLE_BYTE_BPE)
        for (size_t b = 0; b < BYTES; b++) bytes[b] = symbol_of(m, bytes[b]);
    s->begin[0] = 0;
    for (size_t i = 0; i < words->count; i++) {
        const rn_word *word = &words->words[i];
        const unsigned char *text = words->bytes + word->at;
        uint32_t *out = s->ids + s->begin[i];
        size_t n = style == RN_STYLE_BYTE_BPE
                       ? byte_symbols(out, bytes, text, word->length)
                       : letter_symbols(out, m, text, word->length);
        s->begin[i + 1] = s->begin[i] + n;
    }
    return RN_OK;
}

void rn_train_symbols_free(rn_train_symbols *s)
{
    free(s->ids);
    free(s->begin);
    *s = (rn_train_symbols){0};
}

/*
 * Counting words, in blocks of text whose borders depend on the texts alone. A block is
 * cut into pieces between words; threads count pieces into tables of their own, which are
 * added up at the end of the block. Only there are rare words forgotten, so that the
 * result does not depend on the threads. Small texts are copied until they make a block;
 * large ones are read where they lie.
 */
#include "tokenizer/train_count.h"

#include "tokenizer/split.h"
#include "tokenizer/train_split.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK       ((size_t)32 << 20) /* bytes counted between two additions */
#define PIECE       ((size_t)128 << 10)
#define SMALL       ((size_t)1 << 20) /* texts below it are copied */
#define MAX_WORDS   ((size_t)8 << 20)
#define WORD_BYTES  ((size_t)32) /* a word on average, for the limit of their bytes */
#define MAX_PIECES  ((size_t)1 << 20)
#define MAX_THREADS 1024

/* A longer word is counted in parts: nothing is to be learned from its whole. */
#define PART ((size_t)4096)

typedef struct piece {
    const unsigned char *text;
    size_t length;
} piece;

typedef struct counter {
    const rn_tokenizer_training *how;
    rn_classes classes;
    rn_words *all, *own; /* own: one a thread */
    int threads;
    piece *pieces;
    size_t count, room, bytes; /* of the block */
    unsigned char *copy;       /* of small texts */
    size_t copied;
    bool first[256]; /* bytes that special tokens begin with */
    uint64_t done, total, words;
} counter;

/* At most PART bytes; the mark of sentencepiece is a blank. */
static rn_status count_part(rn_words *words, rn_tokenizer_style style,
                            const unsigned char *part, size_t length, rn_error *err)
{
    unsigned char plain[PART];
    size_t n = 0;
    if (style == RN_STYLE_BYTE_BPE || !memchr(part, 0xe2, length))
        return rn_words_add(words, part, length, 1, NULL, err);
    for (size_t at = 0, size; at < length; at += size) {
        uint32_t c;
        size = rn_utf8_next(part + at, length - at, &c);
        if (c == RN_TRAIN_MARK) plain[n++] = ' ';
        else memcpy(plain + n, part + at, size), n += size;
    }
    return rn_words_add(words, plain, n, 1, NULL, err);
}

/* The word in parts that end with a character. */
static rn_status count_word(rn_words *words, rn_tokenizer_style style,
                            const unsigned char *word, size_t length, rn_error *err)
{
    rn_status st = RN_OK;
    while (!st && length > 0) {
        size_t n = length < PART ? length : PART;
        while (n < length && n > PART - 4 && rn_utf8_follows(word[n])) n--;
        st = count_part(words, style, word, n, err);
        word += n;
        length -= n;
    }
    return st;
}

static rn_status count_piece(const counter *c, rn_words *words, piece p,
                             uint64_t *counted, rn_error *err)
{
    const rn_tokenizer_style style = c->how->style;
    rn_status st = RN_OK;
    for (size_t at = 0, end; !st && at < p.length; at = end) {
        end = style == RN_STYLE_BYTE_BPE
                  ? rn_split_gpt2(&c->classes, p.text, p.length, at)
                  : rn_train_split_blanks(p.text, p.length, at);
        st = count_word(words, style, p.text + at, end - at, err);
        ++*counted;
    }
    return st;
}

/* One thread's share of the block. */
static rn_status count_share(counter *c, int rank, uint64_t *counted, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = (size_t)rank; !st && i < c->count; i += (size_t)c->threads)
        st = count_piece(c, &c->own[rank], c->pieces[i], counted, err);
    return st;
}

/* Forgets the rarest until at most half of the limit is left. */
static rn_status forget(counter *c, rn_error *err)
{
    size_t most = c->how->max_words ? c->how->max_words : MAX_WORDS;
    rn_words *w = c->all;
    if (w->count <= most && w->used / WORD_BYTES <= most) return RN_OK;
    for (uint64_t least = 1; w->count > most / 2 || w->used / WORD_BYTES > most / 2;
         least *= 2) {
        rn_status st = rn_words_prune(w, least, err);
        if (st) return st;
    }
    return RN_OK;
}

static rn_status count_block(counter *c, rn_error *err)
{
    rn_status failed = RN_OK;
    rn_error first = {RN_OK, ""};
    uint64_t words = 0;
#pragma omp parallel for num_threads(c->threads) reduction(+ : words) schedule(static, 1)
    for (int rank = 0; rank < c->threads; rank++) {
        rn_error mine;
        rn_status st = count_share(c, rank, &words, &mine);
        if (st) {
#pragma omp critical(rn_train_count)
            {
                failed = st;
                first = mine;
            }
        }
    }
    if (failed && err) *err = first;
    for (int i = 0; !failed && i < c->threads; i++)
        failed = rn_words_merge(c->all, &c->own[i], err);
    for (int i = 0; i < c->threads; i++) rn_words_clear(&c->own[i]);
    c->words += words;
    c->done += c->bytes;
    c->count = c->bytes = c->copied = 0;
    if (!failed) failed = forget(c, err);
    if (failed) return failed;
    if (c->how->progress &&
        c->how->progress(c->how->user, RN_STAGE_COUNT, c->done, c->total))
        return rn_fail(err, RN_EINTERRUPTED, "stopped while counting words");
    return RN_OK;
}

static rn_status add_piece(counter *c, const unsigned char *text, size_t length,
                           rn_error *err)
{
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 1024;
        piece *pieces = realloc(c->pieces, room * sizeof *pieces);
        if (!pieces) return rn_fail_memory(err, "pieces of text", room * sizeof *pieces);
        c->pieces = pieces;
        c->room = room;
    }
    c->pieces[c->count++] = (piece){text, length};
    c->bytes += length;
    return RN_OK;
}

/* Cuts a stretch without special tokens into pieces. */
static rn_status add_stretch(counter *c, const unsigned char *text, size_t length,
                             rn_error *err)
{
    rn_status st = RN_OK;
    size_t begin = 0;
    while (!st && begin < length) {
        size_t end = length - begin <= PIECE ? length : begin + PIECE;
        while (end < length && !rn_train_split_border(&c->classes, text, end)) end++;
        st = add_piece(c, text + begin, end - begin, err);
        if (!st && c->bytes >= BLOCK && c->copied == 0) st = count_block(c, err);
        begin = end;
    }
    return st;
}

/* Bytes of the longest special token that begins here, or 0. */
static size_t special_at(const counter *c, const unsigned char *text, size_t rest)
{
    size_t longest = 0;
    for (size_t i = 0; i < c->how->special_count; i++) {
        size_t n = strlen(c->how->special[i]);
        if (n > longest && n <= rest && !memcmp(c->how->special[i], text, n)) longest = n;
    }
    return longest;
}

/* The text without the special tokens in it. */
static rn_status add_stretches(counter *c, const unsigned char *text, size_t length,
                               rn_error *err)
{
    size_t begin = 0;
    for (size_t at = 0; c->how->special_count && at < length; at++) {
        size_t n = c->first[text[at]] ? special_at(c, text + at, length - at) : 0;
        if (!n) continue;
        rn_status st = add_stretch(c, text + begin, at - begin, err);
        if (st) return st;
        begin = at + n;
        at = begin - 1;
    }
    return add_stretch(c, text + begin, length - begin, err);
}

static rn_status add_text(counter *c, const unsigned char *text, size_t length,
                          rn_error *err)
{
    rn_status st = RN_OK;
    bool small = length < SMALL;
    if (!small || length > BLOCK - c->copied || c->count >= MAX_PIECES)
        st = count_block(c, err);
    if (st) return st;
    if (small && length) {
        memcpy(c->copy + c->copied, text, length);
        text = c->copy + c->copied;
        c->copied += length;
    }
    st = add_stretches(c, text, length, err);
    return st || small ? st : count_block(c, err);
}

static rn_status count_texts(counter *c, rn_texts *texts, rn_tokenizer_trained *report,
                             rn_error *err)
{
    const char *text;
    size_t length;
    rn_status st;
    while (!(st = rn_texts_next(texts, &text, &length, err)) && text) {
        st = add_text(c, (const unsigned char *)text, length, err);
        if (st) return st;
        report->texts++;
        report->bytes += length;
    }
    return st ? st : count_block(c, err);
}

static rn_status open_counter(counter *c, rn_error *err)
{
    c->threads = c->how->threads < 1             ? 1
                 : c->how->threads > MAX_THREADS ? MAX_THREADS
                                                 : c->how->threads;
    for (size_t i = 0; i < c->how->special_count; i++)
        c->first[(unsigned char)c->how->special[i][0]] = true;
    c->own = calloc((size_t)c->threads, sizeof *c->own);
    c->copy = malloc(BLOCK);
    if (!c->own || !c->copy) return rn_fail_memory(err, "a block of text", BLOCK);
    return rn_classes_make(&c->classes, err);
}

rn_status rn_train_count(rn_words *words, rn_texts *texts,
                         const rn_tokenizer_training *how, rn_tokenizer_trained *report,
                         rn_error *err)
{
    counter c = {.how = how, .all = words, .total = rn_texts_total(texts)};
    rn_status st = open_counter(&c, err);
    if (!st) st = count_texts(&c, texts, report, err);
    report->words = c.words;
    for (int i = 0; c.own && i < c.threads; i++) rn_words_free(&c.own[i]);
    rn_classes_free(&c.classes);
    free(c.own);
    free(c.copy);
    free(c.pieces);
    return st;
}

/* One word to ids, with a memory of words; see bpe.h. */
#include "tokenizer/bpe.h"

#include "tokenizer/bpe_merge.h"

#include <stdio.h>
#include <stdlib.h>

#define PAIR_BITS   18
#define CACHE_BYTES ((size_t)64)      /* longer words are not remembered */
#define CACHE_WORDS ((size_t)1 << 16) /* then the memory starts anew */

typedef struct word {
    uint64_t hash;
    uint32_t at, ids_at; /* in keys and ids */
    uint16_t length, count;
    bool used;
} word;

struct rn_bpe_work {
    rn_id_list symbols;
    rn_bytes mapped; /* a word as the vocabulary spells it */
    rn_merge_room room;
    word *words;
    size_t word_slots, word_count;
    rn_bytes keys;
    rn_id_list ids;
};

rn_status rn_bpe_work_make(rn_bpe_work **out, rn_error *err)
{
    rn_bpe_work *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, "encoding", sizeof *w);
    *out = w;
    return RN_OK;
}

void rn_bpe_work_free(rn_bpe_work *w)
{
    if (!w) return;
    rn_id_list_free(&w->symbols);
    rn_bytes_free(&w->mapped);
    rn_merge_room_free(&w->room);
    free(w->words);
    rn_bytes_free(&w->keys);
    rn_id_list_free(&w->ids);
    free(w);
}

void rn_bpe_free(rn_bpe *b)
{
    rn_vocab_free(&b->vocab);
    rn_merges_free(&b->merges);
    free(b->unk_token);
    free(b->pairs);
    b->unk_token = NULL;
    b->pairs = NULL;
}

/* Printable bytes of Latin-1 stand for themselves, the others are 256, 257, ... in the
   order of the bytes (GPT-2's table). */
static bool printable(unsigned c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

uint32_t rn_byte_char(unsigned char byte)
{
    if (printable(byte)) return byte;
    if (byte <= 32) return 256u + byte;
    return byte == 173 ? 256u + 67u : 256u + 33u + (byte - 127u);
}

int rn_byte_of_char(uint32_t c)
{
    if (c < 256) return printable(c) ? (int)c : -1;
    if (c >= 256 + 68) return -1;
    c -= 256;
    return (int)(c <= 32 ? c : c == 67 ? 173 : c - 33 + 127);
}

static size_t pair_bit(uint32_t a, uint32_t b)
{
    return (a * 0x9E3779B1u ^ b * 0x85EBCA77u) >> (32 - PAIR_BITS);
}

static void note_pairs(rn_bpe *b, const rn_token *token)
{
    uint32_t before = 0, c;
    for (size_t at = 0; at < token->length; before = c) {
        size_t n = rn_utf8_next(token->content + at, token->length - at, &c);
        size_t bit = pair_bit(before, c);
        if (at) b->pairs[bit / 64] |= UINT64_C(1) << bit % 64;
        at += n;
    }
}

static bool is_byte_token(const rn_bpe *b, int32_t id)
{
    rn_token t;
    return rn_vocab_token(&b->vocab, id, &t) && t.length == 6 &&
           !memcmp(t.content, "<0x", 3);
}

static rn_status prepare_cuts(rn_bpe *b, rn_error *err)
{
    const size_t words = ((size_t)1 << PAIR_BITS) / 64;
    b->pairs = calloc(words, sizeof *b->pairs);
    if (!b->pairs) return rn_fail_memory(err, "neighbours", words * sizeof *b->pairs);
    b->cut_unknown = b->byte_fallback;
    for (int i = 0; i < 256; i++)
        if (b->byte_ids[i] < 0) b->cut_unknown = false;
    for (size_t i = 0; i < b->merges.slot_count; i++) {
        const rn_merge *m = &b->merges.slots[i];
        rn_token token;
        if (m->left < 0 || !rn_vocab_token(&b->vocab, m->result, &token)) continue;
        note_pairs(b, &token);
        if (is_byte_token(b, m->left) || is_byte_token(b, m->right))
            b->cut_unknown = false;
    }
    return RN_OK;
}

rn_status rn_bpe_prepare(rn_bpe *b, rn_error *err)
{
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        b->byte_ids[i] = rn_vocab_find(&b->vocab, name, 6);
        b->byte_chars[i] = rn_vocab_char(&b->vocab, rn_byte_char((unsigned char)i));
    }
    b->unk =
        b->unk_token ? rn_vocab_find(&b->vocab, b->unk_token, strlen(b->unk_token)) : -1;
    return b->byte_level || b->ignore_merges ? RN_OK : prepare_cuts(b, err);
}

/* The symbols of a character that is no token: its bytes where all are tokens, else
   unk_token, once for neighbours where they fuse. */
static rn_status put_unknown(const rn_bpe *b, rn_bpe_work *w, const unsigned char *c,
                             size_t length, bool *after_unk, rn_error *err)
{
    int32_t ids[4];
    bool bytes = b->byte_fallback;
    for (size_t i = 0; i < length && bytes; i++) {
        ids[i] = b->byte_ids[c[i]];
        bytes = ids[i] >= 0;
    }
    if (bytes) {
        *after_unk = false;
        return rn_id_list_put(&w->symbols, ids, length, err);
    }
    if (!b->unk_token || (*after_unk && b->fuse_unk)) return RN_OK;
    if (b->unk < 0)
        return rn_fail(err, RN_EFORMAT,
                       "the tokenizer's unk_token '%s' is not in its vocabulary",
                       b->unk_token);
    *after_unk = true;
    return rn_id_list_put(&w->symbols, &b->unk, 1, err);
}

static rn_status start_chars(const rn_bpe *b, rn_bpe_work *w, const unsigned char *text,
                             size_t length, rn_error *err)
{
    rn_status st = RN_OK;
    bool after_unk = false;
    for (size_t at = 0; !st && at < length;) {
        uint32_t c;
        size_t n = rn_utf8_next(text + at, length - at, &c);
        int32_t id = rn_vocab_char(&b->vocab, c);
        if (id < 0) {
            st = put_unknown(b, w, text + at, n, &after_unk, err);
        } else {
            st = rn_id_list_put(&w->symbols, &id, 1, err);
            after_unk = false;
        }
        at += n;
    }
    return st;
}

static rn_status start_bytes(const rn_bpe *b, rn_bpe_work *w, const unsigned char *text,
                             size_t length, rn_error *err)
{
    rn_status st = rn_id_list_reserve(&w->symbols, length, err);
    bool after_unk = false;
    for (size_t i = 0; !st && i < length; i++) {
        int32_t id = b->byte_chars[text[i]];
        if (id >= 0) {
            st = rn_id_list_put(&w->symbols, &id, 1, err);
            after_unk = false;
            continue;
        }
        unsigned char c[4];
        st = put_unknown(b, w, c, rn_utf8_put(c, rn_byte_char(text[i])), &after_unk, err);
    }
    return st;
}

static int32_t find_model(const rn_bpe *b, const unsigned char *text, size_t length)
{
    int32_t id = rn_vocab_find(&b->vocab, text, length);
    return id >= 0 && b->vocab.entries[id].added ? -1 : id;
}

/* The id of a whole word, or -1. */
static rn_status find_whole(const rn_bpe *b, rn_bpe_work *w, const unsigned char *text,
                            size_t length, int32_t *id, rn_error *err)
{
    if (!b->byte_level) {
        *id = find_model(b, text, length);
        return RN_OK;
    }
    w->mapped.used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c[4];
        size_t n = rn_utf8_put(c, rn_byte_char(text[i]));
        rn_status st = rn_bytes_put(&w->mapped, c, n, err);
        if (st) return st;
    }
    *id = find_model(b, w->mapped.data, w->mapped.used);
    return RN_OK;
}

static rn_status encode_anew(const rn_bpe *b, rn_bpe_work *w, const unsigned char *text,
                             size_t length, rn_id_list *out, rn_error *err)
{
    rn_status st = RN_OK;
    int32_t id = -1;
    if (b->ignore_merges) st = find_whole(b, w, text, length, &id, err);
    if (st) return st;
    if (id >= 0) return rn_id_list_put(out, &id, 1, err);
    w->symbols.count = 0;
    st = b->byte_level ? start_bytes(b, w, text, length, err)
                       : start_chars(b, w, text, length, err);
    if (!st)
        st = rn_bpe_merge(&b->merges, &w->room, w->symbols.ids, &w->symbols.count, err);
    return st ? st : rn_id_list_put(out, w->symbols.ids, w->symbols.count, err);
}

/* The word's place in the memory, or the free place where it belongs; NULL while there
   are no places. */
static word *find_word(const rn_bpe_work *w, const unsigned char *text, size_t length,
                       uint64_t hash)
{
    const size_t mask = w->word_slots - 1;
    if (!w->word_slots) return NULL;
    for (size_t s = (size_t)hash & mask;; s = (s + 1) & mask) {
        word *at = &w->words[s];
        if (!at->used) return at;
        if (at->hash == hash && at->length == length &&
            !memcmp(w->keys.data + at->at, text, length))
            return at;
    }
}

/* Twice the places, or after CACHE_WORDS words none of them in use. */
static rn_status make_places(rn_bpe_work *w, rn_error *err)
{
    if (w->word_count >= CACHE_WORDS) {
        memset(w->words, 0, w->word_slots * sizeof *w->words);
        w->word_count = w->keys.used = w->ids.count = 0;
        return RN_OK;
    }
    const size_t slots = w->word_slots ? 2 * w->word_slots : 256;
    word *words = calloc(slots, sizeof *words);
    if (!words) return rn_fail_memory(err, "words", slots * sizeof *words);
    for (size_t i = 0; i < w->word_slots; i++) {
        if (!w->words[i].used) continue;
        size_t s = (size_t)w->words[i].hash & (slots - 1);
        while (words[s].used) s = (s + 1) & (slots - 1);
        words[s] = w->words[i];
    }
    free(w->words);
    w->words = words;
    w->word_slots = slots;
    return RN_OK;
}

static rn_status remember(rn_bpe_work *w, const unsigned char *text, size_t length,
                          uint64_t hash, const int32_t *ids, size_t count, rn_error *err)
{
    if (w->word_count >= CACHE_WORDS || 2 * w->word_count >= w->word_slots) {
        rn_status st = make_places(w, err);
        if (st) return st;
    }
    word made = {.hash = hash,
                 .at = (uint32_t)w->keys.used,
                 .ids_at = (uint32_t)w->ids.count,
                 .length = (uint16_t)length,
                 .count = (uint16_t)count,
                 .used = true};
    rn_status st = rn_bytes_put(&w->keys, text, length, err);
    if (!st) st = rn_id_list_put(&w->ids, ids, count, err);
    if (st) return st;
    *find_word(w, text, length, hash) = made;
    w->word_count++;
    return RN_OK;
}

/* A stretch that merges by itself. */
static rn_status encode_part(const rn_bpe *b, rn_bpe_work *w, const unsigned char *text,
                             size_t length, rn_id_list *out, rn_error *err)
{
    if (length > CACHE_BYTES) return encode_anew(b, w, text, length, out, err);
    const uint64_t hash = rn_hash(text, length);
    const word *known = find_word(w, text, length, hash);
    if (known && known->used)
        return rn_id_list_put(out, w->ids.ids + known->ids_at, known->count, err);
    const size_t before = out->count;
    rn_status st = encode_anew(b, w, text, length, out, err);
    if (st || out->count == before) return st;
    return remember(w, text, length, hash, out->ids + before, out->count - before, err);
}

/* Whether what is left and right of a border between two characters merges by itself. */
static bool can_cut(const rn_bpe *b, uint32_t left, uint32_t right)
{
    if (rn_vocab_char(&b->vocab, left) < 0 || rn_vocab_char(&b->vocab, right) < 0)
        return b->cut_unknown;
    size_t bit = pair_bit(left, right);
    return !(b->pairs[bit / 64] >> bit % 64 & 1);
}

rn_status rn_bpe_encode(const rn_bpe *b, rn_bpe_work *w, const unsigned char *text,
                        size_t length, rn_id_list *out, rn_error *err)
{
    if (!b->pairs) return encode_part(b, w, text, length, out, err);
    rn_status st = RN_OK;
    uint32_t before = 0, c;
    size_t begin = 0;
    for (size_t at = 0, n; !st && at < length; at += n, before = c) {
        n = rn_utf8_next(text + at, length - at, &c);
        if (at == begin || !can_cut(b, before, c)) continue;
        st = encode_part(b, w, text + begin, at - begin, out, err);
        begin = at;
    }
    if (st || begin == length) return st;
    return encode_part(b, w, text + begin, length - begin, out, err);
}

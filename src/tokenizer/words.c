/* Open addressing with linear probing over indices; at most half of the slots are used.
 */
#include "tokenizer/words.h"

#include "core/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1024 };

#define MAX_WORDS ((size_t)1 << 31)

/* Eight bytes at a time, multiplied by an odd number and folded. */
static uint64_t hash_of(const unsigned char *bytes, size_t length)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ length;
    while (length > 0) {
        uint64_t part = 0;
        size_t n = length < 8 ? length : 8;
        memcpy(&part, bytes, n);
        hash = (hash ^ part) * 0xd6e8feb86659fd93u;
        hash ^= hash >> 32;
        bytes += n;
        length -= n;
    }
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ hash >> 29;
}

static void place(rn_words *w, size_t index)
{
    size_t mask = w->slot_count - 1, slot = w->words[index].hash & mask;
    while (w->slots[slot]) slot = (slot + 1) & mask;
    w->slots[slot] = (uint32_t)index + 1;
}

static rn_status grow_slots(rn_words *w, rn_error *err)
{
    size_t count = w->slot_count ? 2 * w->slot_count : FIRST_SLOTS;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (!slots) return rn_fail_memory(err, "distinct words", count * sizeof *slots);
    free(w->slots);
    w->slots = slots;
    w->slot_count = count;
    for (size_t i = 0; i < w->count; i++) place(w, i);
    return RN_OK;
}

static rn_status grow_words(rn_words *w, rn_error *err)
{
    size_t room = w->room ? 2 * w->room : FIRST_SLOTS / 2, bytes;
    if (!rn_mul_size(&bytes, room, sizeof *w->words) || w->count >= MAX_WORDS)
        return rn_fail_memory(err, "distinct words", w->count * sizeof *w->words);
    rn_word *words = realloc(w->words, bytes);
    if (!words) return rn_fail_memory(err, "distinct words", bytes);
    w->words = words;
    w->room = room;
    return RN_OK;
}

static rn_status grow_bytes(rn_words *w, size_t length, rn_error *err)
{
    size_t room = w->bytes_room ? w->bytes_room : 4096, need;
    if (!rn_add_size(&need, w->used, length) || need > SIZE_MAX / 4)
        return rn_fail_memory(err, "distinct words", length);
    while (room < need) room *= 2;
    unsigned char *bytes = realloc(w->bytes, room);
    if (!bytes) return rn_fail_memory(err, "distinct words", room);
    w->bytes = bytes;
    w->bytes_room = room;
    return RN_OK;
}

/* Room for one more word of this length. */
static rn_status reserve(rn_words *w, size_t length, rn_error *err)
{
    rn_status st = RN_OK;
    if (w->count == w->room) st = grow_words(w, err);
    if (!st && 2 * (w->count + 1) > w->slot_count) st = grow_slots(w, err);
    if (!st && length > w->bytes_room - w->used) st = grow_bytes(w, length, err);
    return st;
}

static size_t find(const rn_words *w, uint64_t hash, const void *bytes, size_t length)
{
    if (!w->slot_count) return RN_WORD_NONE;
    size_t mask = w->slot_count - 1;
    for (size_t slot = hash & mask; w->slots[slot]; slot = (slot + 1) & mask) {
        const rn_word *word = &w->words[w->slots[slot] - 1];
        bool same = word->hash == hash && word->length == length;
        if (same && (!length || !memcmp(w->bytes + word->at, bytes, length)))
            return w->slots[slot] - 1;
    }
    return RN_WORD_NONE;
}

size_t rn_words_find(const rn_words *w, const void *bytes, size_t length)
{
    return find(w, hash_of(bytes, length), bytes, length);
}

static rn_status add(rn_words *w, uint64_t hash, const void *bytes, size_t length,
                     uint64_t count, size_t *index, rn_error *err)
{
    size_t at = find(w, hash, bytes, length);
    if (at == RN_WORD_NONE) {
        rn_status st = reserve(w, length, err);
        if (st) return st;
        at = w->count++;
        w->words[at] = (rn_word){.hash = hash, .at = w->used, .length = (uint32_t)length};
        if (length) memcpy(w->bytes + w->used, bytes, length);
        w->used += length;
        place(w, at);
    }
    w->words[at].count += count;
    if (index) *index = at;
    return RN_OK;
}

rn_status rn_words_add(rn_words *w, const void *bytes, size_t length, uint64_t count,
                       size_t *index, rn_error *err)
{
    return add(w, hash_of(bytes, length), bytes, length, count, index, err);
}

rn_status rn_words_merge(rn_words *w, const rn_words *from, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < from->count; i++) {
        const rn_word *word = &from->words[i];
        st = add(w, word->hash, from->bytes + word->at, word->length, word->count, NULL,
                 err);
    }
    return st;
}

rn_status rn_words_prune(rn_words *w, uint64_t least, rn_error *err)
{
    rn_words kept = {0};
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < w->count; i++) {
        const rn_word *word = &w->words[i];
        if (word->count <= least) continue;
        st = add(&kept, word->hash, w->bytes + word->at, word->length, word->count, NULL,
                 err);
    }
    rn_words_free(st ? &kept : w);
    if (!st) *w = kept;
    return st;
}

void rn_words_clear(rn_words *w)
{
    if (w->slots) memset(w->slots, 0, w->slot_count * sizeof *w->slots);
    w->count = w->used = 0;
}

void rn_words_free(rn_words *w)
{
    free(w->words);
    free(w->bytes);
    free(w->slots);
    *w = (rn_words){0};
}

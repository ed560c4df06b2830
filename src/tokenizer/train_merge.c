/*
 * The loop of byte-pair encoding. Every pair of adjacent symbols knows its count and the
 * words that it came in; a merge visits only those words, and adds to and takes from the
 * counts of the neighbours. A heap finds the pair to be merged next: higher count, then
 * lower left id, then lower right id. Its entries may be out of date, which shows when
 * they come up: counts only grow together with a new entry.
 *
 * Two merges never spell the same token: what lies between two borders of symbols merges
 * as if it stood alone, so it always comes to the same last two symbols. A pair that
 * spells a token which text cannot contain is never merged.
 */
#include "tokenizer/train_merge.h"

#include "core/arena.h"

#include <stdlib.h>
#include <string.h>

#define OFTEN    64 /* merges between two calls of progress */
#define NO_INDEX SIZE_MAX

typedef struct pair {
    uint64_t count;
    uint32_t left, right;
    uint32_t *words; /* where it came; a word may be there that has it no more */
    uint32_t used, room;
    bool touched, barred;
} pair;

typedef struct entry {
    uint64_t count;
    uint32_t left, right, index;
} entry;

typedef struct indices {
    uint32_t *list;
    size_t used, room;
} indices;

typedef struct merger {
    rn_train_model *m;
    const rn_words *words;
    uint32_t *ids;
    const size_t *begin;
    uint32_t *length; /* present symbols of each word */
    pair *pairs;
    size_t count, room;
    uint32_t *slots; /* index of a pair + 1, or 0 */
    size_t slot_count;
    entry *heap;
    size_t heap_used, heap_room;
    indices touched; /* pairs whose counts grew */
    rn_error *err;
} merger;

/* ---- growing lists ---- */

static rn_status grow(merger *g, void **list, size_t *room, size_t size)
{
    size_t more = *room ? 2 * *room : 256, bytes;
    if (!rn_mul_size(&bytes, more, size))
        return rn_fail_memory(g->err, "pairs of symbols", *room);
    void *grown = realloc(*list, bytes);
    if (!grown) return rn_fail_memory(g->err, "pairs of symbols", bytes);
    *list = grown;
    *room = more;
    return RN_OK;
}

static rn_status push(merger *g, indices *to, uint32_t index)
{
    if (to->used == to->room) {
        void *list = to->list;
        rn_status st = grow(g, &list, &to->room, sizeof *to->list);
        if (st) return st;
        to->list = list;
    }
    to->list[to->used++] = index;
    return RN_OK;
}

static rn_status push_word(merger *g, pair *p, uint32_t word)
{
    if (p->used && p->words[p->used - 1] == word) return RN_OK;
    if (p->used == p->room) {
        uint32_t room = p->room ? 2 * p->room : 4;
        uint32_t *words = realloc(p->words, (size_t)room * sizeof *words);
        if (!words || room < p->room) {
            if (words) p->words = words;
            return rn_fail_memory(g->err, "words of a pair", (size_t)room * 4);
        }
        p->words = words;
        p->room = room;
    }
    p->words[p->used++] = word;
    return RN_OK;
}

/* ---- the table of pairs ---- */

static size_t slot_of(const merger *g, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << 32 | right;
    key *= 0x9e3779b97f4a7c15u;
    size_t mask = g->slot_count - 1, slot = (size_t)(key ^ key >> 32) & mask;
    for (; g->slots[slot]; slot = (slot + 1) & mask) {
        const pair *p = &g->pairs[g->slots[slot] - 1];
        if (p->left == left && p->right == right) break;
    }
    return slot;
}

static rn_status grow_slots(merger *g)
{
    size_t count = g->slot_count ? 2 * g->slot_count : 4096;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (!slots) return rn_fail_memory(g->err, "pairs of symbols", count * sizeof *slots);
    free(g->slots);
    g->slots = slots;
    g->slot_count = count;
    for (size_t i = 0; i < g->count; i++)
        slots[slot_of(g, g->pairs[i].left, g->pairs[i].right)] = (uint32_t)i + 1;
    return RN_OK;
}

/* Takes up a new pair. */
static rn_status add_pair(merger *g, uint32_t left, uint32_t right, size_t *index)
{
    rn_status st = RN_OK;
    void *pairs = g->pairs;
    if (g->count >= UINT32_MAX - 1)
        return rn_fail_memory(g->err, "pairs of symbols", g->count);
    if (g->count == g->room) st = grow(g, &pairs, &g->room, sizeof *g->pairs);
    g->pairs = pairs;
    if (!st && 2 * (g->count + 1) > g->slot_count) st = grow_slots(g);
    if (st) return st;
    *index = g->count++;
    g->pairs[*index] = (pair){.left = left, .right = right};
    g->slots[slot_of(g, left, right)] = (uint32_t)*index + 1;
    return RN_OK;
}

static rn_status increase(merger *g, uint32_t left, uint32_t right, uint32_t word)
{
    if (left == RN_TRAIN_NONE || right == RN_TRAIN_NONE) return RN_OK;
    size_t found = g->slot_count ? g->slots[slot_of(g, left, right)] : 0, index = 0;
    rn_status st = RN_OK;
    if (found) index = found - 1;
    else st = add_pair(g, left, right, &index);
    if (st) return st;
    pair *p = &g->pairs[index];
    p->count += g->words->words[word].count;
    st = push_word(g, p, word);
    if (st || p->touched) return st;
    p->touched = true;
    return push(g, &g->touched, (uint32_t)index);
}

static void decrease(merger *g, uint32_t left, uint32_t right, uint32_t word)
{
    if (left == RN_TRAIN_NONE || right == RN_TRAIN_NONE) return;
    uint32_t found = g->slots[slot_of(g, left, right)];
    if (found) g->pairs[found - 1].count -= g->words->words[word].count;
}

/* ---- the heap ---- */

static bool comes_before(const entry *a, const entry *b)
{
    if (a->count != b->count) return a->count > b->count;
    if (a->left != b->left) return a->left < b->left;
    return a->right < b->right;
}

static rn_status heap_push(merger *g, size_t index)
{
    const pair *p = &g->pairs[index];
    entry e = {p->count, p->left, p->right, (uint32_t)index};
    if (g->heap_used == g->heap_room) {
        void *heap = g->heap;
        rn_status st = grow(g, &heap, &g->heap_room, sizeof *g->heap);
        if (st) return st;
        g->heap = heap;
    }
    size_t at = g->heap_used++;
    for (; at > 0 && comes_before(&e, &g->heap[(at - 1) / 2]); at = (at - 1) / 2)
        g->heap[at] = g->heap[(at - 1) / 2];
    g->heap[at] = e;
    return RN_OK;
}

static entry heap_pop(merger *g)
{
    entry top = g->heap[0], last = g->heap[--g->heap_used];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < g->heap_used) {
        if (child + 1 < g->heap_used &&
            comes_before(&g->heap[child + 1], &g->heap[child]))
            child++;
        if (!comes_before(&g->heap[child], &last)) break;
        g->heap[at] = g->heap[child];
        at = child;
    }
    g->heap[at] = last;
    return top;
}

/* ---- merging ---- */

/* Where the pair at `at` of a word becomes `made`: the counts of what stands around it.
   `out` symbols of the word are rewritten already. */
static rn_status recount(merger *g, const uint32_t *s, size_t length, size_t at,
                         size_t out, uint32_t made, uint32_t word)
{
    rn_status st = RN_OK;
    if (out > 0) {
        decrease(g, s[out - 1], s[at], word);
        st = increase(g, s[out - 1], made, word);
    }
    if (!st && at + 2 < length) {
        decrease(g, s[at + 1], s[at + 2], word);
        st = increase(g, made, s[at + 2], word);
    }
    return st;
}

static rn_status merge_word(merger *g, uint32_t word, uint32_t left, uint32_t right,
                            uint32_t made)
{
    uint32_t *s = g->ids + g->begin[word];
    size_t length = g->length[word], out = 0;
    rn_status st = RN_OK;
    for (size_t at = 0; !st && at < length; out++) {
        bool here = at + 1 < length && s[at] == left && s[at + 1] == right;
        if (here) st = recount(g, s, length, at, out, made, word);
        s[out] = here ? made : s[at];
        at += here ? 2 : 1;
    }
    g->length[word] = (uint32_t)out;
    return st;
}

/* What grew goes on the heap. */
static rn_status settle(merger *g)
{
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < g->touched.used; i++) {
        pair *p = &g->pairs[g->touched.list[i]];
        p->touched = false;
        if (!p->barred && p->count) st = heap_push(g, g->touched.list[i]);
    }
    g->touched.used = 0;
    return st;
}

static rn_status merge_pair(merger *g, size_t index, uint32_t made)
{
    pair *p = &g->pairs[index];
    const uint32_t left = p->left, right = p->right, used = p->used;
    uint32_t *words = p->words;
    rn_status st = RN_OK;
    p->words = NULL;
    p->used = p->room = 0;
    for (uint32_t i = 0; !st && i < used; i++)
        st = merge_word(g, words[i], left, right, made);
    g->pairs[index].count = 0;
    free(words);
    return st ? st : settle(g);
}

/* The token that the pair spells, which is new; RN_TRAIN_NONE where it cannot be. */
static rn_status spell_pair(merger *g, const pair *p, uint32_t *made)
{
    rn_words *tokens = &g->m->tokens;
    const rn_word *a = &tokens->words[p->left], *b = &tokens->words[p->right];
    unsigned char text[RN_TRAIN_TOKEN_BYTES];
    size_t length = (size_t)a->length + b->length, index;
    *made = RN_TRAIN_NONE;
    if (length > sizeof text) return RN_OK;
    memcpy(text, tokens->bytes + a->at, a->length);
    memcpy(text + a->length, tokens->bytes + b->at, b->length);
    if (rn_words_find(tokens, text, length) != RN_WORD_NONE) return RN_OK;
    rn_status st = rn_words_add(tokens, text, length, 1, &index, g->err);
    if (!st) *made = (uint32_t)index;
    return st;
}

static rn_status add_rule(merger *g, const pair *p)
{
    rn_train_model *m = g->m;
    if (m->rule_count == m->rule_room) {
        void *rules = m->rules;
        rn_status st = grow(g, &rules, &m->rule_room, sizeof *m->rules);
        if (st) return st;
        m->rules = rules;
    }
    m->rules[m->rule_count++] = (rn_train_rule){p->left, p->right};
    return RN_OK;
}

/* The pair to be merged next, or NO_INDEX when none is left. */
static rn_status next_pair(merger *g, size_t *index)
{
    rn_status st = RN_OK;
    *index = NO_INDEX;
    while (!st && g->heap_used > 0) {
        entry e = heap_pop(g);
        const pair *p = &g->pairs[e.index];
        if (p->barred || !p->count) continue;
        if (p->count == e.count) {
            *index = e.index;
            return RN_OK;
        }
        if (p->count < e.count) st = heap_push(g, e.index);
    }
    return st;
}

static rn_status merge_best(merger *g, size_t index)
{
    pair *p = &g->pairs[index];
    uint32_t made;
    rn_status st = spell_pair(g, p, &made);
    if (!st && made == RN_TRAIN_NONE) p->barred = true;
    if (st || made == RN_TRAIN_NONE) return st;
    st = add_rule(g, p);
    return st ? st : merge_pair(g, index, made);
}

static bool is_stopped(const rn_tokenizer_training *how, size_t merges, size_t tokens)
{
    if (!how->progress || merges % OFTEN) return false;
    return how->progress(how->user, RN_STAGE_MERGE, tokens, how->vocab);
}

static rn_status merge_all(merger *g, const rn_tokenizer_training *how)
{
    rn_status st = RN_OK;
    for (size_t n = 0; !st && g->m->tokens.count < how->vocab; n++) {
        size_t index;
        if (is_stopped(how, n, g->m->tokens.count))
            return rn_fail(g->err, RN_EINTERRUPTED, "stopped while merging");
        st = next_pair(g, &index);
        if (st || index == NO_INDEX) break;
        st = merge_best(g, index);
    }
    return st;
}

static rn_status first_pairs(merger *g)
{
    rn_status st = RN_OK;
    g->length = malloc((g->words->count + 1) * sizeof *g->length);
    if (!g->length) return rn_fail_memory(g->err, "lengths of words", g->words->count);
    for (size_t i = 0; !st && i < g->words->count; i++) {
        const uint32_t *s = g->ids + g->begin[i];
        size_t n = g->begin[i + 1] - g->begin[i];
        g->length[i] = (uint32_t)n;
        for (size_t j = 1; !st && j < n; j++)
            st = increase(g, s[j - 1], s[j], (uint32_t)i);
    }
    return st ? st : settle(g);
}

rn_status rn_train_merge(rn_train_model *m, rn_train_symbols *s, const rn_words *words,
                         const rn_tokenizer_training *how, uint64_t *tokens,
                         rn_error *err)
{
    merger g = {.m = m, .words = words, .ids = s->ids, .begin = s->begin, .err = err};
    rn_status st = first_pairs(&g);
    if (!st) st = merge_all(&g, how);
    *tokens = 0;
    for (size_t i = 0; !st && i < words->count; i++)
        *tokens += g.length[i] * words->words[i].count;
    for (size_t i = 0; i < g.count; i++) free(g.pairs[i].words);
    free(g.pairs);
    free(g.slots);
    free(g.heap);
    free(g.length);
    free(g.touched.list);
    return st;
}

/* Merging: short words by looking for the lowest rank each time, long ones with a heap
   over a linked list; see bpe_merge.h. */
#include "tokenizer/bpe_merge.h"

#include <stdlib.h>

#define SHORT ((size_t)24) /* symbols up to which looking is faster than a heap */
#define NONE  UINT32_MAX

void rn_merge_room_free(rn_merge_room *r)
{
    free(r->symbols);
    free(r->heap);
    *r = (rn_merge_room){.symbols = NULL};
}

static uint32_t rank_of(const rn_merges *m, int32_t left, int32_t right, int32_t *result)
{
    const rn_merge *found = rn_merges_find(m, left, right);
    if (!found) return RN_NO_RANK;
    *result = found->result;
    return found->rank;
}

static size_t merge_short(const rn_merges *m, int32_t *ids, size_t n)
{
    uint32_t rank[SHORT];
    int32_t result[SHORT];
    for (size_t i = 0; i + 1 < n; i++)
        rank[i] = rank_of(m, ids[i], ids[i + 1], &result[i]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == RN_NO_RANK) break;
        ids[best] = result[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            rank[i - 1] = rank[i];
            result[i - 1] = result[i];
        }
        if (best > 0)
            rank[best - 1] = rank_of(m, ids[best - 1], ids[best], &result[best - 1]);
        if (best + 1 < n)
            rank[best] = rank_of(m, ids[best], ids[best + 1], &result[best]);
    }
    return n;
}

static void sift_down(uint64_t *heap, size_t count, size_t at)
{
    uint64_t value = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (value <= heap[child]) break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

static void push(uint64_t *heap, size_t *count, uint64_t value)
{
    size_t at = (*count)++;
    for (; at > 0 && value < heap[(at - 1) / 2]; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = value;
}

/* Ranks the symbol's merge with the next one and puts it on the heap. */
static void offer(const rn_merges *m, rn_merge_room *r, uint32_t at, size_t *heap_count)
{
    rn_symbol *s = &r->symbols[at];
    int32_t result;
    s->rank = s->after == NONE ? RN_NO_RANK
                               : rank_of(m, s->id, r->symbols[s->after].id, &result);
    if (s->rank != RN_NO_RANK) push(r->heap, heap_count, (uint64_t)s->rank << 32 | at);
}

static void join(const rn_merges *m, rn_merge_room *r, uint32_t at, size_t *heap_count)
{
    rn_symbol *s = &r->symbols[at], *gone = &r->symbols[s->after];
    s->id = rn_merges_find(m, s->id, gone->id)->result;
    gone->rank = RN_NO_RANK;
    s->after = gone->after;
    if (s->after != NONE) r->symbols[s->after].before = at;
    offer(m, r, at, heap_count);
    if (s->before != NONE) offer(m, r, s->before, heap_count);
}

/* An entry of the heap whose symbol has another rank by now is out of date. */
static void merge_all(const rn_merges *m, rn_merge_room *r, size_t heap_count)
{
    while (heap_count > 0) {
        uint64_t top = r->heap[0];
        r->heap[0] = r->heap[--heap_count];
        if (heap_count) sift_down(r->heap, heap_count, 0);
        uint32_t at = (uint32_t)top;
        if (r->symbols[at].rank == (uint32_t)(top >> 32)) join(m, r, at, &heap_count);
    }
}

static rn_status make_room(rn_merge_room *r, size_t n, rn_error *err)
{
    void *symbols = r->symbols, *heap = r->heap;
    if (n > UINT32_MAX / 4)
        return rn_fail(err, RN_EUNSUPPORTED, "a word of %zu symbols is too long", n);
    rn_status st =
        rn_list_grow(&symbols, &r->symbol_room, n, sizeof *r->symbols, "a word", err);
    r->symbols = symbols;
    /* At most one entry a symbol at first; a merge takes one and puts two. */
    if (!st)
        st = rn_list_grow(&heap, &r->heap_room, 2 * n, sizeof *r->heap, "a word", err);
    r->heap = heap;
    return st;
}

rn_status rn_bpe_merge(const rn_merges *m, rn_merge_room *room, int32_t *ids,
                       size_t *count, rn_error *err)
{
    const size_t n = *count;
    if (n <= SHORT) {
        *count = merge_short(m, ids, n);
        return RN_OK;
    }
    rn_status st = make_room(room, n, err);
    if (st) return st;
    size_t heap_count = 0;
    for (size_t i = 0; i < n; i++)
        room->symbols[i] = (rn_symbol){.id = ids[i],
                                       .before = i ? (uint32_t)(i - 1) : NONE,
                                       .after = i + 1 < n ? (uint32_t)(i + 1) : NONE};
    for (size_t i = 0; i < n; i++) offer(m, room, (uint32_t)i, &heap_count);
    merge_all(m, room, heap_count);
    size_t left = 0;
    for (uint32_t at = 0; at != NONE; at = room->symbols[at].after)
        ids[left++] = room->symbols[at].id;
    *count = left;
    return RN_OK;
}

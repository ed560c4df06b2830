/* The merges of byte pair encoding: which neighbours become one token, and how early. */
#ifndef RN_TOKENIZER_MERGES_H
#define RN_TOKENIZER_MERGES_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

#define RN_NO_RANK UINT32_MAX

typedef struct rn_merge {
    int32_t left, right, result; /* left -1: a free slot */
    uint32_t rank;
} rn_merge;

typedef struct rn_merges {
    rn_merge *slots;
    size_t slot_count; /* a power of two, at least twice the merges */
} rn_merges;

rn_status rn_merges_make(rn_merges *out, size_t count, rn_error *err);
void rn_merges_free(rn_merges *m);

/* Of a pair that is there already the later rank counts. */
void rn_merges_add(rn_merges *m, int32_t left, int32_t right, int32_t result,
                   uint32_t rank);

static inline size_t rn_merges_slot(const rn_merges *m, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u;
    return (size_t)(key ^ key >> 32) & (m->slot_count - 1);
}

/* The merge of two neighbours, or NULL. */
static inline const rn_merge *rn_merges_find(const rn_merges *m, int32_t left,
                                             int32_t right)
{
    const size_t mask = m->slot_count - 1;
    for (size_t s = rn_merges_slot(m, left, right); m->slots[s].left >= 0;
         s = (s + 1) & mask)
        if (m->slots[s].left == left && m->slots[s].right == right) return &m->slots[s];
    return NULL;
}

#endif

/* Merging the symbols of a word; see bpe.h. */
#ifndef RN_TOKENIZER_BPE_MERGE_H
#define RN_TOKENIZER_BPE_MERGE_H

#include "tokenizer/lists.h"
#include "tokenizer/merges.h"

/* A symbol of a long word, in a list of those that are left. */
typedef struct rn_symbol {
    int32_t id;
    uint32_t before, after; /* RN_NO_RANK: none */
    uint32_t rank;          /* of the merge with the next one */
} rn_symbol;

/* Memory for long words. Zeroed at first. */
typedef struct rn_merge_room {
    rn_symbol *symbols;
    uint64_t *heap; /* rank above place: the smallest is next */
    size_t symbol_room, heap_room;
} rn_merge_room;

void rn_merge_room_free(rn_merge_room *r);

/* Merges ids in place and returns how many are left, in *count: n log n in the number of
   symbols. */
rn_status rn_bpe_merge(const rn_merges *m, rn_merge_room *room, int32_t *ids,
                       size_t *count, rn_error *err);

#endif

/* The table of merges: open addressing by the pair; see merges.h. */
#include "tokenizer/merges.h"

#include "core/arena.h"

#include <stdlib.h>

rn_status rn_merges_make(rn_merges *out, size_t count, rn_error *err)
{
    rn_merges m = {.slot_count = 64};
    size_t bytes;
    while (m.slot_count / 2 < count) m.slot_count *= 2;
    if (!rn_mul_size(&bytes, m.slot_count, sizeof *m.slots) || !(m.slots = malloc(bytes)))
        return rn_fail_memory(err, "merges", count);
    for (size_t i = 0; i < m.slot_count; i++) m.slots[i] = (rn_merge){.left = -1};
    *out = m;
    return RN_OK;
}

void rn_merges_free(rn_merges *m)
{
    free(m->slots);
    m->slots = NULL;
}

void rn_merges_add(rn_merges *m, int32_t left, int32_t right, int32_t result,
                   uint32_t rank)
{
    size_t s = rn_merges_slot(m, left, right);
    while (m->slots[s].left >= 0 &&
           (m->slots[s].left != left || m->slots[s].right != right))
        s = (s + 1) & (m->slot_count - 1);
    m->slots[s] = (rn_merge){left, right, result, rank};
}

/* The carver and the blocks it carves. */
#define _DEFAULT_SOURCE
#include "core/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *rn_carve(rn_carver *c, size_t count, size_t size)
{
    size_t bytes, end;
    if (!rn_mul_size(&bytes, count, size) || !rn_add_size(&bytes, bytes, RN_ALIGN - 1) ||
        !rn_add_size(&end, c->used, bytes & ~(RN_ALIGN - 1))) {
        c->overflow = true;
        return NULL;
    }
    void *place = c->base ? c->base + c->used : NULL;
    c->used = end;
    return place;
}

float *rn_carve_floats(rn_carver *c, size_t count)
{
    return rn_carve(c, count, sizeof(float));
}

rn_status rn_carve_total(const rn_carver *c, const char *what, size_t *bytes,
                         rn_error *err)
{
    if (c->overflow)
        return rn_fail(err, RN_ENOMEM, "the size of %s does not fit in memory", what);
    *bytes = c->used;
    return RN_OK;
}

static size_t alignment_of(size_t bytes)
{
    return bytes >= HUGE_PAGE ? HUGE_PAGE : RN_ALIGN;
}

size_t rn_block_size(size_t bytes)
{
    const size_t align = alignment_of(bytes);
    size_t end;
    return rn_add_size(&end, bytes, align - 1) ? end & ~(align - 1) : 0;
}

rn_status rn_block_alloc(void **out, size_t bytes, const char *what, rn_error *err)
{
    if (bytes == 0) {
        *out = NULL;
        return RN_OK;
    }
    const size_t align = alignment_of(bytes), rounded = rn_block_size(bytes);
    void *block = rounded ? aligned_alloc(align, rounded) : NULL;
    if (!block) return rn_fail_memory(err, what, bytes);
    if (align == HUGE_PAGE) madvise(block, rounded, MADV_HUGEPAGE); /* a hint: may fail */
    memset(block, 0, rounded);
    *out = block;
    return RN_OK;
}

/* Whole huge pages only: the system fills up partly used ones in its own time, and memory
   would seem to grow. A block that has one ends with one. */
void rn_block_release(void *block, size_t from, size_t bytes)
{
    if (!block || bytes < HUGE_PAGE) return;
    const size_t begin = (from + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const size_t end = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (begin < end) madvise((char *)block + begin, end - begin, MADV_DONTNEED);
}

void rn_block_free(void *block)
{
    free(block);
}

/*
 * One block of memory carved by one list. The list both measures and places, so that size
 * and layout cannot drift apart. Used for parameters, gradients, optimizer state,
 * activations, scratch and decode states alike.
 */
#ifndef RN_CORE_ARENA_H
#define RN_CORE_ARENA_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Alignment of blocks and of each slot: a cache line, and a 512-bit vector. */
#define RN_ALIGN ((size_t)64)

/* a * b and a + b with overflow reported: false and *out untouched on overflow. */
static inline bool rn_mul_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool rn_add_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

/* A growing measure of, or cursor into, one block. With base NULL it only measures. */
typedef struct rn_carver {
    char *base;
    size_t used;
    bool overflow;
} rn_carver;

/* The next count elements of size bytes each, aligned to RN_ALIGN; NULL while measuring.
   Overflow is remembered and reported by rn_carve_total. */
void *rn_carve(rn_carver *c, size_t count, size_t size);

/* Floats, the common case. */
float *rn_carve_floats(rn_carver *c, size_t count);

/* The bytes asked for so far; RN_ENOMEM naming `what` when the sum overflowed. */
rn_status rn_carve_total(const rn_carver *c, const char *what, size_t *bytes,
                         rn_error *err);

/* A zeroed block aligned to RN_ALIGN, freed by rn_block_free. Blocks of 2 MiB and more
   ask for huge pages. NULL for zero bytes is success. */
rn_status rn_block_alloc(void **out, size_t bytes, const char *what, rn_error *err);
void rn_block_free(void *block);

/* What a block of `bytes` takes: up to the end of its last line or huge page. 0 when that
   overflows. */
size_t rn_block_size(size_t bytes);

/* Gives the memory of a block of `bytes` behind its first `from` back to the system until
   it is written again, where there is much of it: contents become zeros or stay. */
void rn_block_release(void *block, size_t from, size_t bytes);

#endif

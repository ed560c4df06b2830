/*
 * Megatron's index (.idx) of a file of tokens (.bin), little-endian: "MMIDIDX\0\0", u64
 * version 1, u8 type, u64 sequences, u64 documents + 1, i32 tokens of each sequence, i64
 * its first byte, i64 first sequence of each document, the last one past the end.
 */
#ifndef RN_FORMATS_MEGATRON_H
#define RN_FORMATS_MEGATRON_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an index says of its tokens. */
typedef struct rn_megatron {
    uint64_t tokens;
    size_t width;     /* bytes of a token */
    bool negative;    /* of a signed type */
    uint64_t *starts; /* first tokens of the documents that have any, rising from 0; freed
                         with free() */
    size_t start_count;
} rn_megatron;

/* RN_EFORMAT for an index that is damaged or contradicts the `bin_size` bytes of its
   tokens, RN_EUNSUPPORTED for one of another version, of tokens that are no whole
   numbers, or whose sequences do not follow one another. `path` is the index's, for
   messages. */
rn_status rn_megatron_parse(rn_megatron *out, const unsigned char *bytes, size_t size,
                            uint64_t bin_size, const char *path, rn_error *err);

/* Writes the index of documents of lengths[0 .. count - 1] > 0 tokens, each of `width`
   bytes, 2 (u16) or 4 (i32). A document too long for an i32 becomes several sequences. */
rn_status rn_megatron_write(const char *path, const uint64_t *lengths, size_t count,
                            size_t width, rn_error *err);

#endif

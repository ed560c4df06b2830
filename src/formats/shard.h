/*
 * Token files: little-endian ids in nanoGPT's layout (u16, no header) and in llm.c's two
 * (256 i32 of header: magic, version, count; then u16 or u32 ids).
 */
#ifndef RN_FORMATS_SHARD_H
#define RN_FORMATS_SHARD_H

#include "core/file.h"

#include <stdint.h>

/* The ids inside a mapped file. */
typedef struct rn_shard {
    const unsigned char *ids;
    uint64_t count;
    size_t width; /* bytes of an id: 2 or 4 */
} rn_shard;

/* Whether a mapped file is a token file: by its header, or by a name that ends in .bin.
 */
bool rn_shard_is(const rn_map *map, const char *path);

/* RN_EFORMAT for one that is empty, cut off or contradicts its header, RN_EUNSUPPORTED
   for another version and for what is no token file. */
rn_status rn_shard_view(rn_shard *out, const rn_map *map, const char *path,
                        rn_error *err);

static inline uint32_t rn_shard_id(const rn_shard *s, uint64_t at)
{
    const unsigned char *p = s->ids + at * s->width;
    uint32_t id = (uint32_t)p[0] | (uint32_t)p[1] << 8;
    return s->width == 2 ? id : id | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Writes ids below `vocab`: u16 without a header when they fit (the name must end in
   .bin), else llm.c's u32 layout. Nothing appears at PATH before commit. */
typedef struct rn_shard_writer rn_shard_writer;
rn_status rn_shard_writer_open(rn_shard_writer **out, const char *path, size_t vocab,
                               rn_error *err);
/* The ids lie in 0..vocab-1. RN_EUNSUPPORTED beyond what the layout can count. */
rn_status rn_shard_writer_put(rn_shard_writer *w, const int32_t *ids, size_t count,
                              rn_error *err);
rn_status rn_shard_writer_commit(rn_shard_writer *w, rn_error *err); /* frees w */
void rn_shard_writer_abandon(rn_shard_writer *w);                    /* NULL is allowed */

#endif

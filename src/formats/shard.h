/*
 * Token files: little-endian ids in nanoGPT's layout (u16, no header), in llm.c's two
 * (256 i32 of header: magic, version, count; then u16 or u32 ids), and in Megatron's (ids
 * of any whole type without a header, with an index beside them: megatron.h).
 */
#ifndef RN_FORMATS_SHARD_H
#define RN_FORMATS_SHARD_H

#include "core/file.h"

#include <stdint.h>

/* An open token file, read by position. */
typedef struct rn_shard {
    char *path;
    int fd;
    uint64_t offset;  /* of the first id, in bytes */
    uint64_t count;   /* ids */
    size_t width;     /* bytes of an id: 1, 2, 4 or 8 */
    bool negative;    /* ids are signed numbers */
    bool gpt2;        /* llm.c's u16 layout, which is for GPT-2's vocabulary */
    uint64_t *starts; /* first tokens of its documents, strictly rising from 0, by an
                         index; NULL: it has none */
    size_t start_count;
} rn_shard;

/* Whether a file is a token file: by its header, or by a name that ends in .bin. */
bool rn_shard_is(const char *path);

/* The index beside a token file (".bin" becomes ".idx"), freed with free; NULL when
   memory is short or the name does not end in .bin. */
char *rn_shard_index_path(const char *path);

/* RN_EFORMAT for one that is empty, cut off or contradicts its header or index,
   RN_EUNSUPPORTED for another version and for what is no token file. */
rn_status rn_shard_open(rn_shard *out, const char *path, rn_error *err);
void rn_shard_close(rn_shard *s);

/* Where the ids of a file of `size` bytes lie that begins with head[0 .. have - 1] and
   has no index: offset, count, width and gpt2 of *out. `have` is RN_SHARD_HEADER, or the
   size when that is less. */
#define RN_SHARD_HEADER ((size_t)1024)
rn_status rn_shard_layout(rn_shard *out, const unsigned char *head, size_t have,
                          uint64_t size, const char *path, rn_error *err);

/* Ids [at, at + count), which lie inside. */
rn_status rn_shard_read(const rn_shard *s, uint64_t at, size_t count, int64_t *ids,
                        rn_error *err);

/* Writes ids below `vocab`: u16 without a header when they fit (the name must end in
   .bin), else llm.c's u32 layout. Nothing appears at PATH before commit. */
typedef struct rn_shard_writer rn_shard_writer;
rn_status rn_shard_writer_open(rn_shard_writer **out, const char *path, size_t vocab,
                               rn_error *err);
/* Megatron's .bin, to which an index belongs: ids of `width` bytes, 2 or 4, alone. */
rn_status rn_shard_writer_open_plain(rn_shard_writer **out, const char *path,
                                     size_t width, rn_error *err);
/* The ids lie in 0..vocab-1. RN_EUNSUPPORTED beyond what the layout can count. */
rn_status rn_shard_writer_put(rn_shard_writer *w, const int32_t *ids, size_t count,
                              rn_error *err);
rn_status rn_shard_writer_commit(rn_shard_writer *w, rn_error *err); /* frees w */
void rn_shard_writer_abandon(rn_shard_writer *w);                    /* NULL is allowed */

#endif

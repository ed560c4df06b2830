/* Inside the api room: what a token sequence is made of. */
#ifndef RN_API_TOKENS_H
#define RN_API_TOKENS_H

#include "formats/shard.h"
#include "retnet/data.h"

/* A stretch of one file. */
typedef struct rn_stretch {
    const rn_shard *shard;
    uint64_t from, count; /* of the file */
    uint64_t begin;       /* of the sequence */
    rn_document_rule rule;
    int32_t id;
} rn_stretch;

struct rn_tokens {
    char *path;       /* of the first file */
    rn_shard *shards; /* owned; NULL in a view */
    size_t shard_count;
    rn_stretch *stretches;
    size_t stretch_count;
    uint64_t count;
    bool bytewise;       /* each token is a byte of text */
    uint64_t text_bytes; /* 0: unknown */
};

/* Opens files as one sequence. */
rn_status rn_tokens_open_files(rn_tokens **out, char *const *paths, size_t count,
                               rn_error *err);

#endif

/* Token files that callers of the library write. */
#include "retnet/data.h"

#include "core/file.h"
#include "formats/shard.h"

#include <stdlib.h>

struct rn_tokens_writer {
    rn_shard_writer *shard;
};

/* A file with an index beside it is read by that index. */
static rn_status check_index(const char *path, rn_error *err)
{
    char *index = rn_shard_index_path(path);
    rn_status st = RN_OK;
    if (index && rn_path_exists(index))
        st = rn_fail(err, RN_EEXIST,
                     "%s: is in the way: it would be taken for the index of %s", index,
                     path);
    free(index);
    return st;
}

rn_status rn_tokens_create(rn_tokens_writer **out, const char *path, size_t vocab,
                           rn_error *err)
{
    rn_status st = check_index(path, err);
    if (st) return st;
    rn_tokens_writer *w = malloc(sizeof *w);
    if (!w) return rn_fail_memory(err, path, sizeof *w);
    st = rn_shard_writer_open(&w->shard, path, vocab, err);
    if (st) free(w);
    else *out = w;
    return st;
}

rn_status rn_tokens_append(rn_tokens_writer *w, const int32_t *ids, size_t count,
                           rn_error *err)
{
    return rn_shard_writer_put(w->shard, ids, count, err);
}

rn_status rn_tokens_close(rn_tokens_writer *w, bool keep, rn_error *err)
{
    rn_status st = RN_OK;
    if (!w) return RN_OK;
    if (keep) st = rn_shard_writer_commit(w->shard, err);
    else rn_shard_writer_abandon(w->shard);
    free(w);
    return st;
}

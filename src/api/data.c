/* Token sequences: a mapped token file or a part of one, and building such a file from
 * text. */
#define _POSIX_C_SOURCE 200809L
#include "retnet/data.h"

#include "core/file.h"
#include "formats/shard.h"
#include "formats/text.h"
#include "tokenizer/tokenizer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PIECE                                                                            \
    ((size_t)1 << 20)        /* bytes of text encoded at once where any cut will do      \
                              */
#define BLOCK ((size_t)4096) /* ids handled at once */

struct rn_tokens {
    char *path;
    rn_map map; /* empty in a slice */
    rn_shard shard;
    bool bytewise;       /* each token is a byte of text */
    uint64_t text_bytes; /* 0: unknown */
};

void rn_tokens_free(rn_tokens *t)
{
    if (!t) return;
    rn_map_close(&t->map);
    free(t->path);
    free(t);
}

/* NULL, and the error, when memory is short. */
static rn_tokens *new_tokens(const char *path, rn_error *err)
{
    rn_tokens *t = calloc(1, sizeof *t);
    if (t) t->path = strdup(path);
    if (t && t->path) return t;
    rn_tokens_free(t);
    rn_fail_memory(err, path, sizeof *t);
    return NULL;
}

rn_status rn_tokens_open(rn_tokens **out, const char *path, rn_error *err)
{
    rn_tokens *t = new_tokens(path, err);
    if (!t) return RN_ENOMEM;
    rn_status st = rn_map_open(&t->map, path, err);
    if (!st) st = rn_shard_view(&t->shard, &t->map, path, err);
    if (st) {
        rn_tokens_free(t);
        return st;
    }
    *out = t;
    return RN_OK;
}

rn_status rn_tokens_slice(rn_tokens **out, const rn_tokens *of, uint64_t begin,
                          uint64_t count, rn_error *err)
{
    if (begin > of->shard.count || count > of->shard.count - begin)
        return rn_fail(err, RN_EINVAL,
                       "%s: tokens %" PRIu64 " and %" PRIu64
                       " more asked for, it has %" PRIu64,
                       of->path, begin, count, of->shard.count);
    rn_tokens *t = new_tokens(of->path, err);
    if (!t) return RN_ENOMEM;
    t->shard = of->shard;
    t->shard.ids += begin * of->shard.width;
    t->shard.count = count;
    t->bytewise = of->bytewise;
    t->text_bytes = count == of->shard.count ? of->text_bytes : 0;
    *out = t;
    return RN_OK;
}

uint64_t rn_tokens_count(const rn_tokens *t)
{
    return t->shard.count;
}

void rn_tokens_read(const rn_tokens *t, uint64_t at, size_t count, int32_t *out)
{
    assert(at <= t->shard.count && count <= t->shard.count - at);
    for (size_t i = 0; i < count; i++) out[i] = (int32_t)rn_shard_id(&t->shard, at + i);
}

uint64_t rn_tokens_text_bytes(const rn_tokens *t)
{
    return t->bytewise ? t->shard.count : t->text_bytes;
}

/* RN_EFORMAT when an id is not below `vocab`. */
static rn_status check_shard(const rn_shard *s, const char *path, size_t vocab,
                             rn_error *err)
{
    for (uint64_t i = 0; i < s->count; i++)
        if (rn_shard_id(s, i) >= vocab)
            return rn_fail(err, RN_EFORMAT,
                           "%s: token %" PRIu64 " is %" PRIu32
                           ", the vocabulary has %zu ids",
                           path, i, rn_shard_id(s, i), vocab);
    return RN_OK;
}

rn_status rn_tokens_check(const rn_tokens *t, size_t vocab, rn_error *err)
{
    return check_shard(&t->shard, t->path, vocab, err);
}

/* FNV-1a of 64 bits with ids in place of bytes: each step is one-to-one, so a single
   changed token always shows. */
uint64_t rn_tokens_hash(const rn_tokens *t)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < t->shard.count; i++)
        hash = (hash ^ rn_shard_id(&t->shard, i)) * 0x100000001b3u;
    return hash ^ t->shard.count;
}

/* A token file under construction. */
typedef struct build {
    const rn_tokenizer *tokenizer;
    rn_shard_writer *writer;
    uint64_t tokens, text_bytes;
    bool all_text; /* no token file was appended */
} build;

static rn_status append_text(build *b, const rn_map *map, rn_error *err)
{
    size_t piece = b->tokenizer->kind->bytewise ? PIECE : map->size;
    rn_status st = RN_OK;
    for (size_t at = 0; !st && at < map->size; at += piece) {
        size_t length = map->size - at < piece ? map->size - at : piece, count;
        int32_t *ids;
        st = rn_tokenizer_encode(b->tokenizer, map->data + at, length, 0, &ids, &count,
                                 err);
        if (st) break;
        st = rn_shard_writer_put(b->writer, ids, count, err);
        free(ids);
        b->tokens += count;
    }
    b->text_bytes += map->size;
    return st;
}

static rn_status append_shard(build *b, const rn_map *map, const char *path,
                              rn_error *err)
{
    rn_shard s;
    rn_status st = rn_shard_view(&s, map, path, err);
    if (!st) st = check_shard(&s, path, rn_tokenizer_vocab(b->tokenizer), err);
    int32_t ids[BLOCK];
    for (uint64_t at = 0; !st && at < s.count; at += BLOCK) {
        size_t n = s.count - at < BLOCK ? (size_t)(s.count - at) : BLOCK;
        for (size_t i = 0; i < n; i++) ids[i] = (int32_t)rn_shard_id(&s, at + i);
        st = rn_shard_writer_put(b->writer, ids, n, err);
    }
    if (st) return st;
    b->tokens += s.count;
    b->all_text = false;
    return RN_OK;
}

static rn_status append_file(build *b, const char *path, rn_error *err)
{
    rn_map map;
    rn_status st = rn_map_open(&map, path, err);
    if (st) return st;
    st = rn_shard_is(&map, path) ? append_shard(b, &map, path, err)
                                 : append_text(b, &map, err);
    rn_map_close(&map);
    return st;
}

static rn_status write_tokens(build *b, const char *out_path, const rn_paths *files,
                              rn_error *err)
{
    rn_status st =
        rn_shard_writer_open(&b->writer, out_path, rn_tokenizer_vocab(b->tokenizer), err);
    if (st) return st;
    for (size_t i = 0; !st && i < files->count; i++)
        st = append_file(b, files->path[i], err);
    if (!st && b->tokens == 0)
        st = rn_fail(err, RN_EFORMAT, "%s: no text in it, nor in the %zu files after it",
                     files->path[0], files->count - 1);
    if (!st) return rn_shard_writer_commit(b->writer, err);
    rn_shard_writer_abandon(b->writer);
    return st;
}

rn_status rn_tokens_build(rn_tokens **out, const char *out_path, const char *const *paths,
                          size_t count, const char *leave_out, const rn_tokenizer *t,
                          rn_error *err)
{
    const char *const except[2] = {out_path, leave_out};
    build b = {.tokenizer = t, .all_text = true};
    rn_paths files;
    rn_tokens *made;
    rn_status st = rn_text_collect(&files, paths, count, except, err);
    if (st) return st;
    st = write_tokens(&b, out_path, &files, err);
    rn_paths_free(&files);
    if (!st) st = rn_tokens_open(&made, out_path, err);
    if (st) return st;
    made->bytewise = b.all_text && t->kind->bytewise;
    made->text_bytes = b.all_text ? b.text_bytes : 0;
    *out = made;
    return RN_OK;
}

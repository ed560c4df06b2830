/* Token sequences: stretches of token files, read by position, and where their documents
 * begin. */
#define _POSIX_C_SOURCE 200809L
#include "api/tokens.h"
#include "formats/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)4096) /* ids handled at once */

enum { GPT2_END = 50256 }; /* the id that llm.c puts before each document */

void rn_tokens_free(rn_tokens *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->shard_count; i++) rn_shard_close(&t->shards[i]);
    free(t->shards);
    free(t->stretches);
    free(t->path);
    free(t);
}

/* Room for `stretches`; NULL, and the error, when memory is short. */
static rn_tokens *new_tokens(const char *path, size_t stretches, rn_error *err)
{
    rn_tokens *t = calloc(1, sizeof *t);
    if (t) t->path = strdup(path);
    if (t) t->stretches = calloc(stretches + 1, sizeof *t->stretches);
    if (t && t->path && t->stretches) return t;
    rn_tokens_free(t);
    rn_fail_memory(err, path, stretches * sizeof *t->stretches);
    return NULL;
}

static void add_stretch(rn_tokens *t, rn_stretch s)
{
    s.begin = t->count;
    t->count += s.count;
    t->stretches[t->stretch_count++] = s;
}

static void follow_file(rn_stretch *s)
{
    s->rule = s->shard->gpt2 ? RN_DOCUMENTS_BEGIN : RN_DOCUMENTS_FILE;
    s->id = GPT2_END;
}

rn_status rn_tokens_open_files(rn_tokens **out, char *const *paths, size_t count,
                               rn_error *err)
{
    rn_tokens *t = new_tokens(paths[0], count, err);
    if (!t) return RN_ENOMEM;
    rn_status st = RN_OK;
    t->shards = calloc(count, sizeof *t->shards);
    if (!t->shards) st = rn_fail_memory(err, paths[0], count * sizeof *t->shards);
    for (size_t i = 0; !st && i < count; i++) {
        st = rn_shard_open(&t->shards[i], paths[i], err);
        if (st) break;
        t->shard_count++;
        rn_stretch s = {.shard = &t->shards[i], .count = t->shards[i].count};
        follow_file(&s);
        if (t->count > UINT64_MAX - s.count)
            st = rn_fail(err, RN_EFORMAT, "%s: too many tokens in all", paths[i]);
        else add_stretch(t, s);
    }
    if (st) rn_tokens_free(t);
    else *out = t;
    return st;
}

/* An index stands for the file beside it. */
static char *file_of_index(const char *path, rn_error *err)
{
    char *name = strdup(path);
    if (!name) rn_fail_memory(err, path, strlen(path));
    else if (rn_text_is_index(path)) memcpy(name + strlen(name) - 4, ".bin", 4);
    return name;
}

rn_status rn_tokens_open(rn_tokens **out, const char *path, rn_error *err)
{
    char *name = file_of_index(path, err);
    if (!name) return RN_ENOMEM;
    rn_status st = rn_tokens_open_files(out, &name, 1, err);
    free(name);
    return st;
}

rn_status rn_tokens_open_all(rn_tokens **out, const char *const *paths, size_t count,
                             const char *leave_out, rn_error *err)
{
    const char *const except[2] = {leave_out, NULL};
    rn_paths files;
    rn_status st = rn_text_collect(&files, paths, count, except, err);
    if (st) return st;
    st = rn_tokens_open_files(out, files.path, files.count, err);
    rn_paths_free(&files);
    return st;
}

bool rn_tokens_is(const char *path, const char *leave_out)
{
    const char *const except[2] = {leave_out, NULL};
    rn_paths files;
    bool all = !rn_text_collect(&files, &path, 1, except, NULL);
    if (!all) return false;
    for (size_t i = 0; all && i < files.count; i++) all = rn_shard_is(files.path[i]);
    rn_paths_free(&files);
    return all;
}

/* ---- views ---- */

/* Appends what of tokens [begin, begin + count) of `of` there is. */
static void add_view(rn_tokens *t, const rn_tokens *of, uint64_t begin, uint64_t count)
{
    for (size_t i = 0; i < of->stretch_count; i++) {
        rn_stretch s = of->stretches[i];
        uint64_t from = begin > s.begin ? begin - s.begin : 0;
        uint64_t end =
            begin + count - (begin + count > s.begin ? s.begin : begin + count);
        if (end > s.count) end = s.count;
        if (from >= end) continue;
        s.from += from;
        s.count = end - from;
        add_stretch(t, s);
    }
}

rn_status rn_tokens_slice(rn_tokens **out, const rn_tokens *of, uint64_t begin,
                          uint64_t count, rn_error *err)
{
    if (begin > of->count || count > of->count - begin)
        return rn_fail(err, RN_EINVAL,
                       "%s: tokens %" PRIu64 " and %" PRIu64
                       " more asked for, it has %" PRIu64,
                       of->path, begin, count, of->count);
    rn_tokens *t = new_tokens(of->path, of->stretch_count, err);
    if (!t) return RN_ENOMEM;
    add_view(t, of, begin, count);
    t->bytewise = of->bytewise;
    t->text_bytes = count == of->count ? of->text_bytes : 0;
    *out = t;
    return RN_OK;
}

rn_status rn_tokens_join(rn_tokens **out, const rn_tokens *const *list, size_t count,
                         rn_error *err)
{
    size_t stretches = 0;
    if (count == 0) return rn_fail(err, RN_EINVAL, "data: no sequences to be joined");
    for (size_t i = 0; i < count; i++) stretches += list[i]->stretch_count;
    rn_tokens *t = new_tokens(list[0]->path, stretches, err);
    if (!t) return RN_ENOMEM;
    t->bytewise = true;
    bool known = true;
    for (size_t i = 0; i < count; i++) {
        add_view(t, list[i], 0, list[i]->count);
        t->bytewise = t->bytewise && list[i]->bytewise;
        t->text_bytes += rn_tokens_text_bytes(list[i]);
        known = known && rn_tokens_text_bytes(list[i]);
    }
    if (!known) t->text_bytes = 0;
    *out = t;
    return RN_OK;
}

/* ---- reading ---- */

uint64_t rn_tokens_count(const rn_tokens *t)
{
    return t->count;
}

uint64_t rn_tokens_text_bytes(const rn_tokens *t)
{
    return t->bytewise ? t->count : t->text_bytes;
}

/* The stretch that holds token `at`, which is inside. */
static size_t find_stretch(const rn_tokens *t, uint64_t at)
{
    size_t low = 0, high = t->stretch_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (t->stretches[middle].begin <= at) low = middle;
        else high = middle;
    }
    return low;
}

static rn_status fail_id(const rn_stretch *s, uint64_t at, int64_t id, size_t vocab,
                         rn_error *err)
{
    return rn_fail(err, RN_EFORMAT,
                   "%s: token %" PRIu64 " is %" PRId64 ", the vocabulary has %zu ids",
                   s->shard->path, s->from + at, id, vocab);
}

/* Ids of a stretch, each below `vocab`. */
static rn_status read_block(const rn_stretch *s, uint64_t at, size_t count, size_t vocab,
                            int64_t *ids, rn_error *err)
{
    rn_status st = rn_shard_read(s->shard, s->from + at, count, ids, err);
    for (size_t i = 0; !st && i < count; i++)
        if ((uint64_t)ids[i] >= vocab) st = fail_id(s, at + i, ids[i], vocab, err);
    return st;
}

static rn_status read_stretch(const rn_stretch *s, uint64_t at, size_t count,
                              int32_t *out, rn_error *err)
{
    int64_t ids[BLOCK];
    for (size_t done = 0; done < count;) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        rn_status st = read_block(s, at + done, n, (size_t)INT32_MAX + 1, ids, err);
        if (st) return st;
        for (size_t i = 0; i < n; i++) out[done + i] = (int32_t)ids[i];
        done += n;
    }
    return RN_OK;
}

/* The first document of the file's index that begins at token `at` or after it. */
static size_t find_start(const rn_shard *s, uint64_t at)
{
    size_t low = 0, high = s->start_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->starts[middle] < at) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void mark(const rn_stretch *s, uint64_t at, size_t count, const int32_t *ids,
                 uint8_t *starts)
{
    uint64_t from = s->from + at;
    memset(starts, 0, count);
    if (s->rule == RN_DOCUMENTS_NONE) return;
    if (at == 0) starts[0] = 1;
    if (s->rule == RN_DOCUMENTS_FILE) {
        const rn_shard *f = s->shard;
        for (size_t i = find_start(f, from);
             i < f->start_count && f->starts[i] < from + count; i++)
            starts[f->starts[i] - from] = 1;
        return;
    }
    bool end = s->rule == RN_DOCUMENTS_END;
    for (size_t i = 0; i + end < count; i++)
        if (ids[i] == s->id) starts[i + end] = 1;
}

/* starts may be NULL. */
static rn_status read_tokens(const rn_tokens *t, uint64_t at, size_t count, int32_t *out,
                             uint8_t *starts, rn_error *err)
{
    assert(at <= t->count && count <= t->count - at);
    size_t i = count ? find_stretch(t, at) : 0;
    for (size_t done = 0; done < count; i++) {
        const rn_stretch *s = &t->stretches[i];
        uint64_t from = at + done - s->begin, left = s->count - from;
        size_t n = left < count - done ? (size_t)left : count - done;
        rn_status st = read_stretch(s, from, n, out + done, err);
        if (st) return st;
        if (starts) mark(s, from, n, out + done, starts + done);
        done += n;
    }
    if (starts && count) starts[0] = 1;
    return RN_OK;
}

rn_status rn_tokens_read(const rn_tokens *t, uint64_t at, size_t count, int32_t *out,
                         rn_error *err)
{
    return read_tokens(t, at, count, out, NULL, err);
}

rn_status rn_tokens_read_documents(const rn_tokens *t, uint64_t at, size_t count,
                                   int32_t *out, uint8_t *starts, rn_error *err)
{
    return read_tokens(t, at, count, out, starts, err);
}

/* ---- documents ---- */

void rn_tokens_set_documents(rn_tokens *t, rn_document_rule rule, int32_t id)
{
    for (size_t i = 0; i < t->stretch_count; i++) {
        t->stretches[i].rule = rule;
        t->stretches[i].id = id;
        if (rule == RN_DOCUMENTS_FILE) follow_file(&t->stretches[i]);
    }
}

void rn_tokens_set_end(rn_tokens *t, int32_t id)
{
    for (size_t i = 0; i < t->stretch_count; i++) {
        rn_stretch *s = &t->stretches[i];
        if (s->rule != RN_DOCUMENTS_FILE || s->shard->starts) continue;
        s->rule = RN_DOCUMENTS_END;
        s->id = id;
    }
}

/* FNV-1a of 64 bits with numbers in place of bytes: each step is one-to-one, so a single
   changed number always shows. */
static uint64_t hash_in(uint64_t hash, uint64_t number)
{
    return (hash ^ number) * 0x100000001b3u;
}
static const uint64_t hash_begin = 0xcbf29ce484222325u;

/* Documents that begin inside the stretch by its index, and a hash over them. */
static uint64_t hash_starts(const rn_stretch *s, uint64_t hash, bool *many)
{
    const rn_shard *f = s->shard;
    for (size_t i = find_start(f, s->from + 1);
         i < f->start_count && f->starts[i] < s->from + s->count; i++) {
        hash = hash_in(hash, s->begin + (f->starts[i] - s->from));
        *many = true;
    }
    return hash;
}

uint64_t rn_tokens_documents(const rn_tokens *t)
{
    uint64_t hash = hash_begin;
    bool many = false;
    for (size_t i = 0; i < t->stretch_count; i++) {
        const rn_stretch *s = &t->stretches[i];
        if (s->rule == RN_DOCUMENTS_NONE) continue;
        hash = hash_in(hash, s->begin);
        many = many || i > 0;
        if (s->rule == RN_DOCUMENTS_FILE) {
            hash = hash_starts(s, hash, &many);
        } else {
            hash = hash_in(hash_in(hash, (uint64_t)s->rule), (uint64_t)s->id);
            many = true;
        }
    }
    return !many ? 0 : hash ? hash : 1;
}

/* ---- all of them ---- */

rn_status rn_tokens_check(const rn_tokens *t, size_t vocab, rn_error *err)
{
    int64_t ids[BLOCK];
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < t->stretch_count; i++) {
        const rn_stretch *s = &t->stretches[i];
        for (uint64_t at = 0; !st && at < s->count; at += BLOCK) {
            size_t n = s->count - at < BLOCK ? (size_t)(s->count - at) : BLOCK;
            st = read_block(s, at, n, vocab, ids, err);
        }
    }
    return st;
}

rn_status rn_tokens_hash(const rn_tokens *t, uint64_t *hash, rn_error *err)
{
    uint64_t h = hash_begin;
    int32_t ids[BLOCK];
    for (uint64_t at = 0; at < t->count; at += BLOCK) {
        size_t n = t->count - at < BLOCK ? (size_t)(t->count - at) : BLOCK;
        rn_status st = rn_tokens_read(t, at, n, ids, err);
        if (st) return st;
        for (size_t i = 0; i < n; i++) h = hash_in(h, (uint64_t)ids[i]);
    }
    *hash = h ^ t->count;
    return RN_OK;
}

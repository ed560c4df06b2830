/* Reading and writing token files. */
#define _POSIX_C_SOURCE 200809L
#include "formats/shard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEADER ((size_t)1024)
#define BLOCK  ((size_t)4096) /* ids converted at once */

typedef struct layout {
    int32_t magic, version;
    size_t width;
} layout;

static const layout llmc_u16 = {20240520, 1, 2}, llmc_u32 = {20240801, 7, 4};

static int32_t header_word(const rn_map *map, size_t index)
{
    int32_t word;
    memcpy(&word, map->data + index * sizeof word, sizeof word);
    return word;
}

static const layout *find_layout(const rn_map *map)
{
    if (map->size < 2 * sizeof(int32_t)) return NULL;
    int32_t magic = header_word(map, 0);
    if (magic == llmc_u16.magic) return &llmc_u16;
    return magic == llmc_u32.magic ? &llmc_u32 : NULL;
}

static bool ends_in_bin(const char *path)
{
    size_t length = strlen(path);
    return length >= 4 && !strcmp(path + length - 4, ".bin");
}

bool rn_shard_is(const rn_map *map, const char *path)
{
    return find_layout(map) || ends_in_bin(path);
}

static rn_status view_headed(rn_shard *out, const rn_map *map, const layout *l,
                             const char *path, rn_error *err)
{
    int32_t version = header_word(map, 1);
    if (version != l->version)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: version %" PRId32 " of the token file with magic %" PRId32
                       ", version %" PRId32 " is read",
                       path, version, l->magic, l->version);
    if (map->size < HEADER)
        return rn_fail(err, RN_EFORMAT, "%s: %zu bytes, cut off inside the header of %zu",
                       path, map->size, HEADER);
    int32_t count = header_word(map, 2);
    size_t held = map->size - HEADER;
    if (count <= 0 || held % l->width || held / l->width != (size_t)count)
        return rn_fail(err, RN_EFORMAT,
                       "%s: the header counts %" PRId32
                       " tokens of %zu bytes, %zu bytes follow",
                       path, count, l->width, held);
    *out = (rn_shard){map->data + HEADER, (uint64_t)count, l->width};
    return RN_OK;
}

rn_status rn_shard_view(rn_shard *out, const rn_map *map, const char *path, rn_error *err)
{
    const layout *l = find_layout(map);
    if (l) return view_headed(out, map, l, path, err);
    if (!ends_in_bin(path))
        return rn_fail(
            err, RN_EUNSUPPORTED,
            "%s: not a token file: no known header, and the name does not end in .bin",
            path);
    if (map->size == 0 || map->size % sizeof(uint16_t))
        return rn_fail(err, RN_EFORMAT,
                       "%s: %zu bytes are not a sequence of 16-bit tokens", path,
                       map->size);
    *out = (rn_shard){map->data, map->size / sizeof(uint16_t), sizeof(uint16_t)};
    return RN_OK;
}

struct rn_shard_writer {
    rn_writer *file;
    char *path;
    bool headed;
    uint64_t count;
};

static rn_status put_header(rn_shard_writer *w, rn_error *err)
{
    int32_t header[HEADER / sizeof(int32_t)] = {llmc_u32.magic, llmc_u32.version};
    return rn_writer_put(w->file, header, sizeof header, err);
}

rn_status rn_shard_writer_open(rn_shard_writer **out, const char *path, size_t vocab,
                               rn_error *err)
{
    bool headed = vocab > (size_t)UINT16_MAX + 1;
    if (!headed && !ends_in_bin(path))
        return rn_fail(err, RN_EINVAL, "%s: the name of a token file must end in .bin",
                       path);
    rn_shard_writer *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, path, sizeof *w);
    w->headed = headed;
    w->path = strdup(path);
    rn_status st = w->path ? RN_OK : rn_fail_memory(err, path, strlen(path));
    if (!st) st = rn_writer_open(&w->file, path, err);
    if (!st && headed) st = put_header(w, err);
    if (st) {
        rn_shard_writer_abandon(w);
        return st;
    }
    *out = w;
    return RN_OK;
}

static rn_status put_block(rn_shard_writer *w, const int32_t *ids, size_t count,
                           rn_error *err)
{
    if (w->headed) return rn_writer_put(w->file, ids, count * sizeof *ids, err);
    uint16_t narrow[BLOCK];
    for (size_t i = 0; i < count; i++) narrow[i] = (uint16_t)ids[i];
    return rn_writer_put(w->file, narrow, count * sizeof narrow[0], err);
}

rn_status rn_shard_writer_put(rn_shard_writer *w, const int32_t *ids, size_t count,
                              rn_error *err)
{
    if (w->headed && count > (uint64_t)INT32_MAX - w->count)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: more than 2^31 - 1 tokens, which this layout cannot count",
                       w->path);
    w->count += count;
    rn_status st = RN_OK;
    for (size_t at = 0; !st && at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK;
        st = put_block(w, ids + at, n, err);
    }
    return st;
}

rn_status rn_shard_writer_commit(rn_shard_writer *w, rn_error *err)
{
    rn_status st = RN_OK;
    if (w->headed) {
        int32_t count = (int32_t)w->count;
        st = rn_writer_patch(w->file, 2 * sizeof count, &count, sizeof count, err);
    }
    if (!st) {
        st = rn_writer_commit(w->file, err);
        w->file = NULL;
    }
    rn_shard_writer_abandon(w);
    return st;
}

void rn_shard_writer_abandon(rn_shard_writer *w)
{
    if (!w) return;
    rn_writer_abandon(w->file);
    free(w->path);
    free(w);
}

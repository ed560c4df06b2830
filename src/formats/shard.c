/* Reading and writing token files. */
#define _POSIX_C_SOURCE 200809L
#include "formats/shard.h"

#include "formats/megatron.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)4096) /* ids converted at once */

typedef struct layout {
    int32_t magic, version;
    size_t width;
} layout;

static const layout llmc_u16 = {20240520, 1, 2}, llmc_u32 = {20240801, 7, 4};

static int32_t header_word(const unsigned char *head, size_t index)
{
    const unsigned char *p = head + index * sizeof(int32_t);
    uint32_t word = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                    (uint32_t)p[3] << 24;
    return (int32_t)word;
}

static const layout *find_layout(const unsigned char *head, size_t have)
{
    if (have < 2 * sizeof(int32_t)) return NULL;
    int32_t magic = header_word(head, 0);
    if (magic == llmc_u16.magic) return &llmc_u16;
    return magic == llmc_u32.magic ? &llmc_u32 : NULL;
}

static bool ends_in_bin(const char *path)
{
    size_t length = strlen(path);
    return length >= 4 && !strcmp(path + length - 4, ".bin");
}

bool rn_shard_is(const char *path)
{
    unsigned char head[2 * sizeof(int32_t)];
    int fd;
    uint64_t size;
    if (ends_in_bin(path)) return true;
    if (rn_file_open(&fd, &size, path, NULL)) return false;
    bool known = size >= sizeof head &&
                 !rn_file_read_at(fd, path, 0, head, sizeof head, NULL) &&
                 find_layout(head, sizeof head);
    rn_file_close(fd);
    return known;
}

char *rn_shard_index_path(const char *path)
{
    char *index = ends_in_bin(path) ? strdup(path) : NULL;
    if (index) memcpy(index + strlen(index) - 4, ".idx", 4);
    return index;
}

static rn_status layout_by_header(rn_shard *out, const unsigned char *head, uint64_t size,
                                  const layout *l, const char *path, rn_error *err)
{
    int32_t version = header_word(head, 1);
    if (version != l->version)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: version %" PRId32 " of the token file with magic %" PRId32
                       ", version %" PRId32 " is read",
                       path, version, l->magic, l->version);
    if (size < RN_SHARD_HEADER)
        return rn_fail(err, RN_EFORMAT,
                       "%s: %" PRIu64 " bytes, cut off inside the header of %zu", path,
                       size, RN_SHARD_HEADER);
    int32_t count = header_word(head, 2);
    uint64_t held = size - RN_SHARD_HEADER;
    if (count <= 0 || held % l->width || held / l->width != (uint64_t)count)
        return rn_fail(err, RN_EFORMAT,
                       "%s: the header counts %" PRId32 " tokens of %zu bytes, %" PRIu64
                       " bytes follow",
                       path, count, l->width, held);
    out->offset = RN_SHARD_HEADER;
    out->count = (uint64_t)count;
    out->width = l->width;
    out->gpt2 = l == &llmc_u16;
    return RN_OK;
}

rn_status rn_shard_layout(rn_shard *out, const unsigned char *head, size_t have,
                          uint64_t size, const char *path, rn_error *err)
{
    const layout *l = find_layout(head, have);
    if (l) return layout_by_header(out, head, size, l, path, err);
    if (!ends_in_bin(path))
        return rn_fail(
            err, RN_EUNSUPPORTED,
            "%s: not a token file: no known header, and the name does not end in .bin",
            path);
    if (size == 0 || size % sizeof(uint16_t))
        return rn_fail(err, RN_EFORMAT,
                       "%s: %" PRIu64 " bytes are not a sequence of 16-bit tokens", path,
                       size);
    out->count = size / sizeof(uint16_t);
    out->width = sizeof(uint16_t);
    return RN_OK;
}

static rn_status layout_of_file(rn_shard *s, uint64_t size, rn_error *err)
{
    unsigned char head[RN_SHARD_HEADER];
    size_t have = size < sizeof head ? (size_t)size : sizeof head;
    rn_status st = rn_file_read_at(s->fd, s->path, 0, head, have, err);
    return st ? st : rn_shard_layout(s, head, have, size, s->path, err);
}

/* With an index beside it the file is Megatron's. */
static rn_status layout_by_index(rn_shard *s, const char *index, uint64_t size,
                                 rn_error *err)
{
    rn_map map;
    rn_megatron m;
    rn_status st = rn_map_open(&map, index, err);
    if (st) return st;
    st = rn_megatron_parse(&m, map.data, map.size, size, index, err);
    rn_map_close(&map);
    if (st) return st;
    s->count = m.tokens;
    s->width = m.width;
    s->negative = m.negative;
    s->starts = m.starts;
    s->start_count = m.start_count;
    return RN_OK;
}

rn_status rn_shard_open(rn_shard *out, const char *path, rn_error *err)
{
    uint64_t size;
    rn_shard s = {.fd = -1, .path = strdup(path)};
    if (!s.path) return rn_fail_memory(err, path, strlen(path));
    char *index = rn_shard_index_path(path);
    rn_status st = rn_file_open(&s.fd, &size, path, err);
    if (!st && index && rn_path_exists(index)) st = layout_by_index(&s, index, size, err);
    else if (!st) st = layout_of_file(&s, size, err);
    free(index);
    if (st) rn_shard_close(&s);
    else *out = s;
    return st;
}

void rn_shard_close(rn_shard *s)
{
    rn_file_close(s->fd);
    free(s->path);
    free(s->starts);
    *s = (rn_shard){.fd = -1};
}

static int64_t convert(const unsigned char *p, size_t width, bool negative)
{
    uint64_t id = 0;
    for (size_t i = 0; i < width; i++) id |= (uint64_t)p[i] << 8 * i;
    unsigned unused = (unsigned)(8 * (sizeof id - width));
    if (negative && width < sizeof id && id >> (8 * width - 1))
        id |= UINT64_MAX << (64 - unused);
    return (int64_t)id;
}

static void convert_block(const rn_shard *s, const unsigned char *raw, size_t count,
                          int64_t *ids)
{
    if (s->width == 2 && !s->negative)
        for (size_t i = 0; i < count; i++)
            ids[i] = (int64_t)raw[2 * i] | (int64_t)raw[2 * i + 1] << 8;
    else
        for (size_t i = 0; i < count; i++)
            ids[i] = convert(raw + i * s->width, s->width, s->negative);
}

rn_status rn_shard_read(const rn_shard *s, uint64_t at, size_t count, int64_t *ids,
                        rn_error *err)
{
    assert(at <= s->count && count <= s->count - at);
    unsigned char raw[BLOCK * sizeof(uint64_t)];
    while (count > 0) {
        size_t n = count < BLOCK ? count : BLOCK;
        rn_status st = rn_file_read_at(s->fd, s->path, s->offset + at * s->width, raw,
                                       n * s->width, err);
        if (st) return st;
        convert_block(s, raw, n, ids);
        at += n;
        ids += n;
        count -= n;
    }
    return RN_OK;
}

struct rn_shard_writer {
    rn_writer *file;
    char *path;
    bool headed;
    size_t width;
    uint64_t count;
};

static rn_status put_header(rn_shard_writer *w, rn_error *err)
{
    int32_t header[RN_SHARD_HEADER / sizeof(int32_t)] = {llmc_u32.magic,
                                                         llmc_u32.version};
    return rn_writer_put(w->file, header, sizeof header, err);
}

static rn_status open_writer(rn_shard_writer **out, const char *path, bool headed,
                             size_t width, rn_error *err)
{
    if (!headed && !ends_in_bin(path))
        return rn_fail(err, RN_EINVAL, "%s: the name of a token file must end in .bin",
                       path);
    rn_shard_writer *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, path, sizeof *w);
    w->headed = headed;
    w->width = width;
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

rn_status rn_shard_writer_open(rn_shard_writer **out, const char *path, size_t vocab,
                               rn_error *err)
{
    bool wide = vocab > (size_t)UINT16_MAX + 1;
    return open_writer(out, path, wide, wide ? 4 : 2, err);
}

rn_status rn_shard_writer_open_plain(rn_shard_writer **out, const char *path,
                                     size_t width, rn_error *err)
{
    return open_writer(out, path, false, width, err);
}

static rn_status put_block(rn_shard_writer *w, const int32_t *ids, size_t count,
                           rn_error *err)
{
    if (w->width == 4) return rn_writer_put(w->file, ids, count * sizeof *ids, err);
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

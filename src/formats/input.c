/* Text as a stream. What is compressed is never held whole: neither its frames nor its
   text. */
#define _POSIX_C_SOURCE 200809L
#include "formats/input.h"

#include "core/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define BLOCK ((size_t)1 << 17) /* bytes of a file that are read at once */

struct rn_input {
    char *path;
    int fd;
    uint64_t size, at;    /* of the file; bytes that are in the buffer or were */
    ZSTD_DStream *frames; /* NULL: plain */
    size_t pending;       /* what zstd still expects of its frame; 0: between frames */
    ZSTD_inBuffer have;   /* of the buffer */
    unsigned char buffer[BLOCK];
};

bool rn_input_ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path), n = strlen(ending);
    if (rn_input_is_compressed(path)) length -= 4;
    return length > n && !memcmp(path + length - n, ending, n);
}

bool rn_input_is_compressed(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && !strcmp(path + length - 4, ".zst");
}

rn_status rn_input_open(rn_input **out, const char *path, rn_error *err)
{
    rn_input *in = calloc(1, sizeof *in);
    if (!in) return rn_fail_memory(err, path, sizeof *in);
    in->fd = -1;
    in->have.src = in->buffer;
    in->path = strdup(path);
    bool compressed = rn_input_is_compressed(path);
    if (compressed) in->frames = ZSTD_createDStream();
    rn_status st = RN_OK;
    if (!in->path || (compressed && !in->frames))
        st = rn_fail_memory(err, path, strlen(path));
    if (!st) st = rn_file_open(&in->fd, &in->size, path, err);
    if (!st && compressed && in->size == 0)
        st = rn_fail(err, RN_EFORMAT, "%s: empty: not even one zstd frame", path);
    if (st) rn_input_close(in);
    else *out = in;
    return st;
}

void rn_input_close(rn_input *in)
{
    if (!in) return;
    ZSTD_freeDStream(in->frames);
    rn_file_close(in->fd);
    free(in->path);
    free(in);
}

uint64_t rn_input_consumed(const rn_input *in)
{
    return in->at - (in->have.size - in->have.pos);
}

static rn_status fill(rn_input *in, rn_error *err)
{
    size_t n = in->size - in->at < BLOCK ? (size_t)(in->size - in->at) : BLOCK;
    rn_status st = rn_file_read_at(in->fd, in->path, in->at, in->buffer, n, err);
    if (st) return st;
    in->at += n;
    in->have.size = n;
    in->have.pos = 0;
    return RN_OK;
}

static rn_status fail_frame(const rn_input *in, size_t code, rn_error *err)
{
    return rn_fail(err, RN_EFORMAT, "%s: damaged at byte %" PRIu64 ": zstd says: %s",
                   in->path, rn_input_consumed(in), ZSTD_getErrorName(code));
}

/* Decompresses until there is some text, or the file ends between two frames. */
static rn_status read_frames(rn_input *in, void *out, size_t room, size_t *got,
                             rn_error *err)
{
    ZSTD_outBuffer text = {out, room, 0};
    while (text.pos == 0) {
        if (in->have.pos == in->have.size && in->at < in->size) {
            rn_status st = fill(in, err);
            if (st) return st;
        }
        bool end = in->have.pos == in->have.size;
        if (end && in->pending == 0) break;
        size_t before = in->have.pos;
        size_t left = ZSTD_decompressStream(in->frames, &text, &in->have);
        if (ZSTD_isError(left)) return fail_frame(in, left, err);
        in->pending = left;
        if (end && left && text.pos == 0 && in->have.pos == before)
            return rn_fail(err, RN_EFORMAT,
                           "%s: cut off inside a zstd frame: it ends at byte %" PRIu64,
                           in->path, in->size);
    }
    *got = text.pos;
    return RN_OK;
}

static rn_status read_plain(rn_input *in, void *out, size_t room, size_t *got,
                            rn_error *err)
{
    uint64_t left = in->size - in->at;
    size_t n = left < room ? (size_t)left : room;
    rn_status st = rn_file_read_at(in->fd, in->path, in->at, out, n, err);
    if (st) return st;
    in->at += n;
    *got = n;
    return RN_OK;
}

rn_status rn_input_read(rn_input *in, void *out, size_t room, size_t *got, rn_error *err)
{
    return in->frames ? read_frames(in, out, room, got, err)
                      : read_plain(in, out, room, got, err);
}

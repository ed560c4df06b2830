/* Token files of nanoGPT and llm.c, from whatever bytes: a layout that is accepted lies
   inside the file, and all of its ids can be read. */
#define _GNU_SOURCE
#include "fuzz.h"

#include "formats/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Reads the ids of a file with this content. */
static void read_ids(rn_shard *s, const uint8_t *data, size_t size)
{
    int64_t ids[64];
    char name[] = "memory.bin";
    s->fd = memfd_create("shard", MFD_CLOEXEC);
    s->path = name;
    if (s->fd < 0 || write(s->fd, data, size) != (ssize_t)size) abort();
    for (uint64_t at = 0; at < s->count; at += 64) {
        size_t n = s->count - at < 64 ? (size_t)(s->count - at) : 64;
        if (rn_shard_read(s, at, n, ids, NULL)) abort();
        for (size_t i = 0; i < n; i++)
            if (ids[i] < 0 || ids[i] > UINT32_MAX) abort();
    }
    close(s->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.bin", "a.tokens"};
    for (size_t i = 0; i < 2; i++) {
        rn_error err;
        rn_shard s = {.fd = -1};
        size_t have = size < RN_SHARD_HEADER ? size : RN_SHARD_HEADER;
        if (rn_shard_layout(&s, data, have, size, names[i], &err)) continue;
        if (s.count == 0 || s.offset > size || (size - s.offset) / s.width < s.count)
            abort();
        read_ids(&s, data, size);
    }
    return 0;
}

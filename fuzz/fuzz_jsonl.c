/* Lines of JSON from whatever bytes, plain or as zstd frames: every document is text of
   the length that it says, and reading ends. */
#define _GNU_SOURCE
#include "fuzz.h"

#include "formats/jsonl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file in memory that has a name. */
static void put_file(char path[64], const char *name, const uint8_t *data, size_t size)
{
    snprintf(path, 64, "/dev/shm/retnet-fuzz-%ld%s", (long)getpid(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd)) abort();
}

static void read_records(const char *path)
{
    rn_error err;
    rn_jsonl *j;
    const char *text = "";
    size_t length, total = 0;
    if (rn_jsonl_open(&j, path, &err)) return;
    while (!rn_jsonl_next(j, &text, &length, &err) && text && total < (1u << 24)) {
        if (text[length]) abort();
        total += length + 1;
    }
    rn_jsonl_close(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {".jsonl", ".jsonl.zst"};
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        put_file(path, names[i], data, size);
        read_records(path);
        unlink(path);
    }
    return 0;
}

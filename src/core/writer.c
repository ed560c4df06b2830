/* A file that appears whole or not at all: bytes go to a new file beside the target,
   which is synced and renamed at the end. A link to a file is followed, so that it stays
   a link; one to nothing is replaced. */
#define _DEFAULT_SOURCE
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER     ((size_t)1 << 16)
#define MAX_TRIALS 100 /* names tried for the temporary file */

struct rn_writer {
    char *path, *temp;
    int fd;
    bool failed; /* an earlier put lost bytes: commit must not succeed */
    size_t used; /* bytes of buffer not written yet */
    unsigned char buffer[BUFFER];
};

static rn_status fail_write(rn_writer *w, const char *what, rn_error *err)
{
    w->failed = true;
    return rn_fail_errno(err, "%s: cannot be %s", w->path, what);
}

/* The file that will be replaced and its mode, or a new one's. */
static rn_status find_target(rn_writer *w, const char *path, mode_t *mode, rn_error *err)
{
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && !S_ISREG(info.st_mode))
        return rn_fail(err, RN_EINVAL, "%s: exists and is not a file", path);
    *mode = exists ? info.st_mode & 0777 : 0;
    w->path = exists ? realpath(path, NULL) : strdup(path);
    return w->path ? RN_OK : rn_fail_errno(err, "%s: cannot be opened", path);
}

static rn_status open_temp(rn_writer *w, mode_t mode, rn_error *err)
{
    size_t bytes = strlen(w->path) + 48;
    w->temp = malloc(bytes);
    if (!w->temp) return rn_fail_memory(err, w->path, bytes);
    for (int trial = 0; trial < MAX_TRIALS && w->fd < 0; trial++) {
        snprintf(w->temp, bytes, trial ? "%s.tmp-%ld-%d" : "%s.tmp-%ld", w->path,
                 (long)getpid(), trial);
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd < 0 && errno != EEXIST) break;
    }
    if (w->fd < 0) return rn_fail_errno(err, "%s: cannot be created", w->path);
    if (mode) fchmod(w->fd, mode); /* a file system without modes may refuse */
    return RN_OK;
}

rn_status rn_writer_open(rn_writer **out, const char *path, rn_error *err)
{
    rn_writer *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, path, sizeof *w);
    w->fd = -1;
    mode_t mode = 0;
    rn_status st = find_target(w, path, &mode, err);
    if (!st) st = open_temp(w, mode, err);
    if (st) {
        rn_writer_abandon(w);
        return st;
    }
    *out = w;
    return RN_OK;
}

static rn_status write_all(rn_writer *w, const unsigned char *bytes, size_t count,
                           rn_error *err)
{
    while (count > 0) {
        ssize_t n = write(w->fd, bytes, count);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return fail_write(w, "written", err);
        bytes += n;
        count -= (size_t)n;
    }
    return RN_OK;
}

static rn_status flush(rn_writer *w, rn_error *err)
{
    size_t count = w->used;
    w->used = 0;
    return write_all(w, w->buffer, count, err);
}

rn_status rn_writer_put(rn_writer *w, const void *bytes, size_t count, rn_error *err)
{
    if (count > BUFFER - w->used) {
        rn_status st = flush(w, err);
        if (st) return st;
    }
    if (count >= BUFFER) return write_all(w, bytes, count, err);
    if (count > 0) memcpy(w->buffer + w->used, bytes, count);
    w->used += count;
    return RN_OK;
}

rn_status rn_writer_patch(rn_writer *w, size_t at, const void *bytes, size_t count,
                          rn_error *err)
{
    rn_status st = flush(w, err);
    if (st) return st;
    ssize_t n = pwrite(w->fd, bytes, count, (off_t)at);
    if (n >= 0 && (size_t)n < count) errno = ENOSPC;
    if (n < 0 || (size_t)n < count) return fail_write(w, "written", err);
    return RN_OK;
}

static rn_status finish(rn_writer *w, rn_error *err)
{
    if (w->failed)
        return rn_fail(err, RN_EIO, "%s: not written: bytes were lost", w->path);
    rn_status st = flush(w, err);
    if (st) return st;
    if (fsync(w->fd)) return fail_write(w, "synced", err);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd)) return fail_write(w, "closed", err);
    if (rename(w->temp, w->path)) return fail_write(w, "renamed", err);
    free(w->temp);
    w->temp = NULL;
    return RN_OK;
}

/* The folder that holds the file: its fsync makes the new name durable. Opened before the
   rename, so that nothing is replaced where that is not allowed. */
static rn_status open_holder(const rn_writer *w, int *folder, rn_error *err)
{
    char *slash = strrchr(w->path, '/');
    if (!slash) return rn_folder_open(folder, ".", err);
    char *end = slash == w->path ? slash + 1 : slash, kept = *end;
    *end = '\0';
    rn_status st = rn_folder_open(folder, w->path, err);
    *end = kept;
    return st;
}

rn_status rn_writer_commit(rn_writer *w, rn_error *err)
{
    int folder;
    rn_status st = open_holder(w, &folder, err);
    if (!st && (st = finish(w, err)) != RN_OK) close(folder);
    else if (!st) st = rn_folder_sync(folder, w->path, err);
    rn_writer_abandon(w);
    return st;
}

void rn_writer_abandon(rn_writer *w)
{
    if (!w) return;
    bool unfinished = w->fd >= 0 || w->failed;
    if (w->fd >= 0) close(w->fd);
    if (unfinished) unlink(w->temp);
    free(w->temp);
    free(w->path);
    free(w);
}

rn_status rn_write_file(const char *path, const void *bytes, size_t count, rn_error *err)
{
    rn_writer *w;
    rn_status st = rn_writer_open(&w, path, err);
    if (st) return st;
    st = rn_writer_put(w, bytes, count, err);
    if (!st) return rn_writer_commit(w, err);
    rn_writer_abandon(w);
    return st;
}

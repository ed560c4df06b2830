/* Reading a file by position instead of through a map: a file that is cut off meanwhile
   gives an error, where a map would end the process. */
#define _DEFAULT_SOURCE
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

rn_status rn_file_open(int *fd, uint64_t *size, const char *path, rn_error *err)
{
    struct stat info;
    /* Non-blocking, so that a pipe is refused instead of waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return rn_fail_errno(err, "%s: cannot be opened", path);
    if (fstat(file, &info)) {
        rn_status st = rn_fail_errno(err, "%s: cannot be examined", path);
        close(file);
        return st;
    }
    if (!S_ISREG(info.st_mode)) {
        close(file);
        return rn_fail(err, RN_EINVAL, "%s: %s, not a file", path,
                       S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    }
    *fd = file;
    *size = (uint64_t)info.st_size;
    return RN_OK;
}

rn_status rn_file_read_at(int fd, const char *path, uint64_t at, void *out, size_t count,
                          rn_error *err)
{
    unsigned char *to = out;
    while (count > 0) {
        ssize_t n = pread(fd, to, count, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return rn_fail_errno(err, "%s: cannot be read", path);
        if (n == 0)
            return rn_fail(err, RN_EFORMAT,
                           "%s: cut off while it was read: it ends before byte %" PRIu64,
                           path, at + count);
        to += n;
        at += (uint64_t)n;
        count -= (size_t)n;
    }
    return RN_OK;
}

void rn_file_close(int fd)
{
    if (fd >= 0) close(fd);
}

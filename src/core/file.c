/* Read-only maps, and folders that are made, synced, replaced and removed. Whole-file
   writes are in writer.c. */
#define _GNU_SOURCE /* renameat2 */
#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TRIALS 100 /* names tried for a temporary folder */

static rn_status map_descriptor(rn_map *out, int fd, const char *path, rn_error *err)
{
    struct stat info;
    if (fstat(fd, &info)) return rn_fail_errno(err, "%s: cannot be examined", path);
    if (!S_ISREG(info.st_mode))
        return rn_fail(err, RN_EINVAL, "%s: %s, not a file", path,
                       S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    rn_map map = {NULL, (size_t)info.st_size};
    if ((uint64_t)info.st_size > SIZE_MAX)
        return rn_fail(err, RN_ENOMEM, "%s: too large to be mapped", path);
    if (map.size > 0) {
        void *data = mmap(NULL, map.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) return rn_fail_errno(err, "%s: cannot be mapped", path);
        map.data = data;
    }
    *out = map;
    return RN_OK;
}

rn_status rn_map_open(rn_map *out, const char *path, rn_error *err)
{
    /* Non-blocking, so that a pipe is refused instead of waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return rn_fail_errno(err, "%s: cannot be opened", path);
    rn_status st = map_descriptor(out, fd, path, err);
    close(fd);
    return st;
}

void rn_map_close(rn_map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (rn_map){NULL, 0};
}

bool rn_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool rn_path_is_taken(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

bool rn_path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *rn_path_join(const char *dir, const char *name)
{
    size_t a = strlen(dir), b = strlen(name);
    char *path = malloc(a + b + 2);
    if (!path) return NULL;
    memcpy(path, dir, a);
    if (a == 0 || dir[a - 1] != '/') path[a++] = '/';
    memcpy(path + a, name, b + 1);
    return path;
}

char *rn_path_beside(const char *path, const char *name)
{
    if (rn_path_is_folder(path)) return rn_path_join(path, name);
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0, n = strlen(name) + 1;
    char *beside = malloc(folder + n);
    if (!beside) return NULL;
    memcpy(beside, path, folder);
    memcpy(beside + folder, name, n);
    return beside;
}

rn_status rn_copy_file(const char *from, const char *to, rn_error *err)
{
    rn_map map;
    rn_status st = rn_map_open(&map, from, err);
    if (st) return st;
    st = rn_write_file(to, map.data, map.size, err);
    rn_map_close(&map);
    return st;
}

rn_status rn_make_folder(const char *path, rn_error *err)
{
    if (!*path) return rn_fail(err, RN_EINVAL, "a folder's name is empty");
    char *part = strdup(path);
    if (!part) return rn_fail_memory(err, path, strlen(path) + 1);

    rn_status st = RN_OK;
    for (char *p = part; !st && *p; p++) {
        bool last = p[1] == '\0';
        if (!last && (*p != '/' || p == part)) continue;
        if (!last) *p = '\0';
        if (mkdir(part, 0777) && !(errno == EEXIST && rn_path_is_folder(part)))
            st = rn_fail_errno(err, "%s: cannot be created", part);
        if (!last) *p = '/';
    }
    free(part);
    return st;
}

rn_status rn_folder_open(int *fd, const char *path, rn_error *err)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? RN_OK : rn_fail_errno(err, "%s: cannot be opened", path);
}

rn_status rn_folder_sync(int fd, const char *path, rn_error *err)
{
    rn_status st = RN_OK;
    /* EINVAL: a file system whose folders cannot be synced has nothing to sync. */
    if (fsync(fd) && errno != EINVAL)
        st = rn_fail_errno(err, "%s: cannot be synced", path);
    close(fd);
    return st;
}

rn_status rn_sync_folder(const char *path, rn_error *err)
{
    int fd;
    rn_status st = rn_folder_open(&fd, path, err);
    return st ? st : rn_folder_sync(fd, path, err);
}

static rn_status sync_parent(const char *path, rn_error *err)
{
    char *parent = rn_path_join(path, "..");
    if (!parent) return rn_fail_memory(err, path, strlen(path) + 4);
    rn_status st = rn_sync_folder(parent, err);
    free(parent);
    return st;
}

static rn_status move(const char *from, const char *to, rn_error *err)
{
    if (rename(from, to))
        return rn_fail_errno(err, "%s: cannot be moved to %s", from, to);
    return RN_OK;
}

/* Both folders change names in one step. False: this file system cannot. */
static bool exchange(const char *a, const char *b)
{
#ifdef RENAME_EXCHANGE
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
#else
    (void)a, (void)b;
    return false;
#endif
}

/* Without an exchange: `to` stands at TO.old while `from` takes its place. */
static rn_status replace_aside(const char *from, const char *to, rn_error *err)
{
    size_t bytes = strlen(to) + sizeof ".old";
    char *aside = malloc(bytes);
    if (!aside) return rn_fail_memory(err, to, bytes);
    snprintf(aside, bytes, "%s.old", to);

    rn_status st = rn_remove_folder(aside, err);
    if (!st) st = move(to, aside, err);
    if (!st && (st = move(from, to, err)) != RN_OK) rename(aside, to);
    if (!st) st = sync_parent(to, err);
    if (!st) st = rn_remove_folder(aside, err);
    free(aside);
    return st;
}

rn_status rn_replace_folder(const char *from, const char *to, rn_error *err)
{
    rn_status st = rn_sync_folder(from, err);
    if (st) return st;
    struct stat info;
    if (lstat(to, &info)) {
        st = move(from, to, err);
        return st ? st : sync_parent(to, err);
    }
    if (!S_ISDIR(info.st_mode))
        return rn_fail(err, RN_EEXIST, "%s: exists and is not a folder", to);
    if (!exchange(from, to)) return replace_aside(from, to, err);
    st = sync_parent(to, err);
    return st ? st : rn_remove_folder(from, err);
}

rn_status rn_make_folder_beside(char **out, const char *path, rn_error *err)
{
    size_t length = strlen(path), bytes = length + 48;
    while (length > 1 && path[length - 1] == '/') length--;
    if (length == 0) return rn_fail(err, RN_EINVAL, "a folder's name is empty");
    char *name = malloc(bytes);
    if (!name) return rn_fail_memory(err, path, bytes);
    int made = -1;
    for (int trial = 0; trial < MAX_TRIALS && made; trial++) {
        snprintf(name, bytes, trial ? "%.*s.tmp-%ld-%d" : "%.*s.tmp-%ld", (int)length,
                 path, (long)getpid(), trial);
        made = mkdir(name, 0777);
        if (made && errno != EEXIST) break;
    }
    if (made) {
        free(name);
        return rn_fail_errno(err, "%s: cannot be created", path);
    }
    *out = name;
    return RN_OK;
}

/* A rename that replaces nothing, not even an empty folder. */
static int rename_new(const char *from, const char *to)
{
    struct stat info;
#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
#endif
    if (link(from, to) == 0) return unlink(from); /* a file, and links are there */
    if (errno == EEXIST) return -1;
    if (lstat(to, &info)) return rename(from, to);
    errno = EEXIST;
    return -1;
}

rn_status rn_place_folder(const char *from, const char *to, rn_error *err)
{
    rn_status st = rn_sync_folder(from, err);
    if (st) return st;
    if (rename_new(from, to))
        return rn_fail_errno(err, "%s: cannot be moved to %s", from, to);
    return sync_parent(to, err);
}

rn_status rn_place_file(const char *from, const char *to, rn_error *err)
{
    char *holder = rn_path_beside(to, ".");
    if (!holder) return rn_fail_memory(err, to, strlen(to) + 2);
    rn_status st = rename_new(from, to)
                       ? rn_fail_errno(err, "%s: cannot be moved to %s", from, to)
                       : rn_sync_folder(holder, err);
    free(holder);
    return st;
}

static rn_status remove_entries(DIR *dir, const char *path, rn_error *err)
{
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0))
            return rn_fail_errno(err, "%s/%s: cannot be removed", path, entry->d_name);
    }
    if (errno) return rn_fail_errno(err, "%s: cannot be listed", path);
    return RN_OK;
}

rn_status rn_remove_folder(const char *path, rn_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return RN_OK;
    if (fd < 0) return rn_fail_errno(err, "%s: cannot be removed", path);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return rn_fail_memory(err, path, sizeof(struct dirent));
    }
    rn_status st = remove_entries(dir, path, err);
    closedir(dir);
    if (!st && rmdir(path)) st = rn_fail_errno(err, "%s: cannot be removed", path);
    return st;
}

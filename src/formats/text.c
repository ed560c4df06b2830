/* Collecting files from folders. Sub-folders wait in a list instead of on the stack, so
   that depth costs neither stack nor open folders. */
#define _POSIX_C_SOURCE 200809L
#include "formats/text.h"

#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct collection {
    rn_paths files, folders; /* folders still to be read */
    size_t excepts;
    struct stat except[2];
} collection;

void rn_paths_free(rn_paths *p)
{
    for (size_t i = 0; i < p->count; i++) free(p->path[i]);
    free(p->path);
    *p = (rn_paths){NULL, 0};
}

/* Takes over `path`, which may be NULL when memory is short. Room doubles at powers of
 * two. */
static rn_status push(rn_paths *p, char *path, rn_error *err)
{
    if (path && (p->count & (p->count - 1)) == 0) {
        size_t room = p->count ? 2 * p->count : 1;
        char **grown = realloc(p->path, room * sizeof *grown);
        if (!grown) {
            free(path);
            path = NULL;
        } else {
            p->path = grown;
        }
    }
    if (!path) return rn_fail_memory(err, "a list of files", p->count * sizeof path);
    p->path[p->count++] = path;
    return RN_OK;
}

static bool is_except(const collection *c, const struct stat *info)
{
    for (size_t i = 0; i < c->excepts; i++)
        if (info->st_dev == c->except[i].st_dev && info->st_ino == c->except[i].st_ino)
            return true;
    return false;
}

static rn_status add_entry(collection *c, DIR *dir, const char *folder, const char *name,
                           rn_error *err)
{
    struct stat info;
    if (name[0] == '.' || fstatat(dirfd(dir), name, &info, AT_SYMLINK_NOFOLLOW))
        return RN_OK;
    bool link = S_ISLNK(info.st_mode);
    if (link && fstatat(dirfd(dir), name, &info, 0)) return RN_OK;
    if (is_except(c, &info)) return RN_OK;
    if (S_ISDIR(info.st_mode) && !link)
        return push(&c->folders, rn_path_join(folder, name), err);
    if (!S_ISREG(info.st_mode)) return RN_OK;
    return push(&c->files, rn_path_join(folder, name), err);
}

static rn_status read_folder(collection *c, const char *folder, rn_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir) return rn_fail_errno(err, "%s: cannot be opened", folder);
    rn_status st = RN_OK;
    struct dirent *entry;
    while (!st && (errno = 0, entry = readdir(dir)) != NULL)
        st = add_entry(c, dir, folder, entry->d_name, err);
    if (!st && errno) st = rn_fail_errno(err, "%s: cannot be listed", folder);
    closedir(dir);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rn_status add_folder(collection *c, const char *path, rn_error *err)
{
    size_t first = c->files.count;
    rn_status st = push(&c->folders, strdup(path), err);
    while (!st && c->folders.count > 0) {
        char *folder = c->folders.path[--c->folders.count];
        st = read_folder(c, folder, err);
        free(folder);
    }
    if (!st && c->files.count > first)
        qsort(c->files.path + first, c->files.count - first, sizeof(char *), by_path);
    return st;
}

static rn_status add_path(collection *c, const char *path, rn_error *err)
{
    struct stat info;
    if (stat(path, &info)) return rn_fail_errno(err, "%s: cannot be read", path);
    if (is_except(c, &info))
        return rn_fail(err, RN_EINVAL, "%s: is both input and output", path);
    if (S_ISDIR(info.st_mode)) return add_folder(c, path, err);
    if (!S_ISREG(info.st_mode))
        return rn_fail(err, RN_EINVAL, "%s: neither a file nor a folder", path);
    return push(&c->files, strdup(path), err);
}

/* The same name with .bin, or NULL. */
static char *binary_of(const char *path)
{
    size_t length = strlen(path);
    if (length < 5 || strcmp(path + length - 4, ".idx")) return NULL;
    char *name = strdup(path);
    if (name) memcpy(name + length - 4, ".bin", 4);
    return name;
}

bool rn_text_is_index(const char *path)
{
    char *name = binary_of(path);
    bool is = name && rn_path_exists(name);
    free(name);
    return is;
}

static bool is_among(const rn_paths *p, const char *path)
{
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->path[i], path)) return true;
    return false;
}

/* Whether the path is one of the outputs, or gone. */
static bool is_left_out(const collection *c, const char *path)
{
    struct stat info;
    return stat(path, &info) || is_except(c, &info);
}

/* Indices give way to the files that they are of. */
static void drop_indices(collection *c)
{
    rn_paths *p = &c->files;
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        char *path = p->path[i], *name = binary_of(path);
        bool index = name && rn_path_exists(name);
        bool drop = index && (is_left_out(c, name) || is_among(p, name));
        if (index && !drop) {
            char *swap = path;
            path = name;
            name = swap;
        }
        if (drop) {
            /* The list stays searchable while it is cut down. */
            free(path);
            p->path[i] = name;
            continue;
        }
        free(name);
        p->path[i] = p->path[kept];
        p->path[kept++] = path;
    }
    while (p->count > kept) free(p->path[--p->count]);
}

rn_status rn_text_collect(rn_paths *out, const char *const *paths, size_t count,
                          const char *const except[2], rn_error *err)
{
    collection c = {.excepts = 0};
    for (size_t i = 0; i < 2; i++)
        if (except && except[i] && stat(except[i], &c.except[c.excepts]) == 0)
            c.excepts++;
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < count; i++) st = add_path(&c, paths[i], err);
    if (!st) drop_indices(&c);
    if (!st && c.files.count == 0)
        st = rn_fail(err, RN_ENOTFOUND, "%s: no files there (hidden ones do not count)",
                     count ? paths[0] : "data");
    rn_paths_free(&c.folders);
    if (st) {
        rn_paths_free(&c.files);
        return st;
    }
    *out = c.files;
    return RN_OK;
}

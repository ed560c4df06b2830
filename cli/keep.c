/*
 * Keeping the models of the last checkpoints; see keep.h. A model is written into
 * step-N.tmp-PID and renamed, so that step-N is whole. Only folders that hold nothing but
 * a model are ever removed.
 */
#define _POSIX_C_SOURCE 200809L
#include "keep.h"

#include "commands.h"
#include "output.h"
#include "tokens.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const model_files[] = {"config.json", "model.safetensors"};

/* What follows the number in "step-NNNNNNNN", or NULL. */
static const char *after_step(const char *name)
{
    size_t digits = strncmp(name, "step-", 5) ? 0 : strspn(name + 5, "0123456789");
    if (digits < 8 || digits > 20 || (digits > 8 && name[5] == '0')) return NULL;
    return name + 5 + digits;
}

static bool is_step(const char *name)
{
    const char *rest = after_step(name);
    return rest && !*rest;
}

static bool is_temporary(const char *name)
{
    const char *rest = after_step(name);
    long pid;
    if (!rest || !*rest) return false;
    size_t n = cli_temporary_suffix(rest, &pid);
    return n && !rest[n];
}

/* A file of a model, or one in the making. */
static bool is_model_file(const char *name)
{
    long pid;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(model_files[i]);
        if (strncmp(name, model_files[i], n)) continue;
        if (!name[n + cli_temporary_suffix(name + n, &pid)]) return true;
    }
    return false;
}

/* Opens the folder `name` of `dir`, which is not a link; NULL where there is none. */
static DIR *open_inside(DIR *dir, const char *name)
{
    int fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *inside = fd < 0 ? NULL : fdopendir(fd);
    if (!inside && fd >= 0) close(fd);
    return inside;
}

typedef struct contents {
    bool own;   /* a folder with nothing but a model's files */
    bool whole; /* with all of them */
} contents;

static contents look_inside(DIR *dir, const char *name)
{
    DIR *inside = open_inside(dir, name);
    if (!inside) return (contents){false, false};
    contents c = {true, true};
    const struct dirent *entry;
    struct stat info;
    while ((entry = readdir(inside)) != NULL) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (!is_model_file(entry->d_name) ||
            fstatat(dirfd(inside), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(info.st_mode))
            c.own = false;
    }
    for (size_t i = 0; i < 2; i++)
        if (faccessat(dirfd(inside), model_files[i], F_OK, 0)) c.whole = false;
    closedir(inside);
    return c;
}

/* Removes a folder with its files, which are a model's. False: errno says why. */
static bool remove_model(DIR *dir, const char *name)
{
    DIR *inside = open_inside(dir, name);
    if (!inside) return errno == ENOENT;
    bool done = true;
    const struct dirent *entry;
    while (done && (entry = readdir(inside)) != NULL)
        if (is_model_file(entry->d_name))
            done = !unlinkat(dirfd(inside), entry->d_name, 0);
    int reason = errno;
    closedir(inside);
    errno = reason;
    return done && !unlinkat(dirfd(dir), name, AT_REMOVEDIR);
}

/* Names of more digits belong to later steps. */
static bool before(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    return n != m ? n < m : strcmp(a, b) < 0;
}

/* Counts the kept models; the oldest one's name goes to `oldest`. */
static size_t find_oldest(DIR *dir, char oldest[64])
{
    const struct dirent *entry;
    size_t count = 0;
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (!is_step(name) || !look_inside(dir, name).own) continue;
        if (!count || before(name, oldest)) snprintf(oldest, 64, "%.40s", name);
        count++;
    }
    return count;
}

static int remove_old(DIR *dir, const char *folder, size_t keep, rn_error *err)
{
    char oldest[64];
    while (find_oldest(dir, oldest) > keep)
        if (!remove_model(dir, oldest))
            return cli_fail(err, "%s/%s: %s", folder, oldest, strerror(errno));
    return CLI_DONE;
}

void cli_keep_clean(const cli_args *args, const char *out, bool warn)
{
    char *folder = cli_join(out, "keep");
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        bool temporary = is_temporary(name);
        if (!temporary && !is_step(name)) continue;
        contents c = look_inside(dir, name);
        if (!c.own && warn)
            cli_note(args, "%s/%s: not a kept model, left alone", folder, name);
        if (c.own && (temporary || !c.whole)) remove_model(dir, name);
    }
    if (dir) closedir(dir);
    free(folder);
}

/* Writes the model under a temporary name and gives it its own, in place of an older
   one. */
static int write_model(const rn_model *model, DIR *dir, const char *folder,
                       const char *name, rn_error *err)
{
    char aside[64];
    snprintf(aside, sizeof aside, "%.40s.tmp-%ld", name, (long)getpid());
    char *path = cli_join(folder, aside);
    if (!path) return cli_fail(err, "out of memory for a path");
    int code = cli_code(rn_model_save(model, path, err));
    free(path);
    if (!code && look_inside(dir, name).own) remove_model(dir, name);
    if (!code && renameat(dirfd(dir), aside, dirfd(dir), name))
        code = cli_fail(err, "%s/%s: %s", folder, name, strerror(errno));
    if (code && look_inside(dir, aside).own) remove_model(dir, aside);
    return code;
}

int cli_keep_model(const rn_model *model, const char *out, uint64_t step, size_t count,
                   rn_error *err)
{
    char name[40], *folder = NULL;
    snprintf(name, sizeof name, "step-%08" PRIu64, step);
    int code = cli_make_folder(out, "keep", &folder, err);
    if (code) return code;
    DIR *dir = opendir(folder);
    if (!dir) code = cli_fail(err, "%s: %s", folder, strerror(errno));
    else code = write_model(model, dir, folder, name, err);
    if (!code) code = remove_old(dir, folder, count, err);
    if (dir) closedir(dir);
    free(folder);
    return code;
}

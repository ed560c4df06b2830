/*
 * The out folder and how it changes. Each step of a save leaves a folder that can be
 * resumed:
 *
 *   1. step-N.tmp-PID is filled and synced          (latest: the step before)
 *   2. it is renamed to step-N                      (the same)
 *   3. its model is linked into the out folder      (the same; the model is a newer one)
 *   4. metrics.jsonl is synced, `latest` is renamed (latest: step N)
 *   5. the step before is removed                   (latest: step N)
 *
 * What an interrupted save left behind is removed when the next run begins.
 */
#define _DEFAULT_SOURCE
#include "core/file.h"
#include "train/train.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char step_prefix[] = "step-";

/* What `latest` says. */
typedef struct latest {
    char name[40];
    uint64_t hash; /* of trainer.json */
} latest;

static rn_status fail_path(rn_error *err, const char *folder)
{
    return rn_fail_memory(err, "a path", strlen(folder));
}

static rn_status join(char **out, const char *folder, const char *name, rn_error *err)
{
    *out = rn_path_join(folder, name);
    return *out ? RN_OK : fail_path(err, folder);
}

static bool holds(const char *folder, const char *name)
{
    char *path = rn_path_join(folder, name);
    bool exists = path && rn_path_exists(path);
    free(path);
    return exists;
}

bool rn_train_resumable(const char *folder)
{
    return holds(folder, "latest");
}

/* ---- the lock: an flock on the folder, which a killed process gives back ---- */

rn_status rn_folder_lock(const char *folder, int *lock, rn_error *err)
{
    rn_status st = rn_make_folder(folder, err);
    if (st) return st;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return rn_fail_errno(err, "%s: cannot be opened", folder);
    if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        close(fd);
        return rn_fail(err, RN_EEXIST, "%s: another run is training into this folder",
                       folder);
    }
    *lock = fd;
    return RN_OK;
}

void rn_folder_unlock(int lock)
{
    if (lock >= 0) close(lock);
}

/* ---- latest ---- */

/* "step-000120 0123456789abcdef\n" and nothing else. */
static bool parse_latest(const char *text, size_t size, latest *out)
{
    char copy[80];
    if (size == 0 || size >= sizeof copy) return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    unsigned long long step;
    if (sscanf(copy, "step-%llu %" SCNx64, &step, &out->hash) != 2) return false;
    snprintf(out->name, sizeof out->name, "%s%06llu", step_prefix, step);
    char again[80];
    snprintf(again, sizeof again, "%s %016" PRIx64 "\n", out->name, out->hash);
    return strlen(again) == size && memcmp(again, text, size) == 0;
}

static rn_status read_latest(const char *folder, latest *out, rn_error *err)
{
    char *path;
    rn_map map;
    rn_status st = join(&path, folder, "latest", err);
    if (st) return st;
    st = rn_map_open(&map, path, err);
    if (!st && !parse_latest((const char *)map.data, map.size, out))
        st =
            rn_fail(err, RN_EFORMAT, "%s: damaged: it does not name a step folder", path);
    if (!st || st == RN_EFORMAT) rn_map_close(&map);
    free(path);
    return st;
}

rn_status rn_train_checkpoint(char **out, const char *folder, rn_error *err)
{
    latest l;
    rn_status st = read_latest(folder, &l, err);
    return st ? st : join(out, folder, l.name, err);
}

static rn_status write_latest(const char *folder, const latest *l, rn_error *err)
{
    char *path, text[80];
    rn_status st = join(&path, folder, "latest", err);
    if (st) return st;
    snprintf(text, sizeof text, "%s %016" PRIx64 "\n", l->name, l->hash);
    st = rn_write_file(path, text, strlen(text), err);
    free(path);
    return st;
}

/* ---- what may be there at the start, and what has to go ---- */

/* What follows "step-N" in a name that this file gives (N in six digits or more), or NULL
   for any other name. */
static const char *after_step(const char *name)
{
    char number[32];
    size_t n = sizeof step_prefix - 1;
    if (strncmp(name, step_prefix, n) != 0) return NULL;
    size_t digits = strspn(name + n, "0123456789");
    if (digits < 6 || digits > 20 || (digits > 6 && name[n] == '0')) return NULL;
    snprintf(number, sizeof number, "%06llu", strtoull(name + n, NULL, 10));
    bool same = strlen(number) == digits && memcmp(number, name + n, digits) == 0;
    return same ? name + n + digits : NULL;
}

static bool is_step(const char *name)
{
    const char *rest = after_step(name);
    return rest && !*rest;
}

/* ".tmp-PID" or ".tmp-PID-TRIAL". */
static bool is_temporary_suffix(const char *text)
{
    static const char digits[] = "0123456789";
    if (strncmp(text, ".tmp-", 5) != 0) return false;
    size_t n = strspn(text += 5, digits);
    text += n;
    if (n > 0 && *text == '-') text += 1 + (n = strspn(text + 1, digits));
    return n > 0 && !*text;
}

/* A step folder, one that was being filled, or one that was being replaced. */
static bool is_any_step(const char *name)
{
    const char *rest = after_step(name);
    return rest && (!*rest || strcmp(rest, ".old") == 0 || is_temporary_suffix(rest));
}

/* Whether `name` is `target` in the making by a process that has ended: by rn_writer or
   by publish. */
static bool is_temporary_of(const char *name, const char *const *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(targets[i]);
        if (strncmp(name, targets[i], n) == 0 && is_temporary_suffix(name + n))
            return true;
    }
    return false;
}

static bool is_temporary(const char *name)
{
    static const char *const targets[] = {"latest", "model.safetensors", "config.json",
                                          "metrics.jsonl"};
    return is_temporary_of(name, targets, sizeof targets / sizeof targets[0]);
}

static bool is_step_file(const char *name)
{
    static const char *const files[] = {"model.safetensors", "config.json",
                                        "optimizer.safetensors", "trainer.json"};
    size_t count = sizeof files / sizeof files[0];
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, files[i]) == 0) return true;
    return is_temporary_of(name, files, count);
}

/* Whether this is a folder, not a link to one, in which only files of a checkpoint lie.
 */
static bool holds_only_step_files(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return false;
    }
    bool only = true;
    const struct dirent *entry;
    while (only && (errno = 0, entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        struct stat info;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        only = is_step_file(name) &&
               fstatat(dirfd(dir), name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISREG(info.st_mode);
    }
    if (errno) only = false;
    closedir(dir);
    return only;
}

/* RN_EEXIST when something else than a checkpoint's folder has this name. */
static rn_status check_step_name(const char *path, rn_error *err)
{
    struct stat info;
    if (lstat(path, &info) || holds_only_step_files(path)) return RN_OK;
    return rn_fail(err, RN_EEXIST, "%s: is in the way: it holds more than a checkpoint",
                   path);
}

/* Removes a file, or a folder if a checkpoint is all that it holds. */
static rn_status remove_leftover(const char *folder, const char *name, rn_error *err)
{
    char *path;
    rn_status st = join(&path, folder, name, err);
    if (st) return st;
    if (is_any_step(name)) {
        if (holds_only_step_files(path)) st = rn_remove_folder(path, err);
    } else {
        struct stat info;
        if (!lstat(path, &info) && S_ISREG(info.st_mode) && unlink(path))
            st = rn_fail_errno(err, "%s: cannot be removed", path);
    }
    free(path);
    return st;
}

static bool holds_step_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) return false;
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(dir)) != NULL) found = is_step(entry->d_name);
    closedir(dir);
    return found;
}

/* A first save that was cut short between its steps 3 and 4 leaves a model that `latest`
   does not know yet. It goes before the step folder that tells where it came from. */
static rn_status remove_first_model(const char *folder, rn_error *err)
{
    static const char *const names[] = {"model.safetensors", "config.json"};
    if (rn_train_resumable(folder) || !holds_step_folder(folder)) return RN_OK;
    rn_status st = RN_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !st; i++)
        if (holds(folder, names[i])) st = remove_leftover(folder, names[i], err);
    return st;
}

rn_status rn_folder_clean(const char *folder, rn_error *err)
{
    latest keep = {.name = ""};
    rn_status st = rn_train_resumable(folder) ? read_latest(folder, &keep, err) : RN_OK;
    if (!st) st = remove_first_model(folder, err);
    if (st) return st;
    DIR *dir = opendir(folder);
    if (!dir) return rn_fail_errno(err, "%s: cannot be listed", folder);
    const struct dirent *entry;
    while (!st && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (is_temporary(name) || (is_any_step(name) && strcmp(name, keep.name) != 0))
            st = remove_leftover(folder, name, err);
    }
    closedir(dir);
    return st;
}

rn_status rn_folder_check(const char *folder, bool resume, rn_error *err)
{
    if (rn_train_resumable(folder)) {
        if (resume) return RN_OK;
        return rn_fail(err, RN_EEXIST,
                       "%s: holds a checkpoint; resume it or choose another", folder);
    }
    /* A first save that was cut short between its steps 3 and 4 leaves a step folder too.
     */
    bool model = holds(folder, "model.safetensors") || holds(folder, "config.json");
    if (model && !holds_step_folder(folder))
        return rn_fail(err, RN_EEXIST,
                       "%s: holds a model that no training run left there", folder);
    return RN_OK;
}

/* ---- saving ---- */

/* A second name for the file, or a copy where the file system has no links. */
static rn_status link_or_copy(const char *from, const char *to, rn_error *err)
{
    size_t bytes = strlen(to) + 32;
    char *aside = malloc(bytes);
    if (!aside) return fail_path(err, to);
    snprintf(aside, bytes, "%s.tmp-%ld", to, (long)getpid());
    unlink(aside);
    rn_status st = RN_OK;
    if (link(from, aside) == 0) {
        if (rename(aside, to)) st = rn_fail_errno(err, "%s: cannot be replaced", to);
        unlink(aside); /* rename leaves it when both were the same file already */
    } else {
        rn_map map;
        st = rn_map_open(&map, from, err);
        if (!st) {
            st = rn_write_file(to, map.data, map.size, err);
            rn_map_close(&map);
        }
    }
    free(aside);
    return st;
}

static rn_status publish_file(const char *step_folder, const char *folder,
                              const char *name, rn_error *err)
{
    char *from = rn_path_join(step_folder, name);
    char *to = rn_path_join(folder, name);
    rn_status st = from && to ? link_or_copy(from, to, err) : fail_path(err, folder);
    free(from);
    free(to);
    return st;
}

/* The weights first: without a config the folder is no model yet. */
static rn_status publish(const char *step_folder, const char *folder, rn_error *err)
{
    rn_status st = publish_file(step_folder, folder, "model.safetensors", err);
    return st ? st : publish_file(step_folder, folder, "config.json", err);
}

static rn_status write_moments(const rn_trainer *t, const char *folder, rn_error *err)
{
    char *path;
    rn_status st = join(&path, folder, "optimizer.safetensors", err);
    if (st) return st;
    st = rn_moments_write(t, path, err);
    free(path);
    return st;
}

/* The four files; *hash is that of trainer.json. Removes the folder again on failure. */
static rn_status fill(const rn_run_identity *id, const char *folder, uint64_t *hash,
                      rn_error *err)
{
    rn_status st = check_step_name(folder, err);
    if (!st) st = rn_remove_folder(folder, err);
    if (st) return st;
    st = rn_make_folder(folder, err);
    if (!st) st = rn_model_save(id->trainer->model, folder, err);
    if (!st) st = write_moments(id->trainer, folder, err);
    if (!st) st = rn_state_write(id, folder, hash, err);
    if (!st) st = rn_sync_folder(folder, err);
    if (st) rn_remove_folder(folder, NULL);
    return st;
}

/* Steps 1 and 2. */
static rn_status write_step(const rn_run_identity *id, const char *step_folder, latest *l,
                            rn_error *err)
{
    rn_status st = check_step_name(step_folder, err);
    if (st) return st;
    size_t bytes = strlen(step_folder) + 32;
    char *aside = malloc(bytes);
    if (!aside) return fail_path(err, step_folder);
    snprintf(aside, bytes, "%s.tmp-%ld", step_folder, (long)getpid());
    st = fill(id, aside, &l->hash, err);
    if (!st) {
        st = rn_replace_folder(aside, step_folder, err);
        if (st) rn_remove_folder(aside, NULL);
    }
    free(aside);
    return st;
}

rn_status rn_checkpoint_save(const rn_run_identity *id, const char *folder,
                             rn_metrics *metrics, rn_error *err)
{
    latest l;
    snprintf(l.name, sizeof l.name, "%s%06llu", step_prefix,
             (unsigned long long)id->trainer->state.step);
    char *step_folder;
    rn_status st = join(&step_folder, folder, l.name, err);
    if (st) return st;
    st = write_step(id, step_folder, &l, err);
    if (!st) st = publish(step_folder, folder, err);
    if (!st) st = rn_metrics_flush(metrics, true, err);
    if (!st) st = write_latest(folder, &l, err);
    if (!st) st = rn_folder_clean(folder, err);
    free(step_folder);
    return st;
}

/* ---- resuming ---- */

rn_status rn_checkpoint_load(const rn_run_identity *id, rn_trainer *t, bool asked_chunk,
                             const char *folder, rn_error *err)
{
    latest l;
    rn_status st = read_latest(folder, &l, err);
    if (st) return st;
    char *step_folder;
    st = join(&step_folder, folder, l.name, err);
    if (st) return st;

    rn_train_state state;
    size_t chunk;
    st = rn_state_read(id, step_folder, l.hash, asked_chunk, &state, &chunk, err);
    if (!st) st = rn_trainer_read(t, step_folder, err);
    if (!st) {
        t->state = state;
        t->options.chunk = chunk;
        st = publish(step_folder, folder, err);
    }
    free(step_folder);
    return st;
}

/*
 * What lies in the out folder: the lock, `latest`, the names that a run gives, and which
 * of the entries stay. What carries such a name and is none of a run's is never touched.
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

rn_name rn_step_name(uint64_t step)
{
    rn_name n;
    snprintf(n.text, sizeof n.text, "%s%06" PRIu64, step_prefix, step);
    return n;
}

/* "step-000120 0123456789abcdef\n" and nothing else. */
static bool parse_latest(const char *text, size_t size, rn_latest *out)
{
    char copy[80];
    if (size == 0 || size >= sizeof copy) return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    char again[80];
    if (sscanf(copy, "step-%" SCNu64 " %" SCNx64, &out->step, &out->hash) != 2)
        return false;
    out->name = rn_step_name(out->step);
    snprintf(again, sizeof again, "%s %016" PRIx64 "\n", out->name.text, out->hash);
    return strlen(again) == size && memcmp(again, text, size) == 0;
}

rn_status rn_latest_read(const char *folder, rn_latest *out, rn_error *err)
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
    rn_latest l;
    rn_status st = rn_latest_read(folder, &l, err);
    return st ? st : join(out, folder, l.name.text, err);
}

rn_status rn_latest_write(const char *folder, const rn_latest *l, rn_error *err)
{
    char *path, text[80];
    rn_status st = join(&path, folder, "latest", err);
    if (st) return st;
    snprintf(text, sizeof text, "%s %016" PRIx64 "\n", l->name.text, l->hash);
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

bool rn_step_parse(const char *name, uint64_t *step)
{
    const char *rest = after_step(name);
    if (!rest || *rest) return false;
    *step = strtoull(name + sizeof step_prefix - 1, NULL, 10);
    return true;
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
                                          "metrics.jsonl", "best"};
    return is_temporary_of(name, targets, sizeof targets / sizeof targets[0]) ||
           is_temporary_of(name, rn_side_files, RN_SIDE_FILES);
}

/* What every checkpoint holds. */
static const char *const step_files[] = {"model.safetensors", "config.json",
                                         "optimizer.safetensors", "trainer.json"};
enum { STEP_FILES = sizeof step_files / sizeof step_files[0] };

static bool is_step_file(const char *name)
{
    for (size_t i = 0; i < STEP_FILES; i++)
        if (strcmp(name, step_files[i]) == 0) return true;
    for (size_t i = 0; i < RN_SIDE_FILES; i++)
        if (strcmp(name, rn_side_files[i]) == 0) return true;
    return is_temporary_of(name, step_files, STEP_FILES) ||
           is_temporary_of(name, rn_side_files, RN_SIDE_FILES);
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
rn_status rn_step_check(const char *path, rn_error *err)
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
        if (!lstat(path, &info) && (S_ISREG(info.st_mode) || S_ISLNK(info.st_mode)) &&
            unlink(path))
            st = rn_fail_errno(err, "%s: cannot be removed", path);
    }
    free(path);
    return st;
}

/* ---- which checkpoints stay ---- */

/* Whether all files of a checkpoint are there: one that is being removed lacks some. */
static bool is_whole(const char *folder, const char *name)
{
    char *path = rn_path_join(folder, name);
    bool whole = path != NULL;
    for (size_t i = 0; i < STEP_FILES && whole; i++) whole = holds(path, step_files[i]);
    free(path);
    return whole;
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x > *y ? -1 : *x < *y;
}

/* Steps up to `latest` of the whole checkpoints, newest first. */
static rn_status list_steps(const char *folder, uint64_t latest, uint64_t **steps,
                            size_t *count, rn_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir) return rn_fail_errno(err, "%s: cannot be listed", folder);
    uint64_t *list = NULL, step;
    size_t n = 0, room = 0;
    rn_status st = RN_OK;
    const struct dirent *entry;
    while (!st && (entry = readdir(dir)) != NULL) {
        if (!rn_step_parse(entry->d_name, &step) || step > latest) continue;
        if (!is_whole(folder, entry->d_name)) continue;
        if (n == room) {
            room = 2 * room + 16;
            uint64_t *longer = realloc(list, room * sizeof *list);
            if (!longer) st = rn_fail_memory(err, "a list of checkpoints", room * 8);
            else list = longer;
        }
        if (!st) list[n++] = step;
    }
    closedir(dir);
    if (st) {
        free(list);
        return st;
    }
    if (n) qsort(list, n, sizeof *list, newest_first);
    *steps = list;
    *count = n;
    return RN_OK;
}

static rn_status count_steps(const char *folder, size_t *count, rn_error *err)
{
    uint64_t *steps = NULL;
    rn_status st = list_steps(folder, UINT64_MAX, &steps, count, err);
    if (!st) free(steps);
    return st;
}

/* A first save that was cut short between its steps 3 and 4 leaves a model that `latest`
   does not know yet. It goes before the step folder that tells where it came from. */
static rn_status remove_first_model(const char *folder, rn_error *err)
{
    static const char *const names[] = {"model.safetensors", "config.json"};
    size_t whole;
    if (rn_train_resumable(folder)) return RN_OK;
    rn_status st = count_steps(folder, &whole, err);
    if (st || !whole) return st;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !st; i++)
        if (holds(folder, names[i])) st = remove_leftover(folder, names[i], err);
    return st;
}

/* What stays: from step `oldest` to `latest`, and `best`. */
typedef struct staying {
    bool any;
    uint64_t oldest, latest, best;
} staying;

static rn_status find_staying(const char *folder, const rn_keep *keep, staying *out,
                              rn_error *err)
{
    *out = (staying){.any = false};
    if (!rn_train_resumable(folder)) return RN_OK;
    rn_latest l;
    rn_status st = rn_latest_read(folder, &l, err);
    if (st) return st;
    *out = (staying){true, l.step, l.step, keep->best};
    if (keep->count < 2) return RN_OK;
    uint64_t *steps = NULL;
    size_t n = 0;
    st = list_steps(folder, l.step, &steps, &n, err);
    if (st) return st;
    size_t last = n < keep->count ? n : (size_t)keep->count;
    if (last) out->oldest = steps[last - 1];
    free(steps);
    return RN_OK;
}

static bool stays(const char *folder, const char *name, const staying *s)
{
    uint64_t step;
    if (!s->any || !rn_step_parse(name, &step)) return false;
    if (step == s->latest) return true;
    bool wanted = (step >= s->oldest && step < s->latest) || step == s->best;
    return wanted && is_whole(folder, name);
}

rn_status rn_folder_clean(const char *folder, const rn_keep *keep, rn_error *err)
{
    staying s;
    rn_status st = find_staying(folder, keep, &s, err);
    if (!st) st = remove_first_model(folder, err);
    if (st) return st;
    DIR *dir = opendir(folder);
    if (!dir) return rn_fail_errno(err, "%s: cannot be listed", folder);
    const struct dirent *entry;
    while (!st && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (is_temporary(name) || (is_any_step(name) && !stays(folder, name, &s)))
            st = remove_leftover(folder, name, err);
    }
    closedir(dir);
    return st;
}

/* Without `latest`: a first save that was cut short leaves at most one whole step folder,
   no `best`, and a model only beside such a folder. */
static rn_status check_unfinished(const char *folder, rn_error *err)
{
    size_t whole;
    rn_status st = count_steps(folder, &whole, err);
    if (st) return st;
    bool best = is_whole(folder, "best");
    if (best || whole > 1)
        return rn_fail(err, RN_EEXIST,
                       "%s: holds %zu checkpoint%s%s, but no `latest` to tell which one "
                       "goes on; a new run would remove them",
                       folder, whole, whole == 1 ? "" : "s",
                       best ? " and a link `best`" : "");
    bool model = holds(folder, "model.safetensors") || holds(folder, "config.json");
    if (model && !whole)
        return rn_fail(err, RN_EEXIST,
                       "%s: holds a model that no training run left there", folder);
    return RN_OK;
}

rn_status rn_folder_check(const char *folder, bool resume, rn_error *err)
{
    if (!rn_train_resumable(folder)) return check_unfinished(folder, err);
    if (resume) return RN_OK;
    return rn_fail(err, RN_EEXIST, "%s: holds a checkpoint; resume it or choose another",
                   folder);
}

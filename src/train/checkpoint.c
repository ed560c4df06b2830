/*
 * Saving and resuming. Each step of a save leaves a folder that can be resumed:
 *
 *   1. step-N.tmp-PID is filled and synced          (latest: the step before)
 *   2. it is renamed to step-N                      (the same)
 *   3. its model is linked into the out folder      (the same; the model is a newer one)
 *   4. the record is synced, `latest` is renamed    (latest: step N)
 *   5. the link `best` is renamed                   (latest: step N)
 *   6. what need not stay is removed                (latest: step N)
 *
 * What `best` should be stands in trainer.json, so that a run that goes on after step 4
 * sets it. What an interrupted save left behind is removed when the next run begins.
 */
#define _DEFAULT_SOURCE
#include "core/file.h"
#include "train/train.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static rn_status fail_path(rn_error *err, const char *folder)
{
    return rn_fail_memory(err, "a path", strlen(folder));
}

static rn_status join(char **out, const char *folder, const char *name, rn_error *err)
{
    *out = rn_path_join(folder, name);
    return *out ? RN_OK : fail_path(err, folder);
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
    if (linkat(AT_FDCWD, from, AT_FDCWD, aside, AT_SYMLINK_FOLLOW) == 0) {
        if (rename(aside, to)) st = rn_fail_errno(err, "%s: cannot be replaced", to);
        unlink(aside); /* rename leaves it when both were the same file already */
    } else {
        st = rn_copy_file(from, to, err);
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

/* The files of the tokenizer, so that a checkpoint is a model as whole as the out folder.
 */
static rn_status link_companions(const char *out, const char *folder, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; i < RN_SIDE_FILES && !st; i++) {
        char *path = rn_path_join(out, rn_side_files[i]);
        if (!path) return fail_path(err, out);
        if (rn_path_exists(path)) st = publish_file(out, folder, rn_side_files[i], err);
        free(path);
    }
    return st;
}

/* The files; *hash is that of trainer.json. Removes the folder again on failure. */
static rn_status fill(const rn_run_identity *id, const char *out, const char *folder,
                      uint64_t *hash, rn_error *err)
{
    rn_status st = rn_step_check(folder, err);
    if (!st) st = rn_remove_folder(folder, err);
    if (st) return st;
    st = rn_make_folder(folder, err);
    if (!st) st = rn_model_save(id->trainer->model, folder, err);
    if (!st) st = write_moments(id->trainer, folder, err);
    if (!st) st = link_companions(out, folder, err);
    if (!st) st = rn_state_write(id, folder, hash, err);
    if (!st) st = rn_sync_folder(folder, err);
    if (st) rn_remove_folder(folder, NULL);
    return st;
}

/* Steps 1 and 2. */
static rn_status write_step(const rn_run_identity *id, const char *out,
                            const char *step_folder, rn_latest *l, rn_error *err)
{
    rn_status st = rn_step_check(step_folder, err);
    if (st) return st;
    size_t bytes = strlen(step_folder) + 32;
    char *aside = malloc(bytes);
    if (!aside) return fail_path(err, step_folder);
    snprintf(aside, bytes, "%s.tmp-%ld", step_folder, (long)getpid());
    st = fill(id, out, aside, &l->hash, err);
    if (!st) {
        st = rn_replace_folder(aside, step_folder, err);
        if (st) rn_remove_folder(aside, NULL);
    }
    free(aside);
    return st;
}

/* ---- best ---- */

/* The name that `best` in the folder links to, or false for what is no link of ours. */
static bool read_best(const char *path, rn_name *target)
{
    uint64_t step;
    ssize_t n = readlink(path, target->text, sizeof target->text);
    if (n < 0 || (size_t)n >= sizeof target->text) return false;
    target->text[n] = '\0';
    return rn_step_parse(target->text, &step);
}

/* A file system without links is one without `best`. */
static bool has_no_links(int reason)
{
    return reason == EPERM || reason == EOPNOTSUPP || reason == ENOSYS;
}

static rn_status replace_link(const char *path, const char *target, rn_error *err)
{
    size_t bytes = strlen(path) + 32;
    char *aside = malloc(bytes);
    if (!aside) return fail_path(err, path);
    snprintf(aside, bytes, "%s.tmp-%ld", path, (long)getpid());
    unlink(aside);
    rn_status st = RN_OK;
    if (symlink(target, aside)) {
        if (!has_no_links(errno)) st = rn_fail_errno(err, "%s: cannot be made", path);
    } else if (rename(aside, path)) {
        st = rn_fail_errno(err, "%s: cannot be replaced", path);
        unlink(aside);
    }
    free(aside);
    return st;
}

rn_status rn_best_place(const char *folder, uint64_t step, rn_error *err)
{
    char *path, *checkpoint;
    rn_name now, name = rn_step_name(step);
    rn_status st = join(&path, folder, "best", err);
    if (st) return st;
    st = join(&checkpoint, folder, name.text, err);
    bool ours = !st && read_best(path, &now);
    if (!st && (!step || !rn_path_exists(checkpoint))) {
        if (ours && unlink(path)) st = rn_fail_errno(err, "%s: cannot be removed", path);
    } else if (!st && !(ours && strcmp(now.text, name.text) == 0)) {
        st = replace_link(path, name.text, err);
        if (!st) st = rn_sync_folder(folder, err);
    }
    free(checkpoint);
    free(path);
    return st;
}

rn_status rn_best_check(const char *folder, rn_error *err)
{
    char *path;
    rn_name target;
    struct stat info;
    rn_status st = join(&path, folder, "best", err);
    if (st) return st;
    if (!lstat(path, &info) && !read_best(path, &target))
        st = rn_fail(err, RN_EEXIST, "%s: is in the way: it is no link to a checkpoint",
                     path);
    free(path);
    return st;
}

/* ---- the whole save ---- */

rn_status rn_checkpoint_save(const rn_run_identity *id, const char *folder, uint64_t keep,
                             const rn_record *record, rn_error *err)
{
    const rn_train_state *state = &id->trainer->state;
    rn_latest l = {.step = state->step, .name = rn_step_name(state->step)};
    char *step_folder;
    rn_status st = join(&step_folder, folder, l.name.text, err);
    if (st) return st;
    st = write_step(id, folder, step_folder, &l, err);
    if (!st) st = publish(step_folder, folder, err);
    if (!st) st = rn_record_flush(record, true, err);
    if (!st) st = rn_latest_write(folder, &l, err);
    if (!st) st = rn_best_place(folder, state->best_step, err);
    if (!st) st = rn_folder_clean(folder, &(rn_keep){keep, state->best_step}, err);
    free(step_folder);
    return st;
}

/* ---- resuming ---- */

rn_status rn_checkpoint_load(const rn_run_identity *id, rn_trainer *t, bool asked_chunk,
                             const char *folder, rn_error *err)
{
    rn_latest l;
    rn_status st = rn_latest_read(folder, &l, err);
    if (st) return st;
    char *step_folder;
    st = join(&step_folder, folder, l.name.text, err);
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

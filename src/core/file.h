/* Files: read-only maps, whole-file writes that are never half done, folders. */
#ifndef RN_CORE_FILE_H
#define RN_CORE_FILE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A read-only view of a whole regular file. An empty file has data NULL and size 0. */
typedef struct rn_map {
    const unsigned char *data;
    size_t size;
} rn_map;

/* RN_ENOTFOUND, RN_EIO, or RN_EINVAL for something that is not a regular file. */
rn_status rn_map_open(rn_map *out, const char *path, rn_error *err);
void rn_map_close(rn_map *map);

/* A regular file for reading by position, with its size; the statuses of rn_map_open. */
rn_status rn_file_open(int *fd, uint64_t *size, const char *path, rn_error *err);
/* Exactly `count` bytes from byte `at`; RN_EFORMAT when the file has become shorter. */
rn_status rn_file_read_at(int fd, const char *path, uint64_t at, void *out, size_t count,
                          rn_error *err);
void rn_file_close(int fd); /* negative: nothing is open */

/* A file under construction: bytes go to PATH.tmp-PID and reach PATH only when
   rn_writer_commit has synced and renamed them. Abandon deletes what was written. */
typedef struct rn_writer rn_writer;
rn_status rn_writer_open(rn_writer **out, const char *path, rn_error *err);
rn_status rn_writer_put(rn_writer *w, const void *bytes, size_t count, rn_error *err);
/* Replaces bytes that were put before: a count in a header. */
rn_status rn_writer_patch(rn_writer *w, size_t at, const void *bytes, size_t count,
                          rn_error *err);
/* Frees w, success or not. After a failure PATH has what it had, unless the message is
   that its folder cannot be synced: then it has the new bytes, and a loss of power may
   bring the old ones back. */
rn_status rn_writer_commit(rn_writer *w, rn_error *err);
void rn_writer_abandon(rn_writer *w); /* NULL is allowed; frees w */

/* Open, put, commit in one call. */
rn_status rn_write_file(const char *path, const void *bytes, size_t count, rn_error *err);

/* Writes the bytes of the file `from` to `to`. */
rn_status rn_copy_file(const char *from, const char *to, rn_error *err);

bool rn_path_exists(const char *path);
bool rn_path_is_taken(const char *path); /* by anything, a link to nothing too */
bool rn_path_is_folder(const char *path);

/* Creates a folder and its missing parents; an existing folder is fine. */
rn_status rn_make_folder(const char *path, rn_error *err);

/* fsync of a folder, which makes the renames in it durable. To know before a rename that
   it can be synced after it: open, rename, sync, which closes the handle. */
rn_status rn_sync_folder(const char *path, rn_error *err);
rn_status rn_folder_open(int *fd, const char *path, rn_error *err);
rn_status rn_folder_sync(int fd, const char *path, rn_error *err);

/* Moves the finished folder `from` to `to` (same file system) and syncs the parent. An
   existing `to` changes places with `from` in one step and is removed last; a file system
   that cannot do that has it at TO.old for a moment, so that at any moment one of the two
   is whole. */
rn_status rn_replace_folder(const char *from, const char *to, rn_error *err);

/* A new empty folder beside `path`, on the same file system: PATH.tmp-PID. *out is its
   name, freed with free. */
rn_status rn_make_folder_beside(char **out, const char *path, rn_error *err);

/* Moves the finished folder `from` to `to`, where nothing may be (RN_EEXIST), and syncs
   the parent. */
rn_status rn_place_folder(const char *from, const char *to, rn_error *err);

/* The same for a file that is synced already. */
rn_status rn_place_file(const char *from, const char *to, rn_error *err);

/* Removes a folder with the regular files in it (no sub-folders); missing is fine. */
rn_status rn_remove_folder(const char *path, rn_error *err);

/* dir + "/" + name in a new string; NULL when memory is short. Freed with free. */
char *rn_path_join(const char *dir, const char *name);

/* The same for a file of this name in the folder `path`, or beside the file `path`. */
char *rn_path_beside(const char *path, const char *name);

#endif

/* Texts one after the other (retnet/text.h): a file is read as a whole, so that one cut
   off meanwhile is an error or the same text still, of JSONL there is one line at a time.
 */
#define _POSIX_C_SOURCE 200809L
#include "retnet/text.h"

#include "formats/input.h"
#include "formats/jsonl.h"
#include "formats/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK ((size_t)1 << 18) /* bytes of a text read at once */

struct rn_texts {
    rn_texts_read *read; /* NULL: the files */
    void *user;
    rn_paths files;
    size_t next;            /* file to be opened next */
    rn_jsonl *lines;        /* of a JSONL file */
    bool open, given;       /* whether a file is, and whether its text was given */
    char *text;             /* of another file */
    size_t length, room;    /* of it */
    uint64_t before, total; /* bytes of the files before this one, and of all */
};

static uint64_t file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) ? 0 : (uint64_t)info.st_size;
}

static uint64_t measure(const rn_paths *files)
{
    uint64_t total = 0;
    for (size_t i = 0; i < files->count; i++) total += file_size(files->path[i]);
    return total;
}

rn_status rn_texts_open(rn_texts **out, const char *const *paths, size_t count,
                        const char *leave_out, rn_error *err)
{
    const char *const except[2] = {leave_out, NULL};
    rn_texts *t = calloc(1, sizeof *t);
    if (!t) return rn_fail_memory(err, "texts", sizeof *t);
    rn_status st = rn_text_collect(&t->files, paths, count, except, err);
    if (st) {
        free(t);
        return st;
    }
    t->total = measure(&t->files);
    *out = t;
    return RN_OK;
}

rn_status rn_texts_from(rn_texts **out, rn_texts_read *read, void *user, rn_error *err)
{
    rn_texts *t = calloc(1, sizeof *t);
    if (!t) return rn_fail_memory(err, "texts", sizeof *t);
    t->read = read;
    t->user = user;
    *out = t;
    return RN_OK;
}

static void close_file(rn_texts *t)
{
    if (!t->open) return;
    t->before += file_size(t->files.path[t->next - 1]);
    rn_jsonl_close(t->lines);
    t->lines = NULL;
    t->open = false;
}

void rn_texts_close(rn_texts *t)
{
    if (!t) return;
    close_file(t);
    rn_paths_free(&t->files);
    free(t->text);
    free(t);
}

static rn_status make_room(rn_texts *t, const char *path, rn_error *err)
{
    if (t->room - t->length >= CHUNK) return RN_OK;
    uint64_t all = file_size(path) + CHUNK;
    size_t room = t->room ? 2 * t->room : 4 * CHUNK;
    if (!rn_input_is_compressed(path) && all <= SIZE_MAX && room < all)
        room = (size_t)all; /* in one go, without the doubling */
    char *grown = room > t->room ? realloc(t->text, room) : NULL;
    if (!grown) return rn_fail_memory(err, path, room);
    t->text = grown;
    t->room = room;
    return RN_OK;
}

static rn_status read_text(rn_texts *t, const char *path, rn_error *err)
{
    rn_input *in;
    size_t got = 1;
    rn_status st = rn_input_open(&in, path, err);
    if (st) return st;
    t->length = 0;
    while (!st && got > 0) {
        st = make_room(t, path, err);
        if (!st)
            st = rn_input_read(in, t->text + t->length, t->room - t->length, &got, err);
        if (!st) t->length += got;
    }
    rn_input_close(in);
    return st;
}

static rn_status open_file(rn_texts *t, rn_error *err)
{
    const char *path = t->files.path[t->next];
    if (rn_input_ends_in(path, ".bin"))
        return rn_fail(err, RN_EUNSUPPORTED, "%s: a token file by its name, not a text",
                       path);
    rn_status st =
        rn_jsonl_is(path) ? rn_jsonl_open(&t->lines, path, err) : read_text(t, path, err);
    if (st) return st;
    t->next++;
    t->open = true;
    t->given = false;
    return RN_OK;
}

/* *text NULL: the file has no more. */
static rn_status next_of_file(rn_texts *t, const char **text, size_t *length,
                              rn_error *err)
{
    *text = NULL;
    if (t->lines) return rn_jsonl_next(t->lines, text, length, err);
    if (t->given) return RN_OK;
    *text = t->text;
    *length = t->length;
    t->given = true;
    return RN_OK;
}

rn_status rn_texts_next(rn_texts *t, const char **text, size_t *length, rn_error *err)
{
    const char *found = NULL;
    size_t bytes = 0;
    if (t->read) return t->read(t->user, text, length, err);
    while (!found) {
        if (!t->open && t->next == t->files.count) break;
        rn_status st = t->open ? RN_OK : open_file(t, err);
        if (!st) st = next_of_file(t, &found, &bytes, err);
        if (st) return st;
        if (!found) close_file(t);
    }
    *text = found;
    *length = bytes;
    return RN_OK;
}

uint64_t rn_texts_done(const rn_texts *t)
{
    if (t->lines) return t->before + rn_jsonl_consumed(t->lines);
    return t->before + (t->open && t->given ? file_size(t->files.path[t->next - 1]) : 0);
}

uint64_t rn_texts_total(const rn_texts *t)
{
    return t->total;
}

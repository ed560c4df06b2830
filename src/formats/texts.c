/* Texts one after the other (retnet/text.h): files are mapped one at a time, lines of
   JSONL are parsed one at a time. */
#define _POSIX_C_SOURCE 200809L
#include "retnet/text.h"

#include "core/file.h"
#include "formats/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct rn_texts {
    rn_texts_read *read; /* NULL: the files */
    void *user;
    rn_paths files;
    size_t next; /* file to be opened next */
    rn_map map;
    bool open, lines; /* whether a file is mapped, and whether it is JSONL */
    size_t at, line;  /* in the file: byte, and number of the line read last */
    json_t *record;   /* holds the present text of a JSONL line */
    uint64_t before, total;
};

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && !strcmp(path + n - m, end);
}

static uint64_t measure(const rn_paths *files)
{
    uint64_t total = 0;
    struct stat info;
    for (size_t i = 0; i < files->count; i++)
        if (!stat(files->path[i], &info)) total += (uint64_t)info.st_size;
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
    t->before += t->map.size;
    rn_map_close(&t->map);
    t->open = false;
}

void rn_texts_close(rn_texts *t)
{
    if (!t) return;
    json_decref(t->record);
    close_file(t);
    rn_paths_free(&t->files);
    free(t);
}

static rn_status open_file(rn_texts *t, rn_error *err)
{
    const char *path = t->files.path[t->next];
    if (ends_in(path, ".bin"))
        return rn_fail(err, RN_EINVAL, "%s: a token file by its name, not a text", path);
    if (ends_in(path, ".zst"))
        return rn_fail(err, RN_EUNSUPPORTED, "%s: compressed texts are not read here",
                       path);
    rn_status st = rn_map_open(&t->map, path, err);
    if (st) return st;
    t->next++;
    t->open = true;
    t->lines = ends_in(path, ".jsonl") || ends_in(path, ".ndjson");
    t->at = t->line = 0;
    return RN_OK;
}

/* The text of one line; *text NULL where the line is blank. */
static rn_status read_record(rn_texts *t, const char *line, size_t size,
                             const char **text, size_t *length, rn_error *err)
{
    const char *path = t->files.path[t->next - 1];
    json_error_t at;
    size_t blank = 0;
    while (blank < size && strchr(" \t\r", line[blank]) && line[blank]) blank++;
    *text = NULL;
    if (blank == size) return RN_OK;
    t->record = json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &at);
    if (!t->record && json_error_code(&at) == json_error_out_of_memory)
        return rn_fail_memory(err, path, size);
    if (!t->record)
        return rn_fail(err, RN_EFORMAT, "%s: line %zu, column %d: not JSON", path,
                       t->line, at.column);
    const json_t *field = json_object_get(t->record, "text");
    if (!json_is_string(field))
        return rn_fail(err, RN_EFORMAT, "%s: line %zu: no string in the field text", path,
                       t->line);
    *text = json_string_value(field);
    *length = json_string_length(field);
    return RN_OK;
}

/* *text NULL: the file has no more lines. */
static rn_status next_record(rn_texts *t, const char **text, size_t *length,
                             rn_error *err)
{
    *text = NULL;
    while (!*text && t->at < t->map.size) {
        const char *line = (const char *)t->map.data + t->at;
        size_t rest = t->map.size - t->at;
        const char *end = memchr(line, '\n', rest);
        size_t size = end ? (size_t)(end - line) : rest;
        t->at += size + (end ? 1 : 0);
        t->line++;
        json_decref(t->record);
        t->record = NULL;
        rn_status st = read_record(t, line, size, text, length, err);
        if (st) return st;
    }
    return RN_OK;
}

static rn_status next_of_file(rn_texts *t, const char **text, size_t *length,
                              rn_error *err)
{
    if (t->lines) return next_record(t, text, length, err);
    bool given = t->at > 0 || t->line > 0;
    *text = given ? NULL : t->map.size ? (const char *)t->map.data : "";
    *length = given ? 0 : t->map.size;
    t->at = t->map.size;
    t->line = 1;
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
    return t->before + (t->open ? t->at : 0);
}

uint64_t rn_texts_total(const rn_texts *t)
{
    return t->total;
}

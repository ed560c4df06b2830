/* JSONL line by line: memory is that of the longest line. */
#define _POSIX_C_SOURCE 200809L
#include "formats/jsonl.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM ((size_t)1 << 16)

struct rn_jsonl {
    char *path;
    rn_input *in;
    char *buffer; /* of `room` bytes; those from `begin` to `end` are not used up */
    size_t room, begin, end;
    bool ended; /* the input has */
    uint64_t line;
    json_t *record;
};

bool rn_jsonl_is(const char *path)
{
    return rn_input_ends_in(path, ".jsonl") || rn_input_ends_in(path, ".ndjson");
}

rn_status rn_jsonl_open(rn_jsonl **out, const char *path, rn_error *err)
{
    rn_jsonl *j = calloc(1, sizeof *j);
    if (!j) return rn_fail_memory(err, path, sizeof *j);
    j->path = strdup(path);
    j->room = FIRST_ROOM;
    j->buffer = malloc(j->room);
    rn_status st = RN_OK;
    if (!j->path || !j->buffer) st = rn_fail_memory(err, path, j->room);
    if (!st) st = rn_input_open(&j->in, path, err);
    if (st) rn_jsonl_close(j);
    else *out = j;
    return st;
}

void rn_jsonl_close(rn_jsonl *j)
{
    if (!j) return;
    json_decref(j->record);
    rn_input_close(j->in);
    free(j->buffer);
    free(j->path);
    free(j);
}

uint64_t rn_jsonl_consumed(const rn_jsonl *j)
{
    return rn_input_consumed(j->in);
}

/* Room for more behind `end`: what is used up makes place, then the buffer doubles. */
static rn_status make_room(rn_jsonl *j, rn_error *err)
{
    if (j->begin > 0) {
        memmove(j->buffer, j->buffer + j->begin, j->end - j->begin);
        j->end -= j->begin;
        j->begin = 0;
    }
    if (j->end < j->room) return RN_OK;
    if (j->room > RN_JSONL_LINE)
        return rn_fail(err, RN_EFORMAT,
                       "%s: line %" PRIu64 " has more than the %zu bytes that are read",
                       j->path, j->line + 1, RN_JSONL_LINE);
    size_t room = j->room < RN_JSONL_LINE ? 2 * j->room : RN_JSONL_LINE + 2;
    char *grown = realloc(j->buffer, room);
    if (!grown) return rn_fail_memory(err, j->path, room);
    j->buffer = grown;
    j->room = room;
    return RN_OK;
}

/* The next line without its end; *line NULL: there is none. */
static rn_status next_line(rn_jsonl *j, char **line, size_t *length, rn_error *err)
{
    size_t seen = 0;
    for (;;) {
        char *from = j->buffer + j->begin;
        size_t have = j->end - j->begin, got;
        const char *end = memchr(from + seen, '\n', have - seen);
        if (end || (j->ended && have)) {
            *line = from;
            *length = end ? (size_t)(end - from) : have;
            j->begin += *length + (end != NULL);
            j->line++;
            return RN_OK;
        }
        *line = NULL;
        if (j->ended) return RN_OK;
        seen = have;
        rn_status st = make_room(j, err);
        if (!st)
            st = rn_input_read(j->in, j->buffer + j->end, j->room - j->end, &got, err);
        if (st) return st;
        j->end += got;
        j->ended = got == 0;
    }
}

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!strchr(" \t\r", line[i]) || !line[i]) return false;
    return true;
}

static rn_status parse_line(rn_jsonl *j, const char *line, size_t length,
                            const char **text, size_t *bytes, rn_error *err)
{
    static const char bom[] = "\xef\xbb\xbf";
    json_error_t e;
    if (j->line == 1 && length >= 3 && !memcmp(line, bom, 3)) {
        line += 3;
        length -= 3;
    }
    j->record = json_loadb(
        line, length, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &e);
    if (!j->record)
        return rn_fail(err, RN_EFORMAT, "%s: line %" PRIu64 ", column %d: %s", j->path,
                       j->line, e.column, e.text);
    if (!json_is_object(j->record))
        return rn_fail(err, RN_EFORMAT, "%s: line %" PRIu64 " is no JSON object", j->path,
                       j->line);
    const json_t *value = json_object_get(j->record, "text");
    if (!json_is_string(value))
        return rn_fail(err, RN_EFORMAT, "%s: line %" PRIu64 ": %s", j->path, j->line,
                       value ? "\"text\" is no string" : "no \"text\"");
    *text = json_string_value(value);
    *bytes = json_string_length(value);
    return RN_OK;
}

rn_status rn_jsonl_next(rn_jsonl *j, const char **text, size_t *length, rn_error *err)
{
    char *line;
    size_t n;
    json_decref(j->record);
    j->record = NULL;
    do {
        rn_status st = next_line(j, &line, &n, err);
        if (st) return st;
    } while (line && is_blank(line, n));
    if (line) return parse_line(j, line, n, text, length, err);
    *text = NULL;
    *length = 0;
    return RN_OK;
}

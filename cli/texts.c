/* Texts for the commands; see texts.h. Standard input is waited for with a timeout, so
   that Ctrl-C is noticed. */
#define _POSIX_C_SOURCE 200809L
#include "texts.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 16, WAIT_MS = 200 };

int cli_texts_open(cli_texts *t, const char *const *paths, size_t count, bool lines,
                   const char *leave_out, rn_error *err)
{
    *t = (cli_texts){.lines = lines};
    if (!paths) return CLI_DONE;
    return cli_code(rn_texts_open(&t->files, paths, count, leave_out, err));
}

void cli_texts_close(cli_texts *t)
{
    rn_texts_close(t->files);
    free(t->buffer);
    *t = (cli_texts){0};
}

/* Room for a chunk behind what is there; what was given goes. */
static int make_room(cli_texts *t, rn_error *err)
{
    if (t->at > 0) memmove(t->buffer, t->buffer + t->at, t->used - t->at);
    t->used -= t->at;
    t->at = 0;
    if (t->room - t->used >= CHUNK) return CLI_DONE;
    size_t room = t->room ? 2 * t->room : 4 * CHUNK;
    char *grown = room > t->room ? realloc(t->buffer, room) : NULL;
    if (!grown) return cli_fail(err, "out of memory for %zu bytes of input", t->used);
    t->buffer = grown;
    t->room = room;
    return CLI_DONE;
}

/* Some bytes more, or the end. */
static int read_more(cli_texts *t, rn_error *err)
{
    int code = make_room(t, err);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!code) {
        if (cli_interrupted()) return CLI_INTERRUPTED;
        int ready = poll(&input, 1, WAIT_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        ssize_t n = read(STDIN_FILENO, t->buffer + t->used, t->room - t->used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cli_fail(err, "standard input: %s", strerror(errno));
        t->used += (size_t)n;
        t->ended = n == 0;
        break;
    }
    return code;
}

static int next_of_input(cli_texts *t, const char **text, size_t *length, rn_error *err)
{
    bool first = !t->ended;
    int code = CLI_DONE;
    while (!code && !t->ended) code = read_more(t, err);
    *text = first ? t->buffer : NULL;
    *length = t->used;
    return code;
}

static int next_line_of_input(cli_texts *t, const char **text, size_t *length,
                              rn_error *err)
{
    size_t looked = 0;
    for (;;) {
        size_t have = t->used - t->at;
        const char *line = t->buffer ? t->buffer + t->at : NULL;
        const char *end = line ? memchr(line + looked, '\n', have - looked) : NULL;
        if (end || t->ended) {
            bool none = !end && !have;
            *text = none ? NULL : line;
            *length = end ? (size_t)(end - line) : have;
            t->at += *length + (end != NULL);
            return CLI_DONE;
        }
        looked = have;
        int code = read_more(t, err);
        if (code) return code;
    }
}

static int next_line_of_files(cli_texts *t, const char **text, size_t *length,
                              rn_error *err)
{
    while (!t->left) {
        int code = cli_code(rn_texts_next(t->files, &t->rest, &t->left, err));
        if (code || !t->rest) {
            *text = NULL;
            return code;
        }
    }
    const char *end = memchr(t->rest, '\n', t->left);
    *text = t->rest;
    *length = end ? (size_t)(end - t->rest) : t->left;
    size_t taken = *length + (end != NULL);
    t->rest += taken;
    t->left -= taken;
    return CLI_DONE;
}

int cli_texts_next(cli_texts *t, const char **text, size_t *length, rn_error *err)
{
    if (cli_interrupted()) return CLI_INTERRUPTED;
    if (!t->files && t->lines) return next_line_of_input(t, text, length, err);
    if (!t->files) return next_of_input(t, text, length, err);
    if (t->lines) return next_line_of_files(t, text, length, err);
    return cli_code(rn_texts_next(t->files, text, length, err));
}

uint64_t cli_texts_total(const cli_texts *t)
{
    return t->files ? rn_texts_total(t->files) : 0;
}

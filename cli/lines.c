/* Lines from a terminal or a pipe; see lines.h. Bytes are waited for by poll with a
   timeout, since a signal may go to another thread than the one that waits. */
#define _XOPEN_SOURCE 700
#include "lines.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY = 1000, WAIT_MS = 100, PIECE = 65536, LONGEST = 1 << 24, CONTROL_D = 4 };

struct cli_lines {
    /* A terminal's. */
    EditLine *edit;
    History *history;
    char history_path[4096]; /* "": none */
    const char *prompt;
    mbstate_t part;
    /* A pipe's: bytes begin .. end-1 are not handed out yet. */
    char *buffer;
    size_t begin, end, room;
    bool ended;
};

/* Reads standard input; -1 with EINTR after a signal. */
static ssize_t read_input(void *to, size_t count)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        if (cli_interrupted()) {
            errno = EINTR;
            return -1;
        }
        int ready = poll(&in, 1, WAIT_MS);
        if (ready < 0 && errno != EINTR) return -1;
        if (ready <= 0) continue;
        ssize_t got = read(STDIN_FILENO, to, count);
        if (got >= 0 || errno != EINTR) return got;
    }
}

/* ---- A terminal ---- */

/* The editor's reader: a character from as many bytes as it has; others are passed over.
 */
static int read_character(EditLine *edit, wchar_t *out)
{
    void *data = NULL;
    char byte;
    el_get(edit, EL_CLIENTDATA, &data);
    cli_lines *lines = data;
    for (;;) {
        ssize_t got = read_input(&byte, 1);
        if (got <= 0) return (int)got;
        if (!byte) byte = CONTROL_D;
        size_t used = mbrtowc(out, &byte, 1, &lines->part);
        if (used == (size_t)-1) lines->part = (mbstate_t){0};
        else if (used != (size_t)-2) return 1;
    }
}

static char *show_prompt(EditLine *edit)
{
    void *data = NULL;
    el_get(edit, EL_CLIENTDATA, &data);
    const cli_lines *lines = data;
    return (char *)(uintptr_t)lines->prompt;
}

static void find_history(char *out, size_t room)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (state && *state == '/') n = snprintf(out, room, "%s/retnet/history", state);
    else if (home && *home == '/')
        n = snprintf(out, room, "%s/.local/state/retnet/history", home);
    if (n <= 0 || (size_t)n >= room) *out = '\0';
}

/* The folders above `path`, those that are missing. */
static void make_folders(const char *path)
{
    char part[4096];
    for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0700);
    }
}

/* A file that is there and cannot be read as a history is not one, and is left alone. */
static void load_history(cli_lines *lines)
{
    HistEvent event;
    char *path = lines->history_path;
    find_history(path, sizeof lines->history_path);
    if (*path && !access(path, F_OK) && history(lines->history, &event, H_LOAD, path) < 0)
        *path = '\0';
}

static void save_history(cli_lines *lines)
{
    HistEvent event;
    char aside[4200];
    if (!*lines->history_path) return;
    make_folders(lines->history_path);
    snprintf(aside, sizeof aside, "%s.tmp-%ld", lines->history_path, (long)getpid());
    if (history(lines->history, &event, H_SAVE, aside) < 0 ||
        rename(aside, lines->history_path))
        remove(aside);
}

static int open_terminal(cli_lines *lines, rn_error *err)
{
    HistEvent event;
    const char *locale = setlocale(LC_CTYPE, "");
    if (!locale || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    lines->edit = el_init("retnet", stdin, stdout, stderr);
    lines->history = history_init();
    if (!lines->edit || !lines->history)
        return cli_fail(err, "the terminal cannot be used for editing lines");
    history(lines->history, &event, H_SETSIZE, HISTORY);
    history(lines->history, &event, H_SETUNIQUE, 1);
    el_set(lines->edit, EL_CLIENTDATA, lines);
    el_set(lines->edit, EL_PROMPT, show_prompt);
    el_set(lines->edit, EL_EDITOR, "emacs");
    el_set(lines->edit, EL_HIST, history, lines->history);
    el_set(lines->edit, EL_GETCFN, read_character);
    load_history(lines);
    return CLI_DONE;
}

static cli_input next_typed(cli_lines *lines, const char **text, size_t *length)
{
    HistEvent event;
    int count = 0;
    el_resize(lines->edit);
    const char *line = el_gets(lines->edit, &count);
    if (!line) return cli_interrupted() ? CLI_INPUT_INTERRUPTED : CLI_INPUT_END;
    *length = strlen(line);
    if (*length > 1) history(lines->history, &event, H_ENTER, line);
    if (*length && line[*length - 1] == '\n') --*length;
    *text = line;
    return CLI_INPUT_TEXT;
}

/* ---- A pipe ---- */

static int make_room(cli_lines *lines, rn_error *err)
{
    if (lines->begin) {
        memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->begin = 0;
    }
    if (lines->room - lines->end >= PIECE) return CLI_DONE;
    if (lines->end > LONGEST)
        return cli_fail(err, "standard input: a line of more than %d bytes", LONGEST);
    size_t room = lines->room * 2 + PIECE;
    char *grown = realloc(lines->buffer, room);
    if (!grown) return cli_fail(err, "standard input: out of memory for a line");
    lines->buffer = grown;
    lines->room = room;
    return CLI_DONE;
}

/* Hands out the bytes up to `end`, of which the last is a newline or the input's end. */
static cli_input hand_out(cli_lines *lines, size_t count, const char **text,
                          size_t *length)
{
    *text = lines->buffer + lines->begin;
    *length = count;
    lines->begin += count < lines->end - lines->begin ? count + 1 : count;
    if (*length && (*text)[*length - 1] == '\r') --*length;
    return CLI_INPUT_TEXT;
}

static cli_input next_piped(cli_lines *lines, const char **text, size_t *length,
                            rn_error *err)
{
    for (size_t seen = 0;;) {
        const size_t have = lines->end - lines->begin;
        const char *from = lines->buffer ? lines->buffer + lines->begin : "";
        const char *newline = have > seen ? memchr(from + seen, '\n', have - seen) : NULL;
        if (newline) return hand_out(lines, (size_t)(newline - from), text, length);
        if (lines->ended)
            return have ? hand_out(lines, have, text, length) : CLI_INPUT_END;
        seen = have;
        if (make_room(lines, err)) return CLI_INPUT_FAILED;
        ssize_t got = read_input(lines->buffer + lines->end, lines->room - lines->end);
        if (got < 0 && errno == EINTR) return CLI_INPUT_INTERRUPTED;
        if (got < 0) {
            cli_fail(err, "standard input: %s", strerror(errno));
            return CLI_INPUT_FAILED;
        }
        lines->ended = got == 0;
        lines->end += (size_t)got;
    }
}

/* ---- Both ---- */

int cli_lines_open(cli_lines **out, bool terminal, rn_error *err)
{
    cli_lines *lines = calloc(1, sizeof *lines);
    if (!lines) return cli_fail(err, "out of memory for lines");
    int code = terminal ? open_terminal(lines, err) : CLI_DONE;
    if (code) {
        cli_lines_close(lines);
        return code;
    }
    *out = lines;
    return CLI_DONE;
}

void cli_lines_close(cli_lines *lines)
{
    if (!lines) return;
    if (lines->edit && lines->history) save_history(lines);
    if (lines->history) history_end(lines->history);
    if (lines->edit) el_end(lines->edit);
    free(lines->buffer);
    free(lines);
}

cli_input cli_lines_next(cli_lines *lines, const char *prompt, const char **text,
                         size_t *length, rn_error *err)
{
    lines->prompt = prompt;
    return lines->edit ? next_typed(lines, text, length)
                       : next_piped(lines, text, length, err);
}

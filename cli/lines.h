/*
 * Lines that a person types, with editing and a history, or that come through a pipe. The
 * history lies in $XDG_STATE_HOME/retnet/history (~/.local/state), and does without where
 * it cannot be read or written.
 */
#ifndef RN_CLI_LINES_H
#define RN_CLI_LINES_H

#include "retnet/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct cli_lines cli_lines;

typedef enum cli_input {
    CLI_INPUT_TEXT,        /* there is one, perhaps empty */
    CLI_INPUT_END,         /* end of input, Ctrl-D */
    CLI_INPUT_INTERRUPTED, /* Ctrl-C, or SIGTERM: what was typed is gone */
    CLI_INPUT_FAILED
} cli_input;

/* terminal: standard input and output are one. */
int cli_lines_open(cli_lines **out, bool terminal, rn_error *err);
void cli_lines_close(cli_lines *lines); /* NULL is allowed; writes the history */

/* The next line, without its newline: owned by `lines`, until the next call. The prompt
   is shown on a terminal only. */
cli_input cli_lines_next(cli_lines *lines, const char *prompt, const char **text,
                         size_t *length, rn_error *err);

#endif

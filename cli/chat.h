/* What the files of the command chat share. */
#ifndef RN_CLI_CHAT_H
#define RN_CLI_CHAT_H

#include "forks.h"
#include "lines.h"
#include "open.h"

#include <jansson.h>

/* What stands before and after a line, what ends an answer, and what is read after it. */
typedef struct cli_template {
    const char *name, *before, *after, *stop, *closing;
} cli_template;

typedef struct cli_talk {
    const cli_args *args;
    cli_model m;
    cli_forks forks;
    cli_lines *lines;
    const cli_template *around;
    const char **stops; /* the template's, then those of --stop */
    size_t stop_count;
    bool terminal, leave;
    size_t failed;   /* commands */
    json_t *answers; /* with --json */
    char *text;      /* with --json: of the present answer */
    size_t text_length, text_room;
    uint64_t position_before;
} cli_talk;

/* One turn: reads the line, shows the answer. A turn that fails, or whose line is not
   read to its end, is taken back. */
int cli_chat_turn(cli_talk *c, const char *line, size_t length, rn_error *err);

/* Runs the command of a line behind its slash. One that fails is told at once and
   counted, and the chat goes on. */
int cli_chat_command(cli_talk *c, const char *text, size_t length, rn_error *err);

/* Position of the session in use. */
unsigned long long cli_chat_position(cli_talk *c);

#endif

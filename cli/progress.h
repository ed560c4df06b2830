/* Progress on standard error: one line redrawn on a terminal, plain lines at most one
   every ten seconds elsewhere, nothing with --quiet. */
#ifndef RN_CLI_PROGRESS_H
#define RN_CLI_PROGRESS_H

#include "options.h"

typedef struct cli_progress {
    bool quiet, terminal;
    double last;  /* when a line was shown */
    size_t width; /* columns on the terminal line */
} cli_progress;

void cli_progress_start(cli_progress *p, const cli_args *args);

/* Whether a line would be shown now: saves making a text that nobody sees. */
bool cli_progress_due(const cli_progress *p);

__attribute__((format(printf, 2, 3))) void cli_progress_show(cli_progress *p,
                                                             const char *format, ...);

/* "[######......] 45%" for a part of 0 to 1, into out and returned. */
#define CLI_BAR 96
const char *cli_progress_bar(char out[CLI_BAR], double part);

/* Clears the terminal's line, before a result, a note or an error. */
void cli_progress_clear(cli_progress *p);

#endif

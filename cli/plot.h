/* Drawing through gnuplot, which is a program of its own and may be missing. */
#ifndef RN_CLI_PLOT_H
#define RN_CLI_PLOT_H

#include "options.h"

/* Before long work: whether gnuplot can be found and the folder of `path` be written.
   CLI_FAILED with one line that says what is missing. */
int cli_plot_check(const char *path, rn_error *err);

/* Runs gnuplot on a script that draws to standard output, and puts what it drew into
   `path`: the whole of it, or, with an error, nothing. */
int cli_plot_draw(const char *path, const char *script, size_t length, rn_error *err);

#endif

/* The progress line; see progress.h. No escape sequences: a line is blanked with spaces,
   so a dumb terminal and NO_COLOR need no case of their own. */
#define _DEFAULT_SOURCE
#include "progress.h"

#include "output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double terminal_seconds = 0.1, pipe_seconds = 10, pipe_first_seconds = 2;

void cli_progress_start(cli_progress *p, const cli_args *args)
{
    *p = (cli_progress){.quiet = cli_int(args, "quiet") != 0,
                        .terminal = isatty(STDERR_FILENO) != 0};
    double wait = p->terminal ? terminal_seconds : pipe_seconds;
    p->last = cli_seconds() - wait + (p->terminal ? 0 : pipe_first_seconds);
}

bool cli_progress_due(const cli_progress *p)
{
    if (p->quiet) return false;
    double wait = p->terminal ? terminal_seconds : pipe_seconds;
    return cli_seconds() - p->last >= wait;
}

static size_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2) return 79;
    return (size_t)size.ws_col - 1;
}

static void draw(cli_progress *p, char *line)
{
    size_t columns = terminal_columns(), length = strlen(line);
    if (length > columns) line[length = columns] = 0;
    size_t blanks = p->width > length ? p->width - length : 0;
    if (blanks > columns - length) blanks = columns - length;
    fprintf(stderr, "\r%s%*s", line, (int)blanks, "");
    fflush(stderr);
    p->width = length;
}

void cli_progress_show(cli_progress *p, const char *format, ...)
{
    char line[400];
    if (!cli_progress_due(p)) return;
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    p->last = cli_seconds();
    if (p->terminal) draw(p, line);
    else fprintf(stderr, "%s\n", line);
}

const char *cli_progress_bar(char out[CLI_BAR], double part)
{
    enum { MARKS = 30 };
    static const char full[] = "##############################";
    static const char rest[] = "..............................";
    double inside = part > 0 ? (part < 1 ? part : 1) : 0;
    int marks = (int)(inside * MARKS);
    snprintf(out, CLI_BAR, "[%.*s%.*s] %d%%", marks, full, MARKS - marks, rest,
             (int)(100 * inside + 0.5));
    return out;
}

void cli_progress_clear(cli_progress *p)
{
    if (!p->terminal || !p->width) return;
    char empty[1] = "";
    draw(p, empty);
    fputc('\r', stderr);
    fflush(stderr);
}

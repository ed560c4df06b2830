/* Texts made from the option tables: --help, man pages, completion scripts. */
#ifndef RN_CLI_HELP_H
#define RN_CLI_HELP_H

#include "options.h"

#include <stdio.h>

/* The overview of all commands, one command's --help, and that of all parts of a family.
 */
void cli_help_overview(FILE *out);
void cli_help_command(FILE *out, const cli_command *command);
void cli_help_family(FILE *out, const char *family);

/* roff; command NULL: the overview page retnet(1). */
void cli_man(FILE *out, const cli_command *command);

/* A completion script for "bash", "zsh" or "fish"; false for another shell. */
bool cli_completion(FILE *out, const char *shell);

/* What the option's value looks like: its metavar, or its words "a|b|c". */
void cli_option_value(const cli_option *option, char *out, size_t size);

/* The help text with unit and default behind it in parentheses. */
void cli_option_detail(const cli_option *option, char *out, size_t size);

#endif

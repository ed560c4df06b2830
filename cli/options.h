/*
 * The one option table of a command. From it come the parser, --help, the man page and
 * the completion scripts, so that none of them can drift. GNU long options: --name value
 * or
 * --name=value; one-letter forms for a few; `--` ends the options.
 */
#ifndef RN_CLI_OPTIONS_H
#define RN_CLI_OPTIONS_H

#include "retnet/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cli_kind {
    CLI_FLAG,   /* no value */
    CLI_INT,    /* a whole number from min to max */
    CLI_REAL,   /* a finite number from min to max */
    CLI_TEXT,   /* any text */
    CLI_CHOICE, /* one of `choices`; the value is its index */
    CLI_LIST,   /* text; may be given several times */
    CLI_PATHS,  /* as CLI_LIST, and takes every argument up to the next option */
    CLI_INTS,   /* whole numbers from min to max, separated by commas */
    CLI_CHOICES /* some of `choices`, separated by commas; the values are indices */
} cli_kind;

/* What completion offers for a value. */
typedef enum cli_complete { CLI_NOTHING, CLI_FILES, CLI_FOLDERS } cli_complete;

typedef struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* short form, or 0 */
    cli_kind kind;
    const char *metavar;
    const char *fallback; /* the default as it would be typed; NULL: none */
    const char *shown;    /* words for the default where it is no fixed value, or NULL */
    const char *unit;     /* "tokens", or NULL */
    double min, max;
    const char *const *choices; /* CLI_CHOICE, CLI_CHOICES: names, NULL at the end */
    const char *(*words)(
        size_t index); /* CLI_CHOICE instead of choices; NULL at the end */
    const char *later; /* a value that this version does not have, or NULL */
    cli_complete complete;
    const char *help;
} cli_option;

/* Options under one heading; a command's table is a list of groups, shared ones included.
 */
typedef struct cli_group {
    const char *title;
    const cli_option *options;
    size_t count;
} cli_group;

#define CLI_GROUP(title, options)                                                        \
    {                                                                                    \
        title, options, sizeof(options) / sizeof((options)[0])                           \
    }

typedef struct cli_args cli_args;

typedef struct cli_command {
    const char *name;
    const char *summary;   /* one line, lower case, without a full stop */
    const char *arguments; /* "MODEL", or "" */
    size_t min_operands, max_operands;
    const char *const *operand_words; /* fixed words for the first operand, or NULL */
    const char *about;                /* paragraphs separated by an empty line */
    const cli_group *const *groups;   /* NULL at the end */
    const char *examples[4];          /* pairs: command line, what it does */
    int (*run)(const cli_args *args, rn_error *err);
} cli_command;

/* A parsed value. Which fields are set depends on the kind. */
typedef struct cli_value {
    bool given; /* on the command line, not by default */
    const char *text;
    int64_t number; /* CLI_INT, CLI_CHOICE (index), CLI_FLAG (0 or 1) */
    double real;
    const char **list; /* CLI_LIST, CLI_PATHS */
    int64_t *numbers;  /* CLI_INTS, CLI_CHOICES (indices) */
    size_t count;      /* of list or numbers */
} cli_value;

struct cli_args {
    const cli_command *command;
    cli_value *values; /* one per option, groups in order */
    size_t value_count;
    const char **operands;
    size_t operand_count;
    bool help; /* --help was seen; what follows was not parsed */
};

/* Parses what follows the command's name; strings stay in argv. RN_EINVAL: wrong usage,
   with the message that the user shall read. cli_args_free in either case. */
rn_status cli_parse(cli_args *out, const cli_command *command, int argc,
                    const char *const *argv, rn_error *err);
void cli_args_free(cli_args *args);

/* Values by option name, which must be in the command's table. */
const cli_value *cli_get(const cli_args *args, const char *name);
bool cli_has(const cli_args *args, const char *name);
bool cli_given(const cli_args *args, const char *name);
int64_t cli_int(const cli_args *args, const char *name);
double cli_real(const cli_args *args, const char *name);
const char *cli_text(const cli_args *args, const char *name);

/* Number of options of a command, and the i-th, with the title of its group (may be
 * NULL). */
size_t cli_option_count(const cli_command *command);
const cli_option *cli_option_at(const cli_command *command, size_t index,
                                const char **title);

/* The i-th word of a CLI_CHOICE or CLI_CHOICES, or NULL past the end. */
const char *cli_choice(const cli_option *option, size_t index);

/* The word of `words` (NULL at the end) nearest to `typed`, or NULL when none is near. */
const char *cli_nearest(const char *typed, const char *const *words);

#endif

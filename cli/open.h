/* From options to an execution handle, a model and its tokenizer. */
#ifndef RN_CLI_OPEN_H
#define RN_CLI_OPEN_H

#include "options.h"

#include "retnet/data.h"
#include "retnet/model.h"

/* What a command works with. The tokenizer is NULL when the program has none for the
 * model. */
typedef struct cli_model {
    rn_exec *x;
    rn_model *model;
    rn_model_info info;
    rn_tokenizer *tokenizer;
    const char *label; /* the path, the preset or the config's path */
} cli_model;

int cli_open_exec(const cli_args *args, rn_exec **out, rn_error *err);

/* Whether MODEL (`path`, NULL: not given) and --random, --preset, --config, --set fit
   together; for a random model also whether its config is right. Reads no weights. */
int cli_check_model(const cli_args *args, const char *path, rn_error *err);

/* Exec, model and tokenizer; cli_close_model in either case. */
int cli_open_model(const cli_args *args, const char *path, cli_model *out, rn_error *err);
void cli_close_model(cli_model *m);

/* One line on standard error, unless --quiet, for every config key that nobody knows. For
   commands that do not go through cli_open_model. */
void cli_warn_of_keys(const cli_args *args, const rn_model *model, const char *label);

/* --preset, --config and --set as the library takes them; settings live in args. */
rn_model_source cli_source(const cli_args *args);

/* Describes the model of a source: CLI_FAILED for a bad config file, CLI_USAGE for a bad
   --set. */
int cli_describe(const rn_model_source *source, rn_model **out, rn_error *err);

#endif

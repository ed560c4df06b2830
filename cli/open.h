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
    bool bytewise;     /* the tokenizer is the byte one */
    const char *label; /* the path, the preset or the config's path */
} cli_model;

/* What --type asks of exec and model. `load`: a model for inference, its matrices held in
   `type`; otherwise one that can be trained, of float32. */
typedef struct cli_typing {
    bool bf16; /* of the exec */
    bool load;
    rn_weight_type type;
} cli_typing;

/* For inference; as stored when --type is not given. */
cli_typing cli_typing_of(const cli_args *args);

/* Exec as --type and the other common options want it. */
int cli_open_exec(const cli_args *args, rn_exec **out, rn_error *err);

/* The same with bfloat16 products on or off whatever the options say. */
int cli_open_exec_as(const cli_args *args, bool bf16, rn_exec **out, rn_error *err);

/* Whether MODEL (`path`, NULL: not given) and --random, --preset, --config, --set fit
   together; for a random model also whether its config is right. Reads no weights. */
int cli_check_model(const cli_args *args, const char *path, rn_error *err);

/* Exec, model and tokenizer; cli_close_model in either case. */
int cli_open_model(const cli_args *args, const char *path, cli_model *out, rn_error *err);
void cli_close_model(cli_model *m);

/* Exec and model alone, without a tokenizer and warnings. cli_close_model in either case.
 */
int cli_open_model_as(const cli_args *args, const char *path, const cli_typing *how,
                      cli_model *out, rn_error *err);

/* One line on standard error, unless --quiet, for a config key that nobody knows, and for
   all of a model. For commands that do not go through cli_open_model. */
void cli_warn_of_key(const cli_args *args, const char *key, const char *label);
void cli_warn_of_keys(const cli_args *args, const rn_model *model, const char *label);

/* Sets out to the file `name` in the model's folder; false where there is none. `path` is
   the folder or a file in it. */
bool cli_find_beside(const char *path, const char *name, char *out, size_t size);

/* --preset, --config and --set as the library takes them; settings live in args. */
rn_model_source cli_source(const cli_args *args);

/* Describes the model of a source: CLI_FAILED for a bad config file, CLI_USAGE for a bad
   --set. */
int cli_describe(const rn_model_source *source, rn_model **out, rn_error *err);

#endif

/*
 * The commands of the program, their exit codes, and the option groups that they share. A
 * command is one file: its table and its run function.
 */
#ifndef RN_CLI_COMMANDS_H
#define RN_CLI_COMMANDS_H

#include "options.h"

/* Exit codes. A run function that returns CLI_FAILED or CLI_USAGE has filled its error.
 */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

extern const cli_command cli_train, cli_generate, cli_chat, cli_eval, cli_quantize,
    cli_info, cli_bench_command;

/* The commands in the order of the overview; NULL past the end. */
const cli_command *cli_command_at(size_t index);
const cli_command *cli_command_find(const char *name);

/* One line for the overview, and the man page's NAME. */
#define CLI_SUMMARY "train, run and measure Retentive Networks"

/* --threads --cpu --device --seed --quiet --json --type; the second is for a command with
   a --type of its own. */
extern const cli_group cli_common, cli_common_but_type;
/* --random --preset --config --set: a model with random weights instead of MODEL. */
extern const cli_group cli_random_model;

/* What --form, --row-norm, --cpu mean: words in the order of the enums of retnet/types.h.
 */
extern const char *const cli_forms[];
extern const char *const cli_row_norms[];

/* What --type means, in the order of rn_weight_type; NULL past the end. */
const char *cli_weight_type(size_t index);

#endif

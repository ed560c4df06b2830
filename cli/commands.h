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
    cli_convert, cli_info, cli_bench_command, cli_tokenizer_train, cli_tokenizer_encode,
    cli_tokenizer_decode;

/* The commands in the order of the overview; NULL past the end. */
const cli_command *cli_command_at(size_t index);
const cli_command *cli_command_find(const char *name);

/* The command that argv begins with, which takes *used words of it; NULL: none. */
const cli_command *cli_command_typed(int argc, const char *const *argv, int *used);

/* A command of two words ("tokenizer train") is a part of the family that the first one
   names. The parts of a family in order, NULL past the end; a command's second word, or
   NULL; whether the command begins its family in the order of the overview. */
const cli_command *cli_family_at(const char *family, size_t index);
const char *cli_command_part(const cli_command *command);
bool cli_family_begins(size_t index);

/* The family's name, or that of a command of one word. */
#define CLI_NAME 32
void cli_command_family(const cli_command *command, char out[CLI_NAME]);

/* One line for the overview, and the man page's NAME. */
#define CLI_SUMMARY "train, run and measure Retentive Networks"

/* --threads --cpu --device --seed --quiet --json --type; the second is for a command with
   a --type of its own, the third, --quiet and --json, for one that does not compute. */
extern const cli_group cli_common, cli_common_but_type, cli_common_of_output;
/* --random --preset --config --set: a model with random weights instead of MODEL. */
extern const cli_group cli_random_model;

/* What --form, --row-norm, --cpu mean: words in the order of the enums of retnet/types.h.
 */
extern const char *const cli_forms[];
extern const char *const cli_row_norms[];

/* "on", "off": what --documents takes. */
extern const char *const cli_on_off[];

/* What --type means, in the order of rn_weight_type; NULL past the end. */
const char *cli_weight_type(size_t index);

#endif

/* How tokens are drawn: the options that generate and chat share. */
#ifndef RN_CLI_SAMPLING_H
#define RN_CLI_SAMPLING_H

#include "options.h"

#include "retnet/session.h"

/* --tokens --temperature --top-k --top-p --min-p --repeat-penalty --greedy --stop */
extern const cli_group cli_sampling_group;

/* CLI_USAGE for options that contradict each other. */
int cli_sampling_check(const cli_args *args, rn_error *err);

rn_sampling cli_sampling_of(const cli_args *args);

#endif

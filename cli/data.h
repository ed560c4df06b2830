/* The training and validation tokens of a command line: what --data, --weights, --val,
   --val-fraction, --documents and --document-token ask for. */
#ifndef RN_CLI_DATA_H
#define RN_CLI_DATA_H

#include "tokens.h"

#include "retnet/train.h"

/* One of the sources that are mixed, or the only one: its tokens, and the parts of them
   that train and validate (NULL: all train). */
typedef struct cli_part {
    rn_tokens *all, *train, *val;
    cli_staged file;
} cli_part;

/* Zeroed at first. */
typedef struct cli_data {
    cli_part *parts;
    rn_train_source *sources; /* what trains, with its weights */
    size_t count;
    rn_tokens *val; /* NULL: nothing validates */
    cli_staged val_file;
} cli_data;

/* What can be said before any work: whether the options fit together, and the paths are
   there. */
int cli_data_check(const cli_args *args, rn_error *err);

/* Whether any text outside of OUT is to be encoded: then the vocabulary is the
   tokenizer's. */
bool cli_data_reads_text(const cli_args *args, const char *out);

/* Reads everything, with built token files for OUT. cli_data_close in either case. */
int cli_data_open(cli_data *d, const cli_args *args, const char *out,
                  const cli_reading *how, rn_error *err);

/* Gives built files their names; those that have none are removed by close. */
int cli_data_place(cli_data *d, rn_error *err);
void cli_data_close(cli_data *d);

#endif

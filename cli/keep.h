/* --keep: the models of the last checkpoints of a training run, in
 * OUT/keep/step-NNNNNNNN. */
#ifndef RN_CLI_KEEP_H
#define RN_CLI_KEEP_H

#include "options.h"

#include "retnet/model.h"

/* Removes what killed runs left half made. Folders that are named like kept models and
   hold other things are left alone, with a note when `warn`. */
void cli_keep_clean(const cli_args *args, const char *out, bool warn);

/* Saves the model of this step and removes all but the newest `count`. */
int cli_keep_model(const rn_model *model, const char *out, uint64_t step, size_t count,
                   rn_error *err);

#endif

/* What rewriting a checkpoint shares: a new folder that is whole or not there, and the
   files beside the weights. */
#ifndef RN_API_SIDE_FILES_H
#define RN_API_SIDE_FILES_H

#include "core/error.h"

/* Copies the tokenizer's and generation's files that lie beside the checkpoint `in`, a
   folder or a file, into `folder`; of a GGUF file those that are inside. */
rn_status rn_side_files_copy(const char *in, const char *folder, rn_error *err);

/* Makes a folder beside `out`, has it filled, and gives it the name `out`, which must be
   free (RN_EEXIST); when something fails nothing is left. */
typedef rn_status rn_fill_fn(void *user, const char *folder, rn_error *err);
rn_status rn_side_files_place(const char *out, rn_fill_fn *fill, void *user,
                              rn_error *err);

#endif

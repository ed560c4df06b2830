/* A new folder or file that is whole or not there. */
#ifndef RN_API_FILLED_H
#define RN_API_FILLED_H

#include "core/error.h"

/* RN_EEXIST where something has the name `out`: known before the work is done. */
rn_status rn_check_free(const char *out, rn_error *err);

/* Makes a folder beside `out`, has it filled, and gives it the name `out`, which must be
   free (RN_EEXIST); when something fails nothing is left. */
typedef rn_status rn_fill_fn(void *user, const char *path, rn_error *err);
rn_status rn_folder_filled(const char *out, rn_fill_fn *fill, void *user, rn_error *err);

/* The same for a file: it is written in a folder beside `out`. */
rn_status rn_file_filled(const char *out, rn_fill_fn *fill, void *user, rn_error *err);

#endif

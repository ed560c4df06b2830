/* A folder that takes its name when it is full; see filled.h. */
#include "api/filled.h"

#include "core/file.h"

#include <stdlib.h>

rn_status rn_folder_filled(const char *out, rn_fill_fn *fill, void *user, rn_error *err)
{
    char *folder;
    rn_status st = rn_make_folder_beside(&folder, out, err);
    if (st) return st;
    st = fill(user, folder, err);
    if (!st) st = rn_place_folder(folder, out, err);
    if (st) rn_remove_folder(folder, NULL);
    free(folder);
    return st;
}

/* Folders and files that take their names when they are full; see filled.h. */
#include "api/filled.h"

#include "core/file.h"

#include <stdlib.h>
#include <string.h>

rn_status rn_check_free(const char *out, rn_error *err)
{
    if (!rn_path_is_taken(out)) return RN_OK;
    return rn_fail(err, RN_EEXIST, "%s: exists already; remove it or write elsewhere",
                   out);
}

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

rn_status rn_file_filled(const char *out, rn_fill_fn *fill, void *user, rn_error *err)
{
    char *folder;
    const char *slash = strrchr(out, '/');
    rn_status st = rn_make_folder_beside(&folder, out, err);
    if (st) return st;
    char *file = rn_path_join(folder, slash ? slash + 1 : out);
    st = file ? fill(user, file, err) : rn_fail_memory(err, out, strlen(out));
    if (!st) st = rn_place_file(file, out, err);
    rn_remove_folder(folder, NULL);
    free(folder);
    free(file);
    return st;
}

/* Which files a list of paths stands for: files as they are, folders by what is in them.
 */
#ifndef RN_FORMATS_TEXT_H
#define RN_FORMATS_TEXT_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct rn_paths {
    char **path;
    size_t count;
} rn_paths;

/* Paths keep their order; a folder gives its files and those of its sub-folders, sorted
   by path. Hidden entries and what is not a regular file are left out there; links to
   files are followed, links to folders are not. `except` (or NULL) names up to two
   outputs, files or folders: what of them exists is left out too, and may not be one of
   `paths`. An index (.idx) of a token file stands for that file, which is then there
   once. RN_ENOTFOUND for a path that is not there, or when no file is left. */
rn_status rn_text_collect(rn_paths *out, const char *const *paths, size_t count,
                          const char *const except[2], rn_error *err);
void rn_paths_free(rn_paths *p);

/* Whether a name ends in .idx and the .bin file beside it exists. */
bool rn_text_is_index(const char *path);

#endif

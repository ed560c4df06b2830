/* Lists of names that a model keeps. */
#ifndef RN_API_NAMES_H
#define RN_API_NAMES_H

#include "core/error.h"

#include <stddef.h>

/* A copy of `count` strings and a NULL: an array of pointers with the text behind it, in
   one block for free(). */
rn_status rn_names_copy(char ***out, const char *const *strings, size_t count,
                        rn_error *err);

#endif

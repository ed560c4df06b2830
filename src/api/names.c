/* Lists of names that a model keeps: one block each. */
#include "api/names.h"

#include "core/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

rn_status rn_names_copy(char ***out, const char *const *strings, size_t count,
                        rn_error *err)
{
    size_t bytes;
    bool fits = rn_mul_size(&bytes, count + 1, sizeof(char *));
    for (size_t i = 0; i < count && fits; i++)
        fits = rn_add_size(&bytes, bytes, strlen(strings[i]) + 1);
    char **copies = fits ? malloc(bytes) : NULL;
    if (!copies) return rn_fail_memory(err, "names", fits ? bytes : SIZE_MAX);
    char *text = (char *)(copies + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(strings[i]) + 1;
        copies[i] = memcpy(text, strings[i], length);
        text += length;
    }
    copies[count] = NULL;
    *out = copies;
    return RN_OK;
}

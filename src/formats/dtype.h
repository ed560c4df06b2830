/* Element types by their safetensors names; the rest of their interface is
 * safetensors.h's. */
#ifndef RN_FORMATS_DTYPE_H
#define RN_FORMATS_DTYPE_H

#include "formats/safetensors.h"

#include <stdbool.h>

/* The dtype with this name in a header; false for a name that is none of ours, and for
   those of blocks, which headers do not have. */
bool rn_dtype_find(rn_dtype *out, const char *name);

static inline bool rn_dtype_is_blocks(rn_dtype dtype)
{
    return dtype >= RN_DTYPE_Q8_0;
}

#endif

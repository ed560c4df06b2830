/* Element types by their safetensors names; the rest of their interface is
 * safetensors.h's. */
#ifndef RN_FORMATS_DTYPE_H
#define RN_FORMATS_DTYPE_H

#include "formats/safetensors.h"

#include <stdbool.h>

/* False for a name that is none of ours. */
bool rn_dtype_find(rn_dtype *out, const char *name);

#endif

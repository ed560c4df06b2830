/* JSON read with care: one object or array a file, no duplicate keys, errors of one line
   with file, line and column. */
#ifndef RN_FORMATS_JSON_H
#define RN_FORMATS_JSON_H

#include "core/error.h"

#include <jansson.h>

/* Largest JSON text that is read: as large as the largest safetensors header. */
#define RN_JSON_LIMIT ((size_t)100 * 1000 * 1000)

/* Parses `size` bytes that came from `path`. *out is a new reference. RN_EFORMAT, or
 * RN_ENOMEM. */
rn_status rn_json_parse(json_t **out, const void *bytes, size_t size, const char *path,
                        rn_error *err);

/* Reads a whole file, which must be a JSON object. */
rn_status rn_json_read(json_t **out, const char *path, rn_error *err);

#endif

/* Parts of a tokenizer.json; see fields.h. */
#include "tokenizer/fields.h"

#include <string.h>

#define DEPTH 4 /* of sequences in sequences */

rn_status rn_field_text(const json_t *object, const char *key, unsigned char *out,
                        size_t room, size_t *length, bool empty, const char *path,
                        rn_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return rn_fail(err, RN_EFORMAT, "%s: %s is not a string", path, key);
    size_t n = json_string_length(value);
    if (!n && !empty) return rn_fail(err, RN_EFORMAT, "%s: %s is empty", path, key);
    if (n > room)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: %s has %zu bytes, at most %zu are supported", path, key, n,
                       room);
    memcpy(out, json_string_value(value), n);
    *length = n;
    return RN_OK;
}

static rn_status read_steps(const json_t *json, const char *list, rn_step_reader read,
                            void *out, int depth, const char *path, rn_error *err)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type) return rn_fail(err, RN_EFORMAT, "%s: type is not a string", path);
    if (strcmp(type, "Sequence") != 0) return read(out, json, type, path, err);
    const json_t *steps = json_object_get(json, list);
    if (!json_is_array(steps))
        return rn_fail(err, RN_EFORMAT, "%s: %s of a Sequence is not a list", path, list);
    if (depth == DEPTH)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: more than %d sequences in each other",
                       path, DEPTH);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        rn_status st =
            read_steps(json_array_get(steps, i), list, read, out, depth + 1, path, err);
        if (st) return st;
    }
    return RN_OK;
}

rn_status rn_fields_steps(const json_t *json, const char *list, rn_step_reader read,
                          void *out, const char *path, rn_error *err)
{
    if (!json || json_is_null(json)) return RN_OK;
    return read_steps(json, list, read, out, 0, path, err);
}

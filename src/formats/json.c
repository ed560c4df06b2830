/* The one place where JSON text is parsed. */
#include "formats/json.h"

#include "core/file.h"

/* jansson quotes the text it stumbled over, whatever bytes that holds. */
static void clean(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f) *p = '?';
}

rn_status rn_json_parse(json_t **out, const void *bytes, size_t size, const char *path,
                        rn_error *err)
{
    if (size > RN_JSON_LIMIT)
        return rn_fail(err, RN_EFORMAT, "%s: %zu bytes of JSON, at most %zu are read",
                       path, size, RN_JSON_LIMIT);
    json_error_t at;
    json_t *json = json_loadb(size ? bytes : "", size, JSON_REJECT_DUPLICATES, &at);
    if (json) {
        *out = json;
        return RN_OK;
    }
    if (json_error_code(&at) == json_error_out_of_memory)
        return rn_fail_memory(err, path, size);
    clean(at.text);
    return rn_fail(err, RN_EFORMAT, "%s: line %d, column %d: %s", path, at.line,
                   at.column, at.text);
}

rn_status rn_json_read(json_t **out, const char *path, rn_error *err)
{
    rn_map map;
    rn_status st = rn_map_open(&map, path, err);
    if (st) return st;
    json_t *json = NULL;
    st = rn_json_parse(&json, map.data, map.size, path, err);
    rn_map_close(&map);
    if (st) return st;
    if (!json_is_object(json)) {
        json_decref(json);
        return rn_fail(err, RN_EFORMAT, "%s: not a JSON object", path);
    }
    *out = json;
    return RN_OK;
}

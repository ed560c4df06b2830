/* The metadata of a GGUF file that make a config, as JSON: numbers, text, true and false,
   and flat lists of these. Lists of lists, which no config has, become null. */
#include "formats/gguf_model.h"

#include <string.h>

#define MAX_LIST  65536
#define OWN       "retnet."
#define STARTS(s) (strncmp(key, (s), strlen(s)) == 0)

/* NULL when JSON cannot hold the value. */
static json_t *item_json(const rn_gguf_value *v)
{
    int64_t whole;
    double real;
    bool truth;
    const char *text;
    size_t length;
    if (rn_gguf_int(v, &whole)) return json_integer(whole);
    if (rn_gguf_bool(v, &truth)) return json_boolean(truth);
    if (rn_gguf_real(v, &real)) return json_real(real);
    if (!rn_gguf_text(v, &text, &length)) return json_null();
    return memchr(text, '\0', length) ? NULL : json_stringn(text, length);
}

static json_t *list_json(const rn_gguf_value *v)
{
    json_t *list = json_array();
    rn_gguf_value item;
    for (size_t at = 0; list && rn_gguf_next(v, &at, &item);) {
        if (!json_array_append_new(list, item_json(&item))) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

static rn_status add(json_t *to, const char *key, const rn_gguf_value *v,
                     const char *path, rn_error *err)
{
    if (v->type == RN_GGUF_ARRAY && v->count > MAX_LIST)
        return rn_fail(err, RN_EFORMAT, "%s: %.200s has %llu entries, more than %d", path,
                       key, (unsigned long long)v->count, MAX_LIST);
    json_t *json = v->type == RN_GGUF_ARRAY ? list_json(v) : item_json(v);
    if (!json)
        return rn_fail(
            err, RN_EFORMAT,
            "%s: %.200s holds a number that is not finite, or text that is not "
            "UTF-8",
            path, key);
    if (json_object_set_new(to, key, json))
        return rn_fail(err, RN_EFORMAT, "%s: key %.200s is not UTF-8, or memory is short",
                       path, key);
    return RN_OK;
}

static bool is_config(const char *key)
{
    if (STARTS(RN_GGUF_FILE)) return false;
    return STARTS(OWN) || !strcmp(key, "general.architecture");
}

rn_status rn_gguf_config(json_t **out, const rn_gguf *f, const char *path, rn_error *err)
{
    json_t *object = json_object();
    const char *key;
    const rn_gguf_value *value;
    rn_status st = object ? RN_OK : rn_fail_memory(err, path, sizeof object);
    for (size_t i = 0; !st && rn_gguf_pair_at(f, i, &key, &value); i++)
        if (is_config(key)) st = add(object, key, value, path, err);
    if (!st && !json_object_get(object, "general.architecture"))
        st = rn_fail(err, RN_EFORMAT, "%s: general.architecture is missing", path);
    if (st) json_decref(object);
    else *out = object;
    return st;
}

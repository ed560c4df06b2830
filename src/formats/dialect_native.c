/* The library's own checkpoints: the config's keys and the tensors' names are the
   model's, so only the version is checked here. */
#include "formats/dialect.h"

#include <stdio.h>
#include <string.h>

#define VERSION 1

static bool detect(const rn_source *s)
{
    const char *format = json_string_value(json_object_get(s->config, "format"));
    return format && !strcmp(format, "retnet");
}

static rn_status config(const rn_source *s, json_t **native, rn_error *err)
{
    const json_t *version = json_object_get(s->config, "version");
    if (!json_is_integer(version))
        return rn_fail(err, RN_EFORMAT, "%s: version is not a whole number", s->path);
    if (json_integer_value(version) != VERSION)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: version %lld; this library reads version %d", s->path,
                       (long long)json_integer_value(version), VERSION);
    json_t *keys = json_object();
    if (!keys || json_object_update(keys, (json_t *)s->config)) {
        json_decref(keys);
        return rn_fail_memory(err, s->path, json_object_size(s->config));
    }
    json_object_del(keys, "format");
    json_object_del(keys, "version");
    *native = keys;
    return RN_OK;
}

static bool tensor_name(const rn_source *s, const char *native, char *out, size_t size)
{
    (void)s;
    int length = snprintf(out, size, "%s", native);
    return length >= 0 && (size_t)length < size;
}

static bool is_buffer(const rn_source *s, const char *original)
{
    (void)s, (void)original;
    return false;
}

const rn_dialect rn_dialect_native = {
    .name = "native",
    .detect = detect,
    .config = config,
    .tensor_name = tensor_name,
    .is_buffer = is_buffer,
};

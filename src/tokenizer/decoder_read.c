/* Reading decoders; see decode.h. Behind Fuse and ByteLevel there is one text, of which
   only steps that look at single characters can be done before its end is known. */
#include "tokenizer/decode.h"
#include "tokenizer/fields.h"

static rn_status read_count(const json_t *json, const char *key, size_t *out,
                            const char *path, rn_error *err)
{
    const json_t *value = json_object_get(json, key);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || n > 1000000)
        return rn_fail(err, RN_EFORMAT, "%s: %s is not a count up to 1000000", path, key);
    *out = (size_t)n;
    return RN_OK;
}

static bool one_char(const unsigned char *text, size_t length)
{
    uint32_t c;
    return length && rn_utf8_next(text, length, &c) == length;
}

static rn_status read_replace(rn_decode_step *s, const json_t *json, const char *path,
                              rn_error *err)
{
    const json_t *pattern = json_object_get(json, "pattern");
    if (!json_object_get(pattern, "String"))
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: pattern of Replace is not a String, others are not supported",
                       path);
    rn_status st = rn_field_text(pattern, "String", s->find, sizeof s->find,
                                 &s->find_length, false, path, err);
    if (!st)
        st = rn_field_text(json, "content", s->put, sizeof s->put, &s->put_length, true,
                           path, err);
    if (!st && s->fused && !one_char(s->find, s->find_length))
        st = rn_fail(err, RN_EUNSUPPORTED,
                     "%s: Replace behind Fuse is supported for single characters only",
                     path);
    return st;
}

static rn_status read_strip(rn_decode_step *s, const json_t *json, const char *path,
                            rn_error *err)
{
    rn_status st =
        rn_field_text(json, "content", s->find, 4, &s->find_length, false, path, err);
    if (!st) st = read_count(json, "start", &s->start, path, err);
    if (!st) st = read_count(json, "stop", &s->stop, path, err);
    if (!st && !one_char(s->find, s->find_length))
        st = rn_fail(err, RN_EFORMAT, "%s: content of Strip is not one character", path);
    return st;
}

static rn_status read_metaspace(rn_decode_step *s, const json_t *json, const char *path,
                                rn_error *err)
{
    rn_keys k = {.object = json, .path = path, .err = err};
    const char *mark = rn_keys_text(&k, "replacement", "\xE2\x96\x81");
    const char *scheme = rn_keys_text(&k, "prepend_scheme", "always");
    if (k.status) return k.status;
    s->keep_first = !strcmp(scheme, "never");
    s->find_length = strlen(mark);
    if (s->find_length > 4 || !one_char((const unsigned char *)mark, s->find_length))
        return rn_fail(err, RN_EFORMAT, "%s: replacement is not one character", path);
    memcpy(s->find, mark, s->find_length);
    return RN_OK;
}

static rn_status read_kind(rn_decode_step *s, const json_t *json, const char *type,
                           const char *path, rn_error *err)
{
    s->kind = RN_DECODE_REPLACE;
    if (!strcmp(type, "Replace")) return read_replace(s, json, path, err);
    s->kind = RN_DECODE_STRIP;
    if (!strcmp(type, "Strip")) return read_strip(s, json, path, err);
    s->kind = RN_DECODE_FUSE;
    if (!strcmp(type, "Fuse")) return RN_OK;
    if (s->fused)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: %s behind Fuse or ByteLevel is not supported", path, type);
    s->kind = RN_DECODE_METASPACE;
    if (!strcmp(type, "Metaspace")) return read_metaspace(s, json, path, err);
    s->kind = RN_DECODE_FALLBACK;
    if (!strcmp(type, "ByteFallback")) return RN_OK;
    s->kind = RN_DECODE_BYTES;
    if (!strcmp(type, "ByteLevel")) return RN_OK;
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: type '%s' is not supported (ByteLevel, ByteFallback, Replace, "
                   "Fuse, Strip, Metaspace, Sequence are)",
                   path, type);
}

static rn_status read_step(void *out, const json_t *json, const char *type,
                           const char *path, rn_error *err)
{
    rn_decoder *d = out;
    if (d->count == RN_DECODES_MAX)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: more than %zu steps", path,
                       RN_DECODES_MAX);
    rn_decode_step *s = &d->steps[d->count++];
    *s = (rn_decode_step){.fused = d->fused};
    rn_status st = read_kind(s, json, type, path, err);
    if (s->kind == RN_DECODE_FUSE || s->kind == RN_DECODE_BYTES) d->fused = true;
    return st;
}

rn_status rn_decoder_read(rn_decoder *out, const json_t *json, const char *path,
                          rn_error *err)
{
    *out = (rn_decoder){.spaced = !json || json_is_null(json)};
    return rn_fields_steps(json, "decoders", read_step, out, path, err);
}

/* Normalizers; see normalize.h. */
#include "tokenizer/normalize.h"

#include "tokenizer/fields.h"

/* A normalised text may be this many times longer, and this many bytes. */
#define GROWTH ((size_t)64)
#define SPARE  ((size_t)65536)

static rn_status read_replace(rn_normal_step *s, const json_t *json, const char *path,
                              rn_error *err)
{
    const json_t *pattern = json_object_get(json, "pattern");
    if (!json_object_get(pattern, "String"))
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: pattern of Replace is not a String, others are not supported",
                       path);
    rn_status st = rn_field_text(pattern, "String", s->find, sizeof s->find,
                                 &s->find_length, false, path, err);
    if (st) return st;
    return rn_field_text(json, "content", s->put, sizeof s->put, &s->put_length, true,
                         path, err);
}

static rn_status read_step(void *out, const json_t *json, const char *type,
                           const char *path, rn_error *err)
{
    rn_normalizer *n = out;
    if (n->count == RN_STEPS_MAX)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: more than %zu steps", path,
                       RN_STEPS_MAX);
    rn_normal_step *s = &n->steps[n->count++];
    if (!strcmp(type, "Replace")) {
        s->kind = RN_NORMAL_REPLACE;
        return read_replace(s, json, path, err);
    }
    if (!strcmp(type, "Prepend")) {
        s->kind = RN_NORMAL_PREPEND;
        return rn_field_text(json, "prepend", s->put, sizeof s->put, &s->put_length, true,
                             path, err);
    }
    s->kind = RN_NORMAL_NFC;
    if (!strcmp(type, "NFC")) return RN_OK;
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: type '%s' is not supported (Prepend, Replace, NFC, Sequence are)",
                   path, type);
}

rn_status rn_normalizer_read(rn_normalizer *out, const json_t *json, const char *path,
                             rn_error *err)
{
    out->count = 0;
    return rn_fields_steps(json, "normalizers", read_step, out, path, err);
}

static rn_status replace(const rn_normal_step *s, rn_bytes *out,
                         const unsigned char *text, size_t length, size_t most,
                         rn_error *err)
{
    size_t at = 0;
    rn_status st = RN_OK;
    while (!st && at < length) {
        const unsigned char *found = memchr(text + at, s->find[0], length - at);
        size_t next = found ? (size_t)(found - text) : length;
        bool hit = length - next >= s->find_length &&
                   !memcmp(text + next, s->find, s->find_length);
        size_t plain = hit || next == length ? next : next + 1;
        st = rn_bytes_put(out, text + at, plain - at, err);
        if (!st && hit) st = rn_bytes_put(out, s->put, s->put_length, err);
        at = hit ? next + s->find_length : plain;
        if (!st && out->used > most)
            st = rn_fail(err, RN_EUNSUPPORTED,
                         "the tokenizer's normalizer makes more than %zu bytes of %zu",
                         most, length);
    }
    return st;
}

rn_status rn_normalize(const rn_normalizer *n, const rn_classes *classes,
                       rn_normal_room *room, const unsigned char **text, size_t *length,
                       rn_error *err)
{
    rn_status st = RN_OK;
    const size_t most =
        *length > (SIZE_MAX - SPARE) / GROWTH ? SIZE_MAX : *length * GROWTH + SPARE;
    for (size_t i = 0; !st && i < n->count && *length; i++) {
        const rn_normal_step *s = &n->steps[i];
        rn_bytes *out = *text == room->a.data ? &room->b : &room->a;
        out->used = 0;
        if (s->kind == RN_NORMAL_NFC) {
            st = rn_nfc(classes, out, *text, *length, err);
        } else if (s->kind == RN_NORMAL_REPLACE) {
            st = replace(s, out, *text, *length, most, err);
        } else {
            st = rn_bytes_put(out, s->put, s->put_length, err);
            if (!st) st = rn_bytes_put(out, *text, *length, err);
        }
        *text = out->data;
        *length = out->used;
    }
    return st;
}

void rn_normal_room_free(rn_normal_room *room)
{
    rn_bytes_free(&room->a);
    rn_bytes_free(&room->b);
}

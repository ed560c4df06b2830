/*
 * From bytes to text that can be shown at once: UTF-8 is checked a byte at a time, each
 * maximal part of a broken sequence becomes one U+FFFD (the practice of the WHATWG
 * Encoding standard and of Unicode), and stop strings are found in the text that results
 * by one Knuth-Morris-Pratt automaton each. Held back are at most 3 bytes of a character
 * and one less than the longest stop string, so any way of cutting the bytes into calls
 * gives the same text.
 */
#include "core/arena.h"
#include "core/error.h"
#include "retnet/session.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT   "\xEF\xBF\xBD"
#define MAX_EXPANSION 3 /* bytes of text for a byte of input */

/* One stop string. fail[i]: the longest proper prefix that ends text[0..i]. */
typedef struct stop {
    char *text;
    size_t *fail;
    size_t length, matched;
} stop;

struct rn_stream {
    stop *stops;
    size_t stop_count;
    unsigned char part[4]; /* a character's bytes so far */
    size_t part_used, part_need;
    unsigned char low, high; /* bounds of its next byte */
    char *text;              /* shown[0..shown) was handed out, the rest is held */
    size_t shown, used, capacity;
    uint64_t *from; /* of each byte of text: where its character began in the input */
    uint64_t part_from, put, cut; /* of the part, of all, of what a stop left out */
    bool stopped;
};

static void fill_failures(stop *s)
{
    size_t k = 0;
    s->fail[0] = 0;
    for (size_t i = 1; i < s->length; i++) {
        while (k > 0 && s->text[i] != s->text[k]) k = s->fail[k - 1];
        if (s->text[i] == s->text[k]) k++;
        s->fail[i] = k;
    }
}

static rn_status add_stop(rn_stream *stream, const char *text, rn_error *err)
{
    size_t length = strlen(text), bytes;
    if (length == 0) return RN_OK;
    if (!rn_mul_size(&bytes, length, sizeof(size_t)))
        return rn_fail_memory(err, "a stop string", length);
    stop s = {.text = malloc(length), .fail = malloc(bytes), .length = length};
    if (!s.text || !s.fail) {
        free(s.text);
        free(s.fail);
        return rn_fail_memory(err, "a stop string", bytes);
    }
    memcpy(s.text, text, length);
    fill_failures(&s);
    stream->stops[stream->stop_count++] = s;
    return RN_OK;
}

rn_status rn_stream_create(rn_stream **out, const char *const *stops, size_t count,
                           rn_error *err)
{
    rn_stream *stream = calloc(1, sizeof *stream);
    if (!stream) return rn_fail_memory(err, "a text stream", sizeof *stream);
    rn_status st = RN_OK;
    stream->stops = calloc(count ? count : 1, sizeof *stream->stops);
    if (!stream->stops) {
        st = rn_fail_memory(err, "stop strings", sizeof *stream->stops);
        goto fail;
    }
    for (size_t i = 0; i < count; i++) {
        st = add_stop(stream, stops[i], err);
        if (st) goto fail;
    }
    *out = stream;
    return RN_OK;
fail:
    rn_stream_free(stream);
    return st;
}

void rn_stream_free(rn_stream *stream)
{
    if (!stream) return;
    for (size_t i = 0; i < stream->stop_count; i++) {
        free(stream->stops[i].text);
        free(stream->stops[i].fail);
    }
    free(stream->stops);
    free(stream->text);
    free(stream->from);
    free(stream);
}

/* Feeds one byte of text to an automaton; true once the whole string has been seen. */
static bool advance(stop *s, char byte)
{
    while (s->matched > 0 && s->text[s->matched] != byte)
        s->matched = s->fail[s->matched - 1];
    if (s->text[s->matched] == byte) s->matched++;
    return s->matched == s->length;
}

/* Appends a character of checked text, `from` its place in the input. On a complete stop
   string the text is cut before it; of two that end together, before the longer. */
static void emit(rn_stream *stream, const void *bytes, size_t count, uint64_t from)
{
    const char *text = bytes;
    for (size_t i = 0; i < count && !stream->stopped; i++) {
        size_t cut = 0;
        stream->from[stream->used] = from;
        stream->text[stream->used++] = text[i];
        for (size_t s = 0; s < stream->stop_count; s++) {
            stop *candidate = &stream->stops[s];
            if (advance(candidate, text[i]) && candidate->length > cut)
                cut = candidate->length;
        }
        if (cut == 0) continue;
        stream->used -= cut;
        stream->cut = stream->from[stream->used];
        stream->stopped = true;
    }
}

/* Whether a byte begins a character of several bytes; sets how many follow and the bounds
   of the first of them (which exclude overlong forms, surrogates and what is above
   10FFFF). */
static bool begin_character(rn_stream *stream, unsigned char byte)
{
    if (byte < 0xC2 || byte > 0xF4) return false;
    stream->part_need = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    stream->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    stream->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    stream->part[0] = byte;
    stream->part_used = 1;
    stream->part_from = stream->put;
    return true;
}

static void drop_part(rn_stream *stream)
{
    if (stream->part_used == 0) return;
    stream->part_used = 0;
    emit(stream, REPLACEMENT, 3, stream->part_from);
}

static void put_byte(rn_stream *stream, unsigned char byte)
{
    if (stream->part_used > 0 && byte >= stream->low && byte <= stream->high) {
        stream->part[stream->part_used++] = byte;
        stream->low = 0x80;
        stream->high = 0xBF;
        if (stream->part_used <= stream->part_need) return;
        emit(stream, stream->part, stream->part_used, stream->part_from);
        stream->part_used = 0;
        return;
    }
    drop_part(stream);
    if (byte < 0x80) emit(stream, &byte, 1, stream->put);
    else if (!begin_character(stream, byte)) emit(stream, REPLACEMENT, 3, stream->put);
}

/* Forgets what was handed out and makes room for the text of `count` more bytes. */
static rn_status make_room(rn_stream *stream, size_t count, rn_error *err)
{
    size_t need, bytes, held = stream->used - stream->shown;
    if (!rn_add_size(&need, count, sizeof stream->part) ||
        !rn_mul_size(&need, need, MAX_EXPANSION) || !rn_add_size(&need, need, held))
        return rn_fail_memory(err, "shown text", count);
    if (stream->text) memmove(stream->text, stream->text + stream->shown, held);
    if (stream->from)
        memmove(stream->from, stream->from + stream->shown, held * sizeof *stream->from);
    stream->shown = 0;
    stream->used = held;
    if (need <= stream->capacity) return RN_OK;
    char *text = realloc(stream->text, need);
    if (!text) return rn_fail_memory(err, "shown text", need);
    stream->text = text;
    uint64_t *from =
        rn_mul_size(&bytes, need, sizeof *from) ? realloc(stream->from, bytes) : NULL;
    if (!from) return rn_fail_memory(err, "shown text", need);
    stream->from = from;
    stream->capacity = need;
    return RN_OK;
}

/* Bytes at the end of the text that may begin a stop string. */
static size_t held_back(const rn_stream *stream)
{
    size_t held = 0;
    if (stream->stopped) return 0;
    for (size_t s = 0; s < stream->stop_count; s++)
        if (stream->stops[s].matched > held) held = stream->stops[s].matched;
    return held;
}

rn_status rn_stream_put(rn_stream *stream, const void *bytes, size_t count,
                        const char **text, size_t *length, bool *stopped, rn_error *err)
{
    rn_status st = make_room(stream, count, err);
    if (st) return st;
    const unsigned char *in = bytes;
    for (size_t i = 0; i < count && !stream->stopped; i++, stream->put++)
        put_byte(stream, in[i]);
    stream->shown = stream->used - held_back(stream);
    *text = stream->text;
    *length = stream->shown;
    *stopped = stream->stopped;
    return RN_OK;
}

rn_status rn_stream_end(rn_stream *stream, const char **text, size_t *length,
                        rn_error *err)
{
    rn_status st = make_room(stream, 0, err);
    if (st) return st;
    if (!stream->stopped) drop_part(stream);
    for (size_t s = 0; s < stream->stop_count; s++) stream->stops[s].matched = 0;
    stream->shown = stream->used;
    *text = stream->text;
    *length = stream->shown;
    return RN_OK;
}

uint64_t rn_stream_taken(const rn_stream *stream)
{
    if (stream->stopped) return stream->cut;
    if (stream->shown < stream->used) return stream->from[stream->shown];
    return stream->part_used ? stream->part_from : stream->put;
}

/* Walking tokens through the decoders; see decode.h. */
#include "tokenizer/decode.h"

#include "tokenizer/bpe.h"

#define REPLACEMENT "\xEF\xBF\xBD"

static rn_status walk(rn_decoding *d, size_t step, const unsigned char *text,
                      size_t length, rn_error *err);

static rn_status replace(rn_decoding *d, size_t step, const unsigned char *text,
                         size_t length, const unsigned char *put, size_t put_length,
                         rn_error *err)
{
    const rn_decode_step *s = &d->decoder->steps[step];
    rn_bytes *made = &d->states[step].held;
    rn_status st = RN_OK;
    made->used = 0;
    for (size_t at = 0; !st && at < length;) {
        bool hit =
            length - at >= s->find_length && !memcmp(text + at, s->find, s->find_length);
        st = hit ? rn_bytes_put(made, put, put_length, err)
                 : rn_bytes_put(made, text + at, 1, err);
        at += hit ? s->find_length : 1;
    }
    return st ? st : walk(d, step + 1, made->data, made->used, err);
}

/* Exactly <0xNN> with hexadecimal digits of either case: the byte, else -1. */
static int byte_of(const unsigned char *token, size_t length)
{
    int value = 0;
    if (length != 6 || memcmp(token, "<0x", 3) != 0 || token[5] != '>') return -1;
    for (int i = 3; i < 5; i++) {
        unsigned char c = token[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* A U+FFFD for each byte that is held. */
static rn_status drop_run(rn_decoding *d, size_t step, rn_error *err)
{
    rn_decode_state *s = &d->states[step];
    rn_status st = RN_OK;
    for (size_t n = s->held.used; !st && n > 0; n--)
        st = walk(d, step + 1, (const unsigned char *)REPLACEMENT, 3, err);
    s->held.used = 0;
    return st;
}

/* The end of a run of bytes: text, or if any of it is no UTF-8 nothing of it is. */
static rn_status end_run(rn_decoding *d, size_t step, rn_error *err)
{
    rn_decode_state *s = &d->states[step];
    rn_status st = RN_OK;
    if (s->broken || s->part.used) st = drop_run(d, step, err);
    else if (s->held.used) st = walk(d, step + 1, s->held.data, s->held.used, err);
    s->held.used = 0;
    s->broken = false;
    s->part.used = 0;
    return st;
}

/* Whether a byte keeps the run one of whole and unfinished characters. */
static bool goes_on(rn_utf8_part *part, unsigned char byte)
{
    const rn_utf8_part before = *part;
    unsigned char text[8];
    size_t n = rn_utf8_check(part, byte, text);
    return n == 0 || (part->used == 0 && n == before.used + 1 &&
                      !memcmp(text, before.bytes, before.used));
}

static rn_status fallback(rn_decoding *d, size_t step, const unsigned char *text,
                          size_t length, rn_error *err)
{
    rn_decode_state *s = &d->states[step];
    const int byte = byte_of(text, length);
    if (byte < 0) {
        rn_status st = end_run(d, step, err);
        return st ? st : walk(d, step + 1, text, length, err);
    }
    const unsigned char value = (unsigned char)byte;
    if (d->raw) return walk(d, step + 1, &value, 1, err);
    if (!s->broken && !goes_on(&s->part, value)) s->broken = true;
    rn_status st = rn_bytes_put(&s->held, &value, 1, err);
    return st || !s->broken ? st : drop_run(d, step, err);
}

/* Strip of a token by itself. */
static rn_status strip_token(rn_decoding *d, size_t step, const unsigned char *text,
                             size_t length, rn_error *err)
{
    const rn_decode_step *s = &d->decoder->steps[step];
    const size_t n = s->find_length;
    size_t begin = 0, end = length;
    for (size_t i = 0; i < s->start && end - begin >= n; i++, begin += n)
        if (memcmp(text + begin, s->find, n) != 0) break;
    for (size_t i = 0; i < s->stop && end - begin >= n; i++, end -= n)
        if (memcmp(text + end - n, s->find, n) != 0) break;
    return walk(d, step + 1, text + begin, end - begin, err);
}

/* Strip of the one text: leading characters are dropped, the last ones are held back
   while they may be the end. */
static rn_status strip_text(rn_decoding *d, size_t step, const unsigned char *text,
                            size_t length, rn_error *err)
{
    const rn_decode_step *s = &d->decoder->steps[step];
    rn_decode_state *state = &d->states[step];
    const size_t n = s->find_length;
    while (!state->begun && length > 0) {
        if (state->count == s->start || length < n || memcmp(text, s->find, n) != 0) {
            state->begun = true;
            break;
        }
        state->count++;
        text += n;
        length -= n;
    }
    rn_status st = rn_bytes_put(&state->held, text, length, err);
    size_t keep = 0;
    const rn_bytes *h = &state->held;
    while (keep < s->stop && h->used >= (keep + 1) * n &&
           !memcmp(h->data + h->used - (keep + 1) * n, s->find, n))
        keep++;
    const size_t out = h->used - keep * n;
    if (!st && out) st = walk(d, step + 1, h->data, out, err);
    if (st || !out) return st;
    memmove(state->held.data, state->held.data + out, keep * n);
    state->held.used = keep * n;
    return RN_OK;
}

static rn_status put_byte(rn_decoding *d, size_t step, unsigned char byte, rn_bytes *made,
                          rn_error *err)
{
    unsigned char text[8] = {byte};
    size_t n = d->raw ? 1 : rn_utf8_check(&d->states[step].part, byte, text);
    return rn_bytes_put(made, text, n, err);
}

/* A token all of whose characters stand for bytes gives these, another one its own. */
static rn_status byte_level(rn_decoding *d, size_t step, const unsigned char *text,
                            size_t length, rn_error *err)
{
    rn_bytes *made = &d->states[step].held;
    rn_status st = RN_OK;
    uint32_t c;
    bool mapped = true;
    made->used = 0;
    for (size_t at = 0; at < length && mapped;) {
        at += rn_utf8_next(text + at, length - at, &c);
        mapped = rn_byte_of_char(c) >= 0;
    }
    for (size_t at = 0, n; !st && at < length; at += n) {
        n = mapped ? rn_utf8_next(text + at, length - at, &c) : 1;
        unsigned char byte = mapped ? (unsigned char)rn_byte_of_char(c) : text[at];
        st = put_byte(d, step, byte, made, err);
    }
    return st ? st : walk(d, step + 1, made->data, made->used, err);
}

static rn_status metaspace(rn_decoding *d, size_t step, const unsigned char *text,
                           size_t length, rn_error *err)
{
    const bool first = !d->states[step].begun;
    d->states[step].begun = true;
    const size_t put = first && !d->decoder->steps[step].keep_first ? 0 : 1;
    return replace(d, step, text, length, (const unsigned char *)" ", put, err);
}

static rn_status walk(rn_decoding *d, size_t step, const unsigned char *text,
                      size_t length, rn_error *err)
{
    if (step == d->decoder->count) return rn_bytes_put(&d->out, text, length, err);
    const rn_decode_step *s = &d->decoder->steps[step];
    switch (s->kind) {
    case RN_DECODE_REPLACE:
        return replace(d, step, text, length, s->put, s->put_length, err);
    case RN_DECODE_FALLBACK: return fallback(d, step, text, length, err);
    case RN_DECODE_STRIP:
        return s->fused ? strip_text(d, step, text, length, err)
                        : strip_token(d, step, text, length, err);
    case RN_DECODE_METASPACE: return metaspace(d, step, text, length, err);
    case RN_DECODE_BYTES: return byte_level(d, step, text, length, err);
    case RN_DECODE_FUSE: break;
    }
    return walk(d, step + 1, text, length, err);
}

rn_status rn_decoding_put(rn_decoding *d, const unsigned char *token, size_t length,
                          rn_error *err)
{
    if (d->any && d->decoder->spaced) {
        rn_status st = rn_bytes_put(&d->out, " ", 1, err);
        if (st) return st;
    }
    d->any = true;
    return walk(d, 0, token, length, err);
}

rn_status rn_decoding_end(rn_decoding *d, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < d->decoder->count; i++) {
        unsigned char text[8];
        if (d->decoder->steps[i].kind == RN_DECODE_FALLBACK) st = end_run(d, i, err);
        if (d->decoder->steps[i].kind != RN_DECODE_BYTES) continue;
        size_t n = rn_utf8_check_end(&d->states[i].part, text);
        if (n) st = walk(d, i + 1, text, n, err);
    }
    return st;
}

size_t rn_decoding_held(const rn_decoding *d)
{
    size_t held = 0;
    for (size_t i = 0; i < d->decoder->count; i++) {
        const rn_decode_step *step = &d->decoder->steps[i];
        const rn_decode_state *s = &d->states[i];
        if (step->kind == RN_DECODE_BYTES) held += s->part.used;
        if (step->kind == RN_DECODE_FALLBACK) held += s->held.used;
        if (step->kind == RN_DECODE_STRIP && step->fused) held += s->held.used;
    }
    return held;
}

void rn_decoding_free(rn_decoding *d)
{
    for (size_t i = 0; i < RN_DECODES_MAX; i++) rn_bytes_free(&d->states[i].held);
    rn_bytes_free(&d->out);
}

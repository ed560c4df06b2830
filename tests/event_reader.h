/* A small reader of TensorBoard's event files, written apart from the writer: frames and
   their checksums bit by bit, messages by the wire format of protocol buffers. */
#ifndef TEST_EVENT_READER_H
#define TEST_EVENT_READER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct seen_value {
    char tag[40], plugin[16], text[400];
    bool scalar;
    float value;
    uint64_t dtype, size, data_class;
} seen_value;

typedef struct seen_event {
    double wall_time;
    uint64_t step, status;
    char version[24];
    seen_value values[8];
    size_t count;
} seen_event;

/* x^32 + ... of CRC-32C, a bit at a time. */
static inline uint32_t plain_crc32c(const unsigned char *p, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < 8 * n; i++) {
        bool bit = (crc ^ (uint32_t)(p[i / 8] >> i % 8)) & 1u;
        crc = crc >> 1 ^ (bit ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static inline uint64_t little(const unsigned char *p, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static inline void check_crc(const unsigned char *p, size_t n)
{
    uint32_t crc = plain_crc32c(p, n);
    assert_int_equal((crc >> 15 | crc << 17) + 0xa282ead8u, (uint32_t)little(p + n, 4));
}

/* One field of a message: a number, or bytes that may be a message again. */
typedef struct wire_field {
    uint64_t number, value;
    const unsigned char *bytes;
    size_t length;
} wire_field;

static inline uint64_t varint(const unsigned char **at, const unsigned char *end)
{
    uint64_t x = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        assert_true(*at < end);
        unsigned char c = *(*at)++;
        x |= (uint64_t)(c & 127) << shift;
        if (c < 128) return x;
    }
    fail_msg("a number without an end");
    return 0;
}

static inline wire_field next_field(const unsigned char **at, const unsigned char *end)
{
    wire_field f = {0};
    uint64_t key = varint(at, end);
    f.number = key >> 3;
    if ((key & 7) == 0) {
        f.value = varint(at, end);
        return f;
    }
    if ((key & 7) == 2) f.length = varint(at, end);
    else f.length = (key & 7) == 1 ? 8 : 4;
    assert_true(f.length <= (size_t)(end - *at));
    f.bytes = *at;
    *at += f.length;
    if ((key & 7) != 2) f.value = little(f.bytes, f.length);
    return f;
}

static inline void copy_text(char *to, size_t room, const wire_field *f)
{
    assert_true(f->length < room);
    memcpy(to, f->bytes, f->length);
    to[f->length] = '\0';
}

static inline wire_field find_field(const wire_field *in, uint64_t number)
{
    const unsigned char *at = in->bytes, *end = at + in->length;
    while (at < end) {
        wire_field f = next_field(&at, end);
        if (f.number == number) return f;
    }
    return (wire_field){0};
}

static inline void read_value(const wire_field *in, seen_value *v)
{
    wire_field tag = find_field(in, 1), simple = find_field(in, 2);
    copy_text(v->tag, sizeof v->tag, &tag);
    v->scalar = simple.number == 2;
    uint32_t bits = (uint32_t)simple.value;
    memcpy(&v->value, &bits, sizeof bits);
    wire_field tensor = find_field(in, 8), metadata = find_field(in, 9);
    if (!tensor.number) return;
    wire_field shape = find_field(&tensor, 2), dim = find_field(&shape, 2);
    wire_field text = find_field(&tensor, 8), plugin = find_field(&metadata, 1);
    wire_field name = find_field(&plugin, 1);
    v->dtype = find_field(&tensor, 1).value;
    v->size = find_field(&dim, 1).value;
    v->data_class = find_field(&metadata, 4).value;
    copy_text(v->text, sizeof v->text, &text);
    copy_text(v->plugin, sizeof v->plugin, &name);
}

static inline void read_summary(const wire_field *in, seen_event *e)
{
    const unsigned char *at = in->bytes, *end = at + in->length;
    while (at < end) {
        wire_field f = next_field(&at, end);
        assert_int_equal(f.number, 1);
        assert_true(e->count < 8);
        read_value(&f, &e->values[e->count++]);
    }
}

/* The event at *at, which moves behind it. */
static inline seen_event next_event(const unsigned char **at, const unsigned char *end)
{
    seen_event e = {0};
    assert_true(end - *at >= 16);
    size_t n = (size_t)little(*at, 8);
    check_crc(*at, 8);
    assert_true(n <= (size_t)(end - *at) - 16);
    check_crc(*at + 12, n);
    wire_field whole = {.bytes = *at + 12, .length = n};
    *at += n + 16;
    wire_field time = find_field(&whole, 1), version = find_field(&whole, 3);
    memcpy(&e.wall_time, &time.value, sizeof e.wall_time);
    e.step = find_field(&whole, 2).value;
    if (version.number) copy_text(e.version, sizeof e.version, &version);
    wire_field summary = find_field(&whole, 5), log = find_field(&whole, 7);
    if (summary.number) read_summary(&summary, &e);
    if (log.number) e.status = find_field(&log, 1).value;
    return e;
}

#endif

/* The machinery of the cases: memory, random contents, canaries. What each kernel is
   given is in cases_*.c. */
#include "kernels/cases.h"

#include "core/arena.h"
#include "core/rng.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANARY   ((size_t)64)            /* bytes behind and, at least, before a buffer */
#define NAN_WORD ((uint32_t)0x7fc0deadu) /* a quiet NaN */

static const rn_case_row rows[] = {
#define RN_KERNEL(name, args, tolerance) {#name, tolerance, &rn_case_##name},
#include "kernels/kernels.def"
#undef RN_KERNEL
};

const rn_case_row *rn_case_row_at(size_t i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

static size_t type_size(rn_case_type type)
{
    if (type == RN_CASE_U8) return 1;
    return type == RN_CASE_F64 ? sizeof(double) : sizeof(float);
}

size_t rn_case_buffer_bytes(const rn_case_buffer *b)
{
    return b->count * type_size(b->type);
}

static rn_case_buffer *add(rn_case *c, const char *name, size_t count, rn_case_role role,
                           rn_case_type type)
{
    rn_case_buffer *b = &c->buffer[c->buffers++];
    *b = (rn_case_buffer){.name = name, .count = count, .role = role, .type = type};
    double passes = role == RN_CASE_INOUT ? 2.0 : 1.0;
    c->bytes += passes * (double)rn_case_buffer_bytes(b);
    return b;
}

void rn_case_floats(rn_case *c, const char *name, size_t count, rn_case_role role,
                    double scale)
{
    rn_case_buffer *b = add(c, name, count, role, RN_CASE_F32);
    b->low = -scale;
    b->high = scale;
}

void rn_case_ids(rn_case *c, const char *name, size_t count, int low, int high)
{
    rn_case_buffer *b = add(c, name, count, RN_CASE_IN, RN_CASE_I32);
    b->low = low;
    b->high = high;
}

void rn_case_doubles(rn_case *c, const char *name, size_t count, rn_case_role role)
{
    rn_case_buffer *b = add(c, name, count, role, RN_CASE_F64);
    b->low = -1.0;
    b->high = 1.0;
}

void rn_case_bytes(rn_case *c, const char *name, size_t count, rn_case_role role)
{
    rn_case_buffer *b = add(c, name, count, role, RN_CASE_U8);
    b->low = 0.0;
    b->high = 256.0;
}

void rn_case_absent(rn_case *c)
{
    add(c, NULL, 0, RN_CASE_IN, RN_CASE_F32);
}

void rn_case_shape(rn_case *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->shape, sizeof c->shape, format, args);
    va_end(args);
}

/* Places data and its initial copy; with a measuring carver all stay NULL. */
static void place(rn_case *c, rn_carver *carver, bool aligned)
{
    for (size_t i = 0; i < c->buffers; i++) {
        rn_case_buffer *b = &c->buffer[i];
        if (!b->name) continue;
        size_t bytes = rn_case_buffer_bytes(b);
        b->before = CANARY + (aligned || b->type == RN_CASE_U8 ? 0 : type_size(b->type));
        char *at = rn_carve(carver, bytes + b->before + CANARY, 1);
        b->initial = rn_carve(carver, bytes, 1);
        b->data = at ? at + b->before : NULL;
    }
}

static void fill_words(void *at, size_t bytes)
{
    const uint32_t word = NAN_WORD;
    for (size_t i = 0; i + sizeof word <= bytes; i += sizeof word)
        memcpy((char *)at + i, &word, sizeof word);
}

static void store(const rn_case_buffer *b, size_t i, double value)
{
    switch (b->type) {
    case RN_CASE_F32: ((float *)b->data)[i] = (float)value; break;
    case RN_CASE_F64: ((double *)b->data)[i] = value; break;
    case RN_CASE_I32: ((int32_t *)b->data)[i] = (int32_t)value; break;
    case RN_CASE_U8: ((unsigned char *)b->data)[i] = (unsigned char)value; break;
    }
}

static void fill_random(const rn_case_buffer *b, uint64_t seed, uint64_t which)
{
    for (size_t i = 0; i < b->count; i += 4) {
        uint32_t word[4];
        rn_philox(word, seed, RN_STREAM_TEST, which, (uint32_t)(i / 4));
        for (size_t j = i; j < b->count && j < i + 4; j++) {
            double u = (double)word[j - i] * 0x1p-32;
            double v = b->low + (b->high - b->low) * u;
            store(b, j, b->type == RN_CASE_I32 && v < 0.0 ? -1.0 : v);
        }
    }
}

static void fill(rn_case *c, const rn_case_kind *kind, uint64_t seed)
{
    for (size_t i = 0; i < c->buffers; i++) {
        rn_case_buffer *b = &c->buffer[i];
        if (!b->data) continue;
        size_t bytes = rn_case_buffer_bytes(b);
        fill_words((char *)b->data - b->before, b->before + bytes + CANARY);
        if (b->role != RN_CASE_OUT) fill_random(b, seed, i);
    }
    if (kind->prepare) kind->prepare(c);
    for (size_t i = 0; i < c->buffers; i++) {
        rn_case_buffer *b = &c->buffer[i];
        if (b->data && b->count) memcpy(b->initial, b->data, rn_case_buffer_bytes(b));
    }
}

rn_status rn_case_open(rn_case **out, const rn_case_row *row, size_t shape, uint64_t seed,
                       bool aligned, rn_error *err)
{
    rn_case *c = calloc(1, sizeof *c);
    if (!c) return rn_fail_memory(err, row->name, sizeof *c);
    c->index = shape;
    c->run = row->kind->run;
    row->kind->declare(c);

    rn_carver measure = {0};
    size_t bytes;
    place(c, &measure, aligned);
    rn_status st = rn_carve_total(&measure, row->name, &bytes, err);
    if (st) goto fail;
    st = rn_block_alloc(&c->block, bytes, row->name, err);
    if (st) goto fail;
    rn_carver carver = {.base = c->block};
    place(c, &carver, aligned);
    fill(c, row->kind, seed);
    *out = c;
    return RN_OK;
fail:
    rn_case_close(c);
    return st;
}

void rn_case_close(rn_case *c)
{
    if (!c) return;
    rn_block_free(c->block);
    free(c);
}

void rn_case_reset(rn_case *c)
{
    for (size_t i = 0; i < c->buffers; i++) {
        const rn_case_buffer *b = &c->buffer[i];
        if (b->data && b->role != RN_CASE_IN && b->count)
            memcpy(b->data, b->initial, rn_case_buffer_bytes(b));
    }
}

rn_status rn_case_run(const rn_case *c, rn_exec *x, rn_error *err)
{
    rn_status st = rn_exec_reserve(x, c->scratch, err);
    if (st) return st;
    c->run(c, x);
    return RN_OK;
}

static bool is_canary(const char *at, size_t bytes)
{
    const uint32_t word = NAN_WORD;
    for (size_t i = 0; i + sizeof word <= bytes; i += sizeof word)
        if (memcmp(at + i, &word, sizeof word) != 0) return false;
    return true;
}

const char *rn_case_damage(const rn_case *c)
{
    for (size_t i = 0; i < c->buffers; i++) {
        const rn_case_buffer *b = &c->buffer[i];
        if (!b->data) continue;
        size_t bytes = rn_case_buffer_bytes(b);
        const char *at = b->data;
        if (!is_canary(at - b->before, b->before) || !is_canary(at + bytes, CANARY))
            return b->name;
        if (b->role == RN_CASE_IN && bytes && memcmp(at, b->initial, bytes) != 0)
            return b->name;
    }
    return NULL;
}

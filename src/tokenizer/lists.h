/* Growing lists of bytes and of ids. Zeroed they are empty; a failure leaves them as they
   were. */
#ifndef RN_TOKENIZER_LISTS_H
#define RN_TOKENIZER_LISTS_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct rn_bytes {
    unsigned char *data;
    size_t used, room;
} rn_bytes;

typedef struct rn_id_list {
    int32_t *ids;
    size_t count, room;
} rn_id_list;

/* Makes *room at least `need` elements of `size` bytes, doubling; *data moves. */
rn_status rn_list_grow(void **data, size_t *room, size_t need, size_t size,
                       const char *what, rn_error *err);

/* Room for `more` bytes behind those in use. */
rn_status rn_bytes_reserve(rn_bytes *b, size_t more, rn_error *err);
void rn_bytes_free(rn_bytes *b);

static inline rn_status rn_bytes_put(rn_bytes *b, const void *data, size_t length,
                                     rn_error *err)
{
    if (b->room - b->used < length) {
        rn_status st = rn_bytes_reserve(b, length, err);
        if (st) return st;
    }
    if (length) memcpy(b->data + b->used, data, length);
    b->used += length;
    return RN_OK;
}

rn_status rn_id_list_reserve(rn_id_list *l, size_t more, rn_error *err);
void rn_id_list_free(rn_id_list *l);

static inline rn_status rn_id_list_put(rn_id_list *l, const int32_t *ids, size_t count,
                                       rn_error *err)
{
    if (l->room - l->count < count) {
        rn_status st = rn_id_list_reserve(l, count, err);
        if (st) return st;
    }
    for (size_t i = 0; i < count; i++) l->ids[l->count + i] = ids[i];
    l->count += count;
    return RN_OK;
}

/* A hash of bytes, 8 at a time; not made to withstand chosen collisions. */
static inline uint64_t rn_hash(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    uint64_t h = length * 0x9E3779B97F4A7C15u, word;
    for (; length >= 8; length -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    word = 0;
    for (size_t i = 0; i < length; i++) word |= (uint64_t)p[i] << 8 * i;
    h = (h ^ word) * 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    return (h * 0xD6E8FEB86659FD93u) ^ (h >> 29);
}

#endif

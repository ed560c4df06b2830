/* The hash over bytes: little-endian 64-bit words, each mixed in by a bijection of the
   state, so that any change of a single word changes the result. */
#include "core/digest.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "digests are of little-endian words, and so must the machine be"
#endif

static uint64_t mix(uint64_t state, uint64_t word)
{
    state = (state ^ word) * 0x9E3779B97F4A7C15u; /* odd: 2^64 / golden ratio */
    return state ^ state >> 32;
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

void rn_digester_begin(rn_digester *d, uint64_t total)
{
    *d = (rn_digester){.state = mix(0, total)};
}

void rn_digester_add(rn_digester *d, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    for (; d->part_used && count; count--) {
        d->part[d->part_used++] = *p++;
        if (d->part_used < sizeof d->part) continue;
        d->state = mix(d->state, word_at(d->part));
        d->part_used = 0;
    }
    for (; count >= sizeof d->part; count -= sizeof d->part, p += sizeof d->part)
        d->state = mix(d->state, word_at(p));
    if (count) memcpy(d->part + d->part_used, p, count);
    d->part_used += count;
}

uint64_t rn_digester_end(rn_digester *d)
{
    memset(d->part + d->part_used, 0, sizeof d->part - d->part_used);
    return mix(mix(d->state, word_at(d->part)), 0);
}

uint64_t rn_digest(const void *bytes, size_t count)
{
    rn_digester d;
    rn_digester_begin(&d, count);
    rn_digester_add(&d, bytes, count);
    return rn_digester_end(&d);
}

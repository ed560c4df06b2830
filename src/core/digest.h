/* A 64-bit hash that notices damage, not malice: of bytes at hand, or handed over in
   parts. */
#ifndef RN_CORE_DIGEST_H
#define RN_CORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint64_t rn_digest(const void *bytes, size_t count);

/* The same in parts: begin with the count of all bytes, add them, end. */
typedef struct rn_digester {
    uint64_t state;
    unsigned char part[8]; /* an unfinished word */
    size_t part_used;
} rn_digester;
void rn_digester_begin(rn_digester *d, uint64_t total);
void rn_digester_add(rn_digester *d, const void *bytes, size_t count);
uint64_t rn_digester_end(rn_digester *d);

#endif

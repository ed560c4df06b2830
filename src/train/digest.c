/* The hash that ties the files of a checkpoint together: 64-bit words, each mixed in by a
   bijection of the state, so that any change of a single word changes the result. */
#include "core/file.h"
#include "train/train.h"

#include <string.h>

static uint64_t mix(uint64_t state, uint64_t word)
{
    state = (state ^ word) * 0x9E3779B97F4A7C15u; /* odd: 2^64 / golden ratio */
    return state ^ state >> 32;
}

uint64_t rn_digest(const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    uint64_t state = mix(0, count), word;
    size_t whole = count / sizeof word;
    for (size_t i = 0; i < whole; i++) {
        memcpy(&word, p + i * sizeof word, sizeof word);
        state = mix(state, word);
    }
    size_t rest = count % sizeof word;
    word = 0;
    if (rest) memcpy(&word, p + whole * sizeof word, rest);
    return mix(mix(state, word), 0);
}

rn_status rn_digest_file(const char *path, rn_file_digest *out, rn_error *err)
{
    rn_map map;
    rn_status st = rn_map_open(&map, path, err);
    if (st) return st;
    *out = (rn_file_digest){.bytes = map.size, .hash = rn_digest(map.data, map.size)};
    rn_map_close(&map);
    return RN_OK;
}

/* States in halves, in plain C: they are split and joined when a sequence goes from
   reading to decoding and back. */
#include "kernels/halves.h"

#include "core/half.h"

#include <string.h>

enum { SOME = 64 }; /* numbers that are taken apart at once */

static inline uint16_t upper_of(uint32_t bits)
{
    return (uint16_t)((bits + 0x8000u) >> 16);
}

static inline uint32_t whole(uint16_t upper, uint16_t lower)
{
    return ((uint32_t)upper << 16) + lower - ((uint32_t)(lower & 0x8000u) << 1);
}

/* Where number i of the upper and of the lower halves begins. */
static inline char *upper_at(float *state, size_t i)
{
    return (char *)state + i * sizeof(uint16_t);
}

static inline char *lower_at(float *state, size_t count, size_t i)
{
    return (char *)state + (count + i) * sizeof(uint16_t);
}

void rn_halves_split(float *state, size_t count, uint16_t *spare)
{
    uint32_t bits[SOME];
    uint16_t upper[SOME];
    for (size_t i = 0; i < count; i += SOME) {
        const size_t n = count - i < SOME ? count - i : SOME;
        memcpy(bits, state + i, n * sizeof *bits);
        for (size_t j = 0; j < n; j++) {
            upper[j] = upper_of(bits[j]);
            spare[i + j] = (uint16_t)bits[j];
        }
        memcpy(upper_at(state, i), upper, n * sizeof *upper);
    }
    memcpy(lower_at(state, count, 0), spare, count * sizeof *spare);
}

void rn_halves_join(float *state, size_t count, uint16_t *spare)
{
    uint32_t bits[SOME];
    uint16_t upper[SOME];
    memcpy(spare, lower_at(state, count, 0), count * sizeof *spare);
    for (size_t i = (count + SOME - 1) / SOME * SOME; i > 0; i -= SOME) {
        const size_t from = i - SOME, n = count - from < SOME ? count - from : SOME;
        memcpy(upper, upper_at(state, from), n * sizeof *upper);
        for (size_t j = 0; j < n; j++) bits[j] = whole(upper[j], spare[from + j]);
        memcpy(state + from, bits, n * sizeof *bits);
    }
}

float rn_halves_upper(const float *state, size_t i)
{
    uint16_t upper;
    memcpy(&upper, (const char *)state + i * sizeof upper, sizeof upper);
    return rn_bf16_to_float(upper);
}

float rn_halves_get(const float *state, size_t count, size_t i)
{
    uint16_t upper, lower;
    memcpy(&upper, (const char *)state + i * sizeof upper, sizeof upper);
    memcpy(&lower, (const char *)state + (count + i) * sizeof lower, sizeof lower);
    return rn_float_of_bits(whole(upper, lower));
}

void rn_halves_set(float *state, size_t count, size_t i, float x)
{
    const uint32_t bits = rn_bits_of_float(x);
    const uint16_t upper = upper_of(bits), lower = (uint16_t)bits;
    memcpy(upper_at(state, i), &upper, sizeof upper);
    memcpy(lower_at(state, count, i), &lower, sizeof lower);
}

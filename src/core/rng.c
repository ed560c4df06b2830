/* Philox 4x32-10 and what is drawn from it. */
#include "core/rng.h"

#include <math.h>

static inline void philox_round(uint32_t c[4], const uint32_t k[2])
{
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k[0];
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k[1];
    c[3] = (uint32_t)p0;
}

void rn_philox(uint32_t out[4], uint64_t seed, rn_draw stream, uint64_t hi, uint32_t lo)
{
    uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    out[0] = lo;
    out[1] = (uint32_t)stream;
    out[2] = (uint32_t)hi;
    out[3] = (uint32_t)(hi >> 32);
    for (int r = 0; r < 10; r++) {
        philox_round(out, k);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
}

static float to_unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

float rn_uniform(uint64_t seed, rn_draw stream, uint64_t hi, uint32_t lo)
{
    uint32_t w[4];
    rn_philox(w, seed, stream, hi, lo);
    return to_unit(w[0]);
}

float rn_normal(uint64_t seed, rn_draw stream, uint64_t hi, uint32_t lo)
{
    uint32_t w[4];
    rn_philox(w, seed, stream, hi, lo);
    double u = ((double)w[0] + 1.0) * 0x1p-32;
    double angle = 6.283185307179586 * ((double)w[1] * 0x1p-32);
    return (float)(sqrt(-2.0 * log(u)) * cos(angle));
}

uint64_t rn_permute(uint64_t seed, rn_draw stream, uint64_t round, uint64_t n, uint64_t i)
{
    unsigned half = 1; /* bits in each half of the smallest even-width domain >= n */
    while (half < 32 && ((uint64_t)1 << (2 * half)) < n) half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint32_t r = 0; r < 6; r++) {
            uint32_t w[4];
            rn_philox(w, seed, stream, round << 3 | r, (uint32_t)right);
            uint64_t next = left ^ (w[0] & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

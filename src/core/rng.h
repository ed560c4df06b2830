/*
 * Counter-based random numbers (Philox 4x32-10, Salmon et al., SC 2011). A draw is a pure
 * function of (seed, stream, counter): there is no generator state to save, so training
 * resumes, sessions fork and batches reorder without changing a single draw.
 */
#ifndef RN_CORE_RNG_H
#define RN_CORE_RNG_H

#include <stdint.h>

/* Who draws. Streams never share counters. */
typedef enum rn_draw {
    RN_STREAM_INIT = 1,    /* parameter initialisation; counter = parameter, element */
    RN_STREAM_DATA = 2,    /* order of training windows */
    RN_STREAM_DROPOUT = 3, /* dropout masks */
    RN_STREAM_SAMPLE = 4,  /* sampling; counter = absolute position, choice */
    RN_STREAM_TEST = 5     /* tests and benchmarks */
} rn_draw;

/* Four independent words for one counter. hi and lo are free for the caller to use. */
void rn_philox(uint32_t out[4], uint64_t seed, rn_draw stream, uint64_t hi, uint32_t lo);

/* Uniform in [0, 1) with 24 bits; uniform in (0, 1] is 1 - u. */
float rn_uniform(uint64_t seed, rn_draw stream, uint64_t hi, uint32_t lo);

/* Standard normal (Box-Muller on the first two words). */
float rn_normal(uint64_t seed, rn_draw stream, uint64_t hi, uint32_t lo);

/* A permutation of 0..n-1 evaluated at i (Feistel network with cycle walking), n >= 1. */
uint64_t rn_permute(uint64_t seed, rn_draw stream, uint64_t round, uint64_t n,
                    uint64_t i);

#endif

/*
 * A head's state in halves: first the upper 16 bits of all its floats, then the lower
 * ones.
 *
 *   bits of a float = upper 2^16 + lower,  -2^15 <= lower < 2^15
 *
 * so that `upper` is the float rounded to bfloat16 (ties away from 0), and nothing is
 * lost; only for the last floats before infinity, and some NaN, `upper` alone says
 * something else. Where activations are rounded to bytes anyway, a read-out of the upper
 * halves is as good as one of the floats, and it is half the memory to go through.
 */
#ifndef RN_KERNELS_HALVES_H
#define RN_KERNELS_HALVES_H

#include <stddef.h>
#include <stdint.h>

/* The number of a state's columns has to be a multiple of this. */
#define RN_HALVES_COLUMNS ((size_t)16)

/* In place, `count` floats into halves and back; `spare` has room for count numbers of 16
   bits. */
void rn_halves_split(float *state, size_t count, uint16_t *spare);
void rn_halves_join(float *state, size_t count, uint16_t *spare);

/* Of such a state: the upper half of number i, float number i, and to set it. */
float rn_halves_upper(const float *state, size_t i);
float rn_halves_get(const float *state, size_t count, size_t i);
void rn_halves_set(float *state, size_t count, size_t i, float x);

#endif

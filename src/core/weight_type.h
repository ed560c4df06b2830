/*
 * The number formats of weights as files store them (the layouts of GGUF, little-endian),
 * row by row. The scalar code here is their definition: what reads or repacks blocks
 * anywhere is tested against it.
 */
#ifndef RN_CORE_WEIGHT_TYPE_H
#define RN_CORE_WEIGHT_TYPE_H

#include "retnet/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers in a block (1 for F32, BF16, F16) and bytes of it. */
#define RN_WEIGHT_MAX_BLOCK 256
size_t rn_weight_block(rn_weight_type type);
size_t rn_weight_block_bytes(rn_weight_type type);

/* Bytes of n numbers; n is a multiple of the block and below 2^48. */
size_t rn_weight_bytes(rn_weight_type type, size_t n);

/* The type with this name ("q4_k"; case does not matter); false: there is none. */
bool rn_weight_type_find(rn_weight_type *out, const char *name);

/* `type`, or what stands in for it where rows of k numbers are not whole blocks of it:
   Q4_0 for Q4_K, Q8_0 for Q6_K, BF16 where 32 does not divide k. */
rn_weight_type rn_weight_type_fitting(rn_weight_type type, size_t k);

/* n numbers (whole blocks) from and to float32. Encoding is deterministic, and of finite
   numbers it gives finite ones: those beyond a type's reach become the largest that it
   reaches (65504 in F16; 127, 8 and 4096 times that in Q8_0, Q4_0 and Q6_K, 945 and below
   zero 63 times in Q4_K). Blocks may lie at any address. */
void rn_weight_decode(rn_weight_type type, float *out, const void *blocks, size_t n);
void rn_weight_encode(rn_weight_type type, void *blocks, const float *in, size_t n);

/* Whether all of a row's n numbers are finite. */
bool rn_weight_finite(rn_weight_type type, const void *blocks, size_t n);

#endif

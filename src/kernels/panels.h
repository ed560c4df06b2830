/*
 * Weight matrices for inference, repacked once for the CPU's kernels: panels of RN_PANEL
 * rows, each one contiguous run of cache lines, in which the rows lie interleaved the way
 * dot-product instructions want them. Values are exactly those of the stored blocks.
 * Rows past the end of the last panel are zero. Within a panel, of [k] columns:
 *
 *   BF16   for each pair of columns a line of 16 rows x 2 (k even, zero padded)
 *   F16    for each column 16 halves (k even, zero padded)
 *   Q8_0   for each two blocks of 32 columns (of the last one the second may be missing):
 *          a line of 16 + 16 scales (f16 d of each row, first block, then second), then 8
 *          lines of each block: line g has for row r columns 4g .. 4g+3 at byte 4r, as
 *          q + 128
 *   Q4_0   alike, with 4 lines a block: the low halves of line g are columns 8g .. 8g+3,
 *          the high halves 8g+4 .. 8g+7 (q, x = d (q - 8))
 *   Q4_K   for each 256 columns: a line of 16 d and 16 dmin (f16); 4 lines with, for each
 *          of the 8 sub-blocks of 32, 16 scales and 16 minima (u8); then 4 lines of
 *          nibbles a sub-block, as in Q4_0
 *   Q6_K   for each 256 columns: a line of 16 d (float32); 4 lines with, for each
 *          sub-block of 32, 16 scales of its first 16 columns, 16 of its second (i8);
 *          then for each sub-block 4 lines of low nibbles as in Q4_0 and 2 lines of upper
 *          bit pairs: bits 2i, 2i+1 of byte 4r + c of line h are those of column
 *          16h + 4i + c; x = d scale (q - 32)
 */
#ifndef RN_KERNELS_PANELS_H
#define RN_KERNELS_PANELS_H

#include "core/weight_type.h"

#define RN_PANEL       ((size_t)16)
#define RN_PANEL_BLOCK ((size_t)32) /* columns with one scale of the activations */

/* A packed matrix, or the rows of one, of type BF16 or later. Views own nothing. */
typedef struct rn_panels {
    rn_weight_type type;
    size_t n, k;               /* [n][k], y = in W^T */
    const unsigned char *data; /* aligned to a cache line */
} rn_panels;

/* Bytes of one panel (a multiple of a cache line), and of a matrix; false: overflow. */
size_t rn_panel_bytes(rn_weight_type type, size_t k);
bool rn_panels_bytes(rn_weight_type type, size_t n, size_t k, size_t *bytes);

/* Packs `count` (at most RN_PANEL) stored rows, each rn_weight_bytes(type, k) bytes
   behind the one before, into one panel. */
void rn_panel_pack(rn_weight_type type, size_t k, unsigned char *panel, const void *rows,
                   size_t count);

/* Row j as float32. */
void rn_panels_row(const rn_panels *w, size_t j, float *out);

/* Sums of the first and the second 16 numbers of a block of Q8 activations. */
typedef struct rn_act_sum {
    int16_t half[2];
} rn_act_sum;

/* Rows of activations, in the form that a weight type multiplies:
 *   F32   floats, ld floats apart: for BF16 and F16
 *   BF16  rounded to nearest even, pairs, ld numbers apart, k padded to even with 0: the
 *         other choice for BF16
 *   Q8    for all blocks: i8 q, ld bytes apart, k a multiple of 32; per row and block of
 *         32 a scale d and the sums of the q; a = d q, d = max|a| / 127, q to nearest
 *         even. Where max|a| is below 2^-100, d and q are 0; where it is not finite, d
 *         is NaN, q 0
 */
typedef enum rn_acts_type { RN_ACTS_F32, RN_ACTS_BF16, RN_ACTS_Q8 } rn_acts_type;
typedef struct rn_acts {
    rn_acts_type type;
    size_t rows, k, ld;
    const void *data;
    const float *scale;    /* [rows][k / 32], Q8 */
    const rn_act_sum *sum; /* [rows][k / 32], Q8 */
} rn_acts;

/* What a weight type multiplies; `bf16`: products of BF16 by BF16 are allowed. */
rn_acts_type rn_acts_of(rn_weight_type type, bool bf16);

/* Bytes that `rows` rows of k numbers need in this form (0 for F32; SIZE_MAX where they
   overflow), and the view of a buffer of that size laid out for `rows` rows: data first,
   then scales, then sums, each aligned to a cache line. */
size_t rn_acts_bytes(rn_acts_type type, size_t rows, size_t k);
rn_acts rn_acts_place(rn_acts_type type, size_t rows, size_t k, void *buffer);

#endif

/* What the reference and the fast variants of retention share. */
#ifndef RN_KERNELS_RETENTION_H
#define RN_KERNELS_RETENTION_H

#include "kernels/kernels.h"

/* Rows of queries and of keys that the fast variants take at a time: a square of scores
   of this side stays in the first-level cache. */
#define RN_RETENTION_TILE ((size_t)64)

/* The row normaliser's factor from d_n and the row sum that it looks at (paper: the
   signed sum of decayed scores, torchscale: of their magnitudes). */
double rn_retention_row_factor(rn_row_norm norm, double d, double row_sum);

/* The k, v head that query head h reads. */
static inline size_t rn_kv_head(const rn_retention *d, size_t h)
{
    return h / (d->heads / d->kv_heads);
}

#endif

/* What the dense products of all number types share: sizes of blocks, the cut of C over
   threads, and a product of no depth. */
#ifndef RN_CPU_GEMM_PARTS_H
#define RN_CPU_GEMM_PARTS_H

#include "cpu/sizes.h"

/* How C is cut into rectangles, one a thread. */
typedef struct grid {
    size_t down, across; /* rectangles */
    size_t rows, cols;   /* of each, the last ones less */
} grid;

static inline void scale_matrix(size_t m, size_t n, float beta, float *c, size_t ldc)
{
    if (beta != 0.0f) return;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) c[i * ldc + j] = 0.0f;
}

#endif

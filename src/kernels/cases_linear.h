/* What the cases of the products with packed weights share: buffers y, in, w (in this
   order), operands made from random floats, shapes. */
#ifndef RN_KERNELS_CASES_LINEAR_H
#define RN_KERNELS_CASES_LINEAR_H

#include "kernels/cases.h"

/* y is [rows][n + gap], of which columns begin .. end-1 are asked for. k is rounded up to
   a whole number of the weight type's blocks. */
typedef struct rn_linear_shape {
    size_t rows, n, k, gap, begin, end;
} rn_linear_shape;

/* For declare and prepare. Afterwards c->panels and c->acts are the operands: for F32
   activations the floats of the buffer, `gap` floats behind each row. */
void rn_case_linear(rn_case *c, const rn_linear_shape *s, rn_weight_type weights,
                    rn_acts_type acts);
void rn_case_linear_prepare(rn_case *c);

/* Uniform numbers in [-1, 1) times a small factor that changes from block to block, from
   a seed that a buffer's random contents give. */
void rn_case_uneven(float *out, size_t rows, size_t k, const rn_case_buffer *seed);

#endif

/* What the element-wise and row-wise kernels share: vectors whose last one may be short,
   work in blocks, and the walk over column sums. Included after simd_ISA.h. */
#ifndef RN_CPU_LOOP_SIMD_H
#define RN_CPU_LOOP_SIMD_H

#include "cpu/sizes.h"
#include "cpu/unroll.h"
#include "cpu/variants.h"
#include "kernels/exec.h"

/* Elements that a thread takes at a time from a long array: 16 KiB. */
#define BLOCK ((size_t)4096)

/* A column sum runs over this many rows before it is added to the total: two levels keep
   the rounding error of thousands of rows small. */
#define ROW_BLOCK ((size_t)64)

/* Column sums are taken for this many columns at a time, in registers. */
#define SLAB_VECS 4
#define SLAB      ((size_t)SLAB_VECS * VW)

/* Kernels that decoding calls a thousand times a token, from inside its team, run through
   their rows without opening a parallel region where the handle has one thread: that
   alone would take half a microsecond. */
static inline bool alone(const rn_exec *x)
{
    return x->threads == 1;
}

/* The next vector of an array with `left` floats left; zeros behind its end. */
static inline vf vf_get(const float *p, size_t left)
{
    return left >= VW ? vf_load(p) : vf_load_n(p, left);
}

static inline void vf_put(float *p, size_t left, vf v)
{
    if (left >= VW) vf_store(p, v);
    else vf_store_n(p, left, v);
}

/* Zeros in the lanes beyond the array's end. */
static inline vf vf_valid(vf v, size_t left)
{
    return left >= VW ? v : vf_blend_n(left, v, vf_zero());
}

static inline size_t blocks_of(size_t n, size_t block)
{
    return (n + block - 1) / block;
}

/* to[0..width) += the sums of a slab. */
static inline void slab_add(float *to, size_t width, const vf sum[SLAB_VECS])
{
    RN_UNROLL for (int j = 0; j < SLAB_VECS; j++)
    {
        size_t n = vector_part(width, (size_t)j);
        float *at = to + j * VW;
        if (n) vf_put(at, n, vf_add(vf_get(at, n), sum[j]));
    }
}

#endif

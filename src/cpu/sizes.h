/* Small arithmetic on sizes that kernels share. Included after simd_ISA.h. */
#ifndef RN_CPU_SIZES_H
#define RN_CPU_SIZES_H

#include <stddef.h>

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* Floats in vector j of a row of `width`: 0..VW. */
static inline size_t vector_part(size_t width, size_t j)
{
    return width <= j * VW ? 0 : least(width - j * VW, VW);
}

#endif

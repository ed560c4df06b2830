/* Reading memory as fast as it comes: one stream, eight vectors a round, the lines of the
   next pages asked for ahead of time, since the processor's own prefetch stops at the end
   of a page. The sum keeps the loads; its additions are far below what memory gives. */
#ifndef RN_CPU_READ_SIMD_H
#define RN_CPU_READ_SIMD_H

#include "cpu/cpu.h"

#define READ_VECS  8
#define READ_AHEAD 2048 /* floats: 8 KiB; 4 to 16 measured alike */
#define LINE       16   /* floats in a cache line */

float RN_VARIANT(read)(const float *data, size_t count)
{
    vf sum[READ_VECS];
    RN_UNROLL for (size_t j = 0; j < READ_VECS; j++) sum[j] = vf_zero();
    for (size_t i = 0; i + READ_VECS * VW <= count; i += READ_VECS * VW) {
        RN_UNROLL for (size_t j = 0; j < READ_VECS * VW; j += LINE)
            __builtin_prefetch(data + i + READ_AHEAD + j, 0, 3);
        RN_UNROLL for (size_t j = 0; j < READ_VECS; j++) sum[j] =
            vf_add(sum[j], vf_load(data + i + j * VW));
    }
    vf all = sum[0];
    RN_UNROLL for (size_t j = 1; j < READ_VECS; j++) all = vf_add(all, sum[j]);
    return vf_sum(all);
}

#endif

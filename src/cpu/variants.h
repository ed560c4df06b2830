/* Prototypes of every variant that an instruction set may have; those that exist are the
   ones that pick.c puts into the table. */
#ifndef RN_CPU_VARIANTS_H
#define RN_CPU_VARIANTS_H

#include "kernels/kernels.h"

#define RN_KERNEL(name, args, tolerance)                                                 \
    void rn_##name##_avx2 args;                                                          \
    void rn_##name##_avx512 args;                                                        \
    void rn_##name##_avx512vnni args;                                                    \
    void rn_##name##_avx512bf16 args;
#include "kernels/kernels.def"
#undef RN_KERNEL

#endif

/*
 * The kernel table: one function pointer per row of kernels.def, filled with the
 * reference C and then overridden by each instruction set that the CPU (and the mask)
 * allows.
 */
#ifndef RN_KERNELS_KERNELS_H
#define RN_KERNELS_KERNELS_H

#include "kernels/ops.h"

typedef struct rn_exec rn_exec;

#define RN_KERNEL(name, args, tolerance) typedef void(*rn_##name##_fn) args;
#include "kernels/kernels.def"
#undef RN_KERNEL

typedef struct rn_kernels {
#define RN_KERNEL(name, args, tolerance) rn_##name##_fn name;
#include "kernels/kernels.def"
#undef RN_KERNEL
} rn_kernels;

#define RN_KERNEL(name, args, tolerance) void rn_##name##_ref args;
#include "kernels/kernels.def"
#undef RN_KERNEL

/* Fills every slot with the reference. */
void rn_kernels_ref(rn_kernels *k);

/* Bytes of per-thread scratch that the retention kernels may use for head widths dk, dv
   and any chunk length; a caller reserves them with rn_exec_reserve. */
size_t rn_retention_scratch(size_t dk, size_t dv);

/* The same of gemm_bf16; rn_exec_open reserves it for handles with the option bf16. */
#define RN_GEMM_BF16_SCRATCH ((size_t)3456 << 10)

/* d_n = sum_{j<=n} gamma^j for n tokens before this one, in double; n + 1 when gamma
 * is 1. */
double rn_decay_sum(double log_gamma, uint64_t n);

#endif

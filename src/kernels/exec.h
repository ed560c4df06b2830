/*
 * The execution handle: the kernel table, the thread count and the scratch memory that
 * kernels may use. Every kernel takes it first. A handle serves one caller at a time.
 */
#ifndef RN_KERNELS_EXEC_H
#define RN_KERNELS_EXEC_H

#include "core/error.h"
#include "kernels/kernels.h"
#include "retnet/exec.h"

/* Instruction sets, in order. A mask is the or of all that may be used. */
enum {
    RN_CPU_AVX2 = 1,   /* AVX2 and FMA */
    RN_CPU_AVX512 = 2, /* AVX-512 F, BW, DQ, VL */
};

struct rn_exec {
    rn_kernels k;
    unsigned cpu; /* mask */
    int threads;
    char *scratch; /* threads blocks of scratch_bytes each */
    size_t scratch_bytes;
    void *gemm; /* of the GEMM library behind the slot, when there is one */
    void (*gemm_free)(void *gemm);
    const char *gemm_name; /* "own", "oneDNN 2.6.3" */
    char description[160];
};

/* Makes sure that each thread has at least `bytes` of scratch. To be called when a model
   or a run is set up, never inside a step. */
rn_status rn_exec_reserve(rn_exec *x, size_t bytes, rn_error *err);

/* The calling OpenMP thread's scratch, aligned to a cache line. */
void *rn_exec_scratch(const rn_exec *x);

/* How many threads `work` elementary operations are worth: 1 when waking the others would
   cost more than it saves. Every parallel loop asks it. Results never depend on it. */
int rn_exec_parallel(const rn_exec *x, size_t work);

#endif

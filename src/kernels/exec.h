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
    RN_CPU_VNNI = 4,   /* AVX-512 VNNI: dot products of bytes */
    RN_CPU_BF16 = 8,   /* AVX-512 BF16: dot products of bfloat16 */
};

struct rn_exec {
    rn_kernels k;
    unsigned cpu; /* mask */
    int threads;
    bool bf16;     /* dense products round their operands to bfloat16 */
    char *scratch; /* threads blocks of scratch_bytes each */
    size_t scratch_bytes;
    void *acts; /* activations in the forms that packed weights multiply, all threads' */
    size_t acts_bytes;
    void *gemm; /* of the GEMM library behind the slot, when there is one */
    void (*gemm_free)(void *gemm);
    const char *gemm_name; /* "own", "oneDNN 2.6.3" */
    char description[160];
};

/* Makes sure that each thread has at least `bytes` of scratch. To be called when a model
   or a run is set up, never inside a step. */
rn_status rn_exec_reserve(rn_exec *x, size_t bytes, rn_error *err);

/* The same for x->acts. */
rn_status rn_exec_reserve_acts(rn_exec *x, size_t bytes, rn_error *err);

/* Gives the memory of both back to the system until they are used again. */
void rn_exec_rest(rn_exec *x);

/* The dense product that the handle's precision asks for. */
static inline rn_gemm_fn rn_exec_gemm(const rn_exec *x)
{
    return x->bf16 ? (rn_gemm_fn)x->k.gemm_bf16 : x->k.gemm;
}

/* The calling OpenMP thread's scratch, aligned to a cache line. */
void *rn_exec_scratch(const rn_exec *x);

/* p[0..count) = 0, by all threads. */
void rn_exec_zero(const rn_exec *x, float *p, size_t count);

/* How many threads `work` elementary operations are worth: 1 when waking the others would
   cost more than it saves. Every parallel loop asks it. Results never depend on it. */
int rn_exec_parallel(const rn_exec *x, size_t work);

#endif

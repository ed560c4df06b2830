/*
 * The execution handle: which device, how many threads, which instruction sets.
 *
 * A handle serves one thread of the caller at a time; make one per thread to work in
 * parallel. Models keep a pointer to the handle that they were opened with, which must
 * outlive them.
 */
#ifndef RETNET_EXEC_H
#define RETNET_EXEC_H

#include "retnet/status.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rn_exec rn_exec;

/** Zeroed options are the defaults. */
typedef struct rn_exec_options {
    int threads;        /**< 0: the physical cores that this process may run on */
    const char *cpu;    /**< "ref", "avx2", "avx512", or NULL or "auto" for the best */
    const char *device; /**< "cpu" or NULL */
    bool bf16;          /**< dense products may round both operands to bfloat16 (sums stay
                             float32): twice the rate on processors with AVX-512 BF16, and ignored
                             on others that have AVX2 */
} rn_exec_options;

/**
 * Opens a handle. options may be NULL. RN_EINVAL for an unknown name or a thread count
 * outside 0..1024, RN_EUNSUPPORTED for a device or an instruction set that is not there.
 */
rn_status rn_exec_open(rn_exec **out, const rn_exec_options *options, rn_error *err);

/** Frees the handle; NULL is allowed. */
void rn_exec_close(rn_exec *x);

/** Number of threads in use. */
int rn_exec_threads(const rn_exec *x);

/** Whether dense products round their operands to bfloat16: asked for, and not ignored.
 */
bool rn_exec_bf16(const rn_exec *x);

/** One line such as "cpu avx512, 2 threads, gemm own". Owned by the handle. */
const char *rn_exec_describe(const rn_exec *x);

#ifdef __cplusplus
}
#endif
#endif

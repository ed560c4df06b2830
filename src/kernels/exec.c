/* The execution handle's scratch and its decision when to go parallel. Opening and
   closing a handle is the backend's work. */
#include "kernels/exec.h"

#include "core/arena.h"

#include <omp.h>
#include <string.h>

/* Below this many elementary operations one thread is faster than waking another: about
   5 microseconds against about 4 operations a nanosecond. */
#define PARALLEL_WORK ((size_t)20000)

rn_status rn_exec_reserve(rn_exec *x, size_t bytes, rn_error *err)
{
    size_t rounded, total;
    if (!rn_add_size(&rounded, bytes, RN_ALIGN - 1))
        return rn_fail_memory(err, "kernel scratch", bytes);
    rounded &= ~(RN_ALIGN - 1);
    if (rounded <= x->scratch_bytes) return RN_OK;
    if (!rn_mul_size(&total, rounded, (size_t)x->threads))
        return rn_fail_memory(err, "kernel scratch", rounded);
    void *block;
    rn_status st = rn_block_alloc(&block, total, "kernel scratch", err);
    if (st) return st;
    rn_block_release(block, 0, total); /* what no kernel uses stays without memory */
    rn_block_free(x->scratch);
    x->scratch = block;
    x->scratch_bytes = rounded;
    return RN_OK;
}

rn_status rn_exec_reserve_acts(rn_exec *x, size_t bytes, rn_error *err)
{
    if (bytes <= x->acts_bytes) return RN_OK;
    void *block;
    rn_status st = rn_block_alloc(&block, bytes, "packed activations", err);
    if (st) return st;
    rn_block_free(x->acts);
    x->acts = block;
    x->acts_bytes = bytes;
    return RN_OK;
}

void rn_exec_rest(rn_exec *x)
{
    rn_block_release(x->scratch, 0, x->scratch_bytes * (size_t)x->threads);
    rn_block_release(x->acts, 0, x->acts_bytes);
}

void *rn_exec_scratch(const rn_exec *x)
{
    return x->scratch + (size_t)omp_get_thread_num() * x->scratch_bytes;
}

void rn_exec_zero(const rn_exec *x, float *p, size_t count)
{
    const size_t block = 4096, blocks = count / block;
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, count))
    for (size_t b = 0; b < blocks; b++) memset(p + b * block, 0, block * sizeof *p);
    memset(p + blocks * block, 0, count % block * sizeof *p);
}

int rn_exec_parallel(const rn_exec *x, size_t work)
{
    return work < PARALLEL_WORK ? 1 : x->threads;
}

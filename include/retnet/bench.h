/* Measurements: the machine's limits, and every kernel of the table against them. */
#ifndef RETNET_BENCH_H
#define RETNET_BENCH_H

#include "retnet/exec.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Float32 multiply-add peak of the handle's threads and instruction set, in flop/s: the
   best of several runs of independent register-only chains. */
double rn_bench_peak_flops(rn_exec *x);

/** Read bandwidth of main memory with the handle's threads, bytes/s. */
double rn_bench_bandwidth(rn_exec *x);

typedef struct rn_bench_row {
    const char *name; /**< the kernel */
    char shape[80];   /**< "rows 512, dim 1024" */
    double seconds;   /**< median of a call */
    double min_seconds, max_seconds;
    double flops, bytes; /**< of a call; 0 where the figure has no meaning */
    double speedup;      /**< against the reference on the same input */
} rn_bench_row;

/** Measures every kernel whose name contains `filter` (NULL: all) and hands each row to
   the callback. repeat: timed calls of each. */
rn_status rn_bench_kernels(rn_exec *x, const char *filter, int repeat,
                           void (*row)(void *user, const rn_bench_row *row), void *user,
                           rn_error *err);

#ifdef __cplusplus
}
#endif
#endif

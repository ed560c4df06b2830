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

/** The same of bfloat16 dot products (flop/s) and of dot products of bytes (a
   multiply-add counts as 2); 0 where the handle's instruction sets have none. */
double rn_bench_peak_bf16(rn_exec *x);
double rn_bench_peak_int8(rn_exec *x);

/** Read bandwidth of main memory with the handle's threads, bytes/s: the best of several
    spans of plain reading; 0 when there is no memory for it. */
double rn_bench_bandwidth(rn_exec *x);

/** The same within a tenth of a second, as the median of its spans: what a measurement
    right before or after it could have had on a machine whose memory others use too. */
double rn_bench_bandwidth_now(rn_exec *x);

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

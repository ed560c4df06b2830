/* What the measurements of `retnet bench` share: timing a call, and rows of results. */
#ifndef RN_CLI_BENCH_H
#define RN_CLI_BENCH_H

#include "open.h"

#include <jansson.h>

/* One result. Counts below 0 and figures that are 0 do not apply and are left out. */
typedef struct cli_row {
    const char *name;
    const char *shape; /* "rows 512, dim 1024", or NULL */
    int64_t depth, batch, seq;
    double value, min, max; /* in unit */
    const char *unit;
    double limit; /* of the machine, in unit */
    double bytes; /* read by a call */
    double seconds, speedup;
    double memory; /* resident bytes of the case, without the machine's probes */
} cli_row;

typedef struct cli_bench {
    const cli_args *args;
    cli_model m;
    json_t *results;
    double peak, bandwidth; /* flop/s, bytes/s; 0: not measured */
} cli_bench;

typedef struct cli_times {
    double median, min, max; /* seconds */
} cli_times;

/* Calls once to warm up, then --repeat times, or fewer once five seconds are spent. */
typedef int cli_bench_call(void *user, rn_error *err);
int cli_bench_time(const cli_bench *b, cli_bench_call *call, void *user, cli_times *out,
                   rn_error *err);

/* Prints the row, or keeps it for --json. */
int cli_bench_row(cli_bench *b, const cli_row *row, rn_error *err);

/* The peaks of the machine, measured at the first call. */
double cli_bench_peak(cli_bench *b);
double cli_bench_bandwidth(cli_bench *b);

/* The measurements, by WHAT. */
int cli_bench_kernels(cli_bench *b, rn_error *err);
int cli_bench_retention(cli_bench *b, rn_error *err);
int cli_bench_prompt(cli_bench *b, rn_error *err);
int cli_bench_decode(cli_bench *b, rn_error *err);
int cli_bench_train(cli_bench *b, rn_error *err);

#endif

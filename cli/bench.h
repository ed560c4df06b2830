/* What the measurements of `retnet bench` share: timing a call beside the machine's
   limit, and rows of results. */
#ifndef RN_CLI_BENCH_H
#define RN_CLI_BENCH_H

#include "open.h"
#include "progress.h"

/* What a call cannot be faster than: reading memory (bytes/s), or arithmetic (flop/s). */
typedef enum cli_limit {
    CLI_LIMIT_F32,
    CLI_LIMIT_BF16,
    CLI_LIMIT_INT8,
    CLI_LIMIT_READ,
    CLI_LIMITS
} cli_limit;

/* One result. Counts below 0 and figures that are 0 do not apply and are left out. */
typedef struct cli_row {
    const char *name, *type;
    char shape[80]; /* "rows 512, dim 1024", or empty */
    int64_t depth, batch, seq;
    double value, min, max; /* in unit */
    const char *unit;
    double limit;    /* of the machine, in unit */
    double fraction; /* of the limit that was measured beside each call */
    double bytes;    /* read by a call, or by a step of it */
    double held;     /* bytes of weights and states */
    double seconds, speedup;
    double memory; /* resident bytes of the case, without the machine's probes */
} cli_row;

typedef struct cli_bench {
    const cli_args *args;
    const char *path; /* MODEL, or NULL */
    cli_model m;
    const char *type; /* of the model's weights, or of training */
    cli_row *rows;
    size_t row_count;
    double limits[CLI_LIMITS]; /* the highest measured; 0: not measured */
    cli_progress progress;
} cli_bench;

/* What a call does in units of the limit: bytes or flops. */
typedef struct cli_work {
    cli_limit limit;
    double amount;
} cli_work;

typedef struct cli_times {
    double median, min, max; /* seconds */
    double rate;             /* of the limit, median, in its unit a second */
    double fraction;         /* median over the calls of the part of the limit reached */
    double memory;           /* resident right after the last call */
} cli_times;

/* Calls once to warm up, then --repeat times (where that was not given: fewer once five
   seconds are spent). The limit is measured before the first and after each call; a
   call's own limit is the mean of its two neighbours. */
typedef int cli_bench_call(void *user, rn_error *err);
int cli_bench_time(cli_bench *b, cli_bench_call *call, void *user, const cli_work *work,
                   cli_times *out, rn_error *err);

/* A limit now, and the highest so far, which is measured when it has not been. */
double cli_bench_limit_now(cli_bench *b, cli_limit limit);
double cli_bench_limit(cli_bench *b, cli_limit limit);

/* Completes a row (name, depth, batch, seq, bytes) with the rate of `tokens` a call. */
int cli_bench_put_rate(cli_bench *b, cli_row row, double tokens, const cli_work *work,
                       const cli_times *times, rn_error *err);

/* Keeps the row, and prints it unless --json. */
int cli_bench_put(cli_bench *b, const cli_row *row, rn_error *err);

/* The end of the text, or the JSON object. */
int cli_bench_print_end(const cli_bench *b, rn_error *err);

/* The processor's own name, where the system tells it, else an empty string. */
void cli_bench_processor(char *out, size_t size);

/* Draws the rows of WHAT (not kernels) into an SVG file. */
int cli_bench_plot(const cli_bench *b, const char *what, const char *path, rn_error *err);

/* The list of a CLI_INTS option, or `count` defaults where it was not given. */
typedef struct cli_numbers {
    const int64_t *list;
    size_t count;
} cli_numbers;
cli_numbers cli_bench_numbers(const cli_bench *b, const char *option,
                              const int64_t *defaults, size_t count);

/* `count` ids that the vocabulary has; freed with free(). */
int cli_bench_ids(const cli_bench *b, size_t count, int32_t **out, rn_error *err);

/* Numbers of the model that a token is multiplied with: all parameters, without the
   embedding table, which is only looked up, and with the output matrix if `output`. */
double cli_bench_products(const cli_bench *b, bool output);

/* The measurements, by WHAT. */
int cli_bench_kernels(cli_bench *b, rn_error *err);
int cli_bench_retention(cli_bench *b, rn_error *err);
int cli_bench_prompt(cli_bench *b, rn_error *err);
int cli_bench_decode(cli_bench *b, rn_error *err);
int cli_bench_batch(cli_bench *b, rn_error *err);
int cli_bench_train(cli_bench *b, rn_error *err);

#endif

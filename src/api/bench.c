/* Measurements behind retnet/bench.h: the peak of arithmetic, and the kernels of the
   table on the large shape of their case, against their references. bandwidth.c has
   memory. */
#include "retnet/bench.h"

#include "core/clock.h"
#include "cpu/cpu.h"
#include "kernels/cases.h"

#include <stdlib.h>
#include <string.h>

#define RUNS       7
#define PEAK_ROUND ((size_t)1000000)
#define SEED       ((uint64_t)1)
/* The reference is slow and steady: a few calls tell enough. */
#define REFERENCE_CALLS 3

typedef double (*peak_fn)(size_t rounds, float *sink);

static peak_fn peak_of(unsigned cpu)
{
#if defined(__x86_64__)
    if (cpu & RN_CPU_AVX512) return rn_peak_avx512;
    if (cpu & RN_CPU_AVX2) return rn_peak_avx2;
#else
    (void)cpu;
#endif
    return rn_peak_ref;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* The best of several runs of `peak` on every thread. */
static double best_rate(rn_exec *x, peak_fn peak)
{
    double best = 0.0;
    for (int run = 0; run < RUNS; run++) {
        double flops = 0.0, begin = rn_seconds();
#pragma omp parallel num_threads(x->threads) reduction(+ : flops)
        {
            volatile float kept;
            float sink;
            flops += peak(PEAK_ROUND, &sink);
            kept = sink;
            (void)kept;
        }
        best = larger(best, flops / (rn_seconds() - begin));
    }
    return best;
}

double rn_bench_peak_flops(rn_exec *x)
{
    return best_rate(x, peak_of(x->cpu));
}

double rn_bench_peak_bf16(rn_exec *x)
{
#if defined(__x86_64__)
    if (x->cpu & RN_CPU_BF16) return best_rate(x, rn_peak_avx512bf16);
#endif
    (void)x;
    return 0.0;
}

double rn_bench_peak_int8(rn_exec *x)
{
#if defined(__x86_64__)
    if (x->cpu & RN_CPU_VNNI) return best_rate(x, rn_peak_avx512vnni);
#endif
    (void)x;
    return 0.0;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Times `count` calls, each from the same inputs, and sorts the times. */
static rn_status time_calls(rn_case *c, rn_exec *x, double *times, int count,
                            rn_error *err)
{
    for (int i = 0; i < count; i++) {
        rn_case_reset(c);
        double begin = rn_seconds();
        rn_status st = rn_case_run(c, x, err);
        if (st) return st;
        times[i] = rn_seconds() - begin;
    }
    qsort(times, (size_t)count, sizeof *times, by_value);
    return RN_OK;
}

static double median(const double *sorted, int count)
{
    int half = count / 2;
    return count % 2 ? sorted[half] : 0.5 * (sorted[half - 1] + sorted[half]);
}

/* Fills the row's times from the handle's kernels, then its speedup from the references.
 */
static rn_status measure(rn_bench_row *row, rn_case *c, rn_exec *x, double *times,
                         int repeat, rn_error *err)
{
    rn_status st = rn_case_run(c, x, err); /* warms up, and reserves the scratch */
    if (st) return st;
    st = time_calls(c, x, times, repeat, err);
    if (st) return st;
    row->seconds = median(times, repeat);
    row->min_seconds = times[0];
    row->max_seconds = times[repeat - 1];

    rn_exec reference = *x;
    rn_kernels_ref(&reference.k);
    int calls = repeat < REFERENCE_CALLS ? repeat : REFERENCE_CALLS;
    st = time_calls(c, &reference, times, calls, err);
    if (st) return st;
    row->speedup = median(times, calls) / row->seconds;
    return RN_OK;
}

static rn_status bench_kernel(rn_bench_row *out, rn_exec *x, const rn_case_row *kernel,
                              double *times, int repeat, rn_error *err)
{
    rn_case *c;
    rn_status st = rn_case_open(&c, kernel, kernel->kind->shapes - 1, SEED, true, err);
    if (st) return st;
    rn_bench_row row = {.name = kernel->name, .flops = c->flops, .bytes = c->bytes};
    memcpy(row.shape, c->shape, sizeof row.shape);
    st = measure(&row, c, x, times, repeat, err);
    rn_case_close(c);
    if (st) return st;
    *out = row;
    return RN_OK;
}

rn_status rn_bench_kernels(rn_exec *x, const char *filter, int repeat,
                           void (*row)(void *user, const rn_bench_row *row), void *user,
                           rn_error *err)
{
    if (repeat < 1 || repeat > 1000000)
        return rn_fail(err, RN_EINVAL, "repeat: %d is not in 1..1000000", repeat);
    double *times = calloc((size_t)repeat, sizeof *times);
    if (!times) return rn_fail_memory(err, "times", (size_t)repeat * sizeof *times);

    rn_status st = RN_OK;
    bool any = false;
    const rn_case_row *kernel;
    for (size_t i = 0; !st && (kernel = rn_case_row_at(i)); i++) {
        if (filter && !strstr(kernel->name, filter)) continue;
        rn_bench_row result;
        st = bench_kernel(&result, x, kernel, times, repeat, err);
        if (!st) row(user, &result);
        any = true;
    }
    if (!any) st = rn_fail(err, RN_ENOTFOUND, "no kernel has '%s' in its name", filter);
    free(times);
    return st;
}

/*
 * Read bandwidth of main memory: every thread reads its own part of a block that no cache
 * holds, several times over, and a span is timed from the first thread's start to the
 * last one's end. The block is touched by the threads that read it.
 */
#define _DEFAULT_SOURCE
#include "retnet/bench.h"

#include "core/clock.h"
#include "cpu/cpu.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Of a thread: more than its share of any last-level cache. */
#define PART_BYTES  ((size_t)128 << 20)
#define LEAST_BYTES ((size_t)256 << 20)
#define MOST_BYTES  ((size_t)4 << 30)
#define PAGE        4096
#define SWEEPS      4 /* of a span, so that waking the threads does not count */
#define MOST_SPANS  64

typedef float read_fn(const float *data, size_t count);

typedef struct reader {
    read_fn *read;
    float *data;
    size_t bytes, part; /* part: floats of a thread */
    int threads;
} reader;

static read_fn *reader_of(unsigned cpu)
{
#if defined(__x86_64__)
    if (cpu & RN_CPU_AVX512) return rn_read_avx512;
    if (cpu & RN_CPU_AVX2) return rn_read_avx2;
#else
    (void)cpu;
#endif
    return rn_read_ref;
}

/* A page that was never written would be one page of zeros, and stay in the cache. */
static void touch(const reader *r, int thread)
{
    volatile char *bytes = (volatile char *)(r->data + (size_t)thread * r->part);
    for (size_t i = 0; i < r->part * sizeof *r->data; i += PAGE) bytes[i] = 0;
}

static bool reader_open(reader *r, const rn_exec *x)
{
    size_t bytes = PART_BYTES * (size_t)x->threads;
    if (bytes < LEAST_BYTES) bytes = LEAST_BYTES;
    if (bytes > MOST_BYTES) bytes = MOST_BYTES;
    void *data =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return false;
    madvise(data, bytes, MADV_HUGEPAGE); /* a hint: may fail */
    size_t pages = bytes / PAGE / (size_t)x->threads;
    *r = (reader){.read = reader_of(x->cpu),
                  .data = data,
                  .bytes = bytes,
                  .part = pages * PAGE / sizeof(float),
                  .threads = x->threads};
#pragma omp parallel for schedule(static) num_threads(r->threads)
    for (int t = 0; t < r->threads; t++) touch(r, t);
    return true;
}

/* Bytes a second of one span. */
static double read_span(const reader *r)
{
    float sum = 0;
    double begin = rn_seconds();
#pragma omp parallel for schedule(static) num_threads(r->threads) reduction(+ : sum)
    for (int t = 0; t < r->threads; t++)
        for (int i = 0; i < SWEEPS; i++)
            sum += r->read(r->data + (size_t)t * r->part, r->part);
    double seconds = rn_seconds() - begin;
    volatile float kept = sum;
    (void)kept;
    return (double)r->part * sizeof(float) * SWEEPS * r->threads / seconds;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Spans for `seconds`, at least `least` of them, into sorted rates; their number. */
static int read_spans(rn_exec *x, double seconds, int least, double rates[MOST_SPANS])
{
    reader r;
    if (!reader_open(&r, x)) return 0;
    double begin = rn_seconds();
    int count = 0;
    while (count < least || (count < MOST_SPANS && rn_seconds() - begin < seconds))
        rates[count++] = read_span(&r);
    munmap(r.data, r.bytes);
    qsort(rates, (size_t)count, sizeof *rates, by_value);
    return count;
}

double rn_bench_bandwidth(rn_exec *x)
{
    double rates[MOST_SPANS];
    int count = read_spans(x, 0.3, 7, rates);
    return count ? rates[count - 1] : 0.0;
}

double rn_bench_bandwidth_now(rn_exec *x)
{
    double rates[MOST_SPANS];
    int count = read_spans(x, 0.06, 3, rates);
    return count ? rates[count / 2] : 0.0;
}

/* Timing for `retnet bench` and its rows, as text and as JSON; see bench.h. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "commands.h"
#include "output.h"

#include "retnet/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_REPEATS = 1000 };
static const double budget_seconds = 5;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return count % 2 ? values[count / 2]
                     : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/* Resident bytes now; 0: the system does not tell. Not the peak of the process, which the
   probes of the machine would set. */
static double resident_memory(void)
{
    unsigned long long total, resident;
    FILE *in = fopen("/proc/self/statm", "r");
    if (!in) return 0;
    int got = fscanf(in, "%llu %llu", &total, &resident);
    fclose(in);
    return got == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double keep_highest(cli_bench *b, cli_limit limit, double rate)
{
    if (rate > b->limits[limit]) b->limits[limit] = rate;
    return rate;
}

static double measure(cli_bench *b, cli_limit limit, bool now)
{
    switch (limit) {
    case CLI_LIMIT_READ:
        return now ? rn_bench_bandwidth_now(b->m.x) : rn_bench_bandwidth(b->m.x);
    case CLI_LIMIT_BF16: return rn_bench_peak_bf16(b->m.x);
    case CLI_LIMIT_INT8: return rn_bench_peak_int8(b->m.x);
    default: return rn_bench_peak_flops(b->m.x);
    }
}

double cli_bench_limit_now(cli_bench *b, cli_limit limit)
{
    return keep_highest(b, limit, measure(b, limit, true));
}

double cli_bench_limit(cli_bench *b, cli_limit limit)
{
    if (b->limits[limit] <= 0) keep_highest(b, limit, measure(b, limit, false));
    return b->limits[limit];
}

typedef struct samples {
    double seconds[MOST_REPEATS], rates[MOST_REPEATS], fractions[MOST_REPEATS];
    int count;
} samples;

static int take_samples(cli_bench *b, cli_bench_call *call, void *user,
                        const cli_work *work, samples *s, double *memory, rn_error *err)
{
    bool exactly = cli_given(b->args, "repeat");
    int repeat = (int)cli_int(b->args, "repeat");
    double before = cli_bench_limit_now(b, work->limit), spent = 0;
    for (s->count = 0; s->count < repeat && (exactly || spent < budget_seconds);) {
        double begin = cli_seconds();
        int code = call(user, err);
        double seconds = cli_seconds() - begin;
        if (code) return code;
        *memory = resident_memory();
        double after = cli_bench_limit_now(b, work->limit), rate = 0.5 * (before + after);
        s->seconds[s->count] = seconds;
        s->rates[s->count] = rate;
        s->fractions[s->count++] = rate > 0 ? work->amount / seconds / rate : 0;
        spent += seconds;
        before = after;
    }
    return CLI_DONE;
}

int cli_bench_time(cli_bench *b, cli_bench_call *call, void *user, const cli_work *work,
                   cli_times *out, rn_error *err)
{
    samples s;
    double memory = 0;
    int code = call(user, err);
    if (!code) code = take_samples(b, call, user, work, &s, &memory, err);
    if (code) return code;
    *out = (cli_times){.median = median(s.seconds, s.count),
                       .rate = median(s.rates, s.count),
                       .fraction = median(s.fractions, s.count),
                       .memory = memory};
    out->min = s.seconds[0];
    out->max = s.seconds[s.count - 1];
    return CLI_DONE;
}

static void add_real(json_t *object, const char *key, double value)
{
    if (value > 0) json_object_set_new(object, key, cli_json_real(value));
}

static void add_count(json_t *object, const char *key, int64_t value)
{
    if (value >= 0) json_object_set_new(object, key, json_integer(value));
}

static json_t *row_json(const cli_row *r)
{
    json_t *o = json_pack("{s:s, s:s, s:o, s:s}", "name", r->name, "type", r->type,
                          "value", cli_json_real(r->value), "unit", r->unit);
    if (*r->shape) json_object_set_new(o, "shape", json_string(r->shape));
    add_count(o, "depth", r->depth);
    add_count(o, "batch", r->batch);
    add_count(o, "seq", r->seq);
    add_real(o, "min", r->min);
    add_real(o, "max", r->max);
    add_real(o, "limit", r->limit);
    add_real(o, "fraction", r->fraction);
    if (r->bytes > 0) add_count(o, "bytes", (int64_t)r->bytes);
    if (r->held > 0) add_count(o, "held_bytes", (int64_t)r->held);
    add_real(o, "seconds", r->seconds);
    add_real(o, "speedup", r->speedup);
    if (r->memory > 0) add_count(o, "peak_memory_bytes", (int64_t)r->memory);
    return o;
}

static void print_row(const cli_row *r)
{
    char value[24], limit[24];
    printf("%-24s", r->name);
    if (*r->shape) printf(" %-30s", r->shape);
    else printf(" %-4s", r->type);
    if (r->depth >= 0) printf(" depth %-9lld", (long long)r->depth);
    if (r->batch >= 0) printf(" batch %-4lld", (long long)r->batch);
    if (r->seq >= 0) printf(" seq %-7lld", (long long)r->seq);
    printf(" %9s %s", cli_short(value, r->value), r->unit);
    if (r->fraction > 0)
        printf(" %6.1f%% of %s", 100 * r->fraction, cli_short(limit, r->limit));
    if (r->speedup > 0) printf("  x%.1f", r->speedup);
    if (r->memory > 0) printf("  %.1f MiB resident", r->memory / 1048576);
    putchar('\n');
}

int cli_bench_put(cli_bench *b, const cli_row *row, rn_error *err)
{
    cli_row *rows = realloc(b->rows, (b->row_count + 1) * sizeof *rows);
    if (!rows) return cli_fail(err, "out of memory for the results");
    b->rows = rows;
    rows[b->row_count++] = *row;
    if (cli_int(b->args, "json")) return CLI_DONE;
    cli_progress_clear(&b->progress);
    print_row(row);
    return cli_flush(err);
}

int cli_bench_put_rate(cli_bench *b, cli_row row, double tokens, const cli_work *work,
                       const cli_times *times, rn_error *err)
{
    row.type = b->type;
    row.value = tokens / times->median;
    row.min = tokens / times->max;
    row.max = tokens / times->min;
    row.unit = "tokens/s";
    row.limit = tokens * times->rate / work->amount;
    row.fraction = times->fraction;
    row.seconds = times->median;
    row.memory = times->memory;
    return cli_bench_put(b, &row, err);
}

void cli_bench_processor(char *out, size_t size)
{
    char line[300];
    FILE *in = fopen("/proc/cpuinfo", "r");
    *out = 0;
    while (in && !*out && fgets(line, sizeof line, in)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, size, "%s", colon + 1 + (colon[1] == ' '));
    }
    if (in) fclose(in);
}

static const struct {
    const char *key, *name, *unit;
} limit_names[CLI_LIMITS] = {
    [CLI_LIMIT_READ] = {"bandwidth_gb_per_second", "memory", "GB/s"},
    [CLI_LIMIT_F32] = {"peak_gflops", "peak", "GFLOP/s"},
    [CLI_LIMIT_BF16] = {"peak_bf16_gflops", "bf16 peak", "GFLOP/s"},
    [CLI_LIMIT_INT8] = {"peak_int8_gops", "int8 peak", "GOP/s"},
};

static json_t *machine(const cli_bench *b)
{
    char name[200];
    cli_bench_processor(name, sizeof name);
    json_t *o = json_pack("{s:s, s:s, s:o, s:i}", "version", rn_version(), "exec",
                          rn_exec_describe(b->m.x), "processor",
                          *name ? cli_json_text(name) : json_null(), "threads",
                          rn_exec_threads(b->m.x));
    for (size_t i = 0; i < CLI_LIMITS; i++)
        add_real(o, limit_names[i].key, b->limits[i] / 1e9);
    return o;
}

static int print_json(const cli_bench *b, rn_error *err)
{
    json_t *results = json_array();
    for (size_t i = 0; i < b->row_count; i++)
        if (json_array_append_new(results, row_json(&b->rows[i]))) {
            json_decref(results);
            return cli_fail(err, "out of memory for the results");
        }
    return cli_print_json(
        json_pack("{s:o, s:o}", "results", results, "machine", machine(b)), err);
}

int cli_bench_print_end(const cli_bench *b, rn_error *err)
{
    if (cli_int(b->args, "json")) return print_json(b, err);
    printf("\n%s", rn_exec_describe(b->m.x));
    for (size_t i = 0; i < CLI_LIMITS; i++)
        if (b->limits[i] > 0)
            printf(", %s %.1f %s", limit_names[i].name, b->limits[i] / 1e9,
                   limit_names[i].unit);
    putchar('\n');
    return CLI_DONE;
}

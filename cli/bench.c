/* retnet bench: the command's table, timing, and rows as text or JSON. What is measured
   is in bench_ops.c (kernels, retention) and bench_model.c (prompt, decode, train). */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"

#include "retnet/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_REPEATS = 1000 };
static const double budget_seconds = 5;

/* clang-format off */
static const cli_option options[] = {
    {.name = "repeat", .kind = CLI_INT, .metavar = "N", .fallback = "5", .min = 1,
     .max = MOST_REPEATS,
     .help = "timed calls of each; the median counts; fewer where they take long"},
    {.name = "filter", .kind = CLI_TEXT, .metavar = "TEXT",
     .help = "kernels: only those whose name contains TEXT"},
    {.name = "shape", .kind = CLI_LIST, .metavar = "HxDKxDV",
     .shown = "4x64x128 and 8x256x512",
     .help = "retention: heads, key width, value width; may be given several times"},
    {.name = "form", .kind = CLI_CHOICE, .choices = cli_forms, .shown = "all three",
     .help = "retention: only this form"},
    {.name = "chunk", .kind = CLI_INT, .metavar = "C", .min = 1, .max = 1048576,
     .unit = "tokens", .shown = "the one that measured best",
     .help = "retention: length of a chunk"},
    {.name = "seq", .kind = CLI_INTS, .metavar = "N,N, ...", .min = 1, .max = 0x1p30,
     .unit = "tokens",
     .shown = "512,2048,8192 for retention; 512,8192 for prompt; 64 for decode; 256 "
              "for train",
     .help = "length of a sequence, a prompt, a row; for decode how many steps are "
             "timed"},
    {.name = "depth", .kind = CLI_INTS, .metavar = "N,N, ...", .fallback = "1000,10000",
     .min = 1, .max = 0x1p40, .unit = "tokens",
     .help = "decode: how many tokens went before"},
    {.name = "batch", .kind = CLI_INTS, .metavar = "N,N, ...", .fallback = "8", .min = 1,
     .max = 1048576, .unit = "rows", .help = "train: rows of a step"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("Measurement", options);

typedef struct subject {
    const char *name;
    bool model;
    int (*run)(cli_bench *b, rn_error *err);
    const char *takes[4]; /* the options of the table that it reads besides --repeat */
} subject;

static const subject subjects[] = {
    {"kernels", false, cli_bench_kernels, {"filter"}},
    {"retention", false, cli_bench_retention, {"shape", "form", "chunk", "seq"}},
    {"prompt", true, cli_bench_prompt, {"seq"}},
    {"decode", true, cli_bench_decode, {"depth", "seq"}},
    {"train", true, cli_bench_train, {"batch", "seq"}}};
static const char *const words[] = {"kernels", "retention", "prompt",
                                    "decode",  "train",     NULL};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int cli_bench_time(const cli_bench *b, cli_bench_call *call, void *user, cli_times *out,
                   rn_error *err)
{
    double times[MOST_REPEATS], begin = cli_seconds();
    int repeat = (int)cli_int(b->args, "repeat"), count = 0;
    int code = call(user, err);
    while (!code && count < repeat &&
           (count == 0 || cli_seconds() - begin < budget_seconds)) {
        double at = cli_seconds();
        code = call(user, err);
        times[count++] = cli_seconds() - at;
    }
    if (code) return code;
    qsort(times, (size_t)count, sizeof *times, by_size);
    *out =
        (cli_times){.median = times[count / 2], .min = times[0], .max = times[count - 1]};
    return CLI_DONE;
}

double cli_bench_peak(cli_bench *b)
{
    if (b->peak <= 0) b->peak = rn_bench_peak_flops(b->m.x);
    return b->peak;
}

double cli_bench_bandwidth(cli_bench *b)
{
    if (b->bandwidth <= 0) b->bandwidth = rn_bench_bandwidth(b->m.x);
    return b->bandwidth;
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
    json_t *o = json_pack("{s:s, s:s, s:o, s:s}", "name", r->name, "type", "f32", "value",
                          cli_json_real(r->value), "unit", r->unit);
    if (r->shape) json_object_set_new(o, "shape", json_string(r->shape));
    add_count(o, "depth", r->depth);
    add_count(o, "batch", r->batch);
    add_count(o, "seq", r->seq);
    add_real(o, "min", r->min);
    add_real(o, "max", r->max);
    add_real(o, "limit", r->limit);
    if (r->limit > 0) add_real(o, "fraction", r->value / r->limit);
    if (r->bytes > 0) add_count(o, "bytes", (int64_t)r->bytes);
    add_real(o, "seconds", r->seconds);
    add_real(o, "speedup", r->speedup);
    if (r->memory > 0) add_count(o, "peak_memory_bytes", (int64_t)r->memory);
    return o;
}

static void print_row(const cli_row *r)
{
    char value[24];
    printf("%-24s", r->name);
    if (r->shape) printf(" %-30s", r->shape);
    if (r->depth >= 0) printf(" depth %-9lld", (long long)r->depth);
    if (r->batch >= 0) printf(" batch %-4lld", (long long)r->batch);
    if (r->seq >= 0) printf(" seq %-7lld", (long long)r->seq);
    printf(" %9s %s", cli_short(value, r->value), r->unit);
    if (r->limit > 0) printf(" %6.1f%%", 100 * r->value / r->limit);
    if (r->speedup > 0) printf("  x%.1f", r->speedup);
    if (r->memory > 0) printf("  %.1f MiB resident", r->memory / 1048576);
    putchar('\n');
}

int cli_bench_row(cli_bench *b, const cli_row *row, rn_error *err)
{
    if (!b->results) {
        print_row(row);
        return cli_flush(err);
    }
    if (json_array_append_new(b->results, row_json(row)))
        return cli_fail(err, "out of memory for the results");
    return CLI_DONE;
}

/* The processor's own name, where the system tells it. */
static json_t *processor(void)
{
    char line[300];
    json_t *name = NULL;
    FILE *in = fopen("/proc/cpuinfo", "r");
    while (in && !name && fgets(line, sizeof line, in)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        name = cli_json_text(colon + 1 + (colon[1] == ' '));
    }
    if (in) fclose(in);
    return name ? name : json_null();
}

static json_t *machine(const cli_bench *b)
{
    json_t *o = json_pack("{s:s, s:s, s:o, s:i}", "version", rn_version(), "exec",
                          rn_exec_describe(b->m.x), "processor", processor(), "threads",
                          rn_exec_threads(b->m.x));
    add_real(o, "peak_gflops", b->peak / 1e9);
    add_real(o, "bandwidth_gb_per_second", b->bandwidth / 1e9);
    return o;
}

static int print_end(cli_bench *b, rn_error *err)
{
    if (b->results)
        return cli_print_json(
            json_pack("{s:O, s:o}", "results", b->results, "machine", machine(b)), err);
    printf("\n%s", rn_exec_describe(b->m.x));
    if (b->peak > 0) printf(", peak %.1f GFLOP/s", b->peak / 1e9);
    if (b->bandwidth > 0) printf(", memory %.1f GB/s", b->bandwidth / 1e9);
    putchar('\n');
    return CLI_DONE;
}

static int find_subject(const char *name, const subject **out, rn_error *err)
{
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        if (strcmp(subjects[i].name, name)) continue;
        *out = &subjects[i];
        return CLI_DONE;
    }
    if (!strcmp(name, "batch"))
        return cli_usage(err, "WHAT: batch is not available in this version");
    const char *near = cli_nearest(name, words);
    return cli_usage(err,
                     "WHAT: '%s' is not one of kernels, retention, prompt, decode, "
                     "train%s%s%s",
                     name, near ? "; did you mean '" : "", near ? near : "",
                     near ? "'?" : "");
}

static bool takes(const subject *what, const char *option)
{
    for (size_t i = 0; i < sizeof what->takes / sizeof *what->takes; i++)
        if (what->takes[i] && !strcmp(what->takes[i], option)) return true;
    return !strcmp(option, "repeat");
}

/* No option is taken that WHAT would not read. */
static int check_options(const cli_args *args, const subject *what, const char *path,
                         rn_error *err)
{
    for (size_t i = 0; i < group.count; i++) {
        const char *name = options[i].name;
        if (cli_given(args, name) && !takes(what, name))
            return cli_usage(err, "--%s: not with bench %s", name, what->name);
    }
    if (cli_given(args, "chunk") && cli_given(args, "form") &&
        cli_int(args, "form") != RN_FORM_CHUNKWISE)
        return cli_usage(err, "--chunk: only with --form chunkwise");
    if (what->model) return cli_check_model(args, path, err);
    if (path || cli_given(args, "random") || cli_given(args, "preset") ||
        cli_given(args, "config") || cli_given(args, "set"))
        return cli_usage(err, "bench %s: takes no model", what->name);
    return CLI_DONE;
}

static int run(const cli_args *args, rn_error *err)
{
    const char *path = args->operand_count > 1 ? args->operands[1] : NULL;
    const subject *what = NULL;
    cli_bench b = {.args = args};
    int code = find_subject(args->operands[0], &what, err);
    if (!code) code = check_options(args, what, path, err);
    if (code) return code;
    cli_interrupt_exit();
    if (cli_int(args, "json") && !(b.results = json_array()))
        return cli_fail(err, "out of memory for the results");
    code = what->model ? cli_open_model(args, path, &b.m, err)
                       : cli_open_exec(args, &b.m.x, err);
    if (!code) code = what->run(&b, err);
    if (!code) code = print_end(&b, err);
    json_decref(b.results);
    cli_close_model(&b.m);
    return code;
}

static const cli_group *const groups[] = {&group, &cli_random_model, &cli_common, NULL};

const cli_command cli_bench_command = {
    .name = "bench",
    .summary = "measure kernels, retention, and a model's speed",
    .arguments = "WHAT [MODEL]",
    .min_operands = 1,
    .max_operands = 2,
    .operand_words = words,
    .about =
        "WHAT is one of: kernels (every kernel against the machine's limits and against "
        "the reference), retention (the three forms against sequence length, in useful "
        "floating-point operations a second), prompt (reading), decode (one token after "
        "the other at a depth), train (steps). The last three need MODEL or --random.\n\n"
        "A fraction is of the machine's own peak, which is measured first: multiply-adds "
        "in float32, or reading main memory.",
    .groups = groups,
    .examples =
        {"retnet bench retention --seq 512,8192", "The three forms at two lengths.",
         "retnet bench decode --random 1 --preset nano --depth 1000,100000 --json",
         "Time of a token after 1,000 and after 100,000."},
    .run = run,
};

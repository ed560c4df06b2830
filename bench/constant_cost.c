/*
 * What a token costs, and how much memory is resident, as a sequence grows.
 *
 *   constant_cost [-t N] generate MODEL DEPTH...   draws tokens, one recurrent step each
 *   constant_cost [-t N] read MODEL DEPTH...       reads made-up text chunkwise
 *
 * MODEL is a checkpoint, or preset:NAME for random weights; N threads. At each depth: the
 * median time of a token over the stretch that ends there (500 tokens when generating, 8
 * blocks of 1,024 when reading), and the resident set of the process.
 */
#define _POSIX_C_SOURCE 200809L

#include <retnet/retnet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DRAWS = 500, BLOCKS = 8, BLOCK = 1024, MAX_DEPTHS = 32 };

typedef struct window {
    double sample[DRAWS]; /* seconds per token; sample i goes to i % size */
    size_t size, count;
} window;

typedef struct bench {
    rn_exec *exec;
    rn_model *model;
    rn_session *session;
    size_t vocab;
    window times;
    uint32_t text; /* of the made-up text */
} bench;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double resident_mib(void)
{
    unsigned long total, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%lu %lu", &total, &resident) != 2) resident = 0;
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1024.0 * 1024.0);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void window_add(window *w, double seconds)
{
    w->sample[w->count++ % w->size] = seconds;
}

static double window_median(const window *w)
{
    double sorted[DRAWS];
    size_t n = w->count < w->size ? w->count : w->size;
    if (n == 0) return 0;
    memcpy(sorted, w->sample, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    return sorted[n / 2];
}

/* One token drawn and read: the cost of generating. */
static rn_status draw(bench *b, uint64_t limit, rn_error *err)
{
    (void)limit;
    const rn_sampling how = {.temperature = 1, .seed = 1};
    int32_t id;
    rn_status st = rn_session_sample(b->session, &how, &id, err);
    if (!st) st = rn_session_step(b->session, id, err);
    return st;
}

/* One block of text read, cut at `limit`. Which ids they are changes no time. */
static rn_status read_block(bench *b, uint64_t limit, rn_error *err)
{
    int32_t ids[BLOCK];
    uint64_t left = limit - rn_session_position(b->session);
    size_t count = left < BLOCK ? (size_t)left : BLOCK;
    for (size_t i = 0; i < count; i++) {
        b->text = b->text * 1664525u + 1013904223u;
        ids[i] = (int32_t)((b->text >> 8) % b->vocab);
    }
    rn_status st = rn_session_feed(b->session, ids, count, err);
    if (!st) rn_session_logits(b->session);
    return st;
}

static rn_status advance(bench *b, uint64_t depth,
                         rn_status (*unit)(bench *, uint64_t, rn_error *), rn_error *err)
{
    for (;;) {
        uint64_t at = rn_session_position(b->session);
        if (at >= depth) return RN_OK;
        double begin = now();
        rn_status st = unit(b, depth, err);
        if (st) return st;
        double read = (double)(rn_session_position(b->session) - at);
        window_add(&b->times, (now() - begin) / read);
    }
}

static rn_status open_model(bench *b, const char *name, int threads, rn_error *err)
{
    rn_status st = rn_exec_open(&b->exec, &(rn_exec_options){.threads = threads}, err);
    if (st) return st;
    if (strncmp(name, "preset:", 7)) st = rn_model_open(&b->model, b->exec, name, err);
    else
        st = rn_model_create(&b->model, b->exec, &(rn_model_source){.preset = name + 7},
                             1, err);
    if (!st) st = rn_session_create(&b->session, b->model, err);
    return st;
}

/* Everything is touched once and the clock speed has settled before the first time
 * counts. */
static rn_status warm_up(bench *b, rn_error *err)
{
    rn_status st = advance(b, 4 * BLOCK, read_block, err);
    if (!st) st = advance(b, 4 * BLOCK + DRAWS, draw, err);
    rn_session_reset(b->session);
    b->times.count = 0;
    return st;
}

static rn_status measure(bench *b, bool generate, const uint64_t *depths, size_t count,
                         rn_error *err)
{
    b->times.size = generate ? DRAWS : BLOCKS;
    rn_status st = warm_up(b, err);
    const int32_t first = 0;
    if (!st && generate) st = rn_session_feed(b->session, &first, 1, err);
    if (!st)
        printf("%12s %16s %14s %12s\n", "token", "us per token", "resident MiB",
               "state KiB");
    for (size_t i = 0; i < count && !st; i++) {
        st = advance(b, depths[i], generate ? draw : read_block, err);
        if (st) return st;
        printf("%12llu %16.2f %14.2f %12.1f\n", (unsigned long long)depths[i],
               1e6 * window_median(&b->times), resident_mib(),
               (double)rn_session_state_bytes(b->session) / 1024);
        fflush(stdout);
    }
    return st;
}

/* The depths in rising order; 0 when one is no number. */
static size_t parse_depths(char **argv, int argc, uint64_t *depths)
{
    size_t count = 0;
    for (int i = 0; i < argc && count < MAX_DEPTHS; i++) {
        char *end;
        unsigned long long n = strtoull(argv[i], &end, 10);
        if (*end || n == 0 || (count && n <= depths[count - 1])) return 0;
        depths[count++] = n;
    }
    return count;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: constant_cost [-t threads] generate|read MODEL DEPTH... (rising)\n");
    return 2;
}

int main(int argc, char **argv)
{
    int threads = 0;
    if (argc > 2 && !strcmp(argv[1], "-t")) {
        threads = atoi(argv[2]);
        argv += 2;
        argc -= 2;
    }
    uint64_t depths[MAX_DEPTHS];
    size_t count = argc > 3 ? parse_depths(argv + 3, argc - 3, depths) : 0;
    bool generate = argc > 1 && !strcmp(argv[1], "generate");
    if (count == 0 || !(generate || !strcmp(argv[1], "read"))) return usage();

    static bench b;
    rn_error err = {0};
    rn_status st = open_model(&b, argv[2], threads, &err);
    if (!st) {
        rn_model_info info;
        rn_model_info_get(b.model, &info);
        b.vocab = info.vocab_size;
        st = measure(&b, generate, depths, count, &err);
    }
    if (st) fprintf(stderr, "constant_cost: %s\n", err.message);
    rn_session_free(b.session);
    rn_model_free(b.model);
    rn_exec_close(b.exec);
    return st ? 1 : 0;
}

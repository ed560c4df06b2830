/* bench prompt, decode and train: tokens a second of a model, over the public API alone.
   The ids are arbitrary: no time depends on them. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "commands.h"
#include "output.h"

#include "retnet/session.h"
#include "retnet/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FEED = 16384 };

typedef struct model_case {
    cli_bench *b;
    rn_session *session;
    rn_trainer *trainer;
    int32_t *ids;
    size_t tokens;
    double memory; /* resident right after the timed calls */
} model_case;

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

/* Times a case, and looks at its memory before any probe runs. */
static int time_case(model_case *c, cli_bench_call *call, cli_times *times, rn_error *err)
{
    int code = cli_bench_time(c->b, call, c, times, err);
    c->memory = resident_memory();
    return code;
}

static int make_ids(model_case *c, size_t count, rn_error *err)
{
    c->ids = count > SIZE_MAX / 4 ? NULL : malloc(count * sizeof *c->ids);
    if (!c->ids) return cli_fail(err, "bench: out of memory for %zu ids", count);
    for (size_t i = 0; i < count; i++)
        c->ids[i] = (int32_t)(i * 7 % c->b->m.info.vocab_size);
    return CLI_DONE;
}

/* Completes a row (name, depth, batch, seq, limit, bytes) with the rate of its times. */
static int put_rate(const model_case *c, cli_row row, const cli_times *times,
                    rn_error *err)
{
    double tokens = (double)c->tokens;
    row.value = tokens / times->median;
    row.min = tokens / times->max;
    row.max = tokens / times->min;
    row.unit = "tokens/s";
    row.seconds = times->median;
    row.memory = c->memory;
    return cli_bench_row(c->b, &row, err);
}

/* Feeds count tokens from the session's present place. */
static int feed(model_case *c, uint64_t count, rn_error *err)
{
    rn_status st = RN_OK;
    while (count && !st) {
        size_t n = count < FEED ? (size_t)count : FEED;
        st = rn_session_feed(c->session, c->ids, n, err);
        count -= n;
    }
    if (!st) rn_session_logits(c->session);
    return cli_code(st);
}

static int call_prompt(void *user, rn_error *err)
{
    model_case *c = user;
    rn_session_reset(c->session);
    return feed(c, c->tokens, err);
}

int cli_bench_prompt(cli_bench *b, rn_error *err)
{
    static const int64_t lengths[] = {512, 8192};
    const cli_value *seq = cli_get(b->args, "seq");
    const int64_t *list = seq->count ? seq->numbers : lengths;
    size_t count = seq->count ? seq->count : 2;
    model_case c = {.b = b};
    int code = make_ids(&c, FEED, err);
    if (!code) code = cli_code(rn_session_create(&c.session, b->m.model, err));
    for (size_t i = 0; i < count && !code; i++) {
        cli_times times;
        c.tokens = (size_t)list[i];
        cli_row row = {.name = "prompt",
                       .depth = -1,
                       .batch = 1,
                       .seq = list[i],
                       .limit = cli_bench_peak(b) / b->m.info.flops_per_token};
        code = time_case(&c, call_prompt, &times, err);
        if (!code) code = put_rate(&c, row, &times, err);
    }
    rn_session_free(c.session);
    free(c.ids);
    return code;
}

static int call_decode(void *user, rn_error *err)
{
    model_case *c = user;
    rn_status st = RN_OK;
    for (size_t i = 0; i < c->tokens && !st; i++) {
        st = rn_session_step(c->session, c->ids[i % FEED], err);
        if (!st) rn_session_logits(c->session);
    }
    return cli_code(st);
}

/* A step reads all weights and reads and writes the state. */
static double decode_bytes(const rn_model_info *info)
{
    return (double)info->weight_bytes + 2 * (double)info->state_bytes;
}

int cli_bench_decode(cli_bench *b, rn_error *err)
{
    const cli_value *depths = cli_get(b->args, "depth"), *seq = cli_get(b->args, "seq");
    model_case c = {.b = b, .tokens = seq->count ? (size_t)seq->numbers[0] : 64};
    if (seq->count > 1) return cli_usage(err, "--seq: decode takes one number of steps");
    int code = make_ids(&c, FEED, err);
    if (!code) code = cli_code(rn_session_create(&c.session, b->m.model, err));
    for (size_t i = 0; i < depths->count && !code; i++) {
        cli_times times;
        rn_session_reset(c.session);
        code = feed(&c, (uint64_t)depths->numbers[i], err);
        if (!code) code = time_case(&c, call_decode, &times, err);
        double bytes = decode_bytes(&b->m.info);
        cli_row row = {.name = "decode",
                       .depth = depths->numbers[i],
                       .batch = 1,
                       .seq = -1,
                       .limit = cli_bench_bandwidth(b) / bytes,
                       .bytes = bytes};
        if (!code) code = put_rate(&c, row, &times, err);
    }
    rn_session_free(c.session);
    free(c.ids);
    return code;
}

static int call_train(void *user, rn_error *err)
{
    model_case *c = user;
    rn_step_result result;
    return cli_code(rn_trainer_step(c->trainer, c->ids, &result, err));
}

/* Forward is flops_per_token, backward twice that. */
static int bench_step(cli_bench *b, size_t batch, size_t seq, rn_error *err)
{
    model_case c = {.b = b, .tokens = batch * seq};
    cli_times times;
    rn_train_options options = rn_train_defaults();
    options.batch = batch;
    options.seq = seq;
    int code = make_ids(&c, batch * (seq + 1), err);
    if (!code) code = cli_code(rn_trainer_create(&c.trainer, b->m.model, &options, err));
    if (!code) code = time_case(&c, call_train, &times, err);
    cli_row row = {.name = "train",
                   .depth = -1,
                   .batch = (int64_t)batch,
                   .seq = (int64_t)seq,
                   .limit = cli_bench_peak(b) / (3 * b->m.info.flops_per_token)};
    if (!code) code = put_rate(&c, row, &times, err);
    rn_trainer_free(c.trainer);
    free(c.ids);
    return code;
}

int cli_bench_train(cli_bench *b, rn_error *err)
{
    static const int64_t length = 256;
    const cli_value *batch = cli_get(b->args, "batch"), *seq = cli_get(b->args, "seq");
    const int64_t *list = seq->count ? seq->numbers : &length;
    size_t count = seq->count ? seq->count : 1;
    int code = CLI_DONE;
    for (size_t i = 0; i < batch->count && !code; i++)
        for (size_t j = 0; j < count && !code; j++)
            code = bench_step(b, (size_t)batch->numbers[i], (size_t)list[j], err);
    return code;
}

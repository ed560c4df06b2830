/* bench train: optimizer steps of a model. Flops are counted on parameters alone: 2 a
   number forward, 4 backward, the embedding's lookup not at all. */
#include "bench.h"

#include "commands.h"
#include "output.h"

#include "retnet/train.h"

#include <stdlib.h>
#include <string.h>

typedef struct train_case {
    rn_trainer *trainer;
    int32_t *ids;
} train_case;

static int call_train(void *user, rn_error *err)
{
    train_case *c = user;
    rn_step_result result;
    return cli_code(rn_trainer_step(c->trainer, c->ids, &result, err));
}

static cli_limit train_limit(cli_bench *b)
{
    bool half = !strcmp(b->type, "bf16") && cli_bench_limit(b, CLI_LIMIT_BF16) > 0;
    return half ? CLI_LIMIT_BF16 : CLI_LIMIT_F32;
}

static int bench_step(cli_bench *b, size_t batch, size_t seq, rn_error *err)
{
    train_case c = {0};
    cli_times times;
    double tokens = (double)batch * (double)seq;
    cli_work work = {.limit = train_limit(b),
                     .amount = 6 * tokens * cli_bench_products(b, true)};
    cli_row row = {
        .name = "train", .depth = -1, .batch = (int64_t)batch, .seq = (int64_t)seq};
    rn_train_options options = rn_train_defaults();
    options.batch = batch;
    options.seq = seq;
    int code = cli_bench_ids(b, batch * (seq + 1), &c.ids, err);
    if (!code) code = cli_code(rn_trainer_create(&c.trainer, b->m.model, &options, err));
    if (!code) code = cli_bench_time(b, call_train, &c, &work, &times, err);
    if (!code) code = cli_bench_put_rate(b, row, tokens, &work, &times, err);
    rn_trainer_free(c.trainer);
    free(c.ids);
    return code;
}

int cli_bench_train(cli_bench *b, rn_error *err)
{
    static const int64_t rows = 8, length = 256;
    cli_numbers batch = cli_bench_numbers(b, "batch", &rows, 1);
    cli_numbers seq = cli_bench_numbers(b, "seq", &length, 1);
    int code = CLI_DONE;
    for (size_t i = 0; i < batch.count && !code; i++)
        for (size_t j = 0; j < seq.count && !code; j++)
            code = bench_step(b, (size_t)batch.list[i], (size_t)seq.list[j], err);
    return code;
}

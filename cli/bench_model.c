/* bench prompt, decode and batch: tokens a second of a model, over the public API alone.
   The ids are arbitrary: no time depends on them. A depth is reached by reading it. */
#include "bench.h"

#include "commands.h"
#include "output.h"

#include "retnet/session.h"

#include <stdlib.h>
#include <string.h>

/* FEED: tokens of a feed; WARM_TOKENS, WARM_STEPS: what warming up takes at most. */
enum { FEED = 1024, STEPS = 64, WARM_TOKENS = 512, WARM_STEPS = 8 };
static const double long_seconds = 60;

typedef struct model_case {
    cli_bench *b;
    rn_session **sessions; /* all at the same depth */
    size_t count;
    int32_t *ids;  /* [FEED], more where there are more sessions */
    size_t tokens; /* of a call, of each session */
    bool warm;
} model_case;

cli_numbers cli_bench_numbers(const cli_bench *b, const char *option,
                              const int64_t *defaults, size_t count)
{
    const cli_value *v = cli_get(b->args, option);
    if (v->count) return (cli_numbers){v->numbers, v->count};
    return (cli_numbers){defaults, count};
}

int cli_bench_ids(const cli_bench *b, size_t count, int32_t **out, rn_error *err)
{
    int32_t *ids = count > SIZE_MAX / sizeof *ids ? NULL : malloc(count * sizeof *ids);
    if (!ids) return cli_fail(err, "bench: out of memory for %zu ids", count);
    for (size_t i = 0; i < count; i++) ids[i] = (int32_t)(i * 7 % b->m.info.vocab_size);
    *out = ids;
    return CLI_DONE;
}

static void case_close(model_case *c)
{
    for (size_t i = 0; c->sessions && i < c->count; i++) rn_session_free(c->sessions[i]);
    free(c->sessions);
    free(c->ids);
}

/* `sessions` empty sequences; case_close in either case. */
static int case_open(model_case *c, cli_bench *b, size_t sessions, rn_error *err)
{
    *c = (model_case){.b = b, .count = sessions};
    c->sessions = calloc(sessions, sizeof *c->sessions);
    if (!c->sessions) return cli_fail(err, "bench: out of memory for the sequences");
    int code = cli_bench_ids(b, sessions > FEED ? sessions : FEED, &c->ids, err);
    for (size_t i = 0; i < sessions && !code; i++)
        code = cli_code(rn_session_create(&c->sessions[i], b->m.model, err));
    return code;
}

static void show_reading(model_case *c, uint64_t done, uint64_t count, double begin)
{
    char left[24];
    double rest = (cli_seconds() - begin) / (double)done * (double)(count - done);
    if (done == FEED && rest > long_seconds)
        cli_note(c->b->args, "reading %llu tokens takes about %s",
                 (unsigned long long)count, cli_duration(left, rest));
    cli_progress_show(&c->b->progress, "reading %llu tokens: %.0f%%, %s left",
                      (unsigned long long)count, 100.0 * (double)done / (double)count,
                      cli_duration(left, rest));
}

/* Feeds count tokens from the first session's present place. */
static int feed(model_case *c, uint64_t count, rn_error *err)
{
    rn_status st = RN_OK;
    double begin = cli_seconds();
    cli_progress_start(&c->b->progress, c->b->args);
    for (uint64_t done = 0; done < count && !st;) {
        size_t n = count - done < FEED ? (size_t)(count - done) : FEED;
        st = rn_session_feed(c->sessions[0], c->ids, n, err);
        done += n;
        show_reading(c, done, count, begin);
    }
    cli_progress_clear(&c->b->progress);
    if (!st) rn_session_logits(c->sessions[0]);
    return cli_code(st);
}

static int call_prompt(void *user, rn_error *err)
{
    model_case *c = user;
    size_t tokens = c->warm || c->tokens < WARM_TOKENS ? c->tokens : WARM_TOKENS;
    c->warm = true;
    rn_session_reset(c->sessions[0]);
    return feed(c, tokens, err);
}

/* Index of a parameter, or the number of them where the model has none of that name. */
static size_t find_tensor(const cli_bench *b, const char *name)
{
    size_t i = 0, count = rn_model_tensor_count(b->m.model);
    while (i < count && strcmp(rn_model_tensor_at(b->m.model, i).name, name)) i++;
    return i;
}

static bool is_tied(const cli_bench *b)
{
    return find_tensor(b, "output.weight") == rn_model_tensor_count(b->m.model);
}

double cli_bench_products(const cli_bench *b, bool output)
{
    double matrix = (double)b->m.info.vocab_size * (double)b->m.info.width;
    return (double)b->m.info.parameters - matrix * (!is_tied(b) + !output);
}

/* The dot products that the model's type of weights has: of bytes for blocks. */
static cli_limit prompt_limit(cli_bench *b)
{
    cli_limit want = CLI_LIMIT_F32;
    if (!strcmp(b->type, "bf16") && rn_exec_bf16(b->m.x)) want = CLI_LIMIT_BF16;
    if (b->type[0] == 'q') want = CLI_LIMIT_INT8;
    return cli_bench_limit(b, want) > 0 ? want : CLI_LIMIT_F32;
}

/* Two flops a number of the matrices; the output product once, for the last token. */
static double prompt_flops(const cli_bench *b, size_t tokens)
{
    double inner = cli_bench_products(b, false), all = cli_bench_products(b, true);
    return 2 * ((double)tokens * inner + (all - inner));
}

int cli_bench_prompt(cli_bench *b, rn_error *err)
{
    static const int64_t lengths[] = {512, 8192};
    cli_numbers seq = cli_bench_numbers(b, "seq", lengths, 2);
    model_case c;
    int code = case_open(&c, b, 1, err);
    cli_work work = {.limit = prompt_limit(b)};
    for (size_t i = 0; i < seq.count && !code; i++) {
        cli_times times;
        c.tokens = (size_t)seq.list[i];
        c.warm = false;
        work.amount = prompt_flops(b, c.tokens);
        cli_row row = {.name = "prompt", .depth = -1, .batch = 1, .seq = seq.list[i]};
        code = cli_bench_time(b, call_prompt, &c, &work, &times, err);
        if (!code)
            code = cli_bench_put_rate(b, row, (double)c.tokens, &work, &times, err);
    }
    case_close(&c);
    return code;
}

/* Steps of all sessions, without drawing. */
static int call_steps(void *user, rn_error *err)
{
    model_case *c = user;
    size_t steps = c->warm || c->tokens < WARM_STEPS ? c->tokens : WARM_STEPS;
    c->warm = true;
    rn_status st = RN_OK;
    for (size_t i = 0; i < steps && !st; i++) {
        if (c->count == 1) st = rn_session_step(c->sessions[0], c->ids[i % FEED], err);
        else st = rn_sessions_step(c->sessions, c->ids, c->count, err);
        for (size_t j = 0; j < c->count && !st; j++) rn_session_logits(c->sessions[j]);
    }
    return cli_code(st);
}

/* Bytes of a number of each rn_weight_type. */
static const double type_bytes[RN_WEIGHT_TYPES] = {
    4, 2, 2, 34.0 / 32, 18.0 / 32, 144.0 / 256, 210.0 / 256};

/* Of the embedding table where it is only looked up: no step reads the whole of it. */
static double lookup_bytes(const cli_bench *b)
{
    if (is_tied(b)) return 0;
    size_t table = find_tensor(b, "embedding.weight");
    rn_weight_type type = rn_model_tensor_held_type(b->m.model, table);
    return (double)b->m.info.vocab_size * (double)b->m.info.width * type_bytes[type];
}

/* A step reads all weights once a pass, and of each sequence's state what it goes over.
 */
static cli_work step_work(const cli_bench *b, size_t sequences)
{
    const rn_model_info *info = &b->m.info;
    const size_t passes = (sequences + RN_STEP_SESSIONS - 1) / RN_STEP_SESSIONS;
    double weights = (double)passes * ((double)info->weight_bytes - lookup_bytes(b));
    return (cli_work){.limit = CLI_LIMIT_READ,
                      .amount = weights + (double)(sequences * info->state_read_bytes)};
}

/* Times calls of c->tokens steps into a row, whose `bytes` are of one step. */
static int put_steps(model_case *c, cli_row row, rn_error *err)
{
    cli_times times;
    cli_work work = step_work(c->b, c->count);
    row.bytes = work.amount;
    row.held = (double)(c->b->m.info.weight_bytes + c->count * c->b->m.info.state_bytes);
    work.amount *= (double)c->tokens;
    c->warm = false;
    int code = cli_bench_time(c->b, call_steps, c, &work, &times, err);
    if (code) return code;
    double tokens = (double)(c->tokens * c->count);
    return cli_bench_put_rate(c->b, row, tokens, &work, &times, err);
}

static int steps_given(const cli_bench *b, size_t *steps, rn_error *err)
{
    static const int64_t usual = STEPS;
    cli_numbers seq = cli_bench_numbers(b, "seq", &usual, 1);
    if (seq.count > 1) return cli_usage(err, "--seq: one number of steps is taken here");
    *steps = (size_t)seq.list[0];
    return CLI_DONE;
}

/* Reads on to the depth, from the start where the session is beyond it. */
static int reach(model_case *c, uint64_t depth, rn_error *err)
{
    uint64_t at = rn_session_position(c->sessions[0]);
    if (at > depth) rn_session_reset(c->sessions[0]);
    return feed(c, at > depth ? depth : depth - at, err);
}

int cli_bench_decode(cli_bench *b, rn_error *err)
{
    cli_numbers depths = cli_bench_numbers(b, "depth", NULL, 0);
    size_t steps = STEPS;
    model_case c;
    int code = steps_given(b, &steps, err);
    if (code) return code;
    code = case_open(&c, b, 1, err);
    c.tokens = steps;
    for (size_t i = 0; i < depths.count && !code; i++) {
        code = reach(&c, (uint64_t)depths.list[i], err);
        cli_row row = {.name = "decode", .depth = depths.list[i], .batch = 1, .seq = -1};
        if (!code) code = put_steps(&c, row, err);
    }
    case_close(&c);
    return code;
}

static int bench_together(cli_bench *b, size_t sequences, size_t steps, rn_error *err)
{
    model_case c;
    cli_row row = {.name = "batch", .depth = -1, .batch = (int64_t)sequences, .seq = -1};
    int code = case_open(&c, b, sequences, err);
    c.tokens = steps;
    if (!code) code = put_steps(&c, row, err);
    case_close(&c);
    return code;
}

int cli_bench_batch(cli_bench *b, rn_error *err)
{
    static const int64_t counts[] = {1, 4, 16};
    cli_numbers batch = cli_bench_numbers(b, "batch", counts, 3);
    size_t steps = STEPS;
    int code = steps_given(b, &steps, err);
    for (size_t i = 0; i < batch.count && !code; i++)
        code = bench_together(b, (size_t)batch.list[i], steps, err);
    return code;
}

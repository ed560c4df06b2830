/*
 * bench kernels and bench retention. Retention counts useful work, two flops a
 * multiply-add, per token and head: chunkwise 4 dk dv + C (dk + dv), parallel T (dk +
 * dv), recurrent 4 dk dv; the masked half of a square of scores is not useful and does
 * not count.
 */
#define _DEFAULT_SOURCE
#include "bench.h"

#include "commands.h"
#include "output.h"

#include "retnet/bench.h"
#include "retnet/retention.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct kernel_rows {
    cli_bench *b;
    int code;
    rn_error *err;
} kernel_rows;

/* The dot products that a kernel may use, by the types in its name. */
static cli_limit kernel_limit(cli_bench *b, const char *name)
{
    cli_limit want = CLI_LIMIT_F32;
    if (strstr(name, "bf16_bf16") || strstr(name, "gemm_bf16")) want = CLI_LIMIT_BF16;
    if (strstr(name, "linear_q")) want = CLI_LIMIT_INT8;
    return cli_bench_limit(b, want) > 0 ? want : CLI_LIMIT_F32;
}

/* The limit is whichever of arithmetic and memory would take longer. */
static void put_kernel(void *user, const rn_bench_row *k)
{
    kernel_rows *rows = user;
    double peak = cli_bench_limit(rows->b, kernel_limit(rows->b, k->name));
    double bandwidth = cli_bench_limit(rows->b, CLI_LIMIT_READ);
    bool compute = k->flops > 0 && k->flops / peak >= k->bytes / bandwidth;
    double amount = compute ? k->flops : k->bytes, limit = compute ? peak : bandwidth;
    cli_row row = {.name = k->name,
                   .type = "f32",
                   .depth = -1,
                   .batch = -1,
                   .seq = -1,
                   .value = amount / k->seconds / 1e9,
                   .min = amount / k->max_seconds / 1e9,
                   .max = amount / k->min_seconds / 1e9,
                   .unit = compute ? "GFLOP/s" : "GB/s",
                   .limit = limit / 1e9,
                   .fraction = amount / k->seconds / limit,
                   .bytes = k->bytes,
                   .seconds = k->seconds,
                   .speedup = k->speedup};
    memcpy(row.shape, k->shape, sizeof row.shape);
    if (!rows->code) rows->code = cli_bench_put(rows->b, &row, rows->err);
}

int cli_bench_kernels(cli_bench *b, rn_error *err)
{
    kernel_rows rows = {.b = b, .err = err};
    rn_error failure;
    rn_status st =
        rn_bench_kernels(b->m.x, cli_text(b->args, "filter"),
                         (int)cli_int(b->args, "repeat"), put_kernel, &rows, &failure);
    if (rows.code) return rows.code;
    if (st) *err = failure;
    return cli_code(st);
}

/* One sequence of T tokens, its inputs and outputs. */
typedef struct retention_case {
    rn_exec *x;
    rn_retention_call call;
    size_t first[2];
    float *block, *q, *k, *v, *o, *state, *log_decay;
    size_t state_floats;
} retention_case;

/* Small numbers of both signs without a pattern; their values do not matter for time. */
static void fill(float *out, size_t count)
{
    uint32_t s = 12345;
    for (size_t i = 0; i < count; i++) {
        s = s * 1664525u + 1013904223u;
        out[i] = ((float)(s >> 8) / 8388608.0f - 1.0f) * 0.1f;
    }
}

/* Memory as a model's own blocks have it: huge pages where the system gives them. */
static float *block_of(size_t floats)
{
    const size_t page = (size_t)2 << 20;
    if (floats > (SIZE_MAX - page) / sizeof(float)) return NULL;
    size_t bytes = (floats * sizeof(float) + page - 1) / page * page;
    void *block = aligned_alloc(page, bytes);
    if (block) madvise(block, bytes, MADV_HUGEPAGE); /* a hint: may fail */
    return block;
}

static int make_case(retention_case *c, size_t tokens, rn_error *err)
{
    rn_retention_call *call = &c->call;
    size_t heads = call->heads, qk, v, total;
    bool overflow = __builtin_mul_overflow(tokens, heads * call->dk, &qk) ||
                    __builtin_mul_overflow(tokens, heads * call->dv, &v);
    c->state_floats = heads * call->dk * call->dv;
    overflow = overflow || __builtin_mul_overflow(qk + v, 2, &total) ||
               __builtin_add_overflow(total, c->state_floats + heads, &total);
    c->block = overflow ? NULL : block_of(total);
    if (!c->block)
        return cli_fail(err, "bench retention: out of memory for %zu tokens", tokens);
    fill(c->block, total);
    c->q = c->block;
    c->k = c->q + qk;
    c->v = c->k + qk;
    c->o = c->v + v;
    c->state = c->o + v;
    c->log_decay = c->state + c->state_floats;
    for (size_t h = 0; h < heads; h++)
        c->log_decay[h] = (float)log1p(-exp2(-5.0 - (double)(h % 20)));
    c->first[1] = tokens;
    call->first = c->first;
    call->log_decay = c->log_decay;
    return CLI_DONE;
}

static int call_forward(void *user, rn_error *err)
{
    retention_case *c = user;
    float *states[1] = {c->state}; /* goes on from call to call: its decays bound it */
    return cli_code(rn_retention_forward(c->x, &c->call, c->o, NULL, c->q, c->k, c->v,
                                         states, NULL, err));
}

static double useful_flops(const rn_retention_call *call, size_t tokens)
{
    const size_t chunk = call->chunk < tokens ? call->chunk : tokens;
    double dk = (double)call->dk, dv = (double)call->dv, t = (double)tokens;
    double per_token = 4 * dk * dv;
    if (call->form == RN_FORM_PARALLEL) per_token = t * (dk + dv);
    if (call->form == RN_FORM_CHUNKWISE) per_token += (double)chunk * (dk + dv);
    return t * (double)call->heads * per_token;
}

static int bench_form(cli_bench *b, retention_case *c, rn_form form, rn_error *err)
{
    cli_times times;
    size_t chunk = (size_t)cli_int(b->args, "chunk");
    c->call.form = form;
    c->call.chunk = 0;
    if (form == RN_FORM_CHUNKWISE)
        c->call.chunk = chunk ? chunk : rn_retention_chunk(c->call.dk, c->call.dv);
    cli_work work = {.limit = CLI_LIMIT_F32,
                     .amount = useful_flops(&c->call, c->first[1])};
    int code = cli_bench_time(b, call_forward, c, &work, &times, err);
    if (code) return code;
    cli_row row = {.name = cli_forms[form],
                   .type = "f32",
                   .depth = -1,
                   .batch = 1,
                   .seq = (int64_t)c->first[1],
                   .value = work.amount / times.median / 1e9,
                   .min = work.amount / times.max / 1e9,
                   .max = work.amount / times.min / 1e9,
                   .unit = "GFLOP/s",
                   .limit = times.rate / 1e9,
                   .fraction = times.fraction,
                   .seconds = times.median};
    int n = snprintf(row.shape, sizeof row.shape, "H %zu dk %zu dv %zu", c->call.heads,
                     c->call.dk, c->call.dv);
    if (c->call.chunk)
        snprintf(row.shape + n, sizeof row.shape - (size_t)n, " C %zu", c->call.chunk);
    return cli_bench_put(b, &row, err);
}

static int bench_length(cli_bench *b, const rn_retention_call *shape, size_t tokens,
                        rn_error *err)
{
    static const rn_form forms[] = {RN_FORM_CHUNKWISE, RN_FORM_PARALLEL,
                                    RN_FORM_RECURRENT};
    retention_case c = {.x = b->m.x, .call = *shape};
    bool one = cli_given(b->args, "form");
    int code = make_case(&c, tokens, err);
    for (size_t i = 0; i < 3 && !code; i++)
        if (!one || (int64_t)forms[i] == cli_int(b->args, "form"))
            code = bench_form(b, &c, forms[i], err);
    free(c.block);
    return code;
}

/* "8x256x512": heads, dk, dv. */
static int parse_shape(const char *text, rn_retention_call *out, rn_error *err)
{
    unsigned h, dk, dv;
    char rest;
    int got = sscanf(text, "%5ux%5ux%5u%c", &h, &dk, &dv, &rest);
    if (got != 3 || !h || !dk || !dv || h > 4096 || dk > 1024 || dv > 1024)
        return cli_usage(err,
                         "--shape: '%s' is not HxDKxDV with H from 1 to 4096 and widths "
                         "from 1 to 1024",
                         text);
    *out = (rn_retention_call){.batch = 1,
                               .heads = h,
                               .kv_heads = h,
                               .dk = dk,
                               .dv = dv,
                               .decay_head = 1,
                               .row_norm = RN_ROW_NORM_NONE};
    return CLI_DONE;
}

static int bench_shape(cli_bench *b, const rn_retention_call *shape, rn_error *err)
{
    static const int64_t lengths[] = {512, 2048, 8192};
    cli_numbers seq = cli_bench_numbers(b, "seq", lengths, 3);
    int code = CLI_DONE;
    for (size_t i = 0; i < seq.count && !code; i++)
        code = bench_length(b, shape, (size_t)seq.list[i], err);
    return code;
}

int cli_bench_retention(cli_bench *b, rn_error *err)
{
    static const char *const defaults[] = {"4x64x128", "8x256x512"};
    const cli_value *given = cli_get(b->args, "shape");
    const char *const *shapes =
        given->count ? (const char *const *)given->list : defaults;
    size_t count = given->count ? given->count : 2;
    rn_retention_call shape;
    int code = CLI_DONE;
    for (size_t i = 0; i < count && !code; i++)
        code = parse_shape(shapes[i], &shape, err);
    for (size_t i = 0; i < count && !code; i++) {
        code = parse_shape(shapes[i], &shape, err);
        if (!code) code = bench_shape(b, &shape, err);
    }
    return code;
}

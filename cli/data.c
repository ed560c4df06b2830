/* From paths to what trains and what validates; see data.h. */
#define _POSIX_C_SOURCE 200809L
#include "data.h"

#include "commands.h"
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "3,1" or "0.7,0.3": `count` positive numbers, into out. */
static int parse_weights(const char *text, size_t count, double *out, rn_error *err)
{
    const char *at = text;
    size_t n = 0;
    for (;; at++) {
        char *end;
        double w = strtod(at, &end);
        if (end == at || !(w > 0 && w <= 1e30) || (*end && *end != ','))
            return cli_usage(err,
                             "--weights: '%s' is not a list of positive numbers with "
                             "commas between them",
                             text);
        if (n < count) out[n] = w;
        n++;
        at = end;
        if (!*at) break;
    }
    if (n == count) return CLI_DONE;
    return cli_usage(err, "--weights: %zu numbers for %zu paths of --data", n, count);
}

static int check_weights(const cli_args *args, rn_error *err)
{
    size_t count = cli_get(args, "data")->count;
    if (!cli_given(args, "weights")) return CLI_DONE;
    double *weights = calloc(count, sizeof *weights);
    if (!weights) return cli_fail(err, "out of memory for --weights");
    int code = parse_weights(cli_text(args, "weights"), count, weights, err);
    free(weights);
    return code;
}

int cli_data_check(const cli_args *args, rn_error *err)
{
    const cli_value *data = cli_get(args, "data");
    cli_reading how;
    int code = check_weights(args, err);
    if (!code) code = cli_reading_of(&how, args, NULL, NULL, err);
    if (!code) code = cli_check_input(cli_text(args, "val"), err);
    for (size_t i = 0; i < data->count && !code; i++)
        code = cli_check_input(data->list[i], err);
    return code;
}

bool cli_data_reads_text(const cli_args *args, const char *out)
{
    const cli_value *data = cli_get(args, "data");
    const char *val = cli_text(args, "val");
    for (size_t i = 0; i < data->count; i++)
        if (!cli_is_token_file(data->list[i], out)) return true;
    return val && !cli_is_token_file(val, out);
}

/* The last part of a source's tokens validates. */
static int split_part(cli_part *p, double fraction, rn_error *err)
{
    uint64_t count = rn_tokens_count(p->all);
    uint64_t first = (uint64_t)((double)count * (1 - fraction));
    if (first >= count) return CLI_DONE;
    rn_status st = rn_tokens_slice(&p->train, p->all, 0, first, err);
    if (!st) st = rn_tokens_slice(&p->val, p->all, first, count - first, err);
    return cli_code(st);
}

/* What validates when it is the last parts of all sources. */
static int join_parts(cli_data *d, rn_error *err)
{
    size_t n = 0;
    const rn_tokens **list = calloc(d->count, sizeof *list);
    if (!list) return cli_fail(err, "out of memory for %zu sources", d->count);
    for (size_t i = 0; i < d->count; i++)
        if (d->parts[i].val) list[n++] = d->parts[i].val;
    int code = n ? cli_code(rn_tokens_join(&d->val, list, n, err)) : CLI_DONE;
    free(list);
    return code;
}

/* All paths as one source, or with weights each as one. */
static int open_part(cli_data *d, const cli_args *args, size_t i, const char *out,
                     const cli_reading *how, rn_error *err)
{
    const cli_value *paths = cli_get(args, "data");
    bool mixed = cli_given(args, "weights");
    char name[32] = "train";
    if (mixed) snprintf(name, sizeof name, "train-%zu", i + 1);
    cli_part *p = &d->parts[i];
    int code =
        cli_tokens_stage(how, mixed ? paths->list + i : paths->list,
                         mixed ? 1 : paths->count, out, name, &p->all, &p->file, err);
    if (!code && !cli_given(args, "val"))
        code = split_part(p, cli_real(args, "val-fraction"), err);
    d->sources[i].tokens = p->train ? p->train : p->all;
    return code;
}

int cli_data_open(cli_data *d, const cli_args *args, const char *out,
                  const cli_reading *how, rn_error *err)
{
    const char *val = cli_text(args, "val");
    bool mixed = cli_given(args, "weights");
    size_t count = mixed ? cli_get(args, "data")->count : 1;
    double *weights = calloc(count, sizeof *weights);
    d->parts = calloc(count, sizeof *d->parts);
    d->sources = calloc(count, sizeof *d->sources);
    int code = CLI_DONE;
    if (!weights || !d->parts || !d->sources)
        code = cli_fail(err, "out of memory for %zu sources", count);
    else d->count = count;
    if (!code) weights[0] = 1;
    if (!code && mixed)
        code = parse_weights(cli_text(args, "weights"), count, weights, err);
    for (size_t i = 0; !code && i < count; i++) {
        d->sources[i].weight = weights[i];
        code = open_part(d, args, i, out, how, err);
    }
    if (!code && !val) code = join_parts(d, err);
    if (!code && val)
        code = cli_tokens_stage(how, &val, 1, out, "val", &d->val, &d->val_file, err);
    if (!code && d->val && how->certain)
        code = cli_code(rn_tokens_count_text(d->val, how->tokenizer, err));
    free(weights);
    return code;
}

int cli_data_place(cli_data *d, rn_error *err)
{
    int code = CLI_DONE;
    for (size_t i = 0; !code && i < d->count; i++)
        code = cli_staged_place(&d->parts[i].file, err);
    return code ? code : cli_staged_place(&d->val_file, err);
}

void cli_data_close(cli_data *d)
{
    rn_tokens_free(d->val);
    cli_staged_drop(&d->val_file);
    for (size_t i = 0; i < d->count; i++) {
        rn_tokens_free(d->parts[i].train);
        rn_tokens_free(d->parts[i].val);
        rn_tokens_free(d->parts[i].all);
        cli_staged_drop(&d->parts[i].file);
    }
    free(d->parts);
    free(d->sources);
    *d = (cli_data){0};
}

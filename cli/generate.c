/*
 * retnet generate: reads the prompt chunkwise, then draws one token after the other at
 * constant cost, and streams valid UTF-8. Memory does not grow with --tokens, except for
 * --json, which holds the text until the end.
 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"
#include "prompt.h"

#include "retnet/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FEED = 16384, STDOUT_BUFFER = 65536 };

/* clang-format off */
static const cli_option prompt_options[] = {
    {.name = "prompt", .letter = 'p', .kind = CLI_TEXT, .metavar = "TEXT",
     .help = "the text to continue; with --ids numbers separated by spaces or commas"},
    {.name = "prompt-file", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "read the prompt from a file; - is standard input"},
    {.name = "ids", .kind = CLI_FLAG,
     .help = "numbers instead of text, in the prompt and in the result"},
};

static const cli_option sampling_options[] = {
    {.name = "tokens", .letter = 'n', .kind = CLI_INT, .metavar = "N", .fallback = "200",
     .unit = "tokens", .min = 0, .max = 0x1p53, .help = "how many to generate at most"},
    {.name = "temperature", .kind = CLI_REAL, .metavar = "X", .fallback = "0.8", .min = 0,
     .max = 100, .help = "divides the logits; 0 is the same as --greedy"},
    {.name = "top-k", .kind = CLI_INT, .metavar = "K", .fallback = "0", .min = 0,
     .max = 2147483647, .unit = "tokens", .help = "keep the K most likely; 0 keeps all"},
    {.name = "top-p", .kind = CLI_REAL, .metavar = "P", .fallback = "1", .min = 0,
     .max = 1,
     .help = "keep the most likely ones that have probability P together; 0 or 1 keeps "
             "all"},
    {.name = "min-p", .kind = CLI_REAL, .metavar = "P", .fallback = "0", .min = 0,
     .max = 1,
     .help = "keep what is at least P times as likely as the best; 0 keeps all"},
    {.name = "repeat-penalty", .kind = CLI_REAL, .metavar = "X", .fallback = "1",
     .min = 0, .max = 100,
     .help = "makes the last 64 tokens less likely by this factor, from 0.01; 0 or 1 is off"},
    {.name = "greedy", .kind = CLI_FLAG, .help = "always the most likely token"},
    {.name = "stop", .kind = CLI_LIST, .metavar = "TEXT",
     .help = "end before this text appears; may be given several times"},
};
/* clang-format on */

static const cli_group prompt_group = CLI_GROUP("Prompt", prompt_options);
static const cli_group sampling_group = CLI_GROUP("Generation", sampling_options);

typedef struct generation {
    const cli_args *args;
    cli_model m;
    rn_session *session;
    rn_detokenizer *detokenizer; /* this and stream are NULL: ids only */
    rn_stream *stream;
    rn_sampling sampling;
    bool print_text, print_ids, flush_each;
    json_t *ids; /* with --json */
    char *text;  /* with --json: what was shown */
    size_t text_length, text_room;
    uint64_t tokens;
    bool stopped;
    double prompt_seconds, seconds;
} generation;

static int keep_text(generation *g, const char *text, size_t length, rn_error *err)
{
    if (g->text_room - g->text_length < length) {
        size_t room = (g->text_length + length) * 2;
        char *grown = realloc(g->text, room);
        if (!grown) return cli_fail(err, "out of memory for the text of --json");
        g->text = grown;
        g->text_room = room;
    }
    if (length) memcpy(g->text + g->text_length, text, length);
    g->text_length += length;
    return CLI_DONE;
}

static int show(generation *g, const char *text, size_t length, rn_error *err)
{
    if (g->ids) return keep_text(g, text, length, err);
    if (!g->print_text || !length) return CLI_DONE;
    int code = cli_write(text, length, err);
    return code || !g->flush_each ? code : cli_flush(err);
}

static int show_id(generation *g, int32_t id, rn_error *err)
{
    char number[16];
    int n = snprintf(number, sizeof number, "%s%d", g->tokens > 1 ? " " : "", (int)id);
    int code = cli_write(number, (size_t)n, err);
    return code || !g->flush_each ? code : cli_flush(err);
}

/* Hands one drawn token to the outputs. */
static int put_token(generation *g, int32_t id, rn_error *err)
{
    g->tokens++;
    if (g->ids && json_array_append_new(g->ids, json_integer(id)))
        return cli_fail(err, "out of memory for the ids of --json");
    if (g->print_ids && !g->ids) return show_id(g, id, err);
    if (!g->stream) return CLI_DONE;
    const char *text;
    size_t length;
    rn_status st = rn_detokenizer_put(g->detokenizer, id, &text, &length, err);
    if (!st)
        st = rn_stream_put(g->stream, text, length, &text, &length, &g->stopped, err);
    return st ? cli_code(st) : show(g, text, length, err);
}

/* The prompt in pieces, so that Ctrl-C is heard; any cutting gives the same bits. */
static int read_prompt(generation *g, const cli_prompt *prompt, rn_error *err)
{
    cli_progress progress;
    cli_progress_start(&progress, g->args);
    double begin = cli_seconds();
    for (size_t at = 0; at < prompt->count && !cli_interrupted(); at += FEED) {
        size_t count = prompt->count - at < FEED ? prompt->count - at : FEED;
        rn_status st = rn_session_feed(g->session, prompt->ids + at, count, err);
        if (st) return cli_code(st);
        if (prompt->count > FEED)
            cli_progress_show(&progress, "prompt %zu/%zu tokens", at + count,
                              prompt->count);
    }
    if (!cli_interrupted()) rn_session_logits(g->session);
    g->prompt_seconds = cli_seconds() - begin;
    cli_progress_clear(&progress);
    return CLI_DONE;
}

static int draw_tokens(generation *g, uint64_t limit, rn_error *err)
{
    double begin = cli_seconds();
    int code = CLI_DONE;
    while (!code && g->tokens < limit && !g->stopped && !cli_interrupted()) {
        int32_t id;
        rn_status st = rn_session_sample(g->session, &g->sampling, &id, err);
        if (!st) code = put_token(g, id, err);
        if (!st && !code && g->tokens < limit && !g->stopped)
            st = rn_session_step(g->session, id, err);
        if (st) code = cli_code(st);
    }
    g->seconds = cli_seconds() - begin;
    return code;
}

/* What the stream held back, and the end of the line where people or numbers need one. */
static int end_text(generation *g, rn_error *err)
{
    int code = CLI_DONE;
    if (g->stream && !g->stopped) {
        const char *text;
        size_t length;
        rn_status st = rn_detokenizer_end(g->detokenizer, &text, &length, err);
        if (!st)
            st = rn_stream_put(g->stream, text, length, &text, &length, &g->stopped, err);
        code = st ? cli_code(st) : show(g, text, length, err);
        if (!code && !g->stopped) {
            st = rn_stream_end(g->stream, &text, &length, err);
            code = st ? cli_code(st) : show(g, text, length, err);
        }
    }
    bool line = g->print_ids || isatty(STDOUT_FILENO);
    return code || g->ids || !line ? code : cli_write("\n", 1, err);
}

static const char *finish_reason(const generation *g, uint64_t limit)
{
    if (g->stopped) return "stop";
    return g->tokens < limit ? "interrupted" : "length";
}

static double rate(uint64_t tokens, double seconds)
{
    return tokens && seconds > 0 ? (double)tokens / seconds : NAN;
}

static int print_json(generation *g, size_t prompt_tokens, uint64_t limit, rn_error *err)
{
    json_t *text =
        g->stream ? json_stringn(g->text ? g->text : "", g->text_length) : json_null();
    json_t *object = json_pack(
        "{s:o, s:O, s:I, s:I, s:o, s:o, s:s}", "text", text, "ids", g->ids,
        "prompt_tokens", (json_int_t)prompt_tokens, "tokens", (json_int_t)g->tokens,
        "prompt_tokens_per_second", cli_json_real(rate(prompt_tokens, g->prompt_seconds)),
        "tokens_per_second", cli_json_real(rate(g->tokens, g->seconds)), "finish_reason",
        finish_reason(g, limit));
    return cli_print_json(object, err);
}

static void note_rates(const generation *g, size_t prompt_tokens)
{
    char prompt[24], drawn[24];
    cli_note(g->args, "%zu prompt tokens at %s/s, %llu tokens at %s/s", prompt_tokens,
             cli_short(prompt, rate(prompt_tokens, g->prompt_seconds)),
             (unsigned long long)g->tokens,
             cli_short(drawn, rate(g->tokens, g->seconds)));
}

static int generate(generation *g, const cli_prompt *prompt, rn_error *err)
{
    uint64_t limit = (uint64_t)cli_int(g->args, "tokens");
    int code = read_prompt(g, prompt, err);
    if (!code) code = draw_tokens(g, limit, err);
    if (!code) code = end_text(g, err);
    if (!code && g->ids) code = print_json(g, prompt->count, limit, err);
    if (!code) code = cli_flush(err);
    if (!code && isatty(STDERR_FILENO)) note_rates(g, prompt->count);
    return !code && cli_interrupted() ? CLI_INTERRUPTED : code;
}

static rn_sampling sampling_of(const cli_args *args)
{
    bool greedy = cli_int(args, "greedy") != 0;
    return (rn_sampling){.temperature = greedy ? 0 : (float)cli_real(args, "temperature"),
                         .top_k = (int)cli_int(args, "top-k"),
                         .top_p = (float)cli_real(args, "top-p"),
                         .min_p = (float)cli_real(args, "min-p"),
                         .repeat_penalty = (float)cli_real(args, "repeat-penalty"),
                         .seed = (uint64_t)cli_int(args, "seed")};
}

static int set_up(generation *g, rn_error *err)
{
    const cli_value *stop = cli_get(g->args, "stop");
    g->print_ids = cli_int(g->args, "ids") != 0;
    g->print_text = !g->print_ids;
    g->flush_each = isatty(STDOUT_FILENO) != 0;
    g->sampling = sampling_of(g->args);
    if (cli_int(g->args, "json") && !(g->ids = json_array()))
        return cli_fail(err, "out of memory for the ids of --json");
    rn_status st = rn_session_create(&g->session, g->m.model, err);
    if (!st && g->m.tokenizer)
        st = rn_stream_create(&g->stream, stop->list, stop->count, err);
    if (!st && g->stream)
        st = rn_detokenizer_create(&g->detokenizer, g->m.tokenizer, true, err);
    return cli_code(st);
}

static void tear_down(generation *g)
{
    rn_stream_free(g->stream);
    rn_detokenizer_free(g->detokenizer);
    rn_session_free(g->session);
    cli_close_model(&g->m);
    json_decref(g->ids);
    free(g->text);
}

static int check_options(const cli_args *args, const char *path, rn_error *err)
{
    bool prompt = cli_given(args, "prompt"), file = cli_given(args, "prompt-file");
    if (prompt && file)
        return cli_usage(err, "both --prompt and --prompt-file are given");
    if (!prompt && !file)
        return cli_usage(err, "--prompt TEXT or --prompt-file FILE is missing");
    if (prompt && !*cli_text(args, "prompt")) return cli_usage(err, "--prompt: is empty");
    if (cli_int(args, "greedy") && cli_given(args, "temperature"))
        return cli_usage(err, "both --greedy and --temperature are given");
    if (cli_int(args, "ids") && cli_given(args, "stop"))
        return cli_usage(err, "--stop: needs text, not --ids");
    double penalty = cli_real(args, "repeat-penalty");
    if (penalty > 0 && penalty < 0.01)
        return cli_usage(err, "--repeat-penalty: %g is neither 0 nor from 0.01 to 100",
                         penalty);
    return cli_check_model(args, path, err);
}

static int run(const cli_args *args, rn_error *err)
{
    const char *path = args->operand_count ? args->operands[0] : NULL;
    generation g = {.args = args};
    cli_prompt prompt = {0};
    int code = check_options(args, path, err);
    if (code) return code;
    cli_interrupt_exit();
    setvbuf(stdout, NULL, _IOFBF, STDOUT_BUFFER);

    code = cli_prompt_read(args, &prompt, err);
    if (!code) code = cli_open_model(args, path, &g.m, err);
    if (!code) code = cli_prompt_encode(args, &g.m, &prompt, err);
    if (!code) code = set_up(&g, err);
    if (!code) {
        cli_interrupt_remember();
        code = generate(&g, &prompt, err);
    }
    cli_prompt_free(&prompt);
    tear_down(&g);
    return code;
}

static const cli_group *const groups[] = {&prompt_group, &sampling_group,
                                          &cli_random_model, &cli_common, NULL};

const cli_command cli_generate = {
    .name = "generate",
    .summary = "continue a text",
    .arguments = "MODEL",
    .max_operands = 1,
    .about =
        "Continues a prompt and prints the continuation as it is drawn. The cost of a "
        "token and the memory in use do not depend on how many went before. Ctrl-C ends "
        "it with what there is.",
    .groups = groups,
    .examples =
        {"retnet generate model -p 'Once upon a time' -n 500",
         "Continue a text by 500 tokens.",
         "retnet generate model --prompt-file draft.txt --greedy --stop '***' --json",
         "The likeliest continuation, up to a line of stars, as JSON."},
    .run = run,
};

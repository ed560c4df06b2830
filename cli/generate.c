/*
 * retnet generate: reads the prompt chunkwise, then draws one token after the other at
 * constant cost, and streams valid UTF-8. Memory does not grow with --tokens, except for
 * --json, which holds the text until the end. With --session the sequence goes on from a
 * file and back into it.
 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "draw.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"
#include "prompt.h"
#include "resume.h"
#include "sampling.h"

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
/* clang-format on */

static const cli_group prompt_group = CLI_GROUP("Prompt", prompt_options);

typedef struct generation {
    const cli_args *args;
    cli_model m;
    cli_prompt prompt;
    cli_draw draw; /* the session is in it */
    uint64_t limit, position_before;
    bool print_ids, flush_each, resumed;
    json_t *ids; /* with --json */
    char *text;  /* with --json: what was shown */
    size_t text_length, text_room;
    size_t prompt_read; /* tokens */
    double prompt_seconds;
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

static int show_text(void *user, const char *text, size_t length, rn_error *err)
{
    generation *g = user;
    if (g->ids) return keep_text(g, text, length, err);
    if (g->print_ids) return CLI_DONE;
    int code = cli_write(text, length, err);
    return code || !g->flush_each ? code : cli_flush(err);
}

static int show_id(void *user, int32_t id, rn_error *err)
{
    generation *g = user;
    char number[16];
    if (g->ids && json_array_append_new(g->ids, json_integer(id)))
        return cli_fail(err, "out of memory for the ids of --json");
    if (g->ids || !g->print_ids) return CLI_DONE;
    int n =
        snprintf(number, sizeof number, "%s%d", g->draw.tokens > 1 ? " " : "", (int)id);
    int code = cli_write(number, (size_t)n, err);
    return code || !g->flush_each ? code : cli_flush(err);
}

/* The prompt in pieces, so that Ctrl-C is heard; any cutting gives the same bits. */
static int read_prompt(generation *g, rn_error *err)
{
    const cli_prompt *prompt = &g->prompt;
    cli_progress progress;
    cli_progress_start(&progress, g->args);
    double begin = cli_seconds();
    while (g->prompt_read < prompt->count && !cli_interrupted()) {
        const size_t at = g->prompt_read, rest = prompt->count - at;
        const size_t count = rest < FEED ? rest : FEED;
        rn_status st = rn_session_feed(g->draw.session, prompt->ids + at, count, err);
        if (st) return cli_code(st);
        g->prompt_read += count;
        if (prompt->count > FEED)
            cli_progress_show(&progress, "prompt %zu/%zu tokens", g->prompt_read,
                              prompt->count);
    }
    /* Where nothing is drawn, what is left of a chunk stays unread, as if the next prompt
       were the rest of this one. */
    if (!cli_interrupted() && g->limit) rn_session_logits(g->draw.session);
    g->prompt_seconds = cli_seconds() - begin;
    cli_progress_clear(&progress);
    return CLI_DONE;
}

/* The end of the line where people or numbers need one. */
static int end_line(const generation *g, rn_error *err)
{
    bool line = g->print_ids || isatty(STDOUT_FILENO);
    return g->ids || !line ? CLI_DONE : cli_write("\n", 1, err);
}

static const char *finish_reason(const generation *g)
{
    if (g->draw.stopped) return "stop";
    return g->draw.tokens < g->limit ? "interrupted" : "length";
}

static double rate(uint64_t tokens, double seconds)
{
    return tokens && seconds > 0 ? (double)tokens / seconds : NAN;
}

/* What --session adds to the object. */
static int describe_session(const generation *g, json_t *object)
{
    if (!cli_given(g->args, "session")) return 0;
    json_t *more = json_pack(
        "{s:o, s:b, s:I, s:I}", "session", cli_json_text(cli_text(g->args, "session")),
        "resumed", g->resumed, "position_before", (json_int_t)g->position_before,
        "position", (json_int_t)rn_session_position(g->draw.session));
    int failed = json_object_update(object, more);
    json_decref(more);
    return failed;
}

static int print_json(generation *g, rn_error *err)
{
    const cli_draw *d = &g->draw;
    const size_t read = g->prompt.count;
    json_t *text = g->m.tokenizer ? json_stringn(g->text ? g->text : "", g->text_length)
                                  : json_null();
    json_t *object = json_pack(
        "{s:o, s:O, s:I, s:I, s:o, s:o, s:s}", "text", text, "ids", g->ids,
        "prompt_tokens", (json_int_t)read, "tokens", (json_int_t)d->tokens,
        "prompt_tokens_per_second", cli_json_real(rate(read, g->prompt_seconds)),
        "tokens_per_second", cli_json_real(rate(d->tokens, d->seconds)), "finish_reason",
        finish_reason(g));
    if (object && describe_session(g, object)) {
        json_decref(object);
        object = NULL;
    }
    return cli_print_json(object, err);
}

static void note_rates(const generation *g)
{
    char prompt[24], drawn[24];
    cli_note(g->args, "%zu prompt tokens at %s/s, %llu tokens at %s/s", g->prompt.count,
             cli_short(prompt, rate(g->prompt.count, g->prompt_seconds)),
             (unsigned long long)g->draw.tokens,
             cli_short(drawn, rate(g->draw.tokens, g->draw.seconds)));
}

/* Back into the file, unless Ctrl-C came while the prompt was read: then the file stays
   as it was, and the same command does all of it. */
static int save_session(const generation *g, rn_error *err)
{
    if (g->prompt_read == g->prompt.count)
        return cli_resume_save(g->args, g->draw.session, err);
    if (cli_given(g->args, "session"))
        cli_note(g->args, "%s: not saved: the prompt was not read to its end",
                 cli_text(g->args, "session"));
    return CLI_DONE;
}

static int generate(generation *g, rn_error *err)
{
    int code = read_prompt(g, err);
    if (!code) code = cli_draw_tokens(&g->draw, g->limit, err);
    if (!code) code = end_line(g, err);
    if (!code && g->ids) code = print_json(g, err);
    if (!code) code = cli_flush(err);
    if (!code && isatty(STDERR_FILENO)) note_rates(g);
    if (!code) code = save_session(g, err);
    return !code && cli_interrupted() ? CLI_INTERRUPTED : code;
}

static int set_up(generation *g, rn_error *err)
{
    const cli_value *stop = cli_get(g->args, "stop");
    g->limit = (uint64_t)cli_int(g->args, "tokens");
    g->print_ids = cli_int(g->args, "ids") != 0;
    g->flush_each = isatty(STDOUT_FILENO) != 0;
    if (cli_int(g->args, "json") && !(g->ids = json_array()))
        return cli_fail(err, "out of memory for the ids of --json");
    g->draw = (cli_draw){.tokenizer = g->m.tokenizer,
                         .how = cli_sampling_of(g->args),
                         .stops = stop->list,
                         .stop_count = stop->count,
                         .keep = cli_given(g->args, "session"),
                         .id = show_id,
                         .text = show_text,
                         .user = g};
    g->resumed = cli_resume_has(g->args);
    int code = cli_resume(g->args, g->m.model, &g->draw.session, err);
    if (code) return code;
    g->position_before = rn_session_position(g->draw.session);
    return cli_prompt_encode(g->args, &g->m, g->position_before == 0, &g->prompt, err);
}

static void tear_down(generation *g)
{
    rn_session_free(g->draw.session);
    cli_prompt_free(&g->prompt);
    cli_close_model(&g->m);
    json_decref(g->ids);
    free(g->text);
}

static int check_options(const cli_args *args, const char *path, rn_error *err)
{
    bool prompt = cli_given(args, "prompt"), file = cli_given(args, "prompt-file");
    if (prompt && file)
        return cli_usage(err, "both --prompt and --prompt-file are given");
    if (!prompt && !file && !cli_resume_has(args))
        return cli_usage(err, "--prompt TEXT or --prompt-file FILE is missing");
    if (prompt && !*cli_text(args, "prompt")) return cli_usage(err, "--prompt: is empty");
    if (cli_int(args, "ids") && cli_given(args, "stop"))
        return cli_usage(err, "--stop: needs text, not --ids");
    int code = cli_sampling_check(args, err);
    return code ? code : cli_check_model(args, path, err);
}

static int run(const cli_args *args, rn_error *err)
{
    const char *path = args->operand_count ? args->operands[0] : NULL;
    generation g = {.args = args};
    int code = check_options(args, path, err);
    if (!code) code = cli_resume_check(args, err);
    if (code) return code;
    cli_interrupt_exit();
    setvbuf(stdout, NULL, _IOFBF, STDOUT_BUFFER);

    code = cli_prompt_read(args, &g.prompt, err);
    if (!code) code = cli_open_model(args, path, &g.m, err);
    if (!code) code = set_up(&g, err);
    if (!code) {
        cli_interrupt_remember();
        code = generate(&g, err);
    }
    tear_down(&g);
    return code;
}

static const cli_group *const groups[] = {&prompt_group,      &cli_sampling_group,
                                          &cli_session_group, &cli_random_model,
                                          &cli_common,        NULL};

const cli_command cli_generate = {
    .name = "generate",
    .summary = "continue a text",
    .arguments = "MODEL",
    .max_operands = 1,
    .about =
        "Continues a prompt and prints the continuation as it is drawn. The cost of a "
        "token and the memory in use do not depend on how many went before. Ctrl-C ends "
        "it with what there is.\n\n"
        "With --session FILE the text goes on from where the session in FILE ended, and "
        "the prompt, if there is one, is appended to it. Nothing is read twice: the file "
        "holds the model's state, which has the same size after any number of tokens.",
    .groups = groups,
    .examples =
        {"retnet generate model -p 'Once upon a time' -n 500 --session tale.rns",
         "Continue a text by 500 tokens; the next call goes on from there.",
         "retnet generate model --prompt-file draft.txt --greedy --stop '***' --json",
         "The likeliest continuation, up to a line of stars, as JSON."},
    .run = run,
};

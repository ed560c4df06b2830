/*
 * retnet chat: turns of a person and the model over one session, of which nothing is read
 * twice. Each line is a turn; lines that begin with / are commands. Models that were not
 * trained on chats have no template of their own: a table of simple rules says what
 * stands around a turn, and templates of checkpoints are not read.
 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "draw.h"
#include "forks.h"
#include "interrupt.h"
#include "lines.h"
#include "open.h"
#include "output.h"
#include "resume.h"
#include "sampling.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FEED = 4096, STDOUT_BUFFER = 65536 };

/* What stands before and after a line, what ends an answer, and what is read after it. */
typedef struct chat_template {
    const char *name, *before, *after, *stop, *closing;
} chat_template;

static const chat_template templates[] = {
    {"plain", "", "\n", "\n", "\n"},
};

static const char *template_name(size_t index)
{
    return index < sizeof templates / sizeof *templates ? templates[index].name : NULL;
}

/* clang-format off */
static const cli_option chat_options[] = {
    {.name = "template", .kind = CLI_CHOICE, .metavar = "NAME", .words = template_name,
     .fallback = "plain",
     .help = "what stands around a turn; plain: a line and its newline are read, and the "
             "answer ends before its first newline"},
    {.name = "undo-memory", .kind = CLI_INT, .metavar = "N", .fallback = "512",
     .unit = "MiB", .min = 0, .max = 0x1p32,
     .help = "for the copies that /undo goes back to; the oldest are dropped"},
};
/* clang-format on */
static const cli_group chat_group = CLI_GROUP("Chat", chat_options);

typedef struct chat {
    const cli_args *args;
    cli_model m;
    cli_forks forks;
    cli_lines *lines;
    const chat_template *around;
    const char **stops; /* the template's, then those of --stop */
    size_t stop_count;
    bool terminal, leave;
    size_t failed;   /* commands */
    json_t *answers; /* with --json */
    char *text;      /* with --json: of the present answer */
    size_t text_length, text_room;
    uint64_t position_before;
} chat;

/* ---- A turn ---- */

static int keep_text(chat *c, const char *text, size_t length, rn_error *err)
{
    if (c->text_room - c->text_length < length) {
        const size_t room = (c->text_length + length) * 2;
        char *grown = realloc(c->text, room);
        if (!grown) return cli_fail(err, "out of memory for the text of --json");
        c->text = grown;
        c->text_room = room;
    }
    memcpy(c->text + c->text_length, text, length);
    c->text_length += length;
    return CLI_DONE;
}

static int show_text(void *user, const char *text, size_t length, rn_error *err)
{
    chat *c = user;
    if (c->answers) return keep_text(c, text, length, err);
    int code = cli_write(text, length, err);
    return code || !c->terminal ? code : cli_flush(err);
}

/* Reads text into the session, in pieces, so that Ctrl-C is heard; *whole: to its end. */
static int read_text(chat *c, const char *text, size_t length, bool *whole, rn_error *err)
{
    rn_session *s = cli_forks_now(&c->forks)->session;
    const unsigned flags = rn_session_position(s) ? 0 : RN_ENCODE_SPECIAL;
    int32_t *ids;
    size_t count, at = 0;
    rn_status st =
        rn_tokenizer_encode(c->m.tokenizer, text, length, flags, &ids, &count, err);
    if (st) return cli_code(st);
    while (!st && at < count && !cli_interrupted()) {
        const size_t piece = count - at < FEED ? count - at : FEED;
        st = rn_session_feed(s, ids + at, piece, err);
        at += piece;
    }
    free(ids);
    *whole = at == count;
    return cli_code(st);
}

static int read_line(chat *c, const char *line, size_t length, bool *whole, rn_error *err)
{
    const size_t before = strlen(c->around->before), after = strlen(c->around->after);
    char *text = malloc(before + length + after + 1);
    if (!text) return cli_fail(err, "out of memory for a line of %zu bytes", length);
    memcpy(text, c->around->before, before);
    memcpy(text + before, line, length);
    memcpy(text + before + length, c->around->after, after);
    int code = read_text(c, text, before + length + after, whole, err);
    free(text);
    return code;
}

static int end_answer(chat *c, rn_error *err)
{
    if (!c->answers) return cli_write("\n", 1, err);
    json_t *text = json_stringn(c->text ? c->text : "", c->text_length);
    c->text_length = 0;
    if (json_array_append_new(c->answers, text))
        return cli_fail(err, "out of memory for the text of --json");
    return CLI_DONE;
}

static int answer(chat *c, rn_error *err)
{
    cli_fork *now = cli_forks_now(&c->forks);
    cli_draw d = {.session = now->session,
                  .tokenizer = c->m.tokenizer,
                  .how = cli_sampling_of(c->args),
                  .stops = c->stops,
                  .stop_count = c->stop_count,
                  .keep = true,
                  .text = show_text,
                  .user = c};
    int code = cli_draw_tokens(&d, (uint64_t)cli_int(c->args, "tokens"), err);
    now->session = d.session;
    return code ? code : end_answer(c, err);
}

/* What ends a turn is read even after Ctrl-C: it is a few tokens, and the next line
   begins behind it. */
static int close_turn(chat *c, rn_error *err)
{
    rn_session *s = cli_forks_now(&c->forks)->session;
    const char *text = c->around->closing;
    int32_t *ids;
    size_t count;
    rn_status st =
        rn_tokenizer_encode(c->m.tokenizer, text, strlen(text), 0, &ids, &count, err);
    if (st) return cli_code(st);
    st = rn_session_feed(s, ids, count, err);
    free(ids);
    return cli_code(st);
}

/* A turn that fails, or whose line is not read to its end, is taken back. */
static int take_turn(chat *c, const char *line, size_t length, rn_error *err)
{
    bool whole = false;
    int code = cli_forks_remember(&c->forks, err);
    if (code) return code;
    code = read_line(c, line, length, &whole, err);
    if (!code && whole) code = answer(c, err);
    if (!code && whole) code = close_turn(c, err);
    if (!code && whole) return CLI_DONE;
    bool back = cli_forks_undo(&c->forks);
    if (!code && !back)
        cli_note(c->args,
                 "the line was read in part, and there is no copy to go back to");
    return code;
}

/* ---- Commands ---- */

typedef struct chat_command {
    const char *name, *argument, *help;
    bool needs;
    int (*run)(chat *c, const char *argument, rn_error *err);
} chat_command;

static unsigned long long position(chat *c)
{
    return (unsigned long long)rn_session_position(cli_forks_now(&c->forks)->session);
}

static int run_save(chat *c, const char *path, rn_error *err)
{
    rn_status st = rn_session_save(cli_forks_now(&c->forks)->session, path, err);
    if (!st) cli_note(c->args, "saved %s at position %llu", path, position(c));
    return cli_code(st);
}

static int run_load(chat *c, const char *path, rn_error *err)
{
    rn_session *s = NULL;
    int code = cli_code(rn_session_load(&s, c->m.model, path, err));
    if (!code) code = cli_forks_remember(&c->forks, err);
    if (code) {
        rn_session_free(s);
        return code;
    }
    cli_forks_replace(&c->forks, s);
    cli_note(c->args, "loaded %s at position %llu", path, position(c));
    return CLI_DONE;
}

static int run_fork(chat *c, const char *name, rn_error *err)
{
    int code = cli_forks_add(&c->forks, *name ? name : NULL, err);
    if (!code)
        cli_note(c->args, "fork '%s' at position %llu; /switch goes back",
                 cli_forks_now(&c->forks)->name, position(c));
    return code;
}

static int run_switch(chat *c, const char *name, rn_error *err)
{
    int code = cli_forks_switch(&c->forks, name, err);
    if (!code) cli_note(c->args, "fork '%s' at position %llu", name, position(c));
    return code;
}

static int run_forks(chat *c, const char *argument, rn_error *err)
{
    (void)argument, (void)err;
    for (size_t i = 0; i < c->forks.count; i++) {
        const cli_fork *f = &c->forks.fork[i];
        fprintf(stderr, "%c %-16s position %llu\n", i == c->forks.current ? '*' : ' ',
                f->name, (unsigned long long)rn_session_position(f->session));
    }
    return CLI_DONE;
}

/* Nothing to undo is an answer, not a failure. */
static int run_undo(chat *c, const char *argument, rn_error *err)
{
    (void)argument, (void)err;
    if (cli_forks_undo(&c->forks))
        cli_note(c->args, "back at position %llu", position(c));
    else cli_print_error("chat", "/undo: nothing is left to undo");
    return CLI_DONE;
}

static int run_reset(chat *c, const char *argument, rn_error *err)
{
    (void)argument;
    int code = cli_forks_remember(&c->forks, err);
    if (!code) rn_session_reset(cli_forks_now(&c->forks)->session);
    return code;
}

static int run_help(chat *c, const char *argument, rn_error *err);

static int run_quit(chat *c, const char *argument, rn_error *err)
{
    (void)argument, (void)err;
    c->leave = true;
    return CLI_DONE;
}

static const chat_command commands[] = {
    {"save", "FILE", "write the session to a file", true, run_save},
    {"load", "FILE", "go on with the session of a file", true, run_load},
    {"fork", "[NAME]", "go on with a copy of the session", false, run_fork},
    {"switch", "NAME", "go on with another fork; the first is main", true, run_switch},
    {"forks", "", "list the forks", false, run_forks},
    {"undo", "", "take the last turn, /load or /reset back", false, run_undo},
    {"reset", "", "begin anew", false, run_reset},
    {"help", "", "this list", false, run_help},
    {"quit", "", "leave", false, run_quit},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int run_help(chat *c, const char *argument, rn_error *err)
{
    (void)c, (void)argument, (void)err;
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stderr, "/%s %-*s %s\n", commands[i].name,
                (int)(14 - strlen(commands[i].name)), commands[i].argument,
                commands[i].help);
    fprintf(stderr, "A line that begins with // is a turn that begins with /.\n");
    return CLI_DONE;
}

/* Runs "NAME ARGUMENT", which it cuts apart. */
static int run_command(chat *c, char *line, rn_error *err)
{
    static const char space[] = " \t";
    size_t name = strcspn(line, space);
    char *argument = line + name + strspn(line + name, space);
    for (size_t n = strlen(argument); n && strchr(space, argument[n - 1]);)
        argument[--n] = '\0';
    line[name] = '\0';
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(line, commands[i].name) != 0) continue;
        if (commands[i].needs && !*argument)
            return cli_fail(err, "/%s: %s is missing", line, commands[i].argument);
        if (!*commands[i].argument && *argument)
            return cli_fail(err, "/%s: unexpected '%s'", line, argument);
        return commands[i].run(c, argument, err);
    }
    return cli_fail(err, "unknown command '/%s'; /help lists them", line);
}

/* A command that fails is told at once, and the chat goes on. */
static int take_command(chat *c, const char *text, size_t length, rn_error *err)
{
    char *line = malloc(length + 1);
    if (!line) return cli_fail(err, "out of memory for a line of %zu bytes", length);
    memcpy(line, text, length);
    line[length] = '\0';
    if (run_command(c, line, err)) {
        cli_print_error("chat", err->message);
        c->failed++;
    }
    free(line);
    return CLI_DONE;
}

/* ---- The loop ---- */

static int take_line(chat *c, const char *text, size_t length, rn_error *err)
{
    if (!length) return CLI_DONE;
    if (*text != '/') return take_turn(c, text, length, err);
    if (length > 1 && text[1] == '/') return take_turn(c, text + 1, length - 1, err);
    return take_command(c, text + 1, length - 1, err);
}

/* Ctrl-C on a terminal was for a line or an answer; elsewhere it ends the chat. */
static bool go_on(const chat *c)
{
    if (c->terminal) cli_interrupt_forget();
    return !cli_interrupted();
}

static int talk(chat *c, rn_error *err)
{
    for (int code = CLI_DONE; !c->leave;) {
        const char *text;
        char prompt[CLI_FORK_NAME + 4];
        size_t length;
        snprintf(prompt, sizeof prompt, "%s> ",
                 c->forks.count > 1 ? cli_forks_now(&c->forks)->name : "");
        cli_input kind = cli_lines_next(c->lines, prompt, &text, &length, err);
        if (kind == CLI_INPUT_FAILED) return CLI_FAILED;
        if (kind != CLI_INPUT_TEXT && c->terminal) code = cli_write("\n", 1, err);
        if (!code && kind == CLI_INPUT_TEXT) code = take_line(c, text, length, err);
        if (!code) code = cli_flush(err);
        if (code) return code;
        if (!go_on(c)) return CLI_INTERRUPTED;
        if (kind == CLI_INPUT_END) break;
    }
    return CLI_DONE;
}

static int set_up(chat *c, rn_error *err)
{
    const cli_value *stop = cli_get(c->args, "stop");
    rn_session *session = NULL;
    if (!c->m.tokenizer)
        return cli_fail(err,
                        "%s: a vocabulary of %zu ids, for which there is no tokenizer",
                        c->m.label, c->m.info.vocab_size);
    if (cli_int(c->args, "json") && !(c->answers = json_array()))
        return cli_fail(err, "out of memory for --json");
    c->around = &templates[cli_int(c->args, "template")];
    c->stops = calloc(stop->count + 1, sizeof *c->stops);
    if (!c->stops) return cli_fail(err, "out of memory for stop strings");
    c->stops[c->stop_count++] = c->around->stop;
    for (size_t i = 0; i < stop->count; i++) c->stops[c->stop_count++] = stop->list[i];
    bool resumed = cli_resume_has(c->args);
    int code = cli_resume(c->args, c->m.model, &session, err);
    if (code) return code;
    c->position_before = rn_session_position(session);
    cli_forks_open(&c->forks, session, (uint64_t)cli_int(c->args, "undo-memory") << 20);
    if (resumed)
        cli_note(c->args, "%s: goes on at position %llu", cli_text(c->args, "session"),
                 position(c));
    else if (c->terminal) cli_note(c->args, "/help lists the commands, Ctrl-D leaves");
    return cli_lines_open(&c->lines, c->terminal, err);
}

static int print_json(chat *c, rn_error *err)
{
    if (!c->answers) return CLI_DONE;
    return cli_print_json(json_pack("{s:O, s:I, s:I, s:I}", "answers", c->answers,
                                    "position_before", (json_int_t)c->position_before,
                                    "position", (json_int_t)position(c),
                                    "failed_commands", (json_int_t)c->failed),
                          err);
}

/* The session is saved whatever ended the chat. */
static int chat_to_end(chat *c, rn_error *err)
{
    rn_error other = {0};
    int code = talk(c, err);
    int saved = cli_resume_save(c->args, cli_forks_now(&c->forks)->session, &other);
    if (code != CLI_DONE && code != CLI_INTERRUPTED) return code;
    if (saved) {
        *err = other;
        return saved;
    }
    if (print_json(c, err)) return CLI_FAILED;
    if (!code && c->failed && !c->terminal)
        return cli_fail(err, "%zu command%s failed", c->failed, c->failed > 1 ? "s" : "");
    return code;
}

static int run(const cli_args *args, rn_error *err)
{
    const char *path = args->operand_count ? args->operands[0] : NULL;
    chat c = {.args = args,
              .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
                          !cli_int(args, "json")};
    int code = cli_sampling_check(args, err);
    if (!code) code = cli_check_model(args, path, err);
    if (!code) code = cli_resume_check(args, err);
    if (code) return code;
    cli_interrupt_exit();
    setvbuf(stdout, NULL, _IOFBF, STDOUT_BUFFER);

    code = cli_open_model(args, path, &c.m, err);
    if (!code) code = set_up(&c, err);
    if (!code) {
        cli_interrupt_remember();
        code = chat_to_end(&c, err);
    }
    cli_lines_close(c.lines);
    cli_forks_free(&c.forks);
    free(c.stops);
    free(c.text);
    json_decref(c.answers);
    cli_close_model(&c.m);
    return code;
}

static const cli_group *const groups[] = {&chat_group,        &cli_sampling_group,
                                          &cli_session_group, &cli_random_model,
                                          &cli_common,        NULL};

const cli_command cli_chat = {
    .name = "chat",
    .summary = "talk with a model, line by line",
    .arguments = "MODEL",
    .max_operands = 1,
    .about =
        "Each line is a turn, and the model answers. On a terminal lines can be edited "
        "and are remembered; Ctrl-C ends an answer or clears the line, Ctrl-D leaves. In "
        "a pipe, the lines of standard input are the turns, and only answers go to "
        "standard output. Empty lines are passed over.\n\n"
        "/save FILE and /load FILE keep the session in a file, /fork [NAME] goes on with "
        "a "
        "copy, /switch NAME and /forks go between them, /undo takes the last turn back, "
        "/reset begins anew, /help lists the commands, /quit leaves. A turn that begins "
        "with / is typed with //. Nothing of this reads a text again.",
    .groups = groups,
    .examples = {"retnet chat model --session talk.rns --temperature 0.7",
                 "Talk, and go on the next day where it ended.",
                 "retnet chat model --greedy --tokens 80 --json",
                 "In a pipe: answer each line of a text, as one JSON object."},
    .run = run,
};

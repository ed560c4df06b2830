/*
 * retnet chat: turns of a person and the model over one session, of which nothing is read
 * twice. Each line is a turn (chat_turn.c); lines that begin with / are commands
 * (chat_commands.c). Models that were not
 * trained on chats have no template of their own: a table of simple rules says what
 * stands around a turn, and templates of checkpoints are not read.
 */
#define _POSIX_C_SOURCE 200809L
#include "chat.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"
#include "resume.h"
#include "sampling.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STDOUT_BUFFER = 65536 };

static const cli_template templates[] = {
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

static int take_line(cli_talk *c, const char *text, size_t length, rn_error *err)
{
    if (!length) return CLI_DONE;
    if (*text != '/') return cli_chat_turn(c, text, length, err);
    if (length > 1 && text[1] == '/') return cli_chat_turn(c, text + 1, length - 1, err);
    return cli_chat_command(c, text + 1, length - 1, err);
}

/* Ctrl-C on a terminal was for a line or an answer; elsewhere it ends the chat. */
static bool go_on(const cli_talk *c)
{
    if (c->terminal) cli_interrupt_forget();
    return !cli_interrupted();
}

static int talk(cli_talk *c, rn_error *err)
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

static int set_up(cli_talk *c, rn_error *err)
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
                 cli_chat_position(c));
    else if (c->terminal) cli_note(c->args, "/help lists the commands, Ctrl-D leaves");
    return cli_lines_open(&c->lines, c->terminal, err);
}

static int print_json(cli_talk *c, rn_error *err)
{
    if (!c->answers) return CLI_DONE;
    return cli_print_json(json_pack("{s:O, s:I, s:I, s:I}", "answers", c->answers,
                                    "position_before", (json_int_t)c->position_before,
                                    "position", (json_int_t)cli_chat_position(c),
                                    "failed_commands", (json_int_t)c->failed),
                          err);
}

/* The session is saved whatever ended the chat. */
static int chat_to_end(cli_talk *c, rn_error *err)
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
    cli_talk c = {.args = args,
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
        cli_interrupt_remember_all();
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

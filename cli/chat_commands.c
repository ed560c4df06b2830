/* The commands of a chat, lines that begin with a slash; see chat.h. */
#include "chat.h"

#include "commands.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct chat_command {
    const char *name, *argument, *help;
    bool needs;
    int (*run)(cli_talk *c, const char *argument, rn_error *err);
} chat_command;

unsigned long long cli_chat_position(cli_talk *c)
{
    return (unsigned long long)rn_session_position(cli_forks_now(&c->forks)->session);
}

static int run_save(cli_talk *c, const char *path, rn_error *err)
{
    rn_status st = rn_session_save(cli_forks_now(&c->forks)->session, path, err);
    if (!st) cli_note(c->args, "saved %s at position %llu", path, cli_chat_position(c));
    return cli_code(st);
}

static int run_load(cli_talk *c, const char *path, rn_error *err)
{
    rn_session *s = NULL;
    int code = cli_code(rn_session_load(&s, c->m.model, path, err));
    if (!code) code = cli_forks_remember(&c->forks, err);
    if (code) {
        rn_session_free(s);
        return code;
    }
    cli_forks_replace(&c->forks, s);
    cli_note(c->args, "loaded %s at position %llu", path, cli_chat_position(c));
    return CLI_DONE;
}

static int run_fork(cli_talk *c, const char *name, rn_error *err)
{
    int code = cli_forks_add(&c->forks, *name ? name : NULL, err);
    if (!code)
        cli_note(c->args, "fork '%s' at position %llu; /switch goes back",
                 cli_forks_now(&c->forks)->name, cli_chat_position(c));
    return code;
}

static int run_switch(cli_talk *c, const char *name, rn_error *err)
{
    int code = cli_forks_switch(&c->forks, name, err);
    if (!code)
        cli_note(c->args, "fork '%s' at position %llu", name, cli_chat_position(c));
    return code;
}

static int run_forks(cli_talk *c, const char *argument, rn_error *err)
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
static int run_undo(cli_talk *c, const char *argument, rn_error *err)
{
    (void)argument, (void)err;
    if (cli_forks_undo(&c->forks))
        cli_note(c->args, "back at position %llu", cli_chat_position(c));
    else cli_print_error("chat", "/undo: nothing is left to undo");
    return CLI_DONE;
}

static int run_reset(cli_talk *c, const char *argument, rn_error *err)
{
    (void)argument;
    int code = cli_forks_remember(&c->forks, err);
    if (!code) rn_session_reset(cli_forks_now(&c->forks)->session);
    return code;
}

static int run_help(cli_talk *c, const char *argument, rn_error *err);

static int run_quit(cli_talk *c, const char *argument, rn_error *err)
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

static int run_help(cli_talk *c, const char *argument, rn_error *err)
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
static int run_command(cli_talk *c, char *line, rn_error *err)
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

int cli_chat_command(cli_talk *c, const char *text, size_t length, rn_error *err)
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

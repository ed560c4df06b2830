/* Forks and what was before; see forks.h. */
#include "forks.h"

#include "commands.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_forks_open(cli_forks *f, rn_session *session, uint64_t past_limit)
{
    *f = (cli_forks){.count = 1, .past_limit = past_limit};
    f->fork[0] = (cli_fork){.name = "main", .session = session};
}

void cli_forks_free(cli_forks *f)
{
    for (size_t i = 0; i < f->count; i++) rn_session_free(f->fork[i].session);
    for (size_t i = 0; i < f->past_count; i++) rn_session_free(f->past[i].session);
    free(f->past);
    *f = (cli_forks){0};
}

cli_fork *cli_forks_now(cli_forks *f)
{
    return &f->fork[f->current];
}

void cli_forks_replace(cli_forks *f, rn_session *session)
{
    cli_fork *now = cli_forks_now(f);
    rn_session_free(now->session);
    now->session = session;
}

static void drop(cli_forks *f, size_t index)
{
    f->past_count--;
    memmove(f->past + index, f->past + index + 1,
            (f->past_count - index) * sizeof *f->past);
}

/* How many copies the limit allows: all sessions of a model have one size. */
static uint64_t most_copies(cli_forks *f)
{
    return f->past_limit / rn_session_bytes(cli_forks_now(f)->session);
}

int cli_forks_remember(cli_forks *f, rn_error *err)
{
    const uint64_t most = most_copies(f);
    if (most == 0) return CLI_DONE;
    while (f->past_count >= most) {
        rn_session_free(f->past[0].session);
        drop(f, 0);
    }
    if (f->past_count == f->past_room) {
        const size_t room = f->past_room * 2 + 16;
        cli_past *grown = realloc(f->past, room * sizeof *grown);
        if (!grown) return cli_fail(err, "out of memory for what /undo needs");
        f->past = grown;
        f->past_room = room;
    }
    rn_session *copy;
    rn_status st = rn_session_copy(&copy, cli_forks_now(f)->session, err);
    if (!st) f->past[f->past_count++] = (cli_past){f->current, copy};
    return cli_code(st);
}

bool cli_forks_undo(cli_forks *f)
{
    for (size_t i = f->past_count; i-- > 0;) {
        if (f->past[i].fork != f->current) continue;
        cli_forks_replace(f, f->past[i].session);
        drop(f, i);
        return true;
    }
    return false;
}

static cli_fork *find(cli_forks *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (!strcmp(f->fork[i].name, name)) return &f->fork[i];
    return NULL;
}

int cli_forks_add(cli_forks *f, const char *name, rn_error *err)
{
    char made[CLI_FORK_NAME];
    for (size_t n = f->count; !name; n++) {
        snprintf(made, sizeof made, "fork%zu", n);
        if (!find(f, made)) name = made;
    }
    if (strlen(name) >= CLI_FORK_NAME)
        return cli_fail(err, "/fork: a name of more than %d bytes", CLI_FORK_NAME - 1);
    if (find(f, name)) return cli_fail(err, "/fork: '%s' is there already", name);
    if (f->count == CLI_FORKS)
        return cli_fail(err, "/fork: there are %d forks already", CLI_FORKS);
    cli_fork *fresh = &f->fork[f->count];
    rn_status st = rn_session_copy(&fresh->session, cli_forks_now(f)->session, err);
    if (st) return cli_code(st);
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    f->current = f->count++;
    return CLI_DONE;
}

int cli_forks_switch(cli_forks *f, const char *name, rn_error *err)
{
    const cli_fork *there = find(f, name);
    if (!there) return cli_fail(err, "/switch: there is no fork '%s'", name);
    f->current = (size_t)(there - f->fork);
    return CLI_DONE;
}

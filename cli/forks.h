/*
 * The sessions of a chat: forks with names, of which one is in use, and copies from
 * before each turn to go back to. The copies together are bounded in bytes; the oldest go
 * first.
 */
#ifndef RN_CLI_FORKS_H
#define RN_CLI_FORKS_H

#include "retnet/session.h"

enum { CLI_FORKS = 32, CLI_FORK_NAME = 40 };

typedef struct cli_fork {
    char name[CLI_FORK_NAME];
    rn_session *session;
} cli_fork;

typedef struct cli_past {
    size_t fork;
    rn_session *session;
} cli_past;

typedef struct cli_forks {
    cli_fork fork[CLI_FORKS];
    size_t count, current;
    cli_past *past; /* the newest last */
    size_t past_count, past_room;
    uint64_t past_limit; /* bytes */
} cli_forks;

/* Takes the session over as the fork "main". */
void cli_forks_open(cli_forks *f, rn_session *session, uint64_t past_limit);
void cli_forks_free(cli_forks *f);

cli_fork *cli_forks_now(cli_forks *f);

/* Takes `session` into the place of the one in use, which is freed. */
void cli_forks_replace(cli_forks *f, rn_session *session);

/* Keeps a copy of the session in use, if the limit has room for one. */
int cli_forks_remember(cli_forks *f, rn_error *err);

/* Back to the newest copy of the fork in use; false: there is none. */
bool cli_forks_undo(cli_forks *f);

/* A copy of the session in use under a new name (NULL: of its own making), which is in
   use from now on. */
int cli_forks_add(cli_forks *f, const char *name, rn_error *err);

/* Uses the fork of that name. */
int cli_forks_switch(cli_forks *f, const char *name, rn_error *err);

#endif

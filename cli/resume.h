/* --session FILE: a session that goes on from a file, and back into it. */
#ifndef RN_CLI_RESUME_H
#define RN_CLI_RESUME_H

#include "open.h"

#include "retnet/session.h"

/* The option, for a group of its own. */
extern const cli_group cli_session_group;

/* CLI_FAILED where FILE could not be written at the end, so that it is known before the
   work. No --session is fine. */
int cli_resume_check(const cli_args *args, rn_error *err);

/* Whether --session names a file that is there. */
bool cli_resume_has(const cli_args *args);

/* The session of the file, or an empty one. */
int cli_resume(const cli_args *args, rn_model *model, rn_session **out, rn_error *err);

/* Writes it back; nothing without --session. */
int cli_resume_save(const cli_args *args, const rn_session *s, rn_error *err);

#endif

/*
 * Drawing tokens from a session and showing them as text, up to a limit, a stop or
 * Ctrl-C. A session that is used afterwards ends with the last token that lies wholly in
 * the text that was shown: what belongs to a stop string, or to an end token, is not in
 * it.
 */
#ifndef RN_CLI_DRAW_H
#define RN_CLI_DRAW_H

#include "retnet/session.h"
#include "retnet/tokenizer.h"

typedef struct cli_held cli_held;

typedef struct cli_draw {
    rn_session *session; /* the caller's; may be another one afterwards, in its place */
    const rn_tokenizer *tokenizer; /* NULL: ids only, which nothing stops */
    rn_sampling how;
    const char *const *stops;
    size_t stop_count;
    bool keep;                                        /* the session is used afterwards */
    int (*id)(void *user, int32_t id, rn_error *err); /* each token, or NULL */
    int (*text)(void *user, const char *text, size_t length, rn_error *err);
    void *user;

    uint64_t tokens; /* drawn, with those of a stop */
    bool stopped;    /* by a stop string or the end token */
    double seconds;
} cli_draw;

/* Draws at most `limit` tokens. Returns an exit code; Ctrl-C is CLI_DONE. */
int cli_draw_tokens(cli_draw *d, uint64_t limit, rn_error *err);

#endif

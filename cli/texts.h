/* The texts of a command's FILES, or of standard input: whole, or line by line. */
#ifndef RN_CLI_TEXTS_H
#define RN_CLI_TEXTS_H

#include "options.h"

#include "retnet/text.h"

/* Zeroed at first; cli_texts_close in every case. */
typedef struct cli_texts {
    rn_texts *files; /* NULL: standard input */
    bool lines;
    const char *rest; /* of the present text, for the lines to come; NULL: none */
    size_t left;
    char *buffer; /* of standard input: bytes at .. used-1 were not given yet */
    size_t at, used, room;
    bool ended;
} cli_texts;

/* paths NULL: standard input. leave_out: as for rn_texts_open. */
int cli_texts_open(cli_texts *t, const char *const *paths, size_t count, bool lines,
                   const char *leave_out, rn_error *err);
void cli_texts_close(cli_texts *t);

/* The next text, valid until the next call; *text NULL at the end. A line is given
   without its newline. CLI_INTERRUPTED after Ctrl-C while standard input is waited for.
 */
int cli_texts_next(cli_texts *t, const char **text, size_t *length, rn_error *err);

/* Bytes read of all, 0 where that is unknown. */
uint64_t cli_texts_total(const cli_texts *t);

#endif

/* Paths: looked at early, folders made, and token files opened as they are or built from
 * text. */
#ifndef RN_CLI_TOKENS_H
#define RN_CLI_TOKENS_H

#include "options.h"
#include "progress.h"

#include "retnet/data.h"

/* Whether the path is a token file (by its name, .bin, or its header), or a folder of
   nothing else, leave_out (or NULL) aside. */
bool cli_is_token_file(const char *path, const char *leave_out);

bool cli_is_folder(const char *path);

/* How files are read. */
typedef struct cli_reading {
    const rn_tokenizer *tokenizer; /* NULL: there is none */
    bool certain;                  /* the ids of token files are this tokenizer's */
    cli_progress *progress;
    int threads;           /* that encode; 0: as many as processors */
    bool documents;        /* their borders are looked for */
    rn_document_rule rule; /* --document-token, or NONE */
    int32_t id;
} cli_reading;

/* From --documents, --document-token and --threads; CLI_USAGE for one that is wrong. */
int cli_reading_of(cli_reading *out, const cli_args *args, const rn_tokenizer *tokenizer,
                   cli_progress *progress, rn_error *err);

/* A token file that is built beside its place, and takes it when the run is accepted; its
   index goes with it. Zeroed at first; both names are NULL when there is nothing to
   place. */
typedef struct cli_staged {
    char *path, *built;
} cli_staged;

/* Text and token files as one sequence for OUT/data/NAME.bin, OUT itself left out; token
   files alone are opened in place. */
int cli_tokens_stage(const cli_reading *how, const char *const *paths, size_t count,
                     const char *out, const char *name, rn_tokens **tokens,
                     cli_staged *staged, rn_error *err);

/* Gives the file its name. cli_staged_drop removes what has not got it. */
int cli_staged_place(cli_staged *staged, rn_error *err);
void cli_staged_drop(cli_staged *staged);

/* Removes from OUT/data what cli_tokens_stage left there in processes that were killed.
 */
void cli_tokens_sweep(const char *out);

/* The text of one path, or a token file in place, with the built file in a temporary
   place, which is gone on return (the open file keeps its contents). */
int cli_tokens_temporary(const cli_reading *how, const char *path, rn_tokens **out,
                         rn_error *err);

/* Whether a file to be read is there, and whether the folder of a file to be written is,
   before long work starts. path NULL: nothing to check. */
int cli_check_input(const char *path, rn_error *err);
int cli_check_output(const char *path, rn_error *err);

/* mkdir -p of dir/sub; the path in a new string (freed with free) in *out. */
int cli_make_folder(const char *dir, const char *sub, char **out, rn_error *err);

/* Length of ".tmp-PID" or ".tmp-PID-TRIAL" at the start of `text`, or 0; the number goes
   to *pid. */
size_t cli_temporary_suffix(const char *text, long *pid);

/* dir + "/" + name in a new string; NULL when memory is short. */
char *cli_join(const char *dir, const char *name);

#endif

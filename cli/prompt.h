/* The prompt of a generation: from --prompt, a file or standard input, as token ids. */
#ifndef RN_CLI_PROMPT_H
#define RN_CLI_PROMPT_H

#include "open.h"

/* Zeroed at first; cli_prompt_free in every case. */
typedef struct cli_prompt {
    char *text;
    size_t length;
    int32_t *ids;
    size_t count;
} cli_prompt;

/* Reads --prompt or --prompt-file, and parses the numbers of --ids. Nothing in it is an
   error; neither of the two given is no prompt. */
int cli_prompt_read(const cli_args *args, cli_prompt *p, rn_error *err);

/* The ids for this model: encodes the text, with the post-processor's ids where it is the
   first of its sequence, or checks the numbers of --ids. */
int cli_prompt_encode(const cli_args *args, const cli_model *m, bool first, cli_prompt *p,
                      rn_error *err);
void cli_prompt_free(cli_prompt *p);

#endif

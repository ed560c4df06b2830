/* Paths: looked at early, folders made, and token files opened as they are or built from
 * text. */
#ifndef RN_CLI_TOKENS_H
#define RN_CLI_TOKENS_H

#include "options.h"

#include "retnet/data.h"

/* Whether the path is a token file by its name (.bin). */
bool cli_is_token_file(const char *path);

/* One token file is opened in place; anything else is built into `out_path`. */
int cli_tokens_open(const char *const *paths, size_t count, const char *out_path,
                    const rn_tokenizer *tokenizer, rn_tokens **out, rn_error *err);

/* As cli_tokens_open with the built file in a temporary place, which is gone on return
   (the map keeps its contents). */
int cli_tokens_temporary(const char *path, const rn_tokenizer *tokenizer, rn_tokens **out,
                         rn_error *err);

/* Whether a file to be read is there, and whether the folder of a file to be written is,
   before long work starts. path NULL: nothing to check. */
int cli_check_input(const char *path, rn_error *err);
int cli_check_output(const char *path, rn_error *err);

/* mkdir -p of dir/sub; the path in a new string (freed with free) in *out. */
int cli_make_folder(const char *dir, const char *sub, char **out, rn_error *err);

/* dir + "/" + name in a new string; NULL when memory is short. */
char *cli_join(const char *dir, const char *name);

#endif

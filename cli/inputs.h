/* Whether a file to be written is one that the command reads: by what the paths mean, so
   also through links and under another spelling. */
#ifndef RN_CLI_INPUTS_H
#define RN_CLI_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether two paths mean one file, which need not be there yet. */
bool cli_same_file(const char *a, const char *b);

/* Whether `path` is the input `in`, or one of the files in the folder `in`. */
bool cli_is_input(const char *in, const char *path);

/* Whether `path` is one of the files that the model `model` (a folder or a file) is read
   from: weights, index, shards, config or tokenizer; its name beside the model then goes
   to `file`. */
bool cli_is_of_model(const char *model, const char *path, char *file, size_t size);

#endif

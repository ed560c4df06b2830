/*
 * What leaves the program: results on standard output, checked to the last byte; errors
 * and notes as one line each on standard error; JSON without non-finite numbers.
 */
#ifndef RN_CLI_OUTPUT_H
#define RN_CLI_OUTPUT_H

#include "options.h"

#include <jansson.h>

/* Store one line in err and return the exit code: CLI_USAGE, CLI_FAILED. */
__attribute__((format(printf, 2, 3))) int cli_usage(rn_error *err, const char *format,
                                                    ...);
__attribute__((format(printf, 2, 3))) int cli_fail(rn_error *err, const char *format,
                                                   ...);

/* The exit code of a library call: done, failed or interrupted. */
int cli_code(rn_status status);

/* Bytes of the control character at c, or 0: those of ASCII, and C2 80 .. C2 9F, which
   terminals obey as well. */
size_t cli_control(const char *c);

/* Makes each of them '?', so that a stranger's text stays what it is: one line. */
void cli_plain(char *text);

/* "retnet COMMAND: message" on standard error; command may be NULL. Control characters of
   file names and arguments become '?', so that it stays one line. */
void cli_print_error(const char *command, const char *message);

/* A remark on standard error unless --quiet; plain as errors are. */
__attribute__((format(printf, 2, 3))) void cli_note(const cli_args *args,
                                                    const char *format, ...);

/* Flushes standard output; a closed pipe or a full disk is CLI_FAILED. */
int cli_flush(rn_error *err);

/* Bytes to standard output, failures noticed when its buffer is full. */
int cli_write(const void *bytes, size_t count, rn_error *err);

/* One "name  value" line of a result. */
__attribute__((format(printf, 2, 3))) void cli_line(const char *name, const char *format,
                                                    ...);

/* A number, or null when it is not finite; a string with bytes that are not UTF-8 as '?'.
 */
json_t *cli_json_real(double value);
json_t *cli_json_text(const char *text);

/* Prints the object, compact, with a newline, and releases it. NULL: memory is short. */
int cli_print_json(json_t *object, rn_error *err);

/* "2h03m", "2m05s", "41 s"; "12.3k", "4.56M"; "3.4 MiB"; each into out and returned. */
const char *cli_duration(char out[24], double seconds);
const char *cli_short(char out[24], double value);
const char *cli_bytes(char out[32], uint64_t bytes);

/* Monotonic seconds. */
double cli_seconds(void);

#endif

/*
 * A file of text as a stream of bytes, plain or, when its name ends in .zst, compressed
 * with zstd (any number of frames). Memory is bounded by the window that a frame asks
 * for, at most 128 MiB, whatever the size of the text.
 */
#ifndef RN_FORMATS_INPUT_H
#define RN_FORMATS_INPUT_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a name ends in .zst; and whether it ends in `ending`, before that or without.
 */
bool rn_input_is_compressed(const char *path);
bool rn_input_ends_in(const char *path, const char *ending);

typedef struct rn_input rn_input;
rn_status rn_input_open(rn_input **out, const char *path, rn_error *err);
void rn_input_close(rn_input *in); /* NULL is allowed */

/* The next bytes of the text, at most `room` > 0; *got 0: the end. RN_EFORMAT, with the
   file's byte, for a frame that is damaged or cut off. */
rn_status rn_input_read(rn_input *in, void *out, size_t room, size_t *got, rn_error *err);

/* Bytes of the file that have been read. */
uint64_t rn_input_consumed(const rn_input *in);

#endif

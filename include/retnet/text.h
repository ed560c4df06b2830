/* Texts one after the other, from files, folders and JSONL, or from the caller. */
#ifndef RETNET_TEXT_H
#define RETNET_TEXT_H

#include "retnet/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rn_texts rn_texts;

/**
 * Files in the order of `paths`; a folder gives its files sorted by path, sub-folders
 * too, without hidden ones. Each file is a text, but one whose name ends in .jsonl or
 * .ndjson has a text in the field "text" of each line; both plain or compressed with zstd
 * (.zst behind the name). leave_out: a file or folder that is not read
 * where it lies in one of the paths, or NULL.
 */
rn_status rn_texts_open(rn_texts **out, const char *const *paths, size_t count,
                        const char *leave_out, rn_error *err);

/** Gives the next text; *text NULL at the end. Owned by the callback until the next call.
 */
typedef rn_status rn_texts_read(void *user, const char **text, size_t *length,
                                rn_error *err);

/** Texts that a callback gives. */
rn_status rn_texts_from(rn_texts **out, rn_texts_read *read, void *user, rn_error *err);
void rn_texts_close(rn_texts *t);

/** The next text, valid until the next call; *text NULL at the end. Any bytes may be in
    it. RN_EFORMAT, naming file and line, for a line of JSONL without a text;
    RN_EUNSUPPORTED for a token file (.bin). */
rn_status rn_texts_next(rn_texts *t, const char **text, size_t *length, rn_error *err);

/** Bytes of the files that were read so far, and of all; 0 where that is unknown. */
uint64_t rn_texts_done(const rn_texts *t);
uint64_t rn_texts_total(const rn_texts *t);

#ifdef __cplusplus
}
#endif
#endif

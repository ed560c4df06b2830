/*
 * JSONL: one JSON object a line, whose "text" is a document. Plain or zstd-compressed.
 * Lines of white space are passed over; other keys of an object are not looked at.
 */
#ifndef RN_FORMATS_JSONL_H
#define RN_FORMATS_JSONL_H

#include "formats/input.h"

#define RN_JSONL_LINE ((size_t)64 << 20) /* bytes that a line may have */

/* Whether a file is JSONL by its name: .jsonl or .ndjson, and .zst behind that. */
bool rn_jsonl_is(const char *path);

typedef struct rn_jsonl rn_jsonl;
rn_status rn_jsonl_open(rn_jsonl **out, const char *path, rn_error *err);
void rn_jsonl_close(rn_jsonl *j); /* NULL is allowed */

/* The next document, in UTF-8 and possibly with zeros in it, valid until the next call;
   *text NULL: the end. RN_EFORMAT, with file and line, for one that is too long, no JSON
   object, or without a string "text". */
rn_status rn_jsonl_next(rn_jsonl *j, const char **text, size_t *length, rn_error *err);

/* Bytes of the file that have been read. */
uint64_t rn_jsonl_consumed(const rn_jsonl *j);

#endif

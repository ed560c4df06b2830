/* Token files, which are read through a memory map, and how text becomes one. */
#ifndef RETNET_DATA_H
#define RETNET_DATA_H

#include "retnet/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A sequence of token ids, read in place from a mapped file. */
typedef struct rn_tokens rn_tokens;

/**
 * Opens a token file: llm.c's layout by its header (magic 20240520 version 1: u16; magic
 * 20240801 version 7: u32), else nanoGPT's (headerless u16) when the name ends in .bin.
 */
rn_status rn_tokens_open(rn_tokens **out, const char *path, rn_error *err);

/**
 * Text files and folders (read in order of path, sub-folders too; hidden files and what
 * is not a regular file are left out) encoded into one token file at `out_path`, which is
 * then opened. u16 ids without a header when the vocabulary fits, else llm.c's u32
 * layout. Token files among the paths are appended as they are. `leave_out`: a folder
 * that is not read where it lies in one of the paths, or NULL.
 */
rn_status rn_tokens_build(rn_tokens **out, const char *out_path, const char *const *paths,
                          size_t count, const char *leave_out, const rn_tokenizer *t,
                          rn_error *err);

/** A view of tokens [begin, begin + count) of `of`, which must outlive it. */
rn_status rn_tokens_slice(rn_tokens **out, const rn_tokens *of, uint64_t begin,
                          uint64_t count, rn_error *err);
void rn_tokens_free(rn_tokens *t);

uint64_t rn_tokens_count(const rn_tokens *t);

/** Copies ids [at, at + count) to out. The range must lie inside. */
void rn_tokens_read(const rn_tokens *t, uint64_t at, size_t count, int32_t *out);

/** Bytes of text behind the tokens, or 0 when unknown; with the byte tokenizer their
 * count. */
uint64_t rn_tokens_text_bytes(const rn_tokens *t);

/** RN_EFORMAT, naming file, index and id, when a token is not below `vocab`. */
rn_status rn_tokens_check(const rn_tokens *t, size_t vocab, rn_error *err);

/** A hash over all tokens, to notice that a resumed run's data have changed. */
uint64_t rn_tokens_hash(const rn_tokens *t);

/**
 * A token file under construction, for ids below `vocab`: u16 without a header when they
 * fit (the name must end in .bin), else llm.c's u32 layout. It takes its name when it is
 * closed with `keep`, and is gone without; closing frees it in every case.
 */
typedef struct rn_tokens_writer rn_tokens_writer;
rn_status rn_tokens_create(rn_tokens_writer **out, const char *path, size_t vocab,
                           rn_error *err);
rn_status rn_tokens_append(rn_tokens_writer *w, const int32_t *ids, size_t count,
                           rn_error *err);
rn_status rn_tokens_close(rn_tokens_writer *w, bool keep, rn_error *err);

#ifdef __cplusplus
}
#endif
#endif

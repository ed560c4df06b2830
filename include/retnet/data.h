/* Token files, which are read by position, their documents, and how text becomes one. */
#ifndef RETNET_DATA_H
#define RETNET_DATA_H

#include "retnet/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A sequence of token ids, read from files as it is needed. */
typedef struct rn_tokens rn_tokens;

/**
 * Opens a token file: Megatron's layout when NAME.idx lies beside NAME.bin; llm.c's by
 * its header (magic 20240520 version 1: u16; magic 20240801 version 7: u32); else
 * nanoGPT's (headerless u16) when the name ends in .bin.
 */
rn_status rn_tokens_open(rn_tokens **out, const char *path, rn_error *err);

/** Token files and folders of them (as rn_tokens_build reads folders) as one sequence,
    read in place. RN_EUNSUPPORTED when one of the files is no token file. */
rn_status rn_tokens_open_all(rn_tokens **out, const char *const *paths, size_t count,
                             const char *leave_out, rn_error *err);

/** Whether a path is a token file by its name or header, or a folder with nothing else in
    it, `leave_out` (or NULL) aside. */
bool rn_tokens_is(const char *path, const char *leave_out);

/**
 * Text files, JSONL files (.jsonl, .ndjson: the string "text" of each line's object),
 * both plain or compressed with zstd (.zst), and folders (read in order of path,
 * sub-folders too; hidden files and what is not a regular file are left out), encoded
 * into one token file at `out_path` (which ends in .bin), with Megatron's index beside
 * it; it is then opened. A file, or a line of JSONL, is a document, and ends in the
 * tokenizer's end id if it has one. u16 ids when the vocabulary fits, else i32. Token
 * files among the paths are appended as they are. `leave_out`: a folder that is not read
 * where it lies in one of the paths, or NULL.
 */
rn_status rn_tokens_build(rn_tokens **out, const char *out_path, const char *const *paths,
                          size_t count, const char *leave_out, const rn_tokenizer *t,
                          rn_error *err);

/** How the documents of a token file are told apart. Every file begins one. */
typedef enum rn_document_rule {
    RN_DOCUMENTS_NONE = 0, /**< not at all, not even at the borders of files */
    RN_DOCUMENTS_FILE = 1, /**< as the file says: by its index; in llm.c's u16 layout id
                                50256 begins each document; others are one document */
    RN_DOCUMENTS_END = 2,  /**< an id ends each document and is part of it */
    RN_DOCUMENTS_BEGIN = 3 /**< an id begins each document */
} rn_document_rule;

/** The same with more to say. Zeroed fields are the defaults. */
typedef struct rn_build_options {
    const rn_tokenizer *tokenizer;
    const char *leave_out;
    int threads; /**< that encode, document by document; 0: as many as processors */
    rn_document_rule token_rule; /**< for token files among the paths; NONE: FILE, and END
                                      with the tokenizer's end id where a file does not
                                    say itself */
    int32_t token_id;
    /** Called now and then with the bytes of the files (compressed ones as they are) that
        are read, and of all; *stop ends the work with RN_EINTERRUPTED. May be NULL. */
    void (*progress)(void *user, uint64_t done, uint64_t total, bool *stop);
    void *user;
} rn_build_options;
rn_status rn_tokens_build_with(rn_tokens **out, const char *out_path,
                               const char *const *paths, size_t count,
                               const rn_build_options *options, rn_error *err);

/** A view of tokens [begin, begin + count) of `of`, which must outlive it. */
rn_status rn_tokens_slice(rn_tokens **out, const rn_tokens *of, uint64_t begin,
                          uint64_t count, rn_error *err);

/** A view of several sequences, one after the other; they must outlive it. */
rn_status rn_tokens_join(rn_tokens **out, const rn_tokens *const *list, size_t count,
                         rn_error *err);
void rn_tokens_free(rn_tokens *t);

uint64_t rn_tokens_count(const rn_tokens *t);

/** Copies ids [at, at + count), which must lie inside, to out. RN_EFORMAT when a file has
    been cut off since it was opened, or an id is negative or above 2^31 - 1. */
rn_status rn_tokens_read(const rn_tokens *t, uint64_t at, size_t count, int32_t *out,
                         rn_error *err);

/** The same, with starts[i] != 0 where token at + i begins a document; starts[0] = 1. */
rn_status rn_tokens_read_documents(const rn_tokens *t, uint64_t at, size_t count,
                                   int32_t *out, uint8_t *starts, rn_error *err);

/** Sets the rule for all files of a sequence, before it is read; FILE is the default.
   `id` is for END and BEGIN. A view keeps the rule with which it was made. */
void rn_tokens_set_documents(rn_tokens *t, rn_document_rule rule, int32_t id);

/** Sets the rule END for those files alone that do not say themselves. */
void rn_tokens_set_end(rn_tokens *t, int32_t id);

/** 0 when the sequence is known to be one document, else a hash over where documents
    begin or by which rule. */
uint64_t rn_tokens_documents(const rn_tokens *t);

/** Bytes of text behind the tokens, or 0 when unknown; with the byte tokenizer their
 * count. */
uint64_t rn_tokens_text_bytes(const rn_tokens *t);

/** Makes them known where they are not, by decoding all tokens. */
rn_status rn_tokens_count_text(rn_tokens *t, const rn_tokenizer *tokenizer,
                               rn_error *err);

/** RN_EFORMAT, naming file, index and id, when a token is not below `vocab`. */
rn_status rn_tokens_check(const rn_tokens *t, size_t vocab, rn_error *err);

/** *hash over all tokens, to notice that a resumed run's data have changed. */
rn_status rn_tokens_hash(const rn_tokens *t, uint64_t *hash, rn_error *err);

/**
 * A token file under construction, for ids below `vocab`: u16 without a header when they
 * fit (the name must end in .bin), else llm.c's u32 layout. It takes its name when it is
 * closed with `keep`, and is gone without; closing frees it in every case. RN_EEXIST when
 * an index, which is another file's, lies where that of the new file would.
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

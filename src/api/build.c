/*
 * Building a token file: files are read as streams, cut into documents, encoded by
 * several threads and written in order. Memory is that of a batch of documents; of one
 * that is longer than PIECE only a piece at a time is in it, cut at an end of a line.
 */
#define _POSIX_C_SOURCE 200809L
#include "api/tokens.h"
#include "core/arena.h"
#include "core/file.h"
#include "formats/jsonl.h"
#include "formats/megatron.h"
#include "formats/text.h"
#include "tokenizer/tokenizer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE      ((size_t)32 << 20) /* bytes of text encoded in one call, at most */
#define BYTE_PIECE ((size_t)1 << 20)  /* where any cut will do */
#define BATCH      ((size_t)8 << 20) /* bytes of text that are worth a round of threads */
#define READ       ((size_t)1 << 18) /* bytes of text read at once */
#define BLOCK      ((size_t)4096)    /* ids of token files handled at once */
enum { PIECES = 2048 };              /* of a batch, at most */

/* A part of the batch's text, and what became of it. */
typedef struct piece {
    const char *path;
    size_t begin, end;
    bool ends_document;
    int32_t *ids;
    size_t count;
} piece;

typedef struct build {
    const rn_build_options *o;
    const rn_tokenizer *tokenizer;
    size_t piece_limit;
    int32_t end_id; /* negative: none */
    rn_shard_writer *writer;

    char *text; /* of the batch; the piece being filled begins at `begin` */
    size_t begin, used, room;
    piece *pieces;
    size_t piece_count;
    char *chunk;

    uint64_t *lengths; /* tokens of each document */
    size_t documents, documents_room;
    uint64_t document; /* tokens of the one being written */

    uint64_t tokens, text_bytes;
    bool all_text;              /* no token file was appended */
    uint64_t done, total, file; /* bytes of files: before this one, of all, of this one */
    const char *path;           /* the file being read */
} build;

/* ---- output ---- */

static rn_status put_ids(build *b, const int32_t *ids, size_t count, rn_error *err)
{
    b->tokens += count;
    b->document += count;
    return rn_shard_writer_put(b->writer, ids, count, err);
}

/* Documents without tokens are left out. */
static rn_status close_document(build *b, rn_error *err)
{
    if (b->document == 0) return RN_OK;
    if (b->documents == b->documents_room) {
        size_t room = b->documents_room ? 2 * b->documents_room : 1024, bytes;
        uint64_t *grown =
            rn_mul_size(&bytes, room, sizeof *grown) ? realloc(b->lengths, bytes) : NULL;
        if (!grown) return rn_fail_memory(err, "a table of documents", room);
        b->lengths = grown;
        b->documents_room = room;
    }
    b->lengths[b->documents++] = b->document;
    b->document = 0;
    return RN_OK;
}

static rn_status report(build *b, uint64_t consumed, rn_error *err)
{
    bool stop = false;
    if (b->o->progress) b->o->progress(b->o->user, b->done + consumed, b->total, &stop);
    if (!stop) return RN_OK;
    return rn_fail(err, RN_EINTERRUPTED, "%s: stopped while it was read", b->path);
}

/* ---- batches ---- */

static rn_status encode_pieces(build *b, rn_error *err)
{
    rn_status failure = RN_OK;
    long failed = INT32_MAX, count = (long)b->piece_count;
    int threads = b->o->threads > 0 ? b->o->threads : omp_get_max_threads();
    if (count < threads) threads = (int)count;
#pragma omp parallel for schedule(dynamic) num_threads(threads > 0 ? threads : 1)
    for (long i = 0; i < count; i++) {
        piece *p = &b->pieces[i];
        rn_error e;
        rn_status st = rn_tokenizer_encode(b->tokenizer, b->text + p->begin,
                                           p->end - p->begin, 0, &p->ids, &p->count, &e);
        if (!st) continue;
        p->ids = NULL;
#pragma omp critical(rn_build_failure)
        if (i < failed) {
            failed = i;
            failure = rn_fail(err, st, "%s: %.900s", p->path, e.message);
        }
    }
    return failure;
}

static rn_status write_piece(build *b, const piece *p, rn_error *err)
{
    rn_status st = put_ids(b, p->ids, p->count, err);
    if (st || !p->ends_document) return st;
    if (b->end_id >= 0 && b->document > 0) st = put_ids(b, &b->end_id, 1, err);
    return st ? st : close_document(b, err);
}

/* Writes the finished pieces; the text of the one being filled moves to the front. */
static rn_status flush(build *b, rn_error *err)
{
    rn_status st = encode_pieces(b, err);
    for (size_t i = 0; i < b->piece_count; i++) {
        if (!st) st = write_piece(b, &b->pieces[i], err);
        free(b->pieces[i].ids);
    }
    b->piece_count = 0;
    memmove(b->text, b->text + b->begin, b->used - b->begin);
    b->used -= b->begin;
    b->begin = 0;
    return st;
}

static rn_status close_piece(build *b, size_t end, bool ends_document, rn_error *err)
{
    b->pieces[b->piece_count++] = (piece){
        .path = b->path, .begin = b->begin, .end = end, .ends_document = ends_document};
    b->begin = end;
    return b->piece_count == PIECES || b->begin >= BATCH ? flush(b, err) : RN_OK;
}

/* Where a piece that is too long is cut: behind its last line, else between two
   characters of UTF-8, else anywhere. */
static size_t cut_of(const build *b)
{
    size_t most = b->begin + b->piece_limit, end = most;
    if (b->tokenizer->kind->bytewise) return most;
    while (end > b->begin && b->text[end - 1] != '\n') end--;
    if (end > b->begin) return end;
    for (end = most; most - end < 4; end--)
        if (((unsigned char)b->text[end] & 0xc0) != 0x80) return end;
    return most;
}

static rn_status make_room(build *b, size_t count, rn_error *err)
{
    size_t wanted, room = b->room ? b->room : READ;
    if (!rn_add_size(&wanted, b->used, count)) wanted = SIZE_MAX;
    while (room < wanted && room < SIZE_MAX / 2) room *= 2;
    if (room <= b->room) return RN_OK;
    char *grown = wanted <= room ? realloc(b->text, room) : NULL;
    if (!grown) return rn_fail_memory(err, b->path, wanted);
    b->text = grown;
    b->room = room;
    return RN_OK;
}

static rn_status add_text(build *b, const char *text, size_t count, rn_error *err)
{
    rn_status st = make_room(b, count, err);
    if (st) return st;
    if (count) memcpy(b->text + b->used, text, count);
    b->used += count;
    b->text_bytes += count;
    while (!st && b->used - b->begin > b->piece_limit)
        st = close_piece(b, cut_of(b), false, err);
    return st;
}

/* A document without text leaves nothing. */
static rn_status end_text(build *b, rn_error *err)
{
    return b->used > b->begin ? close_piece(b, b->used, true, err) : RN_OK;
}

/* ---- files ---- */

static rn_status append_text(build *b, rn_error *err)
{
    rn_input *in;
    size_t got = 1;
    rn_status st = rn_input_open(&in, b->path, err);
    if (st) return st;
    while (!st && got > 0) {
        st = rn_input_read(in, b->chunk, READ, &got, err);
        if (!st) st = add_text(b, b->chunk, got, err);
        if (!st) st = report(b, rn_input_consumed(in), err);
    }
    rn_input_close(in);
    return st ? st : end_text(b, err);
}

static rn_status append_jsonl(build *b, rn_error *err)
{
    rn_jsonl *records;
    const char *text = "";
    size_t length;
    rn_status st = rn_jsonl_open(&records, b->path, err);
    if (st) return st;
    while (!st) {
        st = rn_jsonl_next(records, &text, &length, err);
        if (st || !text) break;
        st = add_text(b, text, length, err);
        if (!st) st = end_text(b, err);
        if (!st) st = report(b, rn_jsonl_consumed(records), err);
    }
    rn_jsonl_close(records);
    return st;
}

static rn_status append_block(build *b, const int32_t *ids, const uint8_t *starts,
                              size_t count, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t from = 0, to; !st && from < count; from = to) {
        for (to = from + 1; to < count && !starts[to];) to++;
        if (starts[from]) st = close_document(b, err);
        if (!st) st = put_ids(b, ids + from, to - from, err);
    }
    return st;
}

/* Blocks overlap by a token, so that each block but the first sees whether its first
   token begins a document. */
static rn_status append_tokens(build *b, rn_error *err)
{
    rn_tokens *t;
    int32_t ids[BLOCK + 1];
    uint8_t starts[BLOCK + 1];
    rn_status st = flush(b, err);
    if (!st) st = rn_tokens_open(&t, b->path, err);
    if (st) return st;
    if (b->o->token_rule) rn_tokens_set_documents(t, b->o->token_rule, b->o->token_id);
    else if (b->end_id >= 0) rn_tokens_set_end(t, b->end_id);
    st = rn_tokens_check(t, rn_tokenizer_vocab(b->tokenizer), err);
    uint64_t count = rn_tokens_count(t);
    for (uint64_t at = 0; !st && at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? (size_t)(count - at) : BLOCK, before = at > 0;
        st = rn_tokens_read_documents(t, at - before, n + before, ids, starts, err);
        if (!st) st = append_block(b, ids + before, starts + before, n, err);
        if (!st)
            st = report(b, (uint64_t)((double)b->file * (double)at / (double)count), err);
    }
    rn_tokens_free(t);
    b->all_text = false;
    return st ? st : close_document(b, err);
}

static rn_status append_file(build *b, const char *path, rn_error *err)
{
    b->path = path;
    if (rn_shard_is(path)) return append_tokens(b, err);
    if (rn_input_is_compressed(path) && rn_input_ends_in(path, ".bin"))
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: a compressed token file; decompress it first", path);
    return rn_jsonl_is(path) ? append_jsonl(b, err) : append_text(b, err);
}

static uint64_t size_of(const char *path)
{
    int fd;
    uint64_t size = 0;
    if (!rn_file_open(&fd, &size, path, NULL)) rn_file_close(fd);
    return size;
}

static rn_status append_files(build *b, const rn_paths *files, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; i < files->count; i++) b->total += size_of(files->path[i]);
    for (size_t i = 0; !st && i < files->count; i++) {
        b->file = size_of(files->path[i]);
        st = append_file(b, files->path[i], err);
        b->done += b->file;
    }
    if (!st) st = flush(b, err);
    if (!st && b->tokens == 0)
        st = rn_fail(err, RN_EFORMAT, "%s: no text in it, nor in the %zu files after it",
                     files->path[0], files->count - 1);
    return st;
}

/* ---- the whole ---- */

/* A second name for an index that is there, to be put back: *kept, freed with free; NULL
   when there is none. */
static rn_status keep_index(const char *index, char **kept, rn_error *err)
{
    *kept = NULL;
    if (!rn_path_exists(index)) return RN_OK;
    size_t bytes = strlen(index) + 32;
    char *name = malloc(bytes);
    if (!name) return rn_fail_memory(err, index, bytes);
    snprintf(name, bytes, "%s.tmp-%ld", index, (long)getpid());
    unlink(name);
    rn_status st = RN_OK;
    if (linkat(AT_FDCWD, index, AT_FDCWD, name, AT_SYMLINK_FOLLOW))
        st = rn_copy_file(index, name, err); /* a file system without links */
    if (st) free(name);
    else *kept = name;
    return st;
}

/* The index first: a .bin file that is new never has an old one. When it fails the old
   pair is there as before. */
static rn_status commit_pair(build *b, const char *index, size_t width, rn_error *err)
{
    char *kept;
    rn_status st = keep_index(index, &kept, err);
    if (st) return st;
    st = rn_megatron_write(index, b->lengths, b->documents, width, err);
    if (!st) {
        st = rn_shard_writer_commit(b->writer, err);
        b->writer = NULL;
        if (st && !kept) unlink(index);
        if (st && kept) rename(kept, index);
    }
    if (kept) unlink(kept);
    free(kept);
    return st;
}

static rn_status commit(build *b, const char *out_path, size_t width, rn_error *err)
{
    char *index = rn_shard_index_path(out_path);
    if (!index) return rn_fail_memory(err, out_path, strlen(out_path));
    rn_status st = commit_pair(b, index, width, err);
    free(index);
    return st;
}

static rn_status write_tokens(build *b, const char *out_path, const rn_paths *files,
                              rn_error *err)
{
    size_t width = rn_tokenizer_vocab(b->tokenizer) > (size_t)UINT16_MAX + 1 ? 4 : 2;
    rn_status st = rn_shard_writer_open_plain(&b->writer, out_path, width, err);
    b->pieces = malloc(PIECES * sizeof *b->pieces);
    b->chunk = malloc(READ);
    if (!st && (!b->pieces || !b->chunk)) st = rn_fail_memory(err, out_path, READ);
    if (!st) st = make_room(b, READ, err);
    if (!st) st = append_files(b, files, err);
    if (!st) st = commit(b, out_path, width, err);
    rn_shard_writer_abandon(b->writer);
    free(b->pieces);
    free(b->chunk);
    free(b->text);
    free(b->lengths);
    return st;
}

rn_status rn_tokens_build_with(rn_tokens **out, const char *out_path,
                               const char *const *paths, size_t count,
                               const rn_build_options *options, rn_error *err)
{
    const rn_tokenizer *t = options->tokenizer;
    const char *const except[2] = {out_path, options->leave_out};
    build b = {.o = options,
               .tokenizer = t,
               .piece_limit = t->kind->bytewise ? BYTE_PIECE : PIECE,
               .end_id = rn_tokenizer_end_id(t),
               .all_text = true,
               .path = out_path};
    rn_paths files;
    rn_tokens *made;
    rn_status st = rn_text_collect(&files, paths, count, except, err);
    if (st) return st;
    st = write_tokens(&b, out_path, &files, err);
    rn_paths_free(&files);
    if (!st) st = rn_tokens_open(&made, out_path, err);
    if (st) return st;
    made->bytewise = b.all_text && t->kind->bytewise;
    made->text_bytes = b.all_text ? b.text_bytes : 0;
    *out = made;
    return RN_OK;
}

rn_status rn_tokens_build(rn_tokens **out, const char *out_path, const char *const *paths,
                          size_t count, const char *leave_out, const rn_tokenizer *t,
                          rn_error *err)
{
    rn_build_options options = {.tokenizer = t, .leave_out = leave_out};
    return rn_tokens_build_with(out, out_path, paths, count, &options, err);
}

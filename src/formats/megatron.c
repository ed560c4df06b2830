/* Reading and writing Megatron's index. Everything that it says is checked, since a wrong
   place would be read as text. */
#include "formats/megatron.h"

#include "core/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char magic[9] = "MMIDIDX\0";
enum { VERSION = 1, HEADER = sizeof magic + 8 + 1 + 8 + 8 };

/* Number types by their code; width 0: not whole numbers, or no such code. */
typedef struct number_type {
    size_t width;
    bool negative;
} number_type;

static const number_type types[] = {
    [1] = {1, false}, [2] = {1, true}, [3] = {2, true},
    [4] = {4, true},  [5] = {8, true}, [8] = {2, false},
};
enum { TYPES = sizeof types / sizeof types[0], TYPE_I32 = 4, TYPE_U16 = 8 };

static uint64_t load(const unsigned char *p, size_t width)
{
    uint64_t x = 0;
    for (size_t i = 0; i < width; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

/* The three arrays inside the bytes. */
typedef struct view {
    const char *path;
    uint64_t sequences, entries; /* entries of the documents' array */
    const unsigned char *lengths, *places, *documents;
} view;

static rn_status parse_header(rn_megatron *out, view *v, const unsigned char *bytes,
                              size_t size, rn_error *err)
{
    if (size < HEADER)
        return rn_fail(err, RN_EFORMAT,
                       "%s: %zu bytes, cut off inside the header of %d of an index",
                       v->path, size, HEADER);
    if (memcmp(bytes, magic, sizeof magic))
        return rn_fail(err, RN_EFORMAT,
                       "%s: not an index of Megatron's: no magic MMIDIDX", v->path);
    const unsigned char *p = bytes + sizeof magic;
    uint64_t version = load(p, 8);
    if (version != VERSION)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: version %" PRIu64 " of an index, version %d is read", v->path,
                       version, VERSION);
    size_t type = p[8];
    if (type >= TYPES || !types[type].width)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: tokens of type code %zu, whole numbers have 1 to 5 and 8",
                       v->path, type);
    out->width = types[type].width;
    out->negative = types[type].negative;
    v->sequences = load(p + 9, 8);
    v->entries = load(p + 17, 8);
    return RN_OK;
}

static rn_status find_arrays(view *v, const unsigned char *bytes, size_t size,
                             rn_error *err)
{
    uint64_t room = size - HEADER;
    if (v->sequences > room / 12 || v->entries > (room - 12 * v->sequences) / 8 ||
        12 * v->sequences + 8 * v->entries != room)
        return rn_fail(err, RN_EFORMAT,
                       "%s: counts %" PRIu64 " sequences and %" PRIu64
                       " documents' places, for which %" PRIu64
                       " bytes after the header are not the size",
                       v->path, v->sequences, v->entries, room);
    if (v->entries == 0)
        return rn_fail(err, RN_EFORMAT, "%s: counts no documents' places", v->path);
    v->lengths = bytes + HEADER;
    v->places = v->lengths + 4 * v->sequences;
    v->documents = v->places + 8 * v->sequences;
    return RN_OK;
}

/* Sequence i begins where the one before ends. *tokens: tokens before, then after it. */
static rn_status check_sequence(const view *v, uint64_t i, size_t width,
                                uint64_t bin_size, uint64_t *tokens, rn_error *err)
{
    uint64_t length = load(v->lengths + 4 * i, 4), place = load(v->places + 8 * i, 8);
    if (length > INT32_MAX)
        return rn_fail(err, RN_EFORMAT, "%s: sequence %" PRIu64 " has %" PRId64 " tokens",
                       v->path, i, (int64_t)(int32_t)length);
    if (place > bin_size || length > (bin_size - place) / width)
        return rn_fail(err, RN_EFORMAT,
                       "%s: sequence %" PRIu64 ", %" PRIu64 " tokens from byte %" PRId64
                       " on, is not inside the %" PRIu64 " bytes of its .bin file",
                       v->path, i, length, (int64_t)place, bin_size);
    if (place != *tokens * width)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: sequence %" PRIu64 " begins at byte %" PRIu64
                       ", not behind the one before it, at %" PRIu64,
                       v->path, i, place, *tokens * width);
    *tokens += length;
    return RN_OK;
}

/* One pass over sequences and documents together. */
static rn_status find_starts(rn_megatron *out, const view *v, uint64_t bin_size,
                             rn_error *err)
{
    uint64_t tokens = 0, sequence = 0;
    rn_status st = RN_OK;
    for (uint64_t d = 0; d < v->entries; d++) {
        uint64_t first = load(v->documents + 8 * d, 8);
        bool end = d + 1 == v->entries;
        if (first < sequence || first > v->sequences || (d == 0 && first != 0) ||
            (end && first != v->sequences))
            return rn_fail(err, RN_EFORMAT,
                           "%s: document %" PRIu64 " begins with sequence %" PRId64
                           ", after %" PRIu64 " and of %" PRIu64,
                           v->path, d, (int64_t)first, sequence, v->sequences);
        for (; !st && sequence < first; sequence++)
            st = check_sequence(v, sequence, out->width, bin_size, &tokens, err);
        if (st) return st;
        bool empty = out->start_count && out->starts[out->start_count - 1] == tokens;
        if (!end && !empty) out->starts[out->start_count++] = tokens;
    }
    /* Documents without tokens at the end leave a start behind the last token. */
    if (out->start_count && out->starts[out->start_count - 1] == tokens)
        out->start_count--;
    out->tokens = tokens;
    return RN_OK;
}

static rn_status check_total(const rn_megatron *m, uint64_t bin_size, const char *path,
                             rn_error *err)
{
    if (m->tokens == 0) return rn_fail(err, RN_EFORMAT, "%s: holds no tokens", path);
    if (m->tokens * m->width != bin_size)
        return rn_fail(err, RN_EFORMAT,
                       "%s: %" PRIu64 " tokens of %zu bytes, its .bin file has %" PRIu64
                       " bytes",
                       path, m->tokens, m->width, bin_size);
    return RN_OK;
}

rn_status rn_megatron_parse(rn_megatron *out, const unsigned char *bytes, size_t size,
                            uint64_t bin_size, const char *path, rn_error *err)
{
    rn_megatron m = {0};
    view v = {.path = path};
    rn_status st = parse_header(&m, &v, bytes, size, err);
    if (!st) st = find_arrays(&v, bytes, size, err);
    if (st) return st;
    /* entries is below size / 8. */
    m.starts = malloc(((size_t)v.entries + 1) * sizeof *m.starts);
    if (!m.starts) return rn_fail_memory(err, path, (size_t)v.entries * sizeof *m.starts);
    st = find_starts(&m, &v, bin_size, err);
    if (!st) st = check_total(&m, bin_size, path, err);
    if (st) free(m.starts);
    else *out = m;
    return st;
}

/* ---- writing ---- */

static void store(unsigned char *p, uint64_t x, size_t width)
{
    for (size_t i = 0; i < width; i++) p[i] = (unsigned char)(x >> 8 * i);
}

static uint64_t parts_of(uint64_t length)
{
    return (length + INT32_MAX - 1) / INT32_MAX;
}

static rn_status put(rn_writer *w, uint64_t x, size_t width, rn_error *err)
{
    unsigned char bytes[8];
    store(bytes, x, width);
    return rn_writer_put(w, bytes, width, err);
}

static rn_status put_header(rn_writer *w, uint64_t sequences, uint64_t documents,
                            size_t width, rn_error *err)
{
    unsigned char head[HEADER], *p = head + sizeof magic;
    memcpy(head, magic, sizeof magic);
    store(p, VERSION, 8);
    p[8] = width == 2 ? TYPE_U16 : TYPE_I32;
    store(p + 9, sequences, 8);
    store(p + 17, documents + 1, 8);
    return rn_writer_put(w, head, sizeof head, err);
}

/* Lengths of the sequences, or their first bytes. */
static rn_status put_sequences(rn_writer *w, const uint64_t *lengths, size_t count,
                               size_t width, bool places, rn_error *err)
{
    uint64_t at = 0;
    rn_status st = RN_OK;
    for (size_t d = 0; d < count; d++) {
        for (uint64_t left = lengths[d]; !st && left > 0;) {
            uint64_t n = left < INT32_MAX ? left : INT32_MAX;
            st = places ? put(w, at * width, 8, err) : put(w, n, 4, err);
            at += n;
            left -= n;
        }
    }
    return st;
}

static rn_status put_documents(rn_writer *w, const uint64_t *lengths, size_t count,
                               rn_error *err)
{
    uint64_t sequence = 0;
    rn_status st = put(w, 0, 8, err);
    for (size_t d = 0; !st && d < count; d++) {
        sequence += parts_of(lengths[d]);
        st = put(w, sequence, 8, err);
    }
    return st;
}

rn_status rn_megatron_write(const char *path, const uint64_t *lengths, size_t count,
                            size_t width, rn_error *err)
{
    rn_writer *w;
    uint64_t sequences = 0;
    for (size_t d = 0; d < count; d++) sequences += parts_of(lengths[d]);
    rn_status st = rn_writer_open(&w, path, err);
    if (st) return st;
    st = put_header(w, sequences, count, width, err);
    if (!st) st = put_sequences(w, lengths, count, width, false, err);
    if (!st) st = put_sequences(w, lengths, count, width, true, err);
    if (!st) st = put_documents(w, lengths, count, err);
    if (!st) return rn_writer_commit(w, err);
    rn_writer_abandon(w);
    return st;
}

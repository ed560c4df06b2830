/* Vocabularies; see vocab.h. Contents lie one behind the other in one text; the hash
   table probes linearly. */
#include "tokenizer/vocab.h"

#include "core/arena.h"

#include <stdlib.h>

static rn_status add_char_page(rn_vocab *v, rn_error *err)
{
    void *grown = realloc(v->char_ids, (v->char_pages + 1) * sizeof *v->char_ids);
    if (!grown)
        return rn_fail_memory(err, "a vocabulary",
                              (v->char_pages + 1) * sizeof *v->char_ids);
    v->char_ids = grown;
    for (size_t i = 0; i < 256; i++) v->char_ids[v->char_pages][i] = -1;
    v->char_pages++;
    return RN_OK;
}

rn_status rn_vocab_make(rn_vocab *out, size_t count, size_t tokens, rn_error *err)
{
    rn_vocab v = {.count = count, .slot_count = 64};
    if (count > RN_VOCAB_MAX || tokens > RN_VOCAB_MAX)
        return rn_fail(err, RN_EFORMAT, "%zu ids, at most %zu are read",
                       count > tokens ? count : tokens, RN_VOCAB_MAX);
    while (v.slot_count < 2 * tokens) v.slot_count *= 2;
    v.entries = calloc(count ? count : 1, sizeof *v.entries);
    v.slots = calloc(v.slot_count, sizeof *v.slots);
    rn_status st = v.entries && v.slots ? add_char_page(&v, err)
                                        : rn_fail_memory(err, "a vocabulary", count);
    if (st) {
        rn_vocab_free(&v);
        return st;
    }
    *out = v;
    return RN_OK;
}

void rn_vocab_free(rn_vocab *v)
{
    rn_bytes_free(&v->text);
    free(v->entries);
    free(v->slots);
    free(v->char_ids);
    v->entries = NULL;
    v->slots = NULL;
    v->char_ids = NULL;
}

/* The slot of a content: its own or the free one where it belongs. */
static size_t find_slot(const rn_vocab *v, const void *content, size_t length)
{
    const size_t mask = v->slot_count - 1;
    size_t slot = rn_hash(content, length) & mask;
    for (; v->slots[slot]; slot = (slot + 1) & mask) {
        const rn_vocab_entry *e = &v->entries[v->slots[slot] - 1];
        if (e->length == length &&
            (!length || !memcmp(v->text.data + e->at, content, length)))
            break;
    }
    return slot;
}

static rn_status note_char(rn_vocab *v, size_t id, const void *content, size_t length,
                           rn_error *err)
{
    uint32_t c;
    if (!length || length > 4 || rn_utf8_next(content, length, &c) != length ||
        c >= RN_BAD_BYTE)
        return RN_OK;
    if (!v->char_page[c >> 8]) {
        rn_status st = add_char_page(v, err);
        if (st) return st;
        v->char_page[c >> 8] = (uint16_t)(v->char_pages - 1);
    }
    v->char_ids[v->char_page[c >> 8]][c & 0xFFu] = (int32_t)id;
    return RN_OK;
}

rn_status rn_vocab_add(rn_vocab *v, size_t id, const void *content, size_t length,
                       bool added, rn_error *err)
{
    size_t slot = find_slot(v, content, length);
    if (v->slots[slot])
        return rn_fail(err, RN_EFORMAT, "ids %u and %zu have the same content",
                       (unsigned)v->slots[slot] - 1, id);
    if (v->entries[id].present)
        return rn_fail(err, RN_EFORMAT, "two tokens have the id %zu", id);
    if (length > UINT32_MAX - v->text.used)
        return rn_fail(err, RN_EFORMAT, "the tokens are longer than 4 GiB together");
    size_t at = v->text.used;
    rn_status st = rn_bytes_put(&v->text, content, length, err);
    if (!st && !added) st = note_char(v, id, content, length, err);
    if (st) return st;
    v->entries[id] = (rn_vocab_entry){
        .at = (uint32_t)at, .length = (uint32_t)length, .present = true, .added = added};
    v->slots[slot] = (uint32_t)(id + 1);
    v->tokens++;
    return RN_OK;
}

int32_t rn_vocab_find(const rn_vocab *v, const void *content, size_t length)
{
    return (int32_t)v->slots[find_slot(v, content, length)] - 1;
}

bool rn_vocab_token(const rn_vocab *v, int64_t id, rn_token *out)
{
    if (id < 0 || (uint64_t)id >= v->count || !v->entries[id].present) return false;
    const rn_vocab_entry *e = &v->entries[id];
    *out = (rn_token){.content =
                          v->text.data ? v->text.data + e->at : (const unsigned char *)"",
                      .length = e->length,
                      .special = e->special};
    return true;
}

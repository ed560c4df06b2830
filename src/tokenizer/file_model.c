/* The model of a tokenizer.json: vocabulary, merges and what becomes of the unknown. */
#include "tokenizer/fields.h"
#include "tokenizer/file.h"

#include <stdlib.h>

/* An id may be this far beyond the number of tokens. */
#define GAPS ((size_t)65536)

/* One more than the largest id of the vocabulary and of added_tokens. */
static rn_status count_ids(const json_t *vocab, const json_t *added, size_t *count,
                           const char *path, rn_error *err)
{
    const size_t tokens = json_object_size(vocab) + json_array_size(added);
    json_int_t most = -1;
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach((json_t *)vocab, key, value)
    {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return rn_fail(err, RN_EFORMAT, "%s: model.vocab: '%.60s' has no id", path,
                           key);
        if (json_integer_value(value) > most) most = json_integer_value(value);
    }
    json_array_foreach(added, i, value)
    {
        const json_t *id = json_object_get(value, "id");
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return rn_fail(err, RN_EFORMAT, "%s: added_tokens: entry %zu has no id", path,
                           i);
        if (json_integer_value(id) > most) most = json_integer_value(id);
    }
    if (most >= (json_int_t)(2 * tokens + GAPS))
        return rn_fail(err, RN_EFORMAT, "%s: id %lld, but there are only %zu tokens",
                       path, (long long)most, tokens);
    *count = (size_t)(most + 1);
    return RN_OK;
}

static rn_status read_vocab(rn_bpe *b, const json_t *json, const json_t *added,
                            const char *path, rn_error *err)
{
    const json_t *vocab = json_object_get(json, "vocab");
    const char *key;
    json_t *value;
    size_t count = 0;
    if (!json_is_object(vocab))
        return rn_fail(err, RN_EFORMAT, "%s: model.vocab is missing or not an object",
                       path);
    rn_status st = count_ids(vocab, added, &count, path, err);
    if (st) return st;
    const size_t tokens = json_object_size(vocab) + json_array_size(added);
    st = rn_vocab_make(&b->vocab, count, tokens, err);
    json_object_foreach((json_t *)vocab, key, value)
    {
        if (st) break;
        st = rn_vocab_add(&b->vocab, (size_t)json_integer_value(value), key, strlen(key),
                          false, err);
    }
    return rn_file_blame(err, st, path);
}

/* A merge's two sides: "a b" or ["a", "b"]. */
typedef struct sides {
    const char *left, *right;
    size_t left_length, right_length;
} sides;

static bool split_sides(const json_t *merge, bool pairs, sides *s)
{
    if (!pairs) {
        const char *text = json_string_value(merge);
        const char *space = text ? strchr(text, ' ') : NULL;
        if (!space || strchr(space + 1, ' ')) return false;
        *s = (sides){text, space + 1, (size_t)(space - text), strlen(space + 1)};
        return true;
    }
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right))
        return false;
    *s = (sides){json_string_value(left), json_string_value(right),
                 json_string_length(left), json_string_length(right)};
    return true;
}

static rn_status add_merge(rn_bpe *b, const sides *s, size_t rank, rn_bytes *joined,
                           const char *path, rn_error *err)
{
    joined->used = 0;
    rn_status st = rn_bytes_put(joined, s->left, s->left_length, err);
    if (!st) st = rn_bytes_put(joined, s->right, s->right_length, err);
    if (st) return st;
    const int32_t left = rn_vocab_find(&b->vocab, s->left, s->left_length);
    const int32_t right = rn_vocab_find(&b->vocab, s->right, s->right_length);
    const int32_t result = rn_vocab_find(&b->vocab, joined->data, joined->used);
    if (left < 0 || right < 0 || result < 0)
        return rn_fail(err, RN_EFORMAT,
                       "%s: model.merges: %s of merge %zu, '%.60s' and '%.60s', is not "
                       "in the vocabulary",
                       path,
                       result < 0 && left >= 0 && right >= 0 ? "the result" : "a side",
                       rank, s->left, s->right);
    rn_merges_add(&b->merges, left, right, result, (uint32_t)rank);
    return RN_OK;
}

static rn_status read_merges(rn_bpe *b, const json_t *json, const char *path,
                             rn_error *err)
{
    const json_t *merges = json_object_get(json, "merges");
    const size_t count = json_array_size(merges);
    if (!json_is_array(merges))
        return rn_fail(err, RN_EFORMAT, "%s: model.merges is missing or not a list",
                       path);
    rn_bytes joined = {.used = 0};
    const bool pairs = json_is_array(json_array_get(merges, 0));
    rn_status st = rn_merges_make(&b->merges, count, err);
    for (size_t i = 0; !st && i < count; i++) {
        sides s;
        if (split_sides(json_array_get(merges, i), pairs, &s))
            st = add_merge(b, &s, i, &joined, path, err);
        else
            st = rn_fail(err, RN_EFORMAT,
                         "%s: model.merges: merge %zu is not %s like the first one", path,
                         i, pairs ? "a list of two strings" : "a string with one space");
    }
    rn_bytes_free(&joined);
    return st;
}

static rn_status refuse_affixes(const json_t *json, const char *path, rn_error *err)
{
    static const char *const affixes[] = {"continuing_subword_prefix",
                                          "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(json, affixes[i]);
        if (!value || json_is_null(value)) continue;
        if (!json_is_string(value))
            return rn_fail(err, RN_EFORMAT, "%s: model.%s is not a string", path,
                           affixes[i]);
        if (json_string_length(value))
            return rn_fail(err, RN_EUNSUPPORTED, "%s: model.%s is not supported", path,
                           affixes[i]);
    }
    return RN_OK;
}

static rn_status read_flags(rn_bpe *b, const json_t *json, const char *path,
                            rn_error *err)
{
    char label[1000];
    snprintf(label, sizeof label, "%s: model", path);
    rn_keys k = {.object = json, .path = label, .err = err};
    const char *type = rn_keys_text(&k, "type", "BPE");
    const char *unk = rn_keys_text(&k, "unk_token", NULL);
    const double dropout = rn_keys_real(&k, "dropout", 0, 0, 1);
    b->byte_fallback = rn_keys_bool(&k, "byte_fallback", false);
    b->fuse_unk = rn_keys_bool(&k, "fuse_unk", false);
    b->ignore_merges = rn_keys_bool(&k, "ignore_merges", false);
    if (k.status) return k.status;
    if (strcmp(type, "BPE") != 0)
        return rn_fail(err, RN_EUNSUPPORTED, "%s: type '%s' is not supported (BPE is)",
                       label, type);
    if (dropout > 0)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "%s: dropout %g makes ids random, which is not supported", label,
                       dropout);
    if (unk) {
        b->unk_token = malloc(strlen(unk) + 1);
        if (!b->unk_token) return rn_fail_memory(err, label, strlen(unk) + 1);
        memcpy(b->unk_token, unk, strlen(unk) + 1);
    }
    return refuse_affixes(json, path, err);
}

rn_status rn_file_read_model(rn_file_tokenizer *t, const json_t *json, const char *path,
                             rn_error *err)
{
    const json_t *model = json_object_get(json, "model");
    if (!json_is_object(model))
        return rn_fail(err, RN_EFORMAT, "%s: model is missing or not an object", path);
    rn_status st = read_flags(&t->bpe, model, path, err);
    if (!st)
        st = read_vocab(&t->bpe, model, json_object_get(json, "added_tokens"), path, err);
    if (!st) st = read_merges(&t->bpe, model, path, err);
    return st ? st : rn_bpe_prepare(&t->bpe, err);
}

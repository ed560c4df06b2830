/* added_tokens of a tokenizer.json, and the ids that its post-processor puts around. */
#include "tokenizer/fields.h"
#include "tokenizer/file.h"

#define AROUND ((size_t)1024) /* ids that a template may put around a text */

/* One entry of added_tokens. */
typedef struct entry {
    const char *content;
    size_t length;
    json_int_t id;
    bool normalized;
    rn_added_token token;
} entry;

static rn_status read_entry(entry *e, const json_t *json, const char *path, rn_error *err)
{
    static const char *const flags[] = {"special", "normalized", "lstrip", "rstrip",
                                        "single_word"};
    char label[1000];
    const json_t *content = json_object_get(json, "content");
    bool values[5];
    if (!json_is_string(content))
        return rn_fail(err, RN_EFORMAT, "%s: added_tokens: an entry has no content",
                       path);
    snprintf(label, sizeof label, "%s: added_tokens: '%.60s'", path,
             json_string_value(content));
    rn_keys k = {.object = json, .path = label, .err = err};
    for (size_t i = 0; i < 5; i++) {
        if (!rn_keys_has(&k, flags[i]))
            return rn_fail(err, RN_EFORMAT, "%s: %s is missing", label, flags[i]);
        values[i] = rn_keys_bool(&k, flags[i], false);
    }
    if (k.status) return k.status;
    *e = (entry){.content = json_string_value(content),
                 .length = json_string_length(content),
                 .id = json_integer_value(json_object_get(json, "id")),
                 .normalized = values[1],
                 .token = {.special = values[0],
                           .lstrip = values[2],
                           .rstrip = values[3],
                           .single_word = values[4]}};
    return RN_OK;
}

/* A token of the model keeps its id; the others count on from the size of the model's
   vocabulary. */
static rn_status give_id(rn_vocab *v, entry *e, size_t *next, const char *path,
                         rn_error *err)
{
    const int32_t known = rn_vocab_find(v, e->content, e->length);
    const json_int_t right = known >= 0 ? known : (json_int_t)*next;
    if (e->id != right)
        return rn_fail(err, RN_EFORMAT,
                       "%s: added_tokens: '%.60s' has the id %lld, %s %lld", path,
                       e->content, (long long)e->id,
                       known >= 0 ? "in model.vocab it is" : "but the next free one is",
                       (long long)right);
    e->token.id = (int32_t)right;
    if (known >= 0) return RN_OK;
    ++*next;
    return rn_file_blame(
        err, rn_vocab_add(v, (size_t)right, e->content, e->length, true, err), path);
}

static rn_status put_entry(rn_file_tokenizer *t, const entry *e, rn_normal_room *room,
                           rn_error *err)
{
    const unsigned char *content = (const unsigned char *)e->content;
    size_t length = e->length;
    if (e->token.special) t->bpe.vocab.entries[e->token.id].special = true;
    if (!e->normalized) return rn_added_put(&t->raw, content, length, &e->token, err);
    rn_status st =
        rn_normalize(&t->normalizer, &t->classes, room, &content, &length, err);
    return st ? st : rn_added_put(&t->normal, content, length, &e->token, err);
}

rn_status rn_file_read_added(rn_file_tokenizer *t, const json_t *json, const char *path,
                             rn_error *err)
{
    const json_t *list = json_object_get(json, "added_tokens");
    rn_vocab *v = &t->bpe.vocab;
    rn_normal_room room = {.a = {.used = 0}};
    size_t next = v->tokens;
    rn_status st = RN_OK;
    if (list && !json_is_array(list))
        return rn_fail(err, RN_EFORMAT, "%s: added_tokens is not a list", path);
    for (size_t i = 0; !st && i < json_array_size(list); i++) {
        entry e;
        st = read_entry(&e, json_array_get(list, i), path, err);
        if (st || !e.length) continue;
        const int32_t known = rn_vocab_find(v, e.content, e.length);
        if (known >= 0 && v->entries[known].added) continue; /* the second of two */
        st = give_id(v, &e, &next, path, err);
        if (!st) st = put_entry(t, &e, &room, err);
    }
    rn_normal_room_free(&room);
    return st;
}

static rn_status put_special(rn_file_tokenizer *t, const json_t *post, const json_t *item,
                             rn_id_list *out, const char *path, rn_error *err)
{
    const char *name = json_string_value(json_object_get(item, "id"));
    const json_t *token =
        json_object_get(json_object_get(post, "special_tokens"), name ? name : "");
    const json_t *ids = json_object_get(token, "ids");
    if (!json_is_array(ids))
        return rn_fail(err, RN_EFORMAT, "%s: special_tokens: '%.60s' has no ids", path,
                       name ? name : "");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *value = json_array_get(ids, i);
        rn_token known;
        if (!json_is_integer(value) ||
            !rn_vocab_token(&t->bpe.vocab, json_integer_value(value), &known))
            return rn_fail(err, RN_EFORMAT,
                           "%s: special_tokens: '%.60s' is no token's id", path, name);
        const int32_t id = (int32_t)json_integer_value(value);
        rn_status st = rn_id_list_put(out, &id, 1, err);
        if (st) return st;
        if (out->count > AROUND)
            return rn_fail(err, RN_EUNSUPPORTED, "%s: more than %zu ids around a text",
                           path, AROUND);
    }
    return RN_OK;
}

/* Puts ids before those in *list where `front`, else behind them; takes `more` over. */
static rn_status put_around(rn_id_list *list, rn_id_list *more, bool front, rn_error *err)
{
    if (front) {
        rn_id_list swap = *list;
        *list = *more;
        *more = swap;
    }
    rn_status st = rn_id_list_put(list, more->ids, more->count, err);
    rn_id_list_free(more);
    return st;
}

static rn_status read_template(rn_file_tokenizer *t, const json_t *json, const char *path,
                               rn_error *err)
{
    const json_t *single = json_object_get(json, "single");
    rn_id_list part[2] = {{.count = 0}, {.count = 0}};
    size_t texts = 0;
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i);
        const json_t *special = json_object_get(item, "SpecialToken");
        const json_t *text = json_object_get(item, "Sequence");
        const char *name = json_string_value(json_object_get(text, "id"));
        if (special) st = put_special(t, json, special, &part[texts > 0], path, err);
        else if (name && !strcmp(name, "A")) texts++;
        else st = rn_fail(err, RN_EFORMAT, "%s: item %zu of single is unknown", path, i);
    }
    if (!st && texts != 1)
        st = rn_fail(err, RN_EFORMAT, "%s: single holds the text %zu times", path, texts);
    if (!st) st = put_around(&t->before, &part[0], true, err);
    if (!st) st = put_around(&t->after, &part[1], false, err);
    rn_id_list_free(&part[0]);
    rn_id_list_free(&part[1]);
    return st;
}

static rn_status read_step(void *out, const json_t *json, const char *type,
                           const char *path, rn_error *err)
{
    if (!strcmp(type, "ByteLevel")) return RN_OK; /* changes offsets only */
    if (!strcmp(type, "TemplateProcessing")) return read_template(out, json, path, err);
    return rn_fail(err, RN_EUNSUPPORTED,
                   "%s: type '%s' is not supported (TemplateProcessing, ByteLevel, "
                   "Sequence are)",
                   path, type);
}

rn_status rn_file_read_post(rn_file_tokenizer *t, const json_t *json, const char *path,
                            rn_error *err)
{
    return rn_fields_steps(json, "processors", read_step, t, path, err);
}

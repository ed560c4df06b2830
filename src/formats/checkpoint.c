/* Opening a checkpoint: its config is read and recognised, its tensors are put under the
   dialect's names, and what is asked for is remembered. */
#define _POSIX_C_SOURCE 200809L
#include "formats/checkpoint.h"

#include "core/file.h"
#include "formats/dialect.h"
#include "formats/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096 /* floats compared at once */

struct rn_checkpoint {
    char *config_path;
    json_t *stored; /* the config as the file has it */
    json_t *native;
    rn_weights *weights;
    rn_source source;
    const rn_dialect *dialect;
    bool tied;
    bool *taken;           /* [rn_weights_count] */
    const char **unknown;  /* keys, up to NULL */
    rn_stored stored_name; /* of the last question */
    rn_tensor_view part;   /* the last part of a stored tensor that was taken */
    char text[128];        /* the last key that was asked for */
};

void rn_checkpoint_close(rn_checkpoint *c)
{
    if (!c) return;
    json_decref(c->stored);
    json_decref(c->native);
    rn_weights_close(c->weights);
    free(c->config_path);
    free(c->taken);
    free((void *)c->unknown);
    free(c);
}

/* config.json in a folder, or beside a file; a GGUF file has its config inside. */
static char *config_beside(const char *path)
{
    if (rn_gguf_is(path)) return strdup(path);
    return rn_path_beside(path, "config.json");
}

/* Where a native name lies among the weights, or RN_NO_WEIGHT. */
static size_t find(const rn_checkpoint *c, const char *native, rn_stored *stored)
{
    if (!c->dialect->tensor(&c->source, native, stored)) return RN_NO_WEIGHT;
    return rn_weights_find(c->weights, stored->name);
}

/* The same, where a tied model may have its one matrix under either name. */
static size_t find_tied(const rn_checkpoint *c, const char *native, rn_stored *stored)
{
    rn_stored other;
    size_t at = find(c, native, stored);
    if (at != RN_NO_WEIGHT || !c->tied || strcmp(native, "embedding.weight") != 0)
        return at;
    at = find(c, "output.weight", &other);
    if (at != RN_NO_WEIGHT) *stored = other;
    return at;
}

/* The first element in which two tensors of one shape differ, or their count. */
static rn_status compare(const rn_tensor_view *a, const rn_tensor_view *b,
                         uint64_t *differ, rn_error *err)
{
    float x[BLOCK], y[BLOCK];
    *differ = a->count;
    for (uint64_t at = 0; at < a->count; at += BLOCK) {
        uint64_t n = a->count - at < BLOCK ? a->count - at : BLOCK;
        rn_status st = rn_tensor_floats(a, at, n, x, err);
        if (!st) st = rn_tensor_floats(b, at, n, y, err);
        if (st) return st;
        if (!memcmp(x, y, (size_t)n * sizeof x[0])) continue;
        uint64_t i = 0;
        while (!memcmp(&x[i], &y[i], sizeof x[0])) i++;
        *differ = at + i;
        return RN_OK;
    }
    return RN_OK;
}

/* A tied model's output projection is absent, or a copy of the embedding. */
static rn_status check_tied(rn_checkpoint *c, rn_error *err)
{
    rn_stored name;
    size_t at = find(c, "output.weight", &name);
    size_t from = find(c, "embedding.weight", &name);
    if (!c->tied || at == RN_NO_WEIGHT || from == RN_NO_WEIGHT) return RN_OK;
    const rn_tensor_view *a = rn_weights_at(c->weights, at);
    const rn_tensor_view *b = rn_weights_at(c->weights, from);
    if (a->dims != b->dims || memcmp(a->shape, b->shape, sizeof a->shape) != 0)
        return rn_fail(err, RN_EFORMAT,
                       "%s: the model is tied, but %s and %s have different shapes",
                       c->config_path, a->name, b->name);
    uint64_t differ;
    rn_status st = compare(a, b, &differ, err);
    if (st) return rn_blame_file(err, st, c->config_path);
    if (differ < a->count)
        return rn_fail(err, RN_EFORMAT,
                       "%s: the model is tied, but %s and %s differ in element %" PRIu64,
                       c->config_path, a->name, b->name, differ);
    c->taken[at] = true;
    return RN_OK;
}

/* A row that ends in a dot stands for all keys that begin with it. */
static bool is_beginning(const char *row, const char *key)
{
    size_t length = strlen(row);
    return length > 0 && row[length - 1] == '.' && !strncmp(row, key, length);
}

static bool is_known(const rn_dialect *d, const char *key)
{
    for (const char *const *k = d->keys; *k; k++)
        if (!strcmp(*k, key) || is_beginning(*k, key)) return true;
    return false;
}

static rn_status list_unknown(rn_checkpoint *c, rn_error *err)
{
    size_t size = json_object_size(c->stored) + 1, n = 0;
    c->unknown = calloc(size, sizeof *c->unknown);
    if (!c->unknown) return rn_fail_memory(err, c->config_path, size);
    if (!c->dialect->keys) return RN_OK;
    const char *key;
    json_t *value;
    json_object_foreach(c->stored, key, value)
    {
        if (!is_known(c->dialect, key)) c->unknown[n++] = key;
    }
    return RN_OK;
}

/* The config as it is stored, and the tensors. */
static rn_status read_stored(json_t **stored, rn_weights **weights, const char *path,
                             const char *config_path, rn_error *err)
{
    rn_status st = RN_OK;
    bool inside = rn_gguf_is(path);
    if (!inside) st = rn_json_read(stored, config_path, err);
    if (!st) st = rn_weights_open(weights, path, err);
    if (st || !inside) return st;
    return rn_gguf_config(stored, rn_weights_gguf(*weights), path, err);
}

static rn_status open_checkpoint(rn_checkpoint *c, const char *path, rn_error *err)
{
    if (!rn_path_exists(path))
        return rn_fail(err, RN_ENOTFOUND, "%s: does not exist", path);
    c->config_path = config_beside(path);
    if (!c->config_path) return rn_fail_memory(err, path, strlen(path));
    rn_status st = read_stored(&c->stored, &c->weights, path, c->config_path, err);
    if (st) return st;
    c->source = (rn_source){c->config_path, c->stored, c->weights};
    st = rn_dialect_detect(&c->dialect, &c->source, err);
    if (!st) st = c->dialect->config(&c->source, &c->native, err);
    if (st) return st;
    c->tied = json_is_true(json_object_get(c->native, "tied"));
    size_t count = rn_weights_count(c->weights);
    c->taken = calloc(count + 1, sizeof *c->taken);
    if (!c->taken) return rn_fail_memory(err, path, count);
    st = list_unknown(c, err);
    return st ? st : check_tied(c, err);
}

rn_status rn_checkpoint_open(rn_checkpoint **out, const char *path, rn_error *err)
{
    rn_checkpoint *c = calloc(1, sizeof *c);
    if (!c) return rn_fail_memory(err, path, sizeof *c);
    rn_status st = open_checkpoint(c, path, err);
    if (st) {
        rn_checkpoint_close(c);
        return st;
    }
    *out = c;
    return RN_OK;
}

const char *rn_checkpoint_dialect(const rn_checkpoint *c)
{
    return c->dialect->name;
}

const json_t *rn_checkpoint_config(const rn_checkpoint *c)
{
    return c->native;
}

const char *const *rn_checkpoint_unknown_keys(const rn_checkpoint *c)
{
    return c->unknown;
}

const json_t *rn_checkpoint_stored_config(const rn_checkpoint *c)
{
    return c->stored;
}

/* Rows of a matrix whose number of rows the parts divide. */
static bool has_parts(const rn_tensor_view *t, uint32_t parts)
{
    return t->dims == 2 && t->shape[0] % parts == 0;
}

const rn_tensor_view *rn_checkpoint_take(rn_checkpoint *c, const char *native_name)
{
    rn_stored *stored = &c->stored_name;
    size_t at = find_tied(c, native_name, stored);
    if (at == RN_NO_WEIGHT) return NULL;
    c->taken[at] = true;
    const rn_tensor_view *t = rn_weights_at(c->weights, at);
    if (stored->parts == 1 || !has_parts(t, stored->parts)) return t;
    rn_tensor_view *part = &c->part;
    *part = *t;
    part->shape[0] /= stored->parts;
    part->count /= stored->parts;
    part->bytes /= stored->parts;
    part->data = (const char *)t->data + stored->part * part->bytes;
    return part;
}

const rn_tensor_view *rn_checkpoint_whole(const rn_checkpoint *c, const char *native_name,
                                          uint32_t *parts)
{
    rn_stored stored;
    size_t at = find_tied(c, native_name, &stored);
    *parts = at == RN_NO_WEIGHT ? 1 : stored.parts;
    return at == RN_NO_WEIGHT ? NULL : rn_weights_at(c->weights, at);
}

/* "KEY VALUE" as the config has it. */
static const char *print_key(rn_checkpoint *c, const char *key)
{
    if (!key) return NULL;
    const json_t *value = json_object_get(c->stored, key);
    char *text =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;
    snprintf(c->text, sizeof c->text, "%.60s%s%.60s", key, text ? " " : "",
             text ? text : "");
    free(text);
    return c->text;
}

const char *rn_checkpoint_shape_key(rn_checkpoint *c, const char *native_name, int dim)
{
    const rn_shape_keys *row = c->dialect->shape_keys;
    while (row->part && !strstr(native_name, row->part)) row++;
    return row->part && dim < 2 ? print_key(c, row->key[dim]) : NULL;
}

/* The number behind "layers." or "blk." in a name; false when there is none. */
static bool layer_of(const char *name, unsigned long *layer)
{
    const char *at = strstr(name, "layers.");
    at = at ? at + 7 : !strncmp(name, "blk.", 4) ? name + 4 : "";
    if (*at < '0' || *at > '9') return false;
    *layer = strtoul(at, NULL, 10);
    return true;
}

const char *rn_checkpoint_presence_key(rn_checkpoint *c, const char *stored_name)
{
    const rn_presence_key *row = c->dialect->presence_keys;
    unsigned long layer;
    json_int_t layers = json_integer_value(json_object_get(c->native, "layers"));
    if (layer_of(stored_name, &layer)) {
        char name[256];
        snprintf(name, sizeof name, "layers.%lu.mixer.q.weight", layer);
        rn_stored stored;
        bool there = find(c, name, &stored) != RN_NO_WEIGHT;
        if (layer >= (unsigned long)layers || !there)
            return print_key(c, c->dialect->layers_key);
    }
    while (row->part && !strstr(stored_name, row->part)) row++;
    return row->part ? print_key(c, row->key) : NULL;
}

const char *rn_checkpoint_unused(const rn_checkpoint *c)
{
    for (size_t i = 0; i < rn_weights_count(c->weights); i++) {
        const char *name = rn_weights_at(c->weights, i)->name;
        if (!c->taken[i] && !c->dialect->is_buffer(&c->source, name)) return name;
    }
    return NULL;
}

const char *rn_checkpoint_original_name(rn_checkpoint *c, const char *native_name)
{
    if (!c->dialect->tensor(&c->source, native_name, &c->stored_name))
        snprintf(c->stored_name.name, sizeof c->stored_name.name, "%s", native_name);
    return c->stored_name.name;
}

/* The keys of a config that its dialect does not know, as a new array. */
static rn_status unknown_of(json_t **out, const rn_dialect *d, const rn_source *s,
                            rn_error *err)
{
    json_t *list = json_array();
    bool kept = list != NULL;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)s->config, key, value)
    {
        if (d->keys && !is_known(d, key))
            kept = kept && !json_array_append_new(list, json_string(key));
    }
    if (!kept) {
        json_decref(list);
        return rn_fail_memory(err, s->path, json_object_size(s->config));
    }
    *out = list;
    return RN_OK;
}

/* Translates the config alone, as for a new model. */
static rn_status read_config(const char *path, json_t **config, json_t **unknown,
                             const char **dialect, rn_error *err)
{
    json_t *stored = NULL;
    rn_weights *weights = NULL; /* only of a GGUF file */
    rn_status st = rn_gguf_is(path) ? read_stored(&stored, &weights, path, path, err)
                                    : rn_json_read(&stored, path, err);
    rn_source source = {path, stored, weights};
    const rn_dialect *found = NULL;
    json_t *native = NULL, *keys = NULL;
    if (!st) st = rn_dialect_detect(&found, &source, err);
    if (!st) st = found->config(&source, &native, err);
    if (!st) st = unknown_of(&keys, found, &source, err);
    json_decref(stored);
    rn_weights_close(weights);
    if (st) {
        json_decref(native);
        return st;
    }
    *config = native;
    *unknown = keys;
    *dialect = found->name;
    return RN_OK;
}

rn_status rn_config_read_keys(const char *path, json_t **config, json_t **unknown,
                              const char **dialect, rn_error *err)
{
    if (!rn_path_is_folder(path)) return read_config(path, config, unknown, dialect, err);
    char *inside = rn_path_join(path, "config.json");
    if (!inside) return rn_fail_memory(err, path, strlen(path));
    rn_status st = read_config(inside, config, unknown, dialect, err);
    free(inside);
    return st;
}

rn_status rn_config_read(const char *path, json_t **config, const char **dialect,
                         rn_error *err)
{
    json_t *unknown;
    rn_status st = rn_config_read_keys(path, config, &unknown, dialect, err);
    if (!st) json_decref(unknown);
    return st;
}

/* One table over one or several safetensors files, or a GGUF file. */
#define _POSIX_C_SOURCE 200809L
#include "formats/weights.h"

#include "core/file.h"
#include "formats/json.h"

#include <stdlib.h>
#include <string.h>

#define SINGLE "model.safetensors"
#define INDEX  "model.safetensors.index.json"

struct rn_weights {
    size_t files, count;
    rn_safetensors **file;
    char **file_name; /* beside the index; owned */
    rn_gguf *gguf;    /* instead of files, or NULL */
    const rn_tensor_view **table;
};

void rn_weights_close(rn_weights *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->files; i++) {
        rn_safetensors_close(w->file[i]);
        free(w->file_name[i]);
    }
    rn_gguf_close(w->gguf);
    free(w->file);
    free(w->file_name);
    free(w->table);
    free(w);
}

/* Opens folder/name, or name itself when folder is NULL. */
static rn_status add_file(rn_weights *w, const char *folder, const char *name,
                          rn_error *err)
{
    char *path = folder ? rn_path_join(folder, name) : strdup(name);
    char *kept = strdup(name);
    rn_safetensors *file = NULL;
    rn_status st = path && kept ? RN_OK : rn_fail_memory(err, name, strlen(name) + 1);
    if (!st) st = rn_safetensors_open(&file, path, err);
    if (!st) st = rn_safetensors_check_dtypes(file, path, err);
    free(path);
    if (st) {
        rn_safetensors_close(file);
        free(kept);
        return st;
    }
    w->file[w->files] = file;
    w->file_name[w->files++] = kept;
    w->count += rn_safetensors_count(file);
    return RN_OK;
}

static rn_status reserve(rn_weights *w, size_t files, const char *path, rn_error *err)
{
    w->file = calloc(files + 1, sizeof *w->file);
    w->file_name = calloc(files + 1, sizeof *w->file_name);
    if (w->file && w->file_name) return RN_OK;
    return rn_fail_memory(err, path, files * sizeof *w->file);
}

static const rn_safetensors *find_file(const rn_weights *w, const char *name)
{
    for (size_t i = w->files; i-- > 0;)
        if (!strcmp(w->file_name[i], name)) return w->file[i];
    return NULL;
}

/* A shard is a file beside the index: no way out of the folder. */
static bool is_plain_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

/* One row of the index: the tensor must be in its shard. */
static rn_status check_entry(rn_weights *w, const char *folder, const char *tensor,
                             const char *shard, rn_error *err)
{
    if (!shard || !is_plain_name(shard))
        return rn_fail(err, RN_EFORMAT, "%s/%s: the shard of %.200s is not a file's name",
                       folder, INDEX, tensor);
    if (!find_file(w, shard)) {
        rn_status st = add_file(w, folder, shard, err);
        if (st) return st;
    }
    if (rn_safetensors_find(find_file(w, shard), tensor)) return RN_OK;
    return rn_fail(err, RN_EFORMAT, "%s/%s: %.200s is not in %s as the index says",
                   folder, INDEX, tensor, shard);
}

/* Nor may a shard hold what the index does not know. */
static rn_status check_listed(const rn_weights *w, const char *folder, const json_t *map,
                              rn_error *err)
{
    for (size_t i = 0; i < w->files; i++)
        for (size_t k = 0; k < rn_safetensors_count(w->file[i]); k++) {
            const char *name = rn_safetensors_at(w->file[i], k)->name;
            const char *shard = json_string_value(json_object_get(map, name));
            if (!shard || strcmp(shard, w->file_name[i]) != 0)
                return rn_fail(err, RN_EFORMAT, "%s/%s: tensor %s of %s is %s", folder,
                               INDEX, name, w->file_name[i],
                               shard ? "listed for another shard" : "not listed");
        }
    return RN_OK;
}

static rn_status open_map(rn_weights *w, const char *folder, json_t *map, rn_error *err)
{
    if (json_object_size(map) == 0)
        return rn_fail(err, RN_EFORMAT, "%s/%s: no weight_map with tensors", folder,
                       INDEX);
    rn_status st = reserve(w, json_object_size(map), folder, err);
    const char *tensor;
    json_t *shard;
    json_object_foreach(map, tensor, shard)
    {
        if (!st) st = check_entry(w, folder, tensor, json_string_value(shard), err);
    }
    return st ? st : check_listed(w, folder, map, err);
}

static rn_status open_index(rn_weights *w, const char *folder, const char *path,
                            rn_error *err)
{
    json_t *index;
    rn_status st = rn_json_read(&index, path, err);
    if (st) return st;
    st = open_map(w, folder, json_object_get(index, "weight_map"), err);
    json_decref(index);
    return st;
}

static rn_status open_folder(rn_weights *w, const char *folder, rn_error *err)
{
    char *single = rn_path_join(folder, SINGLE);
    char *index = rn_path_join(folder, INDEX);
    rn_status st;
    if (!single || !index) {
        st = rn_fail_memory(err, folder, strlen(folder));
    } else if (rn_path_exists(single)) {
        st = reserve(w, 1, folder, err);
        if (!st) st = add_file(w, NULL, single, err);
    } else if (rn_path_exists(index)) {
        st = open_index(w, folder, index, err);
    } else {
        st = rn_fail(err, RN_ENOTFOUND, "%s: holds neither %s nor %s", folder, SINGLE,
                     INDEX);
    }
    free(single);
    free(index);
    return st;
}

/* Whether a path ends in the index's name; *folder is then where it lies, to be freed, or
   NULL when memory is short. */
static bool is_index(const char *path, char **folder)
{
    const char *slash = strrchr(path, '/');
    if (strcmp(slash ? slash + 1 : path, INDEX) != 0) return false;
    *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    return true;
}

static rn_status open_named_index(rn_weights *w, const char *folder, const char *path,
                                  rn_error *err)
{
    if (!folder) return rn_fail_memory(err, path, strlen(path));
    return open_index(w, folder, path, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const rn_tensor_view *const *)a)->name,
                  (*(const rn_tensor_view *const *)b)->name);
}

static rn_status make_table(rn_weights *w, const char *path, rn_error *err)
{
    w->table = calloc(w->count + 1, sizeof *w->table);
    if (!w->table) return rn_fail_memory(err, path, w->count * sizeof *w->table);
    size_t n = 0;
    for (size_t i = 0; i < w->files; i++)
        for (size_t k = 0; k < rn_safetensors_count(w->file[i]); k++)
            w->table[n++] = rn_safetensors_at(w->file[i], k);
    for (size_t k = 0; w->gguf && k < rn_gguf_count(w->gguf); k++)
        w->table[n++] = rn_gguf_at(w->gguf, k);
    qsort(w->table, n, sizeof *w->table, by_name);
    return RN_OK;
}

rn_status rn_weights_open(rn_weights **out, const char *path, rn_error *err)
{
    rn_weights *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, path, sizeof *w);
    char *folder = NULL;
    rn_status st;
    if (rn_path_is_folder(path)) {
        st = open_folder(w, path, err);
    } else if (rn_gguf_is(path)) {
        st = rn_gguf_open(&w->gguf, path, err);
        if (!st) st = rn_gguf_check_model(w->gguf, path, err);
        if (!st) w->count = rn_gguf_count(w->gguf);
    } else if (is_index(path, &folder)) {
        st = open_named_index(w, folder, path, err);
        free(folder);
    } else {
        st = reserve(w, 1, path, err);
        if (!st) st = add_file(w, NULL, path, err);
    }
    if (!st) st = make_table(w, path, err);
    if (st) {
        rn_weights_close(w);
        return st;
    }
    *out = w;
    return RN_OK;
}

size_t rn_weights_count(const rn_weights *w)
{
    return w->count;
}

const rn_gguf *rn_weights_gguf(const rn_weights *w)
{
    return w->gguf;
}

const rn_tensor_view *rn_weights_at(const rn_weights *w, size_t index)
{
    return w->table[index];
}

size_t rn_weights_find(const rn_weights *w, const char *name)
{
    rn_tensor_view wanted = {.name = name};
    const rn_tensor_view *key = &wanted;
    const rn_tensor_view **found =
        bsearch(&key, w->table, w->count, sizeof *w->table, by_name);
    return found ? (size_t)(found - w->table) : RN_NO_WEIGHT;
}

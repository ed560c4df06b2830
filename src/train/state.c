/*
 * trainer.json: how far a run has come, which run it is, and the digests of the files
 * beside it. Its own digest is kept in `latest`, so every byte of a checkpoint is checked
 * before any is used.
 */
#include "core/file.h"
#include "formats/json.h"
#include "train/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_VERSION = 1 };

static const char *const state_files[] = {"model.safetensors", "config.json",
                                          "optimizer.safetensors"};
enum { STATE_FILES = sizeof state_files / sizeof state_files[0] };

static rn_status fail_path(rn_error *err, const char *folder)
{
    return rn_fail_memory(err, "a path", strlen(folder));
}

static rn_status digest_in(const char *folder, const char *name, rn_file_digest *out,
                           rn_error *err)
{
    char *path = rn_path_join(folder, name);
    if (!path) return fail_path(err, folder);
    rn_status st = rn_digest_file(path, out, err);
    free(path);
    return st;
}

/* {"model.safetensors": {"bytes": n, "hash": "..."}, ..} */
static rn_status files_json(const char *folder, json_t **out, rn_error *err)
{
    json_t *files = json_object();
    rn_status st = RN_OK;
    for (size_t i = 0; i < STATE_FILES && !st; i++) {
        rn_file_digest d;
        st = digest_in(folder, state_files[i], &d, err);
        if (st) break;
        json_t *entry = json_pack("{s:I, s:o}", "bytes", (json_int_t)d.bytes, "hash",
                                  json_sprintf("%016" PRIx64, d.hash));
        if (json_object_set_new(files, state_files[i], entry))
            st = rn_fail(err, RN_ENOMEM, "out of memory for trainer.json");
    }
    if (st) json_decref(files);
    else *out = files;
    return st;
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *tokens_json(const rn_tokens_id *id)
{
    if (!id->count) return json_null();
    return json_pack("{s:I, s:o, s:o}", "count", (json_int_t)id->count, "hash",
                     json_sprintf("%016" PRIx64, id->hash), "documents",
                     json_sprintf("%016" PRIx64, id->documents));
}

/* Takes `files`. NULL when memory is short. */
static json_t *state_json(const rn_run_identity *id, json_t *files)
{
    const rn_trainer *t = id->trainer;
    const rn_train_state *s = &t->state;
    const rn_train_options *o = &t->options;
    uint64_t tokens = s->step * o->accum * o->batch * o->seq;
    json_t *head = json_pack(
        "{s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:o, s:f, s:o}", "version",
        STATE_VERSION, "step", (json_int_t)s->step, "applied", (json_int_t)s->applied,
        "skipped", (json_int_t)s->skipped, "tokens", (json_int_t)tokens, "vocabulary",
        (json_int_t)t->model->config.vocab_size, "smooth_loss",
        real_or_null(s->smooth_loss), "best_val_loss", real_or_null(s->best_val_loss),
        "best_step", (json_int_t)s->best_step, "first_val_bits_per_byte",
        real_or_null(s->first_val_bits), "validation", tokens_json(&s->validated),
        "seconds", s->seconds, "files", files);
    json_t *identity = rn_identity_json(id);
    if (head && identity && json_object_update(head, identity) == 0) {
        json_decref(identity);
        return head;
    }
    json_decref(head);
    json_decref(identity);
    return NULL;
}

static rn_status write_text(const char *folder, const char *text, rn_error *err)
{
    char *path = rn_path_join(folder, "trainer.json");
    if (!path) return fail_path(err, folder);
    rn_status st = rn_write_file(path, text, strlen(text), err);
    free(path);
    return st;
}

rn_status rn_state_write(const rn_run_identity *id, const char *folder, uint64_t *hash,
                         rn_error *err)
{
    json_t *files = NULL;
    rn_status st = files_json(folder, &files, err);
    if (st) return st;
    json_t *state = state_json(id, files);
    char *text =
        state ? json_dumps(state, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(state);
    if (!text)
        return rn_fail(err, RN_ENOMEM, "out of memory for %s/trainer.json", folder);
    st = write_text(folder, text, err);
    if (!st) *hash = rn_digest(text, strlen(text));
    free(text);
    return st;
}

/* Reading. */

static rn_status read_json(const char *path, uint64_t hash, json_t **out, rn_error *err)
{
    rn_map map;
    rn_status st = rn_map_open(&map, path, err);
    if (st) return st;
    if (rn_digest(map.data, map.size) != hash) {
        st = rn_fail(err, RN_EFORMAT, "%s: damaged: its hash is not the one in latest",
                     path);
        goto done;
    }
    st = rn_json_parse(out, map.data, map.size, path, err);
done:
    rn_map_close(&map);
    return st;
}

static rn_status check_file(const json_t *files, const char *folder, const char *name,
                            rn_error *err)
{
    json_int_t bytes = -1;
    const char *hash = "";
    json_t *entry = json_object_get(files, name);
    if (!entry || json_unpack(entry, "{s:I, s:s}", "bytes", &bytes, "hash", &hash))
        return rn_fail(err, RN_EFORMAT, "%s/trainer.json: no digest of %s", folder, name);
    rn_file_digest d;
    rn_status st = digest_in(folder, name, &d, err);
    if (st == RN_ENOTFOUND)
        return rn_fail(err, RN_EFORMAT, "%s/%s: missing from the checkpoint", folder,
                       name);
    if (st) return st;
    if (d.bytes != (uint64_t)bytes)
        return rn_fail(err, RN_EFORMAT, "%s/%s: damaged: %llu bytes, %lld were written",
                       folder, name, (unsigned long long)d.bytes, (long long)bytes);
    if (d.hash != strtoull(hash, NULL, 16))
        return rn_fail(err, RN_EFORMAT, "%s/%s: damaged: its hash is not %s", folder,
                       name, hash);
    return RN_OK;
}

static rn_status check_files(const json_t *state, const char *folder, rn_error *err)
{
    const json_t *files = json_object_get(state, "files");
    rn_status st = RN_OK;
    for (size_t i = 0; i < STATE_FILES && !st; i++)
        st = check_file(files, folder, state_files[i], err);
    return st;
}

static double real_or(const json_t *value, double otherwise)
{
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* NULL: a checkpoint of before this was kept. */
static rn_status parse_tokens(json_t *j, const char *path, rn_tokens_id *out,
                              rn_error *err)
{
    json_int_t count = 0;
    const char *hash = "", *documents = "";
    json_error_t json_err;
    if (j && !json_is_null(j) &&
        json_unpack_ex(j, &json_err, 0, "{s:I, s:s, s:s}", "count", &count, "hash", &hash,
                       "documents", &documents))
        return rn_fail(err, RN_EFORMAT, "%s: validation: %s", path, json_err.text);
    *out = (rn_tokens_id){(uint64_t)count, strtoull(hash, NULL, 16),
                          strtoull(documents, NULL, 16)};
    return RN_OK;
}

static rn_status parse_state(json_t *j, const char *path, rn_train_state *out,
                             size_t *chunk, rn_error *err)
{
    json_int_t version = 0, step = -1, applied = -1, skipped = -1, used_chunk = -1;
    json_int_t best_step = 0;
    double seconds = -1;
    json_t *smooth = NULL, *best = NULL, *first = NULL;
    json_error_t json_err;
    if (json_unpack_ex(
            j, &json_err, 0, "{s:I, s:I, s:I, s:I, s:F, s:o, s:o, s?I, s?o, s:{s:I}}",
            "version", &version, "step", &step, "applied", &applied, "skipped", &skipped,
            "seconds", &seconds, "smooth_loss", &smooth, "best_val_loss", &best,
            "best_step", &best_step, "first_val_bits_per_byte", &first, "options",
            "chunk", &used_chunk))
        return rn_fail(err, RN_EFORMAT, "%s: %s", path, json_err.text);
    if (version != STATE_VERSION)
        return rn_fail(err, RN_EFORMAT, "%s: version %lld, this program reads %d", path,
                       (long long)version, STATE_VERSION);
    if (step < 0 || applied < 0 || skipped < 0 || applied + skipped != step ||
        !(seconds >= 0) || used_chunk < 0 || best_step < 0 || best_step > step)
        return rn_fail(
            err, RN_EFORMAT,
            "%s: step %lld, applied %lld, skipped %lld, best step %lld, seconds %g and "
            "chunk %lld contradict each other",
            path, (long long)step, (long long)applied, (long long)skipped,
            (long long)best_step, seconds, (long long)used_chunk);
    rn_tokens_id validated;
    rn_status st = parse_tokens(json_object_get(j, "validation"), path, &validated, err);
    if (st) return st;
    *chunk = (size_t)used_chunk;
    *out = (rn_train_state){
        .step = (uint64_t)step,
        .applied = (uint64_t)applied,
        .skipped = (uint64_t)skipped,
        .smooth_loss = real_or(smooth, 0.0),
        .best_val_loss = real_or(best, NAN),
        .seconds = seconds,
        .first_val_bits = real_or(first, NAN),
        .best_step = (uint64_t)best_step,
        .validated = validated,
    };
    return RN_OK;
}

rn_status rn_state_read(const rn_run_identity *id, const char *folder, uint64_t hash,
                        bool asked_chunk, rn_train_state *state, size_t *chunk,
                        rn_error *err)
{
    char *path = rn_path_join(folder, "trainer.json");
    if (!path) return fail_path(err, folder);
    json_t *j = NULL;
    rn_status st = read_json(path, hash, &j, err);
    if (st == RN_ENOTFOUND) st = rn_fail(err, RN_EFORMAT, "%s: missing", path);
    if (st) goto done;
    st = check_files(j, folder, err);
    if (st) goto done;
    st = rn_identity_compare(j, id, asked_chunk, path, err);
    if (st) goto done;
    st = parse_state(j, path, state, chunk, err);
done:
    json_decref(j);
    free(path);
    return st;
}

/*
 * Saving a model as a native folder. Two files cannot be renamed in one step, so the
 * order decides what a kill in between leaves: the weights go first, the config last.
 * Where the folder held no config.json it is no checkpoint until the last rename. Where
 * it held the same config, both the old and the new weights fit it. Where it held
 * another, either order could leave one model's config over another's weights: that is
 * refused before anything is written.
 */
#include "api/save.h"
#include "core/file.h"
#include "formats/checkpoint.h"

#include <stdlib.h>
#include <string.h>

/* Whether the config.json at `path` is native and describes this very model; *why says
   what it is otherwise. */
static rn_status compare_config(const rn_model *m, const char *path, bool *same,
                                rn_error *why)
{
    json_t *keys = NULL, *theirs = NULL, *ours = NULL;
    const char *dialect;
    rn_config config = rn_config_defaults();
    rn_status st = rn_config_read(path, &keys, &dialect, why);
    if (st) return st;
    *same = false;
    st = rn_config_apply(&config, keys, why);
    if (!st) st = rn_config_check(&config, why);
    if (st) goto done;
    theirs = rn_config_json(&config);
    ours = rn_config_json(&m->config);
    if (!theirs || !ours) st = rn_fail_memory(why, "a config", sizeof config);
    else *same = strcmp(dialect, "native") == 0 && json_equal(theirs, ours);
done:
    json_decref(keys);
    json_decref(theirs);
    json_decref(ours);
    return st;
}

/* RN_EEXIST when the folder holds another model's config. */
static rn_status check_folder(const rn_model *m, const char *path, rn_error *err)
{
    if (!rn_path_exists(path)) return RN_OK;
    bool same = false;
    rn_error why = {0};
    rn_status st = compare_config(m, path, &same, &why);
    if (!st && same) return RN_OK;
    if (st == RN_ENOMEM) return rn_fail(err, st, "%s", why.message);
    return rn_fail(err, RN_EEXIST,
                   "%s: belongs to another model (%s): remove it or save elsewhere", path,
                   st ? why.message : "its keys differ");
}

rn_status rn_save_text(const char *text, const char *path, rn_error *err)
{
    rn_writer *w = NULL;
    rn_status st = rn_writer_open(&w, path, err);
    if (!st) st = rn_writer_put(w, text, strlen(text), err);
    if (!st) st = rn_writer_put(w, "\n", 1, err);
    if (!st) return rn_writer_commit(w, err);
    rn_writer_abandon(w);
    return st;
}

rn_status rn_save_config(const rn_model *m, const char *path, rn_error *err)
{
    char *text = rn_model_config_json(m);
    if (!text) return rn_fail_memory(err, RN_CONFIG_FILE, sizeof m->config);
    rn_status st = rn_save_text(text, path, err);
    free(text);
    return st;
}

static rn_status write_weights(const rn_model *m, const char *path, rn_error *err)
{
    rn_tensor_view *views = calloc(m->param_count + 1, sizeof *views);
    if (!views)
        return rn_fail_memory(err, "tensor views", m->param_count * sizeof *views);
    for (size_t i = 0; i < m->param_count; i++) {
        const rn_param *p = &m->params[i];
        views[i] =
            (rn_tensor_view){.name = p->name,
                             .dtype = RN_DTYPE_F32,
                             .dims = p->dims,
                             .shape = {p->shape[0], p->dims == 2 ? p->shape[1] : 0},
                             .count = p->count,
                             .data = m->weights + p->offset,
                             .bytes = p->count * sizeof(float)};
    }
    rn_status st = rn_safetensors_write(path, views, m->param_count, NULL, err);
    free(views);
    return st;
}

rn_status rn_model_save(const rn_model *m, const char *folder, rn_error *err)
{
    rn_status st = rn_model_check_float32(m, folder, err);
    if (st) return st;
    st = rn_make_folder(folder, err);
    if (st) return st;
    char *config = rn_path_join(folder, RN_CONFIG_FILE);
    char *weights = rn_path_join(folder, RN_WEIGHTS_FILE);
    if (!config || !weights) {
        st = rn_fail_memory(err, "a path", strlen(folder));
        goto done;
    }
    st = check_folder(m, config, err);
    if (!st) st = write_weights(m, weights, err);
    if (!st) st = rn_save_config(m, config, err);
done:
    free(config);
    free(weights);
    return st;
}

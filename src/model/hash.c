/*
 * The hash by which saved states know their model. It covers what the logits are a
 * function of: every key of the native config that differs from its default, dropout and
 * initialisation aside, and the name, type, shape and numbers of every parameter as they
 * are held. It leaves out names and dialect of the checkpoint, and whatever computes:
 * instruction set, threads, device. It is a digest over digests of pieces of fixed size,
 * so that any number of threads gives the same.
 */
#include "core/arena.h"
#include "core/digest.h"
#include "model/params.h"

#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)1 << 20)

/* Keys with their default value are left out, so that a key that a later version brings
   does not change the hash of the models of before. */
static rn_status add_config(rn_digester *d, const rn_model *m, rn_error *err)
{
    static const char *const no_matter[] = {"dropout", "init", "init_std"};
    const rn_config plain = rn_config_defaults();
    json_t *keys = rn_config_json(&m->config), *defaults = rn_config_json(&plain);
    const char *key;
    json_t *value;
    char *text = NULL;
    json_object_foreach(defaults, key, value)
    {
        if (json_equal(json_object_get(keys, key), value)) json_object_del(keys, key);
    }
    for (size_t i = 0; i < sizeof no_matter / sizeof *no_matter; i++)
        json_object_del(keys, no_matter[i]);
    if (keys && defaults) text = json_dumps(keys, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(keys);
    json_decref(defaults);
    if (!text) return rn_fail_memory(err, "a model's hash", sizeof *m);
    rn_digester_add(d, text, strlen(text) + 1);
    free(text);
    return RN_OK;
}

static void add_number(rn_digester *d, uint64_t n)
{
    rn_digester_add(d, &n, sizeof n);
}

/* Digests of the pieces of one stretch of memory. */
static rn_status add_bytes(rn_digester *d, const rn_model *m, const void *bytes,
                           size_t count, rn_error *err)
{
    const unsigned char *from = bytes;
    const size_t pieces = count / PIECE + (count % PIECE != 0);
    uint64_t *sums = calloc(pieces ? pieces : 1, sizeof *sums);
    if (!sums) return rn_fail_memory(err, "a model's hash", pieces * sizeof *sums);
#pragma omp parallel for schedule(static) num_threads(pieces > 1 ? m->x->threads : 1)
    for (size_t i = 0; i < pieces; i++)
        sums[i] = rn_digest(from + i * PIECE,
                            count - i * PIECE < PIECE ? count - i * PIECE : PIECE);
    add_number(d, count);
    rn_digester_add(d, sums, pieces * sizeof *sums);
    free(sums);
    return RN_OK;
}

/* Parameters that share panels are hashed with the first of them. */
static rn_status add_param(rn_digester *d, const rn_model *m, size_t i, rn_error *err)
{
    const rn_param *p = &m->params[i];
    rn_digester_add(d, p->name, strlen(p->name) + 1);
    add_number(d, (uint64_t)p->type);
    for (int k = 0; k < p->dims; k++) add_number(d, p->shape[k]);
    if (p->type == RN_WEIGHT_F32)
        return add_bytes(d, m, m->weights + p->offset, p->count * sizeof(float), err);
    if (p->panels == RN_ABSENT) return RN_OK;
    size_t rows = 0, bytes, end = rn_params_run(m->params, m->param_count, i);
    for (size_t j = i; j < end; j++) rows += m->params[j].shape[0];
    if (!rn_panels_bytes(p->type, rows, p->shape[1], &bytes))
        return rn_fail_memory(err, p->name, rows);
    return add_bytes(d, m, m->panels + p->panels, bytes, err);
}

rn_status rn_model_hash(rn_model *m, uint64_t *hash, rn_error *err)
{
    rn_digester d;
    if (!m->hashed) {
        rn_digester_begin(&d, m->param_count);
        rn_status st = add_config(&d, m, err);
        for (size_t i = 0; i < m->param_count && !st; i++) st = add_param(&d, m, i, err);
        if (st) return st;
        m->hash = rn_digester_end(&d);
        m->hashed = true;
    }
    *hash = m->hash;
    return RN_OK;
}

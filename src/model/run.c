/* Working memory of a pass: one block, carved by one list that both measures and places.
 */
#include "model/run.h"

#include "core/arena.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* Logits are made for this many bytes of rows at a time, so that a large vocabulary does
   not decide the memory of training. */
#define LOGIT_BYTES ((size_t)64 << 20)

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void place_layer(rn_run *run, rn_carver *c, layer_pass *p)
{
    const rn_config *f = &run->m->config;
    size_t rows = run->options.max_rows, d = f->mixer.width;
    size_t fw = f->ffn_width, in = f->ffn == RN_FFN_GATED ? 2 * fw : fw;
    *p = (layer_pass){
        .norm1 = rn_carve_floats(c, rows * d),
        .stats1 = rn_carve_floats(c, rows * 2),
        .mixer = rn_carve_floats(c, f->mixer.kind->saved_floats(&f->mixer, rows)),
        .mid = rn_carve_floats(c, rows * d),
        .norm2 = rn_carve_floats(c, rows * d),
        .stats2 = rn_carve_floats(c, rows * 2),
        .in = rn_carve_floats(c, rows * in),
        .hidden = rn_carve_floats(c, rows * fw)};
    p->hidden_normed = p->hidden;
    if (f->ffn_norm) {
        p->hidden_normed = rn_carve_floats(c, rows * fw);
        p->stats3 = rn_carve_floats(c, rows * 2);
    }
}

static void place_grad(rn_run *run, rn_carver *c)
{
    const rn_config *f = &run->m->config;
    size_t rows = run->options.max_rows, d = f->mixer.width;
    size_t fw = f->ffn_width, in = f->ffn == RN_FFN_GATED ? 2 * fw : fw;
    run->grad = (grad_work){.dx = rn_carve_floats(c, rows * d),
                            .a = rn_carve_floats(c, rows * d),
                            .b = rn_carve_floats(c, rows * d),
                            .d_in = rn_carve_floats(c, rows * in),
                            .d_hidden = rn_carve_floats(c, rows * fw)};
    run->grad.d_hidden_normed =
        f->ffn_norm ? rn_carve_floats(c, rows * fw) : run->grad.d_hidden;
}

static bool keeps_layers(const rn_run *run)
{
    return run->options.training && !run->options.recompute;
}

static void place(rn_run *run, rn_carver *c)
{
    const rn_config *f = &run->m->config;
    const rn_mixer *mixer = f->mixer.kind;
    size_t rows = run->options.max_rows, d = f->mixer.width, layers = f->layers;
    size_t batch = run->options.max_batch;
    bool training = run->options.training;

    run->layers = rn_carve(c, layers, sizeof *run->layers);
    run->state = rn_carve(c, batch, sizeof *run->state);
    run->parts = rn_carve(c, batch, sizeof *run->parts);
    run->params = rn_carve(c, RN_MAX_PARAMS, sizeof *run->params);
    run->grads = rn_carve(c, RN_MAX_PARAMS, sizeof *run->grads);
    run->first = rn_carve(c, batch + 1, sizeof *run->first);
    run->position = rn_carve(c, batch, sizeof *run->position);

    run->tables = c->used;
    run->x = rn_carve_floats(c, (training ? layers + 1 : 2) * rows * d);
    run->branch = rn_carve_floats(c, rows * d);
    if (f->embedding_norm) {
        run->embedded = rn_carve_floats(c, rows * d);
        run->embedded_stats = rn_carve_floats(c, rows * 2);
    }
    run->last = rn_carve_floats(c, rows * d);
    run->last_stats = rn_carve_floats(c, rows * 2);
    run->shared = rn_carve_floats(c, mixer->shared_floats(&f->mixer, rows));
    run->work = rn_carve_floats(c, mixer->work_floats(&f->mixer, rows, training));
    run->logits = rn_carve_floats(c, run->logit_rows * f->vocab_size);
    run->loss = rn_carve_floats(c, run->logit_rows);
    run->lse = rn_carve_floats(c, run->logit_rows);

    layer_pass shared = {0};
    for (size_t i = 0; i < layers; i++) {
        layer_pass p = shared;
        if (i == 0 || keeps_layers(run)) place_layer(run, c, &p);
        shared = p;
        if (c->base) run->layers[i] = p;
    }
    if (training) place_grad(run, c);
}

static rn_status check_options(const rn_model *m, const rn_run_options *o, rn_error *err)
{
    if (o->max_rows == 0 || o->max_batch == 0)
        return rn_fail(err, RN_EINVAL, "a run of %zu rows in %zu sequences", o->max_rows,
                       o->max_batch);
    size_t most = m->config.vocab_size > m->config.mixer.width * 8
                      ? m->config.vocab_size
                      : m->config.mixer.width * 8;
    size_t floats;
    if (!rn_mul_size(&floats, o->max_rows, most) || floats > ((size_t)1 << 46) ||
        o->max_batch > ((size_t)1 << 32))
        return rn_fail(err, RN_ENOMEM, "a run of %zu rows does not fit in memory",
                       o->max_rows);
    return RN_OK;
}

/* Room for the rows that packed matrices multiply, in the forms that they want. */
static rn_status reserve_forms(const rn_model *m, size_t rows, rn_error *err)
{
    if (!rn_model_is_packed(m)) return RN_OK;
    const rn_mixer_config *c = &m->config.mixer;
    size_t widest = c->heads * c->value_dim;
    if (widest < c->width) widest = c->width;
    if (widest < m->config.ffn_width) widest = m->config.ffn_width;
    return rn_exec_reserve_acts(m->x, rn_operand_bytes(rows, widest), err);
}

rn_status rn_run_create(rn_run **out, rn_model *m, const rn_run_options *options,
                        rn_error *err)
{
    rn_status st = check_options(m, options, err);
    if (st) return st;
    rn_run *run = calloc(1, sizeof *run);
    if (!run) return rn_fail_memory(err, "a run", sizeof *run);
    run->m = m;
    run->options = *options;
    size_t fit = LOGIT_BYTES / sizeof(float) / m->config.vocab_size;
    run->logit_rows =
        min_size(options->max_rows, options->logit_rows ? options->logit_rows
                                    : fit < 64          ? 64
                                                        : fit);

    rn_carver measure = {0};
    place(run, &measure);
    size_t bytes;
    st = rn_carve_total(&measure, "activations", &bytes, err);
    if (!st) st = rn_block_alloc(&run->block, bytes, "activations", err);
    if (!st) st = reserve_forms(m, options->max_rows, err);
    if (st) {
        rn_run_free(run);
        return st;
    }
    rn_carver c = {.base = run->block};
    place(run, &c);
    run->bytes = bytes;
    *out = run;
    return RN_OK;
}

void rn_run_free(rn_run *run)
{
    if (!run) return;
    rn_block_free(run->block);
    free(run);
}

float *rn_run_x(const rn_run *run, size_t i)
{
    size_t level = run->options.training ? i : i % 2;
    return run->x + level * run->options.max_rows * run->m->config.mixer.width;
}

void rn_run_rest(rn_run *run)
{
    if (run->rested) return;
    rn_block_release(run->block, run->tables, run->bytes);
    rn_exec_rest(run->m->x);
    run->prepared = false; /* the rotation tables are gone */
    run->rested = true;
}

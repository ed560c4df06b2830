/* Packing: the stored rows of every packed matrix, handed over by whoever has them, into
   the panels of the CPU's kernels, a panel at a time and by all threads. */
#include "model/params.h"

#include <stdlib.h>
#include <string.h>

/* A run of rows of one type: params first .. end-1. */
typedef struct run {
    const rn_model *m;
    size_t first, end;
    size_t rows, row_bytes, panel_bytes;
    rn_rows_fn *source;
    void *user;
} run;

/* Rows row .. row + count - 1 of the run, which may belong to several parameters. */
static rn_status fetch(const run *r, size_t row, size_t count, char *to, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = r->first; i < r->end && count && !st; i++) {
        const size_t have = r->m->params[i].shape[0];
        if (row >= have) {
            row -= have;
            continue;
        }
        size_t n = have - row < count ? have - row : count;
        st = r->source(r->user, i, row, n, to, err);
        to += n * r->row_bytes;
        count -= n;
        row = 0;
    }
    return st;
}

static rn_status pack_panel(const run *r, size_t panel, char *staging, rn_error *err)
{
    const rn_param *p = &r->m->params[r->first];
    const size_t row = panel * RN_PANEL;
    const size_t count = r->rows - row < RN_PANEL ? r->rows - row : RN_PANEL;
    rn_status st = fetch(r, row, count, staging, err);
    if (!st)
        rn_panel_pack(p->type, p->shape[1],
                      r->m->panels + p->panels + panel * r->panel_bytes, staging, count);
    return st;
}

/* The first failure of any thread is the run's. */
static rn_status pack_run(const run *r, rn_error *err)
{
    const size_t panels = (r->rows + RN_PANEL - 1) / RN_PANEL;
    rn_status failed = RN_OK;
#pragma omp parallel num_threads(r->m->x->threads)
    {
        rn_error own;
        char *staging = malloc(RN_PANEL * r->row_bytes);
#pragma omp for schedule(static)
        for (size_t i = 0; i < panels; i++) {
            rn_status st, before;
#pragma omp atomic read
            before = failed;
            if (before) continue;
            st = staging ? pack_panel(r, i, staging, &own)
                         : rn_fail_memory(&own, "packing", RN_PANEL * r->row_bytes);
            if (!st) continue;
#pragma omp critical(rn_pack)
            if (!failed) {
                if (err) *err = own;
#pragma omp atomic write
                failed = st;
            }
        }
        free(staging);
    }
    return failed;
}

rn_status rn_model_pack(rn_model *m, rn_rows_fn *rows, void *user, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0, end; i < m->param_count && !st; i = end) {
        const rn_param *p = &m->params[i];
        end = i + 1;
        if (p->panels == RN_ABSENT) continue;
        end = rn_params_run(m->params, m->param_count, i);
        run r = {.m = m, .first = i, .end = end, .source = rows, .user = user};
        for (size_t j = i; j < end; j++) r.rows += m->params[j].shape[0];
        r.row_bytes = rn_weight_bytes(p->type, p->shape[1]);
        r.panel_bytes = rn_panel_bytes(p->type, p->shape[1]);
        st = pack_run(&r, err);
    }
    return st;
}

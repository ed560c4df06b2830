/* The public retention operation: checks the call, then runs the kernels. */
#include "mixers/retention.h"

#include "kernels/exec.h"

#include <math.h>

/* Measured on two Zen 5 cores, see docs/performance.md: at these lengths the scores of a
   chunk and its keys, values and state stay in the second-level cache. */
size_t rn_retention_chunk(size_t dk, size_t dv)
{
    (void)dk;
    (void)dv;
    return 64;
}

static rn_status check_shape(const rn_retention_call *c, rn_error *err)
{
    if (c->heads == 0 || c->kv_heads == 0 || c->heads % c->kv_heads)
        return rn_fail(err, RN_EINVAL,
                       "retention: kv_heads %zu does not divide heads %zu", c->kv_heads,
                       c->heads);
    if (c->dk == 0 || c->dk > RN_MAX_HEAD_WIDTH || c->dv == 0 ||
        c->dv > RN_MAX_HEAD_WIDTH)
        return rn_fail(err, RN_EINVAL,
                       "retention: head widths dk %zu, dv %zu are not 1..%d", c->dk,
                       c->dv, RN_MAX_HEAD_WIDTH);
    if ((unsigned)c->form > RN_FORM_RECURRENT)
        return rn_fail(err, RN_EINVAL, "retention: there is no form %d", (int)c->form);
    if (!c->first || c->first[0] != 0)
        return rn_fail(err, RN_EINVAL, "retention: first must begin at row 0");
    for (size_t b = 0; b < c->batch; b++)
        if (c->first[b + 1] < c->first[b])
            return rn_fail(err, RN_EINVAL, "retention: first[%zu] is %zu, before %zu",
                           b + 1, c->first[b + 1], c->first[b]);
    return RN_OK;
}

static rn_status check_decays(const rn_retention_call *c, rn_error *err)
{
    if (!c->log_decay) return rn_fail(err, RN_EINVAL, "retention: log_decay is missing");
    size_t rows = c->decay_row ? c->first[c->batch] : 1;
    for (size_t h = 0; h < c->heads; h++) {
        for (size_t r = 0; r < rows; r++) {
            float g = c->log_decay[h * c->decay_head + r * c->decay_row];
            if (!(g <= 0.0f && g > -INFINITY))
                return rn_fail(
                    err, RN_EINVAL,
                    "retention: log_decay of head %zu, row %zu is %g, not in (-inf, 0]",
                    h, r, (double)g);
        }
    }
    return RN_OK;
}

static rn_status check_norm(const rn_retention_call *c, bool has_state, rn_error *err)
{
    if ((unsigned)c->row_norm >= RN_ROW_NORM_AUTO)
        return rn_fail(err, RN_EINVAL,
                       "retention: row normaliser %d is not none, decay, "
                       "paper or torchscale",
                       (int)c->row_norm);
    if (c->row_norm != RN_ROW_NORM_NONE && c->decay_row)
        return rn_fail(
            err, RN_EINVAL,
            "retention: a row normaliser needs decays that do not depend on the row");
    if (c->row_norm == RN_ROW_NORM_TORCHSCALE &&
        (c->form != RN_FORM_PARALLEL || has_state))
        return rn_fail(err, RN_EINVAL,
                       "retention: the torchscale row normaliser exists in "
                       "the parallel form from an empty state only");
    return RN_OK;
}

static rn_retention operation(const rn_retention_call *c)
{
    size_t chunk = c->chunk ? c->chunk : rn_retention_chunk(c->dk, c->dv);
    return (rn_retention){.batch = c->batch,
                          .first = c->first,
                          .heads = c->heads,
                          .kv_heads = c->kv_heads,
                          .dk = c->dk,
                          .dv = c->dv,
                          .q_row = c->heads * c->dk,
                          .k_row = c->kv_heads * c->dk,
                          .v_row = c->kv_heads * c->dv,
                          .o_row = c->heads * c->dv,
                          .log_decay = c->log_decay,
                          .decay_head = c->decay_head,
                          .decay_row = c->decay_row,
                          .seen = c->seen,
                          .norm = c->row_norm,
                          .chunk = c->form == RN_FORM_PARALLEL ? 0 : chunk};
}

void rn_retention_recurrent(rn_exec *x, const rn_retention *d, float *o, float *row_scale,
                            const float *q, const float *k, const float *v,
                            float *const *state, float *const *z)
{
    size_t longest = 0;
    for (size_t b = 0; b < d->batch; b++) {
        size_t n = d->first[b + 1] - d->first[b];
        longest = n > longest ? n : longest;
    }
    for (size_t t = 0; t < longest; t++)
        x->k.retention_step(x, d, t, o, row_scale, q, k, v, state, z);
}

rn_status rn_retention_forward(rn_exec *x, const rn_retention_call *call, float *o,
                               float *row_scale, const float *q, const float *k,
                               const float *v, float *const *state, float *const *z,
                               rn_error *err)
{
    rn_status st = check_shape(call, err);
    if (!st) st = check_decays(call, err);
    if (!st) st = check_norm(call, state != NULL, err);
    if (st) return st;
    bool paper = call->row_norm == RN_ROW_NORM_PAPER;
    if (paper && !state != !z)
        return rn_fail(err, RN_EINVAL,
                       "retention: the paper row normaliser carries state and "
                       "z, or neither");
    if (call->form == RN_FORM_RECURRENT && !state)
        return rn_fail(err, RN_EINVAL, "retention: the recurrent form needs states");
    st = rn_exec_reserve(x, rn_retention_scratch(call->dk, call->dv), err);
    if (st) return st;

    rn_retention d = operation(call);
    if (call->form == RN_FORM_RECURRENT)
        rn_retention_recurrent(x, &d, o, row_scale, q, k, v, state, paper ? z : NULL);
    else x->k.retention_fwd(x, &d, o, row_scale, q, k, v, state, paper ? z : NULL);
    return RN_OK;
}

rn_status rn_retention_backward(rn_exec *x, const rn_retention_call *call, float *dq,
                                float *dk, float *dv, float *d_o, const float *row_scale,
                                const float *q, const float *k, const float *v,
                                const float *const *state_in, float *const *dstate,
                                rn_error *err)
{
    rn_status st = check_shape(call, err);
    if (!st) st = check_decays(call, err);
    if (!st) st = check_norm(call, false, err);
    if (st) return st;
    if (call->form == RN_FORM_RECURRENT)
        return rn_fail(err, RN_EINVAL,
                       "retention: gradients have the chunkwise and the "
                       "parallel form");
    if (call->row_norm != RN_ROW_NORM_NONE && !row_scale)
        return rn_fail(err, RN_EINVAL,
                       "retention: row_scale of the forward pass is missing");
    st = rn_exec_reserve(x, rn_retention_scratch(call->dk, call->dv), err);
    if (st) return st;

    rn_retention d = operation(call);
    if (row_scale)
        x->k.scale_rows(x, d_o, row_scale, call->first[call->batch], call->heads,
                        call->dv);
    x->k.retention_bwd(x, &d, dq, dk, dv, d_o, q, k, v, state_in, dstate);
    return RN_OK;
}

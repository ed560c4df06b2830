/*
 * The retention kernels of one instruction set: forward and backward as sweeps
 * (retention_sweep_simd.h), and the recurrent step, which reads and writes each state
 * once.
 *
 * The three gradients are retentions themselves, with the same decays:
 *   dq = forward sweep of (d_o, v, k) with state S^T
 *   dv = reverse sweep of (k, q, d_o) with state dS
 *   dk = reverse sweep of (v, d_o, q) with state dS^T
 * so nothing is kept from the forward pass.
 */
#ifndef RN_CPU_RETENTION_SIMD_H
#define RN_CPU_RETENTION_SIMD_H

#include "cpu/retention_sweep_simd.h"

#include "cpu/variants.h"
#include "kernels/exec.h"

/* Vectors of one row of the state that a step holds in registers. */
#define STEP_VECS (VW == 16 ? 8 : 4)

static size_t work_estimate(const rn_retention *d)
{
    return d->first[d->batch] * d->heads * d->dk * d->dv;
}

/* Into how many column ranges each head's values are cut, so that every thread has work.
   Cutting repeats the scores, and the state of the row sums cannot be cut. */
static size_t column_splits(const rn_retention *d, int threads)
{
    size_t tasks = d->batch * d->heads, n = (size_t)threads;
    if (d->norm == RN_ROW_NORM_PAPER || tasks == 0) return 1;
    if (tasks >= 4 * n || tasks % n == 0) return 1;
    size_t most = d->dv / (2 * VW);
    return most == 0 ? 1 : most < n ? most : n;
}

/* The sweep of sequence b and head h over columns [col, col + cols) of the values. */
static sweep forward_sweep(const rn_retention *d, size_t b, size_t h, size_t col,
                           size_t cols, float *o, float *row_scale, const float *q,
                           const float *k, const float *v)
{
    size_t row = d->first[b];
    return (sweep){
        .rows = d->first[b + 1] - row,
        .chunk = d->chunk,
        .dk = d->dk,
        .dv = cols,
        .q = q + row * d->q_row + h * d->dk,
        .k = k + row * d->k_row + rn_kv_head(d, h) * d->dk,
        .v = v + row * d->v_row + rn_kv_head(d, h) * d->dv + col,
        .o = o + row * d->o_row + h * d->dv + col,
        .q_row = d->q_row,
        .k_row = d->k_row,
        .v_row = d->v_row,
        .o_row = d->o_row,
        .r_row = d->dv,
        .log_decay = d->log_decay + h * d->decay_head + row * d->decay_row,
        .decay_row = d->decay_row,
        .norm = d->norm,
        .seen = d->seen ? d->seen[b] : 0,
        .row_scale = row_scale && col == 0 ? row_scale + row * d->heads + h : NULL,
        .row_scale_row = d->heads,
    };
}

void RN_VARIANT(retention_fwd)(rn_exec *x, const rn_retention *d, float *o,
                               float *row_scale, const float *q, const float *k,
                               const float *v, float *const *state, float *const *z)
{
    int threads = rn_exec_parallel(x, work_estimate(d));
    size_t splits = column_splits(d, threads);
    size_t cols = (d->dv / splits + VW - 1) / VW * VW;
    size_t tasks = d->heads * d->batch * splits;
#pragma omp parallel num_threads(threads)
    {
        sweep_work *w;
        float *r = sweep_work_place(&w, rn_exec_scratch(x), d->dk, d->dv);
        float *z_own = r + d->dk * d->dv;
#pragma omp for schedule(static)
        for (size_t i = 0; i < tasks;
             i++) { /* heads outermost: their decays are shared */
            size_t h = i / (d->batch * splits), b = i / splits % d->batch;
            size_t col = i % splits * cols, last = i % splits == splits - 1;
            if (col >= d->dv) continue;
            size_t n = last || d->dv - col < cols ? d->dv - col : cols;
            sweep s = forward_sweep(d, b, h, col, n, o, row_scale, q, k, v);
            s.r = state ? state[b] + h * d->dk * d->dv + col : r;
            s.z = z ? z[b] + h * d->dk : z_own;
            s.has_state = s.keep_state = state != NULL;
            sweep_run(&s, w, h);
        }
    }
}

static void transpose_into(float *to, const float *from, size_t rows, size_t cols)
{
    if (from) tile_transpose(rows, cols, from, cols, to, rows);
    else memset(to, 0, rows * cols * sizeof *to);
}

/* Gradients of head h of sequence b; `add` where an earlier head wrote the same k, v. */
static void backward_head(const rn_retention *d, size_t b, size_t h, bool add,
                          sweep_work *w, float *scratch, float *dq, float *dk, float *dv,
                          const float *d_o, const float *q, const float *k,
                          const float *v, const float *const *state_in,
                          float *const *dstate)
{
    size_t at = h * d->dk * d->dv;
    sweep f = forward_sweep(d, b, h, 0, d->dv, dq, NULL, q, k, v);
    f.norm = RN_ROW_NORM_NONE;
    const float *g = d_o + d->first[b] * d->o_row + h * d->dv;
    float *turned = scratch + d->dk * d->dv;
    sweep s = f;

    s.q = g, s.q_row = d->o_row, s.k = f.v, s.k_row = f.v_row, s.v = f.k,
    s.v_row = f.k_row;
    s.dk = d->dv, s.dv = d->dk, s.r_row = d->dk, s.r = turned;
    s.o = dq + d->first[b] * d->q_row + h * d->dk, s.o_row = d->q_row;
    s.has_state = state_in != NULL;
    if (state_in) transpose_into(turned, state_in[b] + at, d->dk, d->dv);
    sweep_run(&s, w, 2 * h);

    s.reverse = true, s.add = add;
    s.q = f.v, s.q_row = f.v_row, s.k = g, s.k_row = d->o_row, s.v = f.q,
    s.v_row = f.q_row;
    s.o = dk + (f.k - k), s.o_row = d->k_row;
    s.has_state = dstate != NULL;
    if (dstate) transpose_into(turned, dstate[b] + at, d->dk, d->dv);
    sweep_run(&s, w, 2 * h + 1);

    s = f;
    s.reverse = true, s.add = add;
    s.q = f.k, s.q_row = f.k_row, s.k = f.q, s.k_row = f.q_row, s.v = g,
    s.v_row = d->o_row;
    s.o = dv + (f.v - v), s.o_row = d->v_row;
    s.r = dstate ? dstate[b] + at : scratch;
    s.has_state = s.keep_state = dstate != NULL;
    sweep_run(&s, w, 2 * h + 1);
}

void RN_VARIANT(retention_bwd)(rn_exec *x, const rn_retention *d, float *dq, float *dk,
                               float *dv, const float *d_o, const float *q,
                               const float *k, const float *v,
                               const float *const *state_in, float *const *dstate)
{
    int threads = rn_exec_parallel(x, work_estimate(d));
    size_t group = d->heads / d->kv_heads, tasks = d->kv_heads * d->batch;
#pragma omp parallel num_threads(threads)
    {
        sweep_work *w;
        float *scratch = sweep_work_place(&w, rn_exec_scratch(x), d->dk, d->dv);
#pragma omp for schedule(static)
        for (size_t i = 0; i < tasks; i++) {
            size_t b = i % d->batch, first = i / d->batch * group;
            for (size_t h = first; h < first + group; h++)
                backward_head(d, b, h, h != first, w, scratch, dq, dk, dv, d_o, q, k, v,
                              state_in, dstate);
        }
    }
}

/* S = gamma S + k^T v and o = q S over `vecs` vectors of columns, the last of n floats.
 */
static inline __attribute__((always_inline)) void
step_columns(const int vecs, size_t n, size_t dk, size_t dv, decay_pair gamma,
             const float *q, const float *k, const float *v, float *s, float *o)
{
    vf acc[STEP_VECS], value[STEP_VECS];
    RN_UNROLL for (int j = 0; j < vecs; j++)
    {
        acc[j] = vf_zero();
        value[j] = vf_load_n(v + j * VW, j == vecs - 1 ? n : VW);
    }
    vf beta = vf_set1(gamma.beta), excess = vf_set1(gamma.excess);
    for (size_t a = 0; a < dk; a++, s += dv) {
        vf key = vf_set1(k[a]), query = vf_set1(q[a]);
        RN_UNROLL for (int j = 0; j < vecs - 1; j++)
        {
            vf old = vf_load(s + j * VW);
            vf t = vf_fma(key, value[j], vf_mul(excess, old));
            t = vf_fma(beta, old, t);
            vf_store(s + j * VW, t);
            acc[j] = vf_fma(query, t, acc[j]);
        }
        float *end = s + (vecs - 1) * VW;
        vf old = n == VW ? vf_load(end) : vf_load_n(end, n);
        vf t = vf_fma(key, value[vecs - 1], vf_mul(excess, old));
        t = vf_fma(beta, old, t);
        if (n == VW) vf_store(end, t);
        else vf_store_n(end, n, t);
        acc[vecs - 1] = vf_fma(query, t, acc[vecs - 1]);
    }
    RN_UNROLL for (int j = 0; j < vecs; j++)
        vf_store_n(o + j * VW, j == vecs - 1 ? n : VW, acc[j]);
}

static void step_head(size_t dk, size_t dv, decay_pair gamma, const float *q,
                      const float *k, const float *v, float *s, float *o)
{
    size_t c = 0;
    for (; c + STEP_VECS * VW <= dv; c += STEP_VECS * VW)
        step_columns(STEP_VECS, VW, dk, dv, gamma, q, k, v + c, s + c, o + c);
    for (; c + 2 * VW <= dv; c += 2 * VW)
        step_columns(2, VW, dk, dv, gamma, q, k, v + c, s + c, o + c);
    for (; c < dv; c += VW)
        step_columns(1, dv - c < VW ? dv - c : VW, dk, dv, gamma, q, k, v + c, s + c,
                     o + c);
}

/* z = gamma z + k; returns q . z, the row's sum of decayed scores. */
static float step_row_sum(size_t dk, decay_pair gamma, const float *q, const float *k,
                          float *z)
{
    float sum = 0.0f;
    for (size_t a = 0; a < dk; a++) {
        z[a] = gamma.beta * z[a] + (gamma.excess * z[a] + k[a]);
        sum += q[a] * z[a];
    }
    return sum;
}

static void step_sequence(const rn_retention *d, size_t b, size_t h, size_t row, float *o,
                          float *row_scale, const float *q, const float *k,
                          const float *v, float *state, float *z)
{
    const float *qr = q + row * d->q_row + h * d->dk;
    const float *kr = k + row * d->k_row + rn_kv_head(d, h) * d->dk;
    float *to = o + row * d->o_row + h * d->dv;
    float log_decay = d->log_decay[h * d->decay_head + row * d->decay_row];
    decay_pair gamma = decay_of_log(log_decay);
    float row_sum = 0.0f;
    step_head(d->dk, d->dv, gamma, qr, kr, v + row * d->v_row + rn_kv_head(d, h) * d->dv,
              state + h * d->dk * d->dv, to);
    if (d->norm == RN_ROW_NORM_PAPER)
        row_sum = step_row_sum(d->dk, gamma, qr, kr, z + h * d->dk);
    float factor = 1.0f;
    if (d->norm != RN_ROW_NORM_NONE) {
        uint64_t n = row - d->first[b] + (d->seen ? d->seen[b] : 0);
        factor =
            (float)rn_retention_row_factor(d->norm, rn_decay_sum(log_decay, n), row_sum);
        for (size_t c = 0; c < d->dv; c++) to[c] *= factor;
    }
    if (row_scale) row_scale[row * d->heads + h] = factor;
}

void RN_VARIANT(retention_step)(rn_exec *x, const rn_retention *d, size_t t, float *o,
                                float *row_scale, const float *q, const float *k,
                                const float *v, float *const *state, float *const *z)
{
    size_t tasks = d->batch * d->heads;
    int threads = rn_exec_parallel(x, tasks * d->dk * d->dv / 4);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < tasks; i++) {
        size_t b = i / d->heads, h = i % d->heads, row = d->first[b] + t;
        if (row < d->first[b + 1])
            step_sequence(d, b, h, row, o, row_scale, q, k, v, state[b], z ? z[b] : NULL);
    }
}

#endif

/*
 * Retention by its recurrence, in double: the definition that every other form and
 * variant is tested against.
 *
 *   S_n = gamma S_{n-1} + k_n^T v_n,   o_n = f_n q_n S_n
 *   dq_n = d_o_n S_n^T,   dS_n = gamma dS_{n+1} + q_n^T d_o_n,   dk_n = v_n dS_n^T,
 *   dv_n = k_n dS_n,   dS_{-1} = gamma dS_0,   the denominators f being constants.
 */
#include "kernels/exec.h"
#include "kernels/retention.h"

#include <math.h>

/* The double-precision state of one head, in a thread's scratch. */
typedef struct head_state {
    double *s; /* [dk][dv] */
    double *z; /* [dk] */
} head_state;

size_t rn_retention_scratch(size_t dk, size_t dv)
{
    size_t tiles = (4 * RN_RETENTION_TILE + 8) * RN_RETENTION_TILE;
    size_t packs = 3 * RN_RETENTION_TILE * (dk + dv);
    size_t states = 4 * (dk * dv + dk + dv);
    return (tiles + packs + states + 512) * sizeof(double);
}

double rn_retention_row_factor(rn_row_norm norm, double d, double row_sum)
{
    if (norm == RN_ROW_NORM_NONE) return 1.0;
    double root = 1.0 / sqrt(d);
    if (norm == RN_ROW_NORM_PAPER) return root / fmax(fabs(row_sum) * root, 1.0);
    if (norm == RN_ROW_NORM_TORCHSCALE)
        return root / fmin(fmax(row_sum * root, 1.0), 5e4);
    return root;
}

static double log_decay_at(const rn_retention *d, size_t h, size_t row)
{
    return d->log_decay[h * d->decay_head + row * d->decay_row];
}

static head_state load_state(const rn_exec *x, const rn_retention *d, const float *s,
                             const float *z)
{
    head_state st = {.s = (double *)x->scratch}; /* the reference is serial */
    st.z = st.s + d->dk * d->dv;
    for (size_t i = 0; i < d->dk * d->dv; i++) st.s[i] = s ? s[i] : 0.0;
    for (size_t i = 0; i < d->dk; i++) st.z[i] = z ? z[i] : 0.0;
    return st;
}

static void store_state(const rn_retention *d, const head_state *st, float *s, float *z)
{
    for (size_t i = 0; s && i < d->dk * d->dv; i++) s[i] = (float)st->s[i];
    for (size_t i = 0; z && i < d->dk; i++) z[i] = (float)st->z[i];
}

/* sum_m |q . k_m| gamma^(n-m) over the segment: what the torchscale normaliser divides
 * by. */
static double absolute_row_sum(const rn_retention *d, size_t h, size_t first, size_t row,
                               const float *q, const float *k)
{
    const float *qr = q + row * d->q_row + h * d->dk;
    double sum = 0.0, log_weight = 0.0;
    for (size_t m = row + 1; m-- > first;) {
        const float *km = k + m * d->k_row + rn_kv_head(d, h) * d->dk;
        double dot = 0.0;
        for (size_t a = 0; a < d->dk; a++) dot += (double)qr[a] * km[a];
        sum += fabs(dot) * exp(log_weight);
        log_weight += log_decay_at(d, h, m);
    }
    return sum;
}

/* One token of one head: updates the state, writes o and the row's factor. */
static void token(const rn_retention *d, size_t b, size_t h, size_t row, head_state *st,
                  float *o, float *row_scale, const float *q, const float *k,
                  const float *v)
{
    const float *qr = q + row * d->q_row + h * d->dk;
    const float *kr = k + row * d->k_row + rn_kv_head(d, h) * d->dk;
    const float *vr = v + row * d->v_row + rn_kv_head(d, h) * d->dv;
    float *to = o + row * d->o_row + h * d->dv;
    double lg = log_decay_at(d, h, row), gamma = exp(lg), qz = 0.0;
    for (size_t a = 0; a < d->dk; a++) {
        for (size_t c = 0; c < d->dv; c++)
            st->s[a * d->dv + c] = gamma * st->s[a * d->dv + c] + (double)kr[a] * vr[c];
        st->z[a] = gamma * st->z[a] + kr[a];
        qz += qr[a] * st->z[a];
    }
    size_t n = row - d->first[b] + (d->seen ? d->seen[b] : 0);
    if (d->norm == RN_ROW_NORM_TORCHSCALE)
        qz = absolute_row_sum(d, h, d->first[b], row, q, k);
    double factor = rn_retention_row_factor(d->norm, rn_decay_sum(lg, n), qz);
    for (size_t c = 0; c < d->dv; c++) {
        double sum = 0.0;
        for (size_t a = 0; a < d->dk; a++) sum += qr[a] * st->s[a * d->dv + c];
        to[c] = (float)(factor * sum);
    }
    if (row_scale) row_scale[row * d->heads + h] = (float)factor;
}

void rn_retention_fwd_ref(rn_exec *x, const rn_retention *d, float *o, float *row_scale,
                          const float *q, const float *k, const float *v,
                          float *const *state, float *const *z)
{
    for (size_t b = 0; b < d->batch; b++) {
        for (size_t h = 0; h < d->heads; h++) {
            float *s = state ? state[b] + h * d->dk * d->dv : NULL;
            float *zh = z ? z[b] + h * d->dk : NULL;
            head_state st = load_state(x, d, s, zh);
            for (size_t row = d->first[b]; row < d->first[b + 1]; row++)
                token(d, b, h, row, &st, o, row_scale, q, k, v);
            store_state(d, &st, s, zh);
        }
    }
}

void rn_retention_step_ref(rn_exec *x, const rn_retention *d, size_t t, float *o,
                           float *row_scale, const float *q, const float *k,
                           const float *v, float *const *state, float *const *z)
{
    for (size_t b = 0; b < d->batch; b++) {
        size_t row = d->first[b] + t;
        if (row >= d->first[b + 1]) continue;
        for (size_t h = 0; h < d->heads; h++) {
            float *s = state[b] + h * d->dk * d->dv;
            float *zh = z ? z[b] + h * d->dk : NULL;
            head_state st = load_state(x, d, s, zh);
            token(d, b, h, row, &st, o, row_scale, q, k, v);
            store_state(d, &st, s, zh);
        }
    }
}

/* Heads that share a k, v head add up; the first of them sets. */
static void put(float *to, double value, bool add)
{
    *to = (float)(add ? *to + value : value);
}

static void backward_dq(const rn_retention *d, size_t h, size_t row, head_state *st,
                        float *dq, const float *d_o, const float *k, const float *v)
{
    const float *kr = k + row * d->k_row + rn_kv_head(d, h) * d->dk;
    const float *vr = v + row * d->v_row + rn_kv_head(d, h) * d->dv;
    const float *g = d_o + row * d->o_row + h * d->dv;
    double gamma = exp(log_decay_at(d, h, row));
    for (size_t a = 0; a < d->dk; a++) {
        double sum = 0.0;
        for (size_t c = 0; c < d->dv; c++) {
            double *s = &st->s[a * d->dv + c];
            *s = gamma * *s + (double)kr[a] * vr[c];
            sum += *s * g[c];
        }
        dq[row * d->q_row + h * d->dk + a] = (float)sum;
    }
}

static void backward_dkdv(const rn_retention *d, size_t h, size_t row, head_state *st,
                          float *dk, float *dv, const float *d_o, const float *q,
                          const float *k, const float *v)
{
    size_t k_at = row * d->k_row + rn_kv_head(d, h) * d->dk;
    size_t v_at = row * d->v_row + rn_kv_head(d, h) * d->dv;
    const float *qr = q + row * d->q_row + h * d->dk;
    const float *g = d_o + row * d->o_row + h * d->dv;
    double gamma = exp(log_decay_at(d, h, row));
    bool add = h % (d->heads / d->kv_heads) != 0;
    for (size_t a = 0; a < d->dk; a++) {
        double sum = 0.0;
        for (size_t c = 0; c < d->dv; c++) {
            double *s = &st->s[a * d->dv + c];
            *s += (double)qr[a] * g[c];
            sum += *s * v[v_at + c];
        }
        put(&dk[k_at + a], sum, add);
    }
    for (size_t c = 0; c < d->dv; c++) {
        double sum = 0.0;
        for (size_t a = 0; a < d->dk; a++) sum += k[k_at + a] * st->s[a * d->dv + c];
        put(&dv[v_at + c], sum, add);
    }
    for (size_t i = 0; i < d->dk * d->dv; i++) st->s[i] *= gamma;
}

void rn_retention_bwd_ref(rn_exec *x, const rn_retention *d, float *dq, float *dk,
                          float *dv, const float *d_o, const float *q, const float *k,
                          const float *v, const float *const *state_in,
                          float *const *dstate)
{
    for (size_t b = 0; b < d->batch; b++) {
        for (size_t h = 0; h < d->heads; h++) {
            size_t at = h * d->dk * d->dv;
            head_state st = load_state(x, d, state_in ? state_in[b] + at : NULL, NULL);
            for (size_t row = d->first[b]; row < d->first[b + 1]; row++)
                backward_dq(d, h, row, &st, dq, d_o, k, v);
            float *ds = dstate ? dstate[b] + at : NULL;
            st = load_state(x, d, ds, NULL);
            for (size_t row = d->first[b + 1]; row-- > d->first[b];)
                backward_dkdv(d, h, row, &st, dk, dv, d_o, q, k, v);
            store_state(d, &st, ds, NULL);
        }
    }
}

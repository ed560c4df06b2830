/* One token of one head with the newest tokens beside the state, in double: the
   definition of retention_decode. See rn_decode. */
#include "kernels/retention.h"

#include "kernels/halves.h"

#include <math.h>

static double weight_of(const rn_decode *d, size_t j)
{
    return exp((double)(d->tail - 1 - j) * (double)d->log_decay);
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* Element i of the state, as the read-out and as the fold see it. */
static double read_at(const rn_decode *d, const float *state, size_t i)
{
    return d->halves ? rn_halves_upper(state, i) : state[i];
}

static double whole_at(const rn_decode *d, const float *state, size_t i)
{
    return d->halves ? rn_halves_get(state, d->dk * d->dv, i) : state[i];
}

static void set_whole(const rn_decode *d, float *state, size_t i, float x)
{
    if (d->halves) rn_halves_set(state, d->dk * d->dv, i, x);
    else state[i] = x;
}

static void read_out(const rn_decode *d, float *o, const float *q, const float *state,
                     const float *z, const float *keys, const float *values)
{
    double score[RN_DECODE_TAIL], keep = exp((double)d->tail * (double)d->log_decay);
    double row_sum = d->norm == RN_ROW_NORM_PAPER ? keep * dot(q, z, d->dk) : 0.0;
    for (size_t j = 0; j < d->tail; j++) {
        score[j] = weight_of(d, j) * dot(q, keys + j * d->dk, d->dk);
        row_sum += score[j];
    }
    double factor = rn_retention_row_factor(
        d->norm, rn_decay_sum((double)d->log_decay, d->seen), row_sum);
    for (size_t c = 0; c < d->dv; c++) {
        double sum = 0.0;
        for (size_t a = 0; a < d->dk; a++)
            sum += (double)q[a] * read_at(d, state, a * d->dv + c);
        sum *= keep;
        for (size_t j = 0; j < d->tail; j++) sum += score[j] * values[j * d->dv + c];
        o[c] = (float)(factor * sum);
    }
}

static void fold(const rn_decode *d, float *state, float *z, const float *keys,
                 const float *values)
{
    double keep = exp((double)d->tail * (double)d->log_decay);
    for (size_t a = 0; a < d->dk; a++) {
        for (size_t c = 0; c < d->dv; c++) {
            double sum = keep * whole_at(d, state, a * d->dv + c);
            for (size_t j = 0; j < d->tail; j++)
                sum += weight_of(d, j) * keys[j * d->dk + a] * values[j * d->dv + c];
            set_whole(d, state, a * d->dv + c, (float)sum);
        }
        if (d->norm != RN_ROW_NORM_PAPER) continue;
        double sum = keep * z[a];
        for (size_t j = 0; j < d->tail; j++) sum += weight_of(d, j) * keys[j * d->dk + a];
        z[a] = (float)sum;
    }
}

void rn_retention_decode_ref(rn_exec *x, const rn_decode *d, float *o, const float *q,
                             float *state, float *z, const float *keys,
                             const float *values)
{
    (void)x;
    if (q) read_out(d, o, q, state, z, keys, values);
    if (d->fold) fold(d, state, z, keys, values);
}

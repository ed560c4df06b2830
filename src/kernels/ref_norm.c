/* References of the norms over the model width and over a head, with their gradients.
   x^ = (x - mean) / std; for y = w x^ and u = dy w the gradient is
   dx = (u - mean(u x^) x^ - mean(u)) / std, the last term with a subtracted mean only. */
#include "kernels/kernels.h"

#include <math.h>

typedef struct moments {
    double mean, rstd;
} moments;

static moments row_moments(const float *in, size_t dim, double eps, bool center)
{
    double sum = 0.0, square = 0.0;
    for (size_t i = 0; i < dim; i++) sum += in[i];
    double mean = center ? sum / (double)dim : 0.0;
    for (size_t i = 0; i < dim; i++) square += (in[i] - mean) * (in[i] - mean);
    return (moments){mean, 1.0 / sqrt(square / (double)dim + eps)};
}

static void store_moments(float *stats, moments m)
{
    if (!stats) return;
    stats[0] = (float)m.mean;
    stats[1] = (float)m.rstd;
}

void rn_norm_fwd_ref(rn_exec *x, float *y, float *stats, const float *in, const float *w,
                     const float *b, size_t rows, size_t dim, float eps, bool center)
{
    (void)x;
    for (size_t r = 0; r < rows; r++, in += dim, y += dim) {
        moments m = row_moments(in, dim, eps, center);
        for (size_t i = 0; i < dim; i++) {
            double v = (in[i] - m.mean) * m.rstd * (w ? w[i] : 1.0f);
            y[i] = (float)(v + (b ? b[i] : 0.0f));
        }
        store_moments(stats ? stats + 2 * r : NULL, m);
    }
}

static void norm_din(float *din, const float *dy, const float *in, const float *w,
                     moments m, size_t dim, bool center)
{
    double sum = 0.0, dot = 0.0;
    for (size_t i = 0; i < dim; i++) {
        double u = (double)dy[i] * (w ? w[i] : 1.0f);
        sum += u;
        dot += u * (in[i] - m.mean) * m.rstd;
    }
    double mean_u = center ? sum / (double)dim : 0.0, mean_dot = dot / (double)dim;
    for (size_t i = 0; i < dim; i++) {
        double u = (double)dy[i] * (w ? w[i] : 1.0f), hat = (in[i] - m.mean) * m.rstd;
        din[i] += (float)(m.rstd * (u - mean_dot * hat - mean_u));
    }
}

void rn_norm_bwd_ref(rn_exec *x, float *din, float *dw, float *db, const float *dy,
                     const float *in, const float *w, const float *stats, size_t rows,
                     size_t dim, bool center)
{
    (void)x;
    for (size_t r = 0; r < rows; r++) {
        moments m = {stats[2 * r], stats[2 * r + 1]};
        norm_din(din + r * dim, dy + r * dim, in + r * dim, w, m, dim, center);
    }
    for (size_t i = 0; i < dim; i++) {
        double sum_w = 0.0, sum_b = 0.0;
        for (size_t r = 0; r < rows; r++) {
            double g = dy[r * dim + i];
            sum_w += g * ((double)in[r * dim + i] - stats[2 * r]) * stats[2 * r + 1];
            sum_b += g;
        }
        if (dw) dw[i] += (float)sum_w;
        if (db) db[i] += (float)sum_b;
    }
}

static double swish(double x)
{
    return x / (1.0 + exp(-x));
}

static double swish_slope(double x)
{
    double s = 1.0 / (1.0 + exp(-x));
    return s * (1.0 + x * (1.0 - s));
}

static moments head_moments(const rn_headnorm *d, const float *o)
{
    if (d->kind == RN_HEAD_NORM_NONE) return (moments){0.0, 1.0};
    return row_moments(o, d->dv, d->eps, d->kind == RN_HEAD_NORM_GROUP);
}

void rn_headnorm_fwd_ref(rn_exec *x, const rn_headnorm *d, float *y, float *stats,
                         const float *o, const float *g, const float *w)
{
    (void)x;
    for (size_t rh = 0; rh < d->rows * d->heads; rh++, o += d->dv, y += d->dv) {
        size_t r = rh / d->heads, h = rh % d->heads;
        const float *gate = g ? g + r * d->ldg + h * d->dv : NULL;
        const float *wh = w ? w + h * d->w_head : NULL;
        moments m = head_moments(d, o);
        for (size_t i = 0; i < d->dv; i++) {
            double v = (o[i] - m.mean) * m.rstd * (wh ? wh[i] : 1.0f);
            y[i] = (float)(gate ? v * swish(gate[i]) : v);
        }
        store_moments(stats ? stats + 2 * rh : NULL, m);
    }
}

/* One head of one row. dw is accumulated elsewhere, over all rows at once. */
static void head_gradient(const rn_headnorm *d, float *d_o, float *dg, const float *dy,
                          const float *o, const float *g, const float *w, moments m)
{
    double sum = 0.0, dot = 0.0;
    for (size_t i = 0; i < d->dv; i++) {
        double hat = (o[i] - m.mean) * m.rstd, wi = w ? w[i] : 1.0f;
        double u = dy[i] * wi * (g ? swish(g[i]) : 1.0);
        sum += u;
        dot += u * hat;
        if (g) dg[i] = (float)(dy[i] * wi * hat * swish_slope(g[i]));
    }
    bool norm = d->kind != RN_HEAD_NORM_NONE;
    double mean_dot = norm ? dot / (double)d->dv : 0.0;
    double mean_u = d->kind == RN_HEAD_NORM_GROUP ? sum / (double)d->dv : 0.0;
    for (size_t i = 0; i < d->dv; i++) {
        double hat = (o[i] - m.mean) * m.rstd;
        double u = dy[i] * (double)(w ? w[i] : 1.0f) * (g ? swish(g[i]) : 1.0);
        d_o[i] = (float)(m.rstd * (u - mean_dot * hat - mean_u));
    }
}

/* dw of channel i of head h, or of channel i of every head when they share w. */
static double head_weight_sum(const rn_headnorm *d, const float *dy, const float *o,
                              const float *g, const float *stats, size_t h, size_t i)
{
    double sum = 0.0;
    for (size_t r = 0; r < d->rows; r++) {
        size_t rh = r * d->heads + h, at = rh * d->dv + i;
        double hat = ((double)o[at] - stats[2 * rh]) * stats[2 * rh + 1];
        sum += dy[at] * hat * (g ? swish(g[r * d->ldg + h * d->dv + i]) : 1.0);
    }
    return sum;
}

static void head_weight_gradient(const rn_headnorm *d, float *dw, const float *dy,
                                 const float *o, const float *g, const float *stats)
{
    size_t sets = d->w_head ? d->heads : 1, sharing = d->heads / sets;
    for (size_t s = 0; s < sets; s++) {
        for (size_t i = 0; i < d->dv; i++) {
            double sum = 0.0;
            for (size_t h = s * sharing; h < (s + 1) * sharing; h++)
                sum += head_weight_sum(d, dy, o, g, stats, h, i);
            dw[s * d->w_head + i] += (float)sum;
        }
    }
}

void rn_headnorm_bwd_ref(rn_exec *x, const rn_headnorm *d, float *d_o, float *dg,
                         float *dw, const float *dy, const float *o, const float *g,
                         const float *w, const float *stats)
{
    (void)x;
    for (size_t r = 0; r < d->rows; r++) {
        for (size_t h = 0; h < d->heads; h++) {
            size_t rh = r * d->heads + h, gate = r * d->ldg + h * d->dv;
            moments m = {stats[2 * rh], stats[2 * rh + 1]};
            head_gradient(d, d_o + rh * d->dv, g ? dg + gate : NULL, dy + rh * d->dv,
                          o + rh * d->dv, g ? g + gate : NULL,
                          w ? w + h * d->w_head : NULL, m);
        }
    }
    if (dw) head_weight_gradient(d, dw, dy, o, g, stats);
}

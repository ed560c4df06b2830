/* References of the small vector operations: bias, row scales, linear combinations, sums
   of squares, dropout and the AdamW step (Loshchilov and Hutter, arXiv 1711.05101). */
#include "kernels/kernels.h"

#include "core/rng.h"

#include <math.h>

void rn_bias_fwd_ref(rn_exec *x, float *y, size_t ld, const float *b, size_t rows,
                     size_t dim)
{
    (void)x;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < dim; i++) y[r * ld + i] += b[i];
}

void rn_bias_bwd_ref(rn_exec *x, float *db, const float *dy, size_t ld, size_t rows,
                     size_t dim)
{
    (void)x;
    for (size_t i = 0; i < dim; i++) {
        double sum = 0.0;
        for (size_t r = 0; r < rows; r++) sum += dy[r * ld + i];
        db[i] += (float)sum;
    }
}

void rn_scale_rows_ref(rn_exec *x, float *t, const float *s, size_t rows, size_t heads,
                       size_t dim)
{
    (void)x;
    for (size_t rh = 0; rh < rows * heads; rh++)
        for (size_t i = 0; i < dim; i++) t[rh * dim + i] *= s[rh];
}

void rn_axpby_ref(rn_exec *x, float *y, float a, const float *in, float b, size_t n)
{
    (void)x;
    for (size_t i = 0; i < n; i++) {
        double old = b == 0.0f ? 0.0 : (double)b * y[i];
        y[i] = (float)((double)a * in[i] + old);
    }
}

void rn_sumsq_ref(rn_exec *x, double *sum, const float *in, size_t n)
{
    (void)x;
    double total = 0.0;
    for (size_t i = 0; i < n; i++) total += (double)in[i] * in[i];
    *sum += total;
}

/* Element i is drawn by word i % 4 of the Philox block (counter, i / 4): its upper 24
   bits as a uniform in [0, 1). */
void rn_dropout_ref(rn_exec *x, float *y, const float *in, size_t n, float p,
                    uint64_t seed, uint64_t counter)
{
    (void)x;
    const float keep = 1.0f / (1.0f - p);
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word[4];
        rn_philox(word, seed, RN_STREAM_DROPOUT, counter, (uint32_t)(i / 4));
        for (size_t j = i; j < n && j < i + 4; j++)
            y[j] = (float)(word[j - i] >> 8) * 0x1p-24f >= p ? in[j] * keep : 0.0f;
    }
}

void rn_adamw_ref(rn_exec *x, const rn_adamw *h, float *p, const float *g, float *m,
                  float *v, size_t n)
{
    (void)x;
    for (size_t i = 0; i < n; i++) {
        double grad = (double)h->grad_scale * g[i];
        double m1 = (double)h->beta1 * m[i] + (1.0 - (double)h->beta1) * grad;
        double m2 = (double)h->beta2 * v[i] + (1.0 - (double)h->beta2) * grad * grad;
        double step = m1 / h->correct1 / (sqrt(m2 / h->correct2) + h->eps);
        p[i] = (float)(p[i] - h->lr * (step + (double)h->decay * p[i]));
        m[i] = (float)m1;
        v[i] = (float)m2;
    }
}

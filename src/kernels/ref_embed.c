/* References of what stands at the model's edges: embedding rows, and the rotation of
   queries and keys by their position. */
#include "kernels/kernels.h"

void rn_embed_fwd_ref(rn_exec *x, float *y, const float *table, const int32_t *ids,
                      size_t rows, size_t dim, float scale)
{
    (void)x;
    for (size_t r = 0; r < rows; r++) {
        const float *from = table + (size_t)ids[r] * dim;
        for (size_t i = 0; i < dim; i++) y[r * dim + i] = scale * from[i];
    }
}

void rn_embed_bwd_ref(rn_exec *x, float *dtable, const float *dy, const int32_t *ids,
                      size_t rows, size_t dim, float scale)
{
    (void)x;
    for (size_t r = 0; r < rows; r++) {
        float *to = dtable + (size_t)ids[r] * dim;
        for (size_t i = 0; i < dim; i++) to[i] += scale * dy[r * dim + i];
    }
}

/* Rotates the pair (a, b) by the angle whose cosine and sine are c and s. */
static void rotate(float *a, float *b, double c, double s, double scale)
{
    double xa = *a, xb = *b;
    *a = (float)((xa * c - xb * s) * scale);
    *b = (float)((xb * c + xa * s) * scale);
}

static void rotate_head(const rn_rotary *d, float *t, const float *cos, const float *sin)
{
    size_t half = d->dk / 2;
    bool adjacent = d->kind == RN_ROTARY_ADJACENT;
    for (size_t i = 0; i < half; i++) {
        double s = d->inverse ? -(double)sin[i] : sin[i];
        size_t a = adjacent ? 2 * i : i, b = adjacent ? 2 * i + 1 : i + half;
        rotate(t + a, t + b, cos[i], s, d->scale);
    }
}

void rn_rotary_ref(rn_exec *x, const rn_rotary *d, float *t)
{
    (void)x;
    for (size_t r = 0; r < d->rows; r++, t += d->ld) {
        if (d->kind == RN_ROTARY_NONE) {
            for (size_t i = 0; i < d->heads * d->dk; i++) t[i] *= d->scale;
            continue;
        }
        size_t at = r % d->period * (d->dk / 2);
        for (size_t h = 0; h < d->heads; h++)
            rotate_head(d, t + h * d->dk, d->cos + at, d->sin + at);
    }
}

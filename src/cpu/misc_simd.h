/* The small vector operations: bias, row scales, linear combinations, sums of squares,
   dropout and AdamW. */
#ifndef RN_CPU_MISC_SIMD_H
#define RN_CPU_MISC_SIMD_H

#include "core/rng.h"
#include "cpu/loop_simd.h"

static inline void bias_row(float *y, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        vf_put(y + i, n - i, vf_add(vf_get(y + i, n - i), vf_get(b + i, n - i)));
}

void RN_VARIANT(bias_fwd)(rn_exec *x, float *y, size_t ld, const float *b, size_t rows,
                          size_t dim)
{
    if (alone(x)) {
        for (size_t r = 0; r < rows; r++) bias_row(y + r * ld, b, dim);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, rows *dim))
    for (size_t r = 0; r < rows; r++) bias_row(y + r * ld, b, dim);
}

static inline void bias_slab(float *db, const float *dy, size_t ld, size_t rows,
                             size_t width)
{
    vf sum[SLAB_VECS];
    RN_UNROLL for (int j = 0; j < SLAB_VECS; j++) sum[j] = vf_zero();
    for (size_t r = 0; r < rows; r++) {
        RN_UNROLL for (int j = 0; j < SLAB_VECS; j++)
        {
            size_t n = vector_part(width, (size_t)j);
            sum[j] = vf_add(sum[j], vf_get(dy + r * ld + j * VW, n));
        }
    }
    slab_add(db, width, sum);
}

void RN_VARIANT(bias_bwd)(rn_exec *x, float *db, const float *dy, size_t ld, size_t rows,
                          size_t dim)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, rows *dim))
    for (size_t c = 0; c < dim; c += SLAB) {
        for (size_t r = 0; r < rows; r += ROW_BLOCK) {
            size_t count = least(rows - r, ROW_BLOCK);
            if (dim - c >= SLAB) bias_slab(db + c, dy + r * ld + c, ld, count, SLAB);
            else bias_slab(db + c, dy + r * ld + c, ld, count, dim - c);
        }
    }
}

void RN_VARIANT(scale_rows)(rn_exec *x, float *t, const float *s, size_t rows,
                            size_t heads, size_t dim)
{
#pragma omp parallel for schedule(static)                                                \
    num_threads(rn_exec_parallel(x, rows *heads *dim))
    for (size_t rh = 0; rh < rows * heads; rh++) {
        float *to = t + rh * dim;
        vf f = vf_set1(s[rh]);
        for (size_t i = 0; i < dim; i += VW)
            vf_put(to + i, dim - i, vf_mul(f, vf_get(to + i, dim - i)));
    }
}

static inline void axpby_block(float *y, float a, const float *in, float b, size_t n)
{
    const vf va = vf_set1(a), vb = vf_set1(b);
    for (size_t i = 0; i < n; i += VW) {
        vf v = vf_mul(va, vf_get(in + i, n - i));
        if (b != 0.0f) v = vf_fma(vb, vf_get(y + i, n - i), v);
        vf_put(y + i, n - i, v);
    }
}

void RN_VARIANT(axpby)(rn_exec *x, float *y, float a, const float *in, float b, size_t n)
{
    if (alone(x)) {
        axpby_block(y, a, in, b, n);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, n))
    for (size_t at = 0; at < n; at += BLOCK)
        axpby_block(y + at, a, in + at, b, least(n - at, BLOCK));
}

static inline double square_sum(const float *in, size_t n)
{
    vd a = vd_zero(), b = vd_zero();
    for (size_t i = 0; i < n; i += VW) {
        vf v = vf_get(in + i, n - i);
        vd low = vd_low(v), high = vd_high(v);
        a = vd_fma(low, low, a);
        b = vd_fma(high, high, b);
    }
    return vd_sum(vd_add(a, b));
}

/* n is cut into at most SUM_PARTS parts of whole blocks, whatever the threads; their sums
   are added in order. */
#define SUM_PARTS 256

void RN_VARIANT(sumsq)(rn_exec *x, double *sum, const float *in, size_t n)
{
    double part[SUM_PARTS];
    const size_t length = blocks_of(blocks_of(n, SUM_PARTS), BLOCK) * BLOCK;
    const size_t parts = n ? blocks_of(n, length) : 0;
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, n))
    for (size_t i = 0; i < parts; i++)
        part[i] = square_sum(in + i * length, least(n - i * length, length));
    double total = 0.0;
    for (size_t i = 0; i < parts; i++) total += part[i];
    *sum += total;
}

/* The Philox of core/rng.c on VW/2 counters at once: 2 VW uniforms in two vectors per
   half, in the order of ref_misc.c's definition. */
static inline void philox_uniforms(vf out[2], uint32_t block, uint64_t seed,
                                   uint64_t counter)
{
    const vq m0 = vq_set1(0xD2511F53u), m1 = vq_set1(0xCD9E8D57u);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    vq w[4] = {vq_counters(block), vq_set1((uint32_t)RN_STREAM_DROPOUT),
               vq_set1((uint32_t)counter), vq_set1((uint32_t)(counter >> 32))};
    for (int round = 0; round < 10; round++) {
        vq p0 = vq_mul(w[0], m0), p1 = vq_mul(w[2], m1);
        w[0] = vq_xor3(vq_upper(p1), w[1], vq_set1(k0));
        w[2] = vq_xor3(vq_upper(p0), w[3], vq_set1(k1));
        w[1] = p1;
        w[3] = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    vf_from_words(out, w);
}

static inline void dropout_block(float *y, const float *in, size_t n, float p,
                                 uint64_t seed, uint64_t counter, size_t first)
{
    const vf rate = vf_set1(p), keep = vf_set1(1.0f / (1.0f - p)), zero = vf_zero();
    for (size_t i = 0; i < n; i += 2 * VW) {
        vf u[2];
        philox_uniforms(u, (uint32_t)((first + i) / 4), seed, counter);
        for (size_t j = 0; j < 2 && i + j * VW < n; j++) {
            size_t at = i + j * VW;
            vf v = vf_mul(vf_get(in + at, n - at), keep);
            vf_put(y + at, n - at, vf_select_gt(rate, u[j], zero, v));
        }
    }
}

void RN_VARIANT(dropout)(rn_exec *x, float *y, const float *in, size_t n, float p,
                         uint64_t seed, uint64_t counter)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, 4 * n))
    for (size_t at = 0; at < n; at += BLOCK)
        dropout_block(y + at, in + at, least(n - at, BLOCK), p, seed, counter, at);
}

/* The constants of a step, in vectors. */
typedef struct adamw_factors {
    vf grad, beta1, beta2, rest1, rest2, inverse1, inverse2, lr, eps, decay;
} adamw_factors;

static inline adamw_factors adamw_constants(const rn_adamw *h)
{
    return (adamw_factors){.grad = vf_set1(h->grad_scale),
                           .beta1 = vf_set1(h->beta1),
                           .beta2 = vf_set1(h->beta2),
                           .rest1 = vf_set1((float)(1.0 - (double)h->beta1)),
                           .rest2 = vf_set1((float)(1.0 - (double)h->beta2)),
                           .inverse1 = vf_set1((float)(1.0 / h->correct1)),
                           .inverse2 = vf_set1((float)(1.0 / h->correct2)),
                           .lr = vf_set1(h->lr),
                           .eps = vf_set1(h->eps),
                           .decay = vf_set1(h->decay)};
}

static inline void adamw_block(const rn_adamw *h, float *p, const float *g, float *m,
                               float *v, size_t n)
{
    const adamw_factors f = adamw_constants(h);
    for (size_t i = 0; i < n; i += VW) {
        size_t left = n - i;
        vf grad = vf_mul(f.grad, vf_get(g + i, left)), old = vf_get(p + i, left);
        vf m1 = vf_fma(f.beta1, vf_get(m + i, left), vf_mul(f.rest1, grad));
        vf m2 = vf_fma(f.beta2, vf_get(v + i, left), vf_mul(f.rest2, vf_mul(grad, grad)));
        vf root = vf_add(vf_sqrt(vf_mul(m2, f.inverse2)), f.eps);
        vf step = vf_fma(f.decay, old, vf_div(vf_mul(m1, f.inverse1), root));
        vf_put(p + i, left, vf_fnma(f.lr, step, old));
        vf_put(m + i, left, m1);
        vf_put(v + i, left, m2);
    }
}

void RN_VARIANT(adamw)(rn_exec *x, const rn_adamw *h, float *p, const float *g, float *m,
                       float *v, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, 4 * n))
    for (size_t at = 0; at < n; at += BLOCK)
        adamw_block(h, p + at, g + at, m + at, v + at, least(n - at, BLOCK));
}

#endif

/* Activations, alone and as the gate of a feed-forward, with their gradients. The kind is
   a constant in every loop: the switches are outside. */
#ifndef RN_CPU_ACTIVATION_SIMD_H
#define RN_CPU_ACTIVATION_SIMD_H

#include "cpu/loop_simd.h"
#include "cpu/math_simd.h"

#define INLINE static inline __attribute__((always_inline))

/* One vector's activation and slope. */
typedef struct act_pair {
    vf value, slope;
} act_pair;

INLINE act_pair act_swish(vf x)
{
    vf s = vf_sigmoid(x);
    return (act_pair){vf_mul(x, s), vf_swish_slope(x, s)};
}

INLINE act_pair act_gelu(vf x)
{
    vf bell = vf_bell(x), cdf = vf_normal_cdf(x, bell);
    vf density = vf_mul(bell, vf_set1(0.39894228f)); /* 1 / sqrt(2 pi) */
    return (act_pair){vf_mul(x, cdf), vf_fma(x, density, cdf)};
}

INLINE act_pair act_relu(vf x)
{
    vf zero = vf_zero();
    return (act_pair){vf_max(zero, x), vf_select_gt(x, zero, vf_set1(1.0f), zero)};
}

INLINE act_pair act_of(rn_activation kind, vf x)
{
    return kind == RN_ACT_SWISH  ? act_swish(x)
           : kind == RN_ACT_GELU ? act_gelu(x)
                                 : act_relu(x);
}

INLINE void act_forward(rn_activation kind, float *y, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i += VW)
        vf_put(y + i, n - i, act_of(kind, vf_get(in + i, n - i)).value);
}

INLINE void act_backward(rn_activation kind, float *din, const float *dy, const float *in,
                         size_t n)
{
    for (size_t i = 0; i < n; i += VW) {
        vf slope = act_of(kind, vf_get(in + i, n - i)).slope;
        vf_put(din + i, n - i, vf_mul(vf_get(dy + i, n - i), slope));
    }
}

INLINE void glu_forward(rn_activation kind, float *h, const float *g, const float *u,
                        size_t n)
{
    for (size_t i = 0; i < n; i += VW) {
        vf value = act_of(kind, vf_get(g + i, n - i)).value;
        vf_put(h + i, n - i, vf_mul(value, vf_get(u + i, n - i)));
    }
}

INLINE void glu_backward(rn_activation kind, float *dg, float *du, const float *dh,
                         const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += VW) {
        act_pair a = act_of(kind, vf_get(g + i, n - i));
        vf d = vf_get(dh + i, n - i);
        vf_put(dg + i, n - i, vf_mul(vf_mul(d, vf_get(u + i, n - i)), a.slope));
        vf_put(du + i, n - i, vf_mul(d, a.value));
    }
}

static inline void act_block(rn_activation kind, float *y, const float *in, size_t n)
{
    switch (kind) {
    case RN_ACT_SWISH: act_forward(RN_ACT_SWISH, y, in, n); break;
    case RN_ACT_GELU: act_forward(RN_ACT_GELU, y, in, n); break;
    case RN_ACT_RELU: act_forward(RN_ACT_RELU, y, in, n); break;
    }
}

void RN_VARIANT(act_fwd)(rn_exec *x, float *y, const float *in, size_t n,
                         rn_activation kind)
{
    if (alone(x)) {
        act_block(kind, y, in, n);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, 4 * n))
    for (size_t at = 0; at < n; at += BLOCK)
        act_block(kind, y + at, in + at, least(n - at, BLOCK));
}

void RN_VARIANT(act_bwd)(rn_exec *x, float *din, const float *dy, const float *in,
                         size_t n, rn_activation kind)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, 4 * n))
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = least(n - at, BLOCK);
        float *to = din + at;
        switch (kind) {
        case RN_ACT_SWISH: act_backward(RN_ACT_SWISH, to, dy + at, in + at, count); break;
        case RN_ACT_GELU: act_backward(RN_ACT_GELU, to, dy + at, in + at, count); break;
        case RN_ACT_RELU: act_backward(RN_ACT_RELU, to, dy + at, in + at, count); break;
        }
    }
}

void RN_VARIANT(glu_fwd)(rn_exec *x, float *h, const float *gu, size_t rows, size_t f,
                         rn_activation kind)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, 4 * rows * f))
    for (size_t r = 0; r < rows; r++) {
        const float *g = gu + 2 * r * f, *u = g + f;
        float *to = h + r * f;
        switch (kind) {
        case RN_ACT_SWISH: glu_forward(RN_ACT_SWISH, to, g, u, f); break;
        case RN_ACT_GELU: glu_forward(RN_ACT_GELU, to, g, u, f); break;
        case RN_ACT_RELU: glu_forward(RN_ACT_RELU, to, g, u, f); break;
        }
    }
}

void RN_VARIANT(glu_bwd)(rn_exec *x, float *dgu, const float *dh, const float *gu,
                         size_t rows, size_t f, rn_activation kind)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, 4 * rows * f))
    for (size_t r = 0; r < rows; r++) {
        const float *g = gu + 2 * r * f, *u = g + f, *d = dh + r * f;
        float *dg = dgu + 2 * r * f, *du = dg + f;
        switch (kind) {
        case RN_ACT_SWISH: glu_backward(RN_ACT_SWISH, dg, du, d, g, u, f); break;
        case RN_ACT_GELU: glu_backward(RN_ACT_GELU, dg, du, d, g, u, f); break;
        case RN_ACT_RELU: glu_backward(RN_ACT_RELU, dg, du, d, g, u, f); break;
        }
    }
}

#endif

/* References of the activations: swish x / (1 + e^-x), gelu x Phi(x) with the exact
   normal distribution, relu; alone and as the gate of a feed-forward, with their
   gradients. */
#include "kernels/kernels.h"

#include <math.h>

#define SQRT_HALF    0.70710678118654752440
#define INV_SQRT_2PI 0.39894228040143267794

static double act(double x, rn_activation kind)
{
    switch (kind) {
    case RN_ACT_SWISH: return x / (1.0 + exp(-x));
    case RN_ACT_GELU: return 0.5 * x * erfc(-x * SQRT_HALF);
    case RN_ACT_RELU: break;
    }
    return x < 0.0 ? 0.0 : x;
}

static double act_slope(double x, rn_activation kind)
{
    switch (kind) {
    case RN_ACT_SWISH: {
        double s = 1.0 / (1.0 + exp(-x));
        return s * (1.0 + x * (1.0 - s));
    }
    case RN_ACT_GELU:
        return 0.5 * erfc(-x * SQRT_HALF) + x * exp(-0.5 * x * x) * INV_SQRT_2PI;
    case RN_ACT_RELU: break;
    }
    return x > 0.0 ? 1.0 : 0.0;
}

void rn_act_fwd_ref(rn_exec *x, float *y, const float *in, size_t n, rn_activation kind)
{
    (void)x;
    for (size_t i = 0; i < n; i++) y[i] = (float)act(in[i], kind);
}

void rn_act_bwd_ref(rn_exec *x, float *din, const float *dy, const float *in, size_t n,
                    rn_activation kind)
{
    (void)x;
    for (size_t i = 0; i < n; i++) din[i] = (float)(dy[i] * act_slope(in[i], kind));
}

void rn_glu_fwd_ref(rn_exec *x, float *h, const float *gu, size_t rows, size_t f,
                    rn_activation kind)
{
    (void)x;
    for (size_t r = 0; r < rows; r++) {
        const float *g = gu + 2 * r * f, *u = g + f;
        for (size_t i = 0; i < f; i++) h[r * f + i] = (float)(act(g[i], kind) * u[i]);
    }
}

void rn_glu_bwd_ref(rn_exec *x, float *dgu, const float *dh, const float *gu, size_t rows,
                    size_t f, rn_activation kind)
{
    (void)x;
    for (size_t r = 0; r < rows; r++) {
        const float *g = gu + 2 * r * f, *u = g + f;
        float *dg = dgu + 2 * r * f, *du = dg + f;
        for (size_t i = 0; i < f; i++) {
            double d = dh[r * f + i];
            dg[i] = (float)(d * u[i] * act_slope(g[i], kind));
            du[i] = (float)(d * act(g[i], kind));
        }
    }
}

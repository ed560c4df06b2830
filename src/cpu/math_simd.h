/* exp, the logistic function and the normal distribution on vectors. NaN goes through all
   of them. The polynomials were fitted by weighted least squares to the relative error;
   the errors stated were measured. Included after simd_ISA.h. */
#ifndef RN_CPU_MATH_SIMD_H
#define RN_CPU_MATH_SIMD_H

/* e^x within 1 unit in the last place; 0 and infinity beyond the range of floats.
   x = n log 2 + r with |r| <= log 2 / 2; log 2 in two parts; e^r = 1 + r + r^2 p(r). */
static inline vf vf_exp(vf x)
{
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x));
    vf n = vf_round(vf_mul(x, vf_set1(1.44269504f)));
    vf r = vf_fnma(n, vf_set1(0.693147182f), x);
    r = vf_fnma(n, vf_set1(-1.90465421e-9f), r);
    vf p = vf_set1(0x1.6a23d0p-10f);
    p = vf_fma(p, r, vf_set1(0x1.123a20p-7f));
    p = vf_fma(p, r, vf_set1(0x1.5558f2p-5f));
    p = vf_fma(p, r, vf_set1(0x1.555492p-3f));
    p = vf_fma(p, r, vf_set1(0x1.fffffcp-2f));
    vf e = vf_add(vf_fma(p, vf_mul(r, r), r), vf_set1(1.0f));
    return vf_scale2(e, n);
}

/* 1 / (1 + e^-x). */
static inline vf vf_sigmoid(vf x)
{
    vf one = vf_set1(1.0f);
    return vf_div(one, vf_add(one, vf_exp(vf_sub(vf_zero(), x))));
}

/* e^(-x^2/2) within 1.5 units in the last place: the rounding error of the square is made
   good. */
static inline vf vf_bell(vf x)
{
    vf half = vf_set1(0.5f);
    x = vf_min(vf_abs(x), vf_set1(20.0f)); /* where it has vanished */
    vf square = vf_mul(x, x);
    vf lost = vf_sub(vf_zero(), vf_fnma(x, x, square)); /* x^2 - square, exactly */
    vf e = vf_exp(vf_mul(square, vf_set1(-0.5f)));
    return vf_fnma(vf_mul(e, half), lost, e);
}

/* Phi(x), the normal distribution, from bell = vf_bell(x), within 6 units in the last
   place on both sides: for t = |x|, 1 - Phi(t) = bell M(t), Mills' ratio over sqrt(2 pi),
   a polynomial in 1 / (1 + t/4) up to t = 14.5, where the bell has vanished. */
static inline vf vf_normal_cdf(vf x, vf bell)
{
    vf one = vf_set1(1.0f);
    vf u = vf_div(one, vf_fma(vf_abs(x), vf_set1(0.25f), one));
    vf p = vf_set1(0.03342565894126892f);
    p = vf_fma(p, u, vf_set1(-0.193378746509552f));
    p = vf_fma(p, u, vf_set1(0.3884904384613037f));
    p = vf_fma(p, u, vf_set1(-0.3248714804649353f));
    p = vf_fma(p, u, vf_set1(0.29739710688591003f));
    p = vf_fma(p, u, vf_set1(-0.016603967174887657f));
    p = vf_fma(p, u, vf_set1(0.12026657909154892f));
    p = vf_fma(p, u, vf_set1(0.09509889781475067f));
    p = vf_fma(p, u, vf_set1(0.10019534826278687f));
    p = vf_fma(p, u, vf_set1(-1.985485687328037e-05f));
    vf tail = vf_mul(bell, p);
    return vf_select_gt(vf_zero(), x, tail, vf_sub(one, tail));
}

/* x / (1 + e^-x), and its derivative s (1 + x (1 - s)). */
static inline vf vf_swish(vf x)
{
    return vf_mul(x, vf_sigmoid(x));
}

static inline vf vf_swish_slope(vf x, vf s)
{
    vf one = vf_set1(1.0f);
    return vf_mul(s, vf_fma(x, vf_sub(one, s), one));
}

#endif

/*
 * Inside the number formats: one coder a block type, and what the encoders share.
 * Encoders look for the scales that make the sum of squared errors small, in float32 and
 * in a fixed order, so that every machine writes the same bytes. Scales are halves and
 * stay finite: numbers beyond what they reach are encoded as the largest that they reach.
 */
#ifndef RN_CORE_WEIGHT_BLOCKS_H
#define RN_CORE_WEIGHT_BLOCKS_H

#include "core/half.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#define RN_Q8_0_BYTES ((size_t)34)
#define RN_Q4_0_BYTES ((size_t)18)
#define RN_Q4_K_BYTES ((size_t)144)
#define RN_Q6_K_BYTES ((size_t)210)

/* n numbers, whole blocks, at any address. */
void rn_q8_0_decode(float *out, const unsigned char *in, size_t n);
void rn_q8_0_encode(unsigned char *out, const float *in, size_t n);
void rn_q4_0_decode(float *out, const unsigned char *in, size_t n);
void rn_q4_0_encode(unsigned char *out, const float *in, size_t n);
void rn_q4_k_decode(float *out, const unsigned char *in, size_t n);
void rn_q4_k_encode(unsigned char *out, const float *in, size_t n);
void rn_q6_k_decode(float *out, const unsigned char *in, size_t n);
void rn_q6_k_encode(unsigned char *out, const float *in, size_t n);

static inline uint16_t rn_load_u16(const unsigned char *at)
{
    uint16_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

static inline void rn_store_u16(unsigned char *at, uint16_t x)
{
    memcpy(at, &x, sizeof x);
}

/* The half nearest to a scale, at most the largest finite one. */
#define RN_HALF_MAX 65504.0f
static inline uint16_t rn_scale_half(float d)
{
    if (d > RN_HALF_MAX) d = RN_HALF_MAX;
    if (d < -RN_HALF_MAX) d = -RN_HALF_MAX;
    return rn_half_of_float(d);
}

/* The scale d, a half, of whose whole multiples up to `most` the last is about `end`: the
   nearest, or the next one up where that would lose a level. */
static inline uint16_t rn_scale_to(float end, float most)
{
    uint16_t half = rn_scale_half(end / most);
    float d = fabsf(rn_half_to_float(half));
    bool lost = fabsf(end) - most * d > 0.5f * d && (half & 0x7fffu) < 0x7bffu;
    return lost ? (uint16_t)(half + 1) : half;
}

static inline float rn_clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* The nearest whole number, ties to even, of |x| below 2^22: at this size a float32 has
   no fraction. */
#define RN_ROUND 0x1.8p23f
static inline float rn_nearest(float x)
{
    return (x + RN_ROUND) - RN_ROUND;
}

/* x as a whole number of steps inside [low, high]; inverse is 1 / step, or 0. */
static inline float rn_level(float x, float inverse, float low, float high)
{
    return rn_nearest(rn_clamp(x * inverse, low, high));
}

static inline float rn_inverse(float step)
{
    return step != 0.0f ? 1.0f / step : 0.0f;
}

/* Numbers cut to [-limit, limit]; not-a-numbers become limit. */
static inline void rn_cut(float *out, const float *in, int n, float limit)
{
    for (int i = 0; i < n; i++)
        out[i] = in[i] < limit ? (in[i] > -limit ? in[i] : -limit) : limit;
}

/* The number of largest magnitude, with its sign. */
static inline float rn_extreme(const float *x, int n)
{
    float most = 0.0f;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(most)) most = x[i];
    return most;
}

/* Sum of squared errors of n numbers, each the nearest of step * (low .. high). */
static inline float rn_step_error(const float *x, int n, float step, float low,
                                  float high)
{
    float inverse = rn_inverse(step), even = 0.0f, odd = 0.0f;
    for (int i = 0; i < n; i += 2) {
        float a = x[i] - step * rn_level(x[i], inverse, low, high);
        float b = x[i + 1] - step * rn_level(x[i + 1], inverse, low, high);
        even += a * a;
        odd += b * b;
    }
    return even + odd;
}

/* The step that is best for the levels that `inverse` gives, by least squares: sum x l /
   sum l l. *gain is how much of sum x x it explains. */
static inline float rn_step_fit(const float *x, int n, float inverse, float low,
                                float high, float *gain)
{
    float xl0 = 0.0f, xl1 = 0.0f, ll0 = 0.0f, ll1 = 0.0f;
    for (int i = 0; i < n; i += 2) {
        float a = rn_level(x[i], inverse, low, high);
        float b = rn_level(x[i + 1], inverse, low, high);
        xl0 += x[i] * a;
        xl1 += x[i + 1] * b;
        ll0 += a * a;
        ll1 += b * b;
    }
    float step = (xl0 + xl1) * rn_inverse(ll0 + ll1);
    *gain = step * (xl0 + xl1);
    return step;
}

/* The best step of a search that begins with the extreme number at each of `count`
   levels, `by` apart from `first` on, and follows the best of them down. 0 where
   everything is too small for a half. */
static inline float rn_step_search(const float *x, int n, float low, float high,
                                   float first, float by, int count)
{
    float most = rn_extreme(x, n), best = 0.0f, step = 0.0f;
    if (fabsf(most) < 0x1p-30f) return 0.0f;
    for (int i = 0; i < count; i++) {
        float gain, inverse = (first + by * (float)i) / most;
        float fit = rn_step_fit(x, n, inverse, low, high, &gain);
        if (gain > best) {
            best = gain;
            step = fit;
        }
    }
    for (int i = 0; i < 2; i++) {
        float gain, fit = rn_step_fit(x, n, rn_inverse(step), low, high, &gain);
        if (!(gain > best)) break;
        best = gain;
        step = fit;
    }
    return step;
}

#endif

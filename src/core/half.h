/* IEEE half and bfloat16 to and from float32. From them is exact; to them rounds to the
   nearest, ties to even. A NaN stays a NaN. */
#ifndef RN_CORE_HALF_H
#define RN_CORE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float rn_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t rn_bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float rn_bf16_to_float(uint16_t x)
{
    return rn_float_of_bits((uint32_t)x << 16);
}

static inline uint16_t rn_bf16_of_float(float x)
{
    uint32_t bits = rn_bits_of_float(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static inline float rn_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
    if (exponent == 31) return rn_float_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent > 0)
        return rn_float_of_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f;
    return sign ? -tiny : tiny;
}

/* Beyond 65504 + half a step: infinity. Adding 2^k in float32 does the rounding of
   subnormals, an integer carry that of the others. */
static inline uint16_t rn_half_of_float(float x)
{
    uint32_t bits = rn_bits_of_float(x), sign = bits >> 16 & 0x8000u;
    uint32_t size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (size >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
    if (size < 0x38800000u) { /* below 2^-14: multiples of 2^-24 */
        uint32_t r = rn_bits_of_float(rn_float_of_bits(size) + 0.5f) - 0x3f000000u;
        return (uint16_t)(sign | r);
    }
    uint32_t odd = size >> 13 & 1u;
    return (uint16_t)(sign | ((size - 0x38000000u + 0xfffu + odd) >> 13));
}

#endif

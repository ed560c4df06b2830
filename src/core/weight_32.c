/* Blocks of 32 numbers with one half as scale. Q8_0: d, then 32 i8, x = d q. Q4_0: d,
   then 16 bytes whose low halves are numbers 0..15 and high halves 16..31, x = d (q - 8).
 */
#include "core/weight_blocks.h"

#define BLOCK 32

void rn_q8_0_decode(float *out, const unsigned char *in, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK, in += RN_Q8_0_BYTES) {
        float d = rn_half_to_float(rn_load_u16(in));
        for (size_t i = 0; i < BLOCK; i++) out[at + i] = d * (float)(int8_t)in[2 + i];
    }
}

/* The scale, of two halves, that has the smaller error. */
static uint16_t better(const float *x, float low, float high, uint16_t a, uint16_t b)
{
    if (a == b) return a;
    float error_a = rn_step_error(x, BLOCK, rn_half_to_float(a), low, high);
    float error_b = rn_step_error(x, BLOCK, rn_half_to_float(b), low, high);
    return error_b < error_a ? b : a;
}

static uint16_t q8_0_scale(const float *x)
{
    float most = fabsf(rn_extreme(x, BLOCK));
    uint16_t plain = rn_scale_half(most / 127.0f);
    return better(x, -127, 127, plain, rn_scale_to(most, 127.0f));
}

void rn_q8_0_encode(unsigned char *out, const float *in, size_t n)
{
    float x[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK, out += RN_Q8_0_BYTES) {
        rn_cut(x, in + at, BLOCK, 127 * RN_HALF_MAX);
        uint16_t half = q8_0_scale(x);
        float inverse = rn_inverse(rn_half_to_float(half));
        rn_store_u16(out, half);
        for (size_t i = 0; i < BLOCK; i++)
            out[2 + i] = (unsigned char)(int8_t)rn_level(x[i], inverse, -127, 127);
    }
}

void rn_q4_0_decode(float *out, const unsigned char *in, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK, in += RN_Q4_0_BYTES) {
        float d = rn_half_to_float(rn_load_u16(in));
        for (size_t i = 0; i < BLOCK / 2; i++) {
            out[at + i] = d * (float)((in[2 + i] & 15) - 8);
            out[at + BLOCK / 2 + i] = d * (float)((in[2 + i] >> 4) - 8);
        }
    }
}

/* The extreme number at -8, or what a search finds with it at -9, -8.75 .. -6.25, which
   on normal numbers misses the least possible error by 0.02%. */
static uint16_t q4_0_scale(const float *x)
{
    float most = rn_extreme(x, BLOCK);
    uint16_t plain = rn_scale_half(most / -8.0f);
    float step = rn_step_search(x, BLOCK, -8, 7, -9.0f, 0.25f, 12);
    uint16_t found = better(x, -8, 7, rn_scale_half(step), rn_scale_to(-most, 8.0f));
    return better(x, -8, 7, plain, found);
}

void rn_q4_0_encode(unsigned char *out, const float *in, size_t n)
{
    float x[BLOCK], q[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK, out += RN_Q4_0_BYTES) {
        rn_cut(x, in + at, BLOCK, 8 * RN_HALF_MAX);
        uint16_t half = q4_0_scale(x);
        float inverse = rn_inverse(rn_half_to_float(half));
        rn_store_u16(out, half);
        for (size_t i = 0; i < BLOCK; i++) q[i] = rn_level(x[i], inverse, -8, 7) + 8;
        for (size_t i = 0; i < BLOCK / 2; i++)
            out[2 + i] = (unsigned char)((int)q[i] | (int)q[BLOCK / 2 + i] << 4);
    }
}

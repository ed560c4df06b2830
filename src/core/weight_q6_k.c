/*
 * Q6_K: 256 numbers in 210 bytes, x = d scale (q - 32), q of 6 bits, an i8 scale for each
 * 16 numbers, one half d: ql[128], qh[64], scales[16], d. In each half of 128 numbers,
 * number 32 g + l (g = 0..3) has its low four bits in the low (g < 2) or high half of
 * ql[32 (g % 2) + l] and its upper two in bits 2g, 2g + 1 of qh[l].
 */
#include "core/weight_blocks.h"

#define BLOCK  256
#define SUB    16 /* numbers with one scale */
#define SUBS   16
#define HIGH   128 /* where qh, the scales and d begin */
#define SCALES 192
#define SCALE  208
#define ROUNDS 3 /* of fitting d and the scales in turn */

/* Where the bits of number i lie. */
typedef struct place {
    int low, low_shift, high, high_shift;
} place;

static place place_of(int i)
{
    int half = i / 128, group = i % 128 / 32, l = i % 32;
    return (place){64 * half + 32 * (group % 2) + l, group / 2 * 4, HIGH + 32 * half + l,
                   2 * group};
}

void rn_q6_k_decode(float *out, const unsigned char *in, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK, in += RN_Q6_K_BYTES) {
        float d = rn_half_to_float(rn_load_u16(in + SCALE));
        for (int i = 0; i < BLOCK; i++) {
            place p = place_of(i);
            int low = in[p.low] >> p.low_shift & 15;
            int high = in[p.high] >> p.high_shift & 3;
            float step = d * (float)(int8_t)in[SCALES + i / SUB];
            out[at + (size_t)i] = step * (float)((low | high << 4) - 32);
        }
    }
}

/* A block while it is being encoded: scale[] are whole numbers, the i8. */
typedef struct block {
    float x[BLOCK], scale[SUBS], d, error;
} block;

/* The scale of sub-block j under d: the best of the whole numbers around `step / d`. */
static float fit_scale(block *b, int j, float step)
{
    const float *x = b->x + j * SUB;
    float middle = rn_level(step, rn_inverse(b->d), -128, 127), least = INFINITY;
    for (int i = -1; i <= 1; i++) {
        float s = middle + (float)i;
        if (s < -128 || s > 127) continue;
        float error = rn_step_error(x, SUB, b->d * s, -32, 31);
        if (!(error < least)) continue;
        least = error;
        b->scale[j] = s;
    }
    return least;
}

static void fit_scales(block *b, const float *steps)
{
    b->error = 0.0f;
    for (int j = 0; j < SUBS; j++) b->error += fit_scale(b, j, steps[j]);
}

/* The d that fits the numbers best with the scales and levels as they are. */
static float refit(const block *b)
{
    float xu = 0.0f, uu = 0.0f;
    for (int i = 0; i < BLOCK; i++) {
        float scale = b->scale[i / SUB];
        float u = scale * rn_level(b->x[i], rn_inverse(b->d * scale), -32, 31);
        xu += b->x[i] * u;
        uu += u * u;
    }
    return xu * rn_inverse(uu);
}

/* Steps that begin with the extreme number at -33, -32.5 .. -25.5 (a coarser step may
   well meet 16 numbers better); d from the largest, at -128; then d and the scales in
   turn, while it helps. */
static void search(block *b)
{
    float steps[SUBS];
    for (int j = 0; j < SUBS; j++)
        steps[j] = rn_step_search(b->x + j * SUB, SUB, -32, 31, -33.0f, 0.5f, 16);
    b->d = rn_half_to_float(rn_scale_to(-rn_extreme(steps, SUBS), 128.0f));
    fit_scales(b, steps);
    for (int i = 0; i < ROUNDS; i++) {
        block next = *b;
        next.d = rn_half_to_float(rn_scale_half(refit(b)));
        fit_scales(&next, steps);
        if (!(next.error < b->error)) break;
        *b = next;
    }
}

static void store(unsigned char *out, const block *b)
{
    memset(out, 0, RN_Q6_K_BYTES);
    rn_store_u16(out + SCALE, rn_half_of_float(b->d));
    for (int j = 0; j < SUBS; j++) out[SCALES + j] = (unsigned char)(int8_t)b->scale[j];
    for (int i = 0; i < BLOCK; i++) {
        place p = place_of(i);
        float inverse = rn_inverse(b->d * b->scale[i / SUB]);
        int q = (int)rn_level(b->x[i], inverse, -32, 31) + 32;
        out[p.low] |= (unsigned char)((q & 15) << p.low_shift);
        out[p.high] |= (unsigned char)(q >> 4 << p.high_shift);
    }
}

void rn_q6_k_encode(unsigned char *out, const float *in, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK, out += RN_Q6_K_BYTES) {
        block b;
        rn_cut(b.x, in + at, BLOCK, 128.0f * 32.0f * RN_HALF_MAX);
        search(&b);
        store(out, &b);
    }
}

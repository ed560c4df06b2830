/*
 * Reference of the products with quantised weights and of the activations in bytes that
 * they multiply: y[r,j] = sum over blocks b of 32 columns of d_a[r,b] times what the
 * block of W makes of the q_a, in double. Sums inside a scale's columns are exact.
 */
#include "kernels/kernels.h"

#include "core/half.h"

#include <math.h>

enum { BLOCK = 32, HALF = 16, LINE = 64 };

/* The dot product of bytes; `w` gives row j's number in column c of the block. */
typedef int weight_fn(const unsigned char *lines, size_t row, size_t c);

static int byte_at(const unsigned char *lines, size_t row, size_t c)
{
    return lines[c / 4 * LINE + 4 * row + c % 4];
}

static int nibble_at(const unsigned char *lines, size_t row, size_t c)
{
    const int both = lines[c / 8 * LINE + 4 * row + c % 4];
    return c % 8 < 4 ? both & 15 : both >> 4;
}

static int six_bits_at(const unsigned char *lines, size_t row, size_t c)
{
    const int pairs = lines[(4 + c / HALF) * LINE + 4 * row + c % 4];
    return nibble_at(lines, row, c) | (pairs >> c % HALF / 4 * 2 & 3) << 4;
}

/* The exact sum of (w - offset) q over columns first .. last-1 of a block. */
static double dot(weight_fn *weight, const unsigned char *lines, size_t row, int offset,
                  const int8_t *q, size_t first, size_t last)
{
    int sum = 0;
    for (size_t c = first; c < last; c++) sum += (weight(lines, row, c) - offset) * q[c];
    return sum;
}

static double half_at(const unsigned char *halves, size_t i)
{
    uint16_t half;
    memcpy(&half, halves + 2 * i, sizeof half);
    return (double)rn_half_to_float(half);
}

/* What block b of a row of a panel makes of 32 q_a. */
typedef double block_fn(const unsigned char *panel, size_t row, size_t b,
                        const int8_t *q);

static double block_q8_0(const unsigned char *panel, size_t row, size_t b,
                         const int8_t *q)
{
    const unsigned char *unit = panel + b / 2 * (LINE + 16 * LINE);
    const unsigned char *lines = unit + LINE + b % 2 * (8 * LINE);
    return half_at(unit, b % 2 * 16 + row) * dot(byte_at, lines, row, 128, q, 0, BLOCK);
}

static double block_q4_0(const unsigned char *panel, size_t row, size_t b,
                         const int8_t *q)
{
    const unsigned char *unit = panel + b / 2 * (LINE + 8 * LINE);
    const unsigned char *lines = unit + LINE + b % 2 * (4 * LINE);
    return half_at(unit, b % 2 * 16 + row) * dot(nibble_at, lines, row, 8, q, 0, BLOCK);
}

static double block_q4_k(const unsigned char *panel, size_t row, size_t b,
                         const int8_t *q)
{
    const unsigned char *unit = panel + b / 8 * (5 * LINE + 32 * LINE);
    const unsigned char *scales = unit + LINE + b % 8 * 32;
    const unsigned char *lines = unit + 5 * LINE + b % 8 * (4 * LINE);
    int sum = 0;
    for (size_t c = 0; c < BLOCK; c++) sum += q[c];
    return half_at(unit, row) * scales[row] * dot(nibble_at, lines, row, 0, q, 0, BLOCK) -
           half_at(unit, 16 + row) * scales[16 + row] * sum;
}

static double block_q6_k(const unsigned char *panel, size_t row, size_t b,
                         const int8_t *q)
{
    const unsigned char *unit = panel + b / 8 * (5 * LINE + 48 * LINE);
    const unsigned char *scales = unit + LINE + b % 8 * 32;
    const unsigned char *lines = unit + 5 * LINE + b % 8 * (6 * LINE);
    float d;
    memcpy(&d, unit + 4 * row, sizeof d);
    return (double)d *
           ((int8_t)scales[row] * dot(six_bits_at, lines, row, 32, q, 0, HALF) +
            (int8_t)scales[16 + row] * dot(six_bits_at, lines, row, 32, q, HALF, BLOCK));
}

static void linear(block_fn *block, float *y, size_t ldy, const rn_acts *in,
                   const rn_panels *w, size_t begin, size_t end)
{
    const size_t blocks = w->k / BLOCK, panel = rn_panel_bytes(w->type, w->k);
    for (size_t r = 0; r < in->rows; r++) {
        const int8_t *q = (const int8_t *)in->data + r * in->ld;
        const float *d = in->scale + r * blocks;
        for (size_t j = begin; j < end; j++) {
            const unsigned char *at = w->data + j / RN_PANEL * panel;
            double sum = 0.0;
            for (size_t b = 0; b < blocks; b++)
                sum += (double)d[b] * block(at, j % RN_PANEL, b, q + b * BLOCK);
            y[r * ldy + j] = (float)sum;
        }
    }
}

void rn_linear_q8_0_ref(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                        const rn_panels *w, size_t begin, size_t end)
{
    (void)x;
    linear(block_q8_0, y, ldy, in, w, begin, end);
}

void rn_linear_q4_0_ref(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                        const rn_panels *w, size_t begin, size_t end)
{
    (void)x;
    linear(block_q4_0, y, ldy, in, w, begin, end);
}

void rn_linear_q4_k_ref(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                        const rn_panels *w, size_t begin, size_t end)
{
    (void)x;
    linear(block_q4_k, y, ldy, in, w, begin, end);
}

void rn_linear_q6_k_ref(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                        const rn_panels *w, size_t begin, size_t end)
{
    (void)x;
    linear(block_q6_k, y, ldy, in, w, begin, end);
}

/* One block: its scale and its q, |q| at most 127 as a (127 / max|a|) exceeds 127 by less
   than half a step. */
static float quantise(int8_t *q, const float *a)
{
    float most = 0.0f;
    bool finite = true;
    for (size_t c = 0; c < BLOCK; c++) {
        finite = finite && isfinite(a[c]);
        most = fmaxf(most, fabsf(a[c]));
    }
    if (!finite || most < 0x1p-100f) {
        memset(q, 0, BLOCK);
        return finite ? 0.0f : rn_float_of_bits(0x7fc00000u);
    }
    const float inverse = 127.0f / most;
    for (size_t c = 0; c < BLOCK; c++) q[c] = (int8_t)nearbyintf(a[c] * inverse);
    return most / 127.0f;
}

void rn_acts_q8_ref(rn_exec *x, const rn_acts *to, const float *in, size_t ldin)
{
    (void)x;
    const size_t blocks = to->k / BLOCK;
    for (size_t r = 0; r < to->rows; r++) {
        for (size_t b = 0; b < blocks; b++) {
            int8_t *q = (int8_t *)to->data + r * to->ld + b * BLOCK;
            rn_act_sum *sum = (rn_act_sum *)to->sum + r * blocks + b;
            float *scale = (float *)to->scale + r * blocks + b;
            int half[2] = {0, 0};
            *scale = quantise(q, in + r * ldin + b * BLOCK);
            for (size_t c = 0; c < BLOCK; c++) half[c / HALF] += q[c];
            *sum = (rn_act_sum){{(int16_t)half[0], (int16_t)half[1]}};
        }
    }
}

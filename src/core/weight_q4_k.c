/*
 * Q4_K: 256 numbers in 144 bytes, x = (d scale) q - (dmin min), q of 4 bits, a scale and
 * a min of 6 bits for each 32 numbers: halves d and dmin, 12 bytes of scales and mins,
 * 128 bytes of q. Of the 12 bytes, 0..3 and 4..7 have the scales and mins 0..3 in their
 * low six bits, 8..11 have the low four bits of scales (low halves) and mins (high
 * halves) 4..7, whose upper two bits are the upper two of bytes 0..3 and 4..7. Byte l
 * (0..31) of the p-th 32 of q has number l of sub-blocks 2p (low half) and 2p + 1 (high
 * half).
 */
#include "core/weight_blocks.h"

#define BLOCK    256
#define SUB      32 /* numbers with one scale and min */
#define SUBS     8
#define PACKED   4 /* where the packed scales and the q begin */
#define LEVELS   16
#define FOLLOWED 2 /* refits of the best line */
#define ROUNDS   3 /* of fitting d, dmin and the scales in turn */

static void unpack(const unsigned char *p, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = p[j] & 63;
        *min = p[j + 4] & 63;
        return;
    }
    *scale = (p[j + 4] & 15) | p[j - 4] >> 6 << 4;
    *min = p[j + 4] >> 4 | p[j] >> 6 << 4;
}

static void pack(unsigned char *p, int j, int scale, int min)
{
    if (j < 4) {
        p[j] |= (unsigned char)scale;
        p[j + 4] |= (unsigned char)min;
        return;
    }
    p[j + 4] |= (unsigned char)((scale & 15) | (min & 15) << 4);
    p[j - 4] |= (unsigned char)(scale >> 4 << 6);
    p[j] |= (unsigned char)(min >> 4 << 6);
}

void rn_q4_k_decode(float *out, const unsigned char *in, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK, in += RN_Q4_K_BYTES) {
        float d = rn_half_to_float(rn_load_u16(in));
        float dmin = rn_half_to_float(rn_load_u16(in + 2));
        for (int j = 0; j < SUBS; j++) {
            int scale, min, shift = j % 2 * 4;
            unpack(in + PACKED, j, &scale, &min);
            const unsigned char *q = in + LEVELS + j / 2 * SUB;
            float step = d * (float)scale, offset = dmin * (float)min;
            float *x = out + at + (size_t)(j * SUB);
            for (int l = 0; l < SUB; l++)
                x[l] = step * (float)(q[l] >> shift & 15) - offset;
        }
    }
}

/* A sub-block's numbers as step q - offset. */
typedef struct line {
    float step, offset;
} line;

/* A block while it is being encoded; scale[] and min[] are whole numbers. */
typedef struct block {
    float x[BLOCK], scale[SUBS], min[SUBS], d, dmin, error;
} block;

static float line_error(const float *x, line f)
{
    float inverse = rn_inverse(f.step), even = 0.0f, odd = 0.0f;
    for (int i = 0; i < SUB; i += 2) {
        float a = x[i] + f.offset, b = x[i + 1] + f.offset;
        a -= f.step * rn_level(a, inverse, 0, 15);
        b -= f.step * rn_level(b, inverse, 0, 15);
        even += a * a;
        odd += b * b;
    }
    return even + odd;
}

/* The least squares line for the levels that `from` gives, its offset not below 0; *gain
   is how much of sum x x it explains. */
static line line_fit(const float *x, float sum, line from, float *gain)
{
    float inverse = rn_inverse(from.step), q = 0.0f, qq = 0.0f, xq = 0.0f;
    for (int i = 0; i < SUB; i++) {
        float level = rn_level(x[i] + from.offset, inverse, 0, 15);
        q += level;
        qq += level * level;
        xq += x[i] * level;
    }
    float n = SUB, spread = n * qq - q * q;
    line f = {(n * xq - q * sum) * rn_inverse(spread), 0.0f};
    f.offset = (f.step * q - sum) / n;
    if (f.offset <= 0.0f || spread == 0.0f) f = (line){xq * rn_inverse(qq), 0.0f};
    *gain = f.step * xq - f.offset * sum;
    return f;
}

/* The best line of a search that cuts -0.5, 0, 0.5 or 1 steps off either end of the
   numbers' range (0 included), followed down. */
static line line_search(const float *x)
{
    static const float cuts[4] = {-0.5f, 0.0f, 0.5f, 1.0f};
    float low = 0.0f, high = x[0], sum = 0.0f, most = 0.0f, gain;
    for (int i = 0; i < SUB; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum += x[i];
    }
    line best = {0.0f, -low};
    float step = (high - low) / 15.0f;
    if (step < 0x1p-30f) return best;
    for (int i = 0; i < 16 + FOLLOWED; i++) {
        float a = cuts[i / 4 % 4], b = cuts[i % 4];
        line cut = {step * (15.0f - a - b) / 15.0f, -low - step * a};
        line fit = line_fit(x, sum, i < 16 ? cut : best, &gain);
        if (!(gain > most)) continue;
        most = gain;
        best = fit;
    }
    return best;
}

/* Scale and min of sub-block j under d and dmin: the best of the whole numbers around
   what its line asks for. */
static float fit_scale(block *b, int j, line want)
{
    const float *x = b->x + j * SUB;
    float scale = rn_level(want.step, rn_inverse(b->d), 0, 63);
    float min = rn_level(want.offset, rn_inverse(b->dmin), 0, 63), least = INFINITY;
    for (int i = -1; i <= 1; i++)
        for (int k = -2; k <= 2; k++) {
            float s = scale + (float)i, m = min + (float)k;
            if (s < 0 || s > 63 || m < 0 || m > 63) continue;
            float error = line_error(x, (line){b->d * s, b->dmin * m});
            if (!(error < least)) continue;
            least = error;
            b->scale[j] = s;
            b->min[j] = m;
        }
    return least;
}

static void fit_scales(block *b, const line *want)
{
    b->error = 0.0f;
    for (int j = 0; j < SUBS; j++) b->error += fit_scale(b, j, want[j]);
}

/* d and dmin that fit the numbers best with the scales, mins and levels as they are:
   least squares in x = d u - dmin m, u = scale q; of d alone where every m is 0. */
static void refit(block *b)
{
    float uu = 0.0f, um = 0.0f, mm = 0.0f, xu = 0.0f, xm = 0.0f;
    for (int i = 0; i < BLOCK; i++) {
        float scale = b->scale[i / SUB], m = b->min[i / SUB], x = b->x[i];
        float u = scale * rn_level(x + b->dmin * m, rn_inverse(b->d * scale), 0, 15);
        uu += u * u;
        um += u * m;
        mm += m * m;
        xu += x * u;
        xm += x * m;
    }
    if (mm == 0.0f) {
        b->d = rn_half_to_float(rn_scale_half(xu * rn_inverse(uu)));
        return;
    }
    float inverse = rn_inverse(uu * mm - um * um), dmin = (xu * um - xm * uu) * inverse;
    if (inverse == 0.0f || dmin < 0.0f) return;
    b->d = rn_half_to_float(rn_scale_half((xu * mm - xm * um) * inverse));
    b->dmin = rn_half_to_float(rn_scale_half(dmin));
}

/* d and dmin from the largest step and offset, at 63; then they and the scales in turn,
   while it helps. */
static void search(block *b)
{
    line want[SUBS];
    float step = 0.0f, offset = 0.0f;
    for (int j = 0; j < SUBS; j++) {
        want[j] = line_search(b->x + j * SUB);
        if (want[j].step > step) step = want[j].step;
        if (want[j].offset > offset) offset = want[j].offset;
    }
    b->d = rn_half_to_float(rn_scale_to(step, 63.0f));
    b->dmin = rn_half_to_float(rn_scale_to(offset, 63.0f));
    fit_scales(b, want);
    for (int i = 0; i < ROUNDS; i++) {
        block next = *b;
        refit(&next);
        fit_scales(&next, want);
        if (!(next.error < b->error)) break;
        *b = next;
    }
}

static void store(unsigned char *out, const block *b)
{
    memset(out, 0, RN_Q4_K_BYTES);
    rn_store_u16(out, rn_half_of_float(b->d));
    rn_store_u16(out + 2, rn_half_of_float(b->dmin));
    for (int j = 0; j < SUBS; j++) {
        const float *x = b->x + j * SUB;
        float inverse = rn_inverse(b->d * b->scale[j]), offset = b->dmin * b->min[j];
        unsigned char *q = out + LEVELS + j / 2 * SUB;
        pack(out + PACKED, j, (int)b->scale[j], (int)b->min[j]);
        for (int l = 0; l < SUB; l++) {
            int level = (int)rn_level(x[l] + offset, inverse, 0, 15);
            q[l] |= (unsigned char)(level << j % 2 * 4);
        }
    }
}

void rn_q4_k_encode(unsigned char *out, const float *in, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK, out += RN_Q4_K_BYTES) {
        block b;
        rn_cut(b.x, in + at, BLOCK, 63.0f * 15.0f * RN_HALF_MAX);
        search(&b);
        store(out, &b);
    }
}

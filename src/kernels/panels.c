/*
 * Packing of weights into panels, and back (the layouts: panels.h). Every type is cut
 * into units of columns that stored blocks and panels share: a unit is a head of scales
 * for all rows, then the numbers, in lines of which each row owns every 16th word.
 */
#include "kernels/panels.h"

#include "core/arena.h"
#include "core/half.h"

#include <string.h>

enum { LINE = 64, WORD = 4, PAIR = 64, SUPER = 256, BLOCK = 32 };
/* Heads: 16 + 16 halves; d and dmin (or a float32 d), then for each of 8 sub-blocks 16 +
   16 bytes. */
enum { HEAD_PAIR = LINE, HEAD_SUPER = 5 * LINE };

/* One row's part of a unit to and from its place in the panel; `columns` may be fewer
   than the unit has at the end of a row. */
typedef void put_fn(unsigned char *unit, size_t row, const unsigned char *from,
                    size_t columns);
typedef void get_fn(float *out, const unsigned char *unit, size_t row, size_t columns);

static uint16_t load_u16(const unsigned char *at)
{
    uint16_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

static uint32_t load_word(const unsigned char *at)
{
    uint32_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

static void store_word(unsigned char *line, size_t row, uint32_t x)
{
    memcpy(line + WORD * row, &x, sizeof x);
}

/* The half number `row` of 16, as float32. */
static float half_at(const unsigned char *halves, size_t row)
{
    return rn_half_to_float(load_u16(halves + 2 * row));
}

static void put_bf16(unsigned char *unit, size_t row, const unsigned char *from,
                     size_t columns)
{
    for (size_t c = 0; c + 2 <= columns; c += 2, unit += LINE)
        store_word(unit, row, load_word(from + 2 * c));
    if (columns % 2) memcpy(unit + WORD * row, from + 2 * (columns - 1), 2);
}

static void get_bf16(float *out, const unsigned char *unit, size_t row, size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        out[c] = rn_bf16_to_float(load_u16(unit + c / 2 * LINE + WORD * row + c % 2 * 2));
}

static void put_f16(unsigned char *unit, size_t row, const unsigned char *from,
                    size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        memcpy(unit + c * (LINE / 2) + 2 * row, from + 2 * c, 2);
}

static void get_f16(float *out, const unsigned char *unit, size_t row, size_t columns)
{
    for (size_t c = 0; c < columns; c++) out[c] = half_at(unit + c * (LINE / 2), row);
}

static void put_q8_0(unsigned char *unit, size_t row, const unsigned char *from,
                     size_t columns)
{
    unsigned char *lines = unit + HEAD_PAIR;
    for (size_t b = 0; b < columns / BLOCK; b++, from += 2 + BLOCK) {
        memcpy(unit + 2 * (RN_PANEL * b + row), from, 2);
        for (size_t g = 0; g < BLOCK / 4; g++, lines += LINE)
            store_word(lines, row, load_word(from + 2 + WORD * g) ^ 0x80808080u);
    }
}

static void get_q8_0(float *out, const unsigned char *unit, size_t row, size_t columns)
{
    for (size_t c = 0; c < columns; c++) {
        const float d = half_at(unit, RN_PANEL * (c / BLOCK) + row);
        const unsigned char q = unit[HEAD_PAIR + c / 4 * LINE + WORD * row + c % 4];
        out[c] = d * (float)(q - 128);
    }
}

/* Two lines of nibbles from 16 bytes that have the numbers of 16 columns in their low
   halves (shift 0) or their high ones (4). */
static void put_nibbles(unsigned char *lines, size_t row, const unsigned char *from,
                        unsigned shift)
{
    for (size_t g = 0; g < 2; g++, lines += LINE, from += 2 * WORD) {
        uint32_t low = load_word(from) >> shift & 0x0f0f0f0fu;
        uint32_t high = load_word(from + WORD) >> shift & 0x0f0f0f0fu;
        store_word(lines, row, low | high << 4);
    }
}

static void put_q4_0(unsigned char *unit, size_t row, const unsigned char *from,
                     size_t columns)
{
    unsigned char *lines = unit + HEAD_PAIR;
    for (size_t b = 0; b < columns / BLOCK; b++, from += 2 + 16) {
        memcpy(unit + 2 * (RN_PANEL * b + row), from, 2);
        for (unsigned half = 0; half < 2; half++, lines += 2 * LINE)
            put_nibbles(lines, row, from + 2, 4 * half);
    }
}

/* Number c of a block of 32 in four lines of nibbles. */
static int nibble(const unsigned char *lines, size_t row, size_t c)
{
    const unsigned char both = lines[c / 8 * LINE + WORD * row + c % 4];
    return c % 8 < 4 ? both & 15 : both >> 4;
}

static void get_q4_0(float *out, const unsigned char *unit, size_t row, size_t columns)
{
    for (size_t c = 0; c < columns; c++) {
        const float d = half_at(unit, RN_PANEL * (c / BLOCK) + row);
        const unsigned char *lines = unit + HEAD_PAIR + c / BLOCK * (4 * LINE);
        out[c] = d * (float)(nibble(lines, row, c % BLOCK) - 8);
    }
}

/* The 6-bit scale and minimum of sub-block s from the 12 bytes of a Q4_K block. */
static void unpack_scale(const unsigned char *p, size_t s, unsigned char *scale,
                         unsigned char *min)
{
    if (s < 4) {
        *scale = p[s] & 63;
        *min = p[s + 4] & 63;
    } else {
        *scale = (unsigned char)((p[s + 4] & 15) | p[s - 4] >> 6 << 4);
        *min = (unsigned char)(p[s + 4] >> 4 | p[s] >> 6 << 4);
    }
}

/* Columns do not vary: blocks of 256 are never cut. */
static void put_q4_k(unsigned char *unit, size_t row, const unsigned char *from,
                     size_t columns)
{
    memcpy(unit + 2 * row, from, 2);
    memcpy(unit + 2 * (RN_PANEL + row), from + 2, 2);
    for (size_t s = 0; s < columns / BLOCK; s++) {
        unsigned char *scales = unit + LINE + s * (2 * RN_PANEL);
        unpack_scale(from + 4, s, scales + row, scales + RN_PANEL + row);
        unsigned char *lines = unit + HEAD_SUPER + s * (4 * LINE);
        const unsigned char *q = from + 16 + s / 2 * BLOCK;
        for (size_t half = 0; half < 2; half++)
            put_nibbles(lines + half * (2 * LINE), row, q + half * 16,
                        (unsigned)(s % 2 * 4));
    }
}

static void get_q4_k(float *out, const unsigned char *unit, size_t row, size_t columns)
{
    const float d = half_at(unit, row), dmin = half_at(unit, RN_PANEL + row);
    for (size_t c = 0; c < columns; c++) {
        const unsigned char *scales = unit + LINE + c / BLOCK * (2 * RN_PANEL) + row;
        const unsigned char *lines = unit + HEAD_SUPER + c / BLOCK * (4 * LINE);
        const float step = d * (float)scales[0], offset = dmin * (float)scales[RN_PANEL];
        out[c] = step * (float)nibble(lines, row, c % BLOCK) - offset;
    }
}

/* The stored bit pairs 2t, 2t + 1 of 32 bytes are those of sub-block t of four. Here each
   row has one word for 16 columns: 4i .. 4i+3 in the pairs i of its bytes. */
static void put_pairs(unsigned char *lines, size_t row, const unsigned char *from,
                      unsigned shift)
{
    for (size_t h = 0; h < 2; h++) {
        uint32_t word = 0;
        for (unsigned i = 0; i < 4; i++) {
            uint32_t pairs = load_word(from + 16 * h + WORD * i) >> shift & 0x03030303u;
            word |= pairs << 2 * i;
        }
        store_word(lines + LINE * h, row, word);
    }
}

static void put_q6_k(unsigned char *unit, size_t row, const unsigned char *from,
                     size_t columns)
{
    const unsigned char *pairs = from + 128, *scales = from + 192;
    const float d = rn_half_to_float(load_u16(from + 208));
    memcpy(unit + WORD * row, &d, sizeof d);
    for (size_t s = 0; s < columns / BLOCK; s++) {
        const size_t part = s / 4, t = s % 4;
        unsigned char *lines = unit + HEAD_SUPER + s * (6 * LINE);
        unit[LINE + s * (2 * RN_PANEL) + row] = scales[2 * s];
        unit[LINE + s * (2 * RN_PANEL) + RN_PANEL + row] = scales[2 * s + 1];
        const unsigned char *low = from + 64 * part + t % 2 * BLOCK;
        for (size_t half = 0; half < 2; half++)
            put_nibbles(lines + half * (2 * LINE), row, low + half * 16,
                        (unsigned)(t / 2 * 4));
        put_pairs(lines + 4 * LINE, row, pairs + BLOCK * part, (unsigned)(2 * t));
    }
}

static void get_q6_k(float *out, const unsigned char *unit, size_t row, size_t columns)
{
    float d;
    memcpy(&d, unit + WORD * row, sizeof d);
    for (size_t c = 0; c < columns; c++) {
        const size_t h = c % BLOCK / 16;
        const unsigned char scale =
            unit[LINE + c / BLOCK * (2 * RN_PANEL) + h * RN_PANEL + row];
        const unsigned char *lines = unit + HEAD_SUPER + c / BLOCK * (6 * LINE);
        const int pairs = lines[(4 + h) * LINE + WORD * row + c % 4];
        const int high = pairs >> c % 16 / 4 * 2 & 3;
        const float step = d * (float)(int8_t)scale;
        out[c] = step * (float)((nibble(lines, row, c % BLOCK) | high << 4) - 32);
    }
}

/* A unit: `columns` numbers of a row, `stored` bytes in its stored form; in the panel a
   head, then `two` bytes for each two columns of all rows. */
static const struct layout {
    size_t columns, stored, head, two;
    put_fn *put;
    get_fn *get;
} LAYOUTS[RN_WEIGHT_TYPES] = {
    [RN_WEIGHT_BF16] = {PAIR, 2 * PAIR, 0, 64, put_bf16, get_bf16},
    [RN_WEIGHT_F16] = {PAIR, 2 * PAIR, 0, 64, put_f16, get_f16},
    [RN_WEIGHT_Q8_0] = {PAIR, 68, HEAD_PAIR, 32, put_q8_0, get_q8_0},
    [RN_WEIGHT_Q4_0] = {PAIR, 36, HEAD_PAIR, 16, put_q4_0, get_q4_0},
    [RN_WEIGHT_Q4_K] = {SUPER, 144, HEAD_SUPER, 16, put_q4_k, get_q4_k},
    [RN_WEIGHT_Q6_K] = {SUPER, 210, HEAD_SUPER, 24, put_q6_k, get_q6_k},
};

static size_t unit_bytes(const struct layout *l, size_t columns)
{
    return columns ? l->head + (columns + 1) / 2 * l->two : 0;
}

size_t rn_panel_bytes(rn_weight_type type, size_t k)
{
    const struct layout *l = &LAYOUTS[type];
    return k / l->columns * unit_bytes(l, l->columns) + unit_bytes(l, k % l->columns);
}

bool rn_panels_bytes(rn_weight_type type, size_t n, size_t k, size_t *bytes)
{
    if (k >> 48) return false;
    return rn_mul_size(bytes, n / RN_PANEL + (n % RN_PANEL != 0),
                       rn_panel_bytes(type, k));
}

void rn_panel_pack(rn_weight_type type, size_t k, unsigned char *panel, const void *rows,
                   size_t count)
{
    const struct layout *l = &LAYOUTS[type];
    const size_t row_bytes = rn_weight_bytes(type, k), bytes = unit_bytes(l, l->columns);
    const unsigned char *from = rows;
    if (count < RN_PANEL || k % l->columns) memset(panel, 0, rn_panel_bytes(type, k));
    for (size_t c = 0; c < k; c += l->columns, from += l->stored, panel += bytes) {
        const size_t columns = k - c < l->columns ? k - c : l->columns;
        for (size_t r = 0; r < count; r++)
            l->put(panel, r, from + r * row_bytes, columns);
    }
}

void rn_panels_row(const rn_panels *w, size_t j, float *out)
{
    const struct layout *l = &LAYOUTS[w->type];
    const size_t bytes = unit_bytes(l, l->columns);
    const unsigned char *unit = w->data + j / RN_PANEL * rn_panel_bytes(w->type, w->k);
    for (size_t c = 0; c < w->k; c += l->columns, unit += bytes)
        l->get(out + c, unit, j % RN_PANEL,
               w->k - c < l->columns ? w->k - c : l->columns);
}

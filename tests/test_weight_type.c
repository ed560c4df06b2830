/* Number formats of weights: halves and bfloat16 against arithmetic in double, the block
   layouts against golden blocks of another implementation, and the encoders against the
   plain rules that they must beat. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "core/half.h"
#include "core/rng.h"
#include "core/weight_type.h"
#include "formats/safetensors.h"

#include <float.h>
#include <math.h>

enum { N = 16384, MOST_BYTES = 4 * N };

static const rn_weight_type blocks[] = {RN_WEIGHT_Q8_0, RN_WEIGHT_Q4_0, RN_WEIGHT_Q4_K,
                                        RN_WEIGHT_Q6_K};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- halves and bfloat16 ---- */

/* What a format with `bits` fraction bits and this smallest normal exponent makes of x;
   infinity from `limit` on. */
static double rounded(double x, int bits, int smallest, double limit)
{
    int exponent;
    frexp(x, &exponent);
    exponent = exponent - 1 < smallest ? smallest : exponent - 1;
    double quantum = ldexp(1, exponent - bits);
    if (fabs(x) >= limit) return copysign(INFINITY, x);
    return nearbyint(x / quantum) * quantum; /* ties to even */
}

static double value_of_half(unsigned h)
{
    unsigned exponent = h >> 10 & 31, fraction = h & 1023;
    double size =
        exponent ? ldexp(1024 + fraction, (int)exponent - 25) : ldexp(fraction, -24);
    if (exponent == 31) size = fraction ? NAN : INFINITY;
    return h >> 15 ? -size : size;
}

static void every_half_goes_both_ways(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        float x = rn_half_to_float((uint16_t)h), b = rn_bf16_to_float((uint16_t)h);
        double want = value_of_half(h);
        bool nan = isnan(want), sign = h >> 15;
        if (nan ? !isnan(x) : (x != (float)want || !!signbit(x) != sign))
            fail_msg("half %04x is %a, not %a", h, (double)x, want);
        uint16_t back = rn_half_of_float(x), bback = rn_bf16_of_float(b);
        if (nan ? !isnan(rn_half_to_float(back)) : back != h)
            fail_msg("half %04x comes back as %04x", h, back);
        if (isnan(b) ? !isnan(rn_bf16_to_float(bback)) : bback != h)
            fail_msg("bf16 %04x comes back as %04x", h, bback);
        assert_int_equal(rn_bits_of_float(b), h << 16);
    }
}

static void check_rounding(uint32_t bits)
{
    float x = rn_float_of_bits(bits);
    float half = rn_half_to_float(rn_half_of_float(x));
    float bf16 = rn_bf16_to_float(rn_bf16_of_float(x));
    if (isnan(x)) {
        assert_true(isnan(half) && isnan(bf16));
        return;
    }
    double a = rounded(x, 10, -14, 65520), b = rounded(x, 7, -126, 0x1.ffp127);
    if ((double)half != a || !!signbit(half) != !!signbit(x))
        fail_msg("%a rounds to the half %a, not %a", (double)x, (double)half, a);
    if ((double)bf16 != b || !!signbit(bf16) != !!signbit(x))
        fail_msg("%a rounds to the bf16 %a, not %a", (double)x, (double)bf16, b);
}

/* All exponents, with fractions on a grid and around the ties of both formats. */
static void every_exponent_rounds_to_even(void **state)
{
    (void)state;
    for (uint32_t top = 0; top < 512; top++) {
        for (uint32_t fraction = 0; fraction < 1u << 23; fraction += 1021)
            check_rounding(top << 23 | fraction);
        for (uint32_t k = 0; k < 2048; k += 3)
            for (int32_t d = -1; d <= 1; d++)
                check_rounding(top << 23 | (((k << 12) + (uint32_t)d) & 0x7fffff));
        for (int bit = 0; bit < 23; bit++)
            for (int32_t d = -1; d <= 1; d++)
                check_rounding((top << 23) + (1u << bit) + (uint32_t)d);
    }
}

/* ---- names and sizes ---- */

static void names_and_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *upper;
        size_t block, bytes;
    } rows[RN_WEIGHT_TYPES] = {{"f32", "F32", 1, 4},      {"bf16", "BF16", 1, 2},
                               {"f16", "F16", 1, 2},      {"q8_0", "Q8_0", 32, 34},
                               {"q4_0", "Q4_0", 32, 18},  {"q4_k", "Q4_K", 256, 144},
                               {"q6_k", "Q6_K", 256, 210}};
    for (int i = 0; i < RN_WEIGHT_TYPES; i++) {
        rn_weight_type type = (rn_weight_type)i, found = RN_WEIGHT_STORED;
        assert_string_equal(rn_weight_type_name(i), rows[i].name);
        assert_true(rn_weight_type_find(&found, rows[i].upper) && found == type);
        assert_true(rn_weight_type_find(&found, rows[i].name) && found == type);
        assert_int_equal(rn_weight_block(type), rows[i].block);
        assert_int_equal(rn_weight_block_bytes(type), rows[i].bytes);
        assert_int_equal(rn_weight_bytes(type, 512), 512 / rows[i].block * rows[i].bytes);
        assert_int_equal(rn_weight_bytes(type, 0), 0);
        assert_in_range(rows[i].block, 1, RN_WEIGHT_MAX_BLOCK);
    }
    rn_weight_type untouched = RN_WEIGHT_F16;
    assert_false(rn_weight_type_find(&untouched, "q4_"));
    assert_false(rn_weight_type_find(&untouched, "q4_k_m"));
    assert_false(rn_weight_type_find(&untouched, ""));
    assert_int_equal(untouched, RN_WEIGHT_F16);
    assert_null(rn_weight_type_name(RN_WEIGHT_TYPES));
    assert_null(rn_weight_type_name(RN_WEIGHT_STORED));
}

static void rows_that_do_not_divide(void **state)
{
    (void)state;
    static const struct {
        rn_weight_type type;
        size_t k;
        rn_weight_type fits;
    } rows[] = {
        {RN_WEIGHT_Q4_K, 512, RN_WEIGHT_Q4_K}, {RN_WEIGHT_Q4_K, 864, RN_WEIGHT_Q4_0},
        {RN_WEIGHT_Q4_K, 48, RN_WEIGHT_BF16},  {RN_WEIGHT_Q6_K, 256, RN_WEIGHT_Q6_K},
        {RN_WEIGHT_Q6_K, 128, RN_WEIGHT_Q8_0}, {RN_WEIGHT_Q6_K, 257, RN_WEIGHT_BF16},
        {RN_WEIGHT_Q8_0, 96, RN_WEIGHT_Q8_0},  {RN_WEIGHT_Q8_0, 95, RN_WEIGHT_BF16},
        {RN_WEIGHT_Q4_0, 16, RN_WEIGHT_BF16},  {RN_WEIGHT_F16, 7, RN_WEIGHT_F16},
        {RN_WEIGHT_F32, 1, RN_WEIGHT_F32},     {RN_WEIGHT_BF16, 3, RN_WEIGHT_BF16},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(rn_weight_type_fitting(rows[i].type, rows[i].k), rows[i].fits);
}

/* ---- layouts ---- */

static const rn_tensor_view *golden(const rn_safetensors *f, rn_weight_type type,
                                    const char *what)
{
    char name[32];
    snprintf(name, sizeof name, "%s.%s", rn_weight_type_name(type), what);
    const rn_tensor_view *t = rn_safetensors_find(f, name);
    assert_non_null(t);
    return t;
}

/* Bit for bit, and from an odd address as well. */
static void golden_blocks_decode(void **state)
{
    (void)state;
    rn_safetensors *f;
    WORKS(rn_safetensors_open(&f, RN_GOLDEN "/blocks/blocks.safetensors", err));
    for (size_t i = 0; i < COUNT(blocks); i++) {
        const rn_tensor_view *b = golden(f, blocks[i], "blocks");
        const rn_tensor_view *x = golden(f, blocks[i], "floats");
        static unsigned char moved[4096];
        static float want[4096], got[4096], again[4096];
        assert_in_range(x->count, 1, COUNT(want));
        assert_int_equal(rn_weight_bytes(blocks[i], x->count), b->bytes);
        WORKS(rn_tensor_floats(x, 0, x->count, want, err));
        memcpy(moved + 1, b->data, b->bytes);
        rn_weight_decode(blocks[i], got, b->data, x->count);
        rn_weight_decode(blocks[i], again, moved + 1, x->count);
        assert_memory_equal(got, want, x->bytes);
        assert_memory_equal(again, want, x->bytes);
    }
    rn_safetensors_close(f);
}

/* ---- encoders ---- */

/* Numbers of several kinds, by index; the scale is the caller's. */
typedef enum number_kind {
    NORMAL,
    UNIFORM,
    HEAVY,
    POSITIVE,
    NEGATIVE,
    OUTLIERS,
    KINDS
} kind;

static void fill(float *x, kind what, float scale)
{
    for (uint32_t i = 0; i < N; i++) {
        float g = rn_normal(5, RN_STREAM_TEST, (uint64_t)what, i);
        float u = 2 * rn_uniform(6, RN_STREAM_TEST, (uint64_t)what, i) - 1;
        float out = i % 97 == 3 ? 20 * g : g;
        float each[KINDS] = {g, u, g * g * g, 1 + 0.1f * g, -1 + 0.1f * g, out};
        x[i] = scale * each[what];
    }
}

static double squares(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (y ? (double)y[i] : 0);
        sum += d * d;
    }
    return sum;
}

/* Error of the whole over the size of the whole. */
static double relative_error(rn_weight_type type, const float *x)
{
    static unsigned char bytes[MOST_BYTES];
    static float y[N];
    rn_weight_encode(type, bytes, x, N);
    rn_weight_decode(type, y, bytes, N);
    return sqrt(squares(x, y, N) / squares(x, NULL, N));
}

/* Measured on normal numbers: 0.00534, 0.0807, 0.0698, 0.0165. */
static void errors_of_normal_numbers(void **state)
{
    (void)state;
    static float x[N];
    static const double most[RN_WEIGHT_TYPES] = {0,      1.7e-3, 2.1e-4, 5.4e-3,
                                                 0.0815, 0.0705, 0.0168};
    for (int i = 0; i < 3; i++) {
        fill(x, NORMAL, i == 0 ? 1.0f : i == 1 ? 0.02f : 300.0f);
        for (int type = 0; type < RN_WEIGHT_TYPES; type++) {
            double error = relative_error((rn_weight_type)type, x);
            if (error > most[type])
                fail_msg("%s: %g, at most %g", rn_weight_type_name(type), error,
                         most[type]);
            assert_true(type == RN_WEIGHT_F32 || error > 0.9 * most[type]);
        }
    }
}

/* The least error of x as whole steps from low to high, and of x + offset. */
static double step_error(const float *x, size_t n, double step, double low, double high,
                         double offset)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i] + offset;
        double q = step != 0 ? fmin(fmax(nearbyint(v / step), low), high) : 0;
        sum += (v - step * q) * (v - step * q);
    }
    return sum;
}

static double half(double x)
{
    return (double)rn_half_to_float(rn_half_of_float((float)x));
}

static double extreme(const float *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        if (fabs((double)x[i]) > fabs(most)) most = (double)x[i];
    return most;
}

/* The extreme number at 127, at -8. */
static double plain_q8_0(const float *x)
{
    return step_error(x, 32, half(fabs(extreme(x, 32)) / 127), -127, 127, 0);
}

static double plain_q4_0(const float *x)
{
    return step_error(x, 32, half(extreme(x, 32) / -8), -8, 7, 0);
}

/* Each 32 numbers from their least (0 if that is above) to their largest. */
static double plain_q4_k(const float *x)
{
    double step[8], min[8], most_step = 0, most_min = 0, sum = 0;
    for (size_t j = 0; j < 8; j++) {
        double low = 0, high = (double)x[32 * j];
        for (size_t i = 32 * j; i < 32 * j + 32; i++) {
            low = fmin(low, (double)x[i]);
            high = fmax(high, (double)x[i]);
        }
        step[j] = (fmax(high, low) - low) / 15;
        min[j] = -low;
        most_step = fmax(most_step, step[j]);
        most_min = fmax(most_min, min[j]);
    }
    double d = half(most_step / 63), dmin = half(most_min / 63);
    for (size_t j = 0; j < 8; j++) {
        double s = d > 0 ? fmin(nearbyint(step[j] / d), 63) : 0;
        double m = dmin > 0 ? fmin(nearbyint(min[j] / dmin), 63) : 0;
        sum += step_error(x + 32 * j, 32, d * s, 0, 15, dmin * m);
    }
    return sum;
}

/* Each 16 numbers with their extreme one at -32. */
static double plain_q6_k(const float *x)
{
    double step[16], most = 0, sum = 0;
    for (size_t j = 0; j < 16; j++) {
        step[j] = extreme(x + 16 * j, 16) / -32;
        if (fabs(step[j]) > fabs(most)) most = step[j];
    }
    double d = half(most / -128);
    for (size_t j = 0; j < 16; j++) {
        double s = d != 0 ? fmin(nearbyint(step[j] / d), 127) : 0;
        sum += step_error(x + 16 * j, 16, d * s, -32, 31, 0);
    }
    return sum;
}

/* The encoder's and the plain rule's errors of block `at`. */
static void compare_block(rn_weight_type type, const float *x, double *ours,
                          double *plain)
{
    unsigned char bytes[256];
    float y[RN_WEIGHT_MAX_BLOCK];
    size_t n = rn_weight_block(type);
    rn_weight_encode(type, bytes, x, n);
    rn_weight_decode(type, y, bytes, n);
    *ours = squares(x, y, n);
    if (type == RN_WEIGHT_Q8_0) *plain = plain_q8_0(x);
    else if (type == RN_WEIGHT_Q4_0) *plain = plain_q4_0(x);
    else if (type == RN_WEIGHT_Q4_K) *plain = plain_q4_k(x);
    else *plain = plain_q6_k(x);
}

/* Q8_0 and Q4_0 in every block, the others in total and in nearly every block. */
static void encoders_beat_the_plain_rules(void **state)
{
    (void)state;
    static float x[N];
    static const double most[] = {1.00001, 0.99, 0.99, 0.97}; /* of the plain error */
    for (size_t i = 0; i < COUNT(blocks); i++)
        for (int k = 0; k < KINDS; k++) {
            double ours = 0, plain = 0, worst = 0, a, b;
            fill(x, (kind)k, 0.05f);
            for (size_t at = 0; at < N; at += rn_weight_block(blocks[i])) {
                compare_block(blocks[i], x + at, &a, &b);
                ours += a;
                plain += b;
                worst = fmax(worst, b > 0 ? a / b : a > 0);
            }
            double limit = i < 2 ? 1.00001 : 1.05;
            if (worst > limit || ours > most[i] * plain)
                fail_msg("%s, kind %d: %g of the plain rule's error, worst block %g",
                         rn_weight_type_name((int)blocks[i]), k, ours / plain, worst);
        }
}

/* Q4_K of numbers that lie so close together above 0 that no line begins below them: no
   mins, and d is fitted alone. Measured: 0.741; with d as it is guessed first, 0.784. */
static void blocks_without_mins_fit_their_scale(void **state)
{
    (void)state;
    static float x[N];
    double ours = 0, plain = 0, a, b;
    for (uint32_t i = 0; i < N; i++) {
        float height = 0.3f + 0.7f * rn_uniform(7, RN_STREAM_TEST, 0, i / 32);
        x[i] = height * (0.97f + 0.03f * rn_uniform(6, RN_STREAM_TEST, 0, i));
    }
    for (size_t at = 0; at < N; at += 256) {
        unsigned char bytes[144];
        rn_weight_encode(RN_WEIGHT_Q4_K, bytes, x + at, 256);
        assert_true(bytes[2] == 0 && bytes[3] == 0); /* dmin */
        compare_block(RN_WEIGHT_Q4_K, x + at, &a, &b);
        assert_true(a <= b);
        ours += a;
        plain += b;
    }
    if (!(ours < 0.76)) fail_msg("error %g, of the plain rule %g", ours, plain);
}

/* A hash of what is written for numbers that every machine makes alike. */
static uint64_t hash_of(rn_weight_type type)
{
    static float x[N];
    static unsigned char bytes[MOST_BYTES], again[MOST_BYTES + 1];
    for (uint32_t i = 0; i < N; i++)
        x[i] = (rn_uniform(1, RN_STREAM_TEST, 0, i) - 0.5f) *
               rn_uniform(2, RN_STREAM_TEST, 0, i / 40);
    size_t n = rn_weight_bytes(type, N), block = rn_weight_block(type);
    rn_weight_encode(type, bytes, x, N);
    for (size_t i = 0; i < N; i += block) /* alone, at an odd address */
        rn_weight_encode(type, again + 1 + rn_weight_bytes(type, i), x + i, block);
    assert_memory_equal(bytes, again + 1, n);
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static void encoding_is_the_same_everywhere(void **state)
{
    (void)state;
    static const uint64_t want[RN_WEIGHT_TYPES] = {
        0x37c36854e5809dce, 0xcc3bfa36c6a9956a, 0xf2b0e971e9f6d75e, 0xfc645f9c4279ca8f,
        0x7cc9694ecc7e8b6e, 0xf8827b3690158032, 0x9eb4a2b9828cf834};
    for (int i = 0; i < RN_WEIGHT_TYPES; i++) {
        uint64_t hash = hash_of((rn_weight_type)i);
        if (hash != want[i])
            fail_msg("%s: 0x%016llx", rn_weight_type_name(i), (unsigned long long)hash);
    }
}

/* What a type reaches on the side of c: number of levels times the largest half. */
static double reach(rn_weight_type type, float c)
{
    static const double levels[RN_WEIGHT_TYPES] = {0, 0, 1, 127, 7, 945, 3968};
    if (type < RN_WEIGHT_F16) return 3e38;
    return 65504 * (type == RN_WEIGHT_Q4_K && c < 0 ? 63 : levels[type]);
}

static void check_constant(rn_weight_type type, float c)
{
    float x[256], y[256];
    unsigned char bytes[1024];
    for (size_t i = 0; i < 256; i++) x[i] = c;
    rn_weight_encode(type, bytes, x, 256);
    rn_weight_decode(type, y, bytes, 256);
    double want = fmin(fmax((double)c, -reach(type, c)), reach(type, c));
    double allowed = 0.004 * fabs(want) + 0x1p-24;
    bool cut = fabs((double)c) > reach(type, c); /* one level more on the negative side */
    for (size_t i = 0; i < 256; i++) {
        bool near = fabs((double)y[i] - want) <= allowed;
        bool far = cut && isfinite(y[i]) && fabs((double)y[i]) >= 0.99 * fabs(want) &&
                   signbit(y[i]) == signbit(c);
        if (!near && !far)
            fail_msg("%s: %g becomes %g", rn_weight_type_name((int)type), (double)c,
                     (double)y[i]);
    }
}

static void constant_blocks(void **state)
{
    (void)state;
    static const float sizes[] = {
        0.0f, 1.0f, 0.3f, 1e-3f, 1e-6f, 1e-7f, 1e-8f,   1e-12f,  1e-45f,   65504.0f,
        7e4f, 1e6f, 9e6f, 1e8f,  1e12f, 1e30f, FLT_MAX, FLT_MIN, 0x1p-24f, 0x1p-14f};
    for (int type = 0; type < RN_WEIGHT_TYPES; type++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            check_constant((rn_weight_type)type, sizes[i]);
            check_constant((rn_weight_type)type, -sizes[i]);
        }
}

/* Whatever comes in, what comes out is finite; zeros stay zeros. */
static void strange_blocks_stay_finite(void **state)
{
    (void)state;
    static const float values[] = {0,      -0.0f,   1,     -1,     FLT_MAX,  -FLT_MAX,
                                   1e-45f, -1e-45f, 65504, -1e6f,  0x1p-25f, 1e-30f,
                                   3e4f,   -1e-7f,  1e20f, -1e-20f};
    float x[256], y[256];
    unsigned char bytes[1024];
    for (uint32_t round = 0; round < 400; round++)
        for (int type = 0; type < RN_WEIGHT_TYPES; type++) {
            uint32_t used = 2 + round % 15;
            for (uint32_t i = 0; i < 256; i++) {
                uint32_t r[4];
                rn_philox(r, round, RN_STREAM_TEST, 7, i);
                x[i] = i / 64 == round % 4 ? 0 : values[(r[0] % used + round) % 16];
            }
            rn_weight_encode((rn_weight_type)type, bytes, x, 256);
            rn_weight_decode((rn_weight_type)type, y, bytes, 256);
            for (uint32_t i = 0; i < 256; i++) {
                if (!isfinite(y[i]) || (x[i] == 0 && i / 64 == round % 4 && y[i] != 0))
                    fail_msg("%s: %g becomes %g", rn_weight_type_name(type), (double)x[i],
                             (double)y[i]);
            }
        }
}

/* Steps below the smallest normal half, 2^-14, and below the smallest of all. */
static void small_scales_keep_their_numbers(void **state)
{
    (void)state;
    static float x[N];
    static const struct {
        float scale;
        double most[COUNT(blocks)];
    } rows[] = {{1e-3f, {0.006, 0.082, 0.071, 0.0175}},
                {1e-5f, {0.007, 0.082, 0.071, 0.02}},
                {1e-6f, {0.02, 0.09, 0.08, 0.03}},
                {1e-7f, {0.2, 0.22, 0.2, 0.2}}};
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t i = 0; i < COUNT(blocks); i++) {
            fill(x, NORMAL, rows[r].scale);
            double error = relative_error(blocks[i], x);
            if (error > rows[r].most[i])
                fail_msg("%s: numbers of size %g have error %g",
                         rn_weight_type_name((int)blocks[i]), (double)rows[r].scale,
                         error);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_goes_both_ways),
        cmocka_unit_test(every_exponent_rounds_to_even),
        cmocka_unit_test(names_and_sizes),
        cmocka_unit_test(rows_that_do_not_divide),
        cmocka_unit_test(golden_blocks_decode),
        cmocka_unit_test(errors_of_normal_numbers),
        cmocka_unit_test(encoders_beat_the_plain_rules),
        cmocka_unit_test(blocks_without_mins_fit_their_scale),
        cmocka_unit_test(encoding_is_the_same_everywhere),
        cmocka_unit_test(constant_blocks),
        cmocka_unit_test(strange_blocks_stay_finite),
        cmocka_unit_test(small_scales_keep_their_numbers),
    };
    return cmocka_run_group_tests_name("weight_type", tests, scratch_open, scratch_close);
}

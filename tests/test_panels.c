/* Panels of packed weights hold exactly what the stored blocks hold, and the products
   with them give a row the same bits whatever is computed beside it. */
#include "test.h"

#include "core/half.h"
#include "core/rng.h"
#include "cpu/cpu.h"
#include "kernels/exec.h"

#include <stdio.h>
#include <string.h>

enum { FIRST = RN_WEIGHT_BF16, COUNT = RN_WEIGHT_TYPES, LINE = 64 };

static uint32_t random_word(uint64_t i)
{
    uint32_t word[4];
    rn_philox(word, 1, RN_STREAM_TEST, i, 7);
    return word[0];
}

/* Finite halves (or bfloat16) of either sign where a block has scales. */
static void store_scale(unsigned char *at, rn_weight_type type, uint32_t word)
{
    const float x = (float)(word % 2001) / 1000.0f - 1.0f;
    const uint16_t bits =
        type == RN_WEIGHT_BF16 ? rn_bf16_of_float(x) : rn_half_of_float(x);
    memcpy(at, &bits, sizeof bits);
}

/* `n` stored numbers, every byte random: all values that a block can have. */
static unsigned char *random_blocks(rn_weight_type type, size_t n)
{
    const size_t bytes = rn_weight_bytes(type, n), block = rn_weight_block_bytes(type);
    unsigned char *b = malloc(bytes);
    assert_non_null(b);
    for (size_t i = 0; i < bytes; i++) b[i] = (unsigned char)(random_word(i) >> 9);
    for (size_t i = 0; i < bytes; i += block) {
        store_scale(b + i + (type == RN_WEIGHT_Q6_K ? 208 : 0), type, random_word(~i));
        if (type == RN_WEIGHT_Q4_K) store_scale(b + i + 2, type, random_word(~i - 1));
    }
    return b;
}

/* Packed, between canaries. */
static unsigned char *pack(rn_panels *w, const unsigned char *stored)
{
    const size_t panel = rn_panel_bytes(w->type, w->k);
    const size_t row = rn_weight_bytes(w->type, w->k);
    size_t bytes;
    assert_true(rn_panels_bytes(w->type, w->n, w->k, &bytes));
    unsigned char *block = aligned_alloc(LINE, bytes + 2 * LINE), *to = block + LINE;
    assert_non_null(block);
    memset(block, 0xa5, bytes + 2 * LINE);
    for (size_t j = 0; j < w->n; j += RN_PANEL, to += panel)
        rn_panel_pack(w->type, w->k, to, stored + j * row,
                      w->n - j < RN_PANEL ? w->n - j : RN_PANEL);
    for (size_t i = 0; i < LINE; i++) {
        assert_int_equal(block[i], 0xa5);
        assert_int_equal(block[LINE + bytes + i], 0xa5);
    }
    w->data = block + LINE;
    return block;
}

/* Rows past the end of the last panel are zero. */
static void check_rows(rn_weight_type type, size_t n, size_t k)
{
    unsigned char *stored = random_blocks(type, n * k);
    rn_panels w = {.type = type, .n = n, .k = k};
    unsigned char *block = pack(&w, stored);
    float *got = test_floats(k), *want = test_floats(k);
    for (size_t j = 0; j < n; j++) {
        rn_panels_row(&w, j, got);
        rn_weight_decode(type, want, stored + j * rn_weight_bytes(type, k), k);
        if (memcmp(got, want, k * sizeof *got) != 0)
            fail_msg("%s, n %zu, k %zu: row %zu differs", rn_weight_type_name(type), n, k,
                     j);
    }
    for (size_t j = n; j % RN_PANEL; j++) {
        rn_panels_row(&w, j, got);
        for (size_t c = 0; c < k; c++) assert_true(got[c] == 0.0f);
    }
    free(got);
    free(want);
    free(block);
    free(stored);
}

static void rows_come_back(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 15, 16, 17, 40}, blocks[] = {1, 2, 3, 7, 8};
    for (int type = FIRST; type < COUNT; type++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            for (size_t j = 0; j < sizeof blocks / sizeof *blocks; j++) {
                const rn_weight_type t = (rn_weight_type)type;
                check_rows(t, counts[i], blocks[j] * rn_weight_block(t));
                if (rn_weight_block(t) == 1) check_rows(t, counts[i], 60 + blocks[j]);
            }
}

/* Whole lines; of wide rows at most 3% more than is stored. */
static void panels_are_compact(void **state)
{
    (void)state;
    for (int type = FIRST; type < COUNT; type++) {
        const rn_weight_type t = (rn_weight_type)type;
        const size_t widths[] = {rn_weight_block(t), 32 * 27, 2048};
        for (size_t i = 0; i < 3; i++) {
            const size_t k = widths[i], bytes = rn_panel_bytes(t, k);
            if (k % rn_weight_block(t)) continue;
            assert_int_equal(bytes % LINE, 0);
            size_t stored = RN_PANEL * rn_weight_bytes(t, k);
            if (i > 0)
                assert_true(bytes >= stored && (double)bytes <= 1.03 * (double)stored);
        }
        size_t bytes = 5;
        assert_true(rn_panels_bytes(t, 33, 2048, &bytes));
        assert_int_equal(bytes, 3 * rn_panel_bytes(t, 2048));
        assert_true(rn_panels_bytes(t, 0, 2048, &bytes) && bytes == 0);
        bytes = 5;
        assert_false(rn_panels_bytes(t, SIZE_MAX / 512, 2048, &bytes));
        assert_false(rn_panels_bytes(t, 16, SIZE_MAX / 64 * 64, &bytes));
        assert_int_equal(bytes, 5);
    }
}

static void acts_are_placed(void **state)
{
    (void)state;
    static unsigned char buffer[LINE];
    assert_int_equal(rn_acts_bytes(RN_ACTS_F32, 100, 100), 0);
    assert_true(rn_acts_bytes(RN_ACTS_Q8, SIZE_MAX / 64, 4096) == SIZE_MAX);
    assert_true(rn_acts_bytes(RN_ACTS_BF16, 2, SIZE_MAX / 2 + 9) == SIZE_MAX);
    for (size_t rows = 1; rows < 20; rows += 6)
        for (size_t k = 32; k <= 2048; k *= 2) {
            rn_acts a = rn_acts_place(RN_ACTS_Q8, rows, k, buffer);
            const size_t begin = (size_t)buffer, blocks = rows * (k / RN_PANEL_BLOCK);
            const size_t scale = (size_t)a.scale - begin, sum = (size_t)a.sum - begin;
            assert_true(a.data == buffer && a.ld >= k && a.rows == rows && a.k == k);
            assert_true(scale >= rows * a.ld && scale % LINE == 0);
            assert_true(sum >= scale + blocks * sizeof *a.scale && sum % LINE == 0);
            assert_true(rn_acts_bytes(RN_ACTS_Q8, rows, k) >=
                        sum + blocks * sizeof *a.sum);
        }
    assert_int_equal(rn_acts_of(RN_WEIGHT_BF16, true), RN_ACTS_BF16);
    assert_int_equal(rn_acts_of(RN_WEIGHT_BF16, false), RN_ACTS_F32);
    assert_int_equal(rn_acts_of(RN_WEIGHT_F16, true), RN_ACTS_F32);
    for (int type = RN_WEIGHT_Q8_0; type < COUNT; type++)
        assert_int_equal(rn_acts_of((rn_weight_type)type, true), RN_ACTS_Q8);
}

/* ---- products ---- */

enum { ROWS = 23, N = 50, BLOCKS = 40, K = BLOCKS * 32 };

typedef void linear_fn(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                       const rn_panels *w, size_t begin, size_t end);

static linear_fn *kernel_of(const rn_kernels *k, rn_weight_type type)
{
    switch (type) {
    case RN_WEIGHT_Q8_0: return k->linear_q8_0;
    case RN_WEIGHT_Q4_0: return k->linear_q4_0;
    case RN_WEIGHT_Q4_K: return k->linear_q4_k;
    default: return k->linear_q6_k;
    }
}

/* Every mask of instruction sets that this machine has, one after the other. */
static bool next_kernels(rn_kernels *k, unsigned *mask)
{
    static const unsigned masks[] = {0, RN_CPU_AVX2, RN_CPU_AVX2 | RN_CPU_AVX512,
                                     RN_CPU_AVX2 | RN_CPU_AVX512 | RN_CPU_VNNI,
                                     RN_CPU_AVX2 | RN_CPU_AVX512 | RN_CPU_VNNI |
                                         RN_CPU_BF16};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        if (masks[i] < *mask || (masks[i] & ~rn_cpu_detect())) continue;
        rn_kernels_pick(k, masks[i]);
        *mask = masks[i] + 1;
        return true;
    }
    return false;
}

typedef struct product {
    rn_panels w;
    rn_acts in;
    void *block, *buffer;
} product;

/* Random blocks, or all of them the largest bytes, by activations of either extreme. */
static product make_product(rn_weight_type type, bool extreme)
{
    product p = {.w = {.type = type, .n = N, .k = K}};
    unsigned char *stored = random_blocks(type, N * K);
    float *in = test_floats(ROWS * K);
    const size_t bytes = rn_acts_bytes(RN_ACTS_Q8, ROWS, K);
    for (size_t i = 0; i < ROWS * K; i++) {
        const float x = (float)(int32_t)random_word(i << 20) * 0x1p-31f;
        in[i] = !extreme ? x : i / K % 2 ? 1.0f : -1.0f;
    }
    if (extreme) {
        const size_t block = rn_weight_block_bytes(type),
                     n = rn_weight_bytes(type, N * K);
        const size_t scale = type == RN_WEIGHT_Q6_K ? 208 : 0;
        memset(stored, type == RN_WEIGHT_Q8_0 ? 0x80 : 0xff, n);
        for (size_t i = 0; i < n; i += block) {
            store_scale(stored + i + scale, type, 2000);
            if (type == RN_WEIGHT_Q4_K) store_scale(stored + i + 2, type, 1500);
        }
    }
    p.block = pack(&p.w, stored);
    p.buffer = aligned_alloc(LINE, bytes);
    assert_non_null(p.buffer);
    p.in = rn_acts_place(RN_ACTS_Q8, ROWS, K, p.buffer);
    rn_acts_q8_ref(NULL, &p.in, in, K);
    free(in);
    free(stored);
    return p;
}

static void free_product(product *p)
{
    free(p->block);
    free(p->buffer);
}

/* Some of the rows of activations. */
static rn_acts rows_of(const rn_acts *a, size_t begin, size_t end)
{
    rn_acts some = *a;
    some.rows = end - begin;
    some.data = (const char *)a->data + begin * a->ld;
    some.scale = a->scale + begin * BLOCKS;
    some.sum = a->sum + begin * BLOCKS;
    return some;
}

/* Rows in all numbers and columns in ranges: the same bits as everything at once, and
   nothing outside of what was asked for. */
static void check_parts(linear_fn *linear, const product *p, const float *all)
{
    static const size_t cuts[] = {0, 16, 48, 50};
    float y[ROWS * N];
    for (size_t rows = 1; rows < ROWS; rows++) {
        const size_t first = (7 * rows) % (ROWS - rows + 1);
        const rn_acts some = rows_of(&p->in, first, first + rows);
        memset(y, 0xff, sizeof y);
        for (size_t c = 0; c < 3; c++) {
            const size_t begin = cuts[c], end = begin + (cuts[c + 1] - begin + 1) / 2;
            linear(NULL, y, N, &some, &p->w, begin, end);
            for (size_t i = 0; i < rows * N; i++) {
                const bool set = i % N >= begin && i % N < end;
                if (set && y[i] == all[first * N + i]) continue;
                if (!set && rn_bits_of_float(y[i]) == UINT32_MAX) continue;
                fail_msg("%s, %zu rows, columns %zu..%zu: element %zu is %g, not %g",
                         rn_weight_type_name(p->w.type), rows, begin, end, i,
                         (double)y[i], (double)all[first * N + i]);
            }
            memset(y, 0xff, sizeof y);
        }
    }
}

static void rows_stand_alone(void **state)
{
    (void)state;
    static float all[ROWS * N], first[ROWS * N];
    for (int type = RN_WEIGHT_Q8_0; type < COUNT; type++) {
        product p = make_product((rn_weight_type)type, false);
        rn_kernels k;
        for (unsigned mask = 0; next_kernels(&k, &mask);) {
            linear_fn *linear = kernel_of(&k, p.w.type);
            linear(NULL, all, N, &p.in, &p.w, 0, N);
            check_parts(linear, &p, all);
            if (mask == RN_CPU_AVX2 + 1) memcpy(first, all, sizeof all);
            if (mask > RN_CPU_AVX2 + 1) assert_memory_equal(first, all, sizeof all);
        }
        free_product(&p);
    }
}

/* The largest numbers of both operands: sums of pairs of products must not saturate. */
static void nothing_saturates(void **state)
{
    (void)state;
    static float y[ROWS * N], row[K];
    for (int type = RN_WEIGHT_Q8_0; type < COUNT; type++) {
        product p = make_product((rn_weight_type)type, true);
        rn_kernels k;
        rn_panels_row(&p.w, 0, row);
        double want = 0.0;
        for (size_t c = 0; c < K; c++) want += (double)row[c];
        for (unsigned mask = 0; next_kernels(&k, &mask);) {
            kernel_of(&k, p.w.type)(NULL, y, N, &p.in, &p.w, 0, N);
            for (size_t i = 0; i < ROWS * N; i++) {
                const double sign = i / N % 2 ? 1.0 : -1.0;
                if (fabs((double)y[i] - sign * want) <= 1e-6 * fabs(want)) continue;
                fail_msg("%s, mask %u: %g, not %g", rn_weight_type_name(type), mask - 1,
                         (double)y[i], sign * want);
            }
        }
        free_product(&p);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),    cmocka_unit_test(panels_are_compact),
        cmocka_unit_test(acts_are_placed),   cmocka_unit_test(rows_stand_alone),
        cmocka_unit_test(nothing_saturates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

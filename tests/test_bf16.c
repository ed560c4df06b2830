/* Products in bfloat16 beyond the cases of the kernel list: blocks of the training
   product in every direction, which bits may not change, the exactness of products with
   float32 activations, and what the handle's option does. */
#include "core/half.h"
#include "core/rng.h"
#include "kernels/exec.h"
#include "retnet/bench.h"
#include "test.h"

#include <string.h>

#define CANARY 12345.0f
#define GUARD  16 /* floats before and behind C */

static rn_exec *open_bf16(const char *cpu, int threads)
{
    rn_exec *x;
    rn_error err;
    const rn_exec_options o = {.cpu = cpu, .threads = threads, .bf16 = true};
    rn_status st = rn_exec_open(&x, &o, &err);
    if (st == RN_EUNSUPPORTED) return NULL;
    if (st) fail_msg("%s", err.message);
    return x;
}

static void fill(float *p, size_t n, uint64_t stream)
{
    for (size_t i = 0; i < n; i++)
        p[i] = 2.0f * rn_uniform(7, RN_STREAM_TEST, stream, (uint32_t)i) - 1.0f;
}

static double rounded(float v)
{
    return (double)rn_bf16_to_float(rn_bf16_of_float(v));
}

/* ---- the training product ---- */

typedef struct shape {
    size_t m, n, k, gap; /* floats behind each row */
} shape;

/* One product: operands, C with guards, and what C must become. */
typedef struct problem {
    shape s;
    bool ta, tb;
    float beta;
    size_t lda, ldb, ldc, c_floats;
    float *a, *b, *c, *before, *want;
} problem;

static problem make_problem(shape s, bool ta, bool tb, float beta)
{
    problem p = {.s = s, .ta = ta, .tb = tb, .beta = beta};
    p.lda = (ta ? s.m : s.k) + s.gap;
    p.ldb = (tb ? s.k : s.n) + s.gap;
    p.ldc = s.n + s.gap;
    p.c_floats = 2 * GUARD + s.m * p.ldc;
    const size_t a_floats = (ta ? s.k : s.m) * p.lda, b_floats = (tb ? s.n : s.k) * p.ldb;
    p.a = test_floats(a_floats);
    p.b = test_floats(b_floats);
    p.c = test_floats(p.c_floats);
    p.before = test_floats(p.c_floats);
    p.want = test_floats(p.c_floats);
    fill(p.a, a_floats, 1);
    fill(p.b, b_floats, 2);
    for (size_t i = 0; i < p.c_floats; i++) p.before[i] = CANARY;
    for (size_t i = 0; i < s.m; i++) {
        float *row = p.before + GUARD + i * p.ldc;
        if (beta != 0.0f) fill(row, s.n, 3 + i);
        else
            for (size_t j = 0; j < s.n; j++) row[j] = NAN;
    }
    return p;
}

static void free_problem(problem *p)
{
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->before);
    free(p->want);
}

static void multiply(rn_exec *x, problem *p)
{
    memcpy(p->c, p->before, p->c_floats * sizeof(float));
    rn_exec_gemm(x)(x, p->ta, p->tb, p->s.m, p->s.n, p->s.k, p->a, p->lda, p->b, p->ldb,
                    p->beta, p->c + GUARD, p->ldc);
}

static double element(const problem *p, size_t i, size_t j)
{
    double sum = p->beta != 0.0f ? (double)p->before[GUARD + i * p->ldc + j] : 0.0;
    for (size_t l = p->s.k; l-- > 0;)
        sum += rounded(p->a[p->ta ? l * p->lda + i : i * p->lda + l]) *
               rounded(p->b[p->tb ? j * p->ldb + l : l * p->ldb + j]);
    return sum;
}

/* Every element (of large products a part) near its sum in double, and every float around
   and between the rows of C untouched. */
static void check_problem(const problem *p, const char *cpu)
{
    const size_t step = p->s.m * p->s.n * p->s.k > 4000000 ? 37 : 1;
    const double most = 1e-5 * sqrt((double)p->s.k + 1.0);
    for (size_t i = 0; i < p->c_floats; i++) {
        const size_t at = i - GUARD, row = at / p->ldc, col = at % p->ldc;
        const bool inside = i >= GUARD && row < p->s.m && col < p->s.n;
        if (inside && i % step) continue;
        const double want = inside ? element(p, row, col) : (double)CANARY;
        if (fabs((double)p->c[i] - want) <= (inside ? most : 0.0)) continue;
        fail_msg("%s: m %zu n %zu k %zu gap %zu %c%c beta %g: float %zu is %g, not %g",
                 cpu, p->s.m, p->s.n, p->s.k, p->s.gap, p->ta ? 't' : 'n',
                 p->tb ? 't' : 'n', (double)p->beta, i, (double)p->c[i], want);
    }
}

static const char *const cpus[] = {"ref", "auto"};

static void gemm_multiplies(void **state)
{
    (void)state;
    static const shape shapes[] = {
        {1, 1, 1, 0},     {1, 17, 5, 1},     {3, 50, 7, 0},      {8, 48, 33, 0},
        {13, 47, 100, 5}, {9, 16, 17, 0},    {16, 32, 31, 1},    {31, 33, 65, 0},
        {144, 97, 31, 0}, {145, 48, 70, 0},  {300, 20, 40, 3},   {20, 1540, 9, 0},
        {2, 3, 1000, 0},  {20, 50, 1025, 7}, {150, 60, 2100, 0}, {5, 3100, 1030, 0},
    };
    for (size_t c = 0; c < 2; c++) {
        rn_exec *x = open_bf16(cpus[c], 2);
        for (size_t s = 0; x && x->bf16 && s < sizeof shapes / sizeof *shapes; s++)
            for (int q = 0; q < 8; q++) {
                if (c == 0 && shapes[s].m * shapes[s].n * shapes[s].k > 1000000) continue;
                problem p = make_problem(shapes[s], q & 1, q & 2, q & 4 ? 1.0f : 0.0f);
                multiply(x, &p);
                check_problem(&p, cpus[c]);
                free_problem(&p);
            }
        rn_exec_close(x);
    }
}

/* An element has the same bits whatever the number of threads, and of rows and columns
   around it. */
static void gemm_bits_depend_on_row_and_column_alone(void **state)
{
    (void)state;
    const shape whole = {150, 300, 1100, 0};
    static const size_t parts[] = {1, 5, 16, 40, 64, 149};
    for (int q = 0; q < 4; q++) {
        rn_exec *one = open_bf16("auto", 1), *three = open_bf16("auto", 3);
        problem p = make_problem(whole, q & 1, q & 2, 0.0f);
        multiply(one, &p);
        memcpy(p.want, p.c, p.c_floats * sizeof(float));
        multiply(three, &p);
        assert_memory_equal(p.c, p.want, p.c_floats * sizeof(float));
        for (size_t i = 0; one->bf16 && i < sizeof parts / sizeof *parts; i++) {
            problem part = p;
            part.s.m = parts[i];
            part.s.n = 2 * parts[i];
            multiply(three, &part);
            for (size_t r = 0; r < part.s.m; r++)
                assert_memory_equal(p.c + GUARD + r * p.ldc, p.want + GUARD + r * p.ldc,
                                    part.s.n * sizeof(float));
        }
        free_problem(&p);
        rn_exec_close(one);
        rn_exec_close(three);
    }
}

static void empty_sizes(void **state)
{
    (void)state;
    rn_exec *x = open_bf16("auto", 2);
    float c[6] = {1, 2, 3, 4, 5, 6};
    rn_gemm_fn gemm = rn_exec_gemm(x);
    gemm(x, false, false, 0, 3, 4, c, 4, c, 3, 0.0f, c, 3);
    gemm(x, false, false, 2, 0, 4, c, 4, c, 3, 0.0f, c, 3);
    gemm(x, false, true, 2, 3, 0, c, 1, c, 1, 1.0f, c, 3);
    for (int i = 0; i < 6; i++) assert_true(c[i] == (float)(i + 1));
    gemm(x, false, true, 2, 3, 0, c, 1, c, 1, 0.0f, c, 3);
    for (int i = 0; i < 6; i++) assert_true(c[i] == 0.0f);
    rn_exec_close(x);
}

/* A NaN or infinity in a gradient must reach the check that skips the step. */
static void not_finite_goes_through(void **state)
{
    (void)state;
    const size_t n = 40;
    float a[40], b[40], c[1];
    rn_exec *x = open_bf16("auto", 1);
    for (int q = 0; q < 2; q++) {
        for (size_t i = 0; i < n; i++) a[i] = b[i] = 0.5f;
        a[33] = q ? INFINITY : NAN;
        rn_exec_gemm(x)(x, false, true, 1, 1, n, a, n, b, n, 0.0f, c, 1);
        assert_true(!isfinite(c[0]));
    }
    rn_exec_close(x);
}

/* ---- products with packed weights ---- */

typedef struct packed {
    size_t n, k, rows, ld;
    float *w, *in; /* as floats, after rounding */
    uint16_t *in_bf16;
    rn_panels panels;
    rn_acts floats, halves;
    void *block;
} packed;

static packed make_packed(rn_weight_type type, size_t n, size_t k, size_t rows)
{
    packed p = {.n = n, .k = k, .rows = rows, .ld = k + 3};
    size_t bytes = 0;
    assert_true(rn_panels_bytes(type, n, k, &bytes));
    const size_t words = (k + 1) / 2 * 2;
    p.w = test_floats(n * k);
    p.in = test_floats(rows * p.ld);
    p.in_bf16 = calloc(rows * words + 1, sizeof *p.in_bf16);
    p.block = aligned_alloc(64, bytes + 64);
    uint16_t *stored = calloc(n * k + 1, sizeof *stored);
    assert_true(p.in_bf16 && p.block && stored);
    fill(p.w, n * k, 21);
    fill(p.in, rows * p.ld, 22);
    for (size_t i = 0; i < n * k; i++) {
        const bool half = type == RN_WEIGHT_F16;
        stored[i] = half ? rn_half_of_float(p.w[i]) : rn_bf16_of_float(p.w[i]);
        p.w[i] = half ? rn_half_to_float(stored[i]) : rn_bf16_to_float(stored[i]);
    }
    for (size_t j = 0; j < n; j += RN_PANEL)
        rn_panel_pack(type, k,
                      (unsigned char *)p.block + j / RN_PANEL * rn_panel_bytes(type, k),
                      stored + j * k, n - j < RN_PANEL ? n - j : RN_PANEL);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < k; c++)
            p.in_bf16[r * words + c] = rn_bf16_of_float(p.in[r * p.ld + c]);
    free(stored);
    p.panels = (rn_panels){.type = type, .n = n, .k = k, .data = p.block};
    p.floats =
        (rn_acts){.type = RN_ACTS_F32, .rows = rows, .k = k, .ld = p.ld, .data = p.in};
    p.halves = (rn_acts){
        .type = RN_ACTS_BF16, .rows = rows, .k = k, .ld = words, .data = p.in_bf16};
    return p;
}

static void free_packed(packed *p)
{
    free(p->w);
    free(p->in);
    free(p->in_bf16);
    free(p->block);
}

typedef void linear_fn(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                       const rn_panels *w, size_t begin, size_t end);

/* All rows at once, in two ranges of columns; then each row alone. */
static void check_rows_alone(rn_exec *x, linear_fn *linear, const packed *p,
                             const rn_acts *in, float *y)
{
    const size_t ldy = p->n + 1, cut = p->n / 2 / RN_PANEL * RN_PANEL;
    float *alone = test_floats(ldy);
    for (size_t i = 0; i < p->rows * ldy; i++) y[i] = CANARY;
    linear(x, y, ldy, in, &p->panels, 0, cut);
    linear(x, y, ldy, in, &p->panels, cut, p->n);
    for (size_t r = 0; r < p->rows; r++) {
        rn_acts row = *in;
        row.rows = 1;
        row.data = in->type == RN_ACTS_F32
                       ? (const void *)((const float *)in->data + r * in->ld)
                       : (const void *)((const uint16_t *)in->data + r * in->ld);
        alone[p->n] = CANARY;
        linear(x, alone, ldy, &row, &p->panels, 0, p->n);
        assert_memory_equal(alone, y + r * ldy, ldy * sizeof *y);
    }
    free(alone);
}

/* With float32 activations, one chain of multiply-adds that are rounded once each. */
static void check_chain(const packed *p, const float *y)
{
    for (size_t r = 0; r < p->rows; r++)
        for (size_t j = 0; j < p->n; j++) {
            float sum = 0.0f;
            for (size_t c = 0; c < p->k; c++)
                sum = fmaf(p->in[r * p->ld + c], p->w[j * p->k + c], sum);
            assert_true(y[r * (p->n + 1) + j] == sum);
        }
}

static void check_packed(rn_exec *x, size_t n, size_t k, size_t rows)
{
    float *y = test_floats(rows * (n + 1));
    packed p = make_packed(RN_WEIGHT_BF16, n, k, rows);
    check_rows_alone(x, x->k.linear_bf16, &p, &p.floats, y);
    if (x->cpu) check_chain(&p, y);
    check_rows_alone(x, x->k.linear_bf16_bf16, &p, &p.halves, y);
    free_packed(&p);
    p = make_packed(RN_WEIGHT_F16, n, k, rows);
    check_rows_alone(x, x->k.linear_f16, &p, &p.floats, y);
    if (x->cpu) check_chain(&p, y);
    free_packed(&p);
    free(y);
}

static void packed_rows_stand_alone(void **state)
{
    (void)state;
    static const char *const masks[] = {"ref", "avx2", "avx512"};
    static const size_t sizes[][2] = {{1, 1}, {17, 2}, {48, 31}, {100, 64}, {65, 2111}};
    for (size_t m = 0; m < 3; m++) {
        rn_exec *x = test_exec(masks[m], 1);
        if (!x) continue;
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (size_t rows = 1; rows <= 18; rows += rows < 9 ? 1 : 4)
                check_packed(x, sizes[s][0], sizes[s][1], rows);
        check_packed(x, 33, 40, 300);
        check_packed(x, 21, 531, 57);
        rn_exec_close(x);
    }
}

/* ---- the handle ---- */

static bool says_bf16(const rn_exec *x)
{
    return strstr(rn_exec_describe(x), ", bf16") != NULL;
}

static void option(void **state)
{
    (void)state;
    rn_exec *ref = open_bf16("ref", 1), *avx2 = open_bf16("avx2", 1);
    rn_exec *best = open_bf16("auto", 1), *plain = test_exec("auto", 1);
    assert_true(ref->bf16 && says_bf16(ref));
    assert_true(rn_exec_gemm(ref) == (rn_gemm_fn)ref->k.gemm_bf16);
    if (avx2) assert_false(avx2->bf16 || says_bf16(avx2));
    if (avx2) assert_true(rn_exec_gemm(avx2) == avx2->k.gemm);
    assert_int_equal(says_bf16(best), !best->cpu || best->cpu & RN_CPU_BF16);
    assert_false(plain->bf16 || says_bf16(plain));
    assert_true(rn_exec_gemm(plain) == plain->k.gemm);
    rn_exec_close(ref);
    rn_exec_close(avx2);
    rn_exec_close(best);
    rn_exec_close(plain);
}

/* At most about twice the rate of float32, and four times: more would be chains that the
   compiler has joined. Other programs may disturb a measurement: it has five tries. */
static bool peaks_are_plausible(rn_exec *x)
{
    const double floats = rn_bench_peak_flops(x);
    const double halves = rn_bench_peak_bf16(x), bytes = rn_bench_peak_int8(x);
    const bool bf16 = halves > 0.0 && halves < 3.0 * floats;
    const bool int8 = bytes > 0.0 && bytes < 6.0 * floats;
    return (x->cpu & RN_CPU_BF16 ? bf16 : halves == 0.0) &&
           (x->cpu & RN_CPU_VNNI ? int8 : bytes == 0.0);
}

static void peaks(void **state)
{
    (void)state;
#ifdef RN_EMULATE
    skip(); /* no instruction of which there would be a rate */
#endif
    rn_exec *x = test_exec("auto", 1), *avx2 = test_exec("avx2", 1);
    bool plausible = false;
    for (int tries = 0; tries < 5 && !plausible; tries++)
        plausible = peaks_are_plausible(x);
    assert_true(plausible);
    if (avx2) assert_true(rn_bench_peak_bf16(avx2) == 0.0);
    if (avx2) assert_true(rn_bench_peak_int8(avx2) == 0.0);
    rn_exec_close(x);
    rn_exec_close(avx2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_multiplies),
        cmocka_unit_test(gemm_bits_depend_on_row_and_column_alone),
        cmocka_unit_test(empty_sizes),
        cmocka_unit_test(not_finite_goes_through),
        cmocka_unit_test(packed_rows_stand_alone),
        cmocka_unit_test(option),
        cmocka_unit_test(peaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

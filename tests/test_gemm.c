/* The dense products beyond the cases of the kernel list: the reference against sums in
   double, every variant and oneDNN against it for all transpositions, sizes around the
   blocks, padded rows, beta 0 over NaN, beta 1, empty sizes; and which bits may not
   change. */
#include "core/rng.h"
#include "cpu/cpu.h"
#include "cpu/gemm.h"
#include "test.h"

#include <string.h>

#define CANARY 12345.0f
#define GUARD  16 /* floats before and behind C */

typedef struct shape {
    size_t m, n, k, gap; /* floats behind each row */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 0},      {1, 17, 5, 1},     {3, 50, 7, 0},     {5, 1, 9, 3},
    {6, 16, 64, 0},    {8, 48, 33, 0},    {13, 47, 100, 5},  {16, 96, 384, 0},
    {17, 65, 385, 1},  {31, 33, 65, 0},   {48, 64, 129, 2},  {49, 97, 31, 0},
    {65, 129, 70, 0},  {96, 288, 40, 0},  {97, 289, 400, 3}, {130, 70, 800, 0},
    {200, 600, 90, 1}, {64, 64, 769, 0},  {2, 3, 1000, 0},   {70, 80, 260, 200},
    {20, 50, 1100, 0}, {70, 30, 2100, 1}, {5, 10, 7, 6},     {7, 3, 9, 13},
};

/* How a handle is to multiply. */
typedef struct way {
    const char *cpu, *choice;
} way;

static const way ways[] = {
    {"ref", "own"}, {"avx2", "own"}, {"avx512", "own"}, {"auto", "dnnl"}, {"auto", NULL}};

/* NULL where the machine or the build lacks it. */
static rn_exec *open_way(const way *w, int threads)
{
    rn_exec *x = test_exec(w->cpu, threads);
    if (!x) return NULL;
    if (x->gemm_free) x->gemm_free(x->gemm);
    rn_kernels_pick(&x->k, x->cpu);
    rn_error err;
    rn_status st = rn_gemm_open_as(x, w->choice, &err);
    if (st == RN_OK) return x;
    x->gemm_free = NULL;
    rn_exec_close(x);
    if (st != RN_EUNSUPPORTED) fail_msg("%s", err.message);
    return NULL;
}

static void fill(float *p, size_t n, uint64_t stream)
{
    for (size_t i = 0; i < n; i++)
        p[i] = 2.0f * rn_uniform(7, RN_STREAM_TEST, stream, (uint32_t)i) - 1.0f;
}

/* One product: operands, C with guards, and what C must become. */
typedef struct problem {
    shape s;
    bool ta, tb;
    size_t lda, ldb, ldc, c_floats;
    float *a, *b, *c, *before, *want;
} problem;

/* want = op(A) op(B) + beta before, in double, the sums from the far end to the near one.
 */
static void expect(problem *p, float beta)
{
    for (size_t i = 0; i < p->s.m; i++)
        for (size_t j = 0; j < p->s.n; j++) {
            const size_t at = GUARD + i * p->ldc + j;
            double sum = beta != 0.0f ? (double)beta * (double)p->before[at] : 0.0;
            for (size_t l = p->s.k; l-- > 0;)
                sum += (double)p->a[p->ta ? l * p->lda + i : i * p->lda + l] *
                       (double)p->b[p->tb ? j * p->ldb + l : l * p->ldb + j];
            p->want[at] = (float)sum;
        }
}

/* The last row may end with its last number. */
static size_t matrix_floats(size_t rows, size_t cols, size_t ld)
{
    return rows ? (rows - 1) * ld + cols : 0;
}

static problem make_problem(shape s, bool ta, bool tb, float beta)
{
    problem p = {.s = s, .ta = ta, .tb = tb};
    p.lda = (ta ? s.m : s.k) + s.gap;
    p.ldb = (tb ? s.k : s.n) + s.gap;
    p.ldc = s.n + s.gap ? s.n + s.gap : 1;
    p.c_floats = 2 * GUARD + s.m * p.ldc;
    const size_t a_floats = matrix_floats(ta ? s.k : s.m, ta ? s.m : s.k, p.lda);
    const size_t b_floats = matrix_floats(tb ? s.n : s.k, tb ? s.k : s.n, p.ldb);
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
    memcpy(p.want, p.before, p.c_floats * sizeof(float));
    expect(&p, beta);
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

static void multiply(rn_exec *x, problem *p, float beta)
{
    memcpy(p->c, p->before, p->c_floats * sizeof(float));
    x->k.gemm(x, p->ta, p->tb, p->s.m, p->s.n, p->s.k, p->a, p->lda, p->b, p->ldb, beta,
              p->c + GUARD, p->ldc);
}

/* The tolerance of the kernel list: 64 units of 2^-23 of the largest magnitude. */
static double tolerance(const problem *p)
{
    double most = 0.0;
    for (size_t i = 0; i < p->s.m; i++)
        for (size_t j = 0; j < p->s.n; j++)
            most = fmax(most, fabs((double)p->want[GUARD + i * p->ldc + j]));
    return 64.0 * most / (1 << 23);
}

/* C within the tolerance; every float around and between its rows untouched. */
static void check_problem(const problem *p, const way *w, float beta)
{
    const double most = tolerance(p);
    for (size_t i = 0; i < p->c_floats; i++) {
        const size_t at = i - GUARD, row = at / p->ldc;
        const bool inside = i >= GUARD && row < p->s.m && at % p->ldc < p->s.n;
        const double error = fabs((double)p->c[i] - (double)p->want[i]);
        if (inside ? error <= most : p->c[i] == CANARY) continue;
        fail_msg("%s/%s: m %zu n %zu k %zu gap %zu %c%c beta %g: float %zu is %g, not %g",
                 w->cpu, w->choice ? w->choice : "default", p->s.m, p->s.n, p->s.k,
                 p->s.gap, p->ta ? 't' : 'n', p->tb ? 't' : 'n', (double)beta, i,
                 (double)p->c[i], (double)p->want[i]);
    }
}

#define WAYS (sizeof ways / sizeof *ways)

static void multiply_every_way(const shape *list, size_t count)
{
    rn_exec *x[WAYS];
    for (size_t w = 0; w < WAYS; w++) x[w] = open_way(&ways[w], 2);
    for (size_t s = 0; s < count; s++)
        for (int q = 0; q < 8; q++) {
            const float beta = q & 4 ? 1.0f : 0.0f;
            problem p = make_problem(list[s], q & 1, q & 2, beta);
            for (size_t w = 0; w < WAYS; w++) {
                if (!x[w]) continue;
                multiply(x[w], &p, beta);
                check_problem(&p, &ways[w], beta);
            }
            free_problem(&p);
        }
    for (size_t w = 0; w < WAYS; w++) rn_exec_close(x[w]);
}

static void every_way_multiplies(void **state)
{
    (void)state;
    multiply_every_way(shapes, sizeof shapes / sizeof *shapes);
}

static void empty_sizes(void **state)
{
    (void)state;
    static const shape empty[] = {{0, 5, 3, 0}, {5, 0, 3, 0}, {5, 3, 0, 1}, {0, 0, 0, 0}};
    multiply_every_way(empty, sizeof empty / sizeof *empty);
}

/* The own products give an element the same bits whatever the number of threads, and of
   rows and columns around it. */
static void own_bits_depend_on_row_and_column_alone(void **state)
{
    (void)state;
    const shape whole = {150, 300, 1100, 0};
    static const size_t parts[] = {1, 5, 16, 40, 64, 149};
    for (size_t w = 1; w < 3; w++)
        for (int q = 0; q < 4; q++) {
            rn_exec *one = open_way(&ways[w], 1), *three = open_way(&ways[w], 3);
            if (!one || !three) continue;
            problem p = make_problem(whole, q & 1, q & 2, 0.0f);
            multiply(one, &p, 0.0f);
            memcpy(p.want, p.c, p.c_floats * sizeof(float));
            multiply(three, &p, 0.0f);
            assert_memory_equal(p.c, p.want, p.c_floats * sizeof(float));
            for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
                problem part = p;
                part.s.m = parts[i];
                part.s.n = 2 * parts[i];
                multiply(three, &part, 0.0f);
                for (size_t r = 0; r < part.s.m; r++)
                    assert_memory_equal(p.c + GUARD + r * p.ldc,
                                        p.want + GUARD + r * p.ldc,
                                        part.s.n * sizeof(float));
            }
            free_problem(&p);
            rn_exec_close(one);
            rn_exec_close(three);
        }
}

static void choices(void **state)
{
    (void)state;
    rn_error err;
    rn_exec *x = test_exec("auto", 2);
    if (x->gemm_free) x->gemm_free(x->gemm);
    rn_kernels_pick(&x->k, x->cpu);
    assert_int_equal(rn_gemm_open_as(x, "blas", &err), RN_EINVAL);
    assert_non_null(strstr(err.message, "\"blas\""));
    assert_int_equal(rn_gemm_open_as(x, "own", &err), RN_OK);
    assert_string_equal(x->gemm_name, x->cpu ? "own" : "reference");
    const unsigned all = x->cpu;
    x->cpu = 0;
    assert_int_equal(rn_gemm_open_as(x, "dnnl", &err), RN_EUNSUPPORTED);
    assert_int_equal(rn_gemm_open_as(x, NULL, &err), RN_OK);
    assert_string_equal(x->gemm_name, "reference");
    x->cpu = RN_CPU_AVX2;
    if (all & RN_CPU_AVX512) {
        assert_int_equal(rn_gemm_open_as(x, "dnnl", &err), RN_EUNSUPPORTED);
        assert_int_equal(rn_gemm_open_as(x, NULL, &err), RN_OK);
        assert_string_equal(x->gemm_name, "own");
    }
    rn_exec_close(x);
}

/* A row alone, by one thread, gives the bits that it gives among the others. */
static void check_matvec(rn_exec *x, rn_exec *one, size_t rows, size_t n, size_t k)
{
    const size_t ldin = k + 3, ldy = n + 2;
    float *in = test_floats(rows * ldin), *w = test_floats(n * k);
    float *y = test_floats(rows * ldy), *solo = test_floats(n + 1);
    fill(in, rows * ldin, 11);
    fill(w, n * k, 12);
    for (size_t i = 0; i < rows * ldy; i++) y[i] = CANARY;
    x->k.matvec(x, y, ldy, in, ldin, w, rows, n, k);
    for (size_t r = 0; r < rows; r++) {
        solo[n] = CANARY;
        one->k.matvec(one, solo, n, in + r * ldin, ldin, w, 1, n, k);
        assert_memory_equal(solo, y + r * ldy, n * sizeof(float));
        assert_true(solo[n] == CANARY);
        assert_true(y[r * ldy + n] == CANARY && y[r * ldy + n + 1] == CANARY);
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t l = 0; l < k; l++)
                sum += (double)in[r * ldin + l] * (double)w[j * k + l];
            assert_true(fabs((double)solo[j] - sum) <= 2e-7 * (4.0 + sqrt((double)k)));
        }
    }
    free(in);
    free(w);
    free(y);
    free(solo);
}

static void matvec_rows_are_independent(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},     {7, 15},   {8, 16},   {9, 17},
                                      {33, 64},   {64, 100}, {130, 31}, {301, 257},
                                      {520, 512}, {5, 0}};
    for (size_t w = 0; w < 3; w++) {
        rn_exec *one = open_way(&ways[w], 1), *three = open_way(&ways[w], 3);
        if (!one || !three) continue;
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (size_t rows = 1; rows <= 17; rows += rows < 6 ? 1 : 5)
                check_matvec(three, one, rows, sizes[s][0], sizes[s][1]);
        rn_exec_close(one);
        rn_exec_close(three);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_multiplies),
        cmocka_unit_test(empty_sizes),
        cmocka_unit_test(own_bits_depend_on_row_and_column_alone),
        cmocka_unit_test(choices),
        cmocka_unit_test(matvec_rows_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

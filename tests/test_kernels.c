/* Every kernel of the table, at every instruction set of this machine, against its
   reference: odd shapes, unaligned buffers, canaries, and the same bits whatever the
   thread count. The seed is RN_TEST_SEED, or 1. */
#include "test.h"

#include "core/rng.h"
#include "cpu/cpu.h"
#include "kernels/cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST 4e7 /* bytes and flops above which a shape is left to the benchmark */

enum { CPUS = 4 };

typedef struct machine {
    rn_exec
        *x[CPUS][3]; /* [instruction set][threads 1, 2, 3]; NULL where it is missing */
    rn_exec *ref;
} machine;

/* The last two: AVX-512 without its parts for bytes and bfloat16, and with those that the
   machine has. */
static const char *const cpu_names[CPUS] = {"ref", "avx2", "avx512", "avx512 and parts"};
static const char *const option_names[CPUS] = {"ref", "avx2", "avx512", "avx512"};

static uint64_t seed(void)
{
    const char *text = getenv("RN_TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

/* A handle for entry i of the lists, or NULL. */
static rn_exec *open_cpu(int i, int threads)
{
    const unsigned parts = RN_CPU_VNNI | RN_CPU_BF16;
    rn_exec *x = test_exec(option_names[i], threads);
    if (x && i == 3 && !(x->cpu & parts)) {
        rn_exec_close(x);
        return NULL;
    }
    if (x && i == 2 && (x->cpu & parts)) {
        const rn_gemm_fn gemm = x->k.gemm;
        x->cpu &= ~parts;
        rn_kernels_pick(&x->k, x->cpu);
        x->k.gemm = gemm;
    }
    return x;
}

static machine *open_machine(void)
{
    machine *m = calloc(1, sizeof *m);
    assert_non_null(m);
    rn_error err;
    for (int i = 0; i < CPUS; i++)
        for (int t = 0; t < 3; t++) m->x[i][t] = open_cpu(i, t + 1);
    rn_exec_options one = {.cpu = "ref", .threads = 1};
    if (rn_exec_open(&m->ref, &one, &err)) fail_msg("%s", err.message);
    rn_kernels_ref(&m->ref->k);
    return m;
}

static void close_machine(machine *m)
{
    for (int i = 0; i < CPUS; i++)
        for (int t = 0; t < 3; t++) rn_exec_close(m->x[i][t]);
    rn_exec_close(m->ref);
    free(m);
}

/* What a run left in the buffers, one after the other. */
static char *outputs_of(const rn_case *c)
{
    size_t bytes = 1;
    for (size_t i = 0; i < c->buffers; i++) bytes += rn_case_buffer_bytes(&c->buffer[i]);
    char *copy = malloc(bytes), *at = copy;
    assert_non_null(copy);
    for (size_t i = 0; i < c->buffers; i++) {
        size_t n = rn_case_buffer_bytes(&c->buffer[i]);
        if (n && c->buffer[i].data) memcpy(at, c->buffer[i].data, n);
        at += n;
    }
    return copy;
}

static double element(const void *data, rn_case_type type, size_t i)
{
    if (type == RN_CASE_F64) {
        double v;
        memcpy(&v, (const char *)data + i * sizeof v, sizeof v);
        return v;
    }
    float v;
    memcpy(&v, (const char *)data + i * sizeof v, sizeof v);
    return (double)v;
}

static double largest(const char *data, const rn_case_buffer *b)
{
    double top = 0.0;
    for (size_t i = 0; i < b->count; i++) {
        double v = fabs(element(data, b->type, i));
        if (isfinite(v)) top = fmax(top, v);
    }
    return top;
}

/* Whole numbers have to be the same. */
static void compare_exactly(const rn_case_buffer *b, const char *want, const char *what)
{
    const char *got = b->data;
    for (size_t i = 0; i < rn_case_buffer_bytes(b); i++)
        if (got[i] != want[i])
            fail_msg("%s: byte %zu of %s is %d, reference %d", what, i, b->name, got[i],
                     want[i]);
}

/* Compares one buffer; NaN, which only padding may hold, has to stay as it was. */
static void compare_buffer(const rn_case_buffer *b, const char *want, double tolerance,
                           const char *what)
{
    if (b->type == RN_CASE_I32 || b->type == RN_CASE_U8) {
        compare_exactly(b, want, what);
        return;
    }
    double unit = largest(want, b) * 0x1p-23;
    for (size_t i = 0; i < b->count; i++) {
        double got = element(b->data, b->type, i), ideal = element(want, b->type, i);
        if (isnan(got) && isnan(ideal)) continue;
        if (fabs(got - ideal) <= tolerance * unit) continue;
        fail_msg("%s: %s[%zu] is %.9g, reference %.9g: off by %.1f of %.0f units", what,
                 b->name, i, got, ideal, fabs(got - ideal) / unit, tolerance);
    }
}

static void compare(const rn_case *c, const char *want, double tolerance,
                    const char *what)
{
    for (size_t i = 0; i < c->buffers; i++) {
        const rn_case_buffer *b = &c->buffer[i];
        if (b->data && b->role != RN_CASE_IN) compare_buffer(b, want, tolerance, what);
        want += rn_case_buffer_bytes(b);
    }
}

static void compare_bits(const rn_case *c, const char *want, const char *what)
{
    for (size_t i = 0; i < c->buffers; i++) {
        const rn_case_buffer *b = &c->buffer[i];
        size_t bytes = rn_case_buffer_bytes(b);
        if (b->data && bytes && memcmp(b->data, want, bytes) != 0)
            fail_msg("%s: %s has other bits than with one thread", what, b->name);
        want += bytes;
    }
}

static void run(rn_case *c, rn_exec *x, const char *what)
{
    rn_error err;
    rn_case_reset(c);
    if (rn_case_run(c, x, &err)) fail_msg("%s: %s", what, err.message);
    const char *damaged = rn_case_damage(c);
    if (damaged) fail_msg("%s: wrote outside of, or into the input, %s", what, damaged);
}

static void check_variant(rn_case *c, const machine *m, int cpu, const rn_case_row *row,
                          const char *want)
{
    char *single = NULL;
    for (int t = 0; t < 3; t++) {
        char what[200];
        snprintf(what, sizeof what, "%s (%s), %s, threads %d, seed %llu", row->name,
                 c->shape, cpu_names[cpu], t + 1, (unsigned long long)seed());
        run(c, m->x[cpu][t], what);
        compare(c, want, row->tolerance, what);
        if (single) compare_bits(c, single, what);
        if (!single) single = outputs_of(c);
    }
    free(single);
}

static void check_shape(const machine *m, const rn_case_row *row, size_t shape)
{
    rn_case *c;
    rn_error err;
    if (rn_case_open(&c, row, shape, seed(), false, &err)) fail_msg("%s", err.message);
    if (c->flops <= LARGEST && c->bytes <= LARGEST) {
        run(c, m->ref, row->name);
        char *want = outputs_of(c);
        for (int cpu = 0; cpu < CPUS; cpu++)
            if (m->x[cpu][0]) check_variant(c, m, cpu, row, want);
        free(want);
    }
    rn_case_close(c);
}

static void kernel_matches_reference(void **state)
{
    const rn_case_row *row = *state;
    machine *m = open_machine();
    for (size_t shape = 0; shape < row->kind->shapes; shape++) check_shape(m, row, shape);
    close_machine(m);
}

/* A row's bits do not depend on the rows beside it. */
static void matvec_rows_stand_alone(void **state)
{
    (void)state;
    enum { rows = 7, n = 70, k = 133 };
    static float w[n * k], in[rows * k], together[rows * n], alone[n];
    machine *m = open_machine();
    for (size_t i = 0; i < n * k; i++)
        w[i] = rn_uniform(seed(), RN_STREAM_TEST, i, 0) - 0.5f;
    for (size_t i = 0; i < rows * k; i++)
        in[i] = rn_uniform(seed(), RN_STREAM_TEST, i, 1) - 0.5f;
    for (int cpu = 0; cpu < CPUS; cpu++) {
        rn_exec *x = m->x[cpu][1];
        if (!x) continue;
        x->k.matvec(x, together, n, in, k, w, rows, n, k);
        for (size_t r = 0; r < rows; r++) {
            x->k.matvec(x, alone, n, in + r * k, k, w, 1, n, k);
            assert_memory_equal(alone, together + r * n, sizeof alone);
        }
    }
    close_machine(m);
}

static void norm_rows_stand_alone(void **state)
{
    (void)state;
    enum { rows = 9, dim = 77 };
    static float in[rows * dim], together[rows * dim], alone[dim];
    machine *m = open_machine();
    for (size_t i = 0; i < rows * dim; i++)
        in[i] = rn_uniform(seed(), RN_STREAM_TEST, i, 2) - 0.5f;
    for (int cpu = 0; cpu < CPUS; cpu++) {
        rn_exec *x = m->x[cpu][1];
        if (!x) continue;
        x->k.norm_fwd(x, together, NULL, in, NULL, NULL, rows, dim, 1e-6f, true);
        for (size_t r = 0; r < rows; r++) {
            x->k.norm_fwd(x, alone, NULL, in + r * dim, NULL, NULL, 1, dim, 1e-6f, true);
            assert_memory_equal(alone, together + r * dim, sizeof alone);
        }
    }
    close_machine(m);
}

/* The operations that may work in place give the same bits there. */
static void in_place_equals_apart(void **state)
{
    (void)state;
    enum { n = 1003 };
    static float in[n], dy[n], apart[n], place[n];
    machine *m = open_machine();
    for (size_t i = 0; i < n; i++) {
        in[i] = 8.0f * rn_uniform(seed(), RN_STREAM_TEST, i, 3) - 4.0f;
        dy[i] = rn_uniform(seed(), RN_STREAM_TEST, i, 4) - 0.5f;
    }
    for (int cpu = 0; cpu < CPUS; cpu++) {
        rn_exec *x = m->x[cpu][0];
        if (!x) continue;
        x->k.act_fwd(x, apart, in, n, RN_ACT_GELU);
        memcpy(place, in, sizeof place);
        x->k.act_fwd(x, place, place, n, RN_ACT_GELU);
        assert_memory_equal(apart, place, sizeof place);
        x->k.act_bwd(x, apart, dy, in, n, RN_ACT_SWISH);
        memcpy(place, dy, sizeof place);
        x->k.act_bwd(x, place, place, in, n, RN_ACT_SWISH);
        assert_memory_equal(apart, place, sizeof place);
        x->k.dropout(x, apart, in, n, 0.25f, 5, 6);
        memcpy(place, in, sizeof place);
        x->k.dropout(x, place, place, n, 0.25f, 5, 6);
        assert_memory_equal(apart, place, sizeof place);
    }
    close_machine(m);
}

/* The largest relative error of an activation over [-range, range], in units of 2^-24. */
static double worst_activation(const machine *m, rn_exec *x, rn_activation kind,
                               float range)
{
    enum { n = 100000 };
    static float in[n], got[n], want[n];
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) in[i] = range * (2.0f * (float)i / (float)n - 1.0f);
    m->ref->k.act_fwd(m->ref, want, in, n, kind);
    x->k.act_fwd(x, got, in, n, kind);
    for (size_t i = 0; i < n; i++) {
        double ideal = (double)want[i];
        if (fabs(ideal) < 1e-30) continue;
        worst = fmax(worst, fabs((double)got[i] - ideal) / fabs(ideal) * 0x1p24);
    }
    return worst;
}

/* The tables' tolerance is against the largest output; the approximations of exp and of
   the normal distribution are good for every single one, in the tails too. */
static void activations_are_accurate_everywhere(void **state)
{
    (void)state;
    machine *m = open_machine();
    for (int cpu = 0; cpu < CPUS; cpu++) {
        rn_exec *x = m->x[cpu][0];
        if (!x) continue;
        double swish = worst_activation(m, x, RN_ACT_SWISH, 60.0f);
        double gelu = worst_activation(m, x, RN_ACT_GELU, 11.0f);
        if (swish > 3.5 || gelu > 8.0)
            fail_msg("%s: swish %.2f, gelu %.2f half units in the last place",
                     cpu_names[cpu], swish, gelu);
    }
    close_machine(m);
}

/* The mask is a pure function of (seed, counter, i), the same at every instruction set.
 */
static void dropout_masks_agree(void **state)
{
    (void)state;
    enum { n = 999 };
    static float ones[n], first[n], other[n];
    machine *m = open_machine();
    for (size_t i = 0; i < n; i++) ones[i] = 1.0f;
    m->ref->k.dropout(m->ref, first, ones, n, 0.4f, 77, (uint64_t)1 << 40);
    for (int cpu = 0; cpu < CPUS; cpu++) {
        rn_exec *x = m->x[cpu][0];
        if (!x) continue;
        x->k.dropout(x, other, ones, n, 0.4f, 77, (uint64_t)1 << 40);
        assert_memory_equal(first, other, sizeof first);
    }
    close_machine(m);
}

/* A NaN in a gradient must reach the check that skips the step. */
static void nan_goes_through(void **state)
{
    (void)state;
    enum { n = 37 };
    static float in[n], out[n];
    machine *m = open_machine();
    for (int cpu = 0; cpu < CPUS; cpu++) {
        rn_exec *x = m->x[cpu][0];
        if (!x) continue;
        for (int act = RN_ACT_SWISH; act <= RN_ACT_RELU; act++) {
            for (size_t i = 0; i < n; i++) in[i] = i == 20 || i == 35 ? NAN : 0.5f;
            x->k.act_fwd(x, out, in, n, (rn_activation)act);
            assert_true(isnan(out[20]) && isnan(out[35]) && !isnan(out[34]));
        }
        double sum = 0.0;
        x->k.sumsq(x, &sum, in, n);
        assert_true(isnan(sum));
        x->k.norm_fwd(x, out, NULL, in, NULL, NULL, 1, n, 1e-6f, false);
        assert_true(isnan(out[0]));
        const int32_t target = 3;
        float loss, lse;
        x->k.xent_fwd(x, &loss, &lse, in, &target, 1, n);
        assert_true(isnan(loss));
    }
    close_machine(m);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(matvec_rows_stand_alone),
        cmocka_unit_test(norm_rows_stand_alone),
        cmocka_unit_test(in_place_equals_apart),
        cmocka_unit_test(dropout_masks_agree),
        cmocka_unit_test(nan_goes_through),
        cmocka_unit_test(activations_are_accurate_everywhere),
    };
    struct CMUnitTest tests[100];
    size_t count = 0;
    for (const rn_case_row *row; (row = rn_case_row_at(count)); count++) {
        union {
            const void *in;
            void *out;
        } cast = {.in = row};
        tests[count] = (struct CMUnitTest){.name = row->name,
                                           .test_func = kernel_matches_reference,
                                           .initial_state = cast.out};
    }
    memcpy(tests + count, others, sizeof others);
    size_t total = count + sizeof others / sizeof *others;
    return _cmocka_run_group_tests("kernels", tests, total, NULL, NULL);
}

/* Opening execution handles: names, thread counts, what is refused; and the measurements
   over a handle. */
#define _GNU_SOURCE
#include "test.h"

#include "retnet/bench.h"
#include "retnet/exec.h"

#include "cpu/cpu.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void defaults_use_every_core_once(void **state)
{
    (void)state;
    rn_exec *x = NULL;
    rn_error err;
    assert_int_equal(rn_exec_open(&x, NULL, &err), RN_OK);
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    assert_true(rn_exec_threads(x) >= 1 && rn_exec_threads(x) <= CPU_COUNT(&allowed));
    assert_non_null(strstr(rn_exec_describe(x), rn_cpu_name(rn_cpu_detect())));
    assert_non_null(strstr(rn_exec_describe(x), "gemm "));
    rn_exec_close(x);
    rn_exec_close(NULL);
}

/* Bound to one processor, the default is one thread. */
static void affinity_is_respected(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &before)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    int cores = rn_cpu_cores();
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(cores, 1);
}

static void names_choose_the_instruction_set(void **state)
{
    (void)state;
    static const char *const names[] = {"ref", "avx2", "avx512", "auto"};
    const unsigned have = rn_cpu_detect();
    const unsigned parts = have & (RN_CPU_VNNI | RN_CPU_BF16);
    const unsigned masks[] = {0, RN_CPU_AVX2, RN_CPU_AVX2 | RN_CPU_AVX512 | parts, have};
    for (size_t i = 0; i < 4; i++) {
        rn_exec_options o = {.cpu = names[i], .threads = 3, .device = "cpu"};
        rn_exec *x = NULL;
        rn_error err;
        rn_status st = rn_exec_open(&x, &o, &err);
        if (masks[i] & ~have) {
            assert_int_equal(st, RN_EUNSUPPORTED);
            assert_non_null(strstr(err.message, names[i]));
            continue;
        }
        assert_int_equal(st, RN_OK);
        assert_int_equal(x->cpu, masks[i]);
        assert_int_equal(rn_exec_threads(x), 3);
        assert_non_null(strstr(rn_exec_describe(x), "3 threads"));
        assert_true((x->k.norm_fwd == rn_norm_fwd_ref) == (masks[i] == 0));
        rn_exec_close(x);
    }
}

static void expect_refusal(rn_exec_options o, rn_status want, const char *word)
{
    rn_exec *x = NULL;
    rn_error err = {RN_OK, ""};
    assert_int_equal(rn_exec_open(&x, &o, &err), want);
    assert_int_equal(err.status, want);
    assert_non_null(strstr(err.message, word));
    assert_null(x);
    assert_int_equal(rn_exec_open(&x, &o, NULL), want);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    expect_refusal((rn_exec_options){.cpu = "sse9"}, RN_EINVAL, "sse9");
    expect_refusal((rn_exec_options){.threads = -1}, RN_EINVAL, "-1");
    expect_refusal((rn_exec_options){.threads = 1025}, RN_EINVAL, "1025");
    expect_refusal((rn_exec_options){.device = "tpu"}, RN_EUNSUPPORTED, "tpu");
}

typedef struct rows_seen {
    int count;
    bool sound;
} rows_seen;

static void see_row(void *user, const rn_bench_row *row)
{
    rows_seen *seen = user;
    seen->count++;
    seen->sound = seen->sound && strstr(row->name, "bias") && row->shape[0] &&
                  row->min_seconds > 0.0 && row->min_seconds <= row->seconds &&
                  row->seconds <= row->max_seconds && row->bytes > 0.0 &&
                  row->speedup > 0.0;
}

static void kernels_are_measured(void **state)
{
    (void)state;
    rn_exec *x = NULL;
    rn_error err;
    assert_int_equal(rn_exec_open(&x, NULL, &err), RN_OK);
    rows_seen seen = {0, true};
    assert_int_equal(rn_bench_kernels(x, "bias", 4, see_row, &seen, &err), RN_OK);
    assert_int_equal(seen.count, 2);
    assert_true(seen.sound);
    assert_int_equal(rn_bench_kernels(x, "nothing", 4, see_row, &seen, &err),
                     RN_ENOTFOUND);
    assert_non_null(strstr(err.message, "nothing"));
    assert_int_equal(rn_bench_kernels(x, NULL, 0, see_row, &seen, &err), RN_EINVAL);
    assert_int_equal(seen.count, 2);
    rn_exec_close(x);
}

/* Any machine of this century does more than a tenth of a billion of each a second, and
   none reads a petabyte. */
static void limits_are_plausible(void **state)
{
    (void)state;
    rn_exec_options o = {.threads = 1};
    rn_exec *x = NULL;
    rn_error err;
    assert_int_equal(rn_exec_open(&x, &o, &err), RN_OK);
    double flops = rn_bench_peak_flops(x), bytes = rn_bench_bandwidth(x);
    assert_true(flops > 1e8 && flops < 1e13);
    assert_true(bytes > 1e8 && bytes < 1e13);
    rn_exec_close(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_use_every_core_once),
        cmocka_unit_test(affinity_is_respected),
        cmocka_unit_test(names_choose_the_instruction_set),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(kernels_are_measured),
        cmocka_unit_test(limits_are_plausible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

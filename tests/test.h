/* What the tests share: cmocka, plain allocations, differences, handles by CPU mask. */
#ifndef RN_TESTS_TEST_H
#define RN_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "retnet/exec.h"

#include <math.h>
#include <stdlib.h>

/* n zeroed floats for free(). */
static inline float *test_floats(size_t n)
{
    float *p = calloc(n ? n : 1, sizeof *p);
    assert_non_null(p);
    return p;
}

/* Largest difference over the largest magnitude of `want`; infinite when anything is not
   a number. */
static inline double test_difference(const float *got, const float *want, size_t n)
{
    double most = 0.0, error = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        if (!(d < INFINITY)) return INFINITY;
        error = fmax(error, d);
        most = fmax(most, fabs((double)want[i]));
    }
    return error == 0.0 ? 0.0 : error / most;
}

/* A handle limited to an instruction set, or NULL where the machine lacks it. */
static inline rn_exec *test_exec(const char *cpu, int threads)
{
    rn_exec *x;
    rn_error err;
    rn_status st =
        rn_exec_open(&x, &(rn_exec_options){.cpu = cpu, .threads = threads}, &err);
    if (st == RN_EUNSUPPORTED) return NULL;
    if (st) fail_msg("%s", err.message);
    return x;
}

#endif

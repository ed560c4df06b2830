/*
 * Dense products by oneDNN (2.x and 3.x) where it measured faster than the project's own:
 * its dnnl_sgemm, which has no state and nothing to set up for a shape, for products with
 * A^T. The matmul primitives of the library were nowhere faster than the better of the
 * two.
 */
#include "cpu/gemm.h"

#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct library {
    rn_gemm_fn own;
    char name[40];
} library;

const char *rn_gemm_dnnl_obstacle(void)
{
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
    return NULL;
#else
    return "this oneDNN does not run on OpenMP threads";
#endif
}

/* Of the transposed products, the gradients of weights, the library's are faster by 3 to
   9%. The others are equal, and the own ones give a row the same bits whatever the rows
   beside it. */
static bool library_is_faster(bool ta, size_t m, size_t n, size_t k)
{
    const size_t small = 64;
    return ta && m > small && n > small && k > small;
}

static void gemm_dnnl(rn_exec *x, bool ta, bool tb, size_t m, size_t n, size_t k,
                      const float *a, size_t lda, const float *b, size_t ldb, float beta,
                      float *c, size_t ldc)
{
    const library *lib = x->gemm;
    if (library_is_faster(ta, m, n, k)) {
        const int before = omp_get_max_threads();
        omp_set_num_threads(rn_exec_parallel(x, m * n / 32 * k));
        dnnl_status_t st = dnnl_sgemm(
            ta ? 'T' : 'N', tb ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k,
            1.0f, a, (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb, beta, c, (dnnl_dim_t)ldc);
        omp_set_num_threads(before);
        if (st == dnnl_success) return;
    }
    lib->own(x, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

rn_status rn_gemm_dnnl_open(rn_exec *x, rn_error *err)
{
    library *lib = malloc(sizeof *lib);
    if (!lib) return rn_fail_memory(err, "the GEMM library's handle", sizeof *lib);
    const dnnl_version_t *v = dnnl_version();
    lib->own = x->k.gemm;
    snprintf(lib->name, sizeof lib->name, "oneDNN %d.%d.%d", v->major, v->minor,
             v->patch);
    x->gemm = lib;
    x->gemm_free = free;
    x->gemm_name = lib->name;
    x->k.gemm = gemm_dnnl;
    return RN_OK;
}

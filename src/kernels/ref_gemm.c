/* Reference of the dense products: C = op(A) op(B) + beta C and y = in W^T. Sums run in
   double over k in order and are rounded once. No blocking, no packing. */
#include "kernels/exec.h"

/* Rows from .. to-1 of C. */
static void rows_of_product(bool ta, bool tb, size_t from, size_t to, size_t n, size_t k,
                            const float *a, size_t lda, const float *b, size_t ldb,
                            float beta, float *c, size_t ldc)
{
    const size_t a_row = ta ? 1 : lda, a_depth = ta ? lda : 1;
    const size_t b_depth = tb ? 1 : ldb, b_col = tb ? ldb : 1;
    for (size_t i = from; i < to; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t l = 0; l < k; l++)
                sum += (double)a[i * a_row + l * a_depth] *
                       (double)b[l * b_depth + j * b_col];
            if (beta != 0.0f) sum += (double)beta * (double)c[i * ldc + j];
            c[i * ldc + j] = (float)sum;
        }
}

void rn_gemm_ref(rn_exec *x, bool ta, bool tb, size_t m, size_t n, size_t k,
                 const float *a, size_t lda, const float *b, size_t ldb, float beta,
                 float *c, size_t ldc)
{
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, m *n *k))
    for (size_t i = 0; i < m; i++)
        rows_of_product(ta, tb, i, i + 1, n, k, a, lda, b, ldb, beta, c, ldc);
}

void rn_matvec_ref(rn_exec *x, float *y, size_t ldy, const float *in, size_t ldin,
                   const float *w, size_t rows, size_t n, size_t k)
{
    (void)x;
    rows_of_product(false, true, 0, rows, n, k, in, ldin, w, k, 0.0f, y, ldy);
}

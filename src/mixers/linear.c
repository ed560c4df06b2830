/* The dense projection of mixers and models, on the kernel table. */
#include "mixers/mixers.h"

/* Rows of one pass over the weights. */
#define FEW_ROWS ((size_t)16)

void rn_linear(rn_exec *x, rn_form form, float *y, size_t ldy, const float *in,
               size_t ldin, const float *w, size_t rows, size_t n, size_t k)
{
    if (form != RN_FORM_RECURRENT) {
        x->k.gemm(x, false, true, rows, n, k, in, ldin, w, k, 0.0f, y, ldy);
        return;
    }
    for (size_t r = 0; r < rows; r += FEW_ROWS) {
        size_t few = rows - r < FEW_ROWS ? rows - r : FEW_ROWS;
        x->k.matvec(x, y + r * ldy, ldy, in + r * ldin, ldin, w, few, n, k);
    }
}

void rn_linear_backward(rn_exec *x, float *din, size_t lddin, float *dw, const float *dy,
                        size_t lddy, const float *in, size_t ldin, const float *w,
                        size_t rows, size_t n, size_t k)
{
    x->k.gemm(x, true, false, n, k, rows, dy, lddy, in, ldin, 1.0f, dw, k);
    if (din) x->k.gemm(x, false, false, rows, k, n, dy, lddy, w, k, 0.0f, din, lddin);
}

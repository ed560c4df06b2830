/* Every mixer by name, for the registry, and what mixers share. */
#ifndef RN_MIXERS_MIXERS_H
#define RN_MIXERS_MIXERS_H

#include "mixers/mixer.h"

extern const rn_mixer rn_mixer_retention;

/* y[rows][n] = in[rows][k] W^T: the product of every projection. The recurrent form
   streams the weights past its few rows, the others go through the GEMM: by form and not
   by number, so that a row has the same bits whatever the rows beside it. */
void rn_linear(rn_exec *x, rn_form form, float *y, size_t ldy, const float *in,
               size_t ldin, const float *w, size_t rows, size_t n, size_t k);

/* Its gradients: dw += dy^T in, and din = dy W unless din is NULL. */
void rn_linear_backward(rn_exec *x, float *din, size_t lddin, float *dw, const float *dy,
                        size_t lddy, const float *in, size_t ldin, const float *w,
                        size_t rows, size_t n, size_t k);

#endif

/* d_n = 1 + gamma + ... + gamma^n, the row normaliser's geometric sum, in closed form:
   (1 - gamma^(n+1)) / (1 - gamma), both differences by expm1 so that neither cancels. */
#include "kernels/kernels.h"

#include <math.h>

double rn_decay_sum(double log_gamma, uint64_t n)
{
    double terms = (double)n + 1.0;
    if (log_gamma == 0.0) return terms;
    return expm1(terms * log_gamma) / expm1(log_gamma);
}

/* References of the cross entropy of a softmax: loss = log sum_v e^l_v - l_target, the
   largest logit taken out of the sum first, and its gradient scale (softmax - onehot). */
#include "kernels/kernels.h"

#include <math.h>

static double log_sum_exp(const float *logits, size_t n)
{
    double top = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < n; i++) top = fmax(top, logits[i]);
    for (size_t i = 0; i < n; i++) sum += exp(logits[i] - top);
    return top + log(sum);
}

void rn_xent_fwd_ref(rn_exec *x, float *loss, float *lse, const float *logits,
                     const int32_t *targets, size_t rows, size_t vocab)
{
    (void)x;
    for (size_t r = 0; r < rows; r++) {
        const float *row = logits + r * vocab;
        double total = log_sum_exp(row, vocab);
        lse[r] = (float)total;
        loss[r] = targets[r] < 0 ? 0.0f : (float)(total - row[targets[r]]);
    }
}

void rn_xent_bwd_ref(rn_exec *x, float *logits, const float *lse, const int32_t *targets,
                     size_t rows, size_t vocab, float scale)
{
    (void)x;
    for (size_t r = 0; r < rows; r++) {
        float *row = logits + r * vocab;
        for (size_t i = 0; i < vocab; i++) {
            double p = exp((double)row[i] - lse[r]);
            double hit = targets[r] >= 0 && (size_t)targets[r] == i ? 1.0 : 0.0;
            row[i] = targets[r] < 0 ? 0.0f : (float)(scale * (p - hit));
        }
    }
}

/*
 * Drawing a token: a pure function of logits, recent tokens, rules and (seed, position,
 * choice). The order of the rules: repeat penalty, top-k, top-p (of what top-k left,
 * renormalised), min-p, temperature, draw. Sets are therefore chosen before the
 * temperature spreads them.
 */
#ifndef RN_GENERATE_SAMPLER_H
#define RN_GENERATE_SAMPLER_H

#include "core/error.h"
#include "retnet/session.h"

#include <stddef.h>
#include <stdint.h>

/* A token and its logit. "Better" is a larger logit, then a lower id: a total order. */
typedef struct rn_candidate {
    float logit;
    int32_t id;
} rn_candidate;

/* What is drawn from. recent may hold a token more than once; it counts once. */
typedef struct rn_sampler_input {
    const float *logits; /* [vocab] */
    size_t vocab;
    const int32_t *recent;
    size_t recent_count;
    uint64_t position; /* of the token to be drawn */
} rn_sampler_input;

/* Memory for one draw, each [vocab]. weights and candidates may be the same memory. */
typedef struct rn_sampler_scratch {
    double *weights;
    float *logits;
    rn_candidate *candidates;
} rn_sampler_scratch;

/* RN_EINVAL names the field that is out of range. */
rn_status rn_sampling_check(const rn_sampling *how, rn_error *err);

/* O(vocab) expected, whatever the rules. RN_EINVAL for rules out of range, and for logits
   that hold NaN or +Inf, or nothing above -Inf. */
rn_status rn_sampler_draw(const rn_sampling *how, const rn_sampler_input *in,
                          const rn_sampler_scratch *scratch, int32_t *id, rn_error *err);

/* log of sum_i exp(logits[i]), in double: log softmax of token i is logits[i] minus it.
 */
double rn_log_sum_exp(const float *logits, size_t count);

#endif

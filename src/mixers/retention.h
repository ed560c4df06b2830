/* Parts of retention that others ask about. */
#ifndef RN_MIXERS_RETENTION_H
#define RN_MIXERS_RETENTION_H

#include "mixers/mixer.h"
#include "retnet/retention.h"

/* theta_i of rotated pair i, by the stored table or the dialect's rule. */
double rn_rotary_angle(const rn_mixer_config *c, size_t i);

/* The recurrent form of a segment: step after step, every sequence to its own length. */
void rn_retention_recurrent(rn_exec *x, const rn_retention *d, float *o, float *row_scale,
                            const float *q, const float *k, const float *v,
                            float *const *state, float *const *z);

#endif

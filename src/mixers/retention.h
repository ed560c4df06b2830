/* Parts of retention that others ask about. */
#ifndef RN_MIXERS_RETENTION_H
#define RN_MIXERS_RETENTION_H

#include "mixers/mixer.h"
#include "retnet/retention.h"

/* The order of parameters. Weights and biases of q, k, v, g are joined. */
enum {
    RETENTION_Q,
    RETENTION_K,
    RETENTION_V,
    RETENTION_G,
    RETENTION_Q_BIAS,
    RETENTION_K_BIAS,
    RETENTION_V_BIAS,
    RETENTION_G_BIAS,
    RETENTION_O,
    RETENTION_O_BIAS,
    RETENTION_HEAD_NORM
};

/* Widths of q, k, v, g and of all four, which lie side by side in a row. */
typedef struct retention_widths {
    size_t q, k, v, g, all;
} retention_widths;
retention_widths rn_retention_widths(const rn_mixer_config *c);

/* What the layers share: log gamma of each head, then the rotation tables. */
typedef struct retention_tables {
    float *log_decay; /* [H] */
    float *cos, *sin; /* [period][dk / 2] */
} retention_tables;
retention_tables rn_retention_tables(const rn_mixer_config *c, size_t period,
                                     const float *base, size_t *floats);

/* Decoding (retention_step.c), as the mixer interface has it. A tail is, per k, v head,
   keys [RN_DECODE_TAIL][dk], then values [RN_DECODE_TAIL][dv], the oldest first. */
size_t rn_retention_tail_floats(const rn_mixer_config *c);
size_t rn_retention_step_bytes(const rn_mixer_config *c, size_t batch);
size_t rn_retention_tail_run(const rn_mixer_config *c, size_t count, size_t i,
                             size_t *offset);
void rn_retention_step(rn_exec *x, const rn_mixer_config *c, const rn_mixer_step *s,
                       float *y);
void rn_retention_fold(rn_exec *x, const rn_mixer_config *c, rn_row_norm norm,
                       float *state, const float *tail, size_t count);
bool rn_retention_halve(rn_exec *x, const rn_mixer_config *c, float *state, bool split);

/* theta_i of rotated pair i, by the stored table or the dialect's rule. */
double rn_rotary_angle(const rn_mixer_config *c, size_t i);

/* The recurrent form of a segment: step after step, every sequence to its own length. */
void rn_retention_recurrent(rn_exec *x, const rn_retention *d, float *o, float *row_scale,
                            const float *q, const float *k, const float *v,
                            float *const *state, float *const *z);

#endif

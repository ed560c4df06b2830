/*
 * The interface of a sequence mixer: what stands in a block's place for attention. A new
 * mixer is one file, one row in registry.c and one row in the tests.
 */
#ifndef RN_MIXERS_MIXER_H
#define RN_MIXERS_MIXER_H

#include "mixers/linear.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_MAX_HEADS      256
#define RN_MAX_PARAMS     16   /* of a mixer */
#define RN_MAX_HEAD_WIDTH 1024 /* dk and dv */

typedef enum rn_head_norm_weight {
    RN_HEAD_NORM_WEIGHT_NONE = 0,
    RN_HEAD_NORM_WEIGHT_SHARED = 1, /* [dv] */
    RN_HEAD_NORM_WEIGHT_CHANNEL = 2 /* [H dv] */
} rn_head_norm_weight;

/* How the decays follow from the number of heads. */
typedef enum rn_decay_rule {
    RN_DECAY_POWERS = 0, /* 1 - 2^(-5-h): the paper, torchscale, fla */
    RN_DECAY_SPREAD = 1, /* 1 - exp(linspace(ln 1/32, ln 1/512, H)): its experiments */
    RN_DECAY_TENTHS = 2, /* 1 - 2^-h / 10: half-lives from 7 tokens, for bytes */
    RN_DECAY_LISTED = 3  /* one gamma for each head is given */
} rn_decay_rule;

typedef struct rn_mixer rn_mixer;

/* The mixer's part of a model's config. */
typedef struct rn_mixer_config {
    const rn_mixer *kind;
    size_t width;              /* D */
    size_t heads, kv_heads;    /* H, KV */
    size_t key_dim, value_dim; /* dk, dv of a head */
    bool output_gate, bias;
    rn_head_norm head_norm;
    rn_head_norm_weight head_norm_weight;
    double norm_eps;
    rn_rotary_kind rotary;
    size_t angle_count; /* 0: by the dialect's rule, else dk / 2 stored angles */
    double angles[RN_MAX_HEAD_WIDTH / 2];
    rn_decay_rule decay_rule;
    size_t decay_count;
    double decays[RN_MAX_HEADS]; /* gamma of each head; filled in unless LISTED */
} rn_mixer_config;

/* A parameter as a mixer declares it; the model prefixes "layers.I.mixer." to the name.
 */
typedef struct rn_param_spec {
    char name[40];
    int dims; /* 0: this config does not have it */
    size_t shape[2];
    float gain; /* of xavier-uniform; 0: every element is `constant` */
    float constant;
    bool deepnorm; /* divided by (8L)^(1/4) under the deepnorm initialisation */
    bool joined;   /* follows the one before without padding: one matrix for the GEMM */
} rn_param_spec;

/* What every mixer of a model is handed for one segment of a batch. */
typedef struct rn_segment {
    size_t batch, rows;       /* rows = first[batch] */
    const size_t *first;      /* [batch + 1] */
    const uint64_t *position; /* [batch] tokens before the segment */
    size_t period;            /* rows repeat their position every `period` rows */
    rn_form form;
    size_t chunk; /* 0: the mixer's measured choice */
    rn_row_norm row_norm;
    const float *shared; /* what prepare made for this segment */
} rn_segment;

/* Memory of one layer's pass. saved is kept from forward to backward, work is scratch. */
typedef struct rn_mixer_pass {
    const rn_segment *segment;
    const float *const *params; /* in the order declared, NULL where absent or packed */
    const rn_matrix *matrices;  /* alike; joined ones are one, at the first's place */
    float *const *grads;        /* as params, backward only; += */
    float *const *state; /* [batch] of this layer; NULL: empty, not kept, and then the
                            form is not recurrent */
    float **parts;       /* [batch] spare pointers, for a part of the states */
    float *saved, *work;
} rn_mixer_pass;

/* One token of each sequence of a batch, by all members of a team at once (core/team.h).
   The newest tokens of a sequence, fewer than RN_DECODE_TAIL before this one, lie beside
   its state in `tail` until there are that many, which are then folded into it. */
typedef struct rn_mixer_step {
    const rn_segment *segment; /* rows = batch, one of each sequence */
    const float *const *params;
    const rn_matrix *matrices;
    rn_operand in;            /* [batch][D], in the forms for matrix 0 */
    float *const *state;      /* [batch] of this layer */
    float *const *tail;       /* [batch] of this layer */
    const size_t *tail_count; /* [batch] */
    bool halves;              /* the states are in halves */
    void *work;               /* step_bytes */
    rn_team *team;
    int rank;
} rn_mixer_step;

struct rn_mixer {
    const char *name;
    /* Parameter number i, in a fixed order; false past the end. */
    bool (*param)(const rn_mixer_config *c, size_t i, rn_param_spec *out);
    /* Floats of decode state per sequence and layer: constant. The row normaliser paper
       needs more of them. */
    size_t (*state_floats)(const rn_mixer_config *c, rn_row_norm norm);
    /* Floats kept for backward, of scratch (backward: training), and of what all layers
       share, for `rows` tokens. */
    size_t (*saved_floats)(const rn_mixer_config *c, size_t rows);
    size_t (*work_floats)(const rn_mixer_config *c, size_t rows, bool training);
    size_t (*shared_floats)(const rn_mixer_config *c, size_t rows);
    size_t (*scratch_bytes)(const rn_mixer_config *c); /* per thread, of the kernels */
    void (*prepare)(const rn_mixer_config *c, const rn_segment *s, float *shared);
    /* y[rows][D] from in[rows][D]; form recurrent goes token by token. */
    void (*forward)(rn_exec *x, const rn_mixer_config *c, const rn_mixer_pass *p,
                    float *y, const float *in);
    /* din is set from dy. Segments begin from the empty state in training. */
    void (*backward)(rn_exec *x, const rn_mixer_config *c, const rn_mixer_pass *p,
                     float *din, const float *dy, const float *in);
    /* Floats of a sequence's tail per layer, and bytes of work for a step of `batch`. */
    size_t (*tail_floats)(const rn_mixer_config *c);
    size_t (*step_bytes)(const rn_mixer_config *c, size_t batch);
    /* Run i of the floats of a tail that its newest `count` tokens take: how many, from
     *offset on; 0 past the end. */
    size_t (*tail_run)(const rn_mixer_config *c, size_t count, size_t i, size_t *offset);
    /* The member's columns of y[batch][D]; x has one thread. The caller waits for the
       team afterwards, and counts the tails. */
    void (*step)(rn_exec *x, const rn_mixer_config *c, const rn_mixer_step *s, float *y);
    /* Folds a tail of `count` tokens into the state, outside of teams. */
    void (*fold)(rn_exec *x, const rn_mixer_config *c, rn_row_norm norm, float *state,
                 const float *tail, size_t count);
    /* Puts a layer's state into halves (kernels/halves.h) or back into floats, outside of
       teams. `state` NULL: only tells whether steps take states in halves, and needs no
       x. NULL instead of the function: they never do. */
    bool (*halve)(rn_exec *x, const rn_mixer_config *c, float *state, bool split);
    double (*flops_per_token)(const rn_mixer_config *c);
};

/* The mixer of this name, or NULL; and by index, NULL past the end. */
const rn_mixer *rn_mixer_find(const char *name);
const rn_mixer *rn_mixer_at(size_t index);

#endif

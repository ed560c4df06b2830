/* Inside the model room: the parameter list, and where the parameters of a layer lie. */
#ifndef RN_MODEL_PARAMS_H
#define RN_MODEL_PARAMS_H

#include "mixers/linear.h"
#include "model/model.h"

/* Values of rn_param_spec.gain beyond xavier's: uniform in +-1/sqrt(fan in), and
   N(0, 1/sqrt(D)). */
#define RN_GAIN_FAN_IN    (-1.0f)
#define RN_GAIN_EMBEDDING (-2.0f)

/* The list, all of type F32, without places. */
rn_status rn_params_list(rn_param **params, size_t *count, const rn_config *config,
                         rn_error *err);

/* Gives joined matrices a type that they can share, then every float32 parameter its
   offset in a block of *floats, and the packed ones theirs in *panel_bytes. */
rn_status rn_params_place(rn_param *params, size_t count, size_t *floats,
                          size_t *panel_bytes, rn_error *err);

/* The parameters from i on that make one run of packed rows: params i .. returned - 1. */
size_t rn_params_run(const rn_param *params, size_t count, size_t i);

/* A parameter and those joined to it: params i .. returned - 1. */
size_t rn_params_joined(const rn_param *params, size_t count, size_t i);

/* Parameters of a norm, NULL where absent, as offsets into a block of weights or
   gradients (RN_ABSENT: none). */
typedef struct rn_norm_at {
    size_t weight, bias;
} rn_norm_at;

typedef struct rn_layer_at {
    rn_norm_at mixer_norm, ffn_norm, hidden_norm;
    size_t mixer[RN_MAX_PARAMS];
    rn_matrix mixer_matrix[RN_MAX_PARAMS], in_matrix, down_matrix;
    size_t in, in_bias; /* ffn.gate and ffn.up joined, or ffn.up */
    size_t down, down_bias;
} rn_layer_at;

typedef struct rn_model_at {
    size_t embedding, output; /* equal when tied */
    rn_matrix embedding_matrix, output_matrix;
    rn_norm_at embedding_norm, norm;
    rn_layer_at *layers;
} rn_model_at;

/* The place behind an offset; NULL for RN_ABSENT. */
static inline float *rn_at(float *block, size_t offset)
{
    return offset == RN_ABSENT ? NULL : block + offset;
}

static inline const float *rn_at_const(const float *block, size_t offset)
{
    return offset == RN_ABSENT ? NULL : block + offset;
}

#endif

/* Inside the model room: the parameter list, and where the parameters of a layer lie. */
#ifndef RN_MODEL_PARAMS_H
#define RN_MODEL_PARAMS_H

#include "model/model.h"

/* Values of rn_param_spec.gain beyond xavier's: uniform in +-1/sqrt(fan in), and
   N(0, 1/sqrt(D)). */
#define RN_GAIN_FAN_IN    (-1.0f)
#define RN_GAIN_EMBEDDING (-2.0f)

rn_status rn_params_layout(rn_param **params, size_t *count, size_t *floats,
                           const rn_config *config, rn_error *err);

/* Parameters of a norm, NULL where absent, as offsets into a block of weights or
   gradients (RN_ABSENT: none). */
#define RN_ABSENT SIZE_MAX
typedef struct rn_norm_at {
    size_t weight, bias;
} rn_norm_at;

typedef struct rn_layer_at {
    rn_norm_at mixer_norm, ffn_norm, hidden_norm;
    size_t mixer[RN_MAX_PARAMS];
    size_t in, in_bias; /* ffn.gate and ffn.up joined, or ffn.up */
    size_t down, down_bias;
} rn_layer_at;

typedef struct rn_model_at {
    size_t embedding, output; /* equal when tied */
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

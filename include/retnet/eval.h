/* Evaluation: loss, logits and gradients of given tokens, by any form. */
#ifndef RETNET_EVAL_H
#define RETNET_EVAL_H

#include "retnet/data.h"
#include "retnet/model.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rn_eval_options {
    rn_form form;
    size_t chunk; /**< tokens in a chunk; 0: the measured choice */
    rn_row_norm
        row_norm;  /**< RN_ROW_NORM_AUTO: what the model's own code uses in this form */
    size_t window; /**< the state starts anew every `window` tokens; 0: never. Each window
                        predicts the token after its last input too. The normaliser
                        torchscale reads a window at once: at most 16384 tokens */
    bool documents; /**< of tokens: the state begins anew at each document, whose first
                         token is not predicted; windows are counted from there */
    /** Called after each stretch of tokens; may be NULL. done of total tokens. */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;
} rn_eval_options;

/** Chunkwise, the measured chunk, the model's own row normaliser, no windows. Start from
   these: zeroed options ask for the row normaliser none, whatever the model's is. */
rn_eval_options rn_eval_defaults(void);

typedef struct rn_eval_result {
    double loss;          /**< nats per predicted token */
    double perplexity;    /**< exp(loss) */
    double bits_per_byte; /**< NaN when the bytes are unknown */
    uint64_t tokens;      /**< predicted tokens */
    uint64_t bytes;
    double seconds;
    rn_row_norm row_norm; /**< the one that was used */
} rn_eval_result;

/** loss / ln 2 * tokens / bytes, for a text of `tokens` tokens and `bytes` bytes: with
   one byte a token exactly loss / ln 2. NaN when bytes is 0: unknown. */
double rn_eval_bits_per_byte(double loss, uint64_t tokens, uint64_t bytes);

/** Loss over a token sequence: every token but the first is predicted once, windows
   included: window w reads tokens [w N, w N + N) and predicts [w N + 1, w N + N + 1). */
rn_status rn_eval_tokens(rn_model *model, const rn_tokens *tokens,
                         const rn_eval_options *options, rn_eval_result *result,
                         rn_error *err);

/**
 * Loss of `batch` rows of `length` >= 2 ids, each from an empty state: mean over rows and
 * positions 0..length-2 of the cross-entropy against the next id. logits (NULL, or room
 * for [batch][length][vocab]) receives the logits. options->window must be 0.
 */
rn_status rn_eval_ids(rn_model *model, const int32_t *ids, size_t batch, size_t length,
                      const rn_eval_options *options, float *logits,
                      rn_eval_result *result, rn_error *err);

/** Gradients of that loss: grads[i] has the shape of parameter i and is set. form
   chunkwise or parallel. */
rn_status rn_eval_gradients(rn_model *model, const int32_t *ids, size_t batch,
                            size_t length, const rn_eval_options *options,
                            float *const *grads, double *loss, rn_error *err);

/** Reads ids [batch][length] from a JSON array of arrays or a safetensors file with an
   integer tensor `ids` [batch, length]; *ids freed with free(). */
rn_status rn_ids_read(const char *path, int32_t **ids, size_t *batch, size_t *length,
                      rn_error *err);

/** Writes named float32 tensors as a safetensors file, whole or not at all. */
typedef struct rn_named_tensor {
    const char *name;
    int dims;
    uint64_t shape[4];
    const float *data;
} rn_named_tensor;
rn_status rn_tensors_write(const char *path, const rn_named_tensor *tensors, size_t count,
                           rn_error *err);

#ifdef __cplusplus
}
#endif
#endif

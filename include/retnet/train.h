/*
 * Training: a step on given rows, and the whole loop with evaluation, checkpoints and
 * resumption. A resumed run ends with the same bits as one that was never stopped: same
 * seed, data, options, thread count and machine.
 */
#ifndef RETNET_TRAIN_H
#define RETNET_TRAIN_H

#include "retnet/data.h"
#include "retnet/model.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rn_schedule {
    RN_SCHEDULE_LINEAR = 0,   /**< warm-up, then a line to min_lr at the last step */
    RN_SCHEDULE_COSINE = 1,   /**< warm-up, then half a cosine to min_lr */
    RN_SCHEDULE_CONSTANT = 2, /**< warm-up, then lr */
    RN_SCHEDULE_WSD = 3       /**< warm-up, lr, and in the last part `decay` of the steps
                                   a line to min_lr */
} rn_schedule;

/** Everything that shapes the numbers of a run. Start from rn_train_defaults. */
typedef struct rn_train_options {
    uint64_t steps;    /**< optimizer steps in all; 0: no end, rn_train_run then wants a
                            time limit */
    size_t batch, seq; /**< rows per micro-batch, tokens per row */
    size_t accum;      /**< micro-batches per step */
    double lr, min_lr;
    uint64_t warmup; /**< steps of linear warm-up from lr / warmup */
    rn_schedule schedule;
    double decay; /**< of WSD: part of all steps (or of the time limit), in (0, 1] */
    double beta1, beta2, epsilon;
    double weight_decay; /**< on matrices, not on norms and biases */
    double clip;         /**< largest global gradient norm; 0: none */
    double dropout;      /**< negative: the config's own */
    rn_form form;        /**< chunkwise or parallel */
    size_t chunk;        /**< tokens in a chunk; 0: the measured choice */
    rn_row_norm row_norm;
    bool recompute; /**< recompute activations in the backward pass */
    uint64_t seed;
} rn_train_options;

rn_train_options rn_train_defaults(void);

typedef struct rn_trainer rn_trainer;

/** A trainer over a model, which it changes. RN_EINVAL names an option out of range. */
rn_status rn_trainer_create(rn_trainer **out, rn_model *model,
                            const rn_train_options *options, rn_error *err);
void rn_trainer_free(rn_trainer *t);

/** What a step did. */
typedef struct rn_step_result {
    uint64_t step;    /**< steps done, this one included */
    double loss;      /**< mean nats per token */
    double grad_norm; /**< before clipping */
    double lr;
    bool skipped; /**< the gradient was not finite: nothing was changed */
} rn_step_result;

/**
 * One optimizer step on ids[accum][batch][seq + 1]: inputs are [.., :-1], targets [..,
 * 1:]. Non-finite gradients are counted and skipped, not applied. RN_EINVAL for an id
 * outside the vocabulary.
 */
rn_status rn_trainer_step(rn_trainer *t, const int32_t *ids, rn_step_result *result,
                          rn_error *err);

/** Loss and gradients of ids[batch][seq + 1] without a step; rn_trainer_gradient reads
   the gradients. */
rn_status rn_trainer_gradients(rn_trainer *t, const int32_t *ids, double *loss,
                               rn_error *err);

/**
 * The same two with documents: starts, as long as ids, is not 0 where a token begins one
 * (the first token of a row always does). The loss and its gradient are those of the
 * documents taken separately: retention, positions and targets begin anew at each, no
 * token is predicted across a border, and the mean is over what is predicted. A step in
 * which nothing is counts as skipped.
 */
rn_status rn_trainer_step_documents(rn_trainer *t, const int32_t *ids,
                                    const uint8_t *starts, rn_step_result *result,
                                    rn_error *err);
rn_status rn_trainer_gradients_documents(rn_trainer *t, const int32_t *ids,
                                         const uint8_t *starts, double *loss,
                                         rn_error *err);

/** The gradient of parameter `index` (order and shape of rn_model_tensor_at), owned by
   the trainer. */
const float *rn_trainer_gradient(const rn_trainer *t, size_t index);

/** Progress of rn_train_run; the callback may set *stop to end after saving. */
typedef struct rn_train_progress {
    uint64_t step, steps, tokens;
    double loss;        /**< of this step */
    double smooth_loss; /**< exponential mean over about 50 steps */
    double lr, grad_norm;
    double tokens_per_second;
    double seconds, eta; /**< eta < 0: unknown */
    bool evaluated;      /**< val_* are new */
    double val_loss, val_bits_per_byte;
    const char *checkpoint; /**< the folder just written, or NULL */
    uint64_t skipped;       /**< steps whose gradient was not finite, in all */
    const char *sample;     /**< a text just generated, UTF-8 ended by a 0, or NULL */
    bool val_changed;       /**< in the first report of a resumed run: the validation
                                 tokens are not the checkpoint's, so that the best loss
                                 begins anew and the first figure is gone */
} rn_train_progress;
typedef void rn_train_callback(void *user, const rn_train_progress *p, bool *stop);

/** Texts generated on the way, with temperature 0.8. They are a function of weights, seed
    and step, and change nothing in the run. */
typedef struct rn_train_samples {
    uint64_t every;                /**< steps between samples; 0: none */
    const rn_tokenizer *tokenizer; /**< needed for samples */
    const char *prompt; /**< what they begin with; NULL or empty: the id that ends a
                             document, or else a line's end */
    size_t tokens;      /**< generated at most */
} rn_train_samples;

/** Tokens that a share of all training rows is drawn from. */
typedef struct rn_train_source {
    const rn_tokens *tokens;
    double weight; /**< positive; the share is weight over the sum of all weights */
} rn_train_source;

/** The loop around the steps. Where tokens have documents, rows are cut at them. */
typedef struct rn_train_run_options {
    rn_train_options train;
    const char *out;       /**< folder: model.safetensors, config.json, trainer state,
                                metrics.jsonl */
    const rn_tokens *data; /**< training tokens, or NULL and instead */
    const rn_train_source
        *sources; /**< several kinds of them that are mixed: which source a
                 row is from follows from the seed and its number */
    size_t source_count;
    const rn_tokens *val; /**< validation tokens, or NULL; a resumed run may have
                               others */
    uint64_t eval_every;  /**< steps between evaluations; 0: only at the end */
    uint64_t save_every;  /**< steps between checkpoints; 0: only at the end. With
                               validation text there is also one at each evaluation that
                               is better than all before: OUT/best is a link to it */
    uint64_t keep;        /**< newest checkpoints that stay, besides the best; 0 is 1 */
    bool events;          /**< TensorBoard's event files in `out` as well */
    rn_train_samples samples;
    const char *companions; /**< a model's folder or file: the files of its tokenizer and
                                 generation settings are copied into `out` and its
                                 checkpoints when a new run begins; or NULL */
    bool resume;            /**< continue what is in `out`; without it an `out` that holds
                                 a checkpoint is refused with RN_EEXIST */
    double max_minutes;     /**< end early, saved and evaluated; 0: no limit. The schedule
                                 is then as far as the larger of the used parts of steps
                                 and time, and warm-up ends after a tenth of the time at
                                 the latest; such a run does not repeat bit for bit */
    size_t val_window;      /**< tokens per validation window; 0: seq */
    rn_train_callback *progress;
    rn_status (*accepted)(void *user, rn_error *err); /**< called once, when `out` is this
                                   run's alone and what it holds is to be continued by
                                   this very run; a failure ends the run. NULL: nothing */
    void *user;
} rn_train_run_options;

typedef struct rn_train_result {
    uint64_t steps, tokens; /**< steps and tokens of all runs together */
    double train_loss;      /**< smoothed, at the end; NaN before any step */
    double val_loss;        /**< nats per token over the whole validation text, or NaN */
    double val_bits_per_byte;
    double best_val_loss; /**< of the evaluations after a step, or NaN */
    uint64_t best_step;   /**< where that was: its checkpoint is OUT/best; 0: none */
    double first_val_bits_per_byte; /**< before the first step of all runs, or NaN */
    double tokens_per_second, seconds;
    uint64_t skipped_steps;
    char checkpoint[1024]; /**< the folder */
} rn_train_result;

/**
 * Trains until options.steps, saving on the way. The callback is called before the first
 * step (when there is validation text) and after each. RN_EINTERRUPTED when the callback
 * stopped it: everything is saved then, and *result is set. RN_EFORMAT when a checkpoint
 * to resume from is damaged or belongs to other options, model or data: it names the
 * file, or the option with both values. With the constant schedule steps and max_minutes
 * may change, with WSD steps as long as the rate does not fall yet. RN_EINVAL when 100
 * steps in a row had gradients that are not finite. RN_EEXIST when the folder holds
 * something else, or another run has it. A failed save leaves the checkpoint before it
 * whole.
 */
rn_status rn_train_run(rn_model *model, const rn_train_run_options *options,
                       rn_train_result *result, rn_error *err);

/** Whether the folder holds a checkpoint that a resumed run would continue. */
bool rn_train_resumable(const char *folder);

/** The folder inside `folder` of the checkpoint that a resumed run would continue: *out,
    freed with free(). It is a model too. */
rn_status rn_train_checkpoint(char **out, const char *folder, rn_error *err);

#ifdef __cplusplus
}
#endif
#endif

/*
 * What the files of this room share: the schedule, the loader, the trainer, validation,
 * the checkpoint folder and the metrics file.
 *
 * A run is a pure function of (model, data, options, seed) and the number of steps done:
 * rows, dropout masks and rates are computed from the step number, so that a checkpoint
 * needs no generator state.
 */
#ifndef RN_TRAIN_TRAIN_H
#define RN_TRAIN_TRAIN_H

#include "core/digest.h"
#include "core/error.h"
#include "model/model.h"
#include "retnet/train.h"

#include <jansson.h>
#include <stdio.h>

/* ---- options.c ---- */

/* RN_EINVAL names the first option out of range. */
rn_status rn_train_check(const rn_train_options *o, rn_error *err);

/* ---- schedule.c ---- */

/* Rate of optimizer step `step` (from 1). `time` is the part of a time limit that is used
   up, 0 without one: the run is as far as the larger of its two measures says. */
double rn_schedule_lr(const rn_train_options *o, uint64_t step, double time);

/* ---- loader.c ---- */

/* Rows of seq + 1 tokens. Every epoch cuts the tokens into windows that overlap by one
   token, so that each token inside is predicted once. */
typedef struct rn_loader {
    const rn_tokens *tokens;
    uint64_t seed;
    size_t seq;
    uint64_t windows; /* rows in an epoch */
    uint64_t phases;  /* where the grid of an epoch may begin: 0 .. phases - 1 */
} rn_loader;

/* RN_EINVAL when there are not seq + 1 tokens. */
rn_status rn_loader_init(rn_loader *l, const rn_tokens *tokens, size_t seq, uint64_t seed,
                         rn_error *err);

/* First token of global row number `row`: a function of (seed, row). */
uint64_t rn_loader_begin(const rn_loader *l, uint64_t row);

/* Rows row .. row + count - 1 as ids[count][seq + 1]. */
void rn_loader_rows(const rn_loader *l, uint64_t row, size_t count, int32_t *ids);

/* ---- trainer.c, optimizer.c ---- */

/* What a run has come to; with weights and moments, all that a checkpoint has to keep. */
typedef struct rn_train_state {
    uint64_t step;    /* optimizer steps, skipped ones included */
    uint64_t applied; /* steps that changed the weights: AdamW's own count */
    uint64_t skipped;
    double smooth_loss;    /* exponential mean over about 50 applied steps */
    double best_val_loss;  /* NaN before the first evaluation */
    double seconds;        /* of all runs together, for the time limit */
    double first_val_bits; /* per byte, before the very first step; NaN: unknown */
} rn_train_state;

/* Neighbouring parameters that the optimizer treats alike. */
typedef struct rn_span {
    size_t offset, count; /* floats */
    bool decay;
} rn_span;

struct rn_trainer {
    rn_model *model;
    rn_train_options options; /* dropout, chunk and row_norm resolved */
    rn_train_state state;
    rn_run *run;
    rn_span *spans;
    size_t span_count;
    float *grads, *moment1, *moment2; /* one block each, laid out as the weights */
    void *rows;                       /* the block behind the next four */
    int32_t *inputs, *targets;        /* [batch * seq] */
    size_t *first;                    /* [batch + 1] */
    uint64_t *position;               /* [batch], zero */
};

/* One step at a given rate. */
rn_status rn_trainer_step_at(rn_trainer *t, const int32_t *ids, double lr,
                             rn_step_result *result, rn_error *err);

/* Maximal runs of parameters with equal decay, *spans freed with free. Padding between
   parameters of a run is zero in weights, gradients and moments, and stays so. */
rn_status rn_spans_build(rn_span **spans, size_t *count, const rn_model *m,
                         rn_error *err);

/* Global gradient norm over the whole block, in double. */
double rn_gradient_norm(const rn_trainer *t);

/* AdamW on every span, the gradient multiplied by grad_scale; counts the step as applied.
 */
void rn_trainer_apply(rn_trainer *t, double lr, double grad_scale);

/* ---- validate.c ---- */

typedef struct rn_validator rn_validator;

/* Validation of a trainer's model in windows of `window` tokens, by the trainer's form.
   Working memory is that of at most the trainer's micro-batch, or of one window. */
rn_status rn_validator_create(rn_validator **out, const rn_trainer *t,
                              const rn_tokens *tokens, size_t window, rn_error *err);
void rn_validator_free(rn_validator *v);

/* Nats per token over the whole text, every token but the first predicted once. */
double rn_validator_loss(rn_validator *v);

/* ---- digest.c ---- */

/* Size and hash of a whole file. */
typedef struct rn_file_digest {
    uint64_t bytes, hash;
} rn_file_digest;
rn_status rn_digest_file(const char *path, rn_file_digest *out, rn_error *err);

/* ---- moments.c ---- */

/* Tensors m.NAME and v.NAME, float32. */
rn_status rn_moments_write(const rn_trainer *t, const char *path, rn_error *err);

/* Weights and moments from model.safetensors and optimizer.safetensors of a folder:
   nothing is changed unless every tensor is there with its shape. */
rn_status rn_trainer_read(rn_trainer *t, const char *folder, rn_error *err);

/* ---- state.c ---- */

/* A run as trainer.json tells it. */
typedef struct rn_run_identity {
    const rn_trainer *trainer;
    double max_minutes;
    uint64_t data_count, data_hash;
} rn_run_identity;

/* Writes FOLDER/trainer.json, which holds the digests of the other files of the folder;
 *hash is its own. */
rn_status rn_state_write(const rn_run_identity *id, const char *folder, uint64_t *hash,
                         rn_error *err);

/* Reads FOLDER/trainer.json, whose hash must be `hash`, checks the folder's files against
   it, and that `id` is the run that wrote it. RN_EFORMAT names the file, or the option
   with both values. *chunk is the chunk length that the run uses; asked_chunk: `id` has
   to agree. */
rn_status rn_state_read(const rn_run_identity *id, const char *folder, uint64_t hash,
                        bool asked_chunk, rn_train_state *state, size_t *chunk,
                        rn_error *err);

/* ---- identity.c ---- */

/* Options, model config and data as JSON, and their comparison with what a checkpoint
   holds; `path` is for the message. asked_chunk false: the chunk length is not compared.
 */
json_t *rn_identity_json(const rn_run_identity *id);
rn_status rn_identity_compare(const json_t *was, const rn_run_identity *id,
                              bool asked_chunk, const char *path, rn_error *err);

/* ---- metrics.c ---- */

typedef struct rn_metrics rn_metrics;

/* Opens FOLDER/metrics.jsonl for appending. Lines of steps after `step` are cut off
   first, and all lines when fresh. */
rn_status rn_metrics_open(rn_metrics **out, const char *folder, bool fresh, uint64_t step,
                          rn_error *err);

/* One line for a step, one for an evaluation. Failures are kept for the next flush. */
void rn_metrics_step(rn_metrics *m, const rn_step_result *r, uint64_t tokens,
                     double rate);
void rn_metrics_evaluation(rn_metrics *m, uint64_t step, double loss,
                           double bits_per_byte);

/* Hands the lines to the operating system; sync: and to the disk. */
rn_status rn_metrics_flush(rn_metrics *m, bool sync, rn_error *err);

/* Closes without a flush that could fail unseen; NULL is allowed. */
void rn_metrics_close(rn_metrics *m);

/* ---- checkpoint.c ---- */

/*
 * The out folder: step-N folders, each whole, `latest` with the name and hash of the one
 * to resume from, and that one's model.safetensors and config.json as links, so that the
 * folder is a model too.
 */

/* Takes the folder for this process (made when missing); *lock is given back with
   rn_folder_unlock. RN_EEXIST while another run has it. */
rn_status rn_folder_lock(const char *folder, int *lock, rn_error *err);
void rn_folder_unlock(int lock);

/* RN_EEXIST when a run may not begin in this folder: it holds a checkpoint (unless
   `resume`) or a model that no run left there. */
rn_status rn_folder_check(const char *folder, bool resume, rn_error *err);

/* Removes what an interrupted run left half-made: step folders other than the latest, and
   temporary files. Names that a run does not give, and folders that hold more than a
   checkpoint, are left alone. */
rn_status rn_folder_clean(const char *folder, rn_error *err);

/* Writes a checkpoint, makes it the latest, removes the one before. `metrics` are on disk
   before it becomes the latest, so that they reach at least as far. */
rn_status rn_checkpoint_save(const rn_run_identity *id, const char *folder,
                             rn_metrics *metrics, rn_error *err);

/* Restores the trainer from the latest checkpoint, and publishes its model again.
   asked_chunk: the chunk length was given and has to agree; otherwise the checkpoint's is
   taken. */
rn_status rn_checkpoint_load(const rn_run_identity *id, rn_trainer *t, bool asked_chunk,
                             const char *folder, rn_error *err);

#endif

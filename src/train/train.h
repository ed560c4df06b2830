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
#include "formats/side_files.h"
#include "model/model.h"
#include "retnet/train.h"
#include "train/record.h"

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

/* A row as ids[seq + 1]; starts[seq + 1]: where documents begin in it. */
rn_status rn_loader_row(const rn_loader *l, uint64_t row, int32_t *ids, uint8_t *starts,
                        rn_error *err);

/* ---- mixture.c ---- */

/* One source of a mixture. */
typedef struct rn_mixed {
    rn_loader loader;
    uint64_t share;                  /* rows of it in a period */
    uint64_t count, hash, documents; /* what identifies its tokens */
} rn_mixed;

/*
 * Rows from several sources. Every period of rows holds each source's share, in a drawn
 * order; the n-th share of a source are its own rows n share .. n share + share - 1. So a
 * row is a function of (seed, number), and every row of every source comes once an epoch.
 */
typedef struct rn_mixture {
    rn_mixed *sources;
    size_t count, seq;
    uint64_t period, seed;
} rn_mixture;

/* Reads all tokens once: ids have to be below `vocab`. RN_EINVAL for a weight that is not
   a positive number, and as rn_loader_init. */
rn_status rn_mixture_open(rn_mixture *m, const rn_train_source *sources, size_t count,
                          size_t vocab, size_t seq, uint64_t seed, rn_error *err);
void rn_mixture_close(rn_mixture *m);

/* Which source global row `row` is from, and its row there. */
size_t rn_mixture_source(const rn_mixture *m, uint64_t row, uint64_t *its_row);

/* Rows row .. row + count - 1 as ids[count][seq + 1] and starts alike. */
rn_status rn_mixture_rows(const rn_mixture *m, uint64_t row, size_t count, int32_t *ids,
                          uint8_t *starts, rn_error *err);

/* What identifies the data, or NULL when memory is short. */
json_t *rn_mixture_json(const rn_mixture *m);

/* ---- trainer.c, optimizer.c ---- */

/* What tells one sequence of tokens from another. */
typedef struct rn_tokens_id {
    uint64_t count, hash, documents;
} rn_tokens_id;

/* What a run has come to; with weights and moments, all that a checkpoint has to keep. */
typedef struct rn_train_state {
    uint64_t step;    /* optimizer steps, skipped ones included */
    uint64_t applied; /* steps that changed the weights: AdamW's own count */
    uint64_t skipped;
    double smooth_loss;     /* exponential mean over about 50 applied steps */
    double best_val_loss;   /* NaN before the first evaluation after a step */
    double seconds;         /* of all runs together, for the time limit */
    double first_val_bits;  /* per byte, before the very first step; NaN: unknown */
    uint64_t best_step;     /* of best_val_loss; 0: none */
    rn_tokens_id validated; /* what the best and the first figure are of; count 0: not
                               known */
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
    size_t *first;                    /* [batch * seq + 1], of documents */
    uint64_t *position;               /* [batch * seq], zero */
};

/* One step at a given rate; starts may be NULL. */
rn_status rn_trainer_step_at(rn_trainer *t, const int32_t *ids, const uint8_t *starts,
                             double lr, rn_step_result *result, rn_error *err);

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

/* Validation of a trainer's model in windows of `window` tokens, by the trainer's form
   and chunk length; the trainer must outlive it. Working memory is that of at most the
   trainer's micro-batch, or of one window. */
rn_status rn_validator_create(rn_validator **out, const rn_trainer *t,
                              const rn_tokens *tokens, size_t window, rn_error *err);
void rn_validator_free(rn_validator *v);
const rn_tokens_id *rn_validator_tokens(const rn_validator *v);

/* Nats per predicted token over the whole text; all are predicted once but the first ones
   of documents. */
rn_status rn_validator_loss(rn_validator *v, double *loss, rn_error *err);

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
    const rn_mixture *data;
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

/* ---- samples.c ---- */

typedef struct rn_samples rn_samples;

/* Texts from the present weights of a model. RN_EINVAL for a prompt that the model has no
   ids for. */
rn_status rn_samples_create(rn_samples **out, rn_model *model,
                            const rn_train_samples *wanted, uint64_t seed, rn_error *err);
void rn_samples_free(rn_samples *s);

/* The text of step `step`, prompt included: UTF-8, owned by `s` until the next. */
rn_status rn_samples_take(rn_samples *s, uint64_t step, const char **text, rn_error *err);

/* ---- folder.c ---- */

/*
 * The out folder: step-N folders, each whole, `latest` with the name and hash of the one
 * to resume from, that one's model.safetensors and config.json as links, so that the
 * folder is a model too, and the link `best` to the checkpoint with the best validation
 * loss.
 */

/* The name of a step folder, and back: false for any other name. */
typedef struct rn_name {
    char text[40];
} rn_name;
rn_name rn_step_name(uint64_t step);
bool rn_step_parse(const char *name, uint64_t *step);

/* RN_EEXIST when something else than a checkpoint's folder has this name. */
rn_status rn_step_check(const char *path, rn_error *err);

/* What `latest` says; the hash is that of trainer.json. */
typedef struct rn_latest {
    uint64_t step, hash;
    rn_name name;
} rn_latest;
rn_status rn_latest_read(const char *folder, rn_latest *out, rn_error *err);
rn_status rn_latest_write(const char *folder, const rn_latest *l, rn_error *err);

/* Takes the folder for this process (made when missing); *lock is given back with
   rn_folder_unlock. RN_EEXIST while another run has it. */
rn_status rn_folder_lock(const char *folder, int *lock, rn_error *err);
void rn_folder_unlock(int lock);

/* RN_EEXIST when a run may not begin in this folder: it holds a checkpoint (unless
   `resume`), checkpoints of a run whose `latest` is missing, or a model that no run left
   there. */
rn_status rn_folder_check(const char *folder, bool resume, rn_error *err);

/* Checkpoints that stay: the newest `count` (0 is 1), and that of step `best`, if any. */
typedef struct rn_keep {
    uint64_t count, best;
} rn_keep;

/* Removes what an interrupted run left half-made: step folders that need not stay, and
   temporary files. Names that a run does not give, and folders that hold more than a
   checkpoint, are left alone. */
rn_status rn_folder_clean(const char *folder, const rn_keep *keep, rn_error *err);

/* ---- checkpoint.c ---- */

/* Writes a checkpoint, makes it the latest, removes what need not stay. The record is on
   disk before it becomes the latest, so that it reaches at least as far. */
rn_status rn_checkpoint_save(const rn_run_identity *id, const char *folder, uint64_t keep,
                             const rn_record *record, rn_error *err);

/* Links `best` to the checkpoint of `step`; where there is none (step 0), a link that a
   run made is removed. */
rn_status rn_best_place(const char *folder, uint64_t step, rn_error *err);

/* RN_EEXIST when something else has the name `best`. */
rn_status rn_best_check(const char *folder, rn_error *err);

/* Restores the trainer from the latest checkpoint, and publishes its model again.
   asked_chunk: the chunk length was given and has to agree; otherwise the checkpoint's is
   taken. */
rn_status rn_checkpoint_load(const rn_run_identity *id, rn_trainer *t, bool asked_chunk,
                             const char *folder, rn_error *err);

#endif

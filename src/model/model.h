/*
 * The RetNet language model: config, parameters, forward and backward over segments,
 * decode state. It knows no files: parameters are filled through named tensor views.
 *
 *   x = embedding[id] scale (-> norm);  per layer, pre-norm: x = alpha x + mixer(norm x),
 *   x = alpha x + ffn(norm x); post-norm: x = norm(alpha x + f(x));  -> norm (pre only)
 *   -> logits = x output^T.
 */
#ifndef RN_MODEL_MODEL_H
#define RN_MODEL_MODEL_H

#include "kernels/exec.h"
#include "mixers/mixer.h"
#include "retnet/model.h"

#include <jansson.h>

typedef enum rn_norm_kind { RN_NORM_RMS = 0, RN_NORM_LAYER = 1 } rn_norm_kind;
typedef enum rn_norm_position { RN_NORM_PRE = 0, RN_NORM_POST = 1 } rn_norm_position;
typedef enum rn_ffn_kind { RN_FFN_GATED = 0, RN_FFN_PLAIN = 1 } rn_ffn_kind;

/* Where the feed-forward goes its own way: its biases (against the mixer's) and the norm
   of its hidden rows (against the layers' norms). */
typedef enum rn_ffn_bias {
    RN_FFN_BIAS_MIXER = 0, /* as the mixer's */
    RN_FFN_BIAS_NONE = 1,
    RN_FFN_BIAS_ALL = 2
} rn_ffn_bias;
typedef enum rn_ffn_norm_kind {
    RN_FFN_NORM_LAYERS = 0, /* as the layers' */
    RN_FFN_NORM_RMS = 1,
    RN_FFN_NORM_LAYER = 2
} rn_ffn_norm_kind;

/* A config's own row normaliser: an rn_row_norm, or this one, which is paper in the
   parallel form and decay otherwise (torchscale until release 0.3.0). */
#define RN_ROW_NORM_PAPER_PARALLEL 5

/* How parameters begin: xavier as the official code; deepnorm divides the ffn, o and v by
   (8L)^(1/4); normal is N(0, init_std). Norm weights begin at 1, biases at 0. */
typedef enum rn_init_kind {
    RN_INIT_XAVIER = 0,
    RN_INIT_DEEPNORM = 1,
    RN_INIT_NORMAL = 2
} rn_init_kind;

/* Everything that makes two models compute the same from the same parameters. Keys of the
   native config.json are the names here (mixer's included), see config.c. */
typedef struct rn_config {
    rn_mixer_config mixer;
    size_t vocab_size, layers;
    rn_ffn_kind ffn;
    size_t ffn_width;
    bool ffn_norm;
    rn_ffn_norm_kind ffn_norm_kind;
    rn_ffn_bias ffn_bias;
    rn_activation activation;
    rn_norm_kind norm;
    rn_norm_position norm_position;
    bool tied;
    double embedding_scale;
    bool embedding_norm;
    double residual_scale; /* alpha */
    int row_norm;          /* AUTO: torchscale in the parallel form, decay otherwise; or
                              RN_ROW_NORM_PAPER_PARALLEL */
    size_t pad_token; /* 1 + the id whose embedding row learns nothing from its use as an
                         input; 0: there is none */
    double dropout;
    rn_init_kind init;
    double init_std;
} rn_config;

/* Parses native keys over *config as it stands; unknown keys, wrong types and values out
   of range are errors that name the key. check fills in what follows from other keys
   (decays, head widths left 0) and then looks whether all agree. */
rn_status rn_config_apply(rn_config *config, const json_t *keys, rn_error *err);
rn_status rn_config_set(rn_config *config, const char *assignment, rn_error *err);
rn_status rn_config_check(rn_config *config, rn_error *err);
json_t *rn_config_json(const rn_config *config); /* new reference, or NULL */
rn_config rn_config_defaults(void);
rn_status rn_config_preset(rn_config *config, const char *name, rn_error *err);

/* The normaliser that `asked` (AUTO: the config's own) means in a form. RN_EINVAL when
   the form does not have it. */
rn_status rn_config_row_norm(const rn_config *config, rn_row_norm asked, rn_form form,
                             rn_row_norm *out, rn_error *err);

/* Whether the feed-forward has biases, and whether the norm of its hidden rows takes the
   mean off. */
bool rn_config_ffn_bias(const rn_config *config);
bool rn_config_ffn_norm_centers(const rn_config *config);

/* No such place. */
#define RN_ABSENT SIZE_MAX

/* One parameter: where it lies in a block of floats. Gradients and moments use the same
   offsets. A packed one (type beyond F32) lies in the panels of its matrix instead. */
typedef struct rn_param {
    char name[80];
    int dims;
    size_t shape[2];
    rn_weight_type type;
    size_t offset, count; /* numbers */
    size_t
        panels; /* packed: bytes into the model's panels where a run of rows of one type
                   begins with this parameter; those that go on with it: RN_ABSENT */
    bool decay; /* weight decay applies: matrices */
    rn_param_spec spec;
} rn_param;

struct rn_model {
    rn_exec *x; /* NULL in a description */
    rn_config config;
    char dialect[24];
    rn_param *params;
    size_t param_count;
    struct rn_model_at *at; /* the same by role (params.h) */
    size_t floats;          /* of a block, padding included */
    float *weights;         /* NULL in a description */
    unsigned char *panels;  /* of the packed matrices, or NULL */
    size_t panel_bytes;
    /* One block each for free(). Names in the checkpoint it was opened from,
       [param_count], NULL: the native names; types as stored there, NULL: float32; config
       keys that nobody knows, up to NULL, or NULL. */
    char **original, **stored_types, **unknown_keys;
    /* Working memory of the model's sessions, made on first use. */
    struct rn_run *reader;
    struct rn_decoder *decoder;
    uint64_t hash; /* of rn_model_hash, once it is hashed */
    bool hashed;
};

/* Lays out the parameters of a checked config; weights are allocated (zero) unless x is
   NULL. */
rn_status rn_model_new(rn_model **out, rn_exec *x, const rn_config *config,
                       rn_error *err);
void rn_model_init(rn_model *m, uint64_t seed);

/* The same with the matrices held in types[i], whose blocks divide their rows; joined
   ones for which the types do not fit together all become F32. */
rn_status rn_model_new_typed(rn_model **out, rn_exec *x, const rn_config *config,
                             const rn_weight_type *types, rn_error *err);

/* The type that parameter p is held in when all matrices are wanted in one: vectors in
   F32; embedding and output in Q8_0 where `want` is smaller, since every token passes
   through them; a type whose blocks divide the rows. */
rn_weight_type rn_param_type(const rn_param *p, rn_weight_type want);

/* Stored rows of a parameter, on request: rows row .. row + count - 1 of params[index] in
   its type. Called by several threads at once. */
typedef rn_status rn_rows_fn(void *user, size_t index, size_t row, size_t count,
                             void *rows, rn_error *err);

/* Packs all packed matrices from what `rows` hands over. */
rn_status rn_model_pack(rn_model *m, rn_rows_fn *rows, void *user, rn_error *err);

/* The initial values of one parameter, numbers begin .. begin + count - 1. */
void rn_model_init_part(const rn_model *m, uint64_t seed, size_t index, size_t begin,
                        size_t count, float *out);

static inline bool rn_model_is_packed(const rn_model *m)
{
    return m->panel_bytes > 0;
}

/* The hash that ties a saved state to its model (hash.c says what it covers). Computed
   once; who changes weights clears m->hashed. */
rn_status rn_model_hash(rn_model *m, uint64_t *hash, rn_error *err);

/* RN_EINVAL, beginning with `what`, for a description, and for a model that does not hold
   every parameter in float32. */
rn_status rn_model_check_float32(const rn_model *m, const char *what, rn_error *err);
rn_param *rn_model_param(const rn_model *m, const char *name); /* NULL: no such */

/* Floats of the decode state of one sequence, [layers][mixer state], under a resolved row
   normaliser. Zeros are the empty state. */
size_t rn_model_state_floats(const rn_model *m, rn_row_norm norm);

/* Floats of a sequence's newest tokens, [layers][mixer's tail]. */
size_t rn_model_tail_floats(const rn_model *m);

/* Run i of the floats that the newest `count` tokens take in such a tail of one layer:
   how many, from *offset of all layers' on; 0 past the end. The rest of a tail means
   nothing. */
size_t rn_model_tail_run(const rn_model *m, size_t layer, size_t count, size_t i,
                         size_t *offset);

/* A sequence that is being decoded: its state, and the newest tokens beside it. */
typedef struct rn_sequence {
    float *state, *tail;
    size_t tail_count;
    bool halves;       /* the state is in halves (kernels/halves.h) */
    uint64_t position; /* tokens so far */
} rn_sequence;

/* Whether steps of this model go over states in halves: where all products of its mixers
   round their activations to bytes, and the mixer has it for this config. */
bool rn_model_halves(const rn_model *m);

/* The states of `layers` layers, into halves (split) or back. Exact, both ways. */
void rn_states_halve(rn_model *m, rn_row_norm norm, float *state, size_t layers,
                     bool split);

/* Folds the newest tokens into the state, so that the state is that of the position, and
   all of it floats. */
void rn_sequence_fold(rn_model *m, rn_sequence *s, rn_row_norm norm);

/* Working memory for decoding up to max_batch sequences at once. */
typedef struct rn_decoder rn_decoder;
rn_status rn_decoder_create(rn_decoder **out, rn_model *m, size_t max_batch,
                            rn_error *err);
void rn_decoder_free(rn_decoder *d);
size_t rn_decoder_batch(const rn_decoder *d); /* max_batch */

/* One token of each sequence; logits[b] receives [vocab]. A sequence's bits do not depend
   on the others, nor on the number of threads. */
void rn_decoder_step(rn_decoder *d, size_t batch, rn_sequence *const *sequences,
                     const int32_t *ids, rn_row_norm norm, float *const *logits);

/*
 * Working memory for forward and backward passes of up to max_rows tokens in up to
 * max_batch sequences. training keeps what the backward pass needs; recompute keeps only
 * each layer's input and computes the rest again.
 */
typedef struct rn_run rn_run;
typedef struct rn_run_options {
    size_t max_rows, max_batch;
    size_t logit_rows; /* rows whose logits rn_run_loss makes at once; 0: its own choice,
                          and no more than max_rows; rn_run_logits has no such limit */
    bool training, recompute;
    double dropout; /* training only */
    uint64_t dropout_seed;
} rn_run_options;
rn_status rn_run_create(rn_run **out, rn_model *m, const rn_run_options *options,
                        rn_error *err);
void rn_run_free(rn_run *run);

/* Gives the memory of activations back to the system until the next pass. */
void rn_run_rest(rn_run *run);

/* One segment of each of `batch` sequences. Sequence b owns rows first[b]..first[b+1]-1.
 */
typedef struct rn_batch {
    size_t batch;
    const size_t *first;      /* [batch + 1] */
    const uint64_t *position; /* [batch] tokens before the segment */
    const int32_t *ids;       /* [first[batch]], each inside the vocabulary */
    float *const *state;      /* [batch], read and replaced; NULL: empty, not kept */
    rn_form form;
    size_t chunk;             /* 0: the measured choice */
    rn_row_norm row_norm;     /* resolved, not AUTO */
    uint64_t dropout_counter; /* distinct for every pass of a training run */
} rn_batch;

/* Hidden states of all rows; logits, loss and backward refer to the last forward. */
void rn_run_forward(rn_run *run, const rn_batch *batch);

/* Logits [count][vocab] of rows row..row+count-1. */
void rn_run_logits(rn_run *run, size_t row, size_t count, float *logits);

/* Sum of cross-entropies (nats) over rows whose target is >= 0. With grad_scale != 0 the
   gradient of grad_scale times that sum is left for rn_run_backward, and those of the
   output projection and final norm are added to grads (a block of m->floats). losses
   (NULL, or [rows]) receives each row's. */
double rn_run_loss(rn_run *run, const int32_t *targets, float grad_scale, float *grads,
                   float *losses);

/* Adds the gradients of the last forward and loss to grads. That forward had no states,
   and its ids are still there. */
void rn_run_backward(rn_run *run, float *grads);

#endif

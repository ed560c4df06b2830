/*
 * Models: a config and its parameters. Opened from a folder in any dialect that the
 * library reads, or made anew from a preset or a config with random weights.
 */
#ifndef RETNET_MODEL_H
#define RETNET_MODEL_H

#include "retnet/exec.h"
#include "retnet/types.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rn_model rn_model;

/** Where a new model's shape comes from: one of preset, config_path, config_json. */
typedef struct rn_model_source {
    const char *preset;      /**< a name of rn_preset_name */
    const char *config_path; /**< a config.json in any dialect, or a folder with one */
    const char *config_json; /**< native config keys as JSON text */
    const char *const *settings; /**< "key=value" over native keys, applied last */
    size_t settings_count;
} rn_model_source;

/** Sizes that the config and the types of the weights decide. */
typedef struct rn_model_info {
    char dialect[24];          /**< of what was opened: "native", "fla", "torchscale",
                                    "syncdoth", "torchscale-2023", "gguf" */
    uint64_t parameters;       /**< trainable numbers, tied ones once */
    uint64_t weight_bytes;     /**< as held in memory */
    uint64_t state_bytes;      /**< of one sequence, whatever its length */
    uint64_t state_read_bytes; /**< of those, about what each decoding step goes over:
                                    half, where all products of the mixers round their
                                    activations to bytes and heads are multiples of 16
                                    wide */
    double flops_per_token;    /**< recurrent form, a multiply-add counted as 2 */
    size_t vocab_size, width, layers, heads;
} rn_model_info;

/** A parameter by its native name. data is owned by the model and may be written. */
typedef struct rn_model_tensor {
    const char *name;
    int dims;        /**< 1 or 2 */
    size_t shape[2]; /**< [out, in] for matrices, row-major */
    float *data;     /**< NULL in a description without weights */
} rn_model_tensor;

/**
 * Opens a checkpoint folder (or its safetensors file), or a GGUF file. RN_ENOTFOUND,
 * RN_EFORMAT when a tensor is missing, has another shape or a value that its config
 * contradicts; the message names both.
 */
rn_status rn_model_open(rn_model **out, rn_exec *x, const char *path, rn_error *err);

/**
 * The same for inference, with every matrix held in `type` (RN_WEIGHT_STORED: as the file
 * has it) and repacked once for this processor, read from the mapped file without a
 * second copy. A matrix whose rows the type's blocks do not divide is held in a type that
 * does (rn_model_tensor_held_type). Such a model cannot be trained or saved, and data of
 * its packed tensors is NULL.
 */
rn_status rn_model_load(rn_model **out, rn_exec *x, const char *path, rn_weight_type type,
                        rn_error *err);

/** rn_model_create with the matrices held in `type`, made row by row: a model as large as
    its packed weights fits. */
rn_status rn_model_create_as(rn_model **out, rn_exec *x, const rn_model_source *source,
                             uint64_t seed, rn_weight_type type, rn_error *err);

/** A checkpoint looked at: opened and checked as rn_model_open does, but for the numbers
    of its tensors, which are not read. A description as rn_model_describe gives, at once
    whatever its size; its types and sizes are those of rn_model_load with
    RN_WEIGHT_STORED. */
rn_status rn_model_inspect(rn_model **out, const char *path, rn_error *err);

/** The type that the model holds parameter `index` in. */
rn_weight_type rn_model_tensor_held_type(const rn_model *model, size_t index);

/** A model with the random weights of its config's initialisation. */
rn_status rn_model_create(rn_model **out, rn_exec *x, const rn_model_source *source,
                          uint64_t seed, rn_error *err);

/** A model without weights, for its sizes: `retnet info --preset 13b` needs no memory.
   Only the functions of this header that read may be called on it. */
rn_status rn_model_describe(rn_model **out, const rn_model_source *source, rn_error *err);

/** Changes keys of the config ("key=value"), such as dropout, of a model that has no
   trainer. RN_EINVAL for a key that would change a parameter's name or shape, and for a
   model that has or had a session: nothing is changed then. */
rn_status rn_model_set(rn_model *model, const char *const *settings, size_t count,
                       rn_error *err);

/** Frees the model; NULL is allowed. Its sessions and trainers must be gone. */
void rn_model_free(rn_model *model);

/**
 * Writes config.json and model.safetensors (native dialect, float32) into a folder, which
 * is made when missing. The files are written aside, synced and renamed, the config last:
 * a checkpoint of the same config there is whole at any time, and a new one appears at
 * once. RN_EEXIST when the folder's config.json belongs to another model: no order of two
 * renames would keep that checkpoint whole, so it is not touched.
 */
rn_status rn_model_save(const rn_model *model, const char *folder, rn_error *err);

/** Key number `index` of the config.json behind the model, opened, created or described,
    that the library does not know and has ignored, for a warning; NULL past the end.
    Owned by the model. */
const char *rn_model_unknown_key(const rn_model *model, size_t index);

void rn_model_info_get(const rn_model *model, rn_model_info *out);

/** The native config as JSON text, freed with free(); NULL when memory is short. */
char *rn_model_config_json(const rn_model *model);

/** Decay gamma of each head, owned by the model; their number is info.heads. */
const double *rn_model_decays(const rn_model *model);

/** The parameters in their fixed order. */
size_t rn_model_tensor_count(const rn_model *model);
rn_model_tensor rn_model_tensor_at(const rn_model *model, size_t index);

/** The name of parameter `index` in the checkpoint that the model was opened from; the
   native name for a new model. Parameters that follow one another under one name are rows
   of one stored tensor, one below the other. Owned by the model. */
const char *rn_model_tensor_original_name(const rn_model *model, size_t index);

/** How parameter `index` is stored in that checkpoint: "BF16" as safetensors writes it,
   "Q4_K" for blocks; "F32" for a new model. Owned by the model. */
const char *rn_model_tensor_stored_type(const rn_model *model, size_t index);

/** The presets: name and one-line description; NULL past the end. */
const char *rn_preset_name(size_t index);
const char *rn_preset_description(size_t index);

#ifdef __cplusplus
}
#endif
#endif

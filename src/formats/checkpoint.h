/*
 * A checkpoint of any dialect, opened and translated: its config as native keys, its
 * tensors under native names. Knows the text of the dialects, not what a model does with
 * it.
 *
 * Native tensor names: embedding.weight, embedding_norm.*, layers.I.mixer_norm.*,
 * layers.I.mixer.{q,k,v,g,o}.{weight,bias}, layers.I.mixer.head_norm.weight,
 * layers.I.ffn_norm.*, layers.I.ffn.{gate,up,down}.{weight,bias}, layers.I.ffn.norm.*,
 * norm.*, output.weight.
 */
#ifndef RN_FORMATS_CHECKPOINT_H
#define RN_FORMATS_CHECKPOINT_H

#include "formats/safetensors.h"

#include <jansson.h>

typedef struct rn_checkpoint rn_checkpoint;

/*
 * Opens a folder (config.json beside model.safetensors, or shards with
 * model.safetensors.index.json), one .safetensors file with config.json beside it, or one
 * GGUF file, which has its config inside.
 * Tensors that the dialect stores but no model needs (buffers) are taken into the config
 * (decays, angles). RN_EFORMAT, RN_ENOTFOUND, RN_EUNSUPPORTED name the file and the key
 * or tensor.
 */
rn_status rn_checkpoint_open(rn_checkpoint **out, const char *path, rn_error *err);
void rn_checkpoint_close(rn_checkpoint *c);

/* "native", "gguf", "fla", "torchscale", "syncdoth", "torchscale-2023". */
const char *rn_checkpoint_dialect(const rn_checkpoint *c);

/* The config in native keys; owned by the checkpoint. */
const json_t *rn_checkpoint_config(const rn_checkpoint *c);

/* The config as its file has it; owned by the checkpoint. */
const json_t *rn_checkpoint_stored_config(const rn_checkpoint *c);

/* Keys of the stored config that nobody knows, up to NULL, for the program to warn about;
   owned by the checkpoint. Native configs hand on every key, so they have none. */
const char *const *rn_checkpoint_unknown_keys(const rn_checkpoint *c);

/* The tensor with this native name, or NULL; names that nobody asked for are listed by
   rn_checkpoint_unused after loading. Where the file has several native tensors as rows
   of one, the view is of the native one's rows; such a view lives until the next call. */
const rn_tensor_view *rn_checkpoint_take(rn_checkpoint *c, const char *native_name);

/* The whole stored tensor behind a native name, or NULL, and of how many native ones it
   is made, each with an equal number of rows. */
const rn_tensor_view *rn_checkpoint_whole(const rn_checkpoint *c, const char *native_name,
                                          uint32_t *parts);

/* For messages: the key of the stored config that decides dimension `dim` of a native
   tensor, and the one that decides whether the tensor with this stored name is there, as
   "KEY VALUE"; NULL: none does. Static until the next such call on c. */
const char *rn_checkpoint_shape_key(rn_checkpoint *c, const char *native_name, int dim);
const char *rn_checkpoint_presence_key(rn_checkpoint *c, const char *stored_name);

/* The file's own name of the first tensor that was never taken and that the dialect does
   not declare a buffer, or NULL. */
const char *rn_checkpoint_unused(const rn_checkpoint *c);

/* The native name in the file's own words, for messages: "layers.0.mixer.q.weight" is
   "layers.0.retention.q_proj.weight" in torchscale. Static until the next call on c. */
const char *rn_checkpoint_original_name(rn_checkpoint *c, const char *native_name);

/* A config.json of any dialect (or a folder with one) as a new native config; *dialect is
   static. The caller releases *config with json_decref. */
rn_status rn_config_read(const char *path, json_t **config, const char **dialect,
                         rn_error *err);

/* The same, with the keys that nobody knows as a new array of strings in *unknown. */
rn_status rn_config_read_keys(const char *path, json_t **config, json_t **unknown,
                              const char **dialect, rn_error *err);

#endif

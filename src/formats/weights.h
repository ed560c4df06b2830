/* The tensors of a model under the names that its files give them: one safetensors file,
   or the shards that an index lists, or one GGUF file, seen as one table. */
#ifndef RN_FORMATS_WEIGHTS_H
#define RN_FORMATS_WEIGHTS_H

#include "formats/gguf.h"

typedef struct rn_weights rn_weights;

/* Opens a safetensors or GGUF file, a folder with model.safetensors or
   model.safetensors.index.json, or such an index itself. An index must name every tensor,
   in the shard that has it. RN_EUNSUPPORTED, naming the tensor, for types that are not
   read, and for one part of a GGUF model. */
rn_status rn_weights_open(rn_weights **out, const char *path, rn_error *err);
void rn_weights_close(rn_weights *w);

/* The GGUF file that they are in, or NULL. */
const rn_gguf *rn_weights_gguf(const rn_weights *w);

/* Sorted by name. */
size_t rn_weights_count(const rn_weights *w);
const rn_tensor_view *rn_weights_at(const rn_weights *w, size_t index);

/* The place of a name, or RN_NO_WEIGHT. */
#define RN_NO_WEIGHT ((size_t)-1)
size_t rn_weights_find(const rn_weights *w, const char *name);

#endif

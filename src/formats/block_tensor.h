/* Blocks in safetensors, which knows no such dtypes: a U8 tensor [rows][bytes of a row],
   and "type:NAME" = "q4_k" in the metadata. */
#ifndef RN_FORMATS_BLOCK_TENSOR_H
#define RN_FORMATS_BLOCK_TENSOR_H

#include "formats/safetensors.h"

#define RN_BLOCK_TENSOR_PREFIX "type:"

/* The tensor that a metadata key speaks of, or NULL for another key. */
const char *rn_block_tensor_name(const char *key);

/* Turns the U8 view of such a tensor into one of its numbers. RN_EFORMAT when `type` is
   no type of blocks, or the tensor is not rows of whole ones. */
rn_status rn_block_tensor_view(rn_tensor_view *t, const char *type, const char *path,
                               rn_error *err);

/* The error for a key that speaks of a tensor which is not there. */
rn_status rn_block_tensor_missing(const char *name, const char *path, rn_error *err);

/* The other way: blocks as the header has to list them; other views stay as they are.
   False when rows are not whole blocks or the size overflows. Sets count and bytes in any
   case. */
bool rn_block_tensor_stored(rn_tensor_view *stored, const rn_tensor_view *t);

#endif

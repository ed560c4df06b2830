/* What a safetensors or GGUF file holds, whether it makes a model or not. */
#ifndef RETNET_FILE_H
#define RETNET_FILE_H

#include "retnet/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rn_file rn_file;

/** One tensor; name and type are owned by the file. */
typedef struct rn_file_tensor {
    const char *name;
    const char *type; /**< as the format writes it: "F32", "BF16"; blocks, which are U8
                           in safetensors, are told as what they are: "Q4_K" */
    int dims;
    uint64_t shape[8]; /**< of the numbers, also of blocks */
    uint64_t bytes;
} rn_file_tensor;

/** Reads and checks the file's header; its numbers are not touched. RN_ENOTFOUND,
   RN_EFORMAT for what is no such file or a damaged one, RN_EUNSUPPORTED for a GGUF file
   of another version, and for a type of tensors that is not known. Tensors of types that
   the library does not read are told too, and so are the parts of a split GGUF model. */
rn_status rn_file_describe(rn_file **out, const char *path, rn_error *err);

/** Frees it; NULL is allowed. */
void rn_file_free(rn_file *file);

/** "safetensors" or "gguf". Static storage. */
const char *rn_file_format(const rn_file *file);

/** The tensors, in the order in which they lie in the file. */
size_t rn_file_tensor_count(const rn_file *file);
rn_file_tensor rn_file_tensor_at(const rn_file *file, size_t index);

/** Pair `index` of the file's metadata, owned by the file; false past the end. Values of
   GGUF are told in text, long ones shortly. */
bool rn_file_metadata_at(const rn_file *file, size_t index, const char **key,
                         const char **value);

#ifdef __cplusplus
}
#endif
#endif

/*
 * safetensors: named tensors in one mapped file, checked before anything is believed. The
 * header is JSON of at most 100 MB; offsets lie inside the file, without overlap or hole;
 * no name occurs twice; the product of a shape times its element size equals the byte
 * range.
 */
#ifndef RN_FORMATS_SAFETENSORS_H
#define RN_FORMATS_SAFETENSORS_H

#include "core/error.h"
#include "core/weight_type.h"

#include <stdbool.h>
#include <stdint.h>

#define RN_MAX_DIMS 8

typedef enum rn_dtype {
    RN_DTYPE_F32,
    RN_DTYPE_F64,
    RN_DTYPE_F16,
    RN_DTYPE_BF16,
    RN_DTYPE_I64,
    RN_DTYPE_I32,
    RN_DTYPE_I16,
    RN_DTYPE_I8,
    RN_DTYPE_U8,
    RN_DTYPE_U16,
    RN_DTYPE_U32,
    RN_DTYPE_U64,
    RN_DTYPE_BOOL,
    /* Known by name and size alone (rn_dtype_is_read). */
    RN_DTYPE_F4,
    RN_DTYPE_F6_E2M3,
    RN_DTYPE_F6_E3M2,
    RN_DTYPE_F8_E4M3,
    RN_DTYPE_F8_E5M2,
    RN_DTYPE_F8_E8M0,
    RN_DTYPE_F8_E4M3FNUZ,
    RN_DTYPE_F8_E5M2FNUZ,
    RN_DTYPE_C64,
    /* Blocks (core/weight_type.h). A file stores them as U8 [rows][bytes of a row], and
       its metadata "type:NAME" tells which they are; views of them have the shape of the
       numbers. */
    RN_DTYPE_Q8_0,
    RN_DTYPE_Q4_0,
    RN_DTYPE_Q4_K,
    RN_DTYPE_Q6_K
} rn_dtype;

const char *rn_dtype_name(rn_dtype dtype); /* "F32", "Q4_K" */

/* Whether elements can be read; all dtypes can be listed. */
bool rn_dtype_is_read(rn_dtype dtype);

/* Bytes of `count` elements; false when they overflow or are not whole blocks or bytes.
 */
bool rn_dtype_bytes(rn_dtype dtype, uint64_t count, uint64_t *bytes);

/* F32, BF16, F16 and blocks as weight types, and back; false for the other dtypes. */
bool rn_dtype_weight_type(rn_dtype dtype, rn_weight_type *out);
rn_dtype rn_dtype_of_weight(rn_weight_type type);

/* A tensor as it lies in its file. name and data are owned by the file and live as long
   as it is open; data need not be aligned to its element. */
typedef struct rn_tensor_view {
    const char *name;
    rn_dtype dtype;
    int dims;
    uint64_t shape[RN_MAX_DIMS];
    uint64_t count; /* product of shape */
    const void *data;
    uint64_t bytes;
} rn_tensor_view;

typedef struct rn_safetensors rn_safetensors;
rn_status rn_safetensors_open(rn_safetensors **out, const char *path, rn_error *err);
void rn_safetensors_close(rn_safetensors *f);
size_t rn_safetensors_count(const rn_safetensors *f);
const rn_tensor_view *rn_safetensors_at(const rn_safetensors *f, size_t index);
const rn_tensor_view *rn_safetensors_find(const rn_safetensors *f, const char *name);
/* RN_EUNSUPPORTED, naming tensor and dtype, unless all tensors can be read. */
rn_status rn_safetensors_check_dtypes(const rn_safetensors *f, const char *path,
                                      rn_error *err);
/* A string of __metadata__, or NULL. */
const char *rn_safetensors_metadata(const rn_safetensors *f, const char *key);
/* Pair `index` of __metadata__, in the file's order; false past the end. */
bool rn_safetensors_metadata_at(const rn_safetensors *f, size_t index, const char **key,
                                const char **value);

/* Writes views to PATH, whole or not at all (rn_writer). metadata: pairs key, value,..
   with a final NULL, or NULL; blocks add their own. Data are aligned to 64 bytes by
   padding the header with spaces. count and bytes of a view need not be set: they follow
   from its shape. */
rn_status rn_safetensors_write(const char *path, const rn_tensor_view *views,
                               size_t count, const char *const *metadata, rn_error *err);

/* The same tensor by tensor: the views' data are not looked at when the writer is opened,
   their bytes are put in the order of the views, in pieces of any size. Commit is
   RN_EINVAL unless all of them have been put. */
typedef struct rn_safetensors_writer rn_safetensors_writer;
rn_status rn_safetensors_writer_open(rn_safetensors_writer **out, const char *path,
                                     const rn_tensor_view *views, size_t count,
                                     const char *const *metadata, rn_error *err);
rn_status rn_safetensors_writer_put(rn_safetensors_writer *w, const void *bytes,
                                    size_t count, rn_error *err);
rn_status rn_safetensors_writer_commit(rn_safetensors_writer *w, rn_error *err);
void rn_safetensors_writer_abandon(rn_safetensors_writer *w); /* NULL is allowed */

/* Elements [begin, begin + count) as float32 (exact for F32, F16, BF16 and blocks;
   rounded from F64; RN_EUNSUPPORTED for integers). The error names the tensor. */
rn_status rn_tensor_floats(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                           float *out, rn_error *err);
/* Elements as int64, for integer dtypes. */
rn_status rn_tensor_ints(const rn_tensor_view *t, uint64_t begin, uint64_t count,
                         int64_t *out, rn_error *err);

#endif

/*
 * GGUF version 3, little-endian: metadata (named, typed values) and named tensors in one
 * mapped file, checked before anything is believed: counts and lengths against the file's
 * size, no key or name twice, tensors of a type that the library has, at aligned places
 * inside the file, without overlap. Tensors are seen row-major, the longest stride first
 * (the file lists dimensions the other way round).
 */
#ifndef RN_FORMATS_GGUF_H
#define RN_FORMATS_GGUF_H

#include "formats/gguf_value.h"
#include "formats/safetensors.h"

#include <jansson.h>

#define RN_GGUF_MAX_KEY   65535
#define RN_GGUF_MAX_NAME  64
#define RN_GGUF_MAX_DIMS  4
#define RN_GGUF_ALIGNMENT 32 /* unless general.alignment says otherwise */

/* A type of tensors by the number that files have: blocks of so many numbers in so many
   bytes. */
typedef struct rn_gguf_kind {
    uint32_t type;
    const char *name;
    uint32_t block, bytes;
    rn_dtype dtype; /* of those that the library reads */
} rn_gguf_kind;
const rn_gguf_kind *rn_gguf_kind_find(uint32_t type); /* NULL: there is none */
const rn_gguf_kind *rn_gguf_kind_of(rn_dtype dtype);  /* NULL: the format lacks it */
bool rn_gguf_kind_is_read(const rn_gguf_kind *kind);

typedef struct rn_gguf rn_gguf;

/* Whether `path` is a file that calls itself GGUF: by its first bytes, or its name. */
bool rn_gguf_is(const char *path);

/* RN_EFORMAT, or RN_EUNSUPPORTED for another version, byte order, or a type of tensors
   that nobody knows. */
rn_status rn_gguf_open(rn_gguf **out, const char *path, rn_error *err);
void rn_gguf_close(rn_gguf *f);

/* Tensors by place in the file. Of types that the library does not read only name, shape,
   bytes and the type's name can be told: count is 0 and dtype U8. */
size_t rn_gguf_count(const rn_gguf *f);
const rn_tensor_view *rn_gguf_at(const rn_gguf *f, size_t index);
const char *rn_gguf_type_at(const rn_gguf *f, size_t index);

/* Whether the file can be read as a model: RN_EUNSUPPORTED for one part of several, and,
   naming tensor and type, for tensors that cannot be read. */
rn_status rn_gguf_check_model(const rn_gguf *f, const char *path, rn_error *err);

/* Metadata in the file's order; false past the end. */
bool rn_gguf_pair_at(const rn_gguf *f, size_t index, const char **key,
                     const rn_gguf_value **value);
/* NULL: there is no such key. */
const rn_gguf_value *rn_gguf_find(const rn_gguf *f, const char *key);

/* What of the metadata makes the config, as a new object: "general.architecture" and the
   keys that begin with "retnet.", without the files kept inside. RN_EFORMAT for values
   that JSON cannot hold (numbers that are not finite, text that is not UTF-8) and for
   lists without measure. */
rn_status rn_gguf_config(json_t **out, const rn_gguf *f, const char *path, rn_error *err);

/* ---- writing ---- */

/* Metadata under construction. Begin with zeros; a failure is kept and reported by
   rn_gguf_writer_open. */
typedef struct rn_gguf_meta {
    unsigned char *bytes;
    size_t used, room;
    uint64_t pairs;
    rn_status failed;
} rn_gguf_meta;

void rn_gguf_meta_free(rn_gguf_meta *m);
void rn_gguf_put_u32(rn_gguf_meta *m, const char *key, uint32_t value);
void rn_gguf_put_u64(rn_gguf_meta *m, const char *key, uint64_t value);
void rn_gguf_put_i64(rn_gguf_meta *m, const char *key, int64_t value);
void rn_gguf_put_f32(rn_gguf_meta *m, const char *key, float value);
void rn_gguf_put_f64(rn_gguf_meta *m, const char *key, double value);
void rn_gguf_put_bool(rn_gguf_meta *m, const char *key, bool value);
void rn_gguf_put_text(rn_gguf_meta *m, const char *key, const char *text, size_t length);
/* `count` numbers of `type`, as they lie in memory. */
void rn_gguf_put_array(rn_gguf_meta *m, const char *key, rn_gguf_type type,
                       const void *values, size_t count);
/* An array of strings: this, then exactly `count` times rn_gguf_put_item. */
void rn_gguf_put_strings(rn_gguf_meta *m, const char *key, size_t count);
void rn_gguf_put_item(rn_gguf_meta *m, const char *text, size_t length);
/* A value of another file. */
void rn_gguf_put_copy(rn_gguf_meta *m, const char *key, const rn_gguf_value *v);

/* Writes a file, whole or not at all (rn_writer), aligned to RN_GGUF_ALIGNMENT. The
   tensors' bytes are put in the order of the views, in pieces of any size; padding is the
   writer's. count, bytes and data of a view are not looked at. RN_EUNSUPPORTED for types
   that the format lacks and names that readers would refuse; commit is RN_EINVAL unless
   all bytes have been put. */
typedef struct rn_gguf_writer rn_gguf_writer;
rn_status rn_gguf_writer_open(rn_gguf_writer **out, const char *path,
                              const rn_gguf_meta *meta, const rn_tensor_view *views,
                              size_t count, rn_error *err);
rn_status rn_gguf_writer_put(rn_gguf_writer *w, const void *bytes, size_t count,
                             rn_error *err);
rn_status rn_gguf_writer_commit(rn_gguf_writer *w, rn_error *err); /* frees w */
void rn_gguf_writer_abandon(rn_gguf_writer *w);                    /* NULL is allowed */

#endif

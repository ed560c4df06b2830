/*
 * The dialects of checkpoints. A new one is a file dialect_NAME.c, a row in dialect.c and
 * a row in the tests.
 */
#ifndef RN_FORMATS_DIALECT_H
#define RN_FORMATS_DIALECT_H

#include "formats/weights.h"

#include <jansson.h>
#include <stdbool.h>

/* Bounds on what a config may ask for, before anything is sized by it. */
#define RN_DIALECT_MAX_LAYERS 65536u
#define RN_DIALECT_MAX_HEADS  65536u

/* What a dialect is recognised by and translated from. */
typedef struct rn_source {
    const char *path;          /* of the config, for messages */
    const json_t *config;      /* an object, as the file has it */
    const rn_weights *weights; /* NULL when only a config is read */
} rn_source;

typedef struct rn_dialect {
    const char *name;
    bool (*detect)(const rn_source *s);
    /* A new object of native keys; stored buffers (decays, angles) are taken into it. */
    rn_status (*config)(const rn_source *s, json_t **native, rn_error *err);
    /* The stored name of a native tensor; false when the dialect has no such tensor. */
    bool (*tensor_name)(const rn_source *s, const char *native, char *out, size_t size);
    /* Stored tensors that no model asks for. */
    bool (*is_buffer)(const rn_source *s, const char *original);
    /* The keys that are known, used or not, up to NULL; NULL: config hands on every key.
     */
    const char *const *keys;
} rn_dialect;

extern const rn_dialect rn_dialect_native, rn_dialect_torchscale, rn_dialect_gguf;

/* The dialect of a config, or RN_EUNSUPPORTED with a message that says what it is
 * instead. */
rn_status rn_dialect_detect(const rn_dialect **out, const rn_source *s, rn_error *err);

/* Whether the weights have this name, or one that ends in it; false without weights. */
bool rn_source_has(const rn_source *s, const char *name);
bool rn_source_has_ending(const rn_source *s, const char *ending);

#endif

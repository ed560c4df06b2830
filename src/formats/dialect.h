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

/* Where a native tensor lies: run number `part` of `parts` equal runs of rows of a stored
   one; 0 of 1 is all of it. */
typedef struct rn_stored {
    char name[256];
    uint32_t part, parts;
} rn_stored;

/* Which config keys decide the dimensions of the tensors whose native names hold `part`,
   and which key decides whether the tensors are there whose stored names hold it (NULL:
   none). The first row that fits counts; part NULL is the end of the list. */
typedef struct rn_shape_keys {
    const char *part, *key[2];
} rn_shape_keys;
typedef struct rn_presence_key {
    const char *part, *key;
} rn_presence_key;

typedef struct rn_dialect {
    const char *name;
    bool (*detect)(const rn_source *s);
    /* A new object of native keys; stored buffers (decays, angles) are taken into it. */
    rn_status (*config)(const rn_source *s, json_t **native, rn_error *err);
    /* The place of a native tensor; false when the dialect has no such tensor. */
    bool (*tensor)(const rn_source *s, const char *native, rn_stored *out);
    /* Stored tensors that no model asks for. */
    bool (*is_buffer)(const rn_source *s, const char *original);
    /* The keys that are known, used or not, up to NULL; NULL: config hands on every key.
     */
    const char *const *keys;
    const rn_shape_keys *shape_keys; /* for messages */
    const rn_presence_key *presence_keys;
    const char *layers_key;
} rn_dialect;

extern const rn_dialect rn_dialect_native, rn_dialect_gguf, rn_dialect_fla,
    rn_dialect_torchscale, rn_dialect_syncdoth, rn_dialect_legacy;

/* The dialect of a config, or RN_EUNSUPPORTED with a message that says what it is
 * instead. */
rn_status rn_dialect_detect(const rn_dialect **out, const rn_source *s, rn_error *err);

/* Whether the weights have this name, or one that ends in it; false without weights. */
bool rn_source_has(const rn_source *s, const char *name);
bool rn_source_has_ending(const rn_source *s, const char *ending);

/* One row of a dialect's table of names. */
typedef struct rn_stem {
    const char *native, *stored;
} rn_stem;

/* A native name is STEM.LEAF, or layers.I.STEM.LEAF with layer != NULL set to "layers.I."
   and its length. The stem's row of the table, or NULL. leaf is ".weight" or ".bias". */
const rn_stem *rn_stem_find(const rn_stem *model, const rn_stem *layer,
                            const char *native, int *layer_length, const char **leaf);

/* The id of pad_token_id as PyTorch reads it (negative: from the vocabulary's end), as
   native key pad_token of `native` where there is one. */
rn_status rn_dialect_pad_token(const rn_source *s, uint32_t vocab, json_t *native,
                               rn_error *err);

#endif

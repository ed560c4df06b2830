/*
 * How a RetNet is told in GGUF: the keys of its config and the names of its tensors,
 * shared by what reads (dialect_gguf.c) and what writes (gguf_model.c, gguf_tokenizer.c).
 *
 * Sizes, eps, decays and rotation have the keys that other programs look for; every
 * other native key KEY is there as retnet.config.KEY, with its type, so that nothing of
 * the native config is lost.
 */
#ifndef RN_FORMATS_GGUF_MODEL_H
#define RN_FORMATS_GGUF_MODEL_H

#include "formats/gguf.h"

#define RN_GGUF_ARCHITECTURE "retnet"
#define RN_GGUF_NATIVE       "retnet.config." /* and a native key */
#define RN_GGUF_DECAYS       "retnet.retention.decay"
#define RN_GGUF_ROPE_DIMS    "retnet.rope.dimension_count"
#define RN_GGUF_ROPE_BASE    "retnet.rope.freq_base"
#define RN_GGUF_RMS_EPS      "retnet.attention.layer_norm_rms_epsilon"
#define RN_GGUF_LAYER_EPS    "retnet.attention.layer_norm_epsilon"
#define RN_GGUF_HEAD_EPS     "retnet.attention.group_norm_epsilon"

/* Text that other programs do not know where to put: files of a Hugging Face folder, each
   under this and its name. tokenizer.json has the key that the format reserves. */
#define RN_GGUF_FILE           "retnet.file."
#define RN_GGUF_TOKENIZER_JSON "tokenizer.huggingface.json"

/* A whole number that is a key of its own; the list ends in NULL. */
typedef struct rn_gguf_size {
    const char *key, *native;
} rn_gguf_size;
extern const rn_gguf_size rn_gguf_sizes[];

/* The GGUF name of a native tensor: "layers.0.mixer.q.weight" is "blk.0.attn_q.weight".
   What the table lacks keeps its native name behind "blk.I.". False: it does not fit. */
bool rn_gguf_tensor_name(const char *native, char *out, size_t size);

/* A number that was stored in float32, as the shortest decimal that stands for it there:
   1e-6, not 9.99999997e-7. Others are returned as they are. */
double rn_gguf_widen(double x);

/* Angle i of key_dim / 2 by the rule of a pairing ("halves": fla's, else torchscale's)
   with this base. */
double rn_gguf_angle(const char *rotary, double base, size_t key_dim, size_t i);

/* Whether listed angles are those of the rule, to float32's precision. */
bool rn_gguf_angles_follow(const json_t *angles, const char *rotary, double base);

/* Writes all keys of a complete native config; of the config as it was stored, only how
   long a text its model was made for. RN_EUNSUPPORTED names a key whose value the format
   cannot hold. */
rn_status rn_gguf_put_config(rn_gguf_meta *m, const json_t *native, const json_t *stored,
                             const char *path, rn_error *err);

/* Writes the tokenizer of the checkpoint `in` (a folder, or a file beside which its
   files lie; a GGUF file's own), its chat template and ids, and the texts of its files.
   `vocab` is the model's. Without a tokenizer a model of 256 ids is one of bytes. */
rn_status rn_gguf_put_files(rn_gguf_meta *m, const char *in, size_t vocab, rn_error *err);

/* The part of it that is in tokenizer.json, parsed: tokenizer.ggml.*, without ids. */
rn_status rn_gguf_put_tokenizer(rn_gguf_meta *m, const json_t *tokenizer, size_t vocab,
                                const char *path, rn_error *err);

/* The id of a token by its text, or -1. */
json_int_t rn_gguf_token_id(const json_t *tokenizer, const char *text);

/* A tokenizer.json and a tokenizer_config.json made from tokenizer.ggml.*, as new
   objects, for files of other programs. RN_EUNSUPPORTED for kinds of tokenizers that the
   library does not have. */
rn_status rn_gguf_build_tokenizer(json_t **out, const rn_gguf *f, const char *path,
                                  rn_error *err);
rn_status rn_gguf_build_tokenizer_config(json_t **out, const rn_gguf *f, const char *path,
                                         rn_error *err);

/* The text of one of the files kept inside, "tokenizer.json", freed with free() and ended
   by a 0 that *length does not count; the tokenizer's two are made from tokenizer.ggml.*
   where they are not kept. RN_ENOTFOUND when there is no such thing inside: a model of
   bytes, or without a tokenizer. */
rn_status rn_gguf_take_file(const rn_gguf *f, const char *name, const char *path,
                            char **text, size_t *length, rn_error *err);

/* The same of the file at `path`. */
rn_status rn_gguf_file(const char *path, const char *name, char **text, size_t *length,
                       rn_error *err);

/* The names of files that are kept, NULL at the end. */
extern const char *const rn_gguf_files[];

#endif

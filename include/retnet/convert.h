/* Checkpoints in the layouts of other programs. */
#ifndef RETNET_CONVERT_H
#define RETNET_CONVERT_H

#include "retnet/status.h"
#include "retnet/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rn_convert_options {
    const char *to; /**< "native", "hf-fla", "torchscale", "gguf" */
    bool lossy;     /**< go as near as the layout can where it cannot say the same */
    /** NULL, or told of everything that is not the same, a sentence each (lossy only). */
    void (*lost)(void *user, const char *what);
    /** NULL, or told of every key of the input's config that nobody knows; it is left
       out. */
    void (*unknown_key)(void *user, const char *key);
    /** NULL, or called after each tensor (`done` of `total` bytes are written); true
       stops the work with RN_EINTERRUPTED, nothing written. */
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;
} rn_convert_options;

typedef struct rn_convert_report {
    size_t tensors;     /**< written */
    size_t lossy;       /**< things that are not the same */
    uint64_t bytes_out; /**< of the tensors */
} rn_convert_report;

/**
 * Reads a checkpoint in any dialect and writes it in another layout: a folder with
 * config.json, model.safetensors and copies of the tokenizer's and generation's files, or
 * one GGUF file. Numbers keep their type; only blocks become float32 where the layout
 * has none: vectors outside GGUF, matrices in other programs' folders (a loss).
 * RN_EUNSUPPORTED, unless `lossy`, names the first thing that the layout cannot say.
 * Whole or, when something fails, not there: an existing `out` is RN_EEXIST. report may
 * be NULL.
 */
rn_status rn_convert(const char *in, const char *out, const rn_convert_options *options,
                     rn_convert_report *report, rn_error *err);

#ifdef __cplusplus
}
#endif
#endif

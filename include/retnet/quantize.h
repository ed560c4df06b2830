/* Checkpoints in smaller number formats. */
#ifndef RETNET_QUANTIZE_H
#define RETNET_QUANTIZE_H

#include "retnet/status.h"
#include "retnet/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * How a checkpoint is rewritten. Matrices become `type`; norms, biases and decays stay
 * float32. The embedding and the output projection become Q8_0 where `type` is smaller
 * than that, since every token's error passes through them; keep_embeddings leaves them
 * as they are stored. A matrix whose rows the blocks do not divide becomes Q4_0 (for
 * Q4_K) or Q8_0 (for Q6_K), and bfloat16 where 32 does not divide them either.
 */
typedef struct rn_quantize_options {
    rn_weight_type type; /**< not RN_WEIGHT_STORED */
    bool keep_embeddings;
    int threads; /**< 0: the physical cores that this process may run on */
    /** NULL, or called after each tensor (`done` of `total` numbers are written, the last
        call has done == total); true stops the work with RN_EINTERRUPTED, nothing
       written. */
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    /** NULL, or told of every tensor whose rows did not divide, and what it becomes. */
    void (*fallback)(void *user, const char *tensor, rn_weight_type type);
    /** NULL, or told of every key of the input's config that nobody knows; it is left
        out. */
    void (*unknown_key)(void *user, const char *key);
    void *user;
} rn_quantize_options;

typedef struct rn_quantize_report {
    uint64_t bytes_in, bytes_out; /**< of the tensors */
    size_t tensors, fallbacks;
} rn_quantize_report;

/**
 * Reads a checkpoint in any dialect and writes a native folder: config.json,
 * model.safetensors, in which blocks are U8 tensors and the metadata "type:NAME" tells
 * their format, and copies of the tokenizer's and generation's files beside the input.
 * The folder is whole or, when something fails, not there: an existing `out` is
 * RN_EEXIST. Blocks in the input are RN_EUNSUPPORTED (they would lose twice), numbers
 * that are not finite RN_EFORMAT. Beyond the mapped input, numbers take two buffers, each
 * of at most 4 MiB, or of the longest row in float32 where that is more. The bytes do not
 * depend on the number of threads. report may be NULL.
 */
rn_status rn_quantize(const char *in, const char *out, const rn_quantize_options *options,
                      rn_quantize_report *report, rn_error *err);

#ifdef __cplusplus
}
#endif
#endif

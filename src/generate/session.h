/* What a session consists of, for the files of this room. */
#ifndef RN_GENERATE_SESSION_H
#define RN_GENERATE_SESSION_H

#include "generate/sampler.h"
#include "model/model.h"
#include "retnet/session.h"

/* Tokens read at once. A constant, so that a text gives the same bits on every machine
   that computes with the same kernels. */
#define RN_READ_CHUNK 256

struct rn_session {
    rn_model *model;
    rn_row_norm row_norm;
    rn_sequence sequence; /* position: without what is pending */
    float *logits;
    size_t state_floats, tail_floats;
    int32_t *pending; /* [RN_READ_CHUNK] ids position - pending_count .. position - 1 */
    size_t pending_count;
    uint64_t position;
    int32_t recent[RN_SESSION_RECENT]; /* token of position p at p % RN_SESSION_RECENT */
    rn_sampler_scratch scratch;
    void *block;
    size_t block_bytes;
};

#endif

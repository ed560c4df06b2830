/*
 * The retention operation itself, for those who build their own models on it: all three
 * forms and the gradient over packed batches, on any CPU variant. The equations and the
 * row normalisers are in docs/retention.md.
 */
#ifndef RETNET_RETENTION_H
#define RETNET_RETENTION_H

#include "retnet/exec.h"
#include "retnet/types.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * One call's shape. Sequence b owns rows first[b] .. first[b+1]-1 (possibly none). q and
 * k are [rows][heads or kv_heads][dk], v [rows][kv_heads][dv], o [rows][heads][dv],
 * contiguous; q and k already rotated and scaled. kv_heads divides heads; head h reads k,
 * v head h / (heads / kv_heads).
 */
typedef struct rn_retention_call {
    size_t batch;
    const size_t *first; /**< [batch + 1], not decreasing, first[0] = 0 */
    size_t heads, kv_heads, dk, dv;
    const float *log_decay; /**< log gamma, finite and <= 0, of head h at row r at
                                 [h * decay_head + r * decay_row] */
    size_t decay_head, decay_row;
    const uint64_t *seen; /**< [batch] tokens before the segment; NULL: none */
    rn_form form;
    size_t chunk;         /**< chunkwise only; 0: the measured choice */
    rn_row_norm row_norm; /**< not AUTO */
} rn_retention_call;

/**
 * o from q, k, v. A row normaliser needs decay_row 0; torchscale the parallel form
 * without states; the recurrent form needs states. state[b] ([heads][dk][dv]) and, for
 * the row normaliser paper, z[b] ([heads][dk]) are read and replaced; NULL tables: zeros,
 * not kept. row_scale ([rows][heads], or NULL) receives the factor of the row normaliser.
 * NaN and infinity in a row of k or v reach o of every later row, and with some variants
 * of the kernels that of a few earlier ones.
 */
rn_status rn_retention_forward(rn_exec *x, const rn_retention_call *call, float *o,
                               float *row_scale, const float *q, const float *k,
                               const float *v, float *const *state, float *const *z,
                               rn_error *err);

/**
 * Gradients of sum(o * d_o) + sum(final state * dstate). d_o is multiplied in place by
 * row_scale (NULL: none). state_in: states at the segment's begin (NULL: zeros). dstate:
 * in, gradient of the final states; out, of the initial ones (NULL: zeros in, not
 * returned). Form chunkwise or parallel. The row normaliser's denominators count as
 * constants.
 */
rn_status rn_retention_backward(rn_exec *x, const rn_retention_call *call, float *dq,
                                float *dk, float *dv, float *d_o, const float *row_scale,
                                const float *q, const float *k, const float *v,
                                const float *const *state_in, float *const *dstate,
                                rn_error *err);

/** The chunk length that measured best for these head widths (docs/performance.md). */
size_t rn_retention_chunk(size_t dk, size_t dv);

#ifdef __cplusplus
}
#endif
#endif

/* The argument blocks of the operations that have many arguments. */
#ifndef RN_KERNELS_OPS_H
#define RN_KERNELS_OPS_H

#include "kernels/panels.h"
#include "retnet/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Head norm and gate: o and y are [rows][heads][dv] contiguous, g has row stride ldg. */
typedef struct rn_headnorm {
    size_t rows, heads, dv;
    size_t ldg;    /* floats between rows of g and dg */
    size_t w_head; /* w of head h begins at h * w_head: 0 shared by all heads, or dv */
    rn_head_norm kind; /* eps is added to the mean square (the variance for GROUP) */
    float eps;
} rn_headnorm;

/* Rotary position: y_a = x_a cos - x_b sin, y_b = x_b cos + x_a sin, times scale. Row r
   uses row r % period of the tables cos and sin, [period][dk/2]. inverse rotates by the
   negative angle (the gradient). RN_ROTARY_NONE only scales. */
typedef struct rn_rotary {
    size_t rows, period, heads, dk;
    size_t ld; /* floats between rows of t; head h begins at h * dk */
    const float *cos, *sin;
    rn_rotary_kind kind;
    float scale;
    bool inverse;
} rn_rotary;

/*
 * Retention of packed sequences (equations: docs/retention.md). Sequence b owns rows
 * first[b] .. first[b+1]-1, possibly none. Row r and head h of q begin at
 * q + r * q_row + h * dk, of k at k + r * k_row + (h / (heads / kv_heads)) * dk, of v
 * alike with dv, of o at o + r * o_row + h * dv. q and k are rotated and scaled by the
 * caller.
 *
 * States: state[b] is [heads][dk][dv], z[b] is [heads][dk] (paper only: sum of decayed
 * k). A NULL table stands for zeros that are not written back.
 *
 * Decays: log gamma of head h at row r is log_decay[h * decay_head + r * decay_row];
 * decay_row is 0 when the decay does not depend on the token. The decay acts on the state
 * before the token is added.
 */
typedef struct rn_retention {
    size_t batch;
    const size_t *first; /* [batch + 1] */
    size_t heads, kv_heads, dk, dv;
    size_t q_row, k_row, v_row, o_row;
    const float *log_decay;
    size_t decay_head, decay_row;
    const uint64_t *seen; /* [batch] tokens before the segment, for d_n; NULL: none */
    rn_row_norm norm;     /* not AUTO; TORCHSCALE wants one chunk and no state */
    size_t chunk;         /* tokens in a chunk; 0: one chunk, the parallel form */
} rn_retention;

/*
 * One head of one sequence, one token. The newest `tail` tokens, this one included, are
 * not in the state S [dk][dv] (and z [dk], paper only) yet: their keys [tail][dk] and
 * values [tail][dv] lie beside it, the oldest first. With g = gamma: o = g^tail q S +
 * sum_j g^(tail-1-j) (q . k_j) v_j times the row normaliser's factor. fold: S = g^tail S
 * + sum_j g^(tail-1-j) k_j^T v_j is written back in the same pass, z alike. q NULL: only
 * the fold, o is not touched. tail is 1 .. RN_DECODE_TAIL (0 too where q is NULL).
 *
 * halves: S is in halves (kernels/halves.h). The read-out then takes the upper ones for
 * S; the fold takes and leaves the floats as they are.
 */
#define RN_DECODE_TAIL ((size_t)16)

typedef struct rn_decode {
    size_t dk, dv, tail;
    float log_decay;
    rn_row_norm norm; /* not AUTO, not TORCHSCALE */
    uint64_t seen;    /* tokens before this one, for d_n */
    bool fold, halves;
} rn_decode;

/* AdamW (decoupled decay): g' = grad_scale g; m, v moments; p -= lr (m^ / (sqrt(v^) +
   eps) + decay p) with m^ = m / correct1, v^ = v / correct2, correct = 1 - beta^step. */
typedef struct rn_adamw {
    float lr, beta1, beta2, eps, decay, grad_scale;
    double correct1, correct2;
} rn_adamw;

#endif

/*
 * Names of the choices that a RetNet leaves open; shared by the operations, the model and
 * the command line. Equations: docs/retention.md.
 */
#ifndef RETNET_TYPES_H
#define RETNET_TYPES_H

#ifdef __cplusplus
extern "C" {
#endif

/** The three forms of one function (section 2 of arXiv 2307.08621). */
typedef enum rn_form {
    RN_FORM_CHUNKWISE = 0, /**< parallel inside a chunk, a state between chunks */
    RN_FORM_PARALLEL = 1,  /**< the whole segment at once */
    RN_FORM_RECURRENT = 2  /**< one token after the other */
} rn_form;

/** The factor on row n before the head norm. d_n = sum_{j<=n} gamma^j. */
typedef enum rn_row_norm {
    RN_ROW_NORM_NONE = 0,       /**< 1 */
    RN_ROW_NORM_DECAY = 1,      /**< 1 / sqrt(d_n) */
    RN_ROW_NORM_PAPER = 2,      /**< decay, then 1 / max(|sum_m R_nm|, 1) */
    RN_ROW_NORM_TORCHSCALE = 3, /**< decay, then 1 / clamp(sum_m |R_nm|, 1, 5e4); parallel
                                     form from an empty state only */
    RN_ROW_NORM_AUTO = 4        /**< what the model's own code uses in the form at hand */
} rn_row_norm;

/** Activation of the feed-forward. gelu is the exact one (erf). */
typedef enum rn_activation {
    RN_ACT_SWISH = 0,
    RN_ACT_GELU = 1,
    RN_ACT_RELU = 2
} rn_activation;

/** Which components rotate together. */
typedef enum rn_rotary_kind {
    RN_ROTARY_ADJACENT = 0, /**< (2i, 2i+1): torchscale */
    RN_ROTARY_HALVES = 1,   /**< (i, i + dk/2): fla */
    RN_ROTARY_NONE = 2
} rn_rotary_kind;

/** Norm of each head's output. */
typedef enum rn_head_norm {
    RN_HEAD_NORM_RMS = 0,   /**< divided by the root mean square over dv */
    RN_HEAD_NORM_GROUP = 1, /**< the mean over dv is subtracted first (GroupNorm) */
    RN_HEAD_NORM_NONE = 2
} rn_head_norm;

/** How the numbers of a weight matrix are stored. Blocks hold a row's numbers from left
   to right; x is what they stand for. */
typedef enum rn_weight_type {
    RN_WEIGHT_F32 = 0,
    RN_WEIGHT_BF16 = 1, /**< the upper half of a float32 */
    RN_WEIGHT_F16 = 2,  /**< IEEE half */
    RN_WEIGHT_Q8_0 = 3, /**< 32 in 34 bytes: f16 d, i8 q: x = d q */
    RN_WEIGHT_Q4_0 = 4, /**< 32 in 18 bytes: f16 d, 4-bit q: x = d (q - 8) */
    RN_WEIGHT_Q4_K =
        5, /**< 256 in 144 bytes: 32 at a time with 6-bit scale and minimum */
    RN_WEIGHT_Q6_K = 6, /**< 256 in 210 bytes: 6-bit q, 16 at a time with 8-bit scale */
    RN_WEIGHT_TYPES = 7,
    RN_WEIGHT_STORED = -1 /**< as an option: whatever the checkpoint has */
} rn_weight_type;

/** "f32", "bf16", "f16", "q8_0", "q4_0", "q4_k", "q6_k"; NULL for another number. */
const char *rn_weight_type_name(int type);

#ifdef __cplusplus
}
#endif
#endif

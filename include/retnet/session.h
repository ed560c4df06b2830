/*
 * Sessions: a sequence being read or written. What a session holds does not grow: one
 * retention state per head and layer, the position, the last logits, and fewer than a
 * chunk of ids that are not read yet.
 *
 * Text that is fed is read chunkwise, cut at absolute multiples of the model's reading
 * chunk, so any way of cutting a text into feeds gives the same bits. Asking for logits
 * or a sample reads what is pending, and so does a step. Generated tokens go one
 * recurrent step at a time. The keys and values of the newest few of them lie beside the
 * state and are folded into it together, so that a step reads the state once and writes
 * it seldom.
 *
 * Sessions of one model share its working memory: use them, and the model, from one
 * thread at a time.
 */
#ifndef RETNET_SESSION_H
#define RETNET_SESSION_H

#include "retnet/model.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rn_session rn_session;

/**
 * How a token is drawn. Zeroed fields switch their rule off; temperature 0 is greedy. The
 * order: repeat_penalty, top_k, top_p (of what top_k left, renormalised), min_p,
 * temperature, draw. So the sets are those of temperature 1.
 */
typedef struct rn_sampling {
    float temperature; /**< 0..100; 0: the largest logit, lowest id among equals */
    int top_k;         /**< keep the k most likely */
    float top_p; /**< keep the smallest set with this much probability; 0 or 1: all */
    float min_p; /**< keep tokens at least min_p times as likely as the best */
    float repeat_penalty; /**< 0.01..100; divides (or multiplies, below 0) logits of
                             recent tokens, once each; 0 or 1: off; looks at the last 64
                             tokens */
    uint64_t seed;        /**< the draw is a function of (seed, position, choice) */
    uint32_t choice;
} rn_sampling;

/** An empty session at position 0. */
rn_status rn_session_create(rn_session **out, rn_model *model, rn_error *err);

/** A second session that continues from the same point: one copy of the state. */
rn_status rn_session_copy(rn_session **out, const rn_session *from, rn_error *err);

/**
 * Writes the session to a file, whole or not at all: what was there before stays when
 * anything fails, but for RN_EIO "cannot be synced": the new file is in its place then,
 * and may not outlive a loss of power. Layout: docs/state-file.md. The file belongs to
 * the model, known by a hash of its config and its weights as they are held, which the
 * first save or load of a model computes. Weights written later by hand are not noticed.
 * RN_EINVAL for a session with numbers that are not finite.
 */
rn_status rn_session_save(const rn_session *s, const char *path, rn_error *err);

/**
 * A session that continues one that was saved: with the same bits where the model's exec
 * has the same instruction sets and the same choice of bf16 products. RN_ENOTFOUND;
 * RN_EINVAL when the file belongs to another model, naming both hashes, when it is no
 * regular file, or when the model is a description; RN_EUNSUPPORTED for a version of the
 * format that is not known; RN_EFORMAT for a file that is damaged or contradicts itself.
 */
rn_status rn_session_load(rn_session **out, rn_model *model, const char *path,
                          rn_error *err);

/** Frees the session; NULL is allowed. */
void rn_session_free(rn_session *s);

/** Back to an empty session. */
void rn_session_reset(rn_session *s);

/** Appends ids[count] to be read. RN_EINVAL for an id outside the vocabulary: nothing is
    appended then. */
rn_status rn_session_feed(rn_session *s, const int32_t *ids, size_t count, rn_error *err);

/** Appends one generated token: one recurrent step. */
rn_status rn_session_step(rn_session *s, int32_t id, rn_error *err);

/** Sessions that one pass over the weights serves; more take further passes. */
#define RN_STEP_SESSIONS 64

/** The same for `count` different sessions of one model at once, ids[i] to sessions[i]:
   one pass over the weights for RN_STEP_SESSIONS of them, and the bits of each as if it
   were alone. RN_ENOMEM: the first step of more sessions than ever before makes room for
   them. With an error nothing is appended to any. */
rn_status rn_sessions_step(rn_session *const *sessions, const int32_t *ids, size_t count,
                           rn_error *err);

/** Logits [vocab_size] after the last token, owned by the session and valid until it
    changes; reads what is pending first. NULL at position 0. */
const float *rn_session_logits(rn_session *s);

/** Draws the next token from the logits; does not append it. RN_EINVAL at position 0, for
   a number out of range, and for logits that are NaN, infinite or all -inf. */
rn_status rn_session_sample(rn_session *s, const rn_sampling *how, int32_t *id,
                            rn_error *err);

/** Tokens appended so far. */
uint64_t rn_session_position(const rn_session *s);

/** The newest ids, oldest of them first, at most `most` and at most RN_SESSION_RECENT:
   what the repeat penalty looks at, and what a detokenizer has to see before it goes on
   with the session's text. Returns their number. */
#define RN_SESSION_RECENT 64
size_t rn_session_recent(const rn_session *s, int32_t *ids, size_t most);

/** Bytes of the recurrent state: constant for a model. */
size_t rn_session_state_bytes(const rn_session *s);

/** All bytes that a session takes, the state included: constant for a model. */
size_t rn_session_bytes(const rn_session *s);

/**
 * Turns token ids into text that can be shown at once: holds back an incomplete UTF-8
 * sequence, replaces bytes that cannot begin or continue one by U+FFFD, and stops at stop
 * strings, holding back what may begin one.
 */
typedef struct rn_stream rn_stream;

/** stops: `count` strings, empty ones ignored, copied. */
rn_status rn_stream_create(rn_stream **out, const char *const *stops, size_t count,
                           rn_error *err);
void rn_stream_free(rn_stream *stream);

/** Adds raw bytes. *text (owned by the stream, valid until the next call) and *length
   receive what may be shown now, *stopped is set once a stop string is complete; the text
   ends before it. */
rn_status rn_stream_put(rn_stream *stream, const void *bytes, size_t count,
                        const char **text, size_t *length, bool *stopped, rn_error *err);

/** The rest: what was held back, with U+FFFD for an unfinished character; where that
    completes a stop string, what is before it. */
rn_status rn_stream_end(rn_stream *stream, const char **text, size_t *length,
                        rn_error *err);

/** Of the bytes that were put, how many have their text handed out: what follows them is
    held back or, at a stop, left out. */
uint64_t rn_stream_taken(const rn_stream *stream);

#ifdef __cplusplus
}
#endif
#endif

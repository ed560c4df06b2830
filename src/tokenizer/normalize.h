/* Normalizers of a tokenizer.json: Prepend, Replace by a literal string, NFC, in order.
 */
#ifndef RN_TOKENIZER_NORMALIZE_H
#define RN_TOKENIZER_NORMALIZE_H

#include "tokenizer/unicode.h"

#include <jansson.h>

#define RN_STEPS_MAX ((size_t)16)  /* of one list of a tokenizer.json */
#define RN_STEP_TEXT ((size_t)256) /* bytes of a step's string */

typedef struct rn_normal_step {
    enum { RN_NORMAL_PREPEND, RN_NORMAL_REPLACE, RN_NORMAL_NFC } kind;
    unsigned char find[RN_STEP_TEXT], put[RN_STEP_TEXT];
    size_t find_length, put_length;
} rn_normal_step;

typedef struct rn_normalizer {
    rn_normal_step steps[RN_STEPS_MAX];
    size_t count;
} rn_normalizer;

/* json: the value of "normalizer", NULL or null for none; path for messages. */
rn_status rn_normalizer_read(rn_normalizer *out, const json_t *json, const char *path,
                             rn_error *err);

/* The normalised text lies in `text` itself or in one of the two buffers. Empty text
   stays empty. */
typedef struct rn_normal_room {
    rn_bytes a, b;
} rn_normal_room;

rn_status rn_normalize(const rn_normalizer *n, const rn_classes *classes,
                       rn_normal_room *room, const unsigned char **text, size_t *length,
                       rn_error *err);
void rn_normal_room_free(rn_normal_room *room);

#endif

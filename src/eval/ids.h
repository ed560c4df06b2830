/* Rows of token ids, as evaluation is handed them. */
#ifndef RN_EVAL_IDS_H
#define RN_EVAL_IDS_H

#include "core/error.h"

#include <stdint.h>

/* RN_EINVAL for no rows, rows of fewer than two ids, more than memory can number, or an
   id outside the vocabulary, whose row and index are named. */
rn_status rn_ids_check(const int32_t *ids, size_t batch, size_t length, size_t vocab,
                       rn_error *err);

#endif

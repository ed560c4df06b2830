/* A checkpoint and the parameters that its config asks for, found and measured: what
   opening and rewriting it have in common. */
#ifndef RN_API_MATCHED_H
#define RN_API_MATCHED_H

#include "formats/checkpoint.h"
#include "model/model.h"

typedef struct rn_matched {
    rn_checkpoint *checkpoint;
    rn_model *plan;        /* the config's model without weights */
    rn_tensor_view *views; /* [plan->param_count], parameter i's tensor or its rows of
                              one; the names are the stored ones */
} rn_matched;

/* Everything that can be checked without reading a number: the config, that each
   parameter has a tensor of its shape, and each tensor a parameter. RN_EFORMAT otherwise;
   RN_EUNSUPPORTED for a tensor that is not of floating point. */
rn_status rn_matched_open(rn_matched *out, const char *path, rn_error *err);
void rn_matched_close(rn_matched *m);

/* Calls tell, unless it is NULL, for every key of the config that nobody knows. */
void rn_matched_tell_unknown(const rn_matched *m,
                             void (*tell)(void *user, const char *key), void *user);

#endif

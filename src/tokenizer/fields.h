/* Reading the parts of a tokenizer.json: what formats/keys.h does, and the strings and
   lists of steps that these files have. Messages name the file and the field. */
#ifndef RN_TOKENIZER_FIELDS_H
#define RN_TOKENIZER_FIELDS_H

#include "formats/keys.h"

/* The string at `key` in out, at most `room` bytes. RN_EFORMAT when it is missing or
   empty (unless `empty`), RN_EUNSUPPORTED when longer. */
rn_status rn_field_text(const json_t *object, const char *key, unsigned char *out,
                        size_t room, size_t *length, bool empty, const char *path,
                        rn_error *err);

/* Hands the step, or the steps that a Sequence lists under `list`, to `read` in order;
   sequences may be nested a few levels deep. NULL and null are no step. */
typedef rn_status (*rn_step_reader)(void *out, const json_t *step, const char *type,
                                    const char *path, rn_error *err);
rn_status rn_fields_steps(const json_t *json, const char *list, rn_step_reader read,
                          void *out, const char *path, rn_error *err);

#endif

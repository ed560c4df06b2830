/* TensorBoard's event files: a log of scalars and texts beside metrics.jsonl. */
#ifndef RN_TRAIN_EVENTS_H
#define RN_TRAIN_EVENTS_H

#include "core/error.h"
#include "retnet/train.h"

typedef struct rn_events rn_events;

/* Opens a new file FOLDER/events.out.tfevents.TIME.HOST.PID, whose name sorts behind
   those that are there. It tells readers to forget what those hold of step `step` and
   later. */
rn_status rn_events_open(rn_events **out, const char *folder, uint64_t step,
                         rn_error *err);

/* The scalars of a step and of an evaluation (bits_per_byte NaN: unknown), and a text.
   Failures are kept for the next flush. */
void rn_events_step(rn_events *e, const rn_step_result *r, double rate);
void rn_events_evaluation(rn_events *e, uint64_t step, double loss, double bits_per_byte);
void rn_events_sample(rn_events *e, uint64_t step, const char *text);

/* Hands the records to the operating system; sync: and to the disk. */
rn_status rn_events_flush(rn_events *e, bool sync, rn_error *err);

/* Closes without a flush that could fail unseen; NULL is allowed. */
void rn_events_close(rn_events *e);

#endif

/* What a run writes down as it goes: metrics.jsonl and event files as one. */
#ifndef RN_TRAIN_RECORD_H
#define RN_TRAIN_RECORD_H

#include "train/events.h"

/* ---- metrics.c ---- */

typedef struct rn_metrics rn_metrics;

/* Opens FOLDER/metrics.jsonl for appending. Lines of steps after `step` are cut off
   first, and all lines when fresh. */
rn_status rn_metrics_open(rn_metrics **out, const char *folder, bool fresh, uint64_t step,
                          rn_error *err);

/* One line for a step, an evaluation, a sample. Failures are kept for the next flush. */
void rn_metrics_step(rn_metrics *m, const rn_step_result *r, uint64_t tokens,
                     double rate);
void rn_metrics_evaluation(rn_metrics *m, uint64_t step, double loss,
                           double bits_per_byte);
void rn_metrics_sample(rn_metrics *m, uint64_t step, const char *text);

/* Hands the lines to the operating system; sync: and to the disk. */
rn_status rn_metrics_flush(rn_metrics *m, bool sync, rn_error *err);

/* Closes without a flush that could fail unseen; NULL is allowed. */
void rn_metrics_close(rn_metrics *m);

/* ---- record.c ---- */

typedef struct rn_record {
    rn_metrics *metrics;
    rn_events *events; /* NULL: not wanted */
} rn_record;

/* The record of a run that begins (fresh) or goes on after `step`. */
rn_status rn_record_open(rn_record *out, const char *folder, bool fresh, uint64_t step,
                         bool events, rn_error *err);
void rn_record_step(const rn_record *r, const rn_step_result *result, uint64_t tokens,
                    double rate);
void rn_record_evaluation(const rn_record *r, uint64_t step, double loss,
                          double bits_per_byte);
void rn_record_sample(const rn_record *r, uint64_t step, const char *text);
rn_status rn_record_flush(const rn_record *r, bool sync, rn_error *err);

/* Without a flush that could fail unseen; a zeroed record is allowed. */
void rn_record_close(rn_record *r);

#endif

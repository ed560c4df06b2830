/* The record of a run: metrics.jsonl, which a resumed run cuts back and continues, and
   TensorBoard's event files beside it where they are wanted. */
#include "train/record.h"

rn_status rn_record_open(rn_record *out, const char *folder, bool fresh, uint64_t step,
                         bool events, rn_error *err)
{
    rn_record r = {0};
    rn_status st = rn_metrics_open(&r.metrics, folder, fresh, step, err);
    if (!st && events) st = rn_events_open(&r.events, folder, fresh ? 0 : step + 1, err);
    if (st) rn_record_close(&r);
    else *out = r;
    return st;
}

void rn_record_step(const rn_record *r, const rn_step_result *result, uint64_t tokens,
                    double rate)
{
    rn_metrics_step(r->metrics, result, tokens, rate);
    if (r->events) rn_events_step(r->events, result, rate);
}

void rn_record_evaluation(const rn_record *r, uint64_t step, double loss,
                          double bits_per_byte)
{
    rn_metrics_evaluation(r->metrics, step, loss, bits_per_byte);
    if (r->events) rn_events_evaluation(r->events, step, loss, bits_per_byte);
}

void rn_record_sample(const rn_record *r, uint64_t step, const char *text)
{
    rn_metrics_sample(r->metrics, step, text);
    if (r->events) rn_events_sample(r->events, step, text);
}

rn_status rn_record_flush(const rn_record *r, bool sync, rn_error *err)
{
    rn_status st = rn_metrics_flush(r->metrics, sync, err);
    if (!st && r->events) st = rn_events_flush(r->events, sync, err);
    return st;
}

void rn_record_close(rn_record *r)
{
    rn_metrics_close(r->metrics);
    rn_events_close(r->events);
    *r = (rn_record){0};
}

/* The options of training: their defaults and their ranges. */
#include "train/train.h"

#include <math.h>

rn_train_options rn_train_defaults(void)
{
    return (rn_train_options){
        .steps = 1000,
        .batch = 8,
        .seq = 256,
        .accum = 1,
        .lr = 6e-4,
        .min_lr = 6e-5,
        .warmup = 100,
        .schedule = RN_SCHEDULE_LINEAR,
        .decay = 0.2,
        .beta1 = 0.9,
        .beta2 = 0.98,
        .epsilon = 1e-8,
        .weight_decay = 0.05,
        .clip = 1.0,
        .dropout = -1.0,
        .form = RN_FORM_CHUNKWISE,
        .chunk = 0,
        .row_norm = RN_ROW_NORM_AUTO,
        .recompute = false,
        .seed = 1,
    };
}

/* What can be counted in JSON and in file names; far above what can be run. */
static const uint64_t most_steps = (uint64_t)1 << 53;

static rn_status check_counts(const rn_train_options *o, rn_error *err)
{
    if (o->batch == 0) return rn_fail(err, RN_EINVAL, "batch: 0 rows, at least 1 wanted");
    if (o->seq == 0) return rn_fail(err, RN_EINVAL, "seq: 0 tokens, at least 1 wanted");
    if (o->accum == 0)
        return rn_fail(err, RN_EINVAL, "accum: 0 micro-batches, at least 1 wanted");
    if (o->steps > most_steps || o->warmup > most_steps)
        return rn_fail(err, RN_EINVAL,
                       "steps, warmup: %llu and %llu, at most 2^53 wanted",
                       (unsigned long long)o->steps, (unsigned long long)o->warmup);
    if ((unsigned)o->schedule > RN_SCHEDULE_WSD)
        return rn_fail(err, RN_EINVAL, "schedule: %d is unknown", (int)o->schedule);
    if (o->form != RN_FORM_CHUNKWISE && o->form != RN_FORM_PARALLEL)
        return rn_fail(err, RN_EINVAL, "form: training needs chunkwise or parallel");
    return RN_OK;
}

/* The optimizer computes in float32, where a mean of weight 1 - beta = 0 stays 0. */
static rn_status check_beta(const char *name, double beta, rn_error *err)
{
    if ((float)beta < 1) return RN_OK;
    return rn_fail(err, RN_EINVAL, "%s: %.12g rounds to 1 in float32", name, beta);
}

rn_status rn_train_check(const rn_train_options *o, rn_error *err)
{
    const struct {
        const char *name;
        double value, low, below; /* low <= value < below */
    } ranges[] = {
        {"lr", o->lr, 0, 1e6},
        {"min_lr", o->min_lr, 0, 1e6},
        {"beta1", o->beta1, 0, 1},
        {"beta2", o->beta2, 0, 1},
        {"epsilon", o->epsilon, 1e-30, 1},
        {"weight_decay", o->weight_decay, 0, 1e6},
        {"clip", o->clip, 0, 1e30},
        {"dropout", o->dropout, -INFINITY, 1},
        {"decay", o->schedule == RN_SCHEDULE_WSD ? o->decay : 1, 1e-6, 1 + 1e-9},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (!(ranges[i].value >= ranges[i].low && ranges[i].value < ranges[i].below))
            return rn_fail(err, RN_EINVAL, "%s: %g is not in [%g, %g)", ranges[i].name,
                           ranges[i].value, ranges[i].low, ranges[i].below);
    if (o->min_lr > o->lr)
        return rn_fail(err, RN_EINVAL, "min_lr: %g is above lr %g", o->min_lr, o->lr);
    rn_status st = check_beta("beta1", o->beta1, err);
    if (!st) st = check_beta("beta2", o->beta2, err);
    return st ? st : check_counts(o, err);
}

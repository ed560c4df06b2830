/* The learning rate: warm-up, then a line, half a cosine, nothing, or (WSD) nothing and a
   line at the end, down to min_lr. */
#include "train/train.h"

#include <math.h>

/* With a time limit, warm-up ends after this part of it at the latest, so that a slow
   machine leaves it too. */
static const double warm_time = 0.1;

static double warm_factor(const rn_train_options *o, uint64_t step, double time)
{
    if (step >= o->warmup) return 1.0;
    return fmin(1.0, fmax((double)step / (double)o->warmup, time / warm_time));
}

/* From 0 at the end of the warm-up to 1 at the last step. */
static double progress(const rn_train_options *o, uint64_t step, double time)
{
    double done = 0.0;
    if (o->steps > o->warmup && step > o->warmup)
        done = (double)(step - o->warmup) / (double)(o->steps - o->warmup);
    return fmin(1.0, fmax(done, time));
}

/* WSD: 1 until the last part `decay` of the whole run, then a line to 0. Unlike the
   others it counts from the very beginning, so that the same step of a longer run has
   the same rate as long as neither decays. */
static double stable_left(const rn_train_options *o, uint64_t step, double time)
{
    double done = o->steps ? (double)step / (double)o->steps : 0.0;
    done = fmin(1.0, fmax(done, time));
    return fmin(1.0, (1.0 - done) / o->decay);
}

double rn_schedule_lr(const rn_train_options *o, uint64_t step, double time)
{
    double done = progress(o, step, time);
    double left = 1.0;
    switch (o->schedule) {
    case RN_SCHEDULE_LINEAR: left = 1.0 - done; break;
    case RN_SCHEDULE_COSINE: left = 0.5 * (1.0 + cos(3.141592653589793 * done)); break;
    case RN_SCHEDULE_CONSTANT: break;
    case RN_SCHEDULE_WSD: left = stable_left(o, step, time); break;
    }
    return warm_factor(o, step, time) * (o->min_lr + (o->lr - o->min_lr) * left);
}

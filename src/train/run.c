/*
 * The loop around the steps: rows, step, evaluation, metrics, checkpoint, progress. Rows
 * follow from the step number; the only thing that depends on the clock is the schedule
 * of a run with a time limit, whose used time is kept in the checkpoint.
 */
#include "core/arena.h"
#include "core/clock.h"
#include "core/units.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Weight of a new value in the exponential means, once there are enough of them. */
static const double mean_weight = 0.02;

/* So many skipped steps in a row end a run: nothing comes of it any more. */
static const uint64_t most_skipped = 100;

typedef struct loop {
    const rn_train_run_options *o;
    rn_trainer *t;
    rn_mixture data;
    rn_validator *validator; /* NULL: no validation text */
    rn_samples *samples;     /* NULL: none wanted */
    rn_record record;
    rn_run_identity id;
    int32_t *ids;    /* [accum][batch][seq + 1] */
    uint8_t *starts; /* alike: where documents begin */
    size_t rows;     /* of a step */
    int lock;
    bool resumed;
    uint64_t saved_step; /* of the latest checkpoint, or UINT64_MAX */
    double begin;        /* clock at which the used time was zero */
    double step_seconds; /* exponential mean */
    uint64_t run_steps;  /* of this run */
    uint64_t skipped;    /* steps in a row, up to the last */
    double run_seconds;  /* spent in steps by this run */
    rn_train_progress p; /* what the last step reported */
} loop;

/* ---- set-up ---- */

static rn_status check_options(const rn_train_run_options *o, rn_error *err)
{
    if (!o->out || !*o->out) return rn_fail(err, RN_EINVAL, "out: no folder given");
    if (!o->data && !o->source_count)
        return rn_fail(err, RN_EINVAL, "data: no training tokens given");
    if (o->data && o->source_count)
        return rn_fail(err, RN_EINVAL, "data: both data and sources given");
    if (!(o->max_minutes >= 0 && o->max_minutes < 1e9))
        return rn_fail(err, RN_EINVAL, "max_minutes: %g is not in [0, 1e9)",
                       o->max_minutes);
    if (o->train.steps == 0 && o->max_minutes == 0)
        return rn_fail(err, RN_EINVAL, "steps: 0 needs a time limit (max_minutes)");
    return RN_OK;
}

static rn_status alloc_ids(loop *r, rn_error *err)
{
    const rn_train_options *t = &r->t->options;
    size_t count, bytes;
    if (!rn_mul_size(&r->rows, t->accum, t->batch) ||
        !rn_mul_size(&count, r->rows, t->seq + 1) ||
        !rn_mul_size(&bytes, count, sizeof *r->ids + sizeof *r->starts))
        return rn_fail(err, RN_ENOMEM,
                       "the size of a step's rows does not fit in memory");
    void *block;
    rn_status st = rn_block_alloc(&block, bytes, "a step's rows", err);
    if (st) return st;
    r->ids = block;
    r->starts = (uint8_t *)(r->ids + count);
    return RN_OK;
}

static rn_status open_data(loop *r, rn_error *err)
{
    const rn_train_run_options *o = r->o;
    size_t vocab = r->t->model->config.vocab_size;
    rn_train_source whole = {.tokens = o->data, .weight = 1};
    rn_status st = rn_mixture_open(&r->data, o->data ? &whole : o->sources,
                                   o->data ? 1 : o->source_count, vocab, o->train.seq,
                                   o->train.seed, err);
    if (!st && o->val) {
        st = rn_tokens_check(o->val, vocab, err);
        size_t window = o->val_window ? o->val_window : o->train.seq;
        if (!st) st = rn_validator_create(&r->validator, r->t, o->val, window, err);
    }
    if (!st) st = alloc_ids(r, err);
    if (!st && o->samples.every)
        st = rn_samples_create(&r->samples, r->t->model, &o->samples, o->train.seed, err);
    return st;
}

/* Continues from the checkpoint that is there. */
static rn_status resume(loop *r, rn_error *err)
{
    const rn_train_run_options *o = r->o;
    rn_status st = rn_checkpoint_load(&r->id, r->t, o->train.chunk != 0, o->out, err);
    if (!st) r->saved_step = r->t->state.step;
    return st;
}

/* A loss over other tokens is no measure for the losses to come. A checkpoint that does
   not say what it validated by is taken at its word. */
static void compare_validation(loop *r)
{
    rn_train_state *s = &r->t->state;
    if (!r->validator) return;
    const rn_tokens_id *is = rn_validator_tokens(r->validator), *was = &s->validated;
    bool same = was->count == is->count && was->hash == is->hash &&
                was->documents == is->documents;
    if (was->count && !same) {
        s->best_val_loss = s->first_val_bits = NAN;
        s->best_step = 0;
        r->p.val_changed = true;
    }
    s->validated = *is;
}

/* What the folder, which is this run's now, needs before the first step. */
static rn_status prepare_folder(loop *r, rn_error *err)
{
    const rn_train_run_options *o = r->o;
    const rn_train_state *s = &r->t->state;
    rn_status st = RN_OK;
    if (!r->resumed && o->companions) st = rn_side_files_copy(o->companions, o->out, err);
    if (!st) st = rn_best_place(o->out, s->best_step, err);
    if (!st) st = rn_folder_clean(o->out, &(rn_keep){o->keep, s->best_step}, err);
    if (st) return st;
    return rn_record_open(&r->record, o->out, !r->resumed, s->step, o->events, err);
}

/* The out folder: taken, and either resumed from or made ready for a new run. */
static rn_status open_folder(loop *r, rn_error *err)
{
    const rn_train_run_options *o = r->o;
    rn_status st = rn_folder_lock(o->out, &r->lock, err);
    if (!st) st = rn_folder_check(o->out, o->resume, err);
    if (!st && o->val) st = rn_best_check(o->out, err);
    if (st) return st;
    r->id = (rn_run_identity){
        .trainer = r->t,
        .max_minutes = o->max_minutes,
        .data = &r->data,
    };
    r->resumed = rn_train_resumable(o->out);
    if (r->resumed) st = resume(r, err);
    if (!st) compare_validation(r);
    if (!st && o->accepted) st = o->accepted(o->user, err);
    return st ? st : prepare_folder(r, err);
}

static void close_loop(loop *r)
{
    rn_record_close(&r->record);
    rn_samples_free(r->samples);
    rn_validator_free(r->validator);
    rn_mixture_close(&r->data);
    rn_block_free(r->ids);
    rn_trainer_free(r->t);
    rn_folder_unlock(r->lock);
}

/* ---- time ---- */

static double used_seconds(const loop *r)
{
    return rn_seconds() - r->begin;
}

static double limit_seconds(const loop *r)
{
    return 60.0 * r->o->max_minutes;
}

static bool finished(const loop *r)
{
    uint64_t steps = r->t->options.steps;
    if (steps && r->t->state.step >= steps) return true;
    return r->o->max_minutes > 0 && used_seconds(r) >= limit_seconds(r);
}

static double time_left(const loop *r)
{
    const rn_train_options *o = &r->t->options;
    double left = INFINITY;
    if (o->steps) left = r->step_seconds * (double)(o->steps - r->t->state.step);
    if (r->o->max_minutes > 0) left = fmin(left, limit_seconds(r) - used_seconds(r));
    return fmax(left, 0.0);
}

/* ---- one step ---- */

static uint64_t tokens_done(const loop *r)
{
    return r->t->state.step * r->rows * r->t->options.seq;
}

/* A mean over all values while they are few, exponential afterwards. */
static double blend(double mean, double value, uint64_t count)
{
    return mean + fmax(mean_weight, 1.0 / (double)count) * (value - mean);
}

static rn_status take_step(loop *r, rn_step_result *result, rn_error *err)
{
    rn_train_state *s = &r->t->state;
    double from = rn_seconds();
    double time = r->o->max_minutes > 0 ? used_seconds(r) / limit_seconds(r) : 0.0;
    double lr = rn_schedule_lr(&r->t->options, s->step + 1, time);
    rn_status st =
        rn_mixture_rows(&r->data, s->step * r->rows, r->rows, r->ids, r->starts, err);
    if (!st) st = rn_trainer_step_at(r->t, r->ids, r->starts, lr, result, err);
    if (st) return st;
    if (!result->skipped)
        s->smooth_loss = blend(s->smooth_loss, result->loss, s->applied);

    double seconds = rn_seconds() - from;
    r->run_seconds += seconds;
    r->step_seconds = blend(r->step_seconds, seconds, ++r->run_steps);
    r->p.loss = result->loss;
    r->p.lr = lr;
    r->p.grad_norm = result->grad_norm;
    r->skipped = result->skipped ? r->skipped + 1 : 0;
    return RN_OK;
}

/* Evaluates; `count`: the figure belongs to the run's record. */
static rn_status evaluate(loop *r, bool count, rn_error *err)
{
    rn_train_state *s = &r->t->state;
    double loss;
    rn_status st = rn_validator_loss(r->validator, &loss, err);
    if (st) return st;
    r->p.evaluated = true;
    r->p.val_loss = loss;
    r->p.val_bits_per_byte = rn_bits_per_byte(loss, rn_tokens_count(r->o->val),
                                              rn_tokens_text_bytes(r->o->val));
    if (!count) return RN_OK;
    if (s->step && isfinite(loss) && !(s->best_val_loss <= loss)) {
        s->best_val_loss = loss;
        s->best_step = s->step;
    }
    rn_record_evaluation(&r->record, s->step, loss, r->p.val_bits_per_byte);
    return rn_record_flush(&r->record, false, err);
}

static rn_status take_sample(loop *r, rn_error *err)
{
    uint64_t step = r->t->state.step;
    rn_status st = rn_samples_take(r->samples, step, &r->p.sample, err);
    if (!st) rn_record_sample(&r->record, step, r->p.sample);
    return st;
}

static rn_status save(loop *r, rn_error *err)
{
    if (r->saved_step == r->t->state.step) return RN_OK;
    r->t->state.seconds = used_seconds(r);
    rn_status st = rn_checkpoint_save(&r->id, r->o->out, r->o->keep, &r->record, err);
    if (st) return st;
    r->saved_step = r->t->state.step;
    r->p.checkpoint = r->o->out;
    return RN_OK;
}

static void report(loop *r, bool *stop)
{
    const rn_train_state *s = &r->t->state;
    double per_step = (double)(r->rows * r->t->options.seq);
    r->p.step = s->step;
    r->p.steps = r->t->options.steps;
    r->p.tokens = tokens_done(r);
    r->p.smooth_loss = s->smooth_loss;
    r->p.skipped = s->skipped;
    r->p.tokens_per_second = r->step_seconds > 0 ? per_step / r->step_seconds : 0.0;
    r->p.seconds = used_seconds(r);
    r->p.eta = r->run_steps ? time_left(r) : -1.0;
    if (r->o->progress) r->o->progress(r->o->user, &r->p, stop);
    r->p.evaluated = r->p.val_changed = false;
    r->p.checkpoint = NULL;
    r->p.sample = NULL;
}

static bool due(uint64_t step, uint64_t every)
{
    return every && step % every == 0;
}

/* The steps are in the record. A checkpoint that was due among them has the weights from
   before them, since skipped steps change none. */
static rn_status fail_skipped(loop *r, rn_error *err)
{
    uint64_t step = r->t->state.step;
    rn_status st = rn_record_flush(&r->record, true, err);
    if (st) return st;
    return rn_fail(err, RN_EINVAL,
                   "training: no finite gradient in %llu steps in a row, %llu to %llu "
                   "(loss %g at the last): a lower lr or clip may help",
                   (unsigned long long)r->skipped,
                   (unsigned long long)(step - r->skipped + 1), (unsigned long long)step,
                   r->p.loss);
}

/* What is due after a step: evaluation, sample, checkpoint. */
static rn_status after_step(loop *r, uint64_t step, bool last, rn_error *err)
{
    const rn_train_run_options *o = r->o;
    rn_status st = RN_OK;
    if (r->validator && (last || due(step, o->eval_every))) st = evaluate(r, true, err);
    if (!st && r->samples && (last || due(step, o->samples.every)))
        st = take_sample(r, err);
    bool best = r->p.evaluated && r->t->state.best_step == step;
    if (!st && (last || best || due(step, o->save_every))) st = save(r, err);
    return st;
}

static rn_status one_step(loop *r, bool *last, bool *stop, rn_error *err)
{
    rn_step_result result;
    rn_status st = take_step(r, &result, err);
    if (st) return st;
    *last = finished(r);
    rn_record_step(&r->record, &result, tokens_done(r),
                   (double)(r->rows * r->t->options.seq) / r->step_seconds);
    if (r->skipped >= most_skipped) return fail_skipped(r, err);
    st = after_step(r, result.step, *last, err);
    if (!st) report(r, stop);
    return st;
}

/* ---- the whole ---- */

static rn_status start(loop *r, bool *stop, rn_error *err)
{
    r->p.val_loss = r->p.val_bits_per_byte = NAN;
    if (!r->validator) return RN_OK;
    rn_status st = evaluate(r, !r->resumed, err);
    if (!r->resumed) r->t->state.first_val_bits = r->p.val_bits_per_byte;
    if (!st) report(r, stop);
    return st;
}

static rn_status train(loop *r, rn_error *err)
{
    r->begin = rn_seconds() - r->t->state.seconds;
    bool stop = false, last = finished(r);
    rn_status st = start(r, &stop, err);
    while (!st && !stop && !last) st = one_step(r, &last, &stop, err);
    if (!st) st = save(r, err);
    if (!st) st = rn_record_flush(&r->record, true, err);
    if (!st && stop && !last)
        st = rn_fail(err, RN_EINTERRUPTED, "stopped at step %llu, saved in %s",
                     (unsigned long long)r->t->state.step, r->o->out);
    return st;
}

static void summarize(const loop *r, rn_train_result *out)
{
    const rn_train_state *s = &r->t->state;
    double tokens = (double)r->run_steps * (double)(r->rows * r->t->options.seq);
    *out = (rn_train_result){
        .steps = s->step,
        .tokens = tokens_done(r),
        .train_loss = s->applied ? s->smooth_loss : NAN,
        .val_loss = r->p.val_loss,
        .val_bits_per_byte = r->p.val_bits_per_byte,
        .best_val_loss = s->best_val_loss,
        .best_step = s->best_step,
        .first_val_bits_per_byte = s->first_val_bits,
        .tokens_per_second = r->run_seconds > 0 ? tokens / r->run_seconds : 0.0,
        .seconds = used_seconds(r),
        .skipped_steps = s->skipped,
    };
    snprintf(out->checkpoint, sizeof out->checkpoint, "%s", r->o->out);
}

rn_status rn_train_run(rn_model *model, const rn_train_run_options *options,
                       rn_train_result *result, rn_error *err)
{
    loop r = {.o = options, .lock = -1, .saved_step = UINT64_MAX};
    rn_status st = check_options(options, err);
    if (!st) st = rn_trainer_create(&r.t, model, &options->train, err);
    if (!st) st = open_data(&r, err);
    if (!st) st = open_folder(&r, err);
    if (!st) st = train(&r, err);
    if (!st || st == RN_EINTERRUPTED) summarize(&r, result);
    close_loop(&r);
    return st;
}

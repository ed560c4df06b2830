/*
 * The sampler. Every rule narrows a cut (the worst candidate still kept), so that no rule
 * depends on the order in which another left its candidates; the draw is the inverse of
 * the cumulative distribution over the kept ids in ascending order, with sums in double.
 * Nothing sorts the vocabulary: top-k and top-p find their cut by partial selection.
 */
#include "generate/sampler.h"

#include "core/rng.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

static rn_status check_range(const char *name, double value, double low, double high,
                             rn_error *err)
{
    if (value >= low && value <= high) return RN_OK;
    return rn_fail(err, RN_EINVAL, "%s: %g is outside %g to %g", name, value, low, high);
}

rn_status rn_sampling_check(const rn_sampling *how, rn_error *err)
{
    rn_status st = check_range("temperature", how->temperature, 0, 100, err);
    if (!st) st = check_range("top_k", how->top_k, 0, INT32_MAX, err);
    if (!st) st = check_range("top_p", how->top_p, 0, 1, err);
    if (!st) st = check_range("min_p", how->min_p, 0, 1, err);
    if (!st && how->repeat_penalty != 0)
        st = check_range("repeat_penalty", how->repeat_penalty, 0.01f, 100, err);
    return st;
}

static bool is_better(rn_candidate a, rn_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* The largest logit, lowest id among equals. */
static rn_status find_best(const float *logits, size_t vocab, rn_candidate *best,
                           rn_error *err)
{
    rn_candidate top = {-INFINITY, -1};
    for (size_t i = 0; i < vocab; i++) {
        if (!(logits[i] <= FLT_MAX))
            return rn_fail(err, RN_EINVAL, "logits: number %zu is %g", i,
                           (double)logits[i]);
        if (logits[i] > top.logit) top = (rn_candidate){logits[i], (int32_t)i};
    }
    if (top.id < 0) return rn_fail(err, RN_EINVAL, "logits: all %zu are -inf", vocab);
    *best = top;
    return RN_OK;
}

static bool seen_before(const int32_t *ids, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id) return true;
    return false;
}

/* The logits with the penalty on recent tokens: in's own where there is none. */
static const float *penalise(const rn_sampling *how, const rn_sampler_input *in,
                             float *out)
{
    float penalty = how->repeat_penalty;
    if (penalty == 0 || penalty == 1 || in->recent_count == 0) return in->logits;
    for (size_t i = 0; i < in->vocab; i++) out[i] = in->logits[i];
    for (size_t i = 0; i < in->recent_count; i++) {
        int32_t id = in->recent[i];
        if (seen_before(in->recent, i, id)) continue;
        out[id] = out[id] > 0 ? out[id] / penalty : out[id] * penalty;
    }
    return out;
}

/* What a candidate counts towards a selection's target: 1 (top-k), or its probability
   relative to the best (top-p). */
typedef struct measure {
    bool by_mass;
    double best;
} measure;

static double weigh(const measure *m, rn_candidate c)
{
    return m->by_mass ? exp((double)c.logit - m->best) : 1.0;
}

static void swap(rn_candidate *a, rn_candidate *b)
{
    rn_candidate t = *a;
    *a = *b;
    *b = t;
}

/* Moves what is better than c[pivot] in front of it; its new index, and the weight of
   what stands up to and including it. */
static size_t split(rn_candidate *c, size_t count, size_t pivot, const measure *m,
                    double *weight)
{
    swap(&c[pivot], &c[count - 1]);
    rn_candidate p = c[count - 1];
    double sum = weigh(m, p);
    size_t better = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        if (!is_better(c[i], p)) continue;
        sum += weigh(m, c[i]);
        swap(&c[i], &c[better++]);
    }
    swap(&c[better], &c[count - 1]);
    *weight = sum;
    return better;
}

/* Puts the fewest best candidates that together weigh at least `target` in front and
   returns their number (at least 1); the last of them is the worst. Quickselect whose
   pivots are drawn by a fixed hash, so that no order of the vocabulary is a bad one. */
static size_t select_best(rn_candidate *c, size_t count, double target, const measure *m)
{
    size_t begin = 0, end = count; /* the cut lies in [begin, end) */
    uint64_t hash = count;
    while (end - begin > 1) {
        hash = hash * 6364136223846793005u + 1442695040888963407u;
        size_t pivot = (size_t)((hash >> 33) % (end - begin));
        double weight;
        size_t at = begin + split(c + begin, end - begin, pivot, m, &weight);
        if (weight >= target) {
            if (at == begin || weight - weigh(m, c[at]) < target) return at + 1;
            end = at;
        } else {
            target -= weight;
            begin = at + 1;
            if (begin == end) return end; /* rounding: all of them */
        }
    }
    return end;
}

static double total_weight(const rn_candidate *c, size_t count, const measure *m)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += weigh(m, c[i]);
    return sum;
}

/* The worst candidate that top-k, top-p and min-p keep. */
static rn_candidate find_cut(const rn_sampling *how, const float *logits, size_t vocab,
                             rn_candidate best, rn_candidate *c)
{
    rn_candidate cut = {-INFINITY, INT32_MAX};
    bool use_k = how->top_k > 0 && (size_t)how->top_k < vocab;
    bool use_p = how->top_p > 0 && how->top_p < 1;
    size_t count = vocab;
    if (use_k || use_p)
        for (size_t i = 0; i < vocab; i++) c[i] = (rn_candidate){logits[i], (int32_t)i};
    if (use_k) {
        count = select_best(c, count, how->top_k, &(measure){.by_mass = false});
        cut = c[count - 1];
    }
    if (use_p) {
        measure m = {.by_mass = true, .best = best.logit};
        count = select_best(c, count, how->top_p * total_weight(c, count, &m), &m);
        cut = c[count - 1];
    }
    if (how->min_p > 0) {
        double least = (double)best.logit + log(how->min_p);
        if ((double)cut.logit < least) {
            float floor = (float)least; /* the smallest float that is not below */
            if ((double)floor < least) floor = nextafterf(floor, INFINITY);
            cut = (rn_candidate){floor, INT32_MAX};
        }
    }
    return cut;
}

/* Inverse CDF at u in [0, 1) over the kept ids in ascending order. */
static int32_t draw(const float *logits, size_t vocab, rn_candidate best,
                    rn_candidate cut, double temperature, double u, double *weights)
{
    double total = 0;
    for (size_t i = 0; i < vocab; i++) {
        bool kept = !is_better(cut, (rn_candidate){logits[i], (int32_t)i});
        double below = (double)logits[i] - (double)best.logit;
        weights[i] = kept ? exp(below / temperature) : 0;
        total += weights[i];
    }
    double left = u * total;
    int32_t last = best.id;
    for (size_t i = 0; i < vocab; i++) {
        if (weights[i] == 0) continue;
        last = (int32_t)i;
        if (left < weights[i]) break;
        left -= weights[i];
    }
    return last;
}

rn_status rn_sampler_draw(const rn_sampling *how, const rn_sampler_input *in,
                          const rn_sampler_scratch *scratch, int32_t *id, rn_error *err)
{
    rn_status st = rn_sampling_check(how, err);
    if (st) return st;
    const float *logits = penalise(how, in, scratch->logits);
    rn_candidate best = {0};
    st = find_best(logits, in->vocab, &best, err);
    if (st) return st;
    if (how->temperature == 0) {
        *id = best.id;
        return RN_OK;
    }
    rn_candidate cut = find_cut(how, logits, in->vocab, best, scratch->candidates);
    double u = rn_uniform(how->seed, RN_STREAM_SAMPLE, in->position, how->choice);
    *id = draw(logits, in->vocab, best, cut, how->temperature, u, scratch->weights);
    return RN_OK;
}

double rn_log_sum_exp(const float *logits, size_t count)
{
    double best = -INFINITY;
    for (size_t i = 0; i < count; i++)
        if ((double)logits[i] > best) best = logits[i];
    if (best == -INFINITY) return best;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += exp((double)logits[i] - best);
    return best + log(sum);
}

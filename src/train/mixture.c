/*
 * Which source a training row is drawn from. Weights become whole shares of a period: the
 * shortest one that has them exactly, else one of LONGEST rows that has them rounded.
 * Place i of period p is place permutation_p(i) of an ordered period, in which the
 * sources' shares lie one behind the other.
 */
#include "core/rng.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

enum { LONGEST = 65536 }; /* rows of a period */

/* Seeds of a source's rows and of the order of sources; the first source has the run's
   own, so that a source alone is read as ever. */
static uint64_t seed_of(uint64_t seed, size_t source)
{
    return seed + (uint64_t)source * 0x9e3779b97f4a7c15u;
}

static rn_status check_weights(const rn_train_source *sources, size_t count, double *sum,
                               rn_error *err)
{
    *sum = 0;
    if (count > LONGEST)
        return rn_fail(err, RN_EINVAL, "data: %zu sources are more than %d", count,
                       LONGEST);
    for (size_t i = 0; i < count; i++) {
        double w = sources[i].weight;
        if (!(w > 0 && w <= 1e30))
            return rn_fail(err, RN_EINVAL,
                           "weights: %g of source %zu is not in (0, 1e30]", w, i + 1);
        *sum += w;
    }
    return RN_OK;
}

/* Whether all shares of a period of n rows are whole numbers. */
static bool is_exact(const rn_train_source *sources, size_t count, double sum, uint64_t n)
{
    for (size_t i = 0; i < count; i++) {
        double share = sources[i].weight / sum * (double)n, whole = round(share);
        if (whole < 1 || fabs(share - whole) > 1e-9 * (double)n) return false;
    }
    return true;
}

/* Cumulative sums are rounded, so that the shares add up; each has at least one row. */
static void set_shares(rn_mixture *m, const rn_train_source *sources, double sum)
{
    uint64_t n = m->count;
    while (n < LONGEST && !is_exact(sources, m->count, sum, n)) n++;
    double until = 0;
    uint64_t given = 0;
    m->period = 0;
    for (size_t i = 0; i < m->count; i++) {
        until += sources[i].weight / sum * (double)n;
        uint64_t end = (uint64_t)llround(until);
        m->sources[i].share = end > given ? end - given : 1;
        given = end > given ? end : given;
        m->period += m->sources[i].share;
    }
}

static rn_status open_source(rn_mixed *s, const rn_tokens *tokens, size_t vocab,
                             size_t seq, uint64_t seed, rn_error *err)
{
    rn_status st = rn_loader_init(&s->loader, tokens, seq, seed, err);
    if (!st) st = rn_tokens_check(tokens, vocab, err);
    if (!st) st = rn_tokens_hash(tokens, &s->hash, err);
    s->count = rn_tokens_count(tokens);
    s->documents = rn_tokens_documents(tokens);
    return st;
}

rn_status rn_mixture_open(rn_mixture *m, const rn_train_source *sources, size_t count,
                          size_t vocab, size_t seq, uint64_t seed, rn_error *err)
{
    double sum;
    rn_status st = check_weights(sources, count, &sum, err);
    if (st) return st;
    *m = (rn_mixture){.count = count, .seq = seq, .seed = seed_of(seed, SIZE_MAX)};
    m->sources = calloc(count, sizeof *m->sources);
    if (!m->sources) return rn_fail_memory(err, "sources", count * sizeof *m->sources);
    set_shares(m, sources, sum);
    for (size_t i = 0; !st && i < count; i++)
        if (count > 1 && rn_tokens_count(sources[i].tokens) <= seq)
            st = rn_fail(err, RN_EINVAL,
                         "data: source %zu has %llu tokens, too few for rows of %zu + 1",
                         i + 1, (unsigned long long)rn_tokens_count(sources[i].tokens),
                         seq);
    for (size_t i = 0; !st && i < count; i++)
        st = open_source(&m->sources[i], sources[i].tokens, vocab, seq, seed_of(seed, i),
                         err);
    if (st) rn_mixture_close(m);
    return st;
}

void rn_mixture_close(rn_mixture *m)
{
    free(m->sources);
    *m = (rn_mixture){0};
}

size_t rn_mixture_source(const rn_mixture *m, uint64_t row, uint64_t *its_row)
{
    uint64_t turn = row / m->period, place = row % m->period;
    size_t i = 0;
    if (m->count > 1) place = rn_permute(m->seed, RN_STREAM_DATA, turn, m->period, place);
    while (place >= m->sources[i].share) place -= m->sources[i++].share;
    *its_row = turn * m->sources[i].share + place;
    return i;
}

rn_status rn_mixture_rows(const rn_mixture *m, uint64_t row, size_t count, int32_t *ids,
                          uint8_t *starts, rn_error *err)
{
    rn_status st = RN_OK;
    for (size_t i = 0; !st && i < count; i++) {
        uint64_t its_row;
        size_t source = rn_mixture_source(m, row + i, &its_row);
        st = rn_loader_row(&m->sources[source].loader, its_row, ids + i * (m->seq + 1),
                           starts + i * (m->seq + 1), err);
    }
    return st;
}

/* JSON integers are signed: 64-bit patterns are written as text, and 0 as null. */
static json_t *hex(uint64_t value)
{
    return value ? json_sprintf("%016llx", (unsigned long long)value) : json_null();
}

static json_t *source_json(const rn_mixed *s)
{
    return json_pack("{s:I, s:I, s:o, s:o}", "share", (json_int_t)s->share, "count",
                     (json_int_t)s->count, "hash", hex(s->hash), "documents",
                     hex(s->documents));
}

json_t *rn_mixture_json(const rn_mixture *m)
{
    const rn_mixed *first = m->sources;
    json_t *sources = m->count > 1 ? json_array() : json_null();
    uint64_t count = 0;
    for (size_t i = 0; i < m->count; i++) count += m->sources[i].count;
    for (size_t i = 0; m->count > 1 && i < m->count; i++)
        if (json_array_append_new(sources, source_json(&m->sources[i]))) {
            json_decref(sources);
            return NULL;
        }
    bool alone = m->count == 1;
    json_t *hash =
        alone ? json_sprintf("%016llx", (unsigned long long)first->hash) : json_null();
    return json_pack("{s:I, s:o, s:o, s:o}", "count", (json_int_t)count, "hash", hash,
                     "documents", alone ? hex(first->documents) : json_null(), "sources",
                     sources);
}

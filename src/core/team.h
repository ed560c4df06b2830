/*
 * A team of threads that walk through the same code, each doing its share of every step
 * and waiting for the others in between without going to sleep: what a decoding step is
 * made of, whose hundred parts take microseconds each. The threads come from whoever
 * starts the team; every member calls with its rank, 0 .. size - 1.
 */
#ifndef RN_CORE_TEAM_H
#define RN_CORE_TEAM_H

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

typedef struct rn_team {
    int size;
    _Alignas(64) atomic_size_t taken; /* pieces of the present step */
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_uint round;
} rn_team;

typedef struct rn_range {
    size_t begin, end;
} rn_range;

/* The member's contiguous part of 0 .. n-1, cut at multiples of `unit`. */
static inline rn_range rn_team_share(const rn_team *t, int rank, size_t n, size_t unit)
{
    const size_t units = (n + unit - 1) / unit, size = (size_t)t->size, r = (size_t)rank;
    const size_t begin = units * r / size * unit, end = units * (r + 1) / size * unit;
    return (rn_range){begin < n ? begin : n, end < n ? end : n};
}

/*
 * The member's pieces of 0 .. n-1, for a step whose members may be disturbed:
 *
 *   for (rn_range r = rn_team_first(t, rank, n, unit); r.begin < r.end;
 *        r = rn_team_next(t, n, unit))
 *
 * First one of fixed place, the same as in every step before; then units of the rest,
 * each to whoever comes first. Between two waits all members go through the same n and
 * unit.
 */
static inline size_t rn_team_fixed(const rn_team *t, size_t n, size_t unit)
{
    const size_t units = (n + unit - 1) / unit;
    const size_t fixed = (t->size == 1 ? units : units - units / 8) * unit;
    return fixed < n ? fixed : n;
}

static inline rn_range rn_team_next(rn_team *t, size_t n, size_t unit)
{
    const size_t fixed = rn_team_fixed(t, n, unit);
    if (fixed == n) return (rn_range){n, n};
    const size_t piece = atomic_fetch_add_explicit(&t->taken, 1, memory_order_relaxed);
    const size_t begin = fixed + piece * unit, end = begin + unit;
    return (rn_range){begin < n ? begin : n, end < n ? end : n};
}

static inline rn_range rn_team_first(rn_team *t, int rank, size_t n, size_t unit)
{
    const rn_range r = rn_team_share(t, rank, rn_team_fixed(t, n, unit), unit);
    return r.begin < r.end ? r : rn_team_next(t, n, unit);
}

/* Asks memory for what a member reads after the wait that it is about to enter. A kernel
   asks ahead of itself, so the few lines that it starts with are enough (RN_TEAM_FIRST);
   one that has nothing to do until then can ask for more (RN_TEAM_IDLE). */
#define RN_TEAM_FIRST ((size_t)8192)
#define RN_TEAM_IDLE  ((size_t)262144)

static inline void rn_team_ask(const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)data + i, 0, 2);
}

/* Looks for the others this often before the processor is offered to somebody else, who
   may be one of them where there are more threads than processors. */
#define RN_TEAM_LOOKS 2000

static inline void rn_team_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Returns when all members have called it; what they wrote before is seen by all. */
static inline void rn_team_wait(rn_team *t)
{
    if (t->size == 1) return;
    const unsigned round = atomic_load_explicit(&t->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) + 1 == t->size) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&t->taken, 0, memory_order_relaxed);
        atomic_store_explicit(&t->round, round + 1, memory_order_release);
        return;
    }
    unsigned looks = 0;
    while (atomic_load_explicit(&t->round, memory_order_acquire) == round) {
        rn_team_pause();
        if (++looks >= RN_TEAM_LOOKS) sched_yield();
    }
}

#endif

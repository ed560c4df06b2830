/*
 * Training rows. Epoch e shifts the grid of windows by a random phase and visits its
 * windows in the order of a permutation. Every epoch has the same number of windows,
 * whatever its phase, so that a row's place follows from its number alone; fewer than 2
 * seq tokens at the two ends are left out of an epoch, others each time.
 */
#include "core/rng.h"
#include "train/train.h"

rn_status rn_loader_init(rn_loader *l, const rn_tokens *tokens, size_t seq, uint64_t seed,
                         rn_error *err)
{
    uint64_t count = rn_tokens_count(tokens);
    if (count <= seq)
        return rn_fail(err, RN_EINVAL,
                       "data: %llu tokens are too few for rows of %zu + 1 tokens",
                       (unsigned long long)count, seq);
    uint64_t windows = count / seq >= 2 ? count / seq - 1 : 1;
    uint64_t room = count - windows * seq;
    *l = (rn_loader){
        .tokens = tokens,
        .seed = seed,
        .seq = seq,
        .windows = windows,
        .phases = room < seq ? room : seq,
    };
    return RN_OK;
}

/* rn_permute draws under (round << 3 | 0..5); 7 is free. */
static uint64_t phase_of(const rn_loader *l, uint64_t epoch)
{
    uint32_t word[4];
    rn_philox(word, l->seed, RN_STREAM_DATA, epoch << 3 | 7, 0);
    return ((uint64_t)word[0] << 32 | word[1]) % l->phases;
}

uint64_t rn_loader_begin(const rn_loader *l, uint64_t row)
{
    uint64_t epoch = row / l->windows;
    uint64_t window =
        rn_permute(l->seed, RN_STREAM_DATA, epoch, l->windows, row % l->windows);
    return phase_of(l, epoch) + window * l->seq;
}

rn_status rn_loader_row(const rn_loader *l, uint64_t row, int32_t *ids, uint8_t *starts,
                        rn_error *err)
{
    return rn_tokens_read_documents(l->tokens, rn_loader_begin(l, row), l->seq + 1, ids,
                                    starts, err);
}

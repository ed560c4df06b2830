/* Many texts encoded at once: each thread takes the next text that nobody has. */
#include "retnet/tokenizer.h"

#include "core/error.h"

#include <stdlib.h>

rn_status rn_tokenizer_encode_batch(const rn_tokenizer *t, const char *const *texts,
                                    const size_t *lengths, size_t count, unsigned flags,
                                    int threads, int32_t **ids, size_t *counts,
                                    rn_error *err)
{
    rn_status failed = RN_OK;
    rn_error first = {RN_OK, ""};
    for (size_t i = 0; i < count; i++) ids[i] = NULL;
#pragma omp parallel for num_threads(threads > 0 ? threads : 1) schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++) {
        rn_error mine;
        rn_status st = rn_tokenizer_encode(t, texts[i], lengths[i], flags, &ids[i],
                                           &counts[i], &mine);
        if (!st) continue;
#pragma omp critical(rn_tokenizer_batch)
        {
            failed = st;
            first = mine;
        }
    }
    if (!failed) return RN_OK;
    for (size_t i = 0; i < count; i++) {
        free(ids[i]);
        ids[i] = NULL;
    }
    return rn_fail(err, failed, "%s", first.message);
}

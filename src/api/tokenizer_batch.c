/* Many texts encoded at once: each thread takes the next text that nobody has, and keeps
   what it encodes with from text to text. */
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

/* The first failure, by the order of the texts. */
typedef struct failure {
    size_t text;
    rn_status status;
    rn_error error;
} failure;

static void note_failure(failure *first, size_t text, rn_status st, const rn_error *error)
{
#pragma omp critical(rn_tokenizer_batch)
    if (!first->status || text < first->text)
        *first = (failure){.text = text, .status = st, .error = *error};
}

rn_status rn_tokenizer_encode_batch(const rn_tokenizer *t, const char *const *texts,
                                    const size_t *lengths, size_t count, unsigned flags,
                                    int threads, int32_t **ids, size_t *counts,
                                    rn_error *err)
{
    failure first = {.status = RN_OK};
    for (size_t i = 0; i < count; i++) ids[i] = NULL;
#pragma omp parallel num_threads(threads > 0 ? threads : 1)
    {
        void *work = NULL;
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++) {
            rn_error error = {RN_OK, ""};
            rn_status st = rn_tokenizer_encode_with(t, &work, texts[i], lengths[i], flags,
                                                    &ids[i], &counts[i], &error);
            if (st) note_failure(&first, i, st, &error);
        }
        if (t->kind->free_work) t->kind->free_work(work);
    }
    if (!first.status) return RN_OK;
    for (size_t i = 0; i < count; i++) {
        free(ids[i]);
        ids[i] = NULL;
    }
    return rn_fail(err, first.status, "%s", first.error.message);
}

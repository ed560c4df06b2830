/* Tokenizers for callers of the library: each call goes to the kind that was opened. Text
   from ids is in src/tokenizer/detokenizer.c. */
#include "tokenizer/tokenizer.h"

#include <omp.h>
#include <stdlib.h>

rn_status rn_tokenizer_open(rn_tokenizer **out, const char *name, rn_error *err)
{
    const rn_tokenizer_kind *kind = rn_tokenizer_find(name);
    if (kind) return kind->open(out, name, err);
    return rn_fail(err, RN_ENOTFOUND,
                   "%s: neither a tokenizer's name (byte) nor a file that exists", name);
}

void rn_tokenizer_free(rn_tokenizer *t)
{
    if (t) t->kind->free(t);
}

size_t rn_tokenizer_vocab(const rn_tokenizer *t)
{
    return t->kind->vocab(t);
}

int32_t rn_tokenizer_find_id(const rn_tokenizer *t, const char *content, size_t length)
{
    return t->kind->find(t, content, length);
}

int32_t rn_tokenizer_end_id(const rn_tokenizer *t)
{
    return t->end_id;
}

const char *rn_tokenizer_note(const rn_tokenizer *t, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (!t->notes[i]) return NULL;
    return t->notes[index];
}

static void free_work(const rn_tokenizer *t, void *work)
{
    if (t->kind->free_work) t->kind->free_work(work);
}

static rn_status encode(const rn_tokenizer *t, void **work, const void *text,
                        size_t length, unsigned flags, int32_t **ids, size_t *count,
                        rn_error *err)
{
    rn_id_list list = {.count = 0};
    rn_status st = t->kind->encode(t, work, text, length, flags, &list, err);
    if (!st) st = rn_id_list_reserve(&list, 1, err); /* never NULL */
    if (st) {
        rn_id_list_free(&list);
        return st;
    }
    int32_t *fitted = realloc(list.ids, (list.count ? list.count : 1) * sizeof *fitted);
    *ids = fitted ? fitted : list.ids;
    *count = list.count;
    return RN_OK;
}

rn_status rn_tokenizer_encode(const rn_tokenizer *t, const void *text, size_t length,
                              unsigned flags, int32_t **ids, size_t *count, rn_error *err)
{
    void *work = NULL;
    rn_status st = encode(t, &work, text, length, flags, ids, count, err);
    free_work(t, work);
    return st;
}

/* The first failure, by the order of the jobs. */
typedef struct failure {
    size_t job;
    rn_status status;
    rn_error error;
} failure;

static void do_job(const rn_tokenizer *t, void **work, rn_tokenizer_job *jobs, size_t i,
                   unsigned flags, failure *first)
{
    rn_error error;
    rn_tokenizer_job *job = &jobs[i];
    rn_status st =
        encode(t, work, job->text, job->length, flags, &job->ids, &job->count, &error);
    if (!st) return;
#pragma omp critical(rn_tokenizer_failure)
    if (!first->status || i < first->job)
        *first = (failure){.job = i, .status = st, .error = error};
}

rn_status rn_tokenizer_encode_many(const rn_tokenizer *t, rn_tokenizer_job *jobs,
                                   size_t count, unsigned flags, int threads,
                                   rn_error *err)
{
    failure first = {.status = RN_OK};
    for (size_t i = 0; i < count; i++) {
        jobs[i].ids = NULL;
        jobs[i].count = 0;
    }
    if (threads <= 0) threads = omp_get_max_threads();
#pragma omp parallel num_threads(threads)
    {
        void *work = NULL;
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < count; i++) do_job(t, &work, jobs, i, flags, &first);
        free_work(t, work);
    }
    if (!first.status) return RN_OK;
    for (size_t i = 0; i < count; i++) {
        free(jobs[i].ids);
        jobs[i].ids = NULL;
        jobs[i].count = 0;
    }
    if (err) *err = first.error;
    return first.status;
}

/* The kinds of tokenizers, and what they have in common. */
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

static const rn_tokenizer_kind *const kinds[] = {&rn_tokenizer_byte, &rn_tokenizer_file};

const rn_tokenizer_kind *rn_tokenizer_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->detect(name)) return kinds[i];
    return NULL;
}

rn_status rn_tokenizer_encode_with(const rn_tokenizer *t, void **work, const void *text,
                                   size_t length, unsigned flags, int32_t **ids,
                                   size_t *count, rn_error *err)
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

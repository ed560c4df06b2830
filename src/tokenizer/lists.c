/* Growing lists of bytes and of ids; see lists.h. */
#include "tokenizer/lists.h"

#include "core/arena.h"

#include <stdlib.h>

rn_status rn_list_grow(void **data, size_t *room, size_t need, size_t size,
                       const char *what, rn_error *err)
{
    if (need <= *room) return RN_OK;
    size_t count = *room < 32 ? 64 : *room, bytes;
    if (count < need && !rn_mul_size(&count, count, 2)) count = need;
    if (count < need) count = need;
    if (!rn_mul_size(&bytes, count, size)) return rn_fail_memory(err, what, SIZE_MAX);
    void *grown = realloc(*data, bytes);
    if (!grown) return rn_fail_memory(err, what, bytes);
    *data = grown;
    *room = count;
    return RN_OK;
}

rn_status rn_bytes_reserve(rn_bytes *b, size_t more, rn_error *err)
{
    size_t need;
    void *data = b->data;
    if (!rn_add_size(&need, b->used, more)) return rn_fail_memory(err, "text", more);
    rn_status st = rn_list_grow(&data, &b->room, need, 1, "text", err);
    b->data = data;
    return st;
}

void rn_bytes_free(rn_bytes *b)
{
    free(b->data);
    *b = (rn_bytes){0};
}

rn_status rn_id_list_reserve(rn_id_list *l, size_t more, rn_error *err)
{
    size_t need;
    void *data = l->ids;
    if (!rn_add_size(&need, l->count, more))
        return rn_fail_memory(err, "token ids", more);
    rn_status st = rn_list_grow(&data, &l->room, need, sizeof *l->ids, "token ids", err);
    l->ids = data;
    return st;
}

void rn_id_list_free(rn_id_list *l)
{
    free(l->ids);
    *l = (rn_id_list){0};
}

/* Parameters put together to the tensors that a checkpoint stores; see stored.h. */
#include "stored.h"

#include <string.h>

size_t cli_stored_tensor(const rn_model *model, size_t first, rn_model_tensor *out)
{
    const size_t count = rn_model_tensor_count(model);
    rn_model_tensor t = rn_model_tensor_at(model, first);
    size_t end = first + 1;
    t.name = rn_model_tensor_original_name(model, first);
    t.data = NULL;
    for (; end < count; end++) {
        if (strcmp(rn_model_tensor_original_name(model, end), t.name) != 0) break;
        t.shape[0] += rn_model_tensor_at(model, end).shape[0];
    }
    *out = t;
    return end;
}

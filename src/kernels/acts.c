/* Where the activations of packed products lie: one list measures and places them. What
   fills them are the kernels acts_bf16 and acts_q8. */
#include "core/arena.h"
#include "kernels/panels.h"

rn_acts_type rn_acts_of(rn_weight_type type, bool bf16)
{
    if (type == RN_WEIGHT_BF16 && bf16) return RN_ACTS_BF16;
    return type >= RN_WEIGHT_Q8_0 ? RN_ACTS_Q8 : RN_ACTS_F32;
}

/* Bytes between rows: whole cache lines, and an odd number of them, so that rows do not
   all fall into the same sets of a cache. False: overflow. */
static bool row_bytes(rn_acts_type type, size_t k, size_t *bytes)
{
    size_t n;
    if (!rn_mul_size(&n, k, type == RN_ACTS_BF16 ? sizeof(uint16_t) : 1)) return false;
    return rn_mul_size(bytes, (n / RN_ALIGN + (n % RN_ALIGN != 0)) | 1, RN_ALIGN);
}

/* With base NULL only measures. */
static rn_acts place(rn_carver *c, rn_acts_type type, size_t rows, size_t k)
{
    rn_acts a = {.type = type, .rows = rows, .k = k};
    size_t bytes, blocks;
    if (type == RN_ACTS_F32) return a;
    if (!row_bytes(type, k, &bytes) || !rn_mul_size(&blocks, rows, k / RN_PANEL_BLOCK)) {
        c->overflow = true;
        return a;
    }
    a.ld = type == RN_ACTS_BF16 ? bytes / sizeof(uint16_t) : bytes;
    a.data = rn_carve(c, rows, bytes);
    if (type == RN_ACTS_Q8) {
        a.scale = rn_carve(c, blocks, sizeof *a.scale);
        a.sum = rn_carve(c, blocks, sizeof *a.sum);
    }
    return a;
}

size_t rn_acts_bytes(rn_acts_type type, size_t rows, size_t k)
{
    rn_carver measure = {0};
    size_t bytes;
    place(&measure, type, rows, k);
    return rn_carve_total(&measure, "activations", &bytes, NULL) ? SIZE_MAX : bytes;
}

rn_acts rn_acts_place(rn_acts_type type, size_t rows, size_t k, void *buffer)
{
    rn_carver carver = {.base = buffer};
    return place(&carver, type, rows, k);
}

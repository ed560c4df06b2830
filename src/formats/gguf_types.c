/* The types of tensors that GGUF files have: all are known by name and size, so that any
   file can be listed; some of them the library can read. */
#include "formats/gguf.h"

#define NONE RN_DTYPE_BOOL /* which the format lacks */

static const rn_gguf_kind kinds[] = {
    {0, "F32", 1, 4, RN_DTYPE_F32},
    {1, "F16", 1, 2, RN_DTYPE_F16},
    {2, "Q4_0", 32, 18, RN_DTYPE_Q4_0},
    {3, "Q4_1", 32, 20, NONE},
    {6, "Q5_0", 32, 22, NONE},
    {7, "Q5_1", 32, 24, NONE},
    {8, "Q8_0", 32, 34, RN_DTYPE_Q8_0},
    {9, "Q8_1", 32, 36, NONE},
    {10, "Q2_K", 256, 84, NONE},
    {11, "Q3_K", 256, 110, NONE},
    {12, "Q4_K", 256, 144, RN_DTYPE_Q4_K},
    {13, "Q5_K", 256, 176, NONE},
    {14, "Q6_K", 256, 210, RN_DTYPE_Q6_K},
    {15, "Q8_K", 256, 292, NONE},
    {16, "IQ2_XXS", 256, 66, NONE},
    {17, "IQ2_XS", 256, 74, NONE},
    {18, "IQ3_XXS", 256, 98, NONE},
    {19, "IQ1_S", 256, 50, NONE},
    {20, "IQ4_NL", 32, 18, NONE},
    {21, "IQ3_S", 256, 110, NONE},
    {22, "IQ2_S", 256, 82, NONE},
    {23, "IQ4_XS", 256, 136, NONE},
    {24, "I8", 1, 1, RN_DTYPE_I8},
    {25, "I16", 1, 2, RN_DTYPE_I16},
    {26, "I32", 1, 4, RN_DTYPE_I32},
    {27, "I64", 1, 8, RN_DTYPE_I64},
    {28, "F64", 1, 8, RN_DTYPE_F64},
    {29, "IQ1_M", 256, 56, NONE},
    {30, "BF16", 1, 2, RN_DTYPE_BF16},
    {34, "TQ1_0", 256, 54, NONE},
    {35, "TQ2_0", 256, 66, NONE},
    {39, "MXFP4", 32, 17, NONE},
    {40, "NVFP4", 64, 36, NONE},
    {41, "Q1_0", 128, 18, NONE},
    {42, "Q2_0", 64, 18, NONE},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

const rn_gguf_kind *rn_gguf_kind_find(uint32_t type)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].type == type) return &kinds[i];
    return NULL;
}

bool rn_gguf_kind_is_read(const rn_gguf_kind *kind)
{
    return kind->dtype != NONE;
}

const rn_gguf_kind *rn_gguf_kind_of(rn_dtype dtype)
{
    for (size_t i = 0; i < KINDS && dtype != NONE; i++)
        if (kinds[i].dtype == dtype) return &kinds[i];
    return NULL;
}

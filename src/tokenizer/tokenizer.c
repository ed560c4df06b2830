/* The kinds of tokenizers. */
#include "tokenizer/tokenizer.h"

static const rn_tokenizer_kind *const kinds[] = {&rn_tokenizer_byte, &rn_tokenizer_file};

const rn_tokenizer_kind *rn_tokenizer_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->detect(name)) return kinds[i];
    return NULL;
}

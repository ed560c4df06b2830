/* Megatron's index from whatever bytes. The first eight say how long the file of tokens
   claims to be; what is accepted agrees with that, and its documents rise from 0. */
#include "fuzz.h"

#include "formats/megatron.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rn_error err;
    rn_megatron m;
    uint64_t bin_size;
    if (size < sizeof bin_size) return 0;
    memcpy(&bin_size, data, sizeof bin_size);
    if (rn_megatron_parse(&m, data + sizeof bin_size, size - sizeof bin_size, bin_size,
                          "a.idx", &err))
        return 0;
    if (m.tokens == 0 || m.tokens > bin_size || m.tokens * m.width != bin_size) abort();
    for (size_t i = 0; i < m.start_count; i++) {
        if (m.starts[i] >= m.tokens) abort();
        if (i == 0 ? m.starts[i] != 0 : m.starts[i] <= m.starts[i - 1]) abort();
    }
    free(m.starts);
    return 0;
}

/* Reading memory without an instruction set that has to be asked for: independent sums of
   vectors of four floats, which every 64-bit processor has. */
#include "cpu/cpu.h"

#include <string.h>

typedef float four __attribute__((vector_size(16)));

static four load(const float *p)
{
    four v;
    memcpy(&v, p, sizeof v);
    return v;
}

float rn_read_ref(const float *data, size_t count)
{
    four a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + 16 <= count; i += 16) {
        a += load(data + i);
        b += load(data + i + 4);
        c += load(data + i + 8);
        d += load(data + i + 12);
    }
    const four sum = a + b + c + d;
    return sum[0] + sum[1] + sum[2] + sum[3];
}

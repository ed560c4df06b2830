/* Conversions of results. */
#include "core/units.h"

#include <math.h>

double rn_bits_per_byte(double loss, uint64_t tokens, uint64_t bytes)
{
    if (!bytes) return (double)NAN;
    return loss / log(2.0) * ((double)tokens / (double)bytes);
}

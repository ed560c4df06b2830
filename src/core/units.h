/* Units of results that more than one room reports. */
#ifndef RN_CORE_UNITS_H
#define RN_CORE_UNITS_H

#include <stdint.h>

/* Bits per byte of a text of `tokens` tokens and `bytes` bytes from the mean loss in nats
   per token: exactly loss / ln 2 where a token is a byte. NaN when the bytes are unknown
   (0). */
double rn_bits_per_byte(double loss, uint64_t tokens, uint64_t bytes);

#endif

/* Reading a config's keys: each value is checked for type and range as it is read. The
   first failure is kept, later reads return their fallback, and the caller looks once at
   the end: the error names the file and the key. A key that is null counts as absent. */
#ifndef RN_FORMATS_KEYS_H
#define RN_FORMATS_KEYS_H

#include "core/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct rn_keys {
    const json_t *object;
    const char *path;
    rn_error *err;
    rn_status status;
} rn_keys;

bool rn_keys_has(const rn_keys *k, const char *key);

/* A required whole number in 1..high (high below 2^31); 1 after a failure. */
uint32_t rn_keys_size(rn_keys *k, const char *key, uint32_t high);
/* A number in [low, high]. */
double rn_keys_real(rn_keys *k, const char *key, double fallback, double low,
                    double high);
bool rn_keys_bool(rn_keys *k, const char *key, bool fallback);
/* Owned by the config. */
const char *rn_keys_text(rn_keys *k, const char *key, const char *fallback);

#endif

/* Checked reading of config keys. */
#include "formats/keys.h"

#include <math.h>

static const json_t *value_of(const rn_keys *k, const char *key)
{
    const json_t *value = json_object_get(k->object, key);
    return json_is_null(value) ? NULL : value;
}

bool rn_keys_has(const rn_keys *k, const char *key)
{
    return value_of(k, key) != NULL;
}

static void fail_type(rn_keys *k, const char *key, const char *expected)
{
    if (!k->status)
        k->status =
            rn_fail(k->err, RN_EFORMAT, "%s: %s is not %s", k->path, key, expected);
}

uint32_t rn_keys_size(rn_keys *k, const char *key, uint32_t high)
{
    const json_t *value = value_of(k, key);
    if (k->status) return 1;
    if (!value) {
        k->status = rn_fail(k->err, RN_EFORMAT, "%s: %s is missing", k->path, key);
        return 1;
    }
    if (!json_is_integer(value)) {
        fail_type(k, key, "a whole number");
        return 1;
    }
    json_int_t number = json_integer_value(value);
    if (number >= 1 && number <= high) return (uint32_t)number;
    k->status = rn_fail(k->err, RN_EFORMAT, "%s: %s is %lld, outside 1..%lu", k->path,
                        key, (long long)number, (unsigned long)high);
    return 1;
}

double rn_keys_real(rn_keys *k, const char *key, double fallback, double low, double high)
{
    const json_t *value = value_of(k, key);
    if (k->status || !value) return fallback;
    if (!json_is_number(value)) {
        fail_type(k, key, "a number");
        return fallback;
    }
    double number = json_number_value(value);
    if (isfinite(number) && number >= low && number <= high) return number;
    k->status = rn_fail(k->err, RN_EFORMAT, "%s: %s is %g, outside %g..%g", k->path, key,
                        number, low, high);
    return fallback;
}

bool rn_keys_bool(rn_keys *k, const char *key, bool fallback)
{
    const json_t *value = value_of(k, key);
    if (k->status || !value) return fallback;
    if (json_is_boolean(value)) return json_is_true(value);
    fail_type(k, key, "true or false");
    return fallback;
}

const char *rn_keys_text(rn_keys *k, const char *key, const char *fallback)
{
    const json_t *value = value_of(k, key);
    if (k->status || !value) return fallback;
    if (json_is_string(value)) return json_string_value(value);
    fail_type(k, key, "a string");
    return fallback;
}

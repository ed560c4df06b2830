/* Values of GGUF metadata: typed, little-endian, at any address. Strings and arrays carry
   their lengths, and arrays may hold arrays, a few levels deep. */
#ifndef RN_FORMATS_GGUF_VALUE_H
#define RN_FORMATS_GGUF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers that files use. */
typedef enum rn_gguf_type {
    RN_GGUF_U8 = 0,
    RN_GGUF_I8 = 1,
    RN_GGUF_U16 = 2,
    RN_GGUF_I16 = 3,
    RN_GGUF_U32 = 4,
    RN_GGUF_I32 = 5,
    RN_GGUF_F32 = 6,
    RN_GGUF_BOOL = 7,
    RN_GGUF_STRING = 8,
    RN_GGUF_ARRAY = 9,
    RN_GGUF_U64 = 10,
    RN_GGUF_I64 = 11,
    RN_GGUF_F64 = 12,
    RN_GGUF_TYPES = 13
} rn_gguf_type;

/* "uint32", "string"; static. */
const char *rn_gguf_type_name(rn_gguf_type type);

/* Bytes of a number or bool; 0 for strings and arrays. */
size_t rn_gguf_type_size(rn_gguf_type type);

/* A value as it lies in the file, which owns data. */
typedef struct rn_gguf_value {
    rn_gguf_type type, item; /* item: of an array */
    uint64_t count;          /* items of an array, bytes of a string, else 1 */
    const unsigned char *data;
    size_t bytes;
} rn_gguf_value;

/* Bytes that are read from the front. */
typedef struct rn_gguf_cursor {
    const unsigned char *data;
    size_t left;
} rn_gguf_cursor;

/* The next `count` bytes copied to `out`; false when so many are not there. */
bool rn_gguf_take(rn_gguf_cursor *c, void *out, size_t count);

/* The next value of this type, checked to its last byte. NULL, or what is wrong with it:
   "is cut off". */
const char *rn_gguf_read_value(rn_gguf_cursor *c, uint32_t type, rn_gguf_value *out);

/* A whole number of any width (no bool); false when it is none or does not fit. */
bool rn_gguf_int(const rn_gguf_value *v, int64_t *out);

/* Any number. */
bool rn_gguf_real(const rn_gguf_value *v, double *out);

bool rn_gguf_bool(const rn_gguf_value *v, bool *out);

/* A string's bytes; they need not be UTF-8 and are not ended by a 0. */
bool rn_gguf_text(const rn_gguf_value *v, const char **text, size_t *length);

/* The items of a checked array, one a call: *at begins at 0. False past the end. */
bool rn_gguf_next(const rn_gguf_value *array, size_t *at, rn_gguf_value *item);

/* The value for people, at most `size` - 1 bytes: of a long list its first items and
   their number, of a long string its beginning and its bytes. */
void rn_gguf_print(const rn_gguf_value *v, char *out, size_t size);

#endif

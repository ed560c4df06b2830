/* tokenizer.json: bytes up to the first zero byte are the file, the rest is a text that
   is encoded and decoded with it, all at once and id by id. */
#include "retnet/tokenizer.h"

#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(bool right)
{
    if (!right) abort();
}

static void decode(const rn_tokenizer *t, const int32_t *ids, size_t count)
{
    char *text;
    size_t length, at = 0, n;
    const char *part;
    rn_detokenizer *d;
    if (rn_tokenizer_decode(t, ids, count, true, &text, &length, NULL)) return;
    check(!rn_detokenizer_create(&d, t, true, NULL));
    for (size_t i = 0; i <= count; i++) {
        if (i < count) check(!rn_detokenizer_put(d, ids[i], &part, &n, NULL));
        else check(!rn_detokenizer_end(d, &part, &n, NULL));
        check(n <= length - at && !memcmp(text + at, part, n));
        at += n;
    }
    check(at == length);
    rn_detokenizer_free(d);
    free(text);
    if (rn_tokenizer_decode_bytes(t, ids, count, false, &text, &length, NULL)) return;
    free(text);
}

static void use(const rn_tokenizer *t, const uint8_t *text, size_t length)
{
    for (unsigned flags = 0; flags < 4; flags++) {
        int32_t *ids;
        size_t count;
        rn_error err;
        if (rn_tokenizer_encode(t, text, length, flags, &ids, &count, &err)) continue;
        for (size_t i = 0; i < count; i++)
            check(ids[i] >= 0 && (size_t)ids[i] < rn_tokenizer_vocab(t));
        decode(t, ids, count);
        free(ids);
    }
    int32_t some[64];
    for (int i = 0; i < 64; i++) some[i] = i - 2;
    decode(t, some, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    const size_t file = zero ? (size_t)(zero - data) : size;
    const char *path = fuzz_file("tokenizer.json", data, file);
    rn_tokenizer *t;
    rn_error err;
    if (rn_tokenizer_open(&t, path, &err)) return 0;
    use(t, zero ? zero + 1 : data, zero ? size - file - 1 : size);
    rn_tokenizer_free(t);
    return 0;
}

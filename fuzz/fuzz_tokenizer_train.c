/* Training on any bytes: words are counted, merged and spelled in both styles; nothing is
   written. The first byte chooses style, threads and special tokens, a zero byte ends a
   text. */
#include "fuzz.h"

#include "tokenizer/train_count.h"
#include "tokenizer/train_merge.h"

#include <stdlib.h>
#include <string.h>

typedef struct rest {
    const char *at;
    size_t left;
} rest;

static rn_status next_text(void *user, const char **text, size_t *length, rn_error *err)
{
    rest *r = user;
    (void)err;
    const char *end = r->left ? memchr(r->at, 0, r->left) : NULL;
    *text = r->left ? r->at : NULL;
    *length = end ? (size_t)(end - r->at) : r->left;
    size_t taken = *length + (end != NULL);
    r->at += taken;
    r->left -= taken;
    return RN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const special[] = {"<|endoftext|>", "ab"};
    if (!size) return 0;
    rn_tokenizer_training how = {.vocab = 400,
                                 .style = (rn_tokenizer_style)(data[0] & 1),
                                 .special = special,
                                 .special_count = (data[0] >> 1) % 3,
                                 .max_words = data[0] & 0x80 ? 8 : 0,
                                 .threads = 1};
    rest r = {(const char *)data + 1, size - 1};
    rn_texts *texts;
    rn_words words = {0};
    rn_train_model m = {0};
    rn_train_symbols s = {0};
    rn_tokenizer_trained report = {0};
    uint64_t tokens = 0;
    if (rn_texts_from(&texts, next_text, &r, NULL)) return 0;
    rn_status st = rn_train_count(&words, texts, &how, &report, NULL);
    if (!st) st = rn_train_alphabet(&m, &words, &how, NULL);
    if (!st) st = rn_train_symbols_make(&s, &m, &words, how.style, NULL);
    if (!st) st = rn_train_merge(&m, &s, &words, &how, &tokens, NULL);
    if (st || m.tokens.count > how.vocab) abort();
    rn_train_symbols_free(&s);
    rn_train_model_free(&m);
    rn_words_free(&words);
    rn_texts_close(texts);
    return 0;
}

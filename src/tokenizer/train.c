/* Training from texts to a tokenizer.json: count, merge, write. */
#include "core/file.h"
#include "tokenizer/train_count.h"
#include "tokenizer/train_merge.h"
#include "tokenizer/train_write.h"

static const char *const styles[] = {"byte-bpe", "sentencepiece"};

const char *rn_tokenizer_style_name(size_t index)
{
    return index < sizeof styles / sizeof *styles ? styles[index] : NULL;
}

static rn_status merge(rn_train_model *m, const rn_words *words,
                       const rn_tokenizer_training *how, uint64_t *tokens, rn_error *err)
{
    rn_train_symbols symbols = {0};
    rn_status st = rn_train_alphabet(m, words, how, err);
    if (!st) st = rn_train_symbols_make(&symbols, m, words, how->style, err);
    if (!st) st = rn_train_merge(m, &symbols, words, how, tokens, err);
    rn_train_symbols_free(&symbols);
    return st;
}

/* Whether the style, the vocabulary's size and the special tokens can be, before any text
   is read. */
static rn_status check(const rn_tokenizer_training *how, rn_error *err)
{
    rn_words none = {0};
    rn_train_model m = {0};
    if (!rn_tokenizer_style_name((size_t)how->style))
        return rn_fail(err, RN_EINVAL, "style %d: there is none", (int)how->style);
    rn_status st = rn_train_alphabet(&m, &none, how, err);
    rn_train_model_free(&m);
    return st;
}

rn_status rn_tokenizer_train(const char *out_path, rn_texts *texts,
                             const rn_tokenizer_training *how,
                             rn_tokenizer_trained *report, rn_error *err)
{
    rn_words words = {0};
    rn_train_model m = {0};
    rn_tokenizer_trained r = {0};
    rn_status st = check(how, err);
    if (!st) st = rn_train_count(&words, texts, how, &r, err);
    if (!st && !words.count)
        st = rn_fail(err, RN_EFORMAT, "%s: no text to train a tokenizer on", out_path);
    if (!st) st = merge(&m, &words, how, &r.tokens, err);
    if (!st) st = rn_train_write(out_path, &m, how, err);
    if (!st) {
        r.distinct_words = words.count;
        r.vocab = m.tokens.count;
        r.merges = m.rule_count;
        if (report) *report = r;
    }
    rn_words_free(&words);
    rn_train_model_free(&m);
    return st;
}

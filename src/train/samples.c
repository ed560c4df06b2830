/*
 * Texts from the weights as they are now, by a session of the run's own model. Draws are
 * a function of (seed, step, position), sessions keep their numbers apart from those of
 * training, so a run with samples has the same bits as one without.
 */
#include "retnet/session.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float sample_temperature = 0.8f;

struct rn_samples {
    rn_session *session;
    const rn_tokenizer *tokenizer;
    size_t vocab, prompt_count, tokens;
    int32_t *ids; /* [prompt_count + tokens], the prompt first */
    uint64_t seed;
    char *text; /* of the last sample */
};

/* What stands before a text that has no beginning yet. */
static rn_status encode_start(const rn_samples *s, int32_t **ids, size_t *count,
                              rn_error *err)
{
    int32_t end = rn_tokenizer_end_id(s->tokenizer);
    if (end < 0) return rn_tokenizer_encode(s->tokenizer, "\n", 1, 0, ids, count, err);
    int32_t *one = malloc(sizeof *one);
    if (!one) return rn_fail_memory(err, "a sample's prompt", sizeof *one);
    *one = end;
    *ids = one;
    *count = 1;
    return RN_OK;
}

static rn_status encode_prompt(const rn_samples *s, const char *prompt, int32_t **ids,
                               size_t *count, rn_error *err)
{
    if (!prompt || !*prompt) return encode_start(s, ids, count, err);
    rn_status st = rn_tokenizer_encode(s->tokenizer, prompt, strlen(prompt),
                                       RN_ENCODE_SPECIAL, ids, count, err);
    if (st) return st;
    /* A text that is to go on has no end yet. */
    if (*count > 1 && (*ids)[*count - 1] == rn_tokenizer_end_id(s->tokenizer)) --*count;
    return RN_OK;
}

static rn_status take_prompt(rn_samples *s, const char *prompt, rn_error *err)
{
    int32_t *ids = NULL;
    size_t count = 0;
    rn_status st = encode_prompt(s, prompt, &ids, &count, err);
    if (st) return st;
    for (size_t i = 0; i < count && !st; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= s->vocab)
            st = rn_fail(err, RN_EINVAL,
                         "samples: id %ld of the prompt is outside the model's "
                         "vocabulary of %zu",
                         (long)ids[i], s->vocab);
    if (!st && count == 0)
        st = rn_fail(err, RN_EINVAL, "samples: the prompt has no tokens");
    if (!st && !(s->ids = calloc(count + s->tokens, sizeof *s->ids)))
        st = rn_fail_memory(err, "samples", (count + s->tokens) * sizeof *s->ids);
    if (!st) memcpy(s->ids, ids, count * sizeof *ids);
    s->prompt_count = count;
    free(ids);
    return st;
}

rn_status rn_samples_create(rn_samples **out, rn_model *model,
                            const rn_train_samples *wanted, uint64_t seed, rn_error *err)
{
    if (!wanted->tokenizer) return rn_fail(err, RN_EINVAL, "samples: no tokenizer given");
    if (wanted->tokens == 0 || wanted->tokens > (size_t)1 << 24)
        return rn_fail(err, RN_EINVAL, "samples: %zu tokens, 1 to 2^24 wanted",
                       wanted->tokens);
    rn_samples *s = calloc(1, sizeof *s);
    if (!s) return rn_fail_memory(err, "samples", sizeof *s);
    s->tokenizer = wanted->tokenizer;
    s->vocab = model->config.vocab_size;
    s->tokens = wanted->tokens;
    s->seed = seed;
    rn_status st = take_prompt(s, wanted->prompt, err);
    if (!st) st = rn_session_create(&s->session, model, err);
    if (st) rn_samples_free(s);
    else *out = s;
    return st;
}

void rn_samples_free(rn_samples *s)
{
    if (!s) return;
    rn_session_free(s->session);
    free(s->ids);
    free(s->text);
    free(s);
}

/* Weights that have run away give no text. */
static bool finite_logits(const rn_samples *s)
{
    const float *logits = rn_session_logits(s->session);
    for (size_t i = 0; i < s->vocab; i++)
        if (!isfinite(logits[i])) return false;
    return true;
}

/* Ids of prompt and continuation, *count in all. */
static rn_status generate(rn_samples *s, uint64_t step, size_t *count, rn_error *err)
{
    const rn_sampling how = {
        .temperature = sample_temperature, .seed = s->seed, .choice = (uint32_t)step};
    int32_t end = rn_tokenizer_end_id(s->tokenizer), id;
    size_t n = s->prompt_count, most = n + s->tokens;
    rn_session_reset(s->session);
    rn_status st = rn_session_feed(s->session, s->ids, n, err);
    while (!st && n < most && finite_logits(s)) {
        st = rn_session_sample(s->session, &how, &id, err);
        if (st || id == end) break;
        s->ids[n++] = id;
        if (n < most) st = rn_session_step(s->session, id, err);
    }
    *count = n;
    return st;
}

/* UTF-8 of the bytes, and a sign in place of a 0. */
static rn_status keep_text(rn_samples *s, const char *bytes, size_t length, rn_error *err)
{
    rn_stream *stream = NULL;
    const char *some, *rest;
    size_t n = 0, m = 0;
    bool stopped;
    rn_status st = rn_stream_create(&stream, NULL, 0, err);
    if (!st) st = rn_stream_put(stream, bytes, length, &some, &n, &stopped, err);
    char *text = st ? NULL : malloc(n + 16);
    if (!st && !text) st = rn_fail_memory(err, "a sample", n);
    if (!st) memcpy(text, some, n);
    if (!st) st = rn_stream_end(stream, &rest, &m, err);
    if (m > sizeof "\uFFFD") m = 0; /* never: one character at most is held back */
    if (!st) memcpy(text + n, rest, m);
    rn_stream_free(stream);
    if (st) {
        free(text);
        return st;
    }
    text[n + m] = '\0';
    for (size_t i = 0; i < n + m; i++)
        if (!text[i]) text[i] = '?';
    free(s->text);
    s->text = text;
    return RN_OK;
}

rn_status rn_samples_take(rn_samples *s, uint64_t step, const char **text, rn_error *err)
{
    size_t count, length;
    char *bytes;
    rn_status st = generate(s, step, &count, err);
    if (!st)
        st = rn_tokenizer_decode(s->tokenizer, s->ids, count, true, &bytes, &length, err);
    if (st) return st;
    st = keep_text(s, bytes, length, err);
    free(bytes);
    if (!st) *text = s->text;
    return st;
}

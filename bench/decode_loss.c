/*
 * The loss of a text that is decoded token by token, as generation goes through the
 * model:
 *
 *   decode_loss MODEL TEXT [TOKENS]     MODEL reads bytes; TOKENS at most (default
 * 20,000)
 *
 * `retnet eval` measures the forms that read. This measures the decoding step, which
 * keeps the newest tokens beside the state and, under byte products, reads the upper
 * halves of states. Prints nats a token and perplexity over the same tokens by decoding
 * and by reading.
 */
#include <retnet/retnet.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double loss_of(const float *logits, size_t vocab, int32_t id)
{
    double most = logits[0], sum = 0;
    for (size_t i = 1; i < vocab; i++)
        if (logits[i] > most) most = logits[i];
    for (size_t i = 0; i < vocab; i++) sum += exp(logits[i] - most);
    return most + log(sum) - logits[id];
}

static rn_status decode(rn_session *s, size_t vocab, const int32_t *ids, size_t count,
                        double *loss, rn_error *err)
{
    *loss = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        rn_status st = rn_session_step(s, ids[i], err);
        if (st) return st;
        *loss += loss_of(rn_session_logits(s), vocab, ids[i + 1]);
    }
    *loss /= (double)(count - 1);
    return RN_OK;
}

static size_t read_bytes(const char *path, int32_t *ids, size_t most)
{
    FILE *f = fopen(path, "rb");
    size_t count = 0;
    for (int c; f && count < most && (c = getc(f)) != EOF; count++) ids[count] = c;
    if (f) fclose(f);
    return count;
}

static rn_status measure(const char *path, const int32_t *ids, size_t count,
                         rn_error *err)
{
    rn_exec *x = NULL;
    rn_model *m = NULL;
    rn_session *s = NULL;
    rn_model_info info;
    rn_eval_result read;
    rn_eval_options how = rn_eval_defaults();
    double loss = 0;
    rn_status st = rn_exec_open(&x, NULL, err);
    if (!st) st = rn_model_load(&m, x, path, RN_WEIGHT_STORED, err);
    if (!st) st = rn_session_create(&s, m, err);
    if (!st) {
        rn_model_info_get(m, &info);
        st = decode(s, info.vocab_size, ids, count, &loss, err);
    }
    if (!st) st = rn_eval_ids(m, ids, 1, count, &how, NULL, &read, err);
    if (!st)
        printf("decoding  %.6f nats a token, perplexity %.5f\n"
               "reading   %.6f nats a token, perplexity %.5f  (decoding %+.4f%%)\n",
               loss, exp(loss), read.loss, exp(read.loss),
               100 * (exp(loss - read.loss) - 1));
    rn_session_free(s);
    rn_model_free(m);
    rn_exec_close(x);
    return st;
}

int main(int argc, char **argv)
{
    rn_error err = {0};
    const size_t most = argc > 3 ? strtoul(argv[3], NULL, 10) : 20000;
    if (argc < 3 || most < 2) {
        fprintf(stderr, "usage: decode_loss MODEL TEXT [TOKENS, at least 2]\n");
        return 2;
    }
    int32_t *ids = malloc(most * sizeof *ids);
    const size_t count = ids ? read_bytes(argv[2], ids, most) : 0;
    rn_status st = RN_EINVAL;
    if (count < 2) fprintf(stderr, "decode_loss: %s: no two bytes to read\n", argv[2]);
    else if ((st = measure(argv[1], ids, count, &err)))
        fprintf(stderr, "decode_loss: %s\n", err.message);
    free(ids);
    return st ? 1 : 0;
}

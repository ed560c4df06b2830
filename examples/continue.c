/*
 * The library in one page: open a model (a path as argument, else a tiny random one),
 * feed it a prompt, sample, fork the session, train a few steps. Prints a line for each;
 * exits with 1 and one line on stderr when something fails.
 *
 *   cc continue.c $(pkg-config --cflags --libs retnet)
 */
#include <retnet/retnet.h>

#include <stdio.h>

enum { SAMPLES = 32, STEPS = 30, BATCH = 2, LENGTH = 32 };

static const char PROMPT[] = "the cat sat on the mat. ";

static rn_status open_model(rn_model **model, rn_exec *x, const char *path, rn_error *err)
{
    if (path) return rn_model_open(model, x, path, err);
    const char *const smaller[] = {"layers=2", "width=64", "ffn_width=96"};
    rn_model_source source = {.preset = "nano", .settings = smaller, .settings_count = 3};
    return rn_model_create(model, x, &source, 1, err);
}

/* Samples and appends tokens one at a time; their cost does not grow with the position.
 */
static rn_status sample(rn_session *s, int32_t *out, size_t count, rn_error *err)
{
    rn_sampling how = {.temperature = 0.8f, .top_p = 0.95f, .seed = 7};
    rn_status st = RN_OK;
    for (size_t i = 0; i < count && !st; i++) {
        st = rn_session_sample(s, &how, &out[i], err);
        if (!st) st = rn_session_step(s, out[i], err);
    }
    return st;
}

/* Feeds the prompt, samples, forks; the fork must go on as its original does. */
static rn_status generate(rn_model *model, rn_error *err)
{
    int32_t prompt[sizeof PROMPT - 1], ids[SAMPLES], next[2] = {0, 0};
    rn_session *session = NULL, *fork = NULL;
    for (size_t i = 0; i < sizeof PROMPT - 1; i++) prompt[i] = (unsigned char)PROMPT[i];

    rn_status st = rn_session_create(&session, model, err);
    if (!st) st = rn_session_feed(session, prompt, sizeof PROMPT - 1, err);
    if (!st) st = sample(session, ids, SAMPLES, err);
    if (!st) st = rn_session_copy(&fork, session, err);
    if (!st) st = sample(session, &next[0], 1, err);
    if (!st) st = sample(fork, &next[1], 1, err);
    if (st) goto done;

    printf("position %llu, state %zu bytes, sampled ids %d %d %d ...\n",
           (unsigned long long)rn_session_position(session),
           rn_session_state_bytes(session), (int)ids[0], (int)ids[1], (int)ids[2]);
    printf("next token: %d, of the fork: %d\n", (int)next[0], (int)next[1]);
    if (next[0] != next[1]) {
        snprintf(err->message, sizeof err->message, "the fork went another way");
        st = RN_EINVAL;
    }
done:
    rn_session_free(fork);
    rn_session_free(session);
    return st;
}

/* Optimizer steps on the prompt, repeated: the loss falls. */
static rn_status train(rn_model *model, rn_error *err)
{
    int32_t ids[BATCH * (LENGTH + 1)];
    rn_trainer *trainer = NULL;
    rn_step_result result = {.loss = 0};
    double first = 0;
    for (size_t i = 0; i < BATCH * (LENGTH + 1); i++)
        ids[i] = (unsigned char)PROMPT[i % (sizeof PROMPT - 1)];

    rn_train_options options = rn_train_defaults();
    options.steps = STEPS;
    options.batch = BATCH;
    options.seq = LENGTH;
    options.accum = 1;
    options.lr = options.min_lr = 3e-3;
    options.warmup = 5;
    rn_status st = rn_trainer_create(&trainer, model, &options, err);
    for (int i = 0; i < STEPS && !st; i++) {
        st = rn_trainer_step(trainer, ids, &result, err);
        if (i == 0) first = result.loss;
    }
    rn_trainer_free(trainer);
    if (st) return st;

    printf("loss %.3f after 1 step, %.3f after %d\n", first, result.loss, STEPS);
    if (result.loss < first) return RN_OK;
    snprintf(err->message, sizeof err->message, "the loss did not fall");
    return RN_EINVAL;
}

int main(int argc, char **argv)
{
    rn_exec *x = NULL;
    rn_model *model = NULL;
    rn_error err = {0};
    rn_status st = rn_exec_open(&x, NULL, &err);
    if (!st) st = open_model(&model, x, argc > 1 ? argv[1] : NULL, &err);
    if (!st) st = generate(model, &err);
    if (!st) st = train(model, &err);
    if (st) fprintf(stderr, "continue: %s\n", err.message);
    rn_model_free(model);
    rn_exec_close(x);
    return st ? 1 : 0;
}

/* A run of the training tests as one struct, and looks into the folder that it left. */
#ifndef TEST_TRAIN_JOB_H
#define TEST_TRAIN_JOB_H

#include "train_fixture.h"

#include "retnet/eval.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

/* ---- one run ---- */

enum { TRAIN_TOKENS = 700, VAL_TOKENS = 160 };

typedef struct job {
    const char *folder, *out; /* OUT is a folder in FOLDER */
    rn_train_run_options o;
    double dropout; /* of the model's config */
    uint64_t stop;  /* the callback stops the run at this step; 0: never */
    uint64_t kill;  /* alike, by SIGKILL */
    uint64_t limit; /* bytes that a file may have from the first callback on; 0: any */
    uint64_t saves; /* checkpoints reported */
    uint64_t calls, skipped, samples;
    double last_lr;
    double first_val;      /* before the first step */
    const char *init;      /* a checkpoint, or NULL: the tiny model */
    rn_model *model;       /* while it runs */
    uint64_t poison, heal; /* the steps from poison + 1 to heal have no finite gradient */
    uint64_t val_seed;     /* of the validation tokens */
    uint64_t val_changes;  /* reported */
} job;

static inline job new_job(const char *folder, const char *out)
{
    job j = {.folder = folder, .out = out, .dropout = 0.15, .val_seed = 4};
    j.o.train = tiny_options();
    j.o.train.steps = 24;
    j.o.eval_every = 8;
    j.o.save_every = 5;
    return j;
}

static inline void on_progress(void *user, const rn_train_progress *p, bool *stop)
{
    job *j = user;
    if (!j->calls++) j->first_val = p->val_loss;
    j->skipped = p->skipped;
    j->val_changes += p->val_changed;
    j->samples += p->sample != NULL;
    j->saves += p->checkpoint != NULL;
    j->last_lr = p->lr;
    if (j->limit && j->calls == 1) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){j->limit, RLIM_INFINITY});
    }
    if (j->heal && (p->step == j->poison || p->step == j->heal)) {
        float *weight = rn_model_tensor_at(j->model, 0).data;
        if (p->step == j->poison)
            for (size_t i = 0; i < VOCAB * 16; i++) weight[i] = NAN;
        else
            for (size_t i = 0; i < VOCAB * 16; i++) weight[i] = 0.01f * (float)(i % 7);
    }
    if (j->kill && p->step == j->kill) raise(SIGKILL);
    if (j->stop && p->step == j->stop) *stop = true;
}

/* The run that `j` describes, from a model made anew; the seed of data and model is
 * fixed. */
static inline rn_status run_job(job *j, rn_train_result *result, rn_error *err)
{
    rn_exec *x = open_exec(1);
    rn_model *model = NULL;
    if (j->init) OK(rn_model_open(&model, x, j->init, &err_));
    else model = tiny_model(x, 1, j->dropout);
    j->model = model;
    rn_tokens *data = make_tokens(j->folder, "train", TRAIN_TOKENS, 3);
    rn_tokens *val = make_tokens(j->folder, "val", VAL_TOKENS, j->val_seed);
    char *out = path_in(j->folder, j->out);
    j->o.out = out;
    if (!j->o.data) j->o.data = data;
    j->o.val = val;
    j->o.progress = on_progress;
    j->o.user = j;
    rn_status st = rn_train_run(model, &j->o, result, err);
    if (j->o.data == data) j->o.data = NULL;
    rn_tokens_free(data);
    rn_tokens_free(val);
    rn_model_free(model);
    rn_exec_close(x);
    free(out);
    return st;
}

static inline rn_train_result must_run(job *j)
{
    rn_train_result result;
    OK(run_job(j, &result, &err_));
    return result;
}

static inline void refused(job *j, rn_status status, const char *words)
{
    rn_train_result result;
    rn_error err = {0};
    rn_status st = run_job(j, &result, &err);
    if (st != status || !strstr(err.message, words))
        fail_msg("%d \"%s\", wanted %d \"%s\"", st, err.message, status, words);
}

/* ---- what a run left ---- */

static inline rn_map must_map(const char *folder, const char *out, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/%s", folder, out, name);
    rn_map map;
    OK(rn_map_open(&map, path, &err_));
    return map;
}

/* The latest step folder of OUT, "OUT/step-000024". */
static inline void latest_of(const char *folder, const char *out, char *name, size_t size)
{
    rn_map map = must_map(folder, out, "latest");
    char text[64] = "";
    assert_true(map.size < sizeof text);
    memcpy(text, map.data, map.size);
    rn_map_close(&map);
    text[strcspn(text, " ")] = '\0';
    snprintf(name, size, "%s/%s", out, text);
}

static inline void same_file(const char *folder, const char *a, const char *b,
                             const char *name)
{
    rn_map one = must_map(folder, a, name), two = must_map(folder, b, name);
    if (one.size != two.size || memcmp(one.data, two.data, one.size) != 0)
        fail_msg("%s: %s and %s differ", name, a, b);
    rn_map_close(&one);
    rn_map_close(&two);
}

/* metrics.jsonl without its rates, which are the clock's. */
static inline char *metrics_of(const char *folder, const char *out)
{
    rn_map map = must_map(folder, out, "metrics.jsonl");
    char *text = calloc(map.size + 1, 1);
    assert_non_null(text);
    size_t used = 0;
    bool copy = true;
    for (size_t i = 0; i < map.size; i++) {
        const char *at = (const char *)map.data + i;
        static const char rate[] = ",\"tokens_per_second\"";
        if (map.size - i > sizeof rate && memcmp(at, rate, sizeof rate - 1) == 0)
            copy = false;
        if (*at == '\n') copy = true;
        if (copy) text[used++] = *at;
    }
    rn_map_close(&map);
    return text;
}

/* Weights, moments and metrics of two runs are the same to the bit, and nothing else is
   left in the folder. */
static inline void same_run(const char *folder, const char *a, const char *b)
{
    char step_a[128], step_b[128];
    latest_of(folder, a, step_a, sizeof step_a);
    latest_of(folder, b, step_b, sizeof step_b);
    assert_string_equal(strchr(step_a, '/'), strchr(step_b, '/'));
    same_file(folder, a, b, "model.safetensors");
    same_file(folder, a, b, "config.json");
    same_file(folder, step_a, step_b, "optimizer.safetensors");
    same_file(folder, a, step_a, "model.safetensors");
    char *one = metrics_of(folder, a), *two = metrics_of(folder, b);
    assert_string_equal(one, two);
    free(one);
    free(two);
    shell("cd %s && test \"$(ls -A %s)\" = \"$(ls -A %s)\"", folder, a, b);
    shell("cd %s && test \"$(readlink %s/best)\" = \"$(readlink %s/best)\"", folder, a,
          b);
    shell("! ls -A %s/%s | grep -v -x -e best -e config.json -e latest -e metrics.jsonl "
          "-e model.safetensors -e 'step-[0-9]*'",
          folder, b);
}

static inline void remove_folder(char *folder)
{
    shell("rm -r %s", folder);
    free(folder);
}

/* Loss of a checkpoint over the validation text, as a run measures it. */
static inline double eval_loss(const char *folder, const char *checkpoint)
{
    rn_exec *x = open_exec(1);
    rn_model *model;
    rn_eval_options o = rn_eval_defaults();
    rn_eval_result r;
    OK(rn_model_open(&model, x, checkpoint, &err_));
    rn_tokens *val = make_tokens(folder, "val", VAL_TOKENS, 4);
    o.window = tiny_options().seq;
    o.chunk = tiny_options().chunk;
    OK(rn_eval_tokens(model, val, &o, &r, &err_));
    rn_tokens_free(val);
    rn_model_free(model);
    rn_exec_close(x);
    return r.loss;
}

#endif

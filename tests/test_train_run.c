/*
 * The training loop and its folder: what a run leaves, that a stopped, killed or
 * half-saved run resumes to the same bits, and that what must be refused is. The program
 * calls itself as `test_train_run child ...` for runs that are killed.
 */
#define _DEFAULT_SOURCE
#include "train_job.h"

#include <math.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- tests ---- */

static void check_metrics(const char *folder, const char *out, unsigned steps)
{
    char *text = metrics_of(folder, out);
    unsigned next = 1, evaluations = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned step;
        assert_int_equal(sscanf(line, "{\"step\":%u", &step), 1);
        if (strstr(line, "\"loss\"")) assert_int_equal(step, next++);
        if (strstr(line, "\"val_loss\"")) evaluations++;
    }
    assert_int_equal(next, steps + 1);
    assert_int_equal(evaluations, 4); /* before the first, 8, 16, 24 */
    free(text);
}

static void run_leaves_a_model(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    rn_train_result r = must_run(&j);
    assert_int_equal(r.steps, 24);
    assert_int_equal(r.tokens, 24 * 2 * 3 * 10);
    assert_int_equal(r.skipped_steps, 0);
    assert_int_equal(j.saves, 7); /* 5, 8, 10, 15, 16, 20, 24 */
    assert_int_equal(r.best_step, 24);
    assert_int_equal(j.calls, 25);
    assert_true(r.val_loss < log(VOCAB) && r.best_val_loss <= r.val_loss);
    assert_true(r.first_val_bits_per_byte > r.val_bits_per_byte ||
                (isnan(r.first_val_bits_per_byte) && isnan(r.val_bits_per_byte)));
    check_metrics(folder, "a", 24);

    char *out = path_in(folder, "a");
    rn_exec *x = open_exec(1);
    rn_model *model;
    OK(rn_model_open(&model, x, out, &err_));
    rn_model_free(model);
    rn_exec_close(x);
    assert_true(rn_train_resumable(out));
    refused(&j, RN_EEXIST, "holds a checkpoint");
    free(out);

    job again = new_job(folder, "b");
    must_run(&again);
    same_run(folder, "a", "b");
    remove_folder(folder);
}

static void stopped_run_resumes(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = new_job(folder, "a");
    rn_train_result want = must_run(&whole);
    job j = new_job(folder, "b");
    static const uint64_t stops[] = {3, 11, 16, 23, 0};
    rn_train_result got = {0};
    for (size_t i = 0; i < 5; i++) {
        j.o.resume = true; /* from the first on: nothing is there yet */
        j.stop = stops[i];
        rn_error err = {0};
        rn_status st = run_job(&j, &got, &err);
        assert_int_equal(st, stops[i] ? RN_EINTERRUPTED : RN_OK);
        assert_int_equal(got.steps, stops[i] ? stops[i] : 24);
    }
    assert_true(got.train_loss == want.train_loss && got.val_loss == want.val_loss);
    assert_true(got.best_val_loss == want.best_val_loss);
    same_run(folder, "a", "b");

    /* A finished run has nothing more to do but to clean up. */
    shell("cd %s/b && mkdir step-000003.tmp-9 step-000004 && touch "
          "step-000004/trainer.json "
          "latest.tmp-9 model.safetensors.tmp-9",
          folder);
    j.stop = 0;
    got = must_run(&j);
    assert_true(got.steps == 24 && got.val_loss == want.val_loss);
    same_run(folder, "a", "b");
    remove_folder(folder);
}

/* Entries that only look like a run's own are nobody's to remove. */
static void foreign_entries_stay(void **state)
{
    (void)state;
    char *folder = new_folder();
    shell(
        "cd %s && mkdir -p a && cd a && mkdir step-1-notes step-000002 step-000020-best "
        "step-000003.old step-000004.tmp-9 step-000006.tmp-x && echo x > step-2.txt && "
        "echo x > latest.tmp-mine && echo x > step-000007 && "
        "echo x | tee step-1-notes/n step-000002/notes.txt step-000003.old/config.json "
        "step-000004.tmp-9/trainer.json.tmp-9-1 step-000020-best/model.safetensors "
        "step-000006.tmp-x/config.json > /dev/null && ln -s step-1-notes step-000009",
        folder);
    job j = new_job(folder, "a");
    must_run(&j);
    shell(
        "cd %s/a && cat step-1-notes/n step-000002/notes.txt latest.tmp-mine step-2.txt "
        "step-000007 step-000020-best/model.safetensors step-000006.tmp-x/config.json "
        "step-000009/n > /dev/null && ! ls -d *.old *.tmp-9 2> /dev/null && "
        "test -d step-000024 -a ! -e step-000020",
        folder);

    job blocked = new_job(folder, "b");
    shell("mkdir -p %s/b/step-000005 && echo x > %s/b/step-000005/notes.txt", folder,
          folder);
    refused(&blocked, RN_EEXIST, "step-000005: is in the way");
    shell("cat %s/b/step-000005/notes.txt > /dev/null", folder);
    remove_folder(folder);
}

/* ---- killed runs ---- */

static int child(char **argv)
{
    job j = new_job(argv[0], argv[1]);
    j.o.train.steps = strtoull(argv[2], NULL, 10);
    j.o.save_every = strtoull(argv[3], NULL, 10);
    j.kill = strtoull(argv[4], NULL, 10);
    j.o.resume = true;
    j.limit = strtoull(argv[5], NULL, 10);
    if (j.limit) j.o.train.schedule = RN_SCHEDULE_CONSTANT;
    rn_train_result result;
    rn_error err = {0};
    rn_status st = run_job(&j, &result, &err);
    char *path = path_in(argv[0], "message");
    OK(rn_write_file(path, err.message, strlen(err.message), &err_));
    free(path);
    return st ? 1 : 0;
}

typedef struct child_args {
    const char *folder, *out;
    uint64_t steps, save_every, kill, limit;
} child_args;

/* Starts this program anew: a fork alone would inherit OpenMP's state. */
static pid_t start_child(const child_args *a)
{
    char numbers[4][24];
    const uint64_t values[4] = {a->steps, a->save_every, a->kill, a->limit};
    for (size_t i = 0; i < 4; i++)
        snprintf(numbers[i], sizeof numbers[i], "%llu", (unsigned long long)values[i]);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_train_run", "child", a->folder, a->out, numbers[0],
              numbers[1], numbers[2], numbers[3], (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void killed_at_steps(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = new_job(folder, "a");
    must_run(&whole);
    srand((unsigned)time(NULL));
    uint64_t first = 1 + (uint64_t)rand() % 12, second = 13 + (uint64_t)rand() % 11;
    print_message("killed at steps %d and %d\n", (int)first, (int)second);
    child_args a = {folder, "b", 24, 5, first, 0};
    assert_true(WIFSIGNALED(wait_for(start_child(&a))));
    a.kill = second;
    assert_true(WIFSIGNALED(wait_for(start_child(&a))));
    a.kill = 0;
    int status = wait_for(start_child(&a));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    same_run(folder, "a", "b");
    remove_folder(folder);
}

/* Kills at any time, most of them while a checkpoint is being written. */
static void killed_at_any_time(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = new_job(folder, "a");
    whole.o.save_every = 2;
    must_run(&whole);
    unsigned kills = 0, wait_us = 6000;
    int status = -1;
    for (; kills < 60; kills++, wait_us += wait_us / 5) {
        child_args a = {folder, "b", 24, 2, 0, 0};
        pid_t pid = start_child(&a);
        usleep(wait_us / 2 + (unsigned)rand() % wait_us);
        kill(pid, SIGKILL);
        status = wait_for(pid);
        if (WIFEXITED(status)) break;
    }
    print_message("killed %u times\n", kills);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(kills >= 2);
    same_run(folder, "a", "b");
    remove_folder(folder);
}

/* Every state that a save passes through, put together from the folder before and after.
 */
static void half_saved_runs_resume(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.o.eval_every = 5;
    must_run(&j);
    job part = new_job(folder, "before");
    part.o.eval_every = 5;
    part.stop = 5;
    rn_train_result r;
    assert_int_equal(run_job(&part, &r, NULL), RN_EINTERRUPTED);
    shell("cp -a %s/before %s/after", folder, folder);
    part = new_job(folder, "after");
    part.o.eval_every = 5;
    part.stop = 10;
    part.o.resume = true;
    assert_int_equal(run_job(&part, &r, NULL), RN_EINTERRUPTED);

    shell("cd %s && test $(readlink before/best) = step-000005 -a $(readlink after/best) "
          "= step-000010",
          folder);

    static const char *const states[] = {
        /* the new folder begun, filled, renamed */
        "mkdir b/step-000010.tmp-77; echo x > "
        "b/step-000010.tmp-77/model.safetensors.tmp-77",
        "cp -a after/step-000010 b/step-000010.tmp-77",
        "cp -a after/step-000010 b/step-000010",
        /* its model on the way to the out folder, and there */
        "cp -a after/step-000010 b/; cp after/model.safetensors "
        "b/model.safetensors.tmp-77",
        "cp -a after/step-000010 b/; cp --remove-destination after/model.safetensors b/",
        /* metrics beyond the step, with half a line */
        "cp after/metrics.jsonl b/; printf '{\"step\":11,\"loss' >> b/metrics.jsonl",
        /* latest on the way, and there with the old folder beside, whole and half removed
         */
        "cp -a after/step-000010 b/; cp after/latest b/latest.tmp-77",
        "cp -a after/step-000010 after/metrics.jsonl after/latest b/",
        "cp -a after/step-000010 after/metrics.jsonl after/latest b/; "
        "rm b/step-000005/trainer.json",
        /* best on the way, and there with the old folder beside */
        "cp -a after/step-000010 after/metrics.jsonl after/latest b/; "
        "ln -s step-000010 b/best.tmp-77",
        "cp -a after/step-000010 after/metrics.jsonl after/latest after/best b/",
        /* the very first save cut short: nothing to resume, but nothing in the way either
         */
        "rm b/latest b/best b/config.json",
        "rm b/latest b/best",
        "rm b/latest b/best b/config.json b/model.safetensors b/step-000005/config.json",
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        shell("cd %s && rm -rf b && cp -a before b && %s", folder, states[i]);
        job rest = new_job(folder, "b");
        rest.o.eval_every = 5;
        rest.o.resume = true;
        must_run(&rest);
        same_run(folder, "a", "b");
    }
    remove_folder(folder);
}

/* Every field of the state comes back, NaN too. */
static void state_comes_back(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_exec *x = open_exec(1);
    rn_model *model = tiny_model(x, 1, 0);
    rn_train_options o = tiny_options();
    rn_trainer *t;
    rn_record record;
    OK(rn_trainer_create(&t, model, &o, &err_));
    OK(rn_record_open(&record, folder, true, 0, false, &err_));
    rn_mixed only = {.share = 1, .count = 5, .hash = UINT64_MAX};
    const rn_mixture data = {.sources = &only, .count = 1};
    rn_run_identity id = {.trainer = t, .data = &data};
    const rn_train_state states[] = {
        {7, 5, 2, 1.0 / 3, 0.1, 12.5, 3.5, 6, {9, UINT64_MAX, 1}},
        {8, 0, 8, 0, NAN, 0, NAN, 0, {0, 0, 0}}};
    for (size_t i = 0; i < 2; i++) {
        t->state = states[i];
        OK(rn_checkpoint_save(&id, folder, 1, &record, &err_));
        t->state = (rn_train_state){0};
        OK(rn_checkpoint_load(&id, t, true, folder, &err_));
        assert_int_equal(t->state.step, states[i].step);
        assert_int_equal(t->state.applied, states[i].applied);
        assert_int_equal(t->state.skipped, states[i].skipped);
        assert_true(t->state.smooth_loss == states[i].smooth_loss);
        assert_true(t->state.seconds == states[i].seconds);
        assert_int_equal(t->state.best_step, states[i].best_step);
        assert_memory_equal(&t->state.validated, &states[i].validated,
                            sizeof t->state.validated);
        assert_true(i ? isnan(t->state.best_val_loss) : t->state.best_val_loss == 0.1);
    }
    rn_record_close(&record);
    rn_trainer_free(t);
    rn_model_free(model);
    rn_exec_close(x);
    remove_folder(folder);
}

/* ---- what is refused ---- */

static void damage_is_refused(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.stop = 7;
    rn_train_result r;
    assert_int_equal(run_job(&j, &r, NULL), RN_EINTERRUPTED);
    static const char *const files[] = {
        "latest", "step-000007/model.safetensors", "step-000007/config.json",
        "step-000007/optimizer.safetensors", "step-000007/trainer.json"};
    static const char *const harms[] = {
        "truncate -s -1 $F", "truncate -s 0 $F",
        "printf X | dd of=$F conv=notrunc status=none seek=9 bs=1", "printf X >> $F",
        "rm $F"};
    for (size_t f = 0; f < 5; f++)
        for (size_t h = 0; h < 5; h++) {
            if (f == 0 && h == 4)
                continue; /* without latest there is nothing to resume */
            shell("cd %s && rm -rf b && cp -a a b && F=b/%s && %s", folder, files[f],
                  harms[h]);
            job again = new_job(folder, "b");
            again.o.resume = true;
            const char *name = strrchr(files[f], '/');
            refused(&again, RN_EFORMAT, name ? name + 1 : files[f]);
            shell("test -e %s/b/latest -a -d %s/b/step-000007", folder, folder);
        }
    shell("cd %s && rm -rf b && cp -a a b && sed -i "
          "'s/\"applied\": 7/\"applied\": 6/; s/\"skipped\": 0/\"skipped\": 1/' "
          "b/step-000007/trainer.json && ! cmp -s [ab]/step-000007/trainer.json",
          folder);
    job again = new_job(folder, "b");
    again.o.resume = true;
    refused(&again, RN_EFORMAT, "trainer.json: damaged");
    remove_folder(folder);
}

static void other_runs_are_refused(void **state)
{
    (void)state;
    char *folder = new_folder();
    job begun = new_job(folder, "a");
    begun.stop = 6;
    rn_train_result r;
    assert_int_equal(run_job(&begun, &r, NULL), RN_EINTERRUPTED);
    job j[19];
    const char *words[19] = {"batch: it is 3 in the checkpoint, now 2",
                             "seq: it is 10",
                             "accum: it is 2",
                             "lr: it is 0.003",
                             "min_lr: it is",
                             "warmup: it is 4",
                             "schedule: it is",
                             "beta1: it is 0.9",
                             "beta2: it is",
                             "epsilon: it is 1e-8",
                             "weight_decay: it is",
                             "clip: it is 1",
                             "dropout: it is",
                             "form: it is",
                             "chunk: it is 4",
                             "seed: it is",
                             "steps: it is 24",
                             "dropout: it is",
                             "data"};
    for (size_t i = 0; i < 19; i++) {
        j[i] = new_job(folder, "a");
        j[i].o.resume = true;
    }
    j[0].o.train.batch = 2;
    j[1].o.train.seq = 11;
    j[2].o.train.accum = 1;
    j[3].o.train.lr = 0.0031;
    j[4].o.train.min_lr = 0;
    j[5].o.train.warmup = 5;
    j[6].o.train.schedule = RN_SCHEDULE_COSINE;
    j[7].o.train.beta1 = 0.8;
    j[8].o.train.beta2 = 0.9;
    j[9].o.train.epsilon = 1e-7;
    j[10].o.train.weight_decay = 0;
    j[11].o.train.clip = 2;
    j[12].o.train.dropout = 0.3;
    j[13].o.train.form = RN_FORM_PARALLEL;
    j[14].o.train.chunk = 5;
    j[15].o.train.seed = 2;
    j[16].o.train.steps = 30;
    j[17].dropout = 0.2;
    rn_tokens *other = make_tokens(folder, "other", TRAIN_TOKENS, 99);
    j[18].o.data = other;
    for (size_t i = 0; i < 19; i++) refused(&j[i], RN_EFORMAT, words[i]);
    rn_tokens_free(other);

    /* What leaves the numbers alone may change, and a chunk length that is not given is
       the checkpoint's. */
    job good = new_job(folder, "a");
    good.o.resume = true;
    good.o.train.chunk = 0;
    good.o.train.recompute = true;
    good.o.eval_every = 0;
    good.o.save_every = 0;
    must_run(&good);
    remove_folder(folder);
}

/* Validation goes by the checkpoint's chunk length too, to the last bit. */
static void resumed_validation_is_the_same(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = new_job(folder, "a"), j = new_job(folder, "b");
    whole.o.train.chunk = j.o.train.chunk = 3;
    rn_train_result want = must_run(&whole), got;
    j.stop = 4;
    assert_int_equal(run_job(&j, &got, NULL), RN_EINTERRUPTED);
    j.stop = 0;
    j.o.resume = true;
    j.o.train.chunk = 0;
    got = must_run(&j);
    assert_true(got.val_loss == want.val_loss);
    same_run(folder, "a", "b");
    remove_folder(folder);
}

static void constant_rate_goes_on(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = new_job(folder, "a"), j = new_job(folder, "b");
    whole.o.train.schedule = j.o.train.schedule = RN_SCHEDULE_CONSTANT;
    must_run(&whole);
    j.o.train.steps = 9;
    j.o.eval_every = 0;
    must_run(&j);
    j.o.resume = true;
    j.o.train.steps = 24;
    must_run(&j);
    same_file(folder, "a", "b", "model.safetensors");
    remove_folder(folder);
}

/* Reading a checkpoint gives a model other weights than those that it was known by. */
static void reading_forgets_the_hash(void **state)
{
    (void)state;
    char *folder = new_folder(), step[128];
    job j = new_job(folder, "a");
    must_run(&j);
    latest_of(folder, "a", step, sizeof step);
    char *checkpoint = path_in(folder, step);
    rn_exec *x = open_exec(1);
    rn_model *m = tiny_model(x, 9, j.dropout);
    rn_trainer *t;
    uint64_t before, after;
    OK(rn_trainer_create(&t, m, &j.o.train, &err_));
    OK(rn_model_hash(m, &before, &err_));
    OK(rn_trainer_read(t, checkpoint, &err_));
    OK(rn_model_hash(m, &after, &err_));
    assert_true(before != after);
    rn_trainer_free(t);
    rn_model_free(m);
    rn_exec_close(x);
    free(checkpoint);
    remove_folder(folder);
}

/* A disk that is full while a checkpoint is written: an error, the one before still
 * whole. */
static void full_disk_keeps_the_checkpoint(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = new_job(folder, "a"), j = new_job(folder, "b");
    whole.o.train.schedule = j.o.train.schedule = RN_SCHEDULE_CONSTANT;
    must_run(&whole);
    j.o.train.steps = 8;
    must_run(&j);
    rn_map model = must_map(folder, "b", "model.safetensors");
    rn_map lines = must_map(folder, "b", "metrics.jsonl");
    const struct {
        const char *file;
        uint64_t save_every, bytes;
    } cases[] = {
        {"model.safetensors", 5, model.size / 2},
        {"optimizer.safetensors", 5, model.size + model.size / 2},
        {"metrics.jsonl", 0, lines.size + 200},
    };
    rn_map_close(&model);
    rn_map_close(&lines);
    for (size_t i = 0; i < 3; i++) {
        child_args a = {folder, "b", 24, cases[i].save_every, 0, cases[i].bytes};
        int status = wait_for(start_child(&a));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        shell("cd %s && grep -q '/%s: cannot be written' message", folder, cases[i].file);
        shell("cd %s/b && test $(ls -A | wc -l) = 6 -a -d step-000008", folder);
    }
    j.o.resume = true;
    j.o.train.steps = 24;
    must_run(&j);
    same_file(folder, "a", "b", "model.safetensors");
    remove_folder(folder);
}

static void foreign_model_is_kept(void **state)
{
    (void)state;
    char *folder = new_folder();
    shell("mkdir %s/a && echo keep > %s/a/model.safetensors", folder, folder);
    job j = new_job(folder, "a");
    refused(&j, RN_EEXIST, "no training run");
    j.o.resume = true;
    refused(&j, RN_EEXIST, "no training run");
    /* Neither a file nor a part of a checkpoint tells of a run. */
    shell("cd %s/a && echo x > step-001000 && mkdir step-002000 && echo x > "
          "step-002000/model.safetensors",
          folder);
    refused(&j, RN_EEXIST, "no training run");
    shell("cd %s/a && grep -q keep model.safetensors && test -f step-001000 -a -d "
          "step-002000",
          folder);
    remove_folder(folder);
}

/* A run that lost its `latest` is not begun anew over what it left. */
static void lost_latest_is_refused(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.o.keep = 3;
    must_run(&j);
    static const char *const losses[] = {"rm latest", "rm latest best",
                                         "rm latest && rm -r step-000016 step-000020"};
    static const char *const words[] = {
        "3 checkpoints and a link `best`, but no `latest`",
        "3 checkpoints, but no `latest`", "1 checkpoint and a link `best`, but no"};
    for (size_t i = 0; i < 3; i++) {
        shell("cd %s && rm -rf b && cp -a a b && cd b && %s && ls -R > ../before", folder,
              losses[i]);
        job again = new_job(folder, "b");
        for (int resume = 0; resume < 2; resume++) {
            again.o.resume = resume != 0;
            refused(&again, RN_EEXIST, words[i]);
        }
        shell("cd %s/b && ls -R | cmp - ../before", folder);
    }
    remove_folder(folder);
}

static void second_run(void *user, const rn_train_progress *p, bool *stop)
{
    (void)stop;
    job *inner = user;
    if (p->step == 2) refused(inner, RN_EEXIST, "another run");
}

static void one_run_at_a_time(void **state)
{
    (void)state;
    char *folder = new_folder();
    job inner = new_job(folder, "a");
    rn_exec *x = open_exec(1);
    rn_model *model = tiny_model(x, 1, 0);
    rn_tokens *data = make_tokens(folder, "data", TRAIN_TOKENS, 3);
    char *out = path_in(folder, "a");
    rn_train_run_options o = {.train = tiny_options(), .out = out, .data = data};
    o.progress = second_run;
    o.user = &inner;
    rn_train_result r;
    OK(rn_train_run(model, &o, &r, &err_));
    assert_true(isnan(r.val_loss) && isnan(r.best_val_loss));
    free(out);
    rn_tokens_free(data);
    rn_model_free(model);
    rn_exec_close(x);
    remove_folder(folder);
}

/* Without a number of steps the limit ends the run, and the rate has come down by then.
 */
static void time_limit_ends_the_run(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.o.train.steps = 0;
    refused(&j, RN_EINVAL, "steps: 0");
    j.o.save_every = j.o.eval_every = 0;
    j.o.max_minutes = 0.5 / 60;
    rn_train_result r = must_run(&j);
    assert_true(r.steps > 4 && r.seconds >= 0.5 && r.seconds < 30);
    assert_true(j.last_lr < 0.5 * j.o.train.lr && j.saves == 1);
    j.o.resume = true;
    rn_train_result again = must_run(&j);
    assert_int_equal(again.steps, r.steps);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "child") == 0) return child(argv + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_leaves_a_model),
        cmocka_unit_test(stopped_run_resumes),
        cmocka_unit_test(foreign_entries_stay),
        cmocka_unit_test(killed_at_steps),
        cmocka_unit_test(killed_at_any_time),
        cmocka_unit_test(half_saved_runs_resume),
        cmocka_unit_test(state_comes_back),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(other_runs_are_refused),
        cmocka_unit_test(resumed_validation_is_the_same),
        cmocka_unit_test(constant_rate_goes_on),
        cmocka_unit_test(reading_forgets_the_hash),
        cmocka_unit_test(full_disk_keeps_the_checkpoint),
        cmocka_unit_test(foreign_model_is_kept),
        cmocka_unit_test(lost_latest_is_refused),
        cmocka_unit_test(one_run_at_a_time),
        cmocka_unit_test(time_limit_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

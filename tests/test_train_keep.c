/* Which checkpoints stay: the newest, the best with its link, and what an interrupted
   save or clean-up leaves of them; and runs whose gradients are not finite. The program
   calls itself as `test_train_keep child FOLDER` for runs that are killed. */
#define _DEFAULT_SOURCE
#include "train_job.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

/* The names in OUT that begin with step-, as ls writes them. */
static void steps_are(const char *folder, const char *out, const char *names)
{
    shell("cd %s/%s && test \"$(ls -d step-* | tr '\\n' ' ')\" = '%s'", folder, out,
          names);
}

/* ---- the newest ---- */

static void newest_stay(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.o.train.schedule = RN_SCHEDULE_CONSTANT;
    j.o.eval_every = 0;
    j.o.keep = 3;
    must_run(&j); /* saves 5, 10, 15, 20, 24 */
    steps_are(folder, "a", "step-000015 step-000020 step-000024 ");
    j.o.resume = true;
    j.o.train.steps = 26;
    must_run(&j);
    steps_are(folder, "a", "step-000024 step-000025 step-000026 ");
    shell("test $(readlink %s/a/best) = step-000024 -o $(readlink %s/a/best) = "
          "step-000026",
          folder, folder);
    remove_folder(folder);
}

/* Every whole one counts, what is in the making or half removed does not and goes. */
static void halves_do_not_count(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.o.eval_every = 0;
    j.o.keep = 3;
    j.stop = 20;
    rn_train_result r;
    assert_int_equal(run_job(&j, &r, NULL), RN_EINTERRUPTED);
    steps_are(folder, "a", "step-000010 step-000015 step-000020 ");
    shell("cd %s/a && rm step-000015/config.json && cp -a step-000010 step-000022 && cp "
          "-a step-000010 step-000018.tmp-99 && mkdir step-000017 && cp -a step-000010 "
          "step-000003 && cp -a step-000010 step-000002 && echo x > step-000002/notes",
          folder);
    j.stop = 0;
    j.o.resume = true;
    j.o.save_every = 0;
    must_run(&j);
    steps_are(folder, "a", "step-000002 step-000010 step-000020 step-000024 ");
    shell("cat %s/a/step-000002/notes > /dev/null", folder);
    remove_folder(folder);
}

/* ---- the best ---- */

/* A run that is good at first, and worse later: the rate is far too high. */
static job worsening_job(const char *folder, const char *out)
{
    job j = new_job(folder, out);
    j.o.train.schedule = RN_SCHEDULE_CONSTANT;
    j.o.train.lr = 0.2;
    j.o.train.min_lr = 0;
    j.o.train.warmup = 24;
    j.o.eval_every = 2;
    return j;
}

/* Loss of the model in OUT/best over the validation text, as the run measures it. */
static double loss_of_best(const char *folder, const char *out)
{
    char name[80];
    snprintf(name, sizeof name, "%s/best", out);
    char *path = path_in(folder, name);
    const double loss = eval_loss(folder, path);
    free(path);
    return loss;
}

static void best_stays(void **state)
{
    (void)state;
    char *folder = new_folder(), names[80];
    job j = worsening_job(folder, "a");
    rn_train_result r = must_run(&j);
    print_message("best %.4f at step %d, last %.4f\n", r.best_val_loss, (int)r.best_step,
                  r.val_loss);
    assert_true(r.best_step >= 2 && r.best_step < 20 && r.best_step % 2 == 0);
    assert_true(r.best_val_loss < r.val_loss);
    snprintf(names, sizeof names, "step-%06d step-000024 ", (int)r.best_step);
    steps_are(folder, "a", names);
    shell("test $(readlink %s/a/best) = step-%06d", folder, (int)r.best_step);
    assert_true(fabs(loss_of_best(folder, "a") - r.best_val_loss) < 1e-6);

    /* The best of all runs, not of the last. */
    j.o.resume = true;
    j.o.train.steps = 30;
    rn_train_result more = must_run(&j);
    assert_int_equal(more.best_step, r.best_step);
    assert_true(more.best_val_loss == r.best_val_loss);
    snprintf(names, sizeof names, "step-%06d step-000030 ", (int)r.best_step);
    steps_are(folder, "a", names);
    remove_folder(folder);
}

/* The model that a run begins with has no checkpoint: the best is one after a step, even
   where all are worse than that. */
static void best_is_a_checkpoint(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = worsening_job(folder, "a");
    j.o.train.lr = 3;
    j.o.train.warmup = 0;
    rn_train_result r = must_run(&j);
    print_message("%.4f before, then %.4f at best\n", j.first_val, r.best_val_loss);
    assert_true(r.best_step > 0 && r.best_val_loss > j.first_val);
    assert_true(fabs(loss_of_best(folder, "a") - r.best_val_loss) < 1e-5);
    remove_folder(folder);
}

static int child(const char *folder)
{
    job j = worsening_job(folder, "b");
    j.o.resume = true;
    j.o.keep = 2;
    rn_train_result result;
    return run_job(&j, &result, NULL) ? 1 : 0;
}

static pid_t start_child(const char *folder)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    execl("/proc/self/exe", "test_train_keep", "child", folder, (char *)NULL);
    _exit(127);
}

/* Killed at any time: at any moment `best` is a model or not there, and in the end all is
   as if nothing had been. */
static void killed_runs_keep_the_best(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = worsening_job(folder, "a");
    whole.o.keep = 2;
    must_run(&whole);
    unsigned kills = 0, wait_us = 6000;
    int status = -1;
    for (; kills < 60; kills++, wait_us += wait_us / 5) {
        pid_t pid = start_child(folder);
        usleep(wait_us);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) break;
        char *best = path_in(folder, "b/best");
        if (access(best, F_OK) == 0) loss_of_best(folder, "b");
        else assert_int_equal(readlink(best, (char[40]){0}, 40), -1);
        free(best);
    }
    print_message("killed %u times\n", kills);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && kills >= 2);
    same_run(folder, "a", "b");
    remove_folder(folder);
}

/* `latest` is the new step, which is the best: the link says so after any restart. */
static void best_is_put_right(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = worsening_job(folder, "a");
    j.stop = 4;
    rn_train_result r;
    assert_int_equal(run_job(&j, &r, NULL), RN_EINTERRUPTED);
    assert_int_equal(r.best_step, 4);
    static const char *const states[] = {"rm best", "ln -sfn step-000002 best",
                                         "ln -s step-000004 best.tmp-77; rm best"};
    for (size_t i = 0; i < 3; i++) {
        shell("cd %s && rm -rf b && cp -a a b && cd b && %s", folder, states[i]);
        job again = worsening_job(folder, "b");
        again.o.resume = true;
        again.o.train.steps = 4;
        must_run(&again);
        shell("cd %s/b && test $(readlink best) = step-000004 -a ! -e best.tmp-77",
              folder);
    }
    /* A checkpoint that somebody took away is no best; the run goes on all the same. */
    job gone = worsening_job(folder, "a");
    gone.o.resume = true;
    gone.o.eval_every = 0;
    gone.o.train.steps = 7;
    gone.stop = 6;
    assert_int_equal(run_job(&gone, &r, NULL), RN_EINTERRUPTED);
    steps_are(folder, "a", "step-000004 step-000006 ");
    shell("rm -r %s/a/step-000004", folder);
    gone.stop = 0;
    must_run(&gone);
    shell("cd %s/a && test -d best/ -o ! -L best", folder);
    remove_folder(folder);
}

static void foreign_best_is_kept(void **state)
{
    (void)state;
    char *folder = new_folder();
    static const char *const things[] = {"mkdir best", "ln -s /tmp best",
                                         "echo mine > best"};
    for (size_t i = 0; i < 3; i++) {
        shell("cd %s && rm -rf a && mkdir a && cd a && %s", folder, things[i]);
        job j = new_job(folder, "a");
        refused(&j, RN_EEXIST, "a/best: is in the way");
        shell("test $(ls %s/a) = best", folder);
    }
    /* A link of a run that never came to a checkpoint goes. */
    shell("cd %s && rm a/best && ln -s step-000099 a/best", folder);
    job j = new_job(folder, "a");
    must_run(&j);
    shell("test $(readlink %s/a/best) = step-000024", folder);
    remove_folder(folder);
}

/* The best of other validation tokens is none: what is evaluated next is. */
static void other_validation_begins_anew(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = worsening_job(folder, "a");
    rn_train_result r = must_run(&j), same, other;
    assert_true(r.best_step < 20);
    j.o.resume = true;
    j.o.train.steps = 26;
    same = must_run(&j);
    assert_int_equal(j.val_changes, 0);
    assert_int_equal(same.best_step, r.best_step);
    j.val_seed = 5;
    j.o.train.steps = 28;
    other = must_run(&j);
    assert_int_equal(j.val_changes, 1);
    assert_int_equal(other.best_step, 28);
    assert_true(other.best_val_loss == other.val_loss);
    steps_are(folder, "a", "step-000028 ");
    j.o.train.steps = 30;
    must_run(&j);
    assert_int_equal(j.val_changes, 1);
    remove_folder(folder);
}

/* ---- WSD ---- */

/* The end may move as long as the rate has not fallen: the same bits as one long run. */
static void stable_rate_goes_on(void **state)
{
    (void)state;
    char *folder = new_folder();
    job whole = new_job(folder, "a"), j = new_job(folder, "b");
    whole.o.train.schedule = j.o.train.schedule = RN_SCHEDULE_WSD;
    whole.o.train.decay = j.o.train.decay = 0.25; /* from step 18 on, or 10.5 */
    must_run(&whole);
    assert_true(fabs(whole.last_lr - whole.o.train.min_lr) < 1e-12);
    rn_train_result r;
    j.o.train.steps = 14;
    j.stop = 10;
    assert_int_equal(run_job(&j, &r, NULL), RN_EINTERRUPTED);
    shell("cp -a %s/b %s/c", folder, folder);
    j.o.resume = true;
    j.stop = 0;
    j.o.train.steps = 24;
    must_run(&j);
    same_file(folder, "a", "b", "model.safetensors");

    job late = j;
    late.out = "c";
    late.o.train.steps = 14;
    late.stop = 12;
    assert_int_equal(run_job(&late, &r, NULL), RN_EINTERRUPTED);
    late.o.train.steps = 24;
    refused(&late, RN_EFORMAT, "steps: it is 14");
    late.o.train.steps = 14;
    late.o.train.decay = 0.5;
    refused(&late, RN_EFORMAT, "decay: it is 0.25");
    remove_folder(folder);
}

/* ---- gradients that are not finite ---- */

static size_t lines_with(const char *folder, const char *out, const char *words)
{
    rn_map map = must_map(folder, out, "metrics.jsonl");
    size_t count = 0;
    for (const char *at = (const char *)map.data; at < (const char *)map.data + map.size;
         at++)
        count += strncmp(at, words, strlen(words)) == 0;
    rn_map_close(&map);
    return count;
}

static void endless_skipping_ends(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.o.train.steps = 400;
    j.o.eval_every = 0;
    j.o.save_every = 50;
    j.poison = 60;
    j.heal = 400;
    refused(&j, RN_EINVAL, "no finite gradient in 100 steps in a row, 61 to 160");
    assert_int_equal(lines_with(folder, "a", "\"skipped\":true"), 100);
    shell("grep -q step-000150 %s/a/latest", folder);
    remove_folder(folder);
}

static void skipped_steps_are_counted(void **state)
{
    (void)state;
    char *folder = new_folder();
    job j = new_job(folder, "a");
    j.o.train.steps = 205;
    j.o.eval_every = j.o.save_every = 0;
    j.poison = 3;
    j.heal = 102;
    rn_train_result r = must_run(&j);
    assert_int_equal(r.skipped_steps, 99);
    assert_int_equal(j.skipped, 99);
    assert_int_equal(lines_with(folder, "a", "\"skipped\":true"), 99);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "child") == 0) return child(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_stay),
        cmocka_unit_test(halves_do_not_count),
        cmocka_unit_test(best_stays),
        cmocka_unit_test(best_is_a_checkpoint),
        cmocka_unit_test(killed_runs_keep_the_best),
        cmocka_unit_test(best_is_put_right),
        cmocka_unit_test(foreign_best_is_kept),
        cmocka_unit_test(other_validation_begins_anew),
        cmocka_unit_test(stable_rate_goes_on),
        cmocka_unit_test(endless_skipping_ends),
        cmocka_unit_test(skipped_steps_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Fine-tuning: a run that begins with a checkpoint of another program begins with its
   loss, in float32 whatever the file holds; the files beside the model go along; and
   which keys of the config may be changed. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "child.h"
#include "train_job.h"

#include "retnet/quantize.h"

#include <math.h>
#include <unistd.h>

#define SHARDED RN_GOLDEN "/torchscale-sharded"
#define TIED    RN_GOLDEN "/torchscale-tied"

/* ---- the loss at step 0 ---- */

static job tuning_job(const char *folder, const char *out, const char *checkpoint)
{
    job j = new_job(folder, out);
    j.init = checkpoint;
    j.o.train.steps = 6;
    j.o.train.lr = 1e-4;
    j.o.train.min_lr = 0;
    return j;
}

static void check_tuning(const char *folder, const char *out, const char *checkpoint)
{
    double want = eval_loss(folder, checkpoint);
    job j = tuning_job(folder, out, checkpoint);
    rn_train_result r = must_run(&j);
    print_message("%s: %.6f, tuned %.6f\n", out, want, r.val_loss);
    assert_true(want > 0 && fabs(j.first_val - want) <= 1e-6 * want);
    assert_true(r.val_loss < want);
    char *path = path_in(folder, out);
    assert_true(fabs(eval_loss(folder, path) - r.val_loss) <= 1e-6 * want);
    free(path);
}

static void tuning_begins_with_the_loss(void **state)
{
    (void)state;
    char *folder = new_folder();
    check_tuning(folder, "sharded", SHARDED);
    check_tuning(folder, "tied", TIED);
    check_tuning(folder, "deepnorm", RN_GOLDEN "/torchscale-deepnorm");
    static const rn_weight_type types[] = {RN_WEIGHT_BF16, RN_WEIGHT_F16, RN_WEIGHT_Q8_0};
    for (size_t i = 0; i < 3; i++) {
        char name[40];
        snprintf(name, sizeof name, "in-%s", rn_weight_type_name((int)types[i]));
        char *path = path_in(folder, name);
        OK(rn_quantize(SHARDED, path, &(rn_quantize_options){.type = types[i]}, NULL,
                       &err_));
        check_tuning(folder, name + 3, path);
        free(path);
    }
    remove_folder(folder);
}

/* The masters are the stored numbers, and float32: a step much smaller than the distance
   of neighbouring bf16 numbers moves them. */
static void masters_are_float32(void **state)
{
    (void)state;
    char *folder = new_folder();
    char *path = path_in(folder, "half"), *out = path_in(folder, "a");
    OK(rn_quantize(SHARDED, path, &(rn_quantize_options){.type = RN_WEIGHT_BF16}, NULL,
                   &err_));
    job j = tuning_job(folder, "a", path);
    j.o.train.lr = 1e-7;
    j.o.train.steps = 2;
    must_run(&j);
    rn_exec *x = open_exec(1);
    rn_model *before, *after;
    OK(rn_model_open(&before, x, path, &err_));
    OK(rn_model_open(&after, x, out, &err_));
    size_t moved = 0;
    for (size_t i = 0; i < before->floats; i++) {
        double by = fabs((double)after->weights[i] - (double)before->weights[i]);
        assert_true(by <= 1e-6);
        moved += by > 0;
    }
    print_message("%zu of %zu moved\n", moved, before->floats);
    assert_true(moved > before->floats / 2);
    rn_model_free(before);
    rn_model_free(after);
    rn_exec_close(x);
    free(path);
    free(out);
    remove_folder(folder);
}

/* ---- the files beside ---- */

static void companions_go_along(void **state)
{
    (void)state;
    char *folder = new_folder();
    shell("cd %s && cp -r " SHARDED
          " in && chmod -R u+w in && echo '{}' > in/tokenizer.json "
          "&& echo 1 > in/generation_config.json && echo no > in/README.md",
          folder);
    char *path = path_in(folder, "in");
    job j = tuning_job(folder, "a", path);
    rn_train_result r;
    j.o.companions = path;
    j.o.eval_every = 1;
    j.o.keep = 2;
    j.stop = 2;
    assert_int_equal(run_job(&j, &r, NULL), RN_EINTERRUPTED);
    shell("rm -r %s/in", folder); /* the out folder is all that a run goes on with */
    char *out = path_in(folder, "a");
    j.init = out;
    j.stop = 0;
    j.o.resume = true;
    must_run(&j);
    shell("cd %s/a && test ! -e README.md && for d in . best step-000005 step-000006; do "
          "grep -q '{}' $d/tokenizer.json && grep -q 1 $d/generation_config.json || exit "
          "1; "
          "done && test ! -e step-000002",
          folder);
    free(path);
    free(out);
    remove_folder(folder);
}

/* ---- keys of the config ---- */

static void shapes_are_fixed(void **state)
{
    (void)state;
    rn_exec *x = open_exec(1);
    rn_model *model;
    OK(rn_model_open(&model, x, TIED, &err_));
    char *before = rn_model_config_json(model);
    static const char *const wrong[] = {
        "width=32",     "vocab_size=212", "layers=3",
        "heads=1",      "tied=false",     "bias=true",
        "ffn=plain",    "ffn_norm=true",  "embedding_norm=true",
        "value_dim=16", "kittens=1",      "dropout=2",
        "dropout",      "mixer=linear",   "output_gate=false"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *settings[] = {"dropout=0.5", wrong[i]};
        rn_error err = {0};
        rn_status st = rn_model_set(model, settings, 2, &err);
        if (st == RN_OK || !*err.message) fail_msg("%s was taken", wrong[i]);
        char *after = rn_model_config_json(model);
        assert_string_equal(before, after);
        free(after);
    }
    const char *right[] = {"dropout=0.25", "norm_eps=1e-5", "row_norm=none"};
    OK(rn_model_set(model, right, 3, &err_));
    assert_true(model->config.dropout == 0.25 && model->config.mixer.norm_eps == 1e-5);
    free(before);
    rn_model_free(model);
    rn_exec_close(x);
}

/* ---- the program ---- */

/* A token file of `count` ids below `vocab`. */
static const char *put_ids(const char *name, size_t count, unsigned vocab)
{
    uint16_t *ids = calloc(count, sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < count; i++) ids[i] = (uint16_t)(i * i % vocab);
    const char *path = put_bytes(name, ids, count * sizeof *ids);
    free(ids);
    return path;
}

#define TUNE(data, out, ...)                                                             \
    RUN("train", "--init", TIED, "--data", data, "--out", out, "--batch", "2", "--seq",  \
        "16", "--steps", "2", "--threads", "1", "--quiet", "--json", __VA_ARGS__)

static void program_tunes(void **state)
{
    (void)state;
    const char *small = put_ids("small.bin", 900, 211), *out = in_scratch("out");
    child c =
        TUNE(small, out, "--set", "dropout=0.125", "--lr", "0", "--weight-decay", "0");
    check_done(&c);
    child_free(&c);
    size_t size;
    char *config = get_bytes(in_scratch("out/config.json"), &size);
    assert_non_null(strstr(config, "0.125"));
    free(config);
    c = RUN("eval", out, "--ids", put_text("ids", "[[1,2,3,4,5,6,7,8]]"), "--json");
    json_t *mine = child_json(&c);
    child_free(&c);
    c = RUN("eval", TIED, "--ids", in_scratch("ids"), "--json");
    json_t *theirs = child_json(&c);
    child_free(&c);
    assert_true(fabs(json_number(mine, "loss") - json_number(theirs, "loss")) < 1e-6);
    json_decref(mine);
    json_decref(theirs);
}

static void program_refuses(void **state)
{
    (void)state;
    const char *small = put_ids("small.bin", 900, 211), *out = in_scratch("none");
    child c = TUNE(put_ids("large.bin", 900, 300), out, "--seed", "1");
    check_refused(&c, 1, "vocab");
    assert_non_null(strstr(c.err, "large.bin"));
    assert_non_null(strstr(c.err, "211"));
    child_free(&c);
    c = TUNE(small, out, "--set", "width=64");
    check_refused(&c, 2, "--set: setting \"width=64\" changes the shape");
    child_free(&c);
    c = TUNE(put_text("text", "some text that is long enough to be some text"), out,
             "--seed", "1");
    check_refused(&c, 2, "byte has 256 ids, but the model's vocab_size is 211");
    child_free(&c);
    assert_int_equal(access(out, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tuning_begins_with_the_loss),
        cmocka_unit_test(masters_are_float32),
        cmocka_unit_test(companions_go_along),
        cmocka_unit_test(shapes_are_fixed),
        cmocka_unit_test(program_tunes),
        cmocka_unit_test(program_refuses),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}

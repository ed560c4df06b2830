/*
 * retnet train: tokens from text, a model from scratch or from another, and the library's
 * loop with a progress line. Ctrl-C stops after the step at hand and saves.
 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "data.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"
#include "tokens.h"

#include "retnet/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const schedules[] = {"linear", "cosine", "constant", "wsd", NULL};
static const char *const types[] = {"f32", "bf16", NULL};
static const char *const train_forms[] = {"chunkwise", "parallel", NULL};

/* clang-format off */
static const cli_option data_options[] = {
    {.name = "data", .letter = 'd', .kind = CLI_PATHS, .metavar = "PATH...",
     .complete = CLI_FILES,
     .help = "text files and JSONL files with a \"text\" field, plain or .zst, token files "
             "(.bin of nanoGPT, llm.c, Megatron), folders of them"},
    {.name = "weights", .kind = CLI_TEXT, .metavar = "X,Y,...",
     .help = "mix the paths of --data: each row is drawn from one of them, in these "
             "proportions; without it they are one text"},
    {.name = "documents", .kind = CLI_CHOICE, .choices = cli_on_off, .fallback = "on",
     .help = "keep documents apart in a row: no token is predicted, and nothing "
             "remembered, across their borders. Files, lines of JSONL and what an index "
             "names are documents"},
    {.name = "document-token", .kind = CLI_TEXT, .metavar = "[end:|begin:]ID",
     .shown = "begin:50256 in llm.c's u16 files, the tokenizer's end id in other token "
              "files without an index",
     .help = "the id that ends, or begins, each document of token files"},
    {.name = "val", .kind = CLI_TEXT, .metavar = "PATH", .complete = CLI_FILES,
     .help = "validation text, folder or token file"},
    {.name = "val-fraction", .kind = CLI_REAL, .metavar = "X", .fallback = "0.1",
     .min = 0, .max = 0.9,
     .help = "without --val: the last part of the data that validates; 0 is none"},
    {.name = "tokenizer", .kind = CLI_TEXT, .metavar = "byte|FILE", .fallback = "byte",
     .complete = CLI_FILES,
     .help = "how text becomes tokens; without it the tokenizer.json beside the model of "
             "--init or in --out, where there is one"},
    {.name = "out", .letter = 'o', .kind = CLI_TEXT, .metavar = "DIR",
     .complete = CLI_FOLDERS,
     .help = "folder of the result: model, checkpoints, tokens, metrics.jsonl, "
             "TensorBoard's event files"},
    {.name = "resume", .kind = CLI_FLAG,
     .help = "continue what is in --out, or start anew where nothing is there; data, "
             "model and the options that shape the numbers must be the same, --type and "
             "--val aside, but with --schedule constant --steps and --max-minutes may "
             "change, with wsd --steps while the rate does not fall yet"},
};

static const cli_option model_options[] = {
    {.name = "init", .kind = CLI_TEXT, .metavar = "MODEL", .complete = CLI_FILES,
     .help = "begin with the weights of this model, in any layout that can be opened; "
             "its tokenizer and side files are copied into --out, unless --tokenizer is "
             "given"},
    {.name = "preset", .kind = CLI_CHOICE, .metavar = "NAME", .words = rn_preset_name,
     .shown = "nano", .help = "a new model in this shape (see retnet info --presets)"},
    {.name = "config", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "a new model in the shape of a config.json in any dialect"},
    {.name = "set", .kind = CLI_LIST, .metavar = "KEY=VALUE",
     .help = "change one key of the config; may be given several times; with --init only "
             "keys that change no shape, such as dropout"},
    {.name = "dropout", .kind = CLI_REAL, .metavar = "P", .shown = "the config's",
     .min = 0, .max = 0.95, .help = "probability that an activation is dropped"},
};

static const cli_option step_options[] = {
    {.name = "steps", .letter = 'n', .kind = CLI_INT, .metavar = "N", .fallback = "1000",
     .min = 1, .max = 0x1p53,
     .help = "optimizer steps in all; with --max-minutes alone there is no limit"},
    {.name = "max-minutes", .kind = CLI_REAL, .metavar = "X", .fallback = "0", .min = 0,
     .max = 1e8, .unit = "minutes",
     .help = "end after this time, evaluated and saved; the schedule is then as far as "
             "the larger of the used parts of steps and time, and the warm-up ends after "
             "a tenth of the time at the latest; 0 is no limit"},
    {.name = "batch", .letter = 'b', .kind = CLI_INT, .metavar = "N", .fallback = "8",
     .min = 1, .max = 1048576, .help = "rows of a micro-batch"},
    {.name = "seq", .kind = CLI_INT, .metavar = "N", .fallback = "256", .min = 1,
     .max = 1073741824, .unit = "tokens", .help = "length of a row"},
    {.name = "accum", .kind = CLI_INT, .metavar = "N", .fallback = "1", .min = 1,
     .max = 1048576, .help = "micro-batches of a step"},
    {.name = "form", .kind = CLI_CHOICE, .choices = train_forms, .fallback = "chunkwise",
     .help = "form of retention that computes"},
    {.name = "chunk", .kind = CLI_INT, .metavar = "C", .min = 1, .max = 1048576,
     .unit = "tokens", .shown = "the one that measured best",
     .help = "length of a chunk"},
    {.name = "type", .kind = CLI_CHOICE, .choices = types, .fallback = "f32",
     .help = "numbers that dense products multiply; weights, sums, states and the "
             "optimizer are float32 with either"},
    {.name = "recompute", .kind = CLI_FLAG,
     .help = "compute activations again in the backward pass: less memory, more time"},
};

static const cli_option optimizer_options[] = {
    {.name = "lr", .kind = CLI_REAL, .metavar = "X", .fallback = "6e-4", .min = 0,
     .max = 100, .help = "peak learning rate"},
    {.name = "min-lr", .kind = CLI_REAL, .metavar = "X", .shown = "a tenth of --lr",
     .min = 0, .max = 100, .help = "learning rate at the end"},
    {.name = "warmup", .kind = CLI_INT, .metavar = "N", .fallback = "100", .min = 0,
     .max = 0x1p53, .help = "steps in which the rate rises to its peak"},
    {.name = "schedule", .kind = CLI_CHOICE, .choices = schedules, .fallback = "linear",
     .help = "how the rate falls after the warm-up; wsd holds it and falls at the end"},
    {.name = "decay-fraction", .kind = CLI_REAL, .metavar = "X", .fallback = "0.2",
     .min = 1e-6, .max = 1,
     .help = "with wsd: the last part of the run, in which the rate falls to --min-lr on "
             "a line"},
    {.name = "weight-decay", .kind = CLI_REAL, .metavar = "X", .fallback = "0.05",
     .min = 0, .max = 1000, .help = "AdamW decay of matrices"},
    {.name = "beta1", .kind = CLI_REAL, .metavar = "X", .fallback = "0.9", .min = 0,
     .max = 0.999999, .help = "AdamW decay of the first moment"},
    {.name = "beta2", .kind = CLI_REAL, .metavar = "X", .fallback = "0.98", .min = 0,
     .max = 0.9999999, .help = "AdamW decay of the second moment"},
    {.name = "clip", .kind = CLI_REAL, .metavar = "X", .fallback = "1", .min = 0,
     .max = 1e9, .help = "largest norm of the gradient; 0 is no clipping"},
};

static const cli_option record_options[] = {
    {.name = "eval-every", .kind = CLI_INT, .metavar = "N", .fallback = "500", .min = 0,
     .max = 0x1p53, .help = "steps between evaluations; 0 is only at the end"},
    {.name = "save-every", .kind = CLI_INT, .metavar = "N", .fallback = "500", .min = 0,
     .max = 0x1p53,
     .help = "steps between checkpoints; 0 is only at the end. Where the validation loss "
             "is the best so far there is one too, and --out/best links to it"},
    {.name = "keep", .kind = CLI_INT, .metavar = "N", .fallback = "1", .min = 0,
     .max = 1000000,
     .help = "keep the newest N checkpoints, --out/step-..., besides the best; the "
             "latest is always kept"},
    {.name = "sample-every", .kind = CLI_INT, .metavar = "N", .fallback = "0", .min = 0,
     .max = 0x1p53, .help = "steps between sample texts; 0 is none"},
    {.name = "sample-prompt", .kind = CLI_TEXT, .metavar = "TEXT",
     .shown = "the beginning of a document", .help = "what a sample begins with"},
    {.name = "sample-tokens", .kind = CLI_INT, .metavar = "N", .fallback = "100",
     .min = 1, .max = 1000000, .unit = "tokens", .help = "length of a sample"},
    {.name = "no-tensorboard", .kind = CLI_FLAG,
     .help = "write no event files for TensorBoard"},
};
/* clang-format on */

static const cli_group data_group = CLI_GROUP("Data", data_options);
static const cli_group model_group = CLI_GROUP("Model", model_options);
static const cli_group step_group = CLI_GROUP("Steps", step_options);
static const cli_group optimizer_group = CLI_GROUP("Optimizer", optimizer_options);
static const cli_group record_group =
    CLI_GROUP("Evaluation and checkpoints", record_options);

typedef struct training {
    const cli_args *args;
    const char *out;
    bool continues;     /* a checkpoint in out is resumed */
    bool new_out;       /* there was no out */
    bool reads_text;    /* some of the data are to be encoded */
    bool has_tokenizer; /* one that was asked for, or that a model brings */
    rn_exec *x;
    rn_model *model;
    rn_tokenizer *tokenizer;
    const char *tokenizer_from; /* its name or file, or the model that brings it */
    cli_data data;
    cli_progress progress;
    double val_loss, val_bits; /* of the latest evaluation, NaN before */
} training;

static int check_model_options(const cli_args *args, rn_error *err)
{
    bool init = cli_given(args, "init"), preset = cli_given(args, "preset");
    bool config = cli_given(args, "config");
    if (init + preset + config > 1)
        return cli_usage(err, "only one of --init, --preset and --config can be given");
    return CLI_DONE;
}

static int check_options(const cli_args *args, rn_error *err)
{
    if (!cli_given(args, "data")) return cli_usage(err, "--data PATH is missing");
    if (!cli_given(args, "out")) return cli_usage(err, "--out DIR is missing");
    if (cli_given(args, "val") && cli_given(args, "val-fraction"))
        return cli_usage(err, "both --val and --val-fraction are given");
    if (cli_given(args, "min-lr") && cli_real(args, "min-lr") > cli_real(args, "lr"))
        return cli_usage(err, "--min-lr: %g is above --lr %g", cli_real(args, "min-lr"),
                         cli_real(args, "lr"));
    if (cli_given(args, "chunk") && cli_int(args, "form") != RN_FORM_CHUNKWISE)
        return cli_usage(err, "--chunk: only with --form chunkwise");
    if (cli_given(args, "decay-fraction") && cli_int(args, "schedule") != RN_SCHEDULE_WSD)
        return cli_usage(err, "--decay-fraction: only with --schedule wsd");
    return check_model_options(args, err);
}

/* What can be seen of files before any work. */
static int check_files(training *t, rn_error *err)
{
    int code = cli_data_check(t->args, err);
    if (!code) code = cli_check_input(cli_text(t->args, "init"), err);
    if (code) return code;
    bool resumable = rn_train_resumable(t->out);
    t->continues = resumable && cli_int(t->args, "resume");
    t->new_out = access(t->out, F_OK) != 0;
    t->reads_text = cli_data_reads_text(t->args, t->out);
    if (resumable && !t->continues)
        return cli_fail(err, "%s: holds a checkpoint; --resume continues it", t->out);
    return CLI_DONE;
}

/* Whether the ids are the tokenizer's: token files are not, where nobody names one. */
static bool follows_tokenizer(const training *t)
{
    return t->reads_text || t->has_tokenizer;
}

/* A new model: the shape of --preset or --config, with the tokenizer's vocabulary in a
   preset, and --set over all. */
static int create_model(training *t, rn_error *err)
{
    rn_model_source source = cli_source(t->args);
    char vocab[48];
    size_t count = 0;
    const char **settings = calloc(source.settings_count + 1, sizeof *settings);
    if (!settings) return cli_fail(err, "out of memory for --set");
    if (!source.preset && !source.config_path) source.preset = "nano";
    if (source.preset && follows_tokenizer(t)) {
        snprintf(vocab, sizeof vocab, "vocab_size=%zu", rn_tokenizer_vocab(t->tokenizer));
        settings[count++] = vocab;
    }
    for (size_t i = 0; i < source.settings_count; i++)
        settings[count++] = source.settings[i];
    source.settings = settings;
    source.settings_count = count;

    rn_model *described = NULL;
    int code = cli_describe(&source, &described, err);
    rn_model_free(described);
    uint64_t seed = (uint64_t)cli_int(t->args, "seed");
    if (!code) code = cli_code(rn_model_create(&t->model, t->x, &source, seed, err));
    free(settings);
    return code;
}

static int open_checkpoint(training *t, rn_error *err)
{
    char *folder = NULL;
    rn_status st = rn_train_checkpoint(&folder, t->out, err);
    if (!st) st = rn_model_open(&t->model, t->x, folder, err);
    free(folder);
    return cli_code(st);
}

/* A model that there is, with --set on what its tensors do not depend on. */
static int open_init(training *t, const char *path, rn_error *err)
{
    const cli_value *set = cli_get(t->args, "set");
    int code = cli_code(rn_model_open(&t->model, t->x, path, err));
    if (code || !set->count) return code;
    rn_error why;
    if (!rn_model_set(t->model, set->list, set->count, &why)) return CLI_DONE;
    return cli_usage(err, "--set: %s", why.message);
}

/* Whether the model has all ids that the tokenizer gives. Text wants a model of just
   these ids, but for one that came padded; token files may well have more. */
static int check_vocabulary(const training *t, rn_error *err)
{
    rn_model_info info;
    if (!follows_tokenizer(t)) return CLI_DONE;
    rn_model_info_get(t->model, &info);
    size_t ids = rn_tokenizer_vocab(t->tokenizer);
    const bool may_pad = !t->reads_text || cli_given(t->args, "init") ||
                         !rn_tokenizer_bytewise(t->tokenizer);
    if (ids == info.vocab_size || (may_pad && ids < info.vocab_size)) return CLI_DONE;
    return cli_usage(err,
                     "--tokenizer: %s has %zu ids, but the model's vocab_size is %zu",
                     t->tokenizer_from, ids, info.vocab_size);
}

/* Samples need a tokenizer; one of bytes does for the ids of bytes alone. */
static int check_samples(const training *t, rn_error *err)
{
    rn_model_info info;
    if (!cli_int(t->args, "sample-every") || follows_tokenizer(t)) return CLI_DONE;
    rn_model_info_get(t->model, &info);
    if (info.vocab_size == rn_tokenizer_vocab(t->tokenizer)) return CLI_DONE;
    return cli_usage(
        err,
        "--sample-every: the data are token files and the model has %zu ids: "
        "--tokenizer has to say what they mean",
        info.vocab_size);
}

/* A resumed run without model options takes the model from the checkpoint; with them the
   library compares the config. */
static int open_model(training *t, rn_error *err)
{
    bool shape = cli_given(t->args, "preset") || cli_given(t->args, "config") ||
                 cli_given(t->args, "set");
    const char *init = cli_text(t->args, "init");
    int code;
    if (t->continues && !shape) code = open_checkpoint(t, err);
    else if (init) code = open_init(t, init, err);
    else code = create_model(t, err);
    if (code) return code;
    const char *config = cli_text(t->args, "config");
    cli_warn_of_keys(t->args, t->model, init ? init : config ? config : t->out);
    code = check_vocabulary(t, err);
    return code ? code : check_samples(t, err);
}

static int open_tokens(training *t, rn_error *err)
{
    cli_reading how;
    cli_progress_show(&t->progress, "reading the data");
    int code = cli_reading_of(&how, t->args, t->tokenizer, &t->progress, err);
    how.certain = follows_tokenizer(t);
    return code ? code : cli_data_open(&t->data, t->args, t->out, &how, err);
}

/* The folder is this run's: its own files may take their places. */
static rn_status on_accepted(void *user, rn_error *err)
{
    training *t = user;
    if (cli_data_place(&t->data, err)) return RN_EIO;
    rn_status st = rn_tokenizer_copy(cli_text(t->args, "tokenizer"), t->out, err);
    if (st) return st;
    cli_tokens_sweep(t->out);
    cli_progress_clear(&t->progress);
    return RN_OK;
}

/* Takes back what was made for a run that did not begin; rmdir removes empty folders
   only. */
static void drop_files(training *t)
{
    cli_data_close(&t->data);
    if (!t->new_out) return;
    char *folder = cli_join(t->out, "data");
    if (folder) rmdir(folder);
    rmdir(t->out);
    free(folder);
}

static void show_progress(training *t, const rn_train_progress *p)
{
    char step[56], val[64] = "", rate[24], eta[24], skipped[40] = "";
    if (!cli_progress_due(&t->progress)) return;
    if (p->steps) snprintf(step, sizeof step, "%" PRIu64 "/%" PRIu64, p->step, p->steps);
    else snprintf(step, sizeof step, "%" PRIu64, p->step);
    if (isfinite(t->val_bits))
        snprintf(val, sizeof val, "  val %.4f (%.3f bits/byte)", t->val_loss,
                 t->val_bits);
    else if (isfinite(t->val_loss)) snprintf(val, sizeof val, "  val %.4f", t->val_loss);
    if (!p->step) {
        cli_progress_show(&t->progress, "step %s%s", step, val);
        return;
    }
    if (p->eta < 0) snprintf(eta, sizeof eta, "?");
    else cli_duration(eta, p->eta);
    if (p->skipped) snprintf(skipped, sizeof skipped, "  skipped %" PRIu64, p->skipped);
    cli_progress_show(&t->progress, "step %s  loss %.4f%s%s  %s tokens/s  ETA %s", step,
                      p->smooth_loss, val, skipped, cli_short(rate, p->tokens_per_second),
                      eta);
}

/* On standard error with the progress; plain but for ends of lines and tabs. */
static void show_sample(training *t, uint64_t step, const char *text)
{
    if (t->progress.quiet) return;
    cli_progress_clear(&t->progress);
    fprintf(stderr, "sample at step %" PRIu64 ":\n", step);
    for (size_t n; *text; text += n ? n : 1) {
        n = *text == '\n' || *text == '\t' ? 0 : cli_control(text);
        fputc(n ? '?' : *text, stderr);
    }
    fputc('\n', stderr);
}

static void on_progress(void *user, const rn_train_progress *p, bool *stop)
{
    training *t = user;
    if (p->evaluated) {
        t->val_loss = p->val_loss;
        t->val_bits = p->val_bits_per_byte;
    }
    if (p->val_changed) {
        cli_progress_clear(&t->progress);
        cli_note(t->args, "the validation data are not those of the checkpoint: the best "
                          "loss begins anew");
    }
    if (p->sample) show_sample(t, p->step, p->sample);
    show_progress(t, p);
    if (cli_interrupted()) *stop = true;
}

static rn_train_options train_options(const cli_args *args)
{
    rn_train_options o = rn_train_defaults();
    bool timed = cli_real(args, "max-minutes") > 0;
    o.steps = timed && !cli_given(args, "steps") ? 0 : (uint64_t)cli_int(args, "steps");
    o.batch = (size_t)cli_int(args, "batch");
    o.seq = (size_t)cli_int(args, "seq");
    o.accum = (size_t)cli_int(args, "accum");
    o.lr = cli_real(args, "lr");
    o.min_lr = cli_given(args, "min-lr") ? cli_real(args, "min-lr") : o.lr / 10;
    o.warmup = (uint64_t)cli_int(args, "warmup");
    o.schedule = (rn_schedule)cli_int(args, "schedule");
    o.decay = cli_real(args, "decay-fraction");
    o.beta1 = cli_real(args, "beta1");
    o.beta2 = cli_real(args, "beta2");
    o.weight_decay = cli_real(args, "weight-decay");
    o.clip = cli_real(args, "clip");
    o.dropout = cli_given(args, "dropout") ? cli_real(args, "dropout") : -1;
    o.form = (rn_form)cli_int(args, "form");
    o.chunk = (size_t)cli_int(args, "chunk");
    o.recompute = cli_int(args, "recompute") != 0;
    o.seed = (uint64_t)cli_int(args, "seed");
    return o;
}

static int print_json(const training *t, const rn_train_result *r, bool stopped,
                      rn_error *err)
{
    rn_model_info info;
    rn_model_info_get(t->model, &info);
    json_t *object = json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:b, s:I}", "steps",
        (json_int_t)r->steps, "tokens", (json_int_t)r->tokens, "train_loss",
        cli_json_real(r->train_loss), "val_loss", cli_json_real(r->val_loss),
        "val_bits_per_byte", cli_json_real(r->val_bits_per_byte), "best_val_loss",
        cli_json_real(r->best_val_loss), "first_val_bits_per_byte",
        cli_json_real(r->first_val_bits_per_byte), "tokens_per_second",
        cli_json_real(r->tokens_per_second), "seconds", cli_json_real(r->seconds),
        "skipped_steps", (json_int_t)r->skipped_steps, "checkpoint",
        cli_json_text(r->checkpoint), "parameters", (json_int_t)info.parameters,
        "interrupted", stopped, "best_step", (json_int_t)r->best_step);
    return cli_print_json(object, err);
}

static int print_result(const training *t, const rn_train_result *r, bool stopped,
                        rn_error *err)
{
    char text[24], time[24];
    if (cli_int(t->args, "json")) return print_json(t, r, stopped, err);
    cli_line("steps", "%" PRIu64 " (%s tokens)%s", r->steps,
             cli_short(text, (double)r->tokens), stopped ? ", interrupted" : "");
    if (isfinite(r->train_loss))
        cli_line("training loss", "%.4f nats a token", r->train_loss);
    if (isfinite(r->val_loss)) cli_line("validation loss", "%.4f", r->val_loss);
    if (r->best_step)
        cli_line("best", "%.4f at step %" PRIu64 ", %s/best", r->best_val_loss,
                 r->best_step, r->checkpoint);
    if (isfinite(r->val_bits_per_byte) && isfinite(r->first_val_bits_per_byte))
        cli_line("bits per byte", "%.4f before, %.4f after", r->first_val_bits_per_byte,
                 r->val_bits_per_byte);
    else if (isfinite(r->val_bits_per_byte))
        cli_line("bits per byte", "%.4f", r->val_bits_per_byte);
    if (r->skipped_steps) cli_line("skipped steps", "%" PRIu64, r->skipped_steps);
    cli_line("time", "%s, %s tokens/s", cli_duration(time, r->seconds),
             cli_short(text, r->tokens_per_second));
    cli_line("checkpoint", "%s", r->checkpoint);
    return CLI_DONE;
}

static rn_train_samples samples_of(const training *t)
{
    return (rn_train_samples){.every = (uint64_t)cli_int(t->args, "sample-every"),
                              .tokenizer = t->tokenizer,
                              .prompt = cli_text(t->args, "sample-prompt"),
                              .tokens = (size_t)cli_int(t->args, "sample-tokens")};
}

static int train(training *t, rn_error *err)
{
    const cli_args *args = t->args;
    rn_train_result result;
    rn_train_run_options options = {
        .train = train_options(args),
        .out = t->out,
        .sources = t->data.sources,
        .source_count = t->data.count,
        .val = t->data.val,
        .eval_every = (uint64_t)cli_int(args, "eval-every"),
        .save_every = (uint64_t)cli_int(args, "save-every"),
        .keep = (uint64_t)cli_int(args, "keep"),
        .events = !cli_int(args, "no-tensorboard"),
        .samples = samples_of(t),
        .companions = cli_given(args, "tokenizer") ? NULL : cli_text(args, "init"),
        .resume = cli_int(args, "resume") != 0,
        .max_minutes = cli_real(args, "max-minutes"),
        .progress = on_progress,
        .accepted = on_accepted,
        .user = t};
    rn_error stopped;
    rn_status st = rn_train_run(t->model, &options, &result, &stopped);
    cli_progress_clear(&t->progress);
    if (st && st != RN_EINTERRUPTED) {
        *err = stopped;
        return CLI_FAILED;
    }
    int code = print_result(t, &result, st != RN_OK, err);
    return code ? code : cli_code(st);
}

/* The tokenizer that lies with a model, if none was found before. */
static int find_tokenizer(training *t, const char *model, rn_error *err)
{
    if (!model || t->has_tokenizer) return CLI_DONE;
    rn_status st = rn_tokenizer_open_of_model(&t->tokenizer, model, err);
    if (st == RN_ENOTFOUND) return CLI_DONE;
    t->has_tokenizer = !st;
    t->tokenizer_from = model;
    return cli_code(st);
}

/* A tokenizer.json in the folder of the result becomes part of every checkpoint, so it
   has to be the one that encodes. */
static int check_tokenizer(const training *t, rn_error *err)
{
    char *file = cli_join(t->out, "tokenizer.json");
    if (!file) return cli_fail(err, "out of memory for a path");
    int code = CLI_DONE;
    if (rn_tokenizer_bytewise(t->tokenizer) && !access(file, F_OK))
        code = cli_fail(err,
                        "--tokenizer: byte, but %s is there, and the model would be used "
                        "with it",
                        file);
    free(file);
    return code;
}

/* The one that is asked for, that of the model which is continued or begun with, what
   lies in the folder of the result, or bytes. */
static int open_tokenizer(training *t, rn_error *err)
{
    const char *name = cli_text(t->args, "tokenizer");
    int code = CLI_DONE;
    t->has_tokenizer = cli_given(t->args, "tokenizer");
    t->tokenizer_from = name;
    if (t->has_tokenizer) code = cli_code(rn_tokenizer_open(&t->tokenizer, name, err));
    if (!code && !t->continues) code = find_tokenizer(t, cli_text(t->args, "init"), err);
    if (!code && cli_is_folder(t->out)) code = find_tokenizer(t, t->out, err);
    if (!code && !t->tokenizer)
        code = cli_code(rn_tokenizer_open(&t->tokenizer, name, err));
    return code ? code : check_tokenizer(t, err);
}

static int prepare(training *t, rn_error *err)
{
    bool bf16 = !strcmp(cli_text(t->args, "type"), "bf16");
    int code = cli_open_exec_as(t->args, bf16, &t->x, err);
    if (!code && bf16 && !rn_exec_bf16(t->x))
        cli_note(t->args,
                 "this processor has no bfloat16 dot products: they are float32");
    if (!code) code = open_tokenizer(t, err);
    if (!code) code = open_model(t, err);
    if (!code) code = open_tokens(t, err);
    return !code && cli_interrupted() ? CLI_INTERRUPTED : code;
}

static int run(const cli_args *args, rn_error *err)
{
    training t = {
        .args = args, .out = cli_text(args, "out"), .val_loss = NAN, .val_bits = NAN};
    int code = check_options(args, err);
    if (!code) code = check_files(&t, err);
    if (code) return code;
    cli_interrupt_remember();
    cli_progress_start(&t.progress, args);
    code = prepare(&t, err);
    if (!code) code = train(&t, err);
    cli_progress_clear(&t.progress);
    rn_tokenizer_free(t.tokenizer);
    rn_model_free(t.model);
    rn_exec_close(t.x);
    drop_files(&t);
    return code;
}

static const cli_group *const groups[] = {
    &data_group,   &model_group,         &step_group, &optimizer_group,
    &record_group, &cli_common_but_type, NULL};

const cli_command cli_train = {
    .name = "train",
    .summary = "train a model on text",
    .arguments = "--data PATH... --out DIR",
    .about =
        "Trains a new model, or one that there is, on text files, with a progress line "
        "on "
        "standard error. --out receives the model, a checkpoint that --resume continues "
        "bit for bit, the tokens, metrics.jsonl with one line a step, and event files "
        "for TensorBoard. With validation text --out/best is the checkpoint with the "
        "lowest validation loss.\n\n"
        "Ctrl-C stops after the step at hand and saves; a second one ends at once, and "
        "the last checkpoint stays.",
    .groups = groups,
    .examples =
        {"retnet train --data book.txt --out model --max-minutes 2",
         "The smallest preset on one text for two minutes.",
         "retnet train --data texts/ --out model --preset 200m --steps 20000 --resume",
         "A larger one; the same line continues it after an interruption."},
    .run = run,
};

/*
 * retnet eval: loss, perplexity and bits per byte of a text or of given ids, by any form;
 * and on request the logits and gradients as safetensors, so that others can check the
 * numbers.
 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "inputs.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"
#include "stored.h"
#include "tokens.h"

#include "retnet/eval.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
static const cli_option text_options[] = {
    {.name = "text", .kind = CLI_TEXT, .metavar = "PATH", .complete = CLI_FILES,
     .help = "a text file or a JSONL file with a \"text\" field, plain or .zst, a token "
             "file (.bin of nanoGPT, llm.c, Megatron), or a folder of them"},
    {.name = "documents", .kind = CLI_CHOICE, .choices = cli_on_off, .fallback = "on",
     .help = "begin anew at each document of --text: files, lines of JSONL, and what an "
             "index names; with --logits and --grads the text is one row"},
    {.name = "document-token", .kind = CLI_TEXT, .metavar = "[end:|begin:]ID",
     .shown = "begin:50256 in llm.c's u16 files, the tokenizer's end id in other token "
              "files without an index",
     .help = "the id that ends, or begins, each document of token files"},
    {.name = "ids", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "rows of ids: a JSON array of arrays, or a safetensors file with a tensor "
             "ids"},
};
/* clang-format on */
/* clang-format off */
static const cli_option how_options[] = {
    {.name = "form", .kind = CLI_CHOICE, .choices = cli_forms, .fallback = "chunkwise",
     .help = "which of the three forms computes"},
    {.name = "chunk", .kind = CLI_INT, .metavar = "C", .min = 1, .max = 1048576,
     .unit = "tokens", .shown = "the one that measured best",
     .help = "length of a chunk in the chunkwise form"},
    {.name = "row-norm", .kind = CLI_CHOICE, .choices = cli_row_norms, .fallback = "auto",
     .help = "factor on each row before the head norm; auto is what the model's own "
             "code uses in this form"},
    {.name = "window", .kind = CLI_INT, .metavar = "N", .min = 1, .max = 0x1p40,
     .unit = "tokens", .shown = "never",
     .help = "with --text: the state starts anew every N tokens"},
};
/* clang-format on */
/* clang-format off */
static const cli_option file_options[] = {
    {.name = "logits", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "write the logits of all positions as a safetensors file"},
    {.name = "grads", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "write the gradient of the loss by every tensor (grad.NAME) as a "
             "safetensors file"},
};
/* clang-format on */
static const cli_group text_group = CLI_GROUP("What to read", text_options);
static const cli_group how_group = CLI_GROUP("How to compute", how_options);
static const cli_group file_group = CLI_GROUP("What to write", file_options);

typedef struct evaluation {
    const cli_args *args;
    cli_model m;
    rn_eval_options options;
    rn_eval_result result;
    cli_progress progress;
    int32_t *ids; /* [batch][length] with --ids, --logits or --grads */
    size_t batch, length;
    uint64_t tokens, bytes; /* of the text; bytes 0: unknown */
} evaluation;

static void show_progress(void *user, uint64_t done, uint64_t total)
{
    evaluation *e = user;
    cli_progress_show(&e->progress, "%" PRIu64 "/%" PRIu64 " tokens (%.0f%%)", done,
                      total, total ? 100 * (double)done / (double)total : 100);
}

/* An allocation that can be larger than the machine: refused before the system would be
   asked to overcommit. */
static int allocate(float **out, size_t count, size_t each, const char *what,
                    rn_error *err)
{
    size_t floats, bytes;
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    bool fits = !__builtin_mul_overflow(count, each, &floats) &&
                !__builtin_mul_overflow(floats, sizeof **out, &bytes) &&
                (double)bytes <= memory;
    *out = fits ? malloc(bytes ? bytes : 1) : NULL;
    if (*out) return CLI_DONE;
    return cli_fail(err, "%s: %zu times %zu numbers do not fit into memory", what, count,
                    each);
}

static int write_logits(evaluation *e, const float *logits, rn_error *err)
{
    rn_named_tensor t = {.name = "logits",
                         .dims = 3,
                         .shape = {e->batch, e->length, e->m.info.vocab_size},
                         .data = logits};
    return cli_code(rn_tensors_write(cli_text(e->args, "logits"), &t, 1, err));
}

/* Rows that can be evaluated; what is wrong is told of the file that they come from. */
static int check_rows(const evaluation *e, rn_error *err)
{
    const char *path = cli_text(e->args, cli_given(e->args, "ids") ? "ids" : "text");
    size_t vocab = e->m.info.vocab_size;
    if (e->length < 2)
        return cli_fail(err, "%s: rows of %zu leave nothing to predict", path, e->length);
    for (size_t i = 0; i < e->batch * e->length; i++)
        if (e->ids[i] < 0 || (size_t)e->ids[i] >= vocab)
            return cli_fail(
                err, "%s: id %d at row %zu, index %zu is outside the vocabulary of %zu",
                path, (int)e->ids[i], i / e->length, i % e->length, vocab);
    return CLI_DONE;
}

static int eval_rows(evaluation *e, rn_error *err)
{
    float *logits = NULL;
    size_t rows = e->batch * e->length; /* ids of this many are in memory */
    int code = check_rows(e, err);
    if (!code && cli_given(e->args, "logits"))
        code = allocate(&logits, rows, e->m.info.vocab_size, "--logits", err);
    if (!code)
        code = cli_code(rn_eval_ids(e->m.model, e->ids, e->batch, e->length, &e->options,
                                    logits, &e->result, err));
    if (!code && logits) code = write_logits(e, logits, err);
    free(logits);
    return code;
}

static rn_named_tensor gradient_of(const rn_model_tensor *t, const char *name,
                                   const float *data)
{
    return (rn_named_tensor){
        .name = name, .dims = t->dims, .shape = {t->shape[0], t->shape[1]}, .data = data};
}

static size_t numbers_of(const rn_model_tensor *t)
{
    return t->shape[0] * (t->dims > 1 ? t->shape[1] : 1);
}

/* Gradients of all parameters lie in one block, in the model's order, and are told as the
   stored tensors; the number of those in *kept. */
static int place_gradients(const rn_model *model, float **block, float **grads,
                           rn_named_tensor *tensors, char (*names)[256], size_t *kept,
                           rn_error *err)
{
    size_t count = rn_model_tensor_count(model), floats = 0, n = 0;
    for (size_t i = 0; i < count; i++) {
        rn_model_tensor t = rn_model_tensor_at(model, i);
        floats += numbers_of(&t);
    }
    int code = allocate(block, floats, 1, "--grads", err);
    if (code) return code;
    float *at = *block;
    for (size_t i = 0, next; i < count; i = next, n++) {
        rn_model_tensor stored;
        next = cli_stored_tensor(model, i, &stored);
        snprintf(names[n], sizeof names[n], "grad.%s", stored.name);
        tensors[n] = gradient_of(&stored, names[n], at);
        for (size_t k = i; k < next; k++) {
            rn_model_tensor t = rn_model_tensor_at(model, k);
            grads[k] = at;
            at += numbers_of(&t);
        }
    }
    *kept = n;
    return CLI_DONE;
}

static int write_gradients(evaluation *e, rn_error *err)
{
    size_t count = rn_model_tensor_count(e->m.model), kept = 0;
    float *block = NULL, **grads = calloc(count + 1, sizeof *grads);
    rn_named_tensor *tensors = calloc(count + 1, sizeof *tensors);
    char(*names)[256] = calloc(count + 1, sizeof *names);
    double loss;
    int code = CLI_DONE;
    if (!grads || !tensors || !names) code = cli_fail(err, "--grads: out of memory");
    if (!code)
        code = place_gradients(e->m.model, &block, grads, tensors, names, &kept, err);
    if (!code)
        code = cli_code(rn_eval_gradients(e->m.model, e->ids, e->batch, e->length,
                                          &e->options, grads, &loss, err));
    if (!code)
        code = cli_code(rn_tensors_write(cli_text(e->args, "grads"), tensors, kept, err));
    free(names);
    free(tensors);
    free(grads);
    free(block);
    return code;
}

/* A text that is short enough to be one row of ids. */
static int text_as_row(evaluation *e, const rn_tokens *tokens, rn_error *err)
{
    uint64_t count = rn_tokens_count(tokens);
    if (count > SIZE_MAX / sizeof *e->ids)
        return cli_fail(err, "--text: %" PRIu64 " tokens do not fit into memory", count);
    e->ids = malloc((size_t)count * sizeof *e->ids + 1);
    if (!e->ids) return cli_fail(err, "--text: out of memory for %" PRIu64 " ids", count);
    e->batch = 1;
    e->length = (size_t)count;
    return cli_code(rn_tokens_read(tokens, 0, (size_t)count, e->ids, err));
}

static int eval_text(evaluation *e, rn_error *err)
{
    const char *path = cli_text(e->args, "text");
    bool rows = cli_given(e->args, "logits") || cli_given(e->args, "grads");
    rn_tokens *tokens = NULL;
    if (!e->m.tokenizer && !cli_is_token_file(path, NULL))
        return cli_fail(err,
                        "%s: a vocabulary of %zu ids, for which this version has no "
                        "tokenizer; use --ids or a token file",
                        e->m.label, e->m.info.vocab_size);
    cli_reading how;
    int code = cli_reading_of(&how, e->args, e->m.tokenizer, &e->progress, err);
    if (code) return code;
    cli_interrupt_remember();
    code = cli_tokens_temporary(&how, path, &tokens, err);
    cli_interrupt_exit();
    if (code) return code;
    if (e->m.tokenizer)
        code = cli_code(rn_tokens_count_text(tokens, e->m.tokenizer, err));
    e->tokens = rn_tokens_count(tokens);
    e->bytes = rn_tokens_text_bytes(tokens);
    if (code) {
        rn_tokens_free(tokens);
        return code;
    }
    if (e->tokens < 2)
        code = cli_fail(err, "%s: %" PRIu64 " tokens leave nothing to predict", path,
                        e->tokens);
    else if (rows) code = text_as_row(e, tokens, err);
    else
        code = cli_code(rn_eval_tokens(e->m.model, tokens, &e->options, &e->result, err));
    rn_tokens_free(tokens);
    return code;
}

/* Where the text's size is unknown, the byte tokenizer's ids are a byte each. */
static void complete_bytes(evaluation *e)
{
    rn_eval_result *r = &e->result;
    r->bytes = e->bytes;
    if (!r->bytes && e->m.bytewise) r->bytes = e->tokens;
    r->bits_per_byte = rn_eval_bits_per_byte(r->loss, e->tokens, r->bytes);
}

static int print_json(const evaluation *e, rn_error *err)
{
    const rn_eval_result *r = &e->result;
    double rate = r->seconds > 0 ? (double)r->tokens / r->seconds : NAN;
    json_t *bytes =
        isfinite(r->bits_per_byte) ? json_integer((json_int_t)r->bytes) : json_null();
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:I, s:o, s:s, s:s, s:o, s:o}", "loss", cli_json_real(r->loss),
        "perplexity", cli_json_real(r->perplexity), "bits_per_byte",
        cli_json_real(r->bits_per_byte), "tokens", (json_int_t)r->tokens, "bytes", bytes,
        "form", cli_forms[e->options.form], "row_norm", cli_row_norms[r->row_norm],
        "tokens_per_second", cli_json_real(rate), "seconds", cli_json_real(r->seconds));
    return cli_print_json(object, err);
}

static int print_result(const evaluation *e, rn_error *err)
{
    const rn_eval_result *r = &e->result;
    char text[24];
    if (cli_int(e->args, "json")) return print_json(e, err);
    cli_line("loss", "%.6f nats a token", r->loss);
    cli_line("perplexity", "%.4f", r->perplexity);
    if (isfinite(r->bits_per_byte)) cli_line("bits per byte", "%.4f", r->bits_per_byte);
    cli_line("tokens", "%" PRIu64, r->tokens);
    cli_line("form", "%s, row norm %s", cli_forms[e->options.form],
             cli_row_norms[r->row_norm]);
    if (r->seconds > 0)
        cli_line("time", "%.2f s, %s tokens/s", r->seconds,
                 cli_short(text, (double)r->tokens / r->seconds));
    return CLI_DONE;
}

/* A file to be written that would take the place of one that is read. */
static int check_inputs(const cli_args *args, const char *option, const char *path,
                        rn_error *err)
{
    static const char *const inputs[] = {"text", "ids"};
    const char *model =
        args->operand_count ? args->operands[0] : cli_text(args, "config");
    char file[4096];
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        const char *in = cli_text(args, inputs[i]);
        if (in && cli_is_input(in, path))
            return cli_usage(err, "--%s: %s is read by --%s %s and would be lost", option,
                             path, inputs[i], in);
    }
    if (model && cli_is_of_model(model, path, file, sizeof file))
        return cli_usage(err, "--%s: %s is read as the model's %s and would be lost",
                         option, path, file);
    return CLI_DONE;
}

/* The place of a file to be written. */
static int check_output(const cli_args *args, const char *option, rn_error *err)
{
    const char *path = cli_text(args, option);
    struct stat status;
    if (!path) return CLI_DONE;
    if (!stat(path, &status) && S_ISDIR(status.st_mode))
        return cli_fail(err, "%s: is a folder, not a file to write", path);
    int code = cli_check_output(path, err);
    return code ? code : check_inputs(args, option, path, err);
}

static int check_files(const cli_args *args, rn_form form, rn_error *err)
{
    bool logits = cli_given(args, "logits"), grads = cli_given(args, "grads");
    if (grads && form == RN_FORM_RECURRENT)
        return cli_usage(err, "--grads: only with --form chunkwise or parallel");
    if (logits && grads &&
        cli_same_file(cli_text(args, "logits"), cli_text(args, "grads")))
        return cli_usage(err, "--logits and --grads name the same file");
    if (cli_given(args, "window") && (logits || grads || cli_given(args, "ids")))
        return cli_usage(err, "--window: only with --text, without --logits and --grads");
    cli_reading how;
    int code = cli_reading_of(&how, args, NULL, NULL, err);
    if (!code) code = cli_check_input(cli_text(args, "text"), err);
    if (!code) code = cli_check_input(cli_text(args, "ids"), err);
    if (!code) code = check_output(args, "logits", err);
    if (!code) code = check_output(args, "grads", err);
    return code;
}

static int check_options(const cli_args *args, const char *path, rn_error *err)
{
    bool text = cli_given(args, "text"), ids = cli_given(args, "ids");
    rn_form form = (rn_form)cli_int(args, "form");
    rn_row_norm norm = (rn_row_norm)cli_int(args, "row-norm");
    if (text && ids) return cli_usage(err, "both --text and --ids are given");
    if (!text && !ids) return cli_usage(err, "--text PATH or --ids FILE is missing");
    if (norm == RN_ROW_NORM_TORCHSCALE && form != RN_FORM_PARALLEL)
        return cli_usage(err,
                         "--row-norm: torchscale is defined for --form parallel only");
    if (cli_given(args, "chunk") && form != RN_FORM_CHUNKWISE)
        return cli_usage(err, "--chunk: only with --form chunkwise");
    if (cli_given(args, "grads") && cli_given(args, "type") &&
        cli_int(args, "type") > RN_WEIGHT_BF16)
        return cli_usage(err, "--grads: weights of type %s have no gradients",
                         cli_text(args, "type"));
    int code = cli_check_model(args, path, err);
    return code ? code : check_files(args, form, err);
}

static int evaluate(evaluation *e, rn_error *err)
{
    int code = CLI_DONE;
    if (cli_given(e->args, "text")) code = eval_text(e, err);
    if (!code && e->ids) code = eval_rows(e, err);
    if (!code && cli_given(e->args, "grads")) code = write_gradients(e, err);
    return code;
}

static int run(const cli_args *args, rn_error *err)
{
    const char *path = args->operand_count ? args->operands[0] : NULL;
    evaluation e = {.args = args};
    int code = check_options(args, path, err);
    if (code) return code;
    cli_interrupt_exit();
    cli_progress_start(&e.progress, args);
    e.options = (rn_eval_options){.form = (rn_form)cli_int(args, "form"),
                                  .chunk = (size_t)cli_int(args, "chunk"),
                                  .row_norm = (rn_row_norm)cli_int(args, "row-norm"),
                                  .window = (size_t)cli_int(args, "window"),
                                  .documents = cli_int(args, "documents") == 0,
                                  .progress = show_progress,
                                  .user = &e};
    if (cli_given(args, "ids"))
        code = cli_code(
            rn_ids_read(cli_text(args, "ids"), &e.ids, &e.batch, &e.length, err));
    e.tokens = (uint64_t)e.batch * e.length;
    if (!code) code = cli_open_model(args, path, &e.m, err);
    if (!code) code = evaluate(&e, err);
    cli_progress_clear(&e.progress);
    complete_bytes(&e);
    if (!code) code = print_result(&e, err);
    free(e.ids);
    cli_close_model(&e.m);
    return code;
}

static const cli_group *const groups[] = {&text_group,       &how_group,  &file_group,
                                          &cli_random_model, &cli_common, NULL};

const cli_command cli_eval = {
    .name = "eval",
    .summary = "loss, perplexity and bits per byte of a text or of given ids",
    .arguments = "MODEL",
    .max_operands = 1,
    .about = "Measures how well a model predicts: every token but the first is predicted "
             "once. "
             "The three forms give the same loss up to rounding.\n\n"
             "With --logits and --grads the numbers behind the loss are written out, "
             "under the "
             "tensor names of the model's own file.",
    .groups = groups,
    .examples =
        {"retnet eval model --text held-out.txt", "Loss and bits per byte of a text.",
         "retnet eval model --ids ids.json --form parallel --logits logits.safetensors",
         "The logits of given rows of ids."},
    .run = run,
};

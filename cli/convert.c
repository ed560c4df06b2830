/* retnet convert: a checkpoint in the layout of another program. The work is the
   library's; here are its options, progress and report. */
#include "commands.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"

#include "retnet/convert.h"

#include <inttypes.h>

static const char *const layouts[] = {"native", "hf-fla", "torchscale", "gguf", NULL};

/* clang-format off */
static const cli_option options[] = {
    {.name = "to", .kind = CLI_CHOICE, .choices = layouts,
     .help = "the layout to write: this library's own, flash-linear-attention's for "
             "Hugging Face, torchscale's, or one GGUF file"},
    {.name = "lossy", .kind = CLI_FLAG,
     .help = "go as near as the layout can where it cannot say the same, and tell what "
             "is lost"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("What to write", options);

typedef struct conversion {
    const cli_args *args;
    cli_progress progress;
    double begin; /* in seconds */
} conversion;

static bool show_progress(void *user, uint64_t done, uint64_t total)
{
    conversion *c = user;
    char a[32], b[32], time[24];
    cli_progress_show(&c->progress, "%.0f%%, %s of %s, %s",
                      total ? 100 * (double)done / (double)total : 100,
                      cli_bytes(a, done), cli_bytes(b, total),
                      cli_duration(time, cli_seconds() - c->begin));
    return cli_interrupted();
}

static void tell_lost(void *user, const char *what)
{
    const conversion *c = user;
    cli_note(c->args, "lost: %s", what);
}

static void tell_key(void *user, const char *key)
{
    const conversion *c = user;
    cli_warn_of_key(c->args, key, c->args->operands[0]);
}

static int print_report(const conversion *c, const rn_convert_report *r, rn_error *err)
{
    char bytes[32];
    if (cli_int(c->args, "json"))
        return cli_print_json(
            json_pack("{s:I, s:I, s:I}", "tensors", (json_int_t)r->tensors, "lossy",
                      (json_int_t)r->lossy, "bytes_out", (json_int_t)r->bytes_out),
            err);
    cli_line("layout", "%s", layouts[cli_int(c->args, "to")]);
    cli_line("tensors", "%zu", r->tensors);
    cli_line("size", "%s", cli_bytes(bytes, r->bytes_out));
    if (r->lossy) cli_line("lost", "%zu things are not the same", r->lossy);
    return CLI_DONE;
}

static int run(const cli_args *args, rn_error *err)
{
    conversion c = {.args = args};
    rn_convert_report report;
    if (!cli_given(args, "to")) return cli_usage(err, "--to LAYOUT is missing");
    rn_convert_options how = {.to = layouts[cli_int(args, "to")],
                              .lossy = cli_int(args, "lossy") != 0,
                              .lost = tell_lost,
                              .unknown_key = tell_key,
                              .progress = show_progress,
                              .user = &c};
    cli_interrupt_remember();
    c.begin = cli_seconds();
    cli_progress_start(&c.progress, args);
    int code =
        cli_code(rn_convert(args->operands[0], args->operands[1], &how, &report, err));
    cli_progress_clear(&c.progress);
    return code ? code : print_report(&c, &report, err);
}

static const cli_group *const groups[] = {&group, &cli_common_of_output, NULL};

const cli_command cli_convert = {
    .name = "convert",
    .summary = "rewrite a model in the layout of another program",
    .arguments = "IN OUT",
    .min_operands = 2,
    .max_operands = 2,
    .about =
        "Reads the checkpoint IN, in any dialect, and makes OUT: a folder with "
        "config.json, model.safetensors and copies of the tokenizer's files, or one "
        "GGUF file. Numbers keep their type.\n\n"
        "What the layout cannot say is refused by name; with --lossy it is done as near "
        "as possible, told, and counted. OUT is whole or not there: it must not exist, "
        "and takes its name when all is written.",
    .groups = groups,
    .examples = {"retnet convert retnet-1.3B model --to native",
                 "A checkpoint of flash-linear-attention in this library's own layout.",
                 "retnet convert model out --to hf-fla --lossy",
                 "As near as flash-linear-attention can come to it."},
    .run = run,
};

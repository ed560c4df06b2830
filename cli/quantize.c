/* retnet quantize: a checkpoint rewritten in a smaller number format. The work is the
   library's; here are its options, progress and report. */
#include "commands.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"

#include "retnet/quantize.h"

#include <inttypes.h>

/* clang-format off */
static const cli_option options[] = {
    {.name = "type", .kind = CLI_CHOICE, .words = cli_weight_type,
     .help = "what the matrices become; embedding and output become q8_0 where this is "
             "smaller"},
    {.name = "keep-embeddings", .kind = CLI_FLAG,
     .help = "leave embedding and output as they are stored"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("What to write", options);

typedef struct quantization {
    const cli_args *args;
    rn_weight_type type;
    cli_progress progress;
    double begin; /* in seconds */
} quantization;

static bool show_progress(void *user, uint64_t done, uint64_t total)
{
    quantization *q = user;
    char bar[CLI_BAR], a[24], b[24];
    cli_progress_show(&q->progress, "%s of %s numbers, %s",
                      cli_progress_bar(bar, total ? (double)done / (double)total : 1),
                      cli_short(a, (double)total),
                      cli_duration(b, cli_seconds() - q->begin));
    return cli_interrupted();
}

static void tell_fallback(void *user, const char *tensor, rn_weight_type type)
{
    const quantization *q = user;
    cli_note(q->args, "%s: rows are not whole blocks of %s: %s instead", tensor,
             rn_weight_type_name(q->type), rn_weight_type_name(type));
}

static void tell_key(void *user, const char *key)
{
    const quantization *q = user;
    cli_warn_of_key(q->args, key, q->args->operands[0]);
}

static int print_json(const quantization *q, const rn_quantize_report *r, rn_error *err)
{
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:I}", "type", rn_weight_type_name(q->type), "bytes_in",
        (json_int_t)r->bytes_in, "bytes_out", (json_int_t)r->bytes_out, "tensors",
        (json_int_t)r->tensors, "fallbacks", (json_int_t)r->fallbacks);
    return cli_print_json(object, err);
}

static int print_report(const quantization *q, const rn_quantize_report *r, rn_error *err)
{
    char in[32], out[32];
    if (cli_int(q->args, "json")) return print_json(q, r, err);
    cli_line("type", "%s", rn_weight_type_name(q->type));
    cli_line("tensors", "%zu, %zu of them in another type", r->tensors, r->fallbacks);
    cli_line("size", "%s, was %s (%.1f%%)", cli_bytes(out, r->bytes_out),
             cli_bytes(in, r->bytes_in),
             r->bytes_in ? 100 * (double)r->bytes_out / (double)r->bytes_in : 100);
    return CLI_DONE;
}

static int run(const cli_args *args, rn_error *err)
{
    quantization q = {.args = args, .type = (rn_weight_type)cli_int(args, "type")};
    rn_quantize_report report;
    rn_exec *x = NULL;
    if (!cli_given(args, "type")) return cli_usage(err, "--type T is missing");
    int code = cli_open_exec(args, &x, err);
    if (code) return code;
    rn_quantize_options how = {.type = q.type,
                               .keep_embeddings = cli_int(args, "keep-embeddings") != 0,
                               .threads = rn_exec_threads(x),
                               .progress = show_progress,
                               .fallback = tell_fallback,
                               .unknown_key = tell_key,
                               .user = &q};
    rn_exec_close(x);
    cli_interrupt_remember();
    q.begin = cli_seconds();
    cli_progress_start(&q.progress, args);
    code =
        cli_code(rn_quantize(args->operands[0], args->operands[1], &how, &report, err));
    cli_progress_clear(&q.progress);
    return code ? code : print_report(&q, &report, err);
}

static const cli_group *const groups[] = {&group, &cli_common_but_type, NULL};

const cli_command cli_quantize = {
    .name = "quantize",
    .summary = "rewrite a model's weights in a smaller number format",
    .arguments = "IN OUT",
    .min_operands = 2,
    .max_operands = 2,
    .about =
        "Reads the checkpoint IN, in any dialect, and makes the folder OUT with the "
        "same model in the native one. Norms and biases stay float32. Tensors whose "
        "rows the blocks do not divide get q4_0 for q4_k, q8_0 for q6_k, and bf16 "
        "where 32 does not divide them either; each is told.\n\n"
        "OUT is whole or not there: it must not exist, and takes its name when all is "
        "written. The tokenizer's files beside IN are copied.",
    .groups = groups,
    .examples = {"retnet quantize model model-q8 --type q8_0",
                 "Eight and a half bits a number.",
                 "retnet quantize model model-q4 --type q4_k --keep-embeddings",
                 "Four and a half, but for embedding and output."},
    .run = run,
};

/* retnet bench: the command's table, and a model opened for each type. What is measured
   is in bench_ops.c (kernels, retention), bench_model.c (prompt, decode, batch) and
   bench_train.c; timing and output in bench_rows.c, drawing in bench_plot.c. */
#include "bench.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"
#include "plot.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const cli_option options[] = {
    {.name = "repeat", .kind = CLI_INT, .metavar = "N", .fallback = "5", .min = 1,
     .max = 1000, .shown = "5, or fewer once five seconds are spent",
     .help = "timed calls of each; the median counts"},
    {.name = "type", .kind = CLI_CHOICES, .words = cli_weight_type,
     .shown = "the checkpoint's own, or f32",
     .help = "how the weights are held, for prompt, decode and batch; f32 and bf16 also "
             "for the products of train; one model after the other"},
    {.name = "filter", .kind = CLI_TEXT, .metavar = "TEXT",
     .help = "kernels: only those whose name contains TEXT"},
    {.name = "shape", .kind = CLI_LIST, .metavar = "HxDKxDV",
     .shown = "4x64x128 and 8x256x512",
     .help = "retention: heads, key width, value width; may be given several times"},
    {.name = "form", .kind = CLI_CHOICE, .choices = cli_forms, .shown = "all three",
     .help = "retention: only this form"},
    {.name = "chunk", .kind = CLI_INT, .metavar = "C", .min = 1, .max = 1048576,
     .unit = "tokens", .shown = "the one that measured best",
     .help = "retention: length of a chunk"},
    {.name = "seq", .kind = CLI_INTS, .metavar = "N,N, ...", .min = 1, .max = 0x1p30,
     .unit = "tokens",
     .shown = "512,2048,8192 for retention; 512,8192 for prompt; 64 for decode and "
              "batch; 256 for train",
     .help = "length of a sequence, a prompt, a row; for decode and batch how many "
             "steps a call has"},
    {.name = "depth", .kind = CLI_INTS, .metavar = "N,N, ...", .fallback = "1000,10000",
     .min = 0, .max = 0x1p40, .unit = "tokens",
     .help = "decode: how many tokens went before; they are really read"},
    {.name = "batch", .kind = CLI_INTS, .metavar = "N,N, ...", .min = 1, .max = 1048576,
     .shown = "8 for train; 1,4,16 for batch",
     .help = "rows of a training step; sequences decoded together"},
    {.name = "plot", .kind = CLI_TEXT, .metavar = "FILE.svg", .complete = CLI_FILES,
     .help = "draw the results as well, through gnuplot; not with kernels"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("Measurement", options);

typedef struct subject {
    const char *name;
    bool model, load; /* needs a model; one for inference */
    int (*run)(cli_bench *b, rn_error *err);
    const char *takes[5]; /* the options of the table that it reads besides --repeat */
} subject;

static const subject subjects[] = {
    {"kernels", false, false, cli_bench_kernels, {"filter"}},
    {"retention",
     false,
     false,
     cli_bench_retention,
     {"shape", "form", "chunk", "seq", "plot"}},
    {"prompt", true, true, cli_bench_prompt, {"type", "seq", "plot"}},
    {"decode", true, true, cli_bench_decode, {"type", "depth", "seq", "plot"}},
    {"batch", true, true, cli_bench_batch, {"type", "batch", "seq", "plot"}},
    {"train", true, false, cli_bench_train, {"type", "batch", "seq", "plot"}}};
static const char *const words[] = {"kernels", "retention", "prompt", "decode",
                                    "batch",   "train",     NULL};

static int find_subject(const char *name, const subject **out, rn_error *err)
{
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        if (strcmp(subjects[i].name, name)) continue;
        *out = &subjects[i];
        return CLI_DONE;
    }
    const char *near = cli_nearest(name, words);
    return cli_usage(err,
                     "WHAT: '%s' is not one of kernels, retention, prompt, decode, "
                     "batch, train%s%s%s",
                     name, near ? "; did you mean '" : "", near ? near : "",
                     near ? "'?" : "");
}

static bool takes(const subject *what, const char *option)
{
    for (size_t i = 0; i < sizeof what->takes / sizeof *what->takes; i++)
        if (what->takes[i] && !strcmp(what->takes[i], option)) return true;
    return !strcmp(option, "repeat");
}

static int check_types(const cli_args *args, const subject *what, rn_error *err)
{
    const cli_value *types = cli_get(args, "type");
    for (size_t i = 0; i < types->count && what->model && !what->load; i++)
        if (types->numbers[i] > RN_WEIGHT_BF16)
            return cli_usage(err, "--type: bench %s takes f32 and bf16, not %s",
                             what->name, cli_weight_type((size_t)types->numbers[i]));
    return CLI_DONE;
}

/* No option is taken that WHAT would not read. */
static int check_options(const cli_args *args, const subject *what, const char *path,
                         rn_error *err)
{
    for (size_t i = 0; i < group.count; i++) {
        const char *name = options[i].name;
        if (cli_given(args, name) && !takes(what, name))
            return cli_usage(err, "--%s: not with bench %s", name, what->name);
    }
    if (cli_given(args, "chunk") && cli_given(args, "form") &&
        cli_int(args, "form") != RN_FORM_CHUNKWISE)
        return cli_usage(err, "--chunk: only with --form chunkwise");
    int code = check_types(args, what, err);
    if (!code && cli_given(args, "plot"))
        code = cli_plot_check(cli_text(args, "plot"), err);
    if (code) return code;
    if (what->model) return cli_check_model(args, path, err);
    if (path || cli_given(args, "random") || cli_given(args, "preset") ||
        cli_given(args, "config") || cli_given(args, "set"))
        return cli_usage(err, "bench %s: takes no model", what->name);
    return CLI_DONE;
}

/* The type that the largest matrix is held in, which is most of the weights. */
static const char *held_type(const rn_model *model)
{
    size_t largest = 0, at = 0;
    for (size_t i = 0; i < rn_model_tensor_count(model); i++) {
        rn_model_tensor t = rn_model_tensor_at(model, i);
        size_t count = t.dims == 2 ? t.shape[0] * t.shape[1] : t.shape[0];
        if (count <= largest) continue;
        largest = count;
        at = i;
    }
    return rn_weight_type_name(rn_model_tensor_held_type(model, at));
}

/* Opens the model with its weights in `type` and measures it. Two models never share the
   memory. */
static int bench_type(cli_bench *b, const subject *what, rn_weight_type type,
                      rn_error *err)
{
    bool first = !b->m.x, stored = type == RN_WEIGHT_STORED;
    cli_typing how = {.bf16 = type == RN_WEIGHT_BF16, .load = what->load, .type = type};
    cli_close_model(&b->m);
    int code = cli_open_model_as(b->args, b->path, &how, &b->m, err);
    if (code) return code;
    if (first) cli_warn_of_keys(b->args, b->m.model, b->m.label);
    b->type = stored ? held_type(b->m.model) : rn_weight_type_name(type);
    return what->run(b, err);
}

static int bench_model(cli_bench *b, const subject *what, rn_error *err)
{
    bool stored = b->path && what->load;
    const int64_t usual = stored ? RN_WEIGHT_STORED : RN_WEIGHT_F32;
    cli_numbers types = cli_bench_numbers(b, "type", &usual, 1);
    int code = CLI_DONE;
    for (size_t i = 0; i < types.count && !code; i++)
        code = bench_type(b, what, (rn_weight_type)types.list[i], err);
    return code;
}

static int run(const cli_args *args, rn_error *err)
{
    const char *path = args->operand_count > 1 ? args->operands[1] : NULL;
    const subject *what = NULL;
    cli_bench b = {.args = args, .path = path};
    int code = find_subject(args->operands[0], &what, err);
    if (!code) code = check_options(args, what, path, err);
    if (code) return code;
    cli_interrupt_exit();
    if (what->model) code = bench_model(&b, what, err);
    else {
        code = cli_open_exec_as(args, false, &b.m.x, err);
        if (!code) code = what->run(&b, err);
    }
    if (!code) code = cli_bench_print_end(&b, err);
    if (!code && cli_given(args, "plot"))
        code = cli_bench_plot(&b, what->name, cli_text(args, "plot"), err);
    free(b.rows);
    cli_close_model(&b.m);
    return code;
}

static const cli_group *const groups[] = {&group, &cli_random_model, &cli_common_but_type,
                                          NULL};

const cli_command cli_bench_command = {
    .name = "bench",
    .summary = "measure kernels, retention, and a model's speed",
    .arguments = "WHAT [MODEL]",
    .min_operands = 1,
    .max_operands = 2,
    .operand_words = words,
    .about =
        "WHAT is one of: kernels (every kernel against the machine's limits and against "
        "the reference), retention (the three forms against sequence length, in useful "
        "floating-point operations a second), prompt (reading), decode (one token after "
        "the other at a depth), batch (many sequences decoded together), train (steps). "
        "The last four need MODEL or --random.\n\n"
        "The percentage is of what this machine can do at most. For decode and batch "
        "that "
        "is the read bandwidth of its memory over the bytes of a step: all weights as "
        "they are held in memory, without an embedding table that is only looked up, and "
        "of each sequence the state (its upper halves under q types, which is what a "
        "step goes over). For prompt and train it is the peak of dot products "
        "of the type (float32, bfloat16, or bytes for the q types) over the operations: "
        "2 "
        "a parameter and token, 6 in training, parameters only; the lookup of the "
        "embedding does not count, and in a prompt the output product counts once, since "
        "it is needed for the last token alone. The limit is measured before and after "
        "every timed call, because others use the machine too: the percentage is the "
        "median of what each call reached of its own limit.",
    .groups = groups,
    .examples =
        {"retnet bench retention --seq 512,8192", "The three forms at two lengths.",
         "retnet bench decode --random 1 --preset 1.3b --type bf16,q8_0 --depth 0,65536",
         "Time of a token after nothing and after 65,536, in two number formats."},
    .run = run,
};

/*
 * retnet info: what a model's config decides (sizes, cost of a token, memory horizon of
 * each head), its tensors, the presets; and the tensors of a safetensors or GGUF file
 * that is no model.
 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "open.h"
#include "output.h"
#include "stored.h"

#include "retnet/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* clang-format off */
static const cli_option options[] = {
    {.name = "preset", .kind = CLI_CHOICE, .metavar = "NAME", .words = rn_preset_name,
     .help = "a shape by name instead of MODEL; needs no memory for weights"},
    {.name = "config", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "a config.json in any dialect instead of MODEL"},
    {.name = "set", .kind = CLI_LIST, .metavar = "KEY=VALUE",
     .help = "with --preset or --config: change one key; may be given several times"},
    {.name = "tensors", .kind = CLI_FLAG, .help = "list the tensors too"},
    {.name = "presets", .kind = CLI_FLAG, .help = "list the presets and what they are"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("What to tell", options);

static json_t *shape_json(const uint64_t *shape, int dims)
{
    json_t *out = json_array();
    for (int i = 0; i < dims; i++)
        json_array_append_new(out, json_integer((json_int_t)shape[i]));
    return out;
}

static json_t *tensor_json(const char *name, const char *type, const uint64_t *shape,
                           int dims)
{
    return json_pack("{s:o, s:s, s:o}", "name", cli_json_text(name), "type", type,
                     "shape", shape_json(shape, dims));
}

static void print_tensor(const char *name, const char *type, const uint64_t *shape,
                         int dims)
{
    char plain[600];
    snprintf(plain, sizeof plain, "%s", name);
    cli_plain(plain);
    printf("%-48s %-5s", plain, type);
    for (int i = 0; i < dims; i++) printf("%s%" PRIu64, i ? " x " : " ", shape[i]);
    putchar('\n');
}

static json_t *model_tensors(const rn_model *model)
{
    json_t *list = json_array();
    for (size_t i = 0, next; i < rn_model_tensor_count(model); i = next) {
        rn_model_tensor t;
        next = cli_stored_tensor(model, i, &t);
        uint64_t shape[2] = {t.shape[0], t.shape[1]};
        json_array_append_new(
            list,
            tensor_json(t.name, rn_model_tensor_stored_type(model, i), shape, t.dims));
    }
    return list;
}

static void print_model_tensors(const rn_model *model)
{
    putchar('\n');
    for (size_t i = 0, next; i < rn_model_tensor_count(model); i = next) {
        rn_model_tensor t;
        next = cli_stored_tensor(model, i, &t);
        uint64_t shape[2] = {t.shape[0], t.shape[1]};
        print_tensor(t.name, rn_model_tensor_stored_type(model, i), shape, t.dims);
    }
}

/* Tokens after which a head's memory of a token has halved: ln 2 / -ln gamma. */
static double half_life(double gamma)
{
    return gamma < 1 ? log(2) / -log(gamma) : INFINITY;
}

static json_t *config_of(const rn_model *model)
{
    char *text = rn_model_config_json(model);
    json_t *config = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return config;
}

static json_t *model_json(const rn_model *model)
{
    rn_model_info info;
    rn_model_info_get(model, &info);
    const double *gamma = rn_model_decays(model);
    json_t *decays = json_array(), *lives = json_array();
    for (size_t i = 0; i < info.heads; i++) {
        json_array_append_new(decays, cli_json_real(gamma[i]));
        json_array_append_new(lives, cli_json_real(half_life(gamma[i])));
    }
    return json_pack("{s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:s, s:o, s:o}",
                     "parameters", (json_int_t)info.parameters, "weight_bytes",
                     (json_int_t)info.weight_bytes, "state_bytes",
                     (json_int_t)info.state_bytes, "flops_per_token",
                     cli_json_real(info.flops_per_token), "layers",
                     (json_int_t)info.layers, "width", (json_int_t)info.width, "heads",
                     (json_int_t)info.heads, "vocab_size", (json_int_t)info.vocab_size,
                     "decays", decays, "half_life_tokens", lives, "dialect", info.dialect,
                     "tensors", model_tensors(model), "config", config_of(model));
}

static void print_heads(const rn_model *model, size_t heads)
{
    const double *gamma = rn_model_decays(model);
    printf("\n%-6s %-14s %s\n", "head", "decay", "memory halves every");
    for (size_t i = 0; i < heads; i++) {
        double life = half_life(gamma[i]);
        printf("%-6zu %-14.10g ", i, gamma[i]);
        if (isfinite(life)) printf("%.1f tokens\n", life);
        else printf("never\n");
    }
}

static void print_model(const rn_model *model, bool tensors)
{
    rn_model_info info;
    char text[32], number[24];
    rn_model_info_get(model, &info);
    cli_line("dialect", "%s", info.dialect);
    cli_line("parameters", "%" PRIu64 " (%s)", info.parameters,
             cli_short(number, (double)info.parameters));
    cli_line("weights", "%s", cli_bytes(text, info.weight_bytes));
    cli_line("state of a sequence", "%s, whatever its length",
             cli_bytes(text, info.state_bytes));
    cli_line("flops per token", "%s, whatever the position",
             cli_short(number, info.flops_per_token));
    cli_line("layers, width, heads", "%zu, %zu, %zu", info.layers, info.width,
             info.heads);
    cli_line("vocabulary", "%zu", info.vocab_size);
    print_heads(model, info.heads);
    if (tensors) print_model_tensors(model);
}

static int show_model(const cli_args *args, const rn_model *model, rn_error *err)
{
    if (cli_int(args, "json")) return cli_print_json(model_json(model), err);
    print_model(model, cli_int(args, "tensors") != 0);
    return CLI_DONE;
}

static json_t *file_json(const rn_file *file, const char *reason)
{
    json_t *tensors = json_array(), *metadata = json_object();
    for (size_t i = 0; i < rn_file_tensor_count(file); i++) {
        rn_file_tensor t = rn_file_tensor_at(file, i);
        json_array_append_new(tensors, tensor_json(t.name, t.type, t.shape, t.dims));
    }
    const char *key, *value;
    for (size_t i = 0; rn_file_metadata_at(file, i, &key, &value); i++)
        json_object_set_new(metadata, key, cli_json_text(value));
    return json_pack("{s:s, s:o, s:o, s:o}", "format", rn_file_format(file), "tensors",
                     tensors, "metadata", metadata, "not_a_model", cli_json_text(reason));
}

/* A metadata value comes from a stranger: one line, no control characters. The types of
   tensors stand beside them in the list. */
static void print_metadata(const char *key, const char *value)
{
    char line[200];
    if (!strncmp(key, "type:", 5)) return;
    snprintf(line, sizeof line, "%s = %s", key, value);
    cli_plain(line);
    cli_line("metadata", "%s", line);
}

static void print_file(const rn_file *file)
{
    uint64_t bytes = 0;
    char text[32];
    const char *key, *value;
    for (size_t i = 0; i < rn_file_tensor_count(file); i++)
        bytes += rn_file_tensor_at(file, i).bytes;
    cli_line("format", "%s", rn_file_format(file));
    cli_line("tensors", "%zu, %s", rn_file_tensor_count(file), cli_bytes(text, bytes));
    for (size_t i = 0; rn_file_metadata_at(file, i, &key, &value); i++)
        print_metadata(key, value);
    putchar('\n');
    for (size_t i = 0; i < rn_file_tensor_count(file); i++) {
        rn_file_tensor t = rn_file_tensor_at(file, i);
        print_tensor(t.name, t.type, t.shape, t.dims);
    }
}

/* A regular file that is no model; `reason` is what opening it as one said. */
static int show_file(const cli_args *args, const char *path, const rn_error *reason,
                     rn_error *err)
{
    rn_file *file = NULL;
    rn_status st = rn_file_describe(&file, path, err);
    if (st) return CLI_FAILED;
    int code = CLI_DONE;
    if (cli_int(args, "json")) {
        code = cli_print_json(file_json(file, reason->message), err);
    } else {
        cli_note(args, "not a model: %s", reason->message);
        print_file(file);
    }
    rn_file_free(file);
    return code;
}

static int show_path(const cli_args *args, const char *path, rn_error *err)
{
    rn_exec *x = NULL;
    rn_model *model = NULL;
    struct stat status;
    int code = cli_open_exec(args, &x, err);
    if (code) return code;
    code = cli_code(rn_model_inspect(&model, path, err));
    if (!code) {
        cli_warn_of_keys(args, model, path);
        code = show_model(args, model, err);
    } else if (!stat(path, &status) && S_ISREG(status.st_mode)) {
        rn_error reason = *err;
        code = show_file(args, path, &reason, err);
    }
    rn_model_free(model);
    rn_exec_close(x);
    return code;
}

static int show_source(const cli_args *args, rn_error *err)
{
    rn_model_source source = cli_source(args);
    rn_model *model = NULL;
    int code = cli_describe(&source, &model, err);
    if (!code) cli_warn_of_keys(args, model, source.config_path);
    if (!code) code = show_model(args, model, err);
    rn_model_free(model);
    return code;
}

static int show_presets(const cli_args *args, rn_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; rn_preset_name(i); i++) {
        const char *name = rn_preset_name(i), *what = rn_preset_description(i);
        if (!cli_int(args, "json")) printf("%-14s %s\n", name, what);
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "name", name, "description", what));
    }
    json_t *object = json_pack("{s:o}", "presets", list);
    if (cli_int(args, "json")) return cli_print_json(object, err);
    json_decref(object);
    return CLI_DONE;
}

static int run(const cli_args *args, rn_error *err)
{
    const char *path = args->operand_count ? args->operands[0] : NULL;
    bool preset = cli_given(args, "preset"), config = cli_given(args, "config");
    bool presets = cli_int(args, "presets") != 0;
    if (preset && config) return cli_usage(err, "both --preset and --config are given");
    if (path && (preset || config))
        return cli_usage(err, "both MODEL and %s are given",
                         preset ? "--preset" : "--config");
    if (!preset && !config && cli_given(args, "set"))
        return cli_usage(err, "--set: needs --preset NAME or --config FILE");
    if (presets && (path || preset || config))
        return cli_usage(err, "--presets: lists all of them and takes no model");
    if (presets) return show_presets(args, err);
    if (path) return show_path(args, path, err);
    if (preset || config) return show_source(args, err);
    return cli_usage(err,
                     "MODEL is missing (or --preset NAME, --config FILE, --presets)");
}

static const cli_group *const groups[] = {&group, &cli_common_but_type, NULL};

const cli_command cli_info = {
    .name = "info",
    .summary = "tell a model's sizes, cost and memory horizon, or a file's tensors",
    .arguments = "[MODEL|FILE]",
    .max_operands = 1,
    .about =
        "Tells what the config of a model decides: parameters, bytes of weights, bytes "
        "of "
        "state and floating-point operations for one token, and how soon each head "
        "forgets. MODEL is a folder, a safetensors file with config.json beside it, or a "
        "GGUF file.\n\n"
        "A safetensors or GGUF FILE that makes no model is listed with its tensors and "
        "metadata.",
    .groups = groups,
    .examples = {"retnet info model --tensors", "All about a trained model.",
                 "retnet info --preset 6.7b",
                 "What the paper's 6.7B model takes, without its weights."},
    .run = run,
};

/* Opening what a command works with; see open.h. A model's tokenizer is the
   tokenizer.json beside it or the one in its GGUF file; the byte tokenizer belongs to
   every model of 256 ids that has none. */
#define _POSIX_C_SOURCE 200809L
#include "open.h"

#include "commands.h"
#include "output.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool known_device(const char *name)
{
    if (!strcmp(name, "cpu") || !strcmp(name, "cuda")) return true;
    if (strncmp(name, "cuda:", 5) || !name[5] || strlen(name) > 9) return false;
    return strspn(name + 5, "0123456789") == strlen(name + 5);
}

cli_typing cli_typing_of(const cli_args *args)
{
    cli_typing how = {.load = true, .type = RN_WEIGHT_STORED};
    if (!cli_has(args, "type") || !cli_given(args, "type")) return how;
    how.type = (rn_weight_type)cli_int(args, "type");
    how.bf16 = how.type == RN_WEIGHT_BF16;
    return how;
}

int cli_open_exec_as(const cli_args *args, bool bf16, rn_exec **out, rn_error *err)
{
    const char *device = cli_text(args, "device");
    if (!known_device(device))
        return cli_usage(err, "--device: '%s' is not cpu, cuda or cuda:N", device);
    rn_exec_options options = {.threads = (int)cli_int(args, "threads"),
                               .cpu = cli_text(args, "cpu"),
                               .device = device,
                               .bf16 = bf16};
    return cli_code(rn_exec_open(out, &options, err));
}

int cli_open_exec(const cli_args *args, rn_exec **out, rn_error *err)
{
    return cli_open_exec_as(args, cli_typing_of(args).bf16, out, err);
}

rn_model_source cli_source(const cli_args *args)
{
    const cli_value *set = cli_get(args, "set");
    return (rn_model_source){.preset = cli_text(args, "preset"),
                             .config_path = cli_text(args, "config"),
                             .settings = set->list,
                             .settings_count = set->count};
}

int cli_describe(const rn_model_source *source, rn_model **out, rn_error *err)
{
    rn_status st = rn_model_describe(out, source, err);
    if (!st || st == RN_ENOMEM || !source->settings_count) return cli_code(st);

    rn_model_source plain = *source;
    rn_model *unchanged = NULL;
    rn_error ignored;
    plain.settings_count = 0;
    st = rn_model_describe(&unchanged, &plain, &ignored);
    rn_model_free(unchanged);
    if (st) return CLI_FAILED;
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    return cli_usage(err, "--set: %s", message);
}

int cli_check_model(const cli_args *args, const char *path, rn_error *err)
{
    bool random = cli_given(args, "random");
    bool preset = cli_given(args, "preset"), config = cli_given(args, "config");
    if (path && random) return cli_usage(err, "both MODEL and --random are given");
    if (preset && config) return cli_usage(err, "both --preset and --config are given");
    if (!random && (preset || config || cli_given(args, "set")))
        return cli_usage(err, "--preset, --config and --set need --random SEED here");
    if (!random && !path)
        return cli_usage(err, "MODEL is missing (or --random SEED with --preset NAME)");
    if (!random) return CLI_DONE;
    if (!preset && !config)
        return cli_usage(err, "--random: needs --preset NAME or --config FILE");
    rn_model_source source = cli_source(args);
    rn_model *model = NULL;
    int code = cli_describe(&source, &model, err);
    rn_model_free(model);
    return code;
}

bool cli_find_beside(const char *path, const char *name, char *out, size_t size)
{
    struct stat status;
    const bool folder = !stat(path, &status) && S_ISDIR(status.st_mode);
    const char *slash = strrchr(path, '/');
    int n;
    if (folder) n = snprintf(out, size, "%s/%s", path, name);
    else if (!slash) n = snprintf(out, size, "%s", name);
    else n = snprintf(out, size, "%.*s/%s", (int)(slash - path), path, name);
    return n > 0 && (size_t)n < size && !access(out, F_OK);
}

static void warn_of_tokenizer(const cli_args *args, const char *path,
                              const char *sentence)
{
    char line[6000];
    if (cli_given(args, "quiet")) return;
    snprintf(line, sizeof line, "warning: %s: %s", path, sentence);
    cli_print_error(NULL, line);
}

/* Whether the tokenizer goes with the model. */
static int check_tokenizer(const cli_args *args, const char *path, const cli_model *m,
                           rn_error *err)
{
    const size_t ids = rn_tokenizer_vocab(m->tokenizer);
    if (ids > m->info.vocab_size)
        return cli_fail(err, "%s: its tokenizer.json has %zu ids, its vocab_size is %zu",
                        path, ids, (size_t)m->info.vocab_size);
    const char *note;
    for (size_t i = 0; (note = rn_tokenizer_note(m->tokenizer, i)) != NULL; i++)
        warn_of_tokenizer(args, path, note);
    return CLI_DONE;
}

/* The tokenizer of a model that brings none. */
static int open_bytes(cli_model *out, rn_error *err)
{
    if (out->info.vocab_size != 256) return CLI_DONE;
    out->bytewise = true;
    return cli_code(rn_tokenizer_open(&out->tokenizer, "byte", err));
}

/* Whether the model's folder has a tokenizer in another format than those that are read.
 */
static bool has_other_tokenizer(const char *path)
{
    char file[4096];
    return cli_find_beside(path, "tokenizer.model", file, sizeof file) ||
           cli_find_beside(path, "vocab.json", file, sizeof file);
}

/* With --ids a tokenizer is welcome, but nobody needs it. */
static int open_tokenizer(const cli_args *args, const char *path, cli_model *out,
                          rn_error *err)
{
    if (!path) return open_bytes(out, err);
    rn_status st = rn_tokenizer_open_of_model(&out->tokenizer, path, err);
    if (st == RN_ENOTFOUND)
        return has_other_tokenizer(path) ? CLI_DONE : open_bytes(out, err);
    int code = st ? cli_code(st) : check_tokenizer(args, path, out, err);
    if (!code || !cli_has(args, "ids") || !cli_given(args, "ids")) return code;
    rn_tokenizer_free(out->tokenizer);
    out->tokenizer = NULL;
    warn_of_tokenizer(args, "the tokenizer is left out", err->message);
    return CLI_DONE;
}

void cli_warn_of_key(const cli_args *args, const char *key, const char *label)
{
    char line[1000];
    if (cli_given(args, "quiet")) return;
    snprintf(line, sizeof line, "warning: %s: config key '%s' is unknown and ignored",
             label, key);
    cli_print_error(NULL, line);
}

void cli_warn_of_keys(const cli_args *args, const rn_model *model, const char *label)
{
    const char *key;
    for (size_t i = 0; (key = rn_model_unknown_key(model, i)) != NULL; i++)
        cli_warn_of_key(args, key, label);
}

/* For a command whose weights can be of any type: a random model is float32 unless it is
   to be something else. */
static rn_status load_model(const cli_args *args, const char *path, const cli_typing *how,
                            cli_model *out, rn_error *err)
{
    if (path && how->load)
        return rn_model_load(&out->model, out->x, path, how->type, err);
    if (path) return rn_model_open(&out->model, out->x, path, err);
    rn_model_source source = cli_source(args);
    uint64_t seed = (uint64_t)cli_int(args, "random");
    out->label = source.preset ? source.preset : source.config_path;
    if (!how->load || how->type == RN_WEIGHT_STORED)
        return rn_model_create(&out->model, out->x, &source, seed, err);
    return rn_model_create_as(&out->model, out->x, &source, seed, how->type, err);
}

int cli_open_model_as(const cli_args *args, const char *path, const cli_typing *how,
                      cli_model *out, rn_error *err)
{
    *out = (cli_model){.label = path};
    int code = cli_open_exec_as(args, how->bf16, &out->x, err);
    if (!code) code = cli_code(load_model(args, path, how, out, err));
    if (!code) rn_model_info_get(out->model, &out->info);
    return code;
}

int cli_open_model(const cli_args *args, const char *path, cli_model *out, rn_error *err)
{
    cli_typing how = cli_typing_of(args);
    /* Gradients are those of float32 weights, whatever their products are made of. */
    if (cli_has(args, "grads") && cli_given(args, "grads")) how.load = false;
    int code = cli_open_model_as(args, path, &how, out, err);
    if (code) return code;
    cli_warn_of_keys(args, out->model, out->label);
    return open_tokenizer(args, path, out, err);
}

void cli_close_model(cli_model *m)
{
    rn_tokenizer_free(m->tokenizer);
    rn_model_free(m->model);
    rn_exec_close(m->x);
    *m = (cli_model){0};
}

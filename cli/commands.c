/* The list of commands and the option groups that several of them share. */
#include "commands.h"

#include "retnet/model.h"

#include <stdio.h>
#include <string.h>

const char *const cli_on_off[] = {"on", "off", NULL};
const char *const cli_forms[] = {"chunkwise", "parallel", "recurrent", NULL};
const char *const cli_row_norms[] = {"none",       "decay", "paper",
                                     "torchscale", "auto",  NULL};

static const char *const cpus[] = {"auto", "ref", "avx2", "avx512", NULL};

const char *cli_weight_type(size_t index)
{
    return index < RN_WEIGHT_TYPES ? rn_weight_type_name((int)index) : NULL;
}

/* The groups are parts of this list: --quiet and --json together, --type last. */
#define QUIET 4
/* clang-format off */
static const cli_option common_options[] = {
    {.name = "threads", .letter = 't', .kind = CLI_INT, .metavar = "N", .min = 1,
     .max = 1024, .shown = "the physical cores that it may run on",
     .help = "threads to compute with"},
    {.name = "cpu", .kind = CLI_CHOICE, .choices = cpus, .fallback = "auto",
     .help = "instruction set of the kernels; auto is the best that the CPU has"},
    {.name = "device", .kind = CLI_TEXT, .metavar = "cpu|cuda[:N]", .fallback = "cpu",
     .help = "where to compute"},
    {.name = "seed", .kind = CLI_INT, .metavar = "N", .fallback = "0", .min = 0,
     .max = 0x1p53,
     .help = "seed of every random draw; the same seed gives the same result"},
    [QUIET] = {.name = "quiet", .letter = 'q', .kind = CLI_FLAG,
     .help = "no progress and no notes on standard error; errors only"},
    {.name = "json", .kind = CLI_FLAG,
     .help = "print one JSON object at the end instead of text"},
    {.name = "type", .kind = CLI_CHOICE, .words = cli_weight_type,
     .shown = "as they are stored",
     .help = "how the weights are held; with bf16, products of long texts round both "
             "sides to it"},
};
/* clang-format on */
const cli_group cli_common = CLI_GROUP("Common options", common_options);
const cli_group cli_common_but_type = {"Common options", common_options,
                                       sizeof common_options / sizeof common_options[0] -
                                           1};
const cli_group cli_common_of_output = {"Common options", &common_options[QUIET], 2};

/* clang-format off */
static const cli_option random_options[] = {
    {.name = "random", .kind = CLI_INT, .metavar = "SEED", .min = 0, .max = 0x1p53,
     .help = "instead of MODEL: random weights drawn from SEED, in the shape of "
             "--preset or --config"},
    {.name = "preset", .kind = CLI_CHOICE, .metavar = "NAME", .words = rn_preset_name,
     .help = "with --random: the shape by name (see retnet info --presets)"},
    {.name = "config", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "with --random: the shape from a config.json in any dialect, or a folder "
             "that has one"},
    {.name = "set", .kind = CLI_LIST, .metavar = "KEY=VALUE",
     .help = "with --random: change one key of the config; may be given several times"},
};
/* clang-format on */
const cli_group cli_random_model = CLI_GROUP("Random model", random_options);

static const cli_command *const commands[] = {&cli_train,
                                              &cli_generate,
                                              &cli_chat,
                                              &cli_eval,
                                              &cli_quantize,
                                              &cli_convert,
                                              &cli_info,
                                              &cli_bench_command,
                                              &cli_tokenizer_train,
                                              &cli_tokenizer_encode,
                                              &cli_tokenizer_decode};

const cli_command *cli_command_at(size_t index)
{
    return index < sizeof commands / sizeof *commands ? commands[index] : NULL;
}

const cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; cli_command_at(i); i++)
        if (!strcmp(commands[i]->name, name)) return commands[i];
    return NULL;
}

const cli_command *cli_command_typed(int argc, const char *const *argv, int *used)
{
    char name[2 * CLI_NAME];
    const cli_command *command = argc > 0 ? cli_command_find(argv[0]) : NULL;
    *used = command ? 1 : 2;
    if (command || argc < 2) return command;
    snprintf(name, sizeof name, "%s %s", argv[0], argv[1]);
    return cli_command_find(name);
}

const char *cli_command_part(const cli_command *command)
{
    const char *blank = strchr(command->name, ' ');
    return blank ? blank + 1 : NULL;
}

void cli_command_family(const cli_command *command, char out[CLI_NAME])
{
    snprintf(out, CLI_NAME, "%.*s", (int)strcspn(command->name, " "), command->name);
}

const cli_command *cli_family_at(const char *family, size_t index)
{
    size_t length = strlen(family);
    const cli_command *c;
    for (size_t i = 0; (c = cli_command_at(i)); i++) {
        bool inside = !strncmp(c->name, family, length) && c->name[length] == ' ';
        if (inside && index-- == 0) return c;
    }
    return NULL;
}

bool cli_family_begins(size_t index)
{
    const cli_command *c = cli_command_at(index);
    char family[CLI_NAME];
    cli_command_family(c, family);
    return cli_command_part(c) && cli_family_at(family, 0) == c;
}

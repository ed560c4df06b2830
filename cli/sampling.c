/* The sampling options; see sampling.h. */
#include "sampling.h"

#include "commands.h"
#include "output.h"

/* clang-format off */
static const cli_option sampling_options[] = {
    {.name = "tokens", .letter = 'n', .kind = CLI_INT, .metavar = "N", .fallback = "200",
     .unit = "tokens", .min = 0, .max = 0x1p53, .help = "how many to generate at most"},
    {.name = "temperature", .kind = CLI_REAL, .metavar = "X", .fallback = "0.8", .min = 0,
     .max = 100, .help = "divides the logits; 0 is the same as --greedy"},
    {.name = "top-k", .kind = CLI_INT, .metavar = "K", .fallback = "0", .min = 0,
     .max = 2147483647, .unit = "tokens", .help = "keep the K most likely; 0 keeps all"},
    {.name = "top-p", .kind = CLI_REAL, .metavar = "P", .fallback = "1", .min = 0,
     .max = 1,
     .help = "keep the most likely ones that have probability P together; 0 or 1 keeps "
             "all"},
    {.name = "min-p", .kind = CLI_REAL, .metavar = "P", .fallback = "0", .min = 0,
     .max = 1,
     .help = "keep what is at least P times as likely as the best; 0 keeps all"},
    {.name = "repeat-penalty", .kind = CLI_REAL, .metavar = "X", .fallback = "1",
     .min = 0, .max = 100,
     .help = "makes the last 64 tokens less likely by this factor, from 0.01; 0 or 1 is off"},
    {.name = "greedy", .kind = CLI_FLAG, .help = "always the most likely token"},
    {.name = "stop", .kind = CLI_LIST, .metavar = "TEXT",
     .help = "end before this text appears; may be given several times"},
};
/* clang-format on */
const cli_group cli_sampling_group = CLI_GROUP("Generation", sampling_options);

int cli_sampling_check(const cli_args *args, rn_error *err)
{
    if (cli_int(args, "greedy") && cli_given(args, "temperature"))
        return cli_usage(err, "both --greedy and --temperature are given");
    double penalty = cli_real(args, "repeat-penalty");
    if (penalty > 0 && penalty < 0.01)
        return cli_usage(err, "--repeat-penalty: %g is neither 0 nor from 0.01 to 100",
                         penalty);
    return CLI_DONE;
}

rn_sampling cli_sampling_of(const cli_args *args)
{
    bool greedy = cli_int(args, "greedy") != 0;
    return (rn_sampling){.temperature = greedy ? 0 : (float)cli_real(args, "temperature"),
                         .top_k = (int)cli_int(args, "top-k"),
                         .top_p = (float)cli_real(args, "top-p"),
                         .min_p = (float)cli_real(args, "min-p"),
                         .repeat_penalty = (float)cli_real(args, "repeat-penalty"),
                         .seed = (uint64_t)cli_int(args, "seed")};
}

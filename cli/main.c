/*
 * The program: finds the command, parses its options, runs it, prints its one-line error
 * and checks that everything printed has arrived.
 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "help.h"
#include "output.h"

#include "retnet/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__clang__)
#    define COMPILER "clang " __clang_version__
#else
#    define COMPILER "gcc " __VERSION__
#endif

/* Closed standard streams would give their numbers to the next file opened. Opened
   read-only, so that writing to them still fails. */
static void keep_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd)
            return;
}

/*
 * OpenMP's threads wait for each other by spinning for milliseconds, which stops
 * everybody when the machine has other work: training beside two busy processes ran 10
 * times slower. The time can only be set before the program starts, so it starts itself
 * once more with about 20 microseconds, unless the user has said something about it.
 */
static void wait_briefly(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1)) return;
    execv("/proc/self/exe", argv); /* on failure the program goes on as it is */
}

/* `retnet tokenizer` and what is none of its parts. */
static int no_such_part(const char *family, const char *typed, rn_error *err)
{
    char list[200];
    size_t used = 0;
    const cli_command *c;
    for (size_t i = 0; (c = cli_family_at(family, i)) && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 cli_command_part(c));
    if (!typed) return cli_usage(err, "%s: one of %s is missing", family, list);
    return cli_usage(err, "%s: '%s' is not one of %s", family, typed, list);
}

static int no_such_command(const char *name, rn_error *err)
{
    const char *words[32];
    size_t count = 0;
    for (; count < 30 && cli_command_at(count); count++)
        words[count] = cli_command_at(count)->name;
    words[count] = "help";
    words[count + 1] = NULL;
    const char *near = cli_nearest(name, words);
    if (near)
        return cli_usage(err, "unknown command '%s'; did you mean '%s'?", name, near);
    return cli_usage(err, "unknown command '%s'; retnet help lists them", name);
}

static int print_version(rn_error *err)
{
    rn_exec *x = NULL;
    printf("retnet %s\ncompiler: %s\n", rn_version(), COMPILER);
    if (!rn_exec_open(&x, NULL, err)) printf("running on: %s\n", rn_exec_describe(x));
    rn_exec_close(x);
    printf("libraries: jansson %s\n", jansson_version_str());
    return CLI_DONE;
}

static int print_help(int argc, const char *const *argv, rn_error *err)
{
    if (!argc) {
        cli_help_overview(stdout);
        return CLI_DONE;
    }
    int used;
    const cli_command *command = cli_command_typed(argc, argv, &used);
    if (!command && argc == 1 && cli_family_at(argv[0], 0)) {
        cli_help_family(stdout, argv[0]);
        return CLI_DONE;
    }
    if (!command && cli_family_at(argv[0], 0)) return no_such_part(argv[0], argv[1], err);
    if (!command) return no_such_command(argv[0], err);
    if (argc > used) return cli_usage(err, "help: unexpected argument '%s'", argv[used]);
    cli_help_command(stdout, command);
    return CLI_DONE;
}

static int print_man(const char *name, rn_error *err)
{
    const cli_command *command = cli_command_find(name);
    if (!command && strcmp(name, "retnet")) return no_such_command(name, err);
    cli_man(stdout, command);
    return CLI_DONE;
}

static int print_completion(const char *shell, rn_error *err)
{
    if (cli_completion(stdout, shell)) return CLI_DONE;
    return cli_usage(err, "--completion: '%s' is not one of bash, zsh, fish", shell);
}

static int run_command(const cli_command *command, int argc, const char *const *argv,
                       rn_error *err)
{
    cli_args args;
    int code = CLI_DONE;
    rn_status st = cli_parse(&args, command, argc, argv, err);
    if (st) code = st == RN_EINVAL ? CLI_USAGE : CLI_FAILED;
    else if (args.help) cli_help_command(stdout, command);
    else code = command->run(&args, err);
    cli_args_free(&args);
    return code;
}

/* `retnet tokenizer` without a part that it has. */
static int run_family(int argc, const char *const *argv, rn_error *err)
{
    const char *typed = argc > 1 ? argv[1] : NULL;
    if (!typed || (strcmp(typed, "--help") && strcmp(typed, "-h")))
        return no_such_part(argv[0], typed, err);
    cli_help_family(stdout, argv[0]);
    return CLI_DONE;
}

/* What stands where the command should. */
static int run_word(int argc, const char *const *argv, rn_error *err)
{
    const char *word = argv[0];
    if (cli_family_at(word, 0)) return run_family(argc, argv, err);
    if (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h"))
        return print_help(argc - 1, argv + 1, err);
    if (!strcmp(word, "--version")) return print_version(err);
    if (!strcmp(word, "--man") && argc == 2) return print_man(argv[1], err);
    if (!strcmp(word, "--completion") && argc == 2) return print_completion(argv[1], err);
    if (word[0] == '-')
        return cli_usage(err, "unknown option '%s'; a command comes first", word);
    return no_such_command(word, err);
}

int main(int argc, char **argv)
{
    rn_error err = {0};
    const char *const *words = (const char *const *)argv;
    const cli_command *command = NULL;
    int code, used;
    wait_briefly(argv);
    keep_standard_streams();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is a failed write */

    if (argc < 2) code = cli_usage(&err, "no command given; retnet help lists them");
    else if ((command = cli_command_typed(argc - 1, words + 1, &used)))
        code = run_command(command, argc - 1 - used, words + 1 + used, &err);
    else code = run_word(argc - 1, words + 1, &err);

    if (code == CLI_DONE || code == CLI_INTERRUPTED) {
        int flushed = cli_flush(&err);
        if (flushed) code = flushed;
    }
    if (code == CLI_FAILED || code == CLI_USAGE)
        cli_print_error(command ? command->name : NULL, err.message);
    return code;
}

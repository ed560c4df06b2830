/* The command line without models: the parser over its tables, help, man pages,
   completion, errors and streams. The tables are compiled in (all of cli/ but main.c), so
   that what the program prints can be compared with them. */
#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "child.h"

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "retnet/train.h"

#include <math.h>
#include <wordexp.h>

/* ---- the parser, over a table of its own ---- */

static const char *const colours[] = {"red", "green", NULL};

static const cli_option some_options[] = {
    {.name = "count",
     .letter = 'n',
     .kind = CLI_INT,
     .metavar = "N",
     .fallback = "3",
     .min = -5,
     .max = 100,
     .help = "a number"},
    {.name = "rate",
     .kind = CLI_REAL,
     .metavar = "X",
     .fallback = "0.5",
     .min = 0,
     .max = 1,
     .help = "a rate"},
    {.name = "name", .kind = CLI_TEXT, .metavar = "TEXT", .help = "a text"},
    {.name = "file",
     .kind = CLI_TEXT,
     .metavar = "FILE",
     .complete = CLI_FILES,
     .help = "a path"},
    {.name = "colour",
     .kind = CLI_CHOICE,
     .choices = colours,
     .fallback = "green",
     .later = "blue",
     .help = "a colour"},
    {.name = "stop", .kind = CLI_LIST, .metavar = "TEXT", .help = "some texts"},
    {.name = "data",
     .letter = 'd',
     .kind = CLI_PATHS,
     .metavar = "PATH...",
     .help = "some paths"},
    {.name = "sizes",
     .kind = CLI_INTS,
     .metavar = "N,N",
     .fallback = "1,2",
     .min = 0,
     .max = 9,
     .help = "some numbers"},
    {.name = "paints", .kind = CLI_CHOICES, .choices = colours, .help = "some colours"},
    {.name = "quiet", .letter = 'q', .kind = CLI_FLAG, .help = "a flag"},
    {.name = "verbose", .letter = 'v', .kind = CLI_FLAG, .help = "another"},
};
static const cli_group some_group = CLI_GROUP("Some", some_options);
static const cli_group *const some_groups[] = {&some_group, NULL};
static const cli_command some = {.name = "some",
                                 .arguments = "THING",
                                 .min_operands = 1,
                                 .max_operands = 2,
                                 .groups = some_groups};

#define WORDS(...)      ((const char *const[]){__VA_ARGS__})
#define WORD_COUNT(...) ((int)(sizeof WORDS(__VA_ARGS__) / sizeof(char *)))

/* Parses or fails the test. */
static cli_args parsed(int argc, const char *const *argv)
{
    cli_args args;
    rn_error err = {0};
    if (cli_parse(&args, &some, argc, argv, &err)) fail_msg("%s", err.message);
    return args;
}

#define PARSED(...) parsed(WORD_COUNT(__VA_ARGS__), WORDS(__VA_ARGS__))

static void test_defaults(void **state)
{
    (void)state;
    cli_args a = PARSED("thing");
    assert_int_equal(cli_int(&a, "count"), 3);
    assert_true(cli_real(&a, "rate") == 0.5);
    assert_null(cli_text(&a, "name"));
    assert_int_equal(cli_int(&a, "colour"), 1);
    assert_int_equal(cli_get(&a, "stop")->count, 0);
    assert_int_equal(cli_get(&a, "sizes")->count, 2);
    assert_int_equal(cli_int(&a, "quiet"), 0);
    for (size_t i = 0; i < a.value_count; i++) assert_false(a.values[i].given);
    assert_int_equal(a.operand_count, 1);
    cli_args_free(&a);
}

static void test_forms_of_options(void **state)
{
    (void)state;
    cli_args a = PARSED("--count=-4", "one", "--rate", "1e-2", "-qv", "--name=", "--stop",
                        "a", "--stop=-b", "--sizes", "7,8,9", "--paints=red", "--paints",
                        "green,red,green", "--", "--two");
    assert_int_equal(cli_int(&a, "count"), -4);
    assert_true(cli_given(&a, "count"));
    assert_true(cli_real(&a, "rate") == 1e-2);
    assert_int_equal(cli_int(&a, "quiet") + cli_int(&a, "verbose"), 2);
    assert_string_equal(cli_text(&a, "name"), "");
    assert_int_equal(cli_get(&a, "stop")->count, 2);
    assert_string_equal(cli_get(&a, "stop")->list[1], "-b");
    assert_int_equal(cli_get(&a, "sizes")->count, 3);
    assert_int_equal(cli_get(&a, "sizes")->numbers[2], 9);
    assert_int_equal(cli_get(&a, "paints")->count, 3);
    assert_int_equal(cli_get(&a, "paints")->numbers[0], 1);
    assert_int_equal(cli_get(&a, "paints")->numbers[1], 0);
    assert_int_equal(a.operand_count, 2);
    assert_string_equal(a.operands[1], "--two");
    cli_args_free(&a);

    a = PARSED("-n", "7", "thing", "--data", "x", "y", "-d", "z", "-q");
    assert_int_equal(cli_int(&a, "count"), 7);
    assert_int_equal(cli_get(&a, "data")->count, 3);
    assert_string_equal(cli_get(&a, "data")->list[2], "z");
    assert_int_equal(a.operand_count, 1);
    cli_args_free(&a);

    a = PARSED("-qn8", "-", "--count", "-2", "--colour", "red");
    assert_int_equal(cli_int(&a, "count"), -2);
    assert_int_equal(cli_int(&a, "colour"), 0);
    assert_string_equal(a.operands[0], "-");
    cli_args_free(&a);
}

static void test_help_wins(void **state)
{
    (void)state;
    cli_args a = PARSED("--help", "--nonsense");
    assert_true(a.help);
    cli_args_free(&a);
    a = PARSED("-qh");
    assert_true(a.help);
    cli_args_free(&a);
}

static void check_wrong(int argc, const char *const *argv, const char *words)
{
    cli_args args;
    rn_error err = {0};
    rn_status st = cli_parse(&args, &some, argc, argv, &err);
    cli_args_free(&args);
    if (st != RN_EINVAL) fail_msg("accepted, without \"%s\"", words);
    if (!strstr(err.message, words)) fail_msg("no \"%s\" in: %s", words, err.message);
}

#define WRONG(words, ...) check_wrong(WORD_COUNT(__VA_ARGS__), WORDS(__VA_ARGS__), words)

static void test_wrong_usage(void **state)
{
    (void)state;
    WRONG("unknown option '--coutn'; did you mean '--count'?", "--coutn", "1");
    WRONG("unknown option '--xyzzy'", "--xyzzy");
    WRONG("did you mean '--help'?", "--hlep");
    WRONG("unknown option '-x'", "-x");
    WRONG("--count: the N is missing", "thing", "--count");
    WRONG("--count: 'many' is not a whole number", "--count", "many");
    WRONG("--count: '1.5' is not a whole number", "--count", "1.5");
    WRONG("--count: '' is not a whole number", "--count=");
    WRONG("--count: ' 1' is not a whole number", "--count", " 1");
    WRONG("--count: 101 is outside -5 to 100", "--count", "101");
    WRONG("outside", "--count", "99999999999999999999999");
    WRONG("--rate: 'nan' is not a number", "--rate", "nan");
    WRONG("--rate: '0x1' is not a number", "--rate", "0x1");
    WRONG("--rate: '1e999' is not a number", "--rate", "1e999");
    WRONG("--rate: 1.01 is outside 0 to 1", "--rate", "1.01");
    WRONG("--file: the FILE is empty", "--file=");
    WRONG("--colour: blue is not available in this version", "--colour", "blue");
    WRONG("is not one of red, green; did you mean 'green'?", "--colour", "gren");
    WRONG("--sizes: '1,,2' is not a list of whole numbers", "--sizes", "1,,2");
    WRONG("--sizes: 10 is outside 0 to 9", "--sizes", "1,10");
    WRONG("--paints: 'reed' is not one of red, green; did you mean 'red'?", "--paints",
          "green,reed");
    WRONG("--paints: 'red,' is not a list of words", "--paints", "red,");
    WRONG("--quiet: takes no value", "--quiet=yes");
    WRONG("unexpected argument 'c'", "a", "b", "c");
    WRONG("THING is missing", "-q");
    WRONG("unknown option '--",
          "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"train", "generate", "eval", NULL};
    assert_string_equal(cli_nearest("trian", words), "train");
    assert_string_equal(cli_nearest("gen", words), "generate");
    assert_string_equal(cli_nearest("evla", words), "eval");
    assert_null(cli_nearest("quantize", words));
    assert_null(cli_nearest("", words));
}

/* ---- the tables themselves ---- */

static void check_options_distinct(const cli_command *c)
{
    size_t count = cli_option_count(c);
    for (size_t i = 0; i < count; i++) {
        const cli_option *a = cli_option_at(c, i, NULL);
        assert_true(strlen(a->help) > 3);
        assert_int_not_equal(a->letter, 'h');
        assert_string_not_equal(a->name, "help");
        bool words = a->kind == CLI_CHOICE || a->kind == CLI_CHOICES;
        if (a->kind != CLI_FLAG && !words) assert_non_null(a->metavar);
        for (size_t j = 0; j < i; j++) {
            const cli_option *b = cli_option_at(c, j, NULL);
            assert_string_not_equal(a->name, b->name);
            if (a->letter) assert_int_not_equal(a->letter, b->letter);
        }
    }
}

/* An example, split as a shell would, must parse. */
static void check_example(const cli_command *c, const char *line)
{
    wordexp_t words;
    cli_args args;
    rn_error err = {0};
    assert_int_equal(wordexp(line, &words, WRDE_NOCMD), 0);
    assert_string_equal(words.we_wordv[0], "retnet");
    const char *const *typed = (const char *const *)words.we_wordv + 1;
    int used, count = (int)words.we_wordc - 1;
    assert_ptr_equal(cli_command_typed(count, typed, &used), c);
    rn_status st = cli_parse(&args, c, count - used, typed + used, &err);
    if (st) fail_msg("%s: %s", line, err.message);
    cli_args_free(&args);
    wordfree(&words);
}

static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; cli_command_at(i); i++) {
        const cli_command *c = cli_command_at(i);
        assert_ptr_equal(cli_command_find(c->name), c);
        check_options_distinct(c);
        for (size_t j = 0; j < 4; j += 2) check_example(c, c->examples[j]);
        const char *const common[] = {"threads", "cpu",   "device",
                                      "seed",    "quiet", "json"};
        cli_args args;
        rn_error err;
        assert_int_equal(cli_parse(&args, c, 1, WORDS("--help"), &err), RN_OK);
        const size_t first = c == &cli_convert ? 4 : 0; /* it does not compute */
        for (size_t j = 0; j < 6; j++)
            assert_int_equal(cli_has(&args, common[j]), j >= first);
        bool typed = c != &cli_info && c != &cli_convert && !cli_command_part(c);
        assert_int_equal(cli_has(&args, "type"), typed);
        cli_args_free(&args);
    }
}

/* The table's defaults are the library's. */
static void test_train_defaults(void **state)
{
    (void)state;
    rn_train_options o = rn_train_defaults();
    cli_args a;
    rn_error err;
    assert_int_equal(cli_parse(&a, &cli_train, 0, NULL, &err), RN_OK);
    assert_int_equal(cli_int(&a, "steps"), o.steps);
    assert_int_equal(cli_int(&a, "batch"), o.batch);
    assert_int_equal(cli_int(&a, "seq"), o.seq);
    assert_int_equal(cli_int(&a, "accum"), o.accum);
    assert_int_equal(cli_int(&a, "warmup"), o.warmup);
    assert_int_equal(cli_int(&a, "schedule"), o.schedule);
    assert_int_equal(cli_int(&a, "form"), o.form);
    assert_true(cli_real(&a, "lr") == o.lr);
    assert_true(cli_real(&a, "decay-fraction") == o.decay);
    assert_true(fabs(cli_real(&a, "lr") / 10 - o.min_lr) < 1e-12);
    assert_true(cli_real(&a, "beta1") == o.beta1);
    assert_true(cli_real(&a, "beta2") == o.beta2);
    assert_true(cli_real(&a, "weight-decay") == o.weight_decay);
    assert_true(cli_real(&a, "clip") == o.clip);
    cli_args_free(&a);
}

/* ---- what the program prints about itself ---- */

static void check_mentions(const char *text, const char *words, const char *where)
{
    if (!strstr(text, words)) fail_msg("%s does not mention %s", where, words);
}

/* Where a shell or program is installed, or NULL. */
static const char *shell_path(const char *shell)
{
    static char path[64];
    static const char *const folders[] = {"/bin", "/usr/bin", "/usr/local/bin"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folders[i], shell);
        if (!access(path, X_OK)) return path;
    }
    return NULL;
}

/* The exit status of a line of shell. */
__attribute__((format(printf, 1, 2))) static int shell_run(const char *format, ...)
{
    char line[4096];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    assert_true(length > 0 && (size_t)length < sizeof line);
    return system(line);
}

/* Line breaks and indentation become one space each. */
static void squeeze(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        bool space = *from == ' ' || *from == '\n';
        if (space && to > text && to[-1] == ' ') continue;
        *to++ = space ? ' ' : *from;
    }
    *to = 0;
}

static void check_help(const cli_command *c)
{
    char family[CLI_NAME];
    const char *part = cli_command_part(c);
    cli_command_family(c, family);
    child help = part ? RUN(family, part, "--help") : RUN(family, "--help");
    child same = part ? RUN("help", family, part) : RUN("help", family);
    check_done(&help);
    assert_string_equal(help.out, same.out);
    check_mentions(help.out, "Examples:", c->name);
    for (const char *line = help.out; (line = strchr(line, '\n')); line++)
        if (strcspn(line + 1, "\n") > 90) fail_msg("a wide line: %.100s", line + 1);
    squeeze(help.out);
    for (size_t i = 0; i < cli_option_count(c); i++) {
        const cli_option *o = cli_option_at(c, i, NULL);
        char text[1400], value[300], detail[800];
        cli_option_value(o, value, sizeof value);
        cli_option_detail(o, detail, sizeof detail);
        snprintf(text, sizeof text, "--%s %s%s%s", o->name, value, *value ? " " : "",
                 detail);
        check_mentions(help.out, text, c->name);
    }
    child_free(&help);
    child_free(&same);
}

static void check_man(const cli_command *c)
{
    child man = RUN("--man", c->name);
    check_done(&man);
    assert_memory_equal(man.out, ".TH RETNET-", 11);
    for (size_t i = 0; i < cli_option_count(c); i++) {
        char text[200] = "\\-\\-";
        const char *name = cli_option_at(c, i, NULL)->name;
        for (size_t n = 4; *name && n < 190; name++) {
            if (*name == '-') text[n++] = '\\';
            text[n++] = *name;
            text[n] = 0;
        }
        strcat(text, "\\fR");
        check_mentions(man.out, text, "the man page");
    }
    const char *file = put_bytes("page", man.out, man.out_size), *log = in_scratch("log");
    if (shell_path("groff")) {
        size_t size;
        assert_int_equal(shell_run("groff -man -ww -z '%s' > '%s' 2>&1", file, log), 0);
        char *complaints = get_bytes(log, &size);
        assert_string_equal(complaints, "");
        free(complaints);
    }
    child_free(&man);
}

static void test_help_and_man(void **state)
{
    (void)state;
    child overview = RUN("help"), option = RUN("--help"), man = RUN("--man", "retnet");
    check_done(&overview);
    check_done(&man);
    assert_string_equal(overview.out, option.out);
    for (size_t i = 0; cli_command_at(i); i++) {
        const cli_command *c = cli_command_at(i);
        check_mentions(overview.out, c->summary, "help");
        const char *part = cli_command_part(c);
        check_mentions(man.out, part ? part : c->name, "retnet(1)");
        check_help(c);
        check_man(c);
    }
    child_free(&overview);
    child_free(&option);
    child_free(&man);
}

static void test_version(void **state)
{
    (void)state;
    child c = RUN("--version");
    char first[64];
    check_done(&c);
    snprintf(first, sizeof first, "retnet %s\n", rn_version());
    assert_memory_equal(c.out, first, strlen(first));
    check_mentions(c.out, "compiler: ", "--version");
    check_mentions(c.out, "running on: cpu ", "--version");
    check_mentions(c.out, "jansson", "--version");
    child_free(&c);
}

static void check_script(const char *shell)
{
    child c = RUN("--completion", shell);
    check_done(&c);
    for (size_t i = 0; cli_command_at(i); i++)
        for (size_t j = 0; j < cli_option_count(cli_command_at(i)); j++) {
            char text[64];
            const char *dash = strcmp(shell, "fish") ? "--" : "-l ";
            snprintf(text, sizeof text, "%s%s", dash,
                     cli_option_at(cli_command_at(i), j, NULL)->name);
            check_mentions(c.out, text, shell);
        }
    const char *file = put_bytes(shell, c.out, c.out_size), *path = shell_path(shell);
    if (path && shell_run("%s -n '%s'", path, file))
        fail_msg("%s refuses its script", shell);
    child_free(&c);
}

/* What bash offers for the last word. */
static void check_offers(const char *words, const char *offers)
{
    int code = shell_run("cd '%s' && bash -c 'source \"%s\"; COMP_WORDS=(%s); "
                         "COMP_CWORD=$((${#COMP_WORDS[@]}-1)); "
                         "_retnet; echo \"${COMPREPLY[*]}\"' > '%s'",
                         scratch, in_scratch("bash"), words, in_scratch("offers"));
    assert_int_equal(code, 0);
    size_t size;
    char *text = get_bytes(in_scratch("offers"), &size);
    assert_string_equal(text, offers);
    free(text);
}

static void test_completion(void **state)
{
    (void)state;
    check_script("bash");
    check_script("zsh");
    check_script("fish");
    if (!shell_path("bash")) return;
    check_offers("retnet tr", "train\n");
    check_offers("retnet train --sched", "--schedule\n");
    check_offers("retnet train --schedule co", "cosine constant\n");
    check_offers("retnet bench re", "retention\n");
    check_offers("retnet quantize in out --type q4", "q4_0 q4_k\n");
    check_offers("retnet info --preset nan", "nano\n");
    check_offers("retnet bench batch --type q4", "q4_0 q4_k\n");
    check_offers("retnet tok", "tokenizer\n");
    check_offers("retnet tokenizer e", "encode\n");
    check_offers("retnet tokenizer --h", "--help\n");
    check_offers("retnet tokenizer train --st", "--style\n");
    check_offers("retnet tokenizer train --style s", "sentencepiece\n");
    check_offers("retnet tokenizer encode --s", "--special --seed\n");
}

/* The help of a family is that of its parts, one after the other. */
static void test_family(void **state)
{
    (void)state;
    child all = RUN("tokenizer", "--help"), same = RUN("help", "tokenizer");
    check_done(&all);
    assert_string_equal(all.out, same.out);
    const char *at = all.out;
    for (size_t i = 0; cli_family_at("tokenizer", i); i++) {
        child one =
            RUN("tokenizer", cli_command_part(cli_family_at("tokenizer", i)), "-h");
        check_done(&one);
        at = strstr(at, one.out);
        if (!at) fail_msg("the help of part %zu is not where it should be", i);
        child_free(&one);
    }
    assert_null(cli_family_at("train", 0));
    child_free(&all);
    child_free(&same);
}

/* ---- wrong usage of the program ---- */

static void check_usage(const char *words, const char *const *argv)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    check_refused(&c, 2, words);
    child_free(&c);
}

#define USAGE(words, ...) check_usage(words, ARGV(__VA_ARGS__))

static void test_program_usage(void **state)
{
    (void)state;
    check_usage("no command given", (const char *const[]){"retnet", NULL});
    USAGE("unknown command 'trian'; did you mean 'train'?", "trian");
    USAGE("unknown command", "xyzzy");
    USAGE("a command comes first", "--json");
    USAGE("unknown command 'nothing'", "help", "nothing");
    USAGE("not one of bash, zsh, fish", "--completion", "csh");
    USAGE("unknown command", "--man", "nothing");
    USAGE("tokenizer: one of train, encode, decode is missing", "tokenizer");
    USAGE("tokenizer: 'trian' is not one of", "tokenizer", "trian");
    USAGE("tokenizer: 'tran' is not one of", "help", "tokenizer", "tran");
    USAGE("unexpected argument", "help", "tokenizer", "train", "more");
    USAGE("tokenizer train: OUT FILES... is missing", "tokenizer", "train", "out");
    USAGE("did you mean '--steps'?", "train", "--stpes", "3");
    USAGE("retnet train: --steps: the N is missing", "train", "--steps");
    USAGE("--type: 'q8_0' is not one of f32, bf16", "train", "--type", "q8_0");
    USAGE("--type: 'q4' is not one of f32, bf16, f16", "eval", "--type", "q4");
    USAGE("--device: 'gpu' is not", "info", "x", "--device", "gpu");
    USAGE("unknown option '--a?b'", "train", "--a\nb");
}

static void test_contradictions(void **state)
{
    (void)state;
    USAGE("--data PATH is missing", "train", "--out", "x");
    USAGE("--out DIR is missing", "train", "--data", "x");
    USAGE("both --val and", "train", "--data=x", "--out=y", "--val=z",
          "--val-fraction=0");
    USAGE("--min-lr: 0.1 is above", "train", "--data=x", "--out=y", "--min-lr", "0.1");
    USAGE("only one of", "train", "--data=x", "--out=y", "--init=z", "--preset=nano");
    USAGE("'wds' is not one of linear", "train", "--schedule", "wds");
    USAGE("--decay-fraction: only", "train", "--data=x", "--out=y", "--decay-fraction=1");
    USAGE("--chunk: only", "train", "--data=x", "--out=y", "--form=parallel",
          "--chunk=4");
    USAGE("MODEL is missing", "generate", "--prompt", "x");
    USAGE("--prompt TEXT or", "generate", "model");
    USAGE("--prompt: is empty", "generate", "model", "--prompt=");
    USAGE("both --prompt and", "generate", "m", "-p", "a", "--prompt-file", "b");
    USAGE("--stop: needs text", "generate", "m", "-p", "1", "--ids", "--stop", "x");
    USAGE("both --greedy", "generate", "m", "-p", "1", "--greedy", "--temperature", "1");
    USAGE("--top-p: 1.5 is outside", "generate", "m", "-p", "a", "--top-p", "1.5");
    USAGE("both MODEL and --random", "generate", "m", "-p", "a", "--random", "1");
    USAGE("need --random", "generate", "-p", "a", "--preset", "nano");
    USAGE("needs --preset NAME or", "generate", "-p", "a", "--random", "1");
    USAGE("--set: ", "generate", "-p", "a", "--random=1", "--preset=nano", "--set=zz=1");
    USAGE("both --text and", "eval", "m", "--text=a", "--ids=b");
    USAGE("--text PATH or", "eval", "m");
    USAGE("torchscale is defined", "eval", "m", "--text=a", "--row-norm=torchscale");
    USAGE("--window: only", "eval", "m", "--ids=a", "--window=4");
    USAGE("--grads: only", "eval", "m", "--ids=a", "--grads=g", "--form=recurrent");
    USAGE("name the same file", "eval", "m", "--ids=a", "--grads=g", "--logits=g");
    USAGE("MODEL is missing", "info");
    USAGE("--beta2", "train", "--data", "x", "--out", "y", "--beta2", "0.999999999");
    USAGE("both MODEL and --preset", "info", "m", "--preset", "nano");
    USAGE("--set: ", "info", "--preset", "nano", "--set", "width=x");
    USAGE("'nona' is not one of nano", "info", "--preset", "nona");
    USAGE("MODEL is missing", "bench", "batch");
    USAGE("did you mean 'retention'?", "bench", "retenton");
    USAGE("--type: not with bench kernels", "bench", "kernels", "--type=f32");
    USAGE("--type: bench train takes f32 and bf16, not q8_0", "bench", "train",
          "--type=f32,q8_0");
    USAGE("--plot: not with bench kernels", "bench", "kernels", "--plot=x.svg");
    USAGE("--seq: one number of steps", "bench", "batch", "--random=1", "--preset=nano",
          "--seq=1,2");
    USAGE("takes no model", "bench", "kernels", "m");
    USAGE("--shape: '4x64' is not", "bench", "retention", "--shape", "4x64");
}

/* ---- streams ---- */

static void test_output_that_cannot_be_written(void **state)
{
    (void)state;
    static const child_out outs[] = {CHILD_FULL, CHILD_CLOSED, CHILD_NO_READER};
    for (size_t i = 0; i < 3; i++) {
        child c = child_run(ARGV("help"), NULL, outs[i]);
        check_refused(&c, 1, "standard output: ");
        child_free(&c);
        c = child_run(ARGV("info", "--preset", "nano", "--json"), NULL, outs[i]);
        check_refused(&c, 1, "standard output: ");
        child_free(&c);
    }
}

static void test_texts(void **state)
{
    (void)state;
    char text[24];
    assert_string_equal(cli_duration(text, 41.4), "41 s");
    assert_string_equal(cli_duration(text, 125), "2m05s");
    assert_string_equal(cli_duration(text, 7380), "2h03m");
    assert_string_equal(cli_short(text, 12.25), "12.25");
    assert_string_equal(cli_short(text, 12345), "12.3k");
    assert_string_equal(cli_short(text, 4560000), "4.56M");
    assert_string_equal(cli_short(text, 999960), "1.00M");
    json_t *values[] = {cli_json_real(NAN), cli_json_real(INFINITY), cli_json_real(1.5),
                        cli_json_text("a\xff")};
    assert_true(json_is_null(values[0]) && json_is_null(values[1]));
    assert_true(json_real_value(values[2]) == 1.5);
    assert_string_equal(json_string_value(values[3]), "a?");
    for (size_t i = 0; i < 4; i++) json_decref(values[i]);
}

static void test_plain_text(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"a \xc3\xa9\xc2\xa0~", "a \xc3\xa9\xc2\xa0~"},
        {"\033[31m\n\t\r\x7f", "?[31m????"},
        {"\xc2\x80\xc2\x9f\xc2", "??\xc2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", rows[i][0]);
        cli_plain(text);
        assert_string_equal(text, rows[i][1]);
    }
}

/* Lines in a pipe: the first after two seconds, no second within ten; none with --quiet.
 */
static void test_progress_in_a_pipe(void **state)
{
    (void)state;
    cli_args args;
    rn_error err;
    cli_progress p;
    int saved = dup(2), file = open(in_scratch("progress"), O_RDWR | O_CREAT, 0600);
    assert_true(saved >= 0 && file >= 0 && dup2(file, 2) == 2);
    for (int quiet = 0; quiet < 2; quiet++) {
        cli_parse(&args, &cli_info, quiet, WORDS("--quiet"), &err);
        cli_progress_start(&p, &args);
        assert_false(cli_progress_due(&p));
        p.last -= 3;
        for (int i = 0; i < 100; i++) cli_progress_show(&p, "line %d", i);
        cli_progress_clear(&p);
        cli_args_free(&args);
    }
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    close(file);
    size_t size;
    char *text = get_bytes(in_scratch("progress"), &size);
    assert_string_equal(text, "line 0\n");
    free(text);
    cli_progress later = {.last = cli_seconds() - 9};
    assert_false(cli_progress_due(&later));
    later.last -= 2;
    assert_true(cli_progress_due(&later));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_forms_of_options),
        cmocka_unit_test(test_help_wins),
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_train_defaults),
        cmocka_unit_test(test_help_and_man),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_completion),
        cmocka_unit_test(test_family),
        cmocka_unit_test(test_program_usage),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_output_that_cannot_be_written),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_progress_in_a_pipe),
    };
    return cmocka_run_group_tests_name("cli", tests, scratch_open, scratch_close);
}

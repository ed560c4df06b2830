/* `retnet help` and --help: the option tables as text, eighty columns wide. */
#include "help.h"

#include "commands.h"

#include <string.h>

enum { WIDTH = 80, COLUMN = 28 };

void cli_option_value(const cli_option *option, char *out, size_t size)
{
    *out = 0;
    if (option->metavar) {
        snprintf(out, size, "%s", option->metavar);
        return;
    }
    if (option->kind != CLI_CHOICE && option->kind != CLI_CHOICES) return;
    const char *between = option->kind == CLI_CHOICE ? "|" : ",";
    size_t used = 0;
    for (size_t i = 0; cli_choice(option, i) && used < size; i++) {
        int n = snprintf(out + used, size - used, "%s%s", i ? between : "",
                         cli_choice(option, i));
        used += (size_t)n;
    }
}

void cli_option_detail(const cli_option *option, char *out, size_t size)
{
    const char *fallback = option->shown ? option->shown : option->fallback;
    const char *unit = option->unit ? option->unit : "";
    const char *comma = option->unit && fallback ? "; " : "";
    if (!fallback && !option->unit) snprintf(out, size, "%s", option->help);
    else
        snprintf(out, size, "%s (%s%s%s%s)", option->help, unit, comma,
                 fallback ? "default " : "", fallback ? fallback : "");
}

/* Prints words from column `indent` on, the first line being at `at` already. */
static void wrap(FILE *out, const char *text, size_t at, size_t indent)
{
    bool first = true;
    while (*text) {
        size_t length = strcspn(text, " ");
        if (!first && at + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)length, text);
        at += length + !first;
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const cli_option *o)
{
    char value[300], left[400], detail[800];
    char letter[8] = "    ";
    cli_option_value(o, value, sizeof value);
    cli_option_detail(o, detail, sizeof detail);
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, *value ? " " : "",
             value);
    size_t length = strlen(left);
    if (length + 2 > COLUMN) fprintf(out, "%s\n%*s", left, COLUMN, "");
    else fprintf(out, "%-*s", COLUMN, left);
    wrap(out, detail, COLUMN, COLUMN);
}

/* Paragraphs separated by an empty line, each wrapped. */
static void print_about(FILE *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t length = end ? (size_t)(end - text) : strlen(text);
        char paragraph[1200];
        snprintf(paragraph, sizeof paragraph, "%.*s", (int)length, text);
        wrap(out, paragraph, 0, 0);
        fputc('\n', out);
        text += length + (end ? 2 : 0);
    }
}

void cli_help_command(FILE *out, const cli_command *c)
{
    fprintf(out, "Usage: retnet %s%s%s [options]\n\n", c->name, *c->arguments ? " " : "",
            c->arguments);
    print_about(out, c->about);
    for (const cli_group *const *g = c->groups; *g; g++) {
        fprintf(out, "%s:\n", (*g)->title);
        for (size_t i = 0; i < (*g)->count; i++) print_option(out, &(*g)->options[i]);
        fputc('\n', out);
    }
    fprintf(out, "Examples:\n");
    for (size_t i = 0; i + 1 < 4 && c->examples[i]; i += 2)
        fprintf(out, "  %s\n      %s\n", c->examples[i], c->examples[i + 1]);
}

void cli_help_family(FILE *out, const char *family)
{
    const cli_command *c;
    for (size_t i = 0; (c = cli_family_at(family, i)); i++) {
        if (i) fputc('\n', out);
        cli_help_command(out, c);
    }
}

void cli_help_overview(FILE *out)
{
    fprintf(out,
            "retnet %s: %s\n\n"
            "Usage: retnet COMMAND [arguments] [options]\n\nCommands:\n",
            rn_version(), CLI_SUMMARY);
    const cli_command *c;
    for (size_t i = 0; (c = cli_command_at(i)); i++)
        fprintf(out, "  %-16s  %s\n", c->name, c->summary);
    fprintf(
        out,
        "  %-16s  %s\n\n"
        "retnet COMMAND --help tells a command's options with their defaults.\n"
        "retnet --version tells the version, the compiler and the CPU variant in use.\n"
        "\nExamples:\n"
        "  retnet train --data book.txt --out model --max-minutes 2\n"
        "      Train the smallest preset on a text for two minutes.\n"
        "  retnet generate model --prompt 'Once upon a time' --tokens 300\n"
        "      Continue a text with the trained model.\n",
        "help", "this overview, or the help of a command");
}

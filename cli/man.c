/* Man pages in roff from the option tables: retnet(1) and retnet-COMMAND(1). */
#include "help.h"

#include "commands.h"

#include <ctype.h>
#include <string.h>

/* Text with what roff would take for its own escaped. */
static void put(FILE *out, const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\'')) fputs("\\&", out);
        if (*text == '\\') fputs("\\e", out);
        else if (*text == '-') fputs("\\-", out);
        else fputc(*text, out);
        line_start = *text == '\n';
    }
}

static void section(FILE *out, const char *title)
{
    fputs(".SH ", out);
    for (; *title; title++) fputc(toupper((unsigned char)*title), out);
    fputc('\n', out);
}

static void title(FILE *out, const char *name)
{
    fputs(".TH ", out);
    for (; *name; name++) fputc(toupper((unsigned char)*name), out);
    fprintf(out, " 1 \"\" \"retnet %s\" \"User Commands\"\n", rn_version());
}

static void put_option(FILE *out, const cli_option *o)
{
    char value[300], detail[800];
    cli_option_value(o, value, sizeof value);
    cli_option_detail(o, detail, sizeof detail);
    fputs(".TP\n", out);
    if (o->letter) fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB", out);
    put(out, "--");
    put(out, o->name);
    fputs("\\fR", out);
    if (*value) {
        fputs(" \\fI", out);
        put(out, value);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put(out, detail);
    fputc('\n', out);
}

static void put_example(FILE *out, const char *line, const char *what)
{
    fputs(".TP\n", out);
    put(out, line);
    fputc('\n', out);
    put(out, what);
    fputc('\n', out);
}

static void put_about(FILE *out, const char *text)
{
    for (const char *end; (end = strstr(text, "\n\n")); text = end + 2) {
        char paragraph[1200];
        snprintf(paragraph, sizeof paragraph, "%.*s", (int)(end - text), text);
        put(out, paragraph);
        fputs("\n.PP\n", out);
    }
    put(out, text);
    fputc('\n', out);
}

static void exit_codes(FILE *out)
{
    section(out, "Exit status");
    fputs("0 done; 1 the work failed (file, data, memory, disk); 2 wrong usage; 130 "
          "interrupted after saving what can be saved.\n",
          out);
}

/* "retnet-tokenizer-train" */
static void page_name(const cli_command *c, char out[64])
{
    snprintf(out, 64, "retnet-%s", c->name);
    char *blank = strchr(out, ' ');
    if (blank) *blank = '-';
}

static void man_command(FILE *out, const cli_command *c)
{
    char name[64];
    page_name(c, name);
    title(out, name);
    section(out, "Name");
    put(out, name);
    fputs(" \\- ", out);
    put(out, c->summary);
    fputc('\n', out);
    section(out, "Synopsis");
    fprintf(out, "\\fBretnet %s\\fR \\fI", c->name);
    put(out, c->arguments);
    fputs("\\fR [options]\n", out);
    section(out, "Description");
    put_about(out, c->about);
    for (const cli_group *const *g = c->groups; *g; g++) {
        section(out, (*g)->title);
        for (size_t i = 0; i < (*g)->count; i++) put_option(out, &(*g)->options[i]);
    }
    section(out, "Examples");
    for (size_t i = 0; i + 1 < 4 && c->examples[i]; i += 2)
        put_example(out, c->examples[i], c->examples[i + 1]);
    exit_codes(out);
    section(out, "See also");
    fputs("\\fBretnet\\fR(1)\n", out);
}

static void man_overview(FILE *out)
{
    const cli_command *c;
    title(out, "retnet");
    section(out, "Name");
    fputs("retnet \\- ", out);
    put(out, CLI_SUMMARY);
    fputc('\n', out);
    section(out, "Synopsis");
    fputs("\\fBretnet\\fR \\fICOMMAND\\fR [arguments] [options]\n", out);
    section(out, "Commands");
    for (size_t i = 0; (c = cli_command_at(i)); i++) {
        char name[64];
        page_name(c, name);
        fputs(".TP\n\\fB", out);
        put(out, name);
        fputs("\\fR(1)\n", out);
        put(out, c->summary);
        fputc('\n', out);
    }
    section(out, "Streams");
    put(out,
        "The result goes to standard output; progress, warnings and one-line errors go "
        "to standard error. The progress line is redrawn on a terminal and is plain "
        "lines, at most one every ten seconds, in a pipe.\n");
    section(out, "Environment");
    put(out,
        "NO_COLOR, when set and not empty, switches colour off. TMPDIR is where eval "
        "keeps the tokens of a text while it reads them.\n");
    exit_codes(out);
}

void cli_man(FILE *out, const cli_command *command)
{
    if (command) man_command(out, command);
    else man_overview(out);
}

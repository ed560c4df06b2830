/* Completion scripts for bash, zsh and fish from the option tables. */
#include "help.h"

#include "commands.h"

#include <string.h>

static bool is_list(const cli_option *o)
{
    return o->kind == CLI_LIST || o->kind == CLI_PATHS;
}

static bool has_choices(const cli_option *o)
{
    return o->kind == CLI_CHOICE || o->kind == CLI_CHOICES;
}

/* The command's options, separated by spaces, and its fixed first operands. */
static void put_words(FILE *out, const cli_command *c)
{
    for (size_t i = 0; i < cli_option_count(c); i++)
        fprintf(out, "--%s ", cli_option_at(c, i, NULL)->name);
    fputs("--help", out);
}

static void put_choices(FILE *out, const cli_option *o)
{
    for (size_t i = 0; cli_choice(o, i); i++)
        fprintf(out, "%s%s", i ? " " : "", cli_choice(o, i));
}

static void put_operands(FILE *out, const cli_command *c)
{
    for (const char *const *w = c->operand_words; w && *w; w++)
        fprintf(out, "%s%s", w == c->operand_words ? "" : " ", *w);
}

/* Commands of one word, and the names of families. */
static void put_commands(FILE *out)
{
    const cli_command *c;
    char name[CLI_NAME];
    for (size_t i = 0; (c = cli_command_at(i)); i++) {
        if (cli_command_part(c) && !cli_family_begins(i)) continue;
        cli_command_family(c, name);
        fprintf(out, "%s ", name);
    }
    fputs("help", out);
}

static void put_parts(FILE *out, const char *family)
{
    const cli_command *c;
    for (size_t i = 0; (c = cli_family_at(family, i)); i++)
        fprintf(out, "%s%s", i ? " " : "", cli_command_part(c));
}

static void bash_value(FILE *out, const cli_option *o)
{
    if (o->kind == CLI_FLAG) return;
    fprintf(out, "            --%s", o->name);
    if (o->letter) fprintf(out, "|-%c", o->letter);
    fputs(") COMPREPLY=(", out);
    if (has_choices(o)) {
        fputs("$(compgen -W '", out);
        put_choices(out, o);
        fputs("' -- \"$word\")", out);
    } else if (o->complete != CLI_NOTHING) {
        fprintf(out, "$(compgen -%c -- \"$word\")",
                o->complete == CLI_FOLDERS ? 'd' : 'f');
    }
    fputs("); return ;;\n", out);
}

static void bash_command(FILE *out, const cli_command *c)
{
    fprintf(out, "    '%s')\n        case \"$last\" in\n", c->name);
    for (size_t i = 0; i < cli_option_count(c); i++)
        bash_value(out, cli_option_at(c, i, NULL));
    fputs("        esac\n        words='", out);
    put_words(out, c);
    fputs("'\n        operands='", out);
    put_operands(out, c);
    fputs("' ;;\n", out);
}

/* Sets `name` to what the cases are named by; the second word of a family is offered. */
static void bash_families(FILE *out)
{
    char family[CLI_NAME];
    fputs("    local name=\"${COMP_WORDS[1]}\"\n    case \"$name\" in\n", out);
    for (size_t i = 0; cli_command_at(i); i++) {
        if (!cli_family_begins(i)) continue;
        cli_command_family(cli_command_at(i), family);
        fprintf(out,
                "    %s)\n        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                "            COMPREPLY=($(compgen -W '",
                family);
        put_parts(out, family);
        fputs(" --help' -- \"$word\"))\n            return\n        fi\n"
              "        name=\"$name ${COMP_WORDS[2]}\" ;;\n",
              out);
    }
    fputs("    esac\n    case \"$name\" in\n", out);
}

static void completion_bash(FILE *out)
{
    const cli_command *c;
    fputs("# bash completion of retnet\n"
          "_retnet()\n{\n"
          "    local word=\"${COMP_WORDS[COMP_CWORD]}\"\n"
          "    local last=\"${COMP_WORDS[COMP_CWORD-1]}\" words='' operands=''\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ] || [ \"${COMP_WORDS[1]}\" = help ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    put_commands(out);
    fputs(" --help --version' -- \"$word\"))\n        return\n    fi\n", out);
    bash_families(out);
    for (size_t i = 0; (c = cli_command_at(i)); i++) bash_command(out, c);
    fputs("    *) return ;;\n    esac\n"
          "    case \"$word\" in\n"
          "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$word\")) ;;\n"
          "    *) COMPREPLY=($(compgen -W \"$operands\" -- \"$word\")\n"
          "                  $(compgen -f -- \"$word\")) ;;\n"
          "    esac\n}\n"
          "complete -o filenames -F _retnet retnet\n",
          out);
}

/* Help text inside single quotes and, for zsh, inside brackets. */
static void put_quoted(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') fputs("'\\''", out);
        else if (strchr("[]:\\", *text)) fprintf(out, "\\%c", *text);
        else fputc(*text, out);
    }
}

static void zsh_option(FILE *out, const cli_option *o)
{
    char value[300];
    cli_option_value(o, value, sizeof value);
    fprintf(out, " \\\n            '%s--%s%s[", is_list(o) ? "*" : "", o->name,
            o->kind == CLI_FLAG ? "" : "=");
    put_quoted(out, o->help);
    fputc(']', out);
    if (o->kind != CLI_FLAG) {
        fputc(':', out);
        put_quoted(out, value);
        fputc(':', out);
    }
    if (has_choices(o)) {
        fputc('(', out);
        put_choices(out, o);
        fputc(')', out);
    } else if (o->complete != CLI_NOTHING) {
        fputs(o->complete == CLI_FOLDERS ? "_files -/" : "_files", out);
    }
    fputc('\'', out);
}

static void zsh_command(FILE *out, const cli_command *c)
{
    fprintf(out, "    '%s')\n        _arguments", c->name);
    for (size_t i = 0; i < cli_option_count(c); i++)
        zsh_option(out, cli_option_at(c, i, NULL));
    if (c->operand_words) {
        fputs(" \\\n            '1:what:(", out);
        put_operands(out, c);
        fputs(")'", out);
    }
    if (c->max_operands) fputs(" \\\n            '*:model:_files'", out);
    fputs(" ;;\n", out);
}

/* The first two words of a part become one. */
static void zsh_families(FILE *out)
{
    char family[CLI_NAME];
    for (size_t i = 0; cli_command_at(i); i++) {
        if (!cli_family_begins(i)) continue;
        cli_command_family(cli_command_at(i), family);
        fprintf(out,
                "    if [[ $name == %s ]]; then\n        if (( CURRENT == 2 )); then\n"
                "            compadd -- ",
                family);
        put_parts(out, family);
        fputs("\n            return\n        fi\n        name=\"$name $words[2]\"\n"
              "        shift words\n        (( CURRENT-- ))\n    fi\n",
              out);
    }
}

static void zsh_commands(FILE *out)
{
    const cli_command *c;
    char name[CLI_NAME];
    for (size_t i = 0; (c = cli_command_at(i)); i++) {
        if (cli_command_part(c) && !cli_family_begins(i)) continue;
        cli_command_family(c, name);
        fprintf(out, "\n        '%s:", name);
        put_quoted(out, c->summary);
        fputc('\'', out);
    }
}

static void completion_zsh(FILE *out)
{
    const cli_command *c;
    fputs("#compdef retnet\n"
          "_retnet()\n{\n"
          "    local -a commands\n    commands=(",
          out);
    zsh_commands(out);
    fputs("\n        'help:the help of a command')\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe command commands\n        return\n    fi\n"
          "    local name=$words[2]\n    shift words\n    (( CURRENT-- ))\n",
          out);
    zsh_families(out);
    fputs("    case $name in\n", out);
    for (size_t i = 0; (c = cli_command_at(i)); i++) zsh_command(out, c);
    fputs("    help) _describe command commands ;;\n    esac\n}\n_retnet \"$@\"\n", out);
}

/* The condition that a command was typed: both words of a part; and of a command of one
   word that is not the second of a family. */
static void fish_seen(FILE *out, const cli_command *c)
{
    char family[CLI_NAME];
    const char *part = cli_command_part(c);
    cli_command_family(c, family);
    fprintf(out, "complete -c retnet -n '__fish_seen_subcommand_from %s", family);
    if (part) fprintf(out, "; and __fish_seen_subcommand_from %s", part);
    for (size_t i = 0; !part && cli_command_at(i); i++) {
        const char *other = cli_command_part(cli_command_at(i));
        if (!other || strcmp(other, c->name)) continue;
        cli_command_family(cli_command_at(i), family);
        fprintf(out, "; and not __fish_seen_subcommand_from %s", family);
    }
    fputc('\'', out);
}

static void fish_option(FILE *out, const cli_command *c, const cli_option *o)
{
    fish_seen(out, c);
    fprintf(out, " -l %s", o->name);
    if (o->letter) fprintf(out, " -s %c", o->letter);
    if (has_choices(o)) {
        fputs(" -x -a '", out);
        put_choices(out, o);
        fputc('\'', out);
    } else if (o->kind != CLI_FLAG) {
        fputs(o->complete == CLI_NOTHING ? " -x" : " -r -F", out);
    }
    fputs(" -d \"", out);
    for (const char *t = o->help; *t; t++) {
        if (strchr("\"$\\", *t)) fputc('\\', out);
        fputc(*t, out);
    }
    fputs("\"\n", out);
}

/* Offers the command's name, or the family's and the part's. */
static void fish_command(FILE *out, size_t index)
{
    const cli_command *c = cli_command_at(index);
    const char *part = cli_command_part(c);
    char name[CLI_NAME];
    cli_command_family(c, name);
    if (!part || cli_family_begins(index))
        fprintf(out, "complete -c retnet -n __fish_use_subcommand -f -a %s -d \"%s\"\n",
                name, c->summary);
    if (!part) return;
    fprintf(out,
            "complete -c retnet -n '__fish_seen_subcommand_from %s; and not "
            "__fish_seen_subcommand_from ",
            name);
    put_parts(out, name);
    fprintf(out, "' -f -a %s -d \"%s\"\n", part, c->summary);
}

static void completion_fish(FILE *out)
{
    const cli_command *c;
    fputs("# fish completion of retnet\n", out);
    for (size_t i = 0; (c = cli_command_at(i)); i++) {
        fish_command(out, i);
        for (size_t j = 0; j < cli_option_count(c); j++)
            fish_option(out, c, cli_option_at(c, j, NULL));
        if (!c->operand_words) continue;
        fish_seen(out, c);
        fputs(" -a '", out);
        put_operands(out, c);
        fputs("'\n", out);
    }
}

bool cli_completion(FILE *out, const char *shell)
{
    if (!strcmp(shell, "bash")) completion_bash(out);
    else if (!strcmp(shell, "zsh")) completion_zsh(out);
    else if (!strcmp(shell, "fish")) completion_fish(out);
    else return false;
    return true;
}

/*
 * The parser over a command's option table. Every value is checked against its kind,
 * range and words here, before any work starts; what two options mean together is the
 * command's.
 */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEAR_LENGTH = 32, NEAR_WORDS = 96 };

typedef struct parser {
    cli_args *args;
    int argc, at; /* at: the argument to be read next */
    const char *const *argv;
    rn_error *err;
} parser;

__attribute__((format(printf, 2, 3))) static rn_status wrong(rn_error *err,
                                                             const char *format, ...)
{
    err->status = RN_EINVAL;
    va_list list;
    va_start(list, format);
    vsnprintf(err->message, sizeof err->message, format, list);
    va_end(list);
    return RN_EINVAL;
}

static rn_status no_memory(rn_error *err)
{
    wrong(err, "out of memory while reading the options");
    return err->status = RN_ENOMEM;
}

size_t cli_option_count(const cli_command *command)
{
    size_t count = 0;
    for (const cli_group *const *g = command->groups; *g; g++) count += (*g)->count;
    return count;
}

const cli_option *cli_option_at(const cli_command *command, size_t index,
                                const char **title)
{
    for (const cli_group *const *g = command->groups; *g; g++) {
        if (index < (*g)->count) {
            if (title) *title = (*g)->title;
            return &(*g)->options[index];
        }
        index -= (*g)->count;
    }
    return NULL;
}

const char *cli_choice(const cli_option *option, size_t index)
{
    return option->words ? option->words(index) : option->choices[index];
}

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; words longer
   than NEAR_LENGTH are as far as can be. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > NEAR_LENGTH || m > NEAR_LENGTH) return SIZE_MAX;
    size_t d[NEAR_LENGTH + 1][NEAR_LENGTH + 1];
    for (size_t i = 0; i <= n; i++) d[i][0] = i;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            bool swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swap && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *cli_nearest(const char *typed, const char *const *words)
{
    const char *nearest = NULL;
    size_t length = strlen(typed), limit = 1 + length / 3;
    for (; *words; words++) {
        bool begins = length >= 2 && !strncmp(*words, typed, length);
        size_t d = begins ? 1 : distance(typed, *words);
        if (d > limit || d >= strlen(*words)) continue;
        limit = d - (d > 0);
        nearest = *words;
        if (!d) break;
    }
    return nearest;
}

static rn_status unknown_option(const parser *p, const char *typed, size_t length)
{
    char name[NEAR_LENGTH + 1];
    const char *words[NEAR_WORDS + 2];
    size_t count = cli_option_count(p->args->command);
    assert(count <= NEAR_WORDS);
    for (size_t i = 0; i < count; i++)
        words[i] = cli_option_at(p->args->command, i, NULL)->name;
    words[count] = "help";
    words[count + 1] = NULL;
    snprintf(name, sizeof name, "%.*s", (int)(length < 64 ? length : 64), typed);
    const char *near = length <= NEAR_LENGTH ? cli_nearest(name, words) : NULL;
    if (near)
        return wrong(p->err, "unknown option '--%.*s'; did you mean '--%s'?", (int)length,
                     typed, near);
    return wrong(p->err, "unknown option '--%.*s'", (int)length, typed);
}

static rn_status read_int(const cli_option *o, const char *text, int64_t *out,
                          rn_error *err)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool digits = *text && strspn(text, "+-0123456789") == strlen(text);
    if (!digits || *end || end == text)
        return wrong(err, "--%s: '%s' is not a whole number", o->name, text);
    if (errno == ERANGE || (double)value < o->min || (double)value > o->max)
        return wrong(err, "--%s: %s is outside %.0f to %.0f", o->name, text, o->min,
                     o->max);
    *out = value;
    return RN_OK;
}

static rn_status read_real(const cli_option *o, const char *text, double *out,
                           rn_error *err)
{
    char *end;
    double value = strtod(text, &end);
    bool digits = *text && strspn(text, "+-.0123456789eE") == strlen(text);
    if (!digits || *end || end == text || !isfinite(value))
        return wrong(err, "--%s: '%s' is not a number", o->name, text);
    if (value < o->min || value > o->max)
        return wrong(err, "--%s: %s is outside %g to %g", o->name, text, o->min, o->max);
    *out = value;
    return RN_OK;
}

/* "f32", "linear, cosine, constant": what may be chosen. */
static void list_words(const cli_option *o, char *out, size_t size)
{
    size_t used = 0;
    *out = 0;
    for (size_t i = 0; cli_choice(o, i) && used < size; i++) {
        int n =
            snprintf(out + used, size - used, "%s%s", i ? ", " : "", cli_choice(o, i));
        used += (size_t)n;
    }
}

static rn_status read_choice(const cli_option *o, const char *text, int64_t *out,
                             rn_error *err)
{
    const char *words[NEAR_WORDS + 1];
    size_t count = 0;
    for (; count < NEAR_WORDS && cli_choice(o, count); count++) {
        words[count] = cli_choice(o, count);
        if (strcmp(words[count], text)) continue;
        *out = (int64_t)count;
        return RN_OK;
    }
    words[count] = NULL;
    if (o->later && !strcmp(text, o->later))
        return wrong(err, "--%s: %s is not available in this version", o->name, text);
    const char *near = cli_nearest(text, words);
    char list[400];
    list_words(o, list, sizeof list);
    if (near)
        return wrong(err, "--%s: '%s' is not one of %s; did you mean '%s'?", o->name,
                     text, list, near);
    return wrong(err, "--%s: '%s' is not one of %s", o->name, text, list);
}

static rn_status append_text(cli_value *v, const char *text, rn_error *err)
{
    const char **list = realloc(v->list, (v->count + 1) * sizeof *list);
    if (!list) return no_memory(err);
    v->list = list;
    list[v->count++] = text;
    return RN_OK;
}

/* One item of a list: a whole number or a word. */
typedef rn_status read_item(const cli_option *o, const char *text, int64_t *out,
                            rn_error *err);

/* "512,2048": replaces what the default or an earlier option gave. */
static rn_status read_list(const cli_option *o, cli_value *v, const char *text,
                           read_item *read, const char *what, rn_error *err)
{
    v->count = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        char item[32];
        if (!length || length >= sizeof item)
            return wrong(err, "--%s: '%s' is not a list of %s", o->name, text, what);
        memcpy(item, at, length);
        item[length] = 0;
        int64_t *numbers = realloc(v->numbers, (v->count + 1) * sizeof *numbers);
        if (!numbers) return no_memory(err);
        v->numbers = numbers;
        rn_status st = read(o, item, &numbers[v->count], err);
        if (st) return st;
        v->count++;
        at += length;
        if (!*at) return RN_OK;
    }
}

static rn_status set_value(const cli_option *o, cli_value *v, const char *text,
                           rn_error *err)
{
    v->text = text;
    switch (o->kind) {
    case CLI_FLAG: v->number = 1; return RN_OK;
    case CLI_TEXT:
        if (*text || o->complete == CLI_NOTHING) return RN_OK;
        return wrong(err, "--%s: the %s is empty", o->name, o->metavar);
    case CLI_INT: return read_int(o, text, &v->number, err);
    case CLI_REAL: return read_real(o, text, &v->real, err);
    case CLI_CHOICE: return read_choice(o, text, &v->number, err);
    case CLI_LIST:
    case CLI_PATHS: return append_text(v, text, err);
    case CLI_INTS: return read_list(o, v, text, read_int, "whole numbers", err);
    case CLI_CHOICES: return read_list(o, v, text, read_choice, "words", err);
    }
    return RN_OK;
}

/* The value of option o: `attached` ("=value", or the rest of a short option), or the
   next argument. */
static rn_status take_value(parser *p, const cli_option *o, cli_value *v,
                            const char *attached)
{
    if (o->kind == CLI_FLAG) {
        v->given = true;
        return set_value(o, v, NULL, p->err);
    }
    if (!attached && p->at == p->argc)
        return wrong(p->err, "--%s: the %s is missing", o->name, o->metavar);
    v->given = true;
    rn_status st = set_value(o, v, attached ? attached : p->argv[p->at++], p->err);
    if (o->kind != CLI_PATHS || attached) return st;
    while (!st && p->at < p->argc && p->argv[p->at][0] != '-')
        st = set_value(o, v, p->argv[p->at++], p->err);
    return st;
}

static rn_status parse_long(parser *p, const char *text)
{
    size_t length = strcspn(text, "=");
    const char *attached = text[length] ? text + length + 1 : NULL;
    if (length == 4 && !strncmp(text, "help", 4)) {
        p->args->help = true;
        return RN_OK;
    }
    for (size_t i = 0; i < p->args->value_count; i++) {
        const cli_option *o = cli_option_at(p->args->command, i, NULL);
        if (strlen(o->name) != length || strncmp(o->name, text, length)) continue;
        if (o->kind == CLI_FLAG && attached)
            return wrong(p->err, "--%s: takes no value", o->name);
        return take_value(p, o, &p->args->values[i], attached);
    }
    return unknown_option(p, text, length);
}

/* -q, -n 100, -n100, and flags run together. */
static rn_status parse_short(parser *p, const char *text)
{
    for (; *text; text++) {
        if (*text == 'h') {
            p->args->help = true;
            return RN_OK;
        }
        size_t i = 0;
        const cli_option *o = NULL;
        for (; i < p->args->value_count; i++) {
            o = cli_option_at(p->args->command, i, NULL);
            if (o->letter == *text) break;
        }
        if (i == p->args->value_count)
            return wrong(p->err, "unknown option '-%c'", *text);
        bool flag = o->kind == CLI_FLAG;
        rn_status st =
            take_value(p, o, &p->args->values[i], !flag && text[1] ? text + 1 : NULL);
        if (st || !flag) return st;
    }
    return RN_OK;
}

static rn_status set_defaults(cli_args *args, rn_error *err)
{
    for (size_t i = 0; i < args->value_count; i++) {
        const cli_option *o = cli_option_at(args->command, i, NULL);
        if (!o->fallback) continue;
        rn_status st = set_value(o, &args->values[i], o->fallback, err);
        if (st) return st;
    }
    return RN_OK;
}

static rn_status parse_all(parser *p)
{
    cli_args *args = p->args;
    bool options = true;
    while (p->at < p->argc && !args->help) {
        const char *text = p->argv[p->at++];
        rn_status st = RN_OK;
        if (options && !strcmp(text, "--")) options = false;
        else if (options && !strncmp(text, "--", 2)) st = parse_long(p, text + 2);
        else if (options && text[0] == '-' && text[1]) st = parse_short(p, text + 1);
        else if (args->operand_count == args->command->max_operands)
            return wrong(p->err, "unexpected argument '%s'", text);
        else args->operands[args->operand_count++] = text;
        if (st) return st;
    }
    if (args->help || args->operand_count >= args->command->min_operands) return RN_OK;
    return wrong(p->err, "%s is missing", args->command->arguments);
}

rn_status cli_parse(cli_args *out, const cli_command *command, int argc,
                    const char *const *argv, rn_error *err)
{
    size_t count = cli_option_count(command);
    *out = (cli_args){.command = command};
    out->values = calloc(count + 1, sizeof *out->values);
    out->operands = calloc(command->max_operands + 1, sizeof *out->operands);
    if (!out->values || !out->operands) return no_memory(err);
    out->value_count = count;
    rn_status st = set_defaults(out, err);
    if (st) return st;
    parser p = {.args = out, .argc = argc, .argv = argv, .err = err};
    return parse_all(&p);
}

void cli_args_free(cli_args *args)
{
    for (size_t i = 0; i < args->value_count; i++) {
        free(args->values[i].list);
        free(args->values[i].numbers);
    }
    free(args->values);
    free(args->operands);
    *args = (cli_args){0};
}

static const cli_value *find(const cli_args *args, const char *name)
{
    for (size_t i = 0; i < args->value_count; i++)
        if (!strcmp(cli_option_at(args->command, i, NULL)->name, name))
            return &args->values[i];
    return NULL;
}

const cli_value *cli_get(const cli_args *args, const char *name)
{
    const cli_value *v = find(args, name);
    assert(v && "an option that is not in the command's table");
    return v;
}

bool cli_has(const cli_args *args, const char *name)
{
    return find(args, name) != NULL;
}

bool cli_given(const cli_args *args, const char *name)
{
    return cli_get(args, name)->given;
}

int64_t cli_int(const cli_args *args, const char *name)
{
    return cli_get(args, name)->number;
}

double cli_real(const cli_args *args, const char *name)
{
    return cli_get(args, name)->real;
}

const char *cli_text(const cli_args *args, const char *name)
{
    return cli_get(args, name)->text;
}

/* The rows of `retnet bench` as a gnuplot script: a curve for each type (or form, or size
   of batch) with the spread of its calls, its limit as a dashed line, and the resident
   memory as a second panel where it was measured. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "commands.h"
#include "output.h"
#include "plot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CURVES = 32, LABEL = 120, ROOMY_TICS = 7 };

typedef int64_t pick_x(const cli_row *row);

typedef struct subject {
    const char *what, *x_label, *y_label;
    pick_x *x;
    bool inverted; /* milliseconds of a token, not a rate */
} subject;

static int64_t by_depth(const cli_row *row)
{
    return row->depth;
}

static int64_t by_batch(const cli_row *row)
{
    return row->batch;
}

static int64_t by_seq(const cli_row *row)
{
    return row->seq;
}

static const subject subjects[] = {
    {"retention", "tokens in the sequence", "GFLOP/s", by_seq, false},
    {"prompt", "tokens in the prompt", "tokens/s", by_seq, false},
    {"decode", "tokens before", "milliseconds per token", by_depth, true},
    {"batch", "sequences decoded together", "tokens/s", by_batch, false},
    {"train", "tokens in a row", "tokens/s", by_seq, false},
};

typedef struct drawing {
    const cli_bench *b;
    const subject *s;
    FILE *out;
    char labels[MOST_CURVES][LABEL];
    size_t curves;
    bool memory;
} drawing;

/* What the curve of a row is called; rows of one name are one curve. */
static void name_curve(const subject *s, const cli_row *row, char out[LABEL])
{
    if (*row->shape) snprintf(out, LABEL, "%s, %s", row->name, row->shape);
    else if (s->x == by_seq && row->batch > 1)
        snprintf(out, LABEL, "%s, %lld rows", row->type, (long long)row->batch);
    else snprintf(out, LABEL, "%s", row->type);
}

static int find_curves(drawing *d, rn_error *err)
{
    for (size_t i = 0; i < d->b->row_count; i++) {
        char label[LABEL];
        size_t at = 0;
        name_curve(d->s, &d->b->rows[i], label);
        while (at < d->curves && strcmp(d->labels[at], label)) at++;
        if (at == MOST_CURVES)
            return cli_fail(err, "--plot: more than %d curves", MOST_CURVES);
        if (at == d->curves) strcpy(d->labels[d->curves++], label);
        d->memory = d->memory || d->b->rows[i].memory > 0;
    }
    return CLI_DONE;
}

/* A string for gnuplot, which doubles quotes and takes everything else as it is. */
static void put_text(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', out);
        fputc((unsigned char)*text < 32 ? '?' : *text, out);
    }
    fputc('\'', out);
}

/* The axis is logarithmic: a depth of 0 stands at 1. */
static long long place_of(const drawing *d, const cli_row *row)
{
    int64_t x = d->s->x(row);
    return x > 0 ? x : 1;
}

/* Rates as they are, or as milliseconds. */
static double height(const drawing *d, double value)
{
    return d->s->inverted && value > 0 ? 1000 / value : value;
}

/* Columns: place, height, its least and most, limit, memory in MiB. */
static void put_data(const drawing *d)
{
    for (size_t i = 0; i < d->curves; i++) {
        fprintf(d->out, "$curve%zu << END\n", i);
        for (size_t j = 0; j < d->b->row_count; j++) {
            const cli_row *r = &d->b->rows[j];
            char label[LABEL];
            name_curve(d->s, r, label);
            if (strcmp(label, d->labels[i])) continue;
            fprintf(d->out, "%lld %.9g %.9g %.9g %.9g %.9g\n", place_of(d, r),
                    height(d, r->value), height(d, r->min), height(d, r->max),
                    height(d, r->limit), r->memory / 1048576);
        }
        fputs("END\n", d->out);
    }
}

/* The places that were measured are the tics. */
static void put_places(const drawing *d)
{
    long long least = 0, most = 0;
    fputs("set logscale x\nset xtics (", d->out);
    for (size_t i = 0; i < d->b->row_count; i++) {
        long long place = place_of(d, &d->b->rows[i]);
        if (!least || place < least) least = place;
        if (place > most) most = place;
        fprintf(d->out, "%s'%lld' %lld", i ? ", " : "",
                (long long)d->s->x(&d->b->rows[i]), place);
    }
    fprintf(d->out, ")\nset xrange [%g:%g]\n", (double)least / 1.3, (double)most * 1.3);
    if (d->b->row_count / d->curves > ROOMY_TICS)
        fputs("set xtics rotate by -30\n", d->out);
}

static void put_head(const drawing *d)
{
    char title[600], processor[200];
    const char *label = d->b->m.label;
    cli_bench_processor(processor, sizeof processor);
    snprintf(title, sizeof title, "%s%s%s on %s, threads: %d (dashed: the limit)",
             d->s->what, label ? " of " : "", label ? label : "",
             *processor ? processor : "this CPU", rn_exec_threads(d->b->m.x));
    fprintf(d->out,
            "set encoding utf8\n"
            "set terminal svg size 900,%d noenhanced font 'sans-serif,14' background "
            "'white'\n"
            "set grid\nset key tmargin center horizontal\nset bars small\n"
            "set lmargin 11\nset rmargin 4\nset yrange [0:*]\n",
            (d->memory ? 780 : 480) + (int)d->curves * 20);
    put_places(d);
    if (d->memory) fputs("set multiplot layout 2,1\n", d->out);
    fputs("set title ", d->out);
    put_text(d->out, title);
    fprintf(d->out, "\nset ylabel '%s'\n", d->s->y_label);
    if (!d->memory) fprintf(d->out, "set xlabel '%s'\n", d->s->x_label);
}

static void put_curves(const drawing *d)
{
    for (size_t i = 0; i < d->curves; i++) {
        fprintf(d->out, "%s $curve%zu using 1:2:3:4 with yerrorlines lc %zu pt 7 title ",
                i ? "," : "plot", i, i + 1);
        put_text(d->out, d->labels[i]);
        fprintf(d->out, ", $curve%zu using 1:5 with lines lc %zu dt 2 notitle", i, i + 1);
    }
    fputc('\n', d->out);
}

static void put_memory(const drawing *d)
{
    fprintf(
        d->out,
        "unset title\nunset key\nset ylabel 'resident memory, MiB'\nset xlabel '%s'\n",
        d->s->x_label);
    for (size_t i = 0; i < d->curves; i++)
        fprintf(d->out, "%s $curve%zu using 1:6 with linespoints lc %zu pt 7",
                i ? "," : "plot", i, i + 1);
    fputs("\nunset multiplot\n", d->out);
}

int cli_bench_plot(const cli_bench *b, const char *what, const char *path, rn_error *err)
{
    drawing d = {.b = b, .s = subjects};
    char *script = NULL;
    size_t length = 0;
    while (strcmp(d.s->what, what)) d.s++;
    int code = find_curves(&d, err);
    if (code) return code;
    d.out = open_memstream(&script, &length);
    if (!d.out) return cli_fail(err, "--plot: out of memory for the script");
    put_head(&d);
    put_data(&d);
    put_curves(&d);
    if (d.memory) put_memory(&d);
    bool failed = ferror(d.out);
    if (fclose(d.out) || failed)
        code = cli_fail(err, "--plot: out of memory for the script");
    if (!code) code = cli_plot_draw(path, script, length, err);
    free(script);
    return code;
}

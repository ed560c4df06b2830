/* retnet tokenizer encode: texts to ids, many texts at once. Small texts are gathered to
   batches, so that memory does not grow with the number of texts. */
#include "commands.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"
#include "texts.h"
#include "tokens.h"

#include "retnet/tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_TEXTS = 4096, BATCH_BYTES = 4 << 20, DIGITS = 12 };

/* clang-format off */
static const cli_option options[] = {
    {.name = "special", .kind = CLI_FLAG,
     .help = "with the ids that the tokenizer puts around a text (<s>)"},
    {.name = "plain", .kind = CLI_FLAG,
     .help = "the text of special tokens is text like any other"},
    {.name = "lines", .kind = CLI_FLAG,
     .help = "each line is a text by itself, without its newline"},
    {.name = "out", .kind = CLI_TEXT, .metavar = "FILE.bin", .complete = CLI_FILES,
     .help = "write the ids into a token file for training instead of printing them: 16 "
             "bits an id, or llm.c's layout of 32 where the vocabulary needs it. Where "
             "there may be several texts (--lines, JSONL, a folder, several files) the "
             "tokenizer's end id follows each, so that training keeps them apart"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("How to encode", options);

typedef struct encoding {
    const cli_args *args;
    rn_tokenizer *tokenizer;
    unsigned flags;
    int threads;
    cli_texts texts;
    char *copy; /* the batch's texts; one that is too large stays where it is */
    const char *text[BATCH_TEXTS];
    size_t length[BATCH_TEXTS], counts[BATCH_TEXTS];
    int32_t *ids[BATCH_TEXTS];
    size_t count, used;
    rn_tokens_writer *writer; /* --out */
    json_t *list;             /* --json without --out */
    bool several;             /* there may be more than one text */
    int32_t end;              /* the id that ends a text; negative: none */
    uint64_t tokens, bytes;
    uint64_t ended; /* texts that have ids */
    double begin;   /* in seconds */
    cli_progress progress;
} encoding;

/* "5 17 3" and a newline. */
static int print_ids(const int32_t *ids, size_t count, rn_error *err)
{
    char line[512 * DIGITS];
    size_t used = 0;
    int code = CLI_DONE;
    for (size_t i = 0; !code && i < count; i++) {
        used += (size_t)snprintf(line + used, DIGITS, "%s%" PRId32, i ? " " : "", ids[i]);
        if (used + DIGITS < sizeof line) continue;
        code = cli_write(line, used, err);
        used = 0;
    }
    line[used++] = '\n';
    return code ? code : cli_write(line, used, err);
}

static int list_ids(encoding *e, const int32_t *ids, size_t count, rn_error *err)
{
    json_t *list = e->several ? json_array() : e->list;
    bool failed = !list || (e->several && json_array_append_new(e->list, list));
    for (size_t i = 0; !failed && i < count; i++)
        failed = json_array_append_new(list, json_integer(ids[i])) != 0;
    return failed ? cli_fail(err, "out of memory for the JSON result") : CLI_DONE;
}

/* As rn_tokens_build does it: a text without ids leaves nothing. */
static int append_ids(encoding *e, const int32_t *ids, size_t count, rn_error *err)
{
    if (!count) return CLI_DONE;
    rn_status st = rn_tokens_append(e->writer, ids, count, err);
    e->ended++;
    if (st || !e->several || e->end < 0 || ids[count - 1] == e->end) return cli_code(st);
    e->tokens++;
    return cli_code(rn_tokens_append(e->writer, &e->end, 1, err));
}

static int give_ids(encoding *e, const int32_t *ids, size_t count, rn_error *err)
{
    e->tokens += count;
    if (e->writer) return append_ids(e, ids, count, err);
    if (e->list) return list_ids(e, ids, count, err);
    return print_ids(ids, count, err);
}

static void show_progress(encoding *e)
{
    char bar[CLI_BAR], a[32], b[24];
    uint64_t total = cli_texts_total(&e->texts);
    if (!cli_progress_due(&e->progress)) return;
    cli_duration(b, cli_seconds() - e->begin);
    if (total)
        cli_progress_show(&e->progress, "%s of %s, %s",
                          cli_progress_bar(bar, (double)e->bytes / (double)total),
                          cli_bytes(a, total), b);
    else cli_progress_show(&e->progress, "%s, %s", cli_bytes(a, e->bytes), b);
}

static int encode_batch(encoding *e, rn_error *err)
{
    int code =
        cli_code(rn_tokenizer_encode_batch(e->tokenizer, e->text, e->length, e->count,
                                           e->flags, e->threads, e->ids, e->counts, err));
    if (code) return code;
    for (size_t i = 0; i < e->count; i++) {
        if (!code) code = give_ids(e, e->ids[i], e->counts[i], err);
        free(e->ids[i]);
        e->bytes += e->length[i];
    }
    e->count = e->used = 0;
    show_progress(e);
    return !code && cli_interrupted() ? CLI_INTERRUPTED : code;
}

static int add_text(encoding *e, const char *text, size_t length, rn_error *err)
{
    bool large = length > BATCH_BYTES;
    int code = CLI_DONE;
    if (large || length > BATCH_BYTES - e->used || e->count == BATCH_TEXTS)
        code = encode_batch(e, err);
    if (code) return code;
    e->text[e->count] = large ? text : e->copy + e->used;
    e->length[e->count++] = length;
    if (large) return encode_batch(e, err);
    if (length) memcpy(e->copy + e->used, text, length);
    e->used += length;
    return CLI_DONE;
}

static int encode_all(encoding *e, rn_error *err)
{
    const char *text;
    size_t length = 0;
    int code;
    e->begin = cli_seconds();
    cli_progress_start(&e->progress, e->args);
    while (!(code = cli_texts_next(&e->texts, &text, &length, err)) && text)
        if ((code = add_text(e, text, length, err))) break;
    if (!code) code = encode_batch(e, err);
    cli_progress_clear(&e->progress);
    return code;
}

static int print_result(encoding *e, rn_error *err)
{
    double seconds = cli_seconds() - e->begin;
    double rate = seconds > 0 ? (double)e->bytes / seconds / 1e6 : 0;
    size_t vocab = rn_tokenizer_vocab(e->tokenizer);
    if (!cli_int(e->args, "json")) {
        if (!cli_text(e->args, "out")) return CLI_DONE;
        cli_line("tokens", "%" PRIu64 " of %zu ids", e->tokens, vocab);
        cli_line("text", "%" PRIu64 " bytes, %.2f a token", e->bytes,
                 e->tokens ? (double)e->bytes / (double)e->tokens : 0.0);
        cli_line("rate", "%.1f MB/s", rate);
        return CLI_DONE;
    }
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:o, s:o}", "tokens", (json_int_t)e->tokens, "bytes",
                  (json_int_t)e->bytes, "vocab", (json_int_t)vocab, "seconds",
                  cli_json_real(seconds), "megabytes_per_second", cli_json_real(rate));
    if (object && e->list && json_object_set(object, "ids", e->list)) {
        json_decref(object);
        object = NULL;
    }
    return cli_print_json(object, err);
}

/* Whether the name is that of JSONL, plain or compressed. */
static bool is_jsonl(const char *path)
{
    static const char *const endings[] = {".jsonl", ".ndjson", ".jsonl.zst",
                                          ".ndjson.zst"};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && !strcmp(path + length - n, endings[i])) return true;
    }
    return false;
}

/* Whether what is read is, by its form, more than one text. */
static bool reads_several(const cli_args *args)
{
    const char *only = args->operand_count == 2 ? args->operands[1] : NULL;
    return args->operand_count > 2 || cli_int(args, "lines") ||
           (only && (cli_is_folder(only) || is_jsonl(only)));
}

/* Where the ids go. One plain text gives one list, what may be several a list of lists.
 */
static int open_output(encoding *e, rn_error *err)
{
    const char *out = cli_text(e->args, "out");
    e->several = reads_several(e->args);
    e->end = rn_tokenizer_end_id(e->tokenizer);
    if (out) {
        size_t vocab = rn_tokenizer_vocab(e->tokenizer);
        return cli_code(rn_tokens_create(&e->writer, out, vocab, err));
    }
    if (!cli_int(e->args, "json")) return CLI_DONE;
    e->list = json_array();
    return e->list ? CLI_DONE : cli_fail(err, "out of memory for the JSON result");
}

static int open_encoding(encoding *e, rn_error *err)
{
    const cli_args *args = e->args;
    bool files = args->operand_count > 1;
    rn_exec *x = NULL;
    int code = cli_open_exec(args, &x, err);
    if (code) return code;
    e->threads = rn_exec_threads(x);
    rn_exec_close(x);
    e->flags = (cli_int(args, "special") ? (unsigned)RN_ENCODE_SPECIAL : 0u) |
               (cli_int(args, "plain") ? (unsigned)RN_ENCODE_PLAIN : 0u);
    e->copy = malloc(BATCH_BYTES);
    if (!e->copy) return cli_fail(err, "out of memory for texts");
    if (cli_text(args, "out")) cli_interrupt_remember();
    else cli_interrupt_exit(); /* there is nothing to save */
    code = cli_code(rn_tokenizer_open(&e->tokenizer, args->operands[0], err));
    if (!code)
        code = cli_texts_open(&e->texts, files ? args->operands + 1 : NULL,
                              args->operand_count - 1, cli_int(args, "lines") != 0,
                              cli_text(args, "out"), err);
    return code ? code : open_output(e, err);
}

static void tell_of_borders(const encoding *e)
{
    if (e->end >= 0 || e->ended < 2) return;
    cli_note(e->args,
             "%s: the borders of its %" PRIu64
             " texts are not kept: the tokenizer has no id that ends a text",
             cli_text(e->args, "out"), e->ended);
}

static int run(const cli_args *args, rn_error *err)
{
    encoding *e = calloc(1, sizeof *e);
    if (!e) return cli_fail(err, "out of memory for texts");
    e->args = args;
    int code = open_encoding(e, err);
    if (!code) code = encode_all(e, err);
    rn_status st = rn_tokens_close(e->writer, !code, err);
    if (!code) code = cli_code(st);
    if (!code) tell_of_borders(e);
    if (!code) code = print_result(e, err);
    json_decref(e->list);
    cli_texts_close(&e->texts);
    rn_tokenizer_free(e->tokenizer);
    free(e->copy);
    free(e);
    return code;
}

static const cli_group *const groups[] = {&group, &cli_common_but_type, NULL};

const cli_command cli_tokenizer_encode = {
    .name = "tokenizer encode",
    .summary = "turn texts into token ids",
    .arguments = "TOKENIZER [FILES]",
    .min_operands = 1,
    .max_operands = 65536,
    .about =
        "TOKENIZER is byte, a tokenizer.json, or a folder that has one. FILES are "
        "texts, folders (as in training), or JSONL, whose lines give their field text; "
        "without any, standard input is the text. The ids of each text are one line, "
        "separated by spaces.\n\n"
        "With --json, ids is a list of numbers for a single file of text or standard "
        "input, and a list of such lists, one a text, for --lines, JSONL, a folder and "
        "several files.",
    .groups = groups,
    .examples = {"retnet tokenizer encode model letter.txt",
                 "The ids of a text, by the tokenizer beside a model.",
                 "retnet tokenizer encode tokenizer.json corpus/ --out corpus.bin",
                 "All texts of a folder as a token file."},
    .run = run,
};

/* retnet tokenizer decode: ids to the bytes of their text, id by id, so that memory does
   not grow with their number. */
#include "commands.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"
#include "texts.h"
#include "tokens.h"

#include "retnet/data.h"
#include "retnet/tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { BLOCK = 4096 };

/* clang-format off */
static const cli_option options[] = {
    {.name = "special", .kind = CLI_FLAG,
     .help = "with the text of special tokens, which is the default"},
    {.name = "no-special", .kind = CLI_FLAG, .help = "leave special tokens out"},
    {.name = "lines", .kind = CLI_FLAG,
     .help = "each line of ids is a text by itself; a newline is put behind each text"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("How to decode", options);

typedef struct decoding {
    const cli_args *args;
    rn_tokenizer *tokenizer;
    rn_detokenizer *detokenizer;
    bool lines, skip, json;
    json_t *list; /* --json --lines */
    char *text;   /* --json: of the present text */
    size_t used, room;
    uint64_t tokens, bytes, unknown;
    double begin; /* in seconds */
    cli_progress progress;
} decoding;

static int keep_text(decoding *d, const char *text, size_t length, rn_error *err)
{
    if (length > d->room - d->used) {
        size_t room = d->room ? d->room : BLOCK;
        while (room - d->used < length && room <= SIZE_MAX / 2) room *= 2;
        char *grown = realloc(d->text, room);
        if (!grown) return cli_fail(err, "out of memory for %zu bytes of text", room);
        d->text = grown;
        d->room = room;
    }
    if (length) memcpy(d->text + d->used, text, length);
    d->used += length;
    return CLI_DONE;
}

static int give_text(decoding *d, const char *text, size_t length, rn_error *err)
{
    d->bytes += length;
    return d->json ? keep_text(d, text, length, err) : cli_write(text, length, err);
}

/* A string of any bytes: those that are no UTF-8 become U+FFFD. */
static json_t *json_of(const char *text, size_t length)
{
    const unsigned char *in = (const unsigned char *)text;
    json_t *value = json_stringn(length ? text : "", length);
    char *out = value || length > SIZE_MAX / 3 ? NULL : malloc(3 * length);
    if (!out) return value;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t code;
        size_t rest = length - at < 4 ? length - at : 4;
        utf8proc_ssize_t n = utf8proc_iterate(in + at, (utf8proc_ssize_t)rest, &code);
        memcpy(out + used, n > 0 ? text + at : "\xef\xbf\xbd", n > 0 ? (size_t)n : 3);
        used += n > 0 ? (size_t)n : 3;
        at += n > 0 ? (size_t)n : 1;
    }
    value = json_stringn(out, used);
    free(out);
    return value;
}

static int begin_text(decoding *d, rn_error *err)
{
    rn_detokenizer_free(d->detokenizer);
    d->detokenizer = NULL;
    rn_status st = rn_detokenizer_create(&d->detokenizer, d->tokenizer, d->skip, err);
    if (!st && !d->json) rn_detokenizer_keep_bytes(d->detokenizer);
    return cli_code(st);
}

static int end_text(decoding *d, rn_error *err)
{
    const char *text;
    size_t length;
    int code = cli_code(rn_detokenizer_end(d->detokenizer, &text, &length, err));
    if (!code) code = give_text(d, text, length, err);
    if (code || !d->lines) return code;
    if (!d->json) return cli_write("\n", 1, err);
    if (json_array_append_new(d->list, json_of(d->text, d->used)))
        return cli_fail(err, "out of memory for the JSON result");
    d->used = 0;
    return CLI_DONE;
}

static int give_id(decoding *d, int32_t id, rn_error *err)
{
    const char *text;
    size_t length;
    d->tokens++;
    d->unknown += (size_t)id >= rn_tokenizer_vocab(d->tokenizer);
    int code = cli_code(rn_detokenizer_put(d->detokenizer, id, &text, &length, err));
    return code || !length ? code : give_text(d, text, length, err);
}

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == '[' ||
           c == ']';
}

/* The number at text[*at]; on success *at is behind it. Ids are u32 in tokenizer files;
   those above what a vocabulary can have here become -1, which no token has. */
static int read_id(const char *text, size_t length, size_t *at, const char *name,
                   int32_t *id, rn_error *err)
{
    int64_t value = 0;
    size_t begin = *at, end = begin;
    for (; end < length && text[end] >= '0' && text[end] <= '9'; end++)
        if (value <= UINT32_MAX) value = 10 * value + (text[end] - '0');
    bool number = end > begin && (end == length || is_between(text[end]));
    while (end < length && !is_between(text[end])) end++;
    int shown = end - begin < 40 ? (int)(end - begin) : 40;
    if (!number)
        return cli_fail(err, "%s: '%.*s' is not a token id", name, shown, text + begin);
    if (value > UINT32_MAX)
        return cli_fail(err, "%s: %.*s is outside 0 to %" PRIu32, name, shown,
                        text + begin, UINT32_MAX);
    *at = end;
    *id = value > INT32_MAX ? -1 : (int32_t)value;
    return CLI_DONE;
}

static int decode_line(decoding *d, const char *text, size_t length, const char *name,
                       rn_error *err)
{
    int code = CLI_DONE;
    for (size_t at = 0; !code;) {
        int32_t id = 0;
        while (at < length && is_between(text[at])) at++;
        if (at == length) break;
        code = read_id(text, length, &at, name, &id, err);
        if (!code) code = give_id(d, id, err);
    }
    return code;
}

static void show_progress(decoding *d)
{
    char a[32], b[24];
    cli_progress_show(&d->progress, "%s of text, %s", cli_bytes(a, d->bytes),
                      cli_duration(b, cli_seconds() - d->begin));
}

/* The numbers of a file or, with path NULL, of standard input. */
static int decode_numbers(decoding *d, const char *path, rn_error *err)
{
    cli_texts texts = {0};
    const char *line, *name = path ? path : "standard input";
    size_t length = 0;
    int code = cli_texts_open(&texts, path ? &path : NULL, 1, true, NULL, err);
    while (!code && !(code = cli_texts_next(&texts, &line, &length, err)) && line) {
        if (d->lines) code = begin_text(d, err);
        if (!code) code = decode_line(d, line, length, name, err);
        if (!code && d->lines) code = end_text(d, err);
        show_progress(d);
    }
    cli_texts_close(&texts);
    return code;
}

static int decode_tokens(decoding *d, const char *path, rn_error *err)
{
    rn_tokens *tokens = NULL;
    int32_t ids[BLOCK];
    int code = cli_code(rn_tokens_open(&tokens, path, err));
    uint64_t count = code ? 0 : rn_tokens_count(tokens);
    if (!code && d->lines) code = begin_text(d, err);
    for (uint64_t at = 0; !code && at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? (size_t)(count - at) : BLOCK;
        code = cli_code(rn_tokens_read(tokens, at, n, ids, err));
        for (size_t i = 0; !code && i < n; i++) code = give_id(d, ids[i], err);
        show_progress(d);
    }
    if (!code && d->lines) code = end_text(d, err);
    rn_tokens_free(tokens);
    return code;
}

static int decode_all(decoding *d, rn_error *err)
{
    const cli_args *args = d->args;
    int code = d->lines ? CLI_DONE : begin_text(d, err);
    d->begin = cli_seconds();
    cli_progress_start(&d->progress, args);
    if (!code && args->operand_count == 1) code = decode_numbers(d, NULL, err);
    for (size_t i = 1; !code && i < args->operand_count; i++) {
        const char *path = args->operands[i];
        code = cli_is_token_file(path, NULL) ? decode_tokens(d, path, err)
                                             : decode_numbers(d, path, err);
    }
    if (!code && !d->lines) code = end_text(d, err);
    cli_progress_clear(&d->progress);
    return code;
}

static int print_result(decoding *d, rn_error *err)
{
    double seconds = cli_seconds() - d->begin;
    double rate = seconds > 0 ? (double)d->bytes / seconds / 1e6 : 0;
    if (d->unknown)
        cli_note(d->args, "%" PRIu64 " ids have no token and were left out", d->unknown);
    if (!d->json) return CLI_DONE;
    json_t *text = d->lines ? json_incref(d->list) : json_of(d->text, d->used);
    json_t *object =
        json_pack("{s:o, s:I, s:I, s:I, s:o, s:o}", "text", text, "tokens",
                  (json_int_t)d->tokens, "bytes", (json_int_t)d->bytes, "vocab",
                  (json_int_t)rn_tokenizer_vocab(d->tokenizer), "seconds",
                  cli_json_real(seconds), "megabytes_per_second", cli_json_real(rate));
    return cli_print_json(object, err);
}

static int run(const cli_args *args, rn_error *err)
{
    decoding d = {.args = args,
                  .lines = cli_int(args, "lines") != 0,
                  .skip = cli_int(args, "no-special") != 0,
                  .json = cli_int(args, "json") != 0};
    if (d.skip && cli_int(args, "special"))
        return cli_usage(err, "--special and --no-special exclude each other");
    if (d.json && d.lines) d.list = json_array();
    cli_interrupt_exit(); /* there is nothing to save */
    int code = cli_code(rn_tokenizer_open(&d.tokenizer, args->operands[0], err));
    if (!code) code = decode_all(&d, err);
    if (!code) code = print_result(&d, err);
    rn_detokenizer_free(d.detokenizer);
    rn_tokenizer_free(d.tokenizer);
    json_decref(d.list);
    free(d.text);
    return code;
}

static const cli_group *const groups[] = {&group, &cli_common_but_type, NULL};

const cli_command cli_tokenizer_decode = {
    .name = "tokenizer decode",
    .summary = "turn token ids into text",
    .arguments = "TOKENIZER [FILES]",
    .min_operands = 1,
    .max_operands = 65536,
    .about =
        "TOKENIZER is byte, a tokenizer.json, or a folder that has one. FILES hold "
        "numbers, separated by white space, commas or brackets, or are token files "
        "(.bin); without any, standard input holds the numbers. The bytes of the text "
        "come out as they are, with nothing behind them. Ids that no token has are left "
        "out.\n\n"
        "In --json, bytes that are no UTF-8 become U+FFFD; with --lines, text is a list "
        "of texts.",
    .groups = groups,
    .examples = {"retnet tokenizer decode model ids.txt", "The text of some ids.",
                 "retnet tokenizer decode tokenizer.json corpus.bin",
                 "The text of a token file."},
    .run = run,
};

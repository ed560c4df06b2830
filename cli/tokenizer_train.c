/* retnet tokenizer train: a vocabulary learned from texts. The work is the library's;
   here are its options, progress and report. */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "interrupt.h"
#include "open.h"
#include "output.h"
#include "progress.h"
#include "tokens.h"

#include "retnet/text.h"
#include "retnet/tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const cli_option options[] = {
    {.name = "vocab", .kind = CLI_INT, .metavar = "N", .fallback = "32000", .unit = "ids",
     .min = 1, .max = (double)RN_TRAINING_MAX_VOCAB,
     .help = "size of the vocabulary, special tokens and bytes included"},
    {.name = "style", .kind = CLI_CHOICE, .words = rn_tokenizer_style_name,
     .fallback = "byte-bpe",
     .help = "byte-bpe, as GPT-2 has it, or sentencepiece, with <unk>, <s>, </s> and "
             "bytes for rare characters, as Llama has it"},
    {.name = "special", .kind = CLI_PATHS, .metavar = "TEXT...",
     .shown = "<|endoftext|> for byte-bpe",
     .help = "special tokens, which end texts or mark places in them; several may "
             "follow, up to the next option"},
};
/* clang-format on */
static const cli_group group = CLI_GROUP("What to train", options);

typedef struct training {
    const cli_args *args;
    cli_progress progress;
    double begin; /* in seconds */
} training;

static bool show_progress(void *user, rn_training_stage stage, uint64_t done,
                          uint64_t total)
{
    training *t = user;
    char bar[CLI_BAR], a[32], b[24];
    double part = total ? (double)done / (double)total : 0;
    cli_duration(b, cli_seconds() - t->begin);
    cli_progress_bar(bar, part);
    if (stage == RN_STAGE_MERGE)
        cli_progress_show(&t->progress, "%s of %" PRIu64 " tokens, %s", bar, total, b);
    else
        cli_progress_show(&t->progress, "%s of %s counted, %s", bar, cli_bytes(a, total),
                          b);
    return cli_interrupted();
}

static double rate(uint64_t bytes, double seconds)
{
    return seconds > 0 ? (double)bytes / seconds / 1e6 : 0;
}

static int print_json(const rn_tokenizer_trained *r, double seconds, rn_error *err)
{
    json_t *object = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "tokens", (json_int_t)r->tokens,
        "bytes", (json_int_t)r->bytes, "vocab", (json_int_t)r->vocab, "merges",
        (json_int_t)r->merges, "texts", (json_int_t)r->texts, "words",
        (json_int_t)r->distinct_words, "seconds", cli_json_real(seconds),
        "megabytes_per_second", cli_json_real(rate(r->bytes, seconds)));
    return cli_print_json(object, err);
}

static int print_report(const cli_args *args, const char *path,
                        const rn_tokenizer_trained *r, double seconds, rn_error *err)
{
    char bytes[32], time[24];
    if (r->vocab < (size_t)cli_int(args, "vocab"))
        cli_note(args, "the text has no more to merge: %zu ids, not %" PRId64, r->vocab,
                 cli_int(args, "vocab"));
    if (cli_int(args, "json")) return print_json(r, seconds, err);
    cli_line("tokenizer", "%s", path);
    cli_line("vocabulary", "%zu ids, %zu merges", r->vocab, r->merges);
    cli_line("text", "%s, %zu distinct words", cli_bytes(bytes, r->bytes),
             r->distinct_words);
    cli_line("bytes a token", "%.2f",
             r->tokens ? (double)r->bytes / (double)r->tokens : 0.0);
    cli_line("time", "%s, %.1f MB/s", cli_duration(time, seconds),
             rate(r->bytes, seconds));
    return CLI_DONE;
}

/* OUT, or the file's usual name in it where it is a folder. */
static int output_path(const char *out, char **path, rn_error *err)
{
    size_t length = strlen(out);
    bool slash = length > 0 && out[length - 1] == '/';
    *path = slash || cli_is_folder(out) ? cli_join(out, "tokenizer.json") : strdup(out);
    if (!*path) return cli_fail(err, "out of memory for a path");
    return cli_check_output(*path, err);
}

static int train(training *t, const char *path, const rn_tokenizer_training *how,
                 rn_error *err)
{
    rn_texts *texts = NULL;
    rn_tokenizer_trained report;
    int code = cli_code(rn_texts_open(&texts, t->args->operands + 1,
                                      t->args->operand_count - 1, path, err));
    if (code) return code;
    t->begin = cli_seconds();
    cli_progress_start(&t->progress, t->args);
    rn_status st = rn_tokenizer_train(path, texts, how, &report, err);
    rn_texts_close(texts);
    cli_progress_clear(&t->progress);
    if (st == RN_EINVAL) return CLI_USAGE;
    if (st) return cli_code(st);
    return print_report(t->args, path, &report, cli_seconds() - t->begin, err);
}

static int run(const cli_args *args, rn_error *err)
{
    static const char *const end_of_text[] = {"<|endoftext|>"};
    training t = {.args = args};
    const cli_value *special = cli_get(args, "special");
    rn_tokenizer_training how = {.vocab = (size_t)cli_int(args, "vocab"),
                                 .style = (rn_tokenizer_style)cli_int(args, "style"),
                                 .special = special->list,
                                 .special_count = special->count,
                                 .progress = show_progress,
                                 .user = &t};
    if (!special->count && how.style == RN_STYLE_BYTE_BPE) {
        how.special = end_of_text;
        how.special_count = 1;
    }
    rn_exec *x = NULL;
    char *path = NULL;
    int code = cli_open_exec(args, &x, err);
    if (code) return code;
    how.threads = rn_exec_threads(x);
    rn_exec_close(x);
    cli_interrupt_remember();
    code = output_path(args->operands[0], &path, err);
    if (!code) code = train(&t, path, &how, err);
    free(path);
    return code;
}

static const cli_group *const groups[] = {&group, &cli_common_but_type, NULL};

const cli_command cli_tokenizer_train = {
    .name = "tokenizer train",
    .summary = "learn a vocabulary from texts and write tokenizer.json",
    .arguments = "OUT FILES...",
    .min_operands = 2,
    .max_operands = 65536,
    .about =
        "Byte-pair encoding: the pair of neighbours that is most frequent in the words "
        "of the texts becomes a token, until the vocabulary is full or the texts have "
        "no pair left. The result does not depend on the number of threads.\n\n"
        "FILES are texts, folders (as in training), or JSONL, whose lines give their "
        "field text. OUT is a file, or a folder in which it is called tokenizer.json; "
        "it is replaced when the new one is whole. The tokenizers package and "
        "everything that is built on it read it.",
    .groups = groups,
    .examples =
        {"retnet tokenizer train tokenizer.json book.txt --vocab 8000",
         "Eight thousand ids, with <|endoftext|> among them.",
         "retnet tokenizer train model/ texts/ --style sentencepiece "
         "--special '<|user|>'",
         "Llama's kind, from a folder of texts, with a special token of its own."},
    .run = run,
};

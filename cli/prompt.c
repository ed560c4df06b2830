/* Reading prompts; see prompt.h. */
#include "prompt.h"

#include "commands.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_stream(FILE *in, const char *name, cli_prompt *p, rn_error *err)
{
    size_t room = 0;
    for (;;) {
        if (room - p->length < 4096) {
            room = room ? room * 2 : 65536;
            char *grown = realloc(p->text, room);
            if (!grown)
                return cli_fail(err, "%s: out of memory for %zu bytes", name, room);
            p->text = grown;
        }
        errno = 0;
        size_t got = fread(p->text + p->length, 1, room - p->length, in);
        if (!got) break;
        p->length += got;
    }
    if (ferror(in)) return cli_fail(err, "%s: %s", name, strerror(errno));
    if (!p->length) return cli_fail(err, "%s: is empty, so there is no prompt", name);
    return CLI_DONE;
}

static int read_text(const cli_args *args, cli_prompt *p, rn_error *err)
{
    const char *path = cli_text(args, "prompt-file");
    if (!path) {
        const char *text = cli_text(args, "prompt");
        p->length = strlen(text);
        p->text = malloc(p->length + 1);
        if (!p->text) return cli_fail(err, "out of memory for the prompt");
        memcpy(p->text, text, p->length);
        return CLI_DONE;
    }
    if (!strcmp(path, "-")) return read_stream(stdin, "standard input", p, err);
    FILE *in = fopen(path, "rb");
    if (!in) return cli_fail(err, "%s: %s", path, strerror(errno));
    int code = read_stream(in, path, p, err);
    fclose(in);
    return code;
}

/* Where the prompt came from, for messages. */
static const char *origin(const cli_args *args)
{
    const char *path = cli_text(args, "prompt-file");
    return path ? path : "--prompt";
}

static bool separates(char c)
{
    return c && strchr(" ,\t\r\n[]", c);
}

/* Bytes of `text` that make its next number, which must end at a separator; 0: none. */
static size_t read_id(const char *text, size_t length, uint64_t *value)
{
    size_t n = 0;
    for (*value = 0; n < length && text[n] >= '0' && text[n] <= '9'; n++)
        if (*value <= INT32_MAX) *value = *value * 10 + (uint64_t)(text[n] - '0');
    return n == length || separates(text[n]) ? n : 0;
}

static int parse_ids(const cli_args *args, cli_prompt *p, rn_error *err)
{
    p->ids = malloc((p->length / 2 + 1) * sizeof *p->ids);
    if (!p->ids) return cli_fail(err, "out of memory for the ids of the prompt");
    for (size_t at = 0; at < p->length;) {
        uint64_t value;
        if (separates(p->text[at])) {
            at++;
            continue;
        }
        size_t n = read_id(p->text + at, p->length - at, &value);
        if (!n || value > INT32_MAX)
            return cli_usage(err, "%s: byte %zu is not in a list of ids", origin(args),
                             at);
        p->ids[p->count++] = (int32_t)value;
        at += n;
    }
    if (!p->count) return cli_usage(err, "%s: holds no ids", origin(args));
    return CLI_DONE;
}

int cli_prompt_read(const cli_args *args, cli_prompt *p, rn_error *err)
{
    if (!cli_given(args, "prompt") && !cli_given(args, "prompt-file")) return CLI_DONE;
    int code = read_text(args, p, err);
    if (!code && cli_int(args, "ids")) code = parse_ids(args, p, err);
    /* What a file holds is data, not usage. */
    return code == CLI_USAGE && cli_given(args, "prompt-file") ? CLI_FAILED : code;
}

static int check_ids(const cli_args *args, const cli_prompt *p, size_t vocab,
                     rn_error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        if ((size_t)p->ids[i] < vocab) continue;
        return cli_fail(err, "%s: id %d at index %zu is not below the model's %zu ids",
                        origin(args), (int)p->ids[i], i, vocab);
    }
    return CLI_DONE;
}

int cli_prompt_encode(const cli_args *args, const cli_model *m, bool first, cli_prompt *p,
                      rn_error *err)
{
    const unsigned flags = first ? RN_ENCODE_SPECIAL : 0;
    if (!p->text) return CLI_DONE;
    if (cli_int(args, "ids")) return check_ids(args, p, m->info.vocab_size, err);
    if (m->tokenizer)
        return cli_code(rn_tokenizer_encode(m->tokenizer, p->text, p->length, flags,
                                            &p->ids, &p->count, err));
    return cli_fail(
        err,
        "%s: a vocabulary of %zu ids, for which this version has no tokenizer; "
        "use --ids with numbers",
        m->label, m->info.vocab_size);
}

void cli_prompt_free(cli_prompt *p)
{
    free(p->text);
    free(p->ids);
    *p = (cli_prompt){0};
}

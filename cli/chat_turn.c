/* A turn of a chat: a line is read with what stands around it, the answer is drawn and
   shown or kept; see chat.h. */
#include "chat.h"

#include "commands.h"
#include "draw.h"
#include "interrupt.h"
#include "output.h"
#include "sampling.h"

#include <stdlib.h>
#include <string.h>

enum { FEED = 4096 };

static int keep_text(cli_talk *c, const char *text, size_t length, rn_error *err)
{
    if (c->text_room - c->text_length < length) {
        const size_t room = (c->text_length + length) * 2;
        char *grown = realloc(c->text, room);
        if (!grown) return cli_fail(err, "out of memory for the text of --json");
        c->text = grown;
        c->text_room = room;
    }
    memcpy(c->text + c->text_length, text, length);
    c->text_length += length;
    return CLI_DONE;
}

static int show_text(void *user, const char *text, size_t length, rn_error *err)
{
    cli_talk *c = user;
    if (c->answers) return keep_text(c, text, length, err);
    int code = cli_write(text, length, err);
    return code || !c->terminal ? code : cli_flush(err);
}

/* Reads text into the session, in pieces, so that Ctrl-C is heard; *whole: to its end. */
static int read_text(cli_talk *c, const char *text, size_t length, bool *whole,
                     rn_error *err)
{
    rn_session *s = cli_forks_now(&c->forks)->session;
    const unsigned flags = rn_session_position(s) ? 0 : RN_ENCODE_SPECIAL;
    int32_t *ids;
    size_t count, at = 0;
    rn_status st =
        rn_tokenizer_encode(c->m.tokenizer, text, length, flags, &ids, &count, err);
    if (st) return cli_code(st);
    while (!st && at < count && !cli_interrupted()) {
        const size_t piece = count - at < FEED ? count - at : FEED;
        st = rn_session_feed(s, ids + at, piece, err);
        at += piece;
    }
    free(ids);
    *whole = at == count;
    return cli_code(st);
}

static int read_line(cli_talk *c, const char *line, size_t length, bool *whole,
                     rn_error *err)
{
    const size_t before = strlen(c->around->before), after = strlen(c->around->after);
    char *text = malloc(before + length + after + 1);
    if (!text) return cli_fail(err, "out of memory for a line of %zu bytes", length);
    memcpy(text, c->around->before, before);
    memcpy(text + before, line, length);
    memcpy(text + before + length, c->around->after, after);
    int code = read_text(c, text, before + length + after, whole, err);
    free(text);
    return code;
}

static int end_answer(cli_talk *c, rn_error *err)
{
    if (!c->answers) return cli_write("\n", 1, err);
    json_t *text = json_stringn(c->text ? c->text : "", c->text_length);
    c->text_length = 0;
    if (json_array_append_new(c->answers, text))
        return cli_fail(err, "out of memory for the text of --json");
    return CLI_DONE;
}

static int answer(cli_talk *c, rn_error *err)
{
    cli_fork *now = cli_forks_now(&c->forks);
    cli_draw d = {.session = now->session,
                  .tokenizer = c->m.tokenizer,
                  .how = cli_sampling_of(c->args),
                  .stops = c->stops,
                  .stop_count = c->stop_count,
                  .keep = true,
                  .text = show_text,
                  .user = c};
    int code = cli_draw_tokens(&d, (uint64_t)cli_int(c->args, "tokens"), err);
    now->session = d.session;
    return code ? code : end_answer(c, err);
}

/* What ends a turn is read even after Ctrl-C: it is a few tokens, and the next line
   begins behind it. */
static int close_turn(cli_talk *c, rn_error *err)
{
    rn_session *s = cli_forks_now(&c->forks)->session;
    const char *text = c->around->closing;
    int32_t *ids;
    size_t count;
    rn_status st =
        rn_tokenizer_encode(c->m.tokenizer, text, strlen(text), 0, &ids, &count, err);
    if (st) return cli_code(st);
    st = rn_session_feed(s, ids, count, err);
    free(ids);
    return cli_code(st);
}

int cli_chat_turn(cli_talk *c, const char *line, size_t length, rn_error *err)
{
    bool whole = false;
    int code = cli_forks_remember(&c->forks, err);
    if (code) return code;
    code = read_line(c, line, length, &whole, err);
    if (!code && whole) code = answer(c, err);
    if (!code && whole) code = close_turn(c, err);
    if (!code && whole) return CLI_DONE;
    bool back = cli_forks_undo(&c->forks);
    if (!code && !back)
        cli_note(c->args,
                 "the line was read in part, and there is no copy to go back to");
    return code;
}

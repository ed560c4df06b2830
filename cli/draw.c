/* Drawing tokens; see draw.h. While text that may begin a stop string is held back, a
   copy of the session from before it is kept, to go back to. */
#include "draw.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* Tokens held back from which on the session before them is brought forward. */
#define HELD_MANY ((size_t)64)

/* What one run of cli_draw_tokens works with. */
typedef struct drawing {
    cli_draw *d;
    rn_detokenizer *detokenizer;
    rn_stream *stream;
    int32_t end; /* the token that ends a text; -1: none */
    bool ended;
    uint64_t given; /* bytes of text put into the stream, and of those that go there */
    uint64_t drawn; /* once the detokenizer has them whole */
    rn_session *before; /* the session before the tokens held back, or NULL */
    uint64_t before_drawn;
    int32_t *ids; /* [held] the tokens held back, and `drawn` after each */
    uint64_t *ends;
    size_t held, room;
} drawing;

/* A token's text may depend on those before it (a blank at the begin is no blank later),
   so the detokenizer sees the newest of them first. */
static rn_status look_back(drawing *w, rn_error *err)
{
    int32_t ids[RN_SESSION_RECENT];
    const size_t count = rn_session_recent(w->d->session, ids, RN_SESSION_RECENT);
    const char *text;
    size_t length;
    rn_status st = RN_OK;
    for (size_t i = 0; i < count && !st; i++)
        st = rn_detokenizer_put(w->detokenizer, ids[i], &text, &length, err);
    return st;
}

static int set_up(drawing *w, rn_error *err)
{
    const cli_draw *d = w->d;
    w->end = -1;
    if (!d->tokenizer) return CLI_DONE;
    w->end = rn_tokenizer_end_id(d->tokenizer);
    rn_status st = rn_stream_create(&w->stream, d->stops, d->stop_count, err);
    if (!st) st = rn_detokenizer_create(&w->detokenizer, d->tokenizer, true, err);
    if (!st) st = look_back(w, err);
    if (!st) w->drawn = rn_detokenizer_held(w->detokenizer);
    return cli_code(st);
}

static void tear_down(drawing *w)
{
    rn_stream_free(w->stream);
    rn_detokenizer_free(w->detokenizer);
    rn_session_free(w->before);
    free(w->ids);
    free(w->ends);
}

static int show(drawing *w, const char *text, size_t length, rn_error *err)
{
    return length ? w->d->text(w->d->user, text, length, err) : CLI_DONE;
}

static int put_text(drawing *w, const char *text, size_t length, rn_error *err)
{
    w->given += length;
    w->drawn = w->given + rn_detokenizer_held(w->detokenizer);
    rn_status st =
        rn_stream_put(w->stream, text, length, &text, &length, &w->d->stopped, err);
    return st ? cli_code(st) : show(w, text, length, err);
}

/* Hands one drawn token to the outputs. */
static int put_token(drawing *w, int32_t id, rn_error *err)
{
    const char *text;
    size_t length;
    cli_draw *d = w->d;
    d->tokens++;
    int code = d->id ? d->id(d->user, id, err) : CLI_DONE;
    if (code || !w->stream) return code;
    w->ended = id == w->end;
    if (w->ended) return CLI_DONE;
    rn_status st = rn_detokenizer_put(w->detokenizer, id, &text, &length, err);
    return st ? cli_code(st) : put_text(w, text, length, err);
}

static int make_room(drawing *w, rn_error *err)
{
    if (w->held < w->room) return CLI_DONE;
    size_t room = w->room ? w->room * 2 : 64;
    int32_t *ids = realloc(w->ids, room * sizeof *ids);
    if (ids) w->ids = ids;
    uint64_t *ends = realloc(w->ends, room * sizeof *ends);
    if (ends) w->ends = ends;
    if (!ids || !ends) return cli_fail(err, "out of memory for tokens held back");
    w->room = room;
    return CLI_DONE;
}

/* Steps the session kept by those of the tokens held back whose text is shown by now. */
static int bring_forward(drawing *w, rn_error *err)
{
    const uint64_t taken = rn_stream_taken(w->stream);
    size_t count = 0;
    for (size_t i = 0; i < w->held; i++) {
        if (w->ends[i] <= w->before_drawn || w->ends[i] > taken) continue;
        w->before_drawn = w->ends[i];
        count = i + 1;
    }
    rn_status st = RN_OK;
    for (size_t i = 0; i < count && !st; i++)
        st = rn_session_step(w->before, w->ids[i], err);
    if (st) return cli_code(st);
    w->held -= count;
    memmove(w->ids, w->ids + count, w->held * sizeof *w->ids);
    memmove(w->ends, w->ends + count, w->held * sizeof *w->ends);
    return CLI_DONE;
}

static void forget(drawing *w)
{
    rn_session_free(w->before);
    w->before = NULL;
    w->held = 0;
}

/* Before the session steps by `id`, whose text went from `drawn` on: a way back, unless
   all of it is shown. */
static int remember(drawing *w, int32_t id, uint64_t drawn, rn_error *err)
{
    if (!w->d->keep || !w->d->stop_count || !w->stream) return CLI_DONE;
    if (w->drawn > drawn && rn_stream_taken(w->stream) == w->drawn) {
        forget(w);
        return CLI_DONE;
    }
    int code = w->held < HELD_MANY ? CLI_DONE : bring_forward(w, err);
    if (!code) code = make_room(w, err);
    if (!code && !w->before) {
        w->before_drawn = drawn;
        code = cli_code(rn_session_copy(&w->before, w->d->session, err));
    }
    if (code) return code;
    w->ids[w->held] = id;
    w->ends[w->held++] = w->drawn;
    return CLI_DONE;
}

static int draw_token(drawing *w, uint64_t limit, rn_error *err)
{
    int32_t id;
    cli_draw *d = w->d;
    const uint64_t drawn = w->drawn;
    rn_status st = rn_session_sample(d->session, &d->how, &id, err);
    if (st) return cli_code(st);
    int code = put_token(w, id, err);
    if (code || d->stopped || w->ended || (!d->keep && d->tokens >= limit)) return code;
    code = remember(w, id, drawn, err);
    return code ? code : cli_code(rn_session_step(d->session, id, err));
}

/* What was held back, when nothing follows any more. */
static int end_text(drawing *w, rn_error *err)
{
    const char *text;
    size_t length;
    if (!w->stream || w->d->stopped) return CLI_DONE;
    rn_status st = rn_detokenizer_end(w->detokenizer, &text, &length, err);
    int code = st ? cli_code(st) : put_text(w, text, length, err);
    if (code || w->d->stopped) return code;
    st = rn_stream_end(w->stream, &text, &length, err);
    return st ? cli_code(st) : show(w, text, length, err);
}

/* Back to the end of the shown text. The tokens of it that were held back are stepped
   again, which gives the same bits. */
static int go_back(drawing *w, rn_error *err)
{
    int code = bring_forward(w, err);
    if (code) return code;
    rn_session_free(w->d->session);
    w->d->session = w->before;
    w->before = NULL;
    return CLI_DONE;
}

int cli_draw_tokens(cli_draw *d, uint64_t limit, rn_error *err)
{
    drawing w = {.d = d};
    double begin = cli_seconds();
    int code = set_up(&w, err);
    while (!code && d->tokens < limit && !d->stopped && !w.ended && !cli_interrupted())
        code = draw_token(&w, limit, err);
    d->seconds = cli_seconds() - begin;
    if (!code) code = end_text(&w, err);
    if (!code && d->stopped && w.before) code = go_back(&w, err);
    d->stopped = d->stopped || w.ended;
    tear_down(&w);
    return code;
}

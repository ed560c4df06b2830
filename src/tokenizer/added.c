/* Added tokens; see added.h. */
#include "tokenizer/added.h"

#include <stdlib.h>

static rn_status new_node(rn_added *a, unsigned char byte, uint32_t *index, rn_error *err)
{
    void *nodes = a->nodes;
    if (a->node_count >= UINT32_MAX / 2)
        return rn_fail(err, RN_EFORMAT, "the added tokens are too long together");
    rn_status st = rn_list_grow(&nodes, &a->node_room, a->node_count + 1,
                                sizeof *a->nodes, "added tokens", err);
    a->nodes = nodes;
    if (st) return st;
    *index = (uint32_t)a->node_count++;
    a->nodes[*index] = (rn_added_node){.byte = byte};
    return RN_OK;
}

static rn_status make_first(rn_added *a, rn_error *err)
{
    rn_status st = RN_OK;
    uint32_t index;
    for (unsigned c = 0; !st && a->node_count < 256; c++)
        st = new_node(a, (unsigned char)c, &index, err);
    return st;
}

static uint32_t find_child(const rn_added *a, uint32_t node, unsigned char byte)
{
    uint32_t child = a->nodes[node].child;
    while (child && a->nodes[child].byte != byte) child = a->nodes[child].sibling;
    return child;
}

static rn_status child_of(rn_added *a, uint32_t node, unsigned char byte, uint32_t *child,
                          rn_error *err)
{
    *child = find_child(a, node, byte);
    if (*child) return RN_OK;
    rn_status st = new_node(a, byte, child, err);
    if (st) return st;
    a->nodes[*child].sibling = a->nodes[node].child;
    a->nodes[node].child = *child;
    return RN_OK;
}

rn_status rn_added_put(rn_added *a, const void *content, size_t length,
                       const rn_added_token *token, rn_error *err)
{
    const unsigned char *p = content;
    void *tokens = a->tokens;
    if (!length) return RN_OK;
    rn_status st = make_first(a, err);
    if (!st)
        st = rn_list_grow(&tokens, &a->token_room, a->count + 1, sizeof *a->tokens,
                          "added tokens", err);
    a->tokens = tokens;
    if (st) return st;
    uint32_t node = p[0];
    for (size_t i = 1; !st && i < length; i++) st = child_of(a, node, p[i], &node, err);
    if (st || a->nodes[node].token) return st;
    a->tokens[a->count++] = *token;
    a->nodes[node].token = (uint32_t)a->count;
    return RN_OK;
}

void rn_added_free(rn_added *a)
{
    free(a->tokens);
    free(a->nodes);
    *a = (rn_added){.tokens = NULL};
}

/* The longest token that begins here and its length, or NULL. */
static const rn_added_token *match(const rn_added *a, const unsigned char *p, size_t left,
                                   bool plain, size_t *length)
{
    const rn_added_token *best = NULL;
    uint32_t node = p[0];
    for (size_t n = 1;; n++) {
        const rn_added_node *at = &a->nodes[node];
        if (at->token && !(plain && a->tokens[at->token - 1].special)) {
            best = &a->tokens[at->token - 1];
            *length = n;
        }
        if (n == left || !at->child) return best;
        node = find_child(a, node, p[n]);
        if (!node) return best;
    }
}

static bool alone(const rn_classes *t, const unsigned char *text, size_t length,
                  size_t begin, size_t end)
{
    uint32_t c;
    if (begin > 0) {
        rn_utf8_before(text, begin, &c);
        if (rn_is_word(t, c)) return false;
    }
    if (end == length) return true;
    rn_utf8_next(text + end, length - end, &c);
    return !rn_is_word(t, c);
}

static size_t blanks_before(const rn_classes *t, const unsigned char *text, size_t from,
                            size_t at)
{
    while (at > from) {
        uint32_t c;
        size_t before = rn_utf8_before(text, at, &c);
        if (rn_class_of(t, c) != RN_CLASS_BLANK) break;
        at = before;
    }
    return at < from ? from : at;
}

static size_t blanks_behind(const rn_classes *t, const unsigned char *text, size_t length,
                            size_t at)
{
    while (at < length) {
        uint32_t c;
        size_t n = rn_utf8_next(text + at, length - at, &c);
        if (rn_class_of(t, c) != RN_CLASS_BLANK) break;
        at += n;
    }
    return at;
}

/* The search goes on behind the match itself, not behind the blanks that rstrip takes:
   blanks that are a token are found again there, as the tokenizers package does it. */
rn_status rn_added_cut(const rn_added *a, const rn_classes *classes,
                       const unsigned char *text, size_t length, bool plain,
                       rn_piece_taker take, void *user, rn_error *err)
{
    size_t done = 0, blanks_end = 0; /* up to there a run of blanks was walked */
    rn_status st = RN_OK;
    for (size_t at = 0, n; !st && a->count && at < length; at += n) {
        const rn_added_token *t = match(a, text + at, length - at, plain, &n);
        if (!t) {
            n = 1;
            continue;
        }
        size_t begin = at, end = at + n;
        if (t->single_word && !alone(classes, text, length, begin, end)) continue;
        if (t->lstrip && begin > done) begin = blanks_before(classes, text, done, begin);
        if (t->rstrip && end >= blanks_end)
            blanks_end = blanks_behind(classes, text, length, end);
        if (t->rstrip) end = blanks_end;
        if (begin > done) st = take(user, text, done, begin, -1, err);
        if (!st) st = take(user, text, begin, end, t->id, err);
        done = end;
    }
    return st || done >= length ? st : take(user, text, done, length, -1, err);
}

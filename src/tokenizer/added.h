/*
 * Added tokens: they are cut out of the text before anything else looks at it. The
 * search is leftmost, then longest, and goes on behind a match. Those that ask for the
 * normalised text are a set of their own, looked for afterwards.
 */
#ifndef RN_TOKENIZER_ADDED_H
#define RN_TOKENIZER_ADDED_H

#include "tokenizer/unicode.h"

typedef struct rn_added_token {
    int32_t id;
    bool single_word, lstrip, rstrip, special;
} rn_added_token;

typedef struct rn_added_node {
    uint32_t child, sibling; /* 0: none */
    uint32_t token;          /* its index + 1, 0: none ends here */
    unsigned char byte;
} rn_added_node;

/* The contents as a trie; the first nodes are those of the 256 first bytes. Zeroed it is
   empty. */
typedef struct rn_added {
    rn_added_token *tokens;
    size_t count, token_room;
    rn_added_node *nodes;
    size_t node_count, node_room;
} rn_added;

/* Of two equal contents the first counts. Empty contents are ignored. */
rn_status rn_added_put(rn_added *a, const void *content, size_t length,
                       const rn_added_token *token, rn_error *err);
void rn_added_free(rn_added *a);

/* What takes the text: a token with id >= 0, or with id -1 a piece between tokens, which
   is never empty, from its offset on. */
typedef rn_status (*rn_piece_taker)(void *user, const unsigned char *text, size_t begin,
                                    size_t end, int32_t id, rn_error *err);

/* Hands tokens and the pieces between them over in order. plain: special tokens are not
   looked for. */
rn_status rn_added_cut(const rn_added *a, const rn_classes *classes,
                       const unsigned char *text, size_t length, bool plain,
                       rn_piece_taker take, void *user, rn_error *err);

#endif

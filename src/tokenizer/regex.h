/*
 * Expressions from files, by PCRE2's interpreter: an expression is hostile input, so the
 * steps it may take are counted and limited in proportion to the text. The just-in-time
 * compiler is not used: it counts differently, and a text must not encode on one machine
 * only. Classes are those of PCRE2's Unicode version.
 */
#ifndef RN_TOKENIZER_REGEX_H
#define RN_TOKENIZER_REGEX_H

#include "core/error.h"

#include <stddef.h>

typedef struct rn_regex rn_regex;

/* RN_EUNSUPPORTED with the path for what cannot be compiled. */
rn_status rn_regex_make(rn_regex **out, const char *pattern, size_t length,
                        const char *path, rn_error *err);
void rn_regex_free(rn_regex *r);

/* A search through one text. */
typedef struct rn_regex_search rn_regex_search;
rn_status rn_regex_search_make(rn_regex_search **out, const rn_regex *r,
                               const unsigned char *text, size_t length, rn_error *err);
void rn_regex_search_free(rn_regex_search *s);

/* The next match that is not empty; *begin = *end = length behind the last one.
   RN_EUNSUPPORTED when the limit of steps is reached. */
rn_status rn_regex_next(rn_regex_search *s, size_t *begin, size_t *end, rn_error *err);

#endif

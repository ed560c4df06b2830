/*
 * Expressions of tokenizer.json files are Oniguruma's, in its Ruby dialect. Most of it
 * means the same to PCRE2; \s is spelled out, and what means something else is refused:
 * \h and \H, sets in sets, &&, the flags m and x, {n,m}+.
 */
#ifndef RN_TOKENIZER_REGEX_DIALECT_H
#define RN_TOKENIZER_REGEX_DIALECT_H

#include "tokenizer/lists.h"

/* Appends the expression as PCRE2 is to read it. RN_EUNSUPPORTED names the path and the
   place. */
rn_status rn_regex_dialect(rn_bytes *out, const char *pattern, size_t length,
                           const char *path, rn_error *err);

#endif

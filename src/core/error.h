/* Filling an rn_error: the one way in which the library reports a failure. */
#ifndef RN_CORE_ERROR_H
#define RN_CORE_ERROR_H

#include "retnet/status.h"

#include <stddef.h>

/* Stores status and formatted message in err (NULL is allowed) and returns status, so
   that a failing function ends in `return rn_fail(err, RN_EFORMAT, "%s: ...", path)`. */
__attribute__((format(printf, 3, 4))) rn_status rn_fail(rn_error *err, rn_status status,
                                                        const char *format, ...);

/* As rn_fail with RN_EIO, RN_ENOTFOUND or RN_ENOMEM chosen by errno, whose text is added
   behind ": ". */
__attribute__((format(printf, 2, 3))) rn_status rn_fail_errno(rn_error *err,
                                                              const char *format, ...);

/* RN_ENOMEM with the number of bytes that were asked for and what they were for. */
rn_status rn_fail_memory(rn_error *err, const char *what, size_t bytes);

/* Puts "PATH: " in front of err's message, for rooms that know no files. An argument out
   of range or not known is, when it came from a file, that file's fault: RN_EINVAL and
   RN_ENOTFOUND become RN_EFORMAT. Returns the status, which is not RN_OK. */
rn_status rn_blame_file(rn_error *err, rn_status st, const char *path);

#endif

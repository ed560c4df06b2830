/* Naming the file in messages of rooms that know no files. */
#ifndef RN_API_BLAME_H
#define RN_API_BLAME_H

#include "core/error.h"

/* Puts "PATH: " in front of err's message. An argument out of range or not known is, when
   it came from a file, that file's fault: RN_EINVAL and RN_ENOTFOUND become RN_EFORMAT.
   Returns the status, which is not RN_OK. */
rn_status rn_blame_file(rn_error *err, rn_status st, const char *path);

#endif

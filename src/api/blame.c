/* Naming the file in messages of rooms that know no files. */
#include "api/blame.h"

#include <string.h>

rn_status rn_blame_file(rn_error *err, rn_status st, const char *path)
{
    if (st == RN_EINVAL || st == RN_ENOTFOUND) st = RN_EFORMAT;
    if (!err) return st;
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    return rn_fail(err, st, "%s: %s", path, message);
}

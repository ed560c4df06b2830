/* Error messages. A message is built once, where the failure is noticed, and travels up
   unchanged; a caller that knows the file puts its name in front. */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef RN_VERSION
#    error "RN_VERSION is set by the build"
#endif

const char *rn_version(void)
{
    return RN_VERSION;
}

const char *rn_status_text(rn_status status)
{
    switch (status) {
    case RN_OK: return "success";
    case RN_EINVAL: return "invalid argument";
    case RN_ENOMEM: return "out of memory";
    case RN_EIO: return "input or output failed";
    case RN_EFORMAT: return "bad file contents";
    case RN_EUNSUPPORTED: return "not supported";
    case RN_ENOTFOUND: return "not found";
    case RN_EEXIST: return "already exists";
    case RN_EINTERRUPTED: return "interrupted";
    }
    return "unknown status";
}

rn_status rn_fail(rn_error *err, rn_status status, const char *format, ...)
{
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

static rn_status status_of_errno(int code)
{
    switch (code) {
    case ENOMEM: return RN_ENOMEM;
    case ENOENT:
    case ENOTDIR: return RN_ENOTFOUND;
    case EEXIST: return RN_EEXIST;
    case EINTR: return RN_EINTERRUPTED;
    default: return RN_EIO;
    }
}

rn_status rn_fail_errno(rn_error *err, const char *format, ...)
{
    int code = errno;
    rn_status status = status_of_errno(code);
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(code));
    return status;
}

rn_status rn_fail_memory(rn_error *err, const char *what, size_t bytes)
{
    return rn_fail(err, RN_ENOMEM, "out of memory: %zu bytes for %s", bytes, what);
}

rn_status rn_blame_file(rn_error *err, rn_status st, const char *path)
{
    if (st == RN_EINVAL || st == RN_ENOTFOUND) st = RN_EFORMAT;
    if (!err) return st;
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    return rn_fail(err, st, "%s: %s", path, message);
}

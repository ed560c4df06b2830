/* Standard output and error; see output.h. Errors are never written half: one fprintf. */
#define _POSIX_C_SOURCE 200809L
#include "output.h"

#include "commands.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void store(rn_error *err, rn_status status, const char *format, va_list list)
{
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, list);
}

int cli_usage(rn_error *err, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    store(err, RN_EINVAL, format, list);
    va_end(list);
    return CLI_USAGE;
}

int cli_fail(rn_error *err, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    store(err, RN_EIO, format, list);
    va_end(list);
    return CLI_FAILED;
}

int cli_code(rn_status status)
{
    if (!status) return CLI_DONE;
    return status == RN_EINTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
}

static bool colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (no && *no) return false;
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

size_t cli_control(const char *c)
{
    const unsigned char first = (unsigned char)c[0], second = (unsigned char)c[1];
    if (first == 0xc2) return second >= 0x80 && second < 0xa0 ? 2 : 0;
    return (first && first < 0x20) || first == 0x7f;
}

void cli_plain(char *text)
{
    char *to = text;
    for (size_t n; *text; text += n ? n : 1) {
        n = cli_control(text);
        *to++ = n ? '?' : *text;
    }
    *to = '\0';
}

void cli_print_error(const char *command, const char *message)
{
    char line[1100];
    bool red = colour();
    snprintf(line, sizeof line, "%s%s%s", command ? command : "", command ? ": " : "",
             message);
    cli_plain(line);
    fprintf(stderr, "%sretnet%s%s%s\n", red ? "\033[1;31m" : "", red ? "\033[0m" : "",
            command ? " " : ": ", line);
}

void cli_note(const cli_args *args, const char *format, ...)
{
    char line[1100];
    if (cli_int(args, "quiet")) return;
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    cli_plain(line);
    fprintf(stderr, "%s\n", line);
}

int cli_flush(rn_error *err)
{
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return CLI_DONE;
    return cli_fail(err, "standard output: %s",
                    errno ? strerror(errno) : "could not be written");
}

int cli_write(const void *bytes, size_t count, rn_error *err)
{
    errno = 0;
    if (fwrite(bytes, 1, count, stdout) == count) return CLI_DONE;
    return cli_fail(err, "standard output: %s",
                    errno ? strerror(errno) : "could not be written");
}

void cli_line(const char *name, const char *format, ...)
{
    printf("%-22s ", name);
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

json_t *cli_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value) return value;
    char *plain = strdup(text);
    if (!plain) return NULL;
    for (char *c = plain; *c; c++)
        if ((unsigned char)*c > 126) *c = '?';
    value = json_string(plain);
    free(plain);
    return value;
}

int cli_print_json(json_t *object, rn_error *err)
{
    if (!object) return cli_fail(err, "out of memory for the JSON result");
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    if (!text) return cli_fail(err, "out of memory for the JSON result");
    int code = cli_write(text, strlen(text), err);
    if (!code) code = cli_write("\n", 1, err);
    free(text);
    return code;
}

const char *cli_duration(char out[24], double seconds)
{
    if (!(seconds < 1e9)) seconds = 1e9;
    if (seconds < 0) seconds = 0;
    long s = lround(seconds);
    if (s < 60) snprintf(out, 24, "%ld s", s);
    else if (s < 3600) snprintf(out, 24, "%ldm%02lds", s / 60, s % 60);
    else snprintf(out, 24, "%ldh%02ldm", s / 3600, s / 60 % 60);
    return out;
}

const char *cli_short(char out[24], double value)
{
    static const char suffix[] = {'k', 'M', 'G', 'T'};
    if (fabs(value) < 1000) {
        snprintf(out, 24, "%.4g", value);
        return out;
    }
    size_t i = 0;
    for (value /= 1000; fabs(value) >= 999.95 && i + 1 < sizeof suffix; i++)
        value /= 1000;
    snprintf(out, 24, "%.*f%c", fabs(value) < 10 ? 2 : 1, value, suffix[i]);
    return out;
}

const char *cli_bytes(char out[32], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t i = 0;
    for (; value >= 1024 && i < 3; i++) value /= 1024;
    if (bytes < 1024) snprintf(out, 32, "%" PRIu64 " bytes", bytes);
    else snprintf(out, 32, "%.1f %s", value, units[i]);
    return out;
}

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/*
 * metrics.jsonl: one JSON object a line, for a step, an evaluation or a sample. Numbers
 * are written without allocation and in JSON's own notation whatever the locale; what is
 * not finite is null. A resumed run cuts the file back to its step first.
 */
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"
#include "train/train.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rn_metrics {
    FILE *file;
    char *path;
    int failure; /* errno of the first failed write */
};

/* Step of a complete line, or -1 for a line that is not one of ours. */
static int64_t step_of(const char *line, size_t length)
{
    static const char head[] = "{\"step\":";
    size_t at = sizeof head - 1;
    int64_t step = 0;
    if (length < at || memcmp(line, head, at) != 0) return -1;
    for (; at < length && line[at] >= '0' && line[at] <= '9' && step < INT64_MAX / 20;
         at++)
        step = 10 * step + (line[at] - '0');
    return at < length && line[at] == ',' ? step : -1;
}

/* Bytes of the leading lines that are whole and not after `step`. */
static size_t kept_bytes(const char *text, size_t size, uint64_t step)
{
    size_t kept = 0;
    while (kept < size) {
        const char *end = memchr(text + kept, '\n', size - kept);
        if (!end) break;
        int64_t at = step_of(text + kept, (size_t)(end - text) - kept);
        if (at < 0 || (uint64_t)at > step) break;
        kept = (size_t)(end - text) + 1;
    }
    return kept;
}

static rn_status cut_back(const char *path, bool fresh, uint64_t step, rn_error *err)
{
    if (fresh || !rn_path_exists(path)) return rn_write_file(path, NULL, 0, err);
    rn_map map;
    rn_status st = rn_map_open(&map, path, err);
    if (st) return st;
    size_t kept = kept_bytes((const char *)map.data, map.size, step);
    if (kept < map.size) st = rn_write_file(path, map.data, kept, err);
    rn_map_close(&map);
    return st;
}

rn_status rn_metrics_open(rn_metrics **out, const char *folder, bool fresh, uint64_t step,
                          rn_error *err)
{
    rn_metrics *m = calloc(1, sizeof *m);
    if (!m) return rn_fail_memory(err, "metrics", sizeof *m);
    rn_status st;
    m->path = rn_path_join(folder, "metrics.jsonl");
    if (!m->path) {
        st = rn_fail_memory(err, "a path", strlen(folder));
        goto fail;
    }
    st = cut_back(m->path, fresh, step, err);
    if (st) goto fail;
    m->file = fopen(m->path, "a");
    if (!m->file) {
        st = rn_fail_errno(err, "%s", m->path);
        goto fail;
    }
    *out = m;
    return RN_OK;
fail:
    rn_metrics_close(m);
    return st;
}

/* A number as JSON; the decimal sign of the locale becomes a point. */
typedef struct number {
    char text[40];
} number;

static number number_of(double value)
{
    number n = {"null"};
    if (!isfinite(value)) return n;
    snprintf(n.text, sizeof n.text, "%.9g", value);
    char *sign = n.text + strspn(n.text, "+-0123456789e");
    size_t bytes = strcspn(sign, "+-0123456789e");
    if (bytes > 0) {
        *sign = '.';
        memmove(sign + 1, sign + bytes, strlen(sign + bytes) + 1);
    }
    return n;
}

static void note(rn_metrics *m, int written)
{
    if (written < 0 && !m->failure) m->failure = errno ? errno : EIO;
}

void rn_metrics_step(rn_metrics *m, const rn_step_result *r, uint64_t tokens, double rate)
{
    note(m,
         fprintf(m->file,
                 "{\"step\":%llu,\"loss\":%s,\"lr\":%s,\"grad_norm\":%s,\"tokens\":%llu,"
                 "\"tokens_per_second\":%s%s}\n",
                 (unsigned long long)r->step, number_of(r->loss).text,
                 number_of(r->lr).text, number_of(r->grad_norm).text,
                 (unsigned long long)tokens, number_of(rate).text,
                 r->skipped ? ",\"skipped\":true" : ""));
}

void rn_metrics_evaluation(rn_metrics *m, uint64_t step, double loss,
                           double bits_per_byte)
{
    note(m, fprintf(m->file, "{\"step\":%llu,\"val_loss\":%s,\"val_bits_per_byte\":%s}\n",
                    (unsigned long long)step, number_of(loss).text,
                    number_of(bits_per_byte).text));
}

void rn_metrics_sample(rn_metrics *m, uint64_t step, const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    errno = ENOMEM;
    note(m, quoted ? fprintf(m->file, "{\"step\":%llu,\"sample\":%s}\n",
                             (unsigned long long)step, quoted)
                   : -1);
    free(quoted);
    json_decref(string);
}

rn_status rn_metrics_flush(rn_metrics *m, bool sync, rn_error *err)
{
    if (!m->failure && fflush(m->file)) m->failure = errno;
    if (!m->failure && sync && fsync(fileno(m->file)) && errno != EINVAL)
        m->failure = errno;
    if (!m->failure) return RN_OK;
    errno = m->failure;
    return rn_fail_errno(err, "%s: cannot be written", m->path);
}

void rn_metrics_close(rn_metrics *m)
{
    if (!m) return;
    if (m->file) fclose(m->file);
    free(m->path);
    free(m);
}

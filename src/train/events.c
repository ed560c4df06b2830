/*
 * Event files as TensorBoard reads them: TFRecords of Event messages (events.proto). A
 * file begins with the version of the format and, at the step where the run goes on, the
 * mark of a start, which purges what an interrupted run wrote of later steps. Files are
 * read in the order of their names, so each is named by a later second than any before.
 */
#define _DEFAULT_SOURCE
#include "train/events.h"

#include "core/clock.h"
#include "core/file.h"
#include "formats/tfrecord.h"

#include <dirent.h>
#include <errno.h>
#include <events.pb-c.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char file_prefix[] = "events.out.tfevents.";
static const double flush_seconds = 5; /* so that a run can be watched */

enum { SESSION_START = 1, DATA_TENSOR = 2, DT_STRING = 7, MOST_SCALARS = 4 };

struct rn_events {
    FILE *file;
    char *path;
    unsigned char *buffer; /* of the record being made */
    size_t room;
    double flushed; /* clock */
    int failure;    /* errno of the first failed write */
};

/* ---- records ---- */

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void note(rn_events *e, bool good)
{
    if (!good && !e->failure) e->failure = errno ? errno : EIO;
}

static bool make_room(rn_events *e, size_t bytes)
{
    if (bytes <= e->room) return true;
    unsigned char *buffer = realloc(e->buffer, bytes);
    if (!buffer) return false;
    e->buffer = buffer;
    e->room = bytes;
    return true;
}

static void put(rn_events *e, Rn__TbEvent *event)
{
    event->has_wall_time = true;
    event->wall_time = now();
    unsigned char head[RN_TFRECORD_HEAD], tail[RN_TFRECORD_TAIL];
    size_t count = rn__tb_event__get_packed_size(event);
    errno = ENOMEM;
    if (!make_room(e, count)) {
        note(e, false);
        return;
    }
    rn__tb_event__pack(event, e->buffer);
    rn_tfrecord_frame(head, tail, e->buffer, count);
    note(e, fwrite(head, sizeof head, 1, e->file) == 1 &&
                fwrite(e->buffer, 1, count, e->file) == count &&
                fwrite(tail, sizeof tail, 1, e->file) == 1);
    if (rn_seconds() - e->flushed < flush_seconds) return;
    note(e, fflush(e->file) == 0);
    e->flushed = rn_seconds();
}

static void put_summary(rn_events *e, uint64_t step, Rn__TbValue **values, size_t count)
{
    Rn__TbSummary summary = RN__TB_SUMMARY__INIT;
    summary.n_value = count;
    summary.value = values;
    Rn__TbEvent event = RN__TB_EVENT__INIT;
    event.has_step = true;
    event.step = (int64_t)step;
    event.summary = &summary;
    put(e, &event);
}

typedef struct scalar {
    const char *tag;
    double value;
} scalar;

static void put_scalars(rn_events *e, uint64_t step, const scalar *scalars, size_t count)
{
    Rn__TbValue values[MOST_SCALARS], *list[MOST_SCALARS];
    for (size_t i = 0; i < count; i++) {
        rn__tb_value__init(&values[i]);
        values[i].tag = (char *)scalars[i].tag;
        values[i].has_simple_value = true;
        values[i].simple_value = (float)scalars[i].value;
        list[i] = &values[i];
    }
    put_summary(e, step, list, count);
}

void rn_events_step(rn_events *e, const rn_step_result *r, double rate)
{
    const scalar scalars[MOST_SCALARS] = {{"train/loss", r->loss},
                                          {"train/lr", r->lr},
                                          {"train/grad_norm", r->grad_norm},
                                          {"train/tokens_per_second", rate}};
    put_scalars(e, r->step, scalars, MOST_SCALARS);
}

void rn_events_evaluation(rn_events *e, uint64_t step, double loss, double bits_per_byte)
{
    const scalar scalars[2] = {{"val/loss", loss}, {"val/bits_per_byte", bits_per_byte}};
    put_scalars(e, step, scalars, isnan(bits_per_byte) ? 1 : 2);
}

/* A text is a tensor of one string, shown by the text plugin. */
void rn_events_sample(rn_events *e, uint64_t step, const char *text)
{
    ProtobufCBinaryData bytes = {.len = strlen(text), .data = (unsigned char *)text};
    Rn__TbDim dim = RN__TB_DIM__INIT, *dims[] = {&dim};
    dim.has_size = true;
    dim.size = 1;
    Rn__TbShape shape = RN__TB_SHAPE__INIT;
    shape.n_dim = 1;
    shape.dim = dims;
    Rn__TbTensor tensor = RN__TB_TENSOR__INIT;
    tensor.has_dtype = true;
    tensor.dtype = DT_STRING;
    tensor.tensor_shape = &shape;
    tensor.n_string_val = 1;
    tensor.string_val = &bytes;
    Rn__TbPlugin plugin = RN__TB_PLUGIN__INIT;
    plugin.plugin_name = (char *)"text";
    Rn__TbMetadata metadata = RN__TB_METADATA__INIT;
    metadata.plugin_data = &plugin;
    metadata.has_data_class = true;
    metadata.data_class = DATA_TENSOR;
    Rn__TbValue value = RN__TB_VALUE__INIT, *values[] = {&value};
    value.tag = (char *)"sample/text_summary";
    value.tensor = &tensor;
    value.metadata = &metadata;
    put_summary(e, step, values, 1);
}

static void put_start(rn_events *e, uint64_t step)
{
    Rn__TbEvent version = RN__TB_EVENT__INIT, start = RN__TB_EVENT__INIT;
    version.has_step = start.has_step = true;
    version.step = start.step = (int64_t)step;
    version.file_version = (char *)"brain.Event:2";
    Rn__TbSessionLog log = RN__TB_SESSION_LOG__INIT;
    log.has_status = true;
    log.status = SESSION_START;
    start.session_log = &log;
    put(e, &version);
    put(e, &start);
}

/* ---- the file ---- */

/* A later second than that of any event file here, and than the present one. */
static uint64_t free_second(const char *folder)
{
    uint64_t second = (uint64_t)time(NULL);
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        size_t n = sizeof file_prefix - 1;
        if (strncmp(entry->d_name, file_prefix, n) != 0) continue;
        uint64_t used = strtoull(entry->d_name + n, NULL, 10);
        if (used >= second && used < 9999999999u) second = used + 1;
    }
    if (dir) closedir(dir);
    return second;
}

/* The host's name with nothing in it that a file name could not hold. */
static void host_name(char name[64])
{
    if (gethostname(name, 63) || !*name) strcpy(name, "host");
    name[63] = '\0';
    for (char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._",
                    *c))
            *c = '_';
}

static rn_status open_file(rn_events *e, const char *folder, rn_error *err)
{
    char name[160], host[64];
    host_name(host);
    snprintf(name, sizeof name, "%s%010" PRIu64 ".%s.%ld", file_prefix,
             free_second(folder), host, (long)getpid());
    e->path = rn_path_join(folder, name);
    if (!e->path) return rn_fail_memory(err, "a path", strlen(folder));
    e->file = fopen(e->path, "wbx");
    return e->file ? RN_OK : rn_fail_errno(err, "%s", e->path);
}

rn_status rn_events_open(rn_events **out, const char *folder, uint64_t step,
                         rn_error *err)
{
    rn_events *e = calloc(1, sizeof *e);
    if (!e) return rn_fail_memory(err, "an event file", sizeof *e);
    rn_status st = open_file(e, folder, err);
    if (st) goto fail;
    put_start(e, step);
    st = rn_events_flush(e, false, err);
    if (st) goto fail;
    *out = e;
    return RN_OK;
fail:
    rn_events_close(e);
    return st;
}

rn_status rn_events_flush(rn_events *e, bool sync, rn_error *err)
{
    note(e, fflush(e->file) == 0);
    if (!e->failure && sync && fsync(fileno(e->file)) && errno != EINVAL) note(e, false);
    e->flushed = rn_seconds();
    if (!e->failure) return RN_OK;
    errno = e->failure;
    return rn_fail_errno(err, "%s: cannot be written", e->path);
}

void rn_events_close(rn_events *e)
{
    if (!e) return;
    if (e->file) fclose(e->file);
    free(e->path);
    free(e->buffer);
    free(e);
}

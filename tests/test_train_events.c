/* TensorBoard's event files and the samples of a run: known checksums, what a run logs,
   read back by a reader of the test's own, a resumed run's new file with its purge, and
   that neither changes a bit of the run. */
#define _DEFAULT_SOURCE
#include "event_reader.h"
#include "train_job.h"

#include "formats/tfrecord.h"
#include "retnet/session.h"

#include <dirent.h>
#include <math.h>

/* ---- the frame ---- */

/* RFC 3720, B.4, and the check value of the CRC's catalogue. */
static void checksums_are_known(void **state)
{
    (void)state;
    unsigned char bytes[32] = {0};
    assert_int_equal(rn_crc32c("", 0), 0);
    assert_int_equal(rn_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(rn_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(rn_crc32c(bytes, 32), 0x62a8ab43);
    for (size_t i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(rn_crc32c(bytes, 32), 0x46dd794e);
    for (size_t i = 0; i < 32; i++) bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(rn_crc32c(bytes, 32), 0x113fdb5c);
    /* 0xe3069283 >> 15 | 0xe3069283 << 17, plus 0xa282ead8 */
    assert_int_equal(rn_crc32c_masked("123456789", 9), 0xc78ab0e5);
    unsigned char head[RN_TFRECORD_HEAD], tail[RN_TFRECORD_TAIL];
    rn_tfrecord_frame(head, tail, "123456789", 9);
    assert_memory_equal(head, "\x09\0\0\0\0\0\0\0", 8);
    assert_memory_equal(tail, "\xe5\xb0\x8a\xc7", 4);
}

/* ---- event files of a folder ---- */

enum { MOST_EVENTS = 400 };

typedef struct event_log {
    seen_event events[MOST_EVENTS];
    size_t count, files;
} event_log;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t event_files(const char *folder, const char *out, char **names)
{
    char *path = path_in(folder, out);
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        if (!strncmp(entry->d_name, "events.out.tfevents.", 20))
            names[count++] = strdup(entry->d_name);
    closedir(dir);
    free(path);
    qsort(names, count, sizeof *names, by_name);
    return count;
}

/* Forgets what a start at `step` forgets. */
static void purge(event_log *log, uint64_t step)
{
    size_t kept = 0;
    for (size_t i = 0; i < log->count; i++)
        if (log->events[i].step < step) log->events[kept++] = log->events[i];
    log->count = kept;
}

static void read_file(event_log *log, const char *folder, const char *out,
                      const char *name)
{
    rn_map map = must_map(folder, out, name);
    const unsigned char *at = map.data, *end = map.data + map.size;
    seen_event version = next_event(&at, end), start = next_event(&at, end);
    assert_string_equal(version.version, "brain.Event:2");
    assert_int_equal(start.status, 1);
    assert_true(start.wall_time > 1.6e9);
    purge(log, start.step);
    while (at < end) {
        assert_true(log->count < MOST_EVENTS);
        log->events[log->count++] = next_event(&at, end);
        assert_true(log->events[log->count - 1].step >= start.step);
    }
    rn_map_close(&map);
}

/* What a reader shows of all files together; freed by the caller. */
static event_log *read_log(const char *folder, const char *out)
{
    char *names[16];
    event_log *log = calloc(1, sizeof *log);
    assert_non_null(log);
    log->files = event_files(folder, out, names);
    for (size_t i = 0; i < log->files; i++) {
        read_file(log, folder, out, names[i]);
        free(names[i]);
    }
    return log;
}

static const seen_value *find_value(const event_log *log, uint64_t step, const char *tag)
{
    const seen_value *found = NULL;
    for (size_t i = 0; i < log->count; i++)
        for (size_t v = 0; v < log->events[i].count; v++) {
            if (log->events[i].step != step) continue;
            if (strcmp(log->events[i].values[v].tag, tag)) continue;
            if (found) fail_msg("%s is there twice at step %d", tag, (int)step);
            found = &log->events[i].values[v];
        }
    return found;
}

/* The number behind "key": in the metrics line of a step that begins with `head`. */
static double metric(const char *text, uint64_t step, const char *head, const char *key)
{
    char begin[80], name[80];
    snprintf(begin, sizeof begin, "{\"step\":%d,\"%s", (int)step, head);
    snprintf(name, sizeof name, "\"%s\":", key);
    const char *line = strstr(text, begin);
    if (!line) return NAN;
    return atof(strstr(line, name) + strlen(name));
}

static void near(const event_log *log, uint64_t step, const char *tag, double want)
{
    const seen_value *v = find_value(log, step, tag);
    if (!v || !v->scalar || !(fabs((double)v->value - want) <= 1e-6 * fabs(want)))
        fail_msg("%s at step %d: %g, not %g", tag, (int)step, v ? (double)v->value : NAN,
                 want);
}

/* Each step of metrics.jsonl, once, with the same numbers. */
static void check_log(const char *folder, const char *out, uint64_t steps)
{
    event_log *log = read_log(folder, out);
    char *text = metrics_of(folder, out);
    for (uint64_t s = 1; s <= steps; s++) {
        near(log, s, "train/loss", metric(text, s, "loss", "loss"));
        near(log, s, "train/lr", metric(text, s, "loss", "lr"));
        near(log, s, "train/grad_norm", metric(text, s, "loss", "grad_norm"));
        const seen_value *rate = find_value(log, s, "train/tokens_per_second");
        assert_true(rate && rate->value > 0);
        if (s % 8 == 0) near(log, s, "val/loss", metric(text, s, "val_loss", "val_loss"));
    }
    near(log, 0, "val/loss", metric(text, 0, "val_loss", "val_loss"));
    assert_null(find_value(log, steps + 1, "train/loss"));
    free(text);
    free(log);
}

/* ---- runs ---- */

static job sampled_job(const char *folder, const char *out, const rn_tokenizer *bytes)
{
    job j = new_job(folder, out);
    j.o.events = true;
    j.o.samples = (rn_train_samples){.every = 6, .tokenizer = bytes, .tokens = 9};
    return j;
}

static rn_tokenizer *byte_tokenizer(void)
{
    rn_tokenizer *t = NULL;
    OK(rn_tokenizer_open(&t, "byte", &err_));
    return t;
}

static void run_is_logged(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_tokenizer *bytes = byte_tokenizer();
    job j = sampled_job(folder, "a", bytes);
    must_run(&j);
    check_log(folder, "a", 24);
    assert_int_equal(j.samples, 4);
    event_log *log = read_log(folder, "a");
    assert_int_equal(log->files, 1);
    for (uint64_t s = 1; s <= 24; s++) {
        const seen_value *v = find_value(log, s, "sample/text_summary");
        assert_int_equal(v != NULL, s % 6 == 0);
        if (!v) continue;
        assert_string_equal(v->plugin, "text");
        assert_true(v->dtype == 7 && v->size == 1 && v->data_class == 2);
        assert_true(v->text[0] == '\n' && strlen(v->text) == 10);
    }
    free(log);
    rn_tokenizer_free(bytes);
    remove_folder(folder);
}

/* The same bits with and without; the folders differ by the event file alone, and the
   metrics by the samples. */
static void nothing_is_disturbed(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_tokenizer *bytes = byte_tokenizer();
    job plain = new_job(folder, "a"), j = sampled_job(folder, "b", bytes);
    j.o.samples.every = 1;
    j.o.keep = 7;
    must_run(&plain);
    must_run(&j);
    shell("cd %s/b && rm events.* step-00000? step-00001? step-000020 -r && grep -v "
          "'\"sample\"' metrics.jsonl > m && mv m metrics.jsonl",
          folder);
    same_run(folder, "a", "b");
    rn_tokenizer_free(bytes);
    remove_folder(folder);
}

/* Stopped at steps that were saved, and thrown back behind steps that were logged. */
static void resumed_run_purges(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_tokenizer *bytes = byte_tokenizer();
    job whole = sampled_job(folder, "a", bytes);
    must_run(&whole);
    job j = sampled_job(folder, "b", bytes);
    rn_train_result r;
    j.o.resume = true;
    j.stop = 11;
    assert_int_equal(run_job(&j, &r, NULL), RN_EINTERRUPTED);
    shell("cp -a %s/b %s/c", folder, folder);
    j.stop = 20;
    assert_int_equal(run_job(&j, &r, NULL), RN_EINTERRUPTED);
    check_log(folder, "b", 20);
    /* The checkpoint of step 11 with the log of step 20. */
    shell("cd %s && cp -a b/events.* b/metrics.jsonl c/", folder);
    job again = sampled_job(folder, "c", bytes);
    again.o.resume = true;
    must_run(&again);
    check_log(folder, "c", 24);
    event_log *log = read_log(folder, "c");
    assert_int_equal(log->files, 3);
    free(log);
    shell("cd %s && rm [abc]/events.*", folder);
    same_run(folder, "a", "c");
    rn_tokenizer_free(bytes);
    remove_folder(folder);
}

/* The last sample is what the saved model generates. */
static void sample_is_the_models(void **state)
{
    (void)state;
    char *folder = new_folder(), text[40] = "\n";
    rn_tokenizer *bytes = byte_tokenizer();
    job j = sampled_job(folder, "a", bytes);
    must_run(&j);
    rn_exec *x = open_exec(1);
    rn_model *model;
    rn_session *s;
    char *out = path_in(folder, "a");
    OK(rn_model_open(&model, x, out, &err_));
    OK(rn_session_create(&s, model, &err_));
    OK(rn_session_feed(s, &(int32_t){'\n'}, 1, &err_));
    for (size_t i = 1; i < 10; i++) {
        int32_t id;
        rn_sampling how = {
            .temperature = 0.8f, .seed = j.o.train.seed, .choice = 24 /* the step */};
        OK(rn_session_sample(s, &how, &id, &err_));
        text[i] = id ? (char)id : '?';
        OK(rn_session_step(s, id, &err_));
    }
    event_log *log = read_log(folder, "a");
    assert_string_equal(find_value(log, 24, "sample/text_summary")->text, text);
    free(log);
    rn_session_free(s);
    rn_model_free(model);
    rn_exec_close(x);
    rn_tokenizer_free(bytes);
    free(out);
    remove_folder(folder);
}

static void bad_samples_are_refused(void **state)
{
    (void)state;
    char *folder = new_folder();
    rn_tokenizer *bytes = byte_tokenizer();
    job j = sampled_job(folder, "a", NULL);
    refused(&j, RN_EINVAL, "no tokenizer");
    j = sampled_job(folder, "a", bytes);
    j.o.samples.tokens = 0;
    refused(&j, RN_EINVAL, "0 tokens");
    j.o.samples.tokens = 5;
    j.o.samples.prompt = "the";
    refused(&j, RN_EINVAL,
            "id 116 of the prompt is outside the model's vocabulary of 24");
    shell("test ! -e %s/a", folder);
    rn_tokenizer_free(bytes);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_known),  cmocka_unit_test(run_is_logged),
        cmocka_unit_test(nothing_is_disturbed), cmocka_unit_test(resumed_run_purges),
        cmocka_unit_test(sample_is_the_models), cmocka_unit_test(bad_samples_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

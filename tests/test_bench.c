/* retnet bench on a model, type by type, and its drawing: a gnuplot that is real, one
   that hands its script on, one that fails, and none. */
#define _GNU_SOURCE
#include "program_fixture.h"

#define MODEL in_scratch("model")

/* The rows of a run that ended well and said nothing else; released with json_decref. */
static json_t *bench_rows(const char *const *argv)
{
    child c = child_run(argv, NULL, CHILD_FILE);
    check_done(&c);
    json_t *o = child_json(&c), *rows = json_incref(json_object_get(o, "results"));
    assert_true(json_is_array(rows));
    json_decref(o);
    child_free(&c);
    return rows;
}

#define ROWS(...) bench_rows(ARGV("bench", __VA_ARGS__, "--repeat=1", "--json"))

static void check_row(const json_t *row, const char *name, const char *type)
{
    assert_string_equal(json_string_value(json_object_get(row, "name")), name);
    assert_string_equal(json_string_value(json_object_get(row, "type")), type);
    assert_string_equal(json_string_value(json_object_get(row, "unit")), "tokens/s");
    double value = json_number(row, "value");
    assert_true(json_number(row, "min") <= value && value <= json_number(row, "max"));
    assert_true(json_number(row, "limit") > 0 && json_number(row, "fraction") > 0);
    assert_true(json_number(row, "peak_memory_bytes") > 1 << 18);
}

static void every_type_is_measured(void **state)
{
    (void)state;
    static const char *const types[] = {"f32",  "bf16", "f16", "q8_0",
                                        "q4_0", "q4_k", "q6_k"};
    json_t *rows = ROWS("decode", "--random=1", "--preset=nano", "--depth=0,3", "--seq=2",
                        "--type=f32,bf16,f16,q8_0,q4_0,q4_k,q6_k");
    assert_int_equal(json_array_size(rows), 14);
    double before = 1e300;
    for (size_t i = 0; i < 14; i++) {
        const json_t *row = json_array_get(rows, i);
        check_row(row, "decode", types[i / 2]);
        assert_int_equal(json_number(row, "depth"), i % 2 ? 3 : 0);
        double bytes = json_number(row, "bytes");
        if (i == 0) assert_in_range(bytes, 4000000, 5000000);
        if (i % 2 == 0 && i >= 2 && i <= 8 && i != 4) assert_true(bytes < before);
        before = bytes;
    }
    json_decref(rows);
}

static void sequences_share_the_weights(void **state)
{
    (void)state;
    json_t *rows = ROWS("batch", MODEL, "--batch=1,3", "--seq=4", "--type=f32");
    assert_int_equal(json_array_size(rows), 2);
    const json_t *one = json_array_get(rows, 0), *three = json_array_get(rows, 1);
    check_row(one, "batch", "f32");
    check_row(three, "batch", "f32");
    assert_int_equal(json_number(one, "batch"), 1);
    assert_int_equal(json_number(three, "batch"), 3);
    child c = RUN("info", MODEL, "--json");
    json_t *info = child_json(&c);
    double states = json_number(three, "bytes") - json_number(one, "bytes");
    assert_true(states == 2 * json_number(info, "state_bytes"));
    json_decref(info);
    child_free(&c);
    json_decref(rows);
}

/* Of a decode step: all weights but a table that is only looked up. */
static double bytes_read(const char *tied)
{
    json_t *rows = ROWS("decode", "--random=1", "--preset=nano", "--set", tied,
                        "--depth=0", "--seq=1", "--type=f32");
    double bytes = json_number(json_array_get(rows, 0), "bytes");
    json_decref(rows);
    return bytes;
}

static void a_lookup_is_not_reading(void **state)
{
    (void)state;
    assert_true(bytes_read("tied=true") == bytes_read("tied=false"));
}

static void prompts_and_steps_have_types(void **state)
{
    (void)state;
    json_t *rows = ROWS("prompt", MODEL, "--seq=40,600", "--type=q8_0,f32");
    assert_int_equal(json_array_size(rows), 4);
    for (size_t i = 0; i < 4; i++)
        check_row(json_array_get(rows, i), "prompt", i < 2 ? "q8_0" : "f32");
    json_decref(rows);
    rows = ROWS("train", MODEL, "--batch=1,2", "--seq=8", "--type=f32,bf16");
    assert_int_equal(json_array_size(rows), 4);
    for (size_t i = 0; i < 4; i++)
        check_row(json_array_get(rows, i), "train", i < 2 ? "f32" : "bf16");
    json_decref(rows);
    rows = ROWS("prompt", MODEL, "--seq=40");
    check_row(json_array_get(rows, 0), "prompt", "f32");
    json_decref(rows);
}

/* ---- drawing ---- */

/* A program named gnuplot, first in PATH; or a PATH without any. */
static void use_gnuplot(const char *script)
{
    char path[700];
    mkdir(in_scratch("bin"), 0700);
    unlink(in_scratch("bin/gnuplot"));
    if (script) {
        put_text("bin/gnuplot", script);
        assert_int_equal(chmod(in_scratch("bin/gnuplot"), 0700), 0);
    }
    snprintf(path, sizeof path, "%s/bin%s", scratch, script ? ":/usr/bin:/bin" : "");
    setenv("PATH", path, 1);
}

#define PLOT(path, ...)                                                                  \
    RUN("bench", __VA_ARGS__, "--repeat=2", "--json", "--plot", in_scratch(path))

static int times_in(const char *text, const char *words)
{
    int count = 0;
    for (; (text = strstr(text, words)); text++) count++;
    return count;
}

static void the_script_has_every_row(void **state)
{
    (void)state;
    size_t size;
    use_gnuplot("#!/bin/sh\nexec cat\n");
    mkdir(in_scratch("plots"), 0700);
    child c =
        PLOT("plots/a.svg", "decode", MODEL, "--depth=0,9", "--seq=2", "--type=f32,q8_0");
    check_done(&c);
    child_free(&c);
    char *script = get_bytes(in_scratch("plots/a.svg"), &size);
    static const char *const wanted[] = {"set terminal svg",
                                         "set title 'decode of ",
                                         "$curve0 << END\n1 ",
                                         "$curve1 << END\n1 ",
                                         "\n9 ",
                                         "'0' 1, '9' 9, ",
                                         "title 'f32'",
                                         "title 'q8_0'",
                                         "milliseconds per token",
                                         "resident memory, MiB"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(script, wanted[i])) fail_msg("no \"%s\" in: %s", wanted[i], script);
    assert_int_equal(times_in(script, "\n9 "), 2);
    assert_null(strstr(script, "$curve2"));
    free(script);
    assert_int_equal(entries(in_scratch("plots")), 1);
}

static void a_failing_gnuplot_changes_nothing(void **state)
{
    (void)state;
    size_t size;
    use_gnuplot("#!/bin/sh\necho '<svg'\nexit 3\n");
    mkdir(in_scratch("kept"), 0700);
    put_text("kept/a.svg", "old");
    child c = PLOT("kept/a.svg", "retention", "--shape=1x8x8", "--seq=8");
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.err, "--plot: gnuplot failed"));
    json_decref(child_json(&c));
    child_free(&c);
    char *left = get_bytes(in_scratch("kept/a.svg"), &size);
    assert_string_equal(left, "old");
    free(left);
    assert_int_equal(entries(in_scratch("kept")), 1);
}

static void no_gnuplot_is_said_before_the_work(void **state)
{
    (void)state;
    use_gnuplot(NULL);
    mkdir(in_scratch("none"), 0700);
    child c = PLOT("none/a.svg", "decode", MODEL);
    check_refused(&c, 1, "gnuplot is not installed");
    child_free(&c);
    assert_int_equal(entries(in_scratch("none")), 0);
    use_gnuplot("#!/bin/sh\nexec cat\n");
    c = PLOT("nowhere/a.svg", "decode", MODEL);
    check_refused(&c, 1, "nowhere/a.svg: No such file");
    child_free(&c);
}

static void check_drawn(const char *const *argv, const char *path)
{
    size_t size;
    child c = child_run(argv, NULL, CHILD_FILE);
    check_done(&c);
    child_free(&c);
    char *svg = get_bytes(path, &size);
    assert_true(size > 1000);
    assert_non_null(strstr(svg, "<svg"));
    assert_non_null(strstr(svg, "</svg>"));
    free(svg);
}

#define DRAWN(...)                                                                       \
    check_drawn(ARGV("bench", __VA_ARGS__, "--repeat=1", "--json", "--plot",             \
                     in_scratch("real.svg")),                                            \
                in_scratch("real.svg"))

static void gnuplot_draws_every_subject(void **state)
{
    (void)state;
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    if (access("/usr/bin/gnuplot", X_OK) && access("/usr/local/bin/gnuplot", X_OK))
        skip();
    DRAWN("retention", "--shape=1x8x8", "--seq=8,16");
    DRAWN("prompt", MODEL, "--seq=40");
    DRAWN("decode", MODEL, "--depth=0,5", "--seq=2", "--type=f32,bf16");
    DRAWN("batch", MODEL, "--batch=1,2", "--seq=2");
    DRAWN("train", MODEL, "--batch=1,2", "--seq=8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_measured),
        cmocka_unit_test(sequences_share_the_weights),
        cmocka_unit_test(a_lookup_is_not_reading),
        cmocka_unit_test(prompts_and_steps_have_types),
        cmocka_unit_test(the_script_has_every_row),
        cmocka_unit_test(a_failing_gnuplot_changes_nothing),
        cmocka_unit_test(no_gnuplot_is_said_before_the_work),
        cmocka_unit_test(gnuplot_draws_every_subject),
    };
    return cmocka_run_group_tests_name("bench", tests, program_open, scratch_close);
}

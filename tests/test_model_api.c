/* Models as files: saved and opened again bit for bit, every kind of damage refused with
   one line that names it, nothing half-written. */
#define _XOPEN_SOURCE 700
#include "core/file.h"
#include "formats/safetensors.h"
#include "retnet/model.h"

#include "scratch.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static const char CONFIG[] =
    "{\"vocab_size\": 19, \"width\": 12, \"layers\": 2, \"heads\": 3, \"kv_heads\": 1,"
    " \"key_dim\": 4, \"value_dim\": 5, \"ffn_width\": 16, \"norm\": \"layer\", "
    "\"bias\": true,"
    " \"head_norm_weight\": \"shared\", \"embedding_norm\": true, \"ffn_norm\": true,"
    " \"embedding_scale\": 3.4641016151377544, \"decays\": [0.9, 0.968750001, 1]}";

static rn_exec *exec;
static char folder[600], config_path[700], weights_path[700];

static int set_up(void **state)
{
    if (scratch_open(state)) return -1;
    snprintf(folder, sizeof folder, "%s", in_scratch("model"));
    snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    snprintf(weights_path, sizeof weights_path, "%s/model.safetensors", folder);
    return rn_exec_open(&exec, NULL, NULL);
}

static int tear_down(void **state)
{
    rn_exec_close(exec);
    return scratch_close(state);
}

static rn_model *make_model(const char *setting, uint64_t seed)
{
    rn_model *m;
    rn_error err;
    rn_model_source source = {
        .config_json = CONFIG, .settings = &setting, .settings_count = setting != NULL};
    if (rn_model_create(&m, exec, &source, seed, &err)) fail_msg("%s", err.message);
    return m;
}

static rn_model *open_model(const char *path)
{
    rn_model *m;
    rn_error err;
    if (rn_model_open(&m, exec, path, &err)) fail_msg("%s", err.message);
    return m;
}

/* A fresh checkpoint in the folder. */
static void save_model(void)
{
    rn_error err;
    rn_model *m = make_model(NULL, 5);
    assert_int_equal(rn_remove_folder(folder, NULL), RN_OK);
    if (rn_model_save(m, folder, &err)) fail_msg("%s", err.message);
    rn_model_free(m);
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void check_same(const rn_model *a, const rn_model *b)
{
    char *x = rn_model_config_json(a), *y = rn_model_config_json(b);
    assert_string_equal(x, y);
    free(x);
    free(y);
    assert_int_equal(rn_model_tensor_count(a), rn_model_tensor_count(b));
    for (size_t i = 0; i < rn_model_tensor_count(a); i++) {
        rn_model_tensor s = rn_model_tensor_at(a, i), t = rn_model_tensor_at(b, i);
        assert_string_equal(s.name, t.name);
        assert_int_equal(s.dims, t.dims);
        assert_memory_equal(s.shape, t.shape, sizeof s.shape);
        assert_memory_equal(s.data, t.data, s.shape[0] * s.shape[1] * sizeof(float));
    }
}

static void saved_is_opened_bit_for_bit(void **state)
{
    (void)state;
    rn_model *m = make_model(NULL, 5);
    for (size_t i = 0; i < rn_model_tensor_count(m); i++)
        rn_model_tensor_at(m, i).data[0] = (float)i + 1.2345678f; /* no two begin alike */
    assert_int_equal(rn_remove_folder(folder, NULL), RN_OK);
    assert_int_equal(rn_model_save(m, folder, NULL), RN_OK);
    assert_int_equal(count_files(), 2);
    rn_model *again = open_model(folder), *by_file = open_model(weights_path);
    check_same(m, again);
    check_same(m, by_file);
    rn_model_info info;
    rn_model_info_get(again, &info);
    assert_string_equal(info.dialect, "native");
    assert_string_equal(rn_model_tensor_original_name(again, 0), "embedding.weight");
    rn_model_free(m);
    rn_model_free(again);
    rn_model_free(by_file);
}

/* Over its own config a model may be saved again; another model's checkpoint stays. */
static void saving_over_a_checkpoint(void **state)
{
    (void)state;
    rn_error err;
    save_model();
    rn_model *other = make_model(NULL, 6), *wider = make_model("ffn_width=17", 5),
             *decayed = make_model("decays=0.9,0.96875,1", 5);
    assert_int_equal(rn_model_save(other, folder, &err), RN_OK);
    rn_model *now = open_model(folder);
    check_same(now, other);
    assert_int_equal(rn_model_save(wider, folder, &err), RN_EEXIST);
    assert_non_null(strstr(err.message, config_path));
    assert_int_equal(rn_model_save(decayed, folder, &err), RN_EEXIST);
    rn_model_free(now);
    now = open_model(folder);
    check_same(now, other);
    assert_int_equal(count_files(), 2);
    assert_int_equal(remove(config_path), 0);
    assert_int_equal(rn_model_save(wider, folder, &err), RN_OK);
    rn_model_free(now);
    now = open_model(folder);
    check_same(now, wider);
    rn_model_free(now);
    rn_model_free(other);
    rn_model_free(wider);
    rn_model_free(decayed);
}

static void saving_where_nothing_can_be_written(void **state)
{
    (void)state;
    rn_error err = {0};
    save_model();
    rn_model *m = make_model(NULL, 1);
    char path[800];
    snprintf(path, sizeof path, "%s/below", config_path);
    rn_status st = rn_model_save(m, path, &err);
    assert_true(st == RN_EIO || st == RN_ENOTFOUND || st == RN_EINVAL || st == RN_EEXIST);
    assert_non_null(strstr(err.message, config_path));
    assert_int_equal(count_files(), 2);
    rn_model_free(m);
}

/* A disk that is full in the middle of the weights: the old checkpoint stays, and nothing
   else does. */
static void saving_on_a_full_disk(void **state)
{
    (void)state;
    rn_error err = {0};
    save_model();
    rn_model *before = open_model(folder), *other = make_model(NULL, 6);
    struct rlimit limit, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    low = limit;
    low.rlim_cur = 3000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    rn_status st = rn_model_save(other, folder, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(st, RN_EIO);
    assert_non_null(strstr(err.message, weights_path));
    assert_int_equal(count_files(), 2);
    rn_model *now = open_model(folder);
    check_same(before, now);
    rn_model_free(before);
    rn_model_free(other);
    rn_model_free(now);
}

static void a_new_model(void **state)
{
    (void)state;
    rn_model *a = make_model(NULL, 5), *b = make_model(NULL, 5), *c = make_model(NULL, 6);
    check_same(a, b);
    rn_model_tensor s = rn_model_tensor_at(a, 0), t = rn_model_tensor_at(c, 0);
    assert_memory_not_equal(s.data, t.data, 19 * 12 * sizeof(float));
    assert_true(rn_model_decays(a)[1] == 0.968750001);
    rn_model_info info;
    rn_model_info_get(a, &info);
    uint64_t numbers = 0;
    for (size_t i = 0; i < rn_model_tensor_count(a); i++) {
        rn_model_tensor p = rn_model_tensor_at(a, i);
        numbers += p.shape[0] * (p.dims == 2 ? p.shape[1] : 1);
        assert_string_equal(rn_model_tensor_original_name(a, i), p.name);
    }
    assert_int_equal(info.parameters, numbers);
    assert_int_equal(info.vocab_size, 19);
    assert_int_equal(info.width, 12);
    assert_int_equal(info.layers, 2);
    assert_int_equal(info.heads, 3);
    assert_true(info.weight_bytes >= 4 * numbers);
    assert_true(info.state_bytes >= 2 * 3 * 4 * 5 * sizeof(float));
    rn_model_free(a);
    rn_model_free(b);
    rn_model_free(c);
    rn_model_free(NULL);
}

static void descriptions_have_no_weights(void **state)
{
    (void)state;
    for (size_t i = 0; rn_preset_name(i); i++) {
        rn_model *m;
        rn_error err;
        rn_model_info info;
        rn_model_source source = {.preset = rn_preset_name(i)};
        if (rn_model_describe(&m, &source, &err)) fail_msg("%s", err.message);
        rn_model_info_get(m, &info);
        assert_null(rn_model_tensor_at(m, 0).data);
        assert_true(info.parameters > 0 && info.state_bytes > 0);
        /* Two per parameter used in products, and the state's own work. */
        assert_true(info.flops_per_token > 1.6 * (double)info.parameters);
        assert_true(info.flops_per_token < 3.2 * (double)info.parameters);
        assert_int_equal(rn_model_save(m, folder, &err), RN_EINVAL);
        assert_non_null(rn_preset_description(i));
        rn_model_free(m);
    }
    assert_null(rn_preset_description(1000));
}

static void check_source(const rn_model_source *source, rn_status want, const char *word)
{
    rn_model *m = NULL;
    rn_error err = {0};
    rn_status st = rn_model_create(&m, exec, source, 1, &err);
    if (st != want || !strstr(err.message, word))
        fail_msg("status %d, \"%s\", instead of %d and \"%s\"", st, err.message, want,
                 word);
    assert_null(m);
    assert_int_equal(err.status, want);
}

static void bad_sources(void **state)
{
    (void)state;
    const char *const odd[] = {"nonsense=1"}, *const word[] = {"layers=many"},
                      *const plain[] = {"layers"};
    check_source(&(rn_model_source){0}, RN_EINVAL, "preset");
    check_source(&(rn_model_source){.preset = "nano", .config_json = CONFIG}, RN_EINVAL,
                 "2");
    check_source(&(rn_model_source){.preset = "huge"}, RN_ENOTFOUND, "huge");
    check_source(&(rn_model_source){.config_json = "{"}, RN_EFORMAT, "config_json");
    check_source(&(rn_model_source){.config_json = "[1]"}, RN_EFORMAT, "config");
    check_source(&(rn_model_source){.config_json = "{\"width\": 8, \"width\": 9}"},
                 RN_EFORMAT, "width");
    check_source(&(rn_model_source){.config_json = "{\"width\": 8}"}, RN_EINVAL,
                 "vocab_size");
    const char *typo = put_text("typo.json", "{\"format\": \"retnet\", \"version\": 1, "
                                             "\"widht\": 8}");
    check_source(&(rn_model_source){.config_path = typo}, RN_EFORMAT,
                 "typo.json: unknown");
    check_source(&(rn_model_source){.config_path = "/nowhere/at/all"}, RN_ENOTFOUND,
                 "/nowhere");
    check_source(
        &(rn_model_source){.config_json = CONFIG, .settings = odd, .settings_count = 1},
        RN_EINVAL, "nonsense");
    check_source(
        &(rn_model_source){.config_json = CONFIG, .settings = word, .settings_count = 1},
        RN_EINVAL, "layers");
    check_source(
        &(rn_model_source){.config_json = CONFIG, .settings = plain, .settings_count = 1},
        RN_EINVAL, "key=value");
}

/* A config key in a setting as `retnet info --json` prints it. */
static void settings_take_json_lists(void **state)
{
    (void)state;
    rn_model *m = make_model("decays=[0.5, 0.75,1]", 1);
    assert_true(rn_model_decays(m)[0] == 0.5 && rn_model_decays(m)[1] == 0.75);
    assert_true(rn_model_decays(m)[2] == 1);
    rn_model_free(m);
    const char *const bad[] = {"decays=[0.5, 0.75",      "decays=[0.5, 0.75, 2]",
                               "decays=[0.5, \"a\", 1]", "decays=[0.5, 0.75]",
                               "decays=[0.5, 0, 1]",     "decays=[]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rn_model_source source = {
            .config_json = CONFIG, .settings = &bad[i], .settings_count = 1};
        rn_error err;
        assert_int_not_equal(rn_model_create(&m, exec, &source, 1, &err), RN_OK);
        assert_non_null(strstr(err.message, "decays"));
    }
}

/* However a model comes from a config file, it tells the keys that were ignored. */
static void unknown_keys_are_told(void **state)
{
    (void)state;
    const char *path = put_text(
        "keys.json", "{\"decoder_embed_dim\": 8, \"decoder_value_embed_dim\": 16, "
                     "\"decoder_retention_heads\": 2, \"decoder_ffn_embed_dim\": 12, "
                     "\"decoder_layers\": 1, \"vocab_size\": 10, \"odd\": 1}");
    rn_model_source source = {.config_path = path};
    rn_model *created, *described;
    WORKS(rn_model_create(&created, exec, &source, 1, err));
    WORKS(rn_model_describe(&described, &source, err));
    assert_string_equal(rn_model_unknown_key(created, 0), "odd");
    assert_string_equal(rn_model_unknown_key(described, 0), "odd");
    assert_null(rn_model_unknown_key(created, 1));
    assert_string_equal(rn_model_tensor_stored_type(created, 0), "F32");
    rn_model_free(created);
    rn_model_free(described);
}

/* The text that a model gives of its config makes the same model. */
static void config_text_makes_the_model(void **state)
{
    (void)state;
    rn_model *m = make_model(NULL, 8), *again;
    char *text = rn_model_config_json(m);
    rn_model_source source = {.config_json = text};
    assert_int_equal(rn_model_create(&again, exec, &source, 8, NULL), RN_OK);
    check_same(m, again);
    rn_model_free(again);
    save_model();
    source = (rn_model_source){.config_path = folder};
    assert_int_equal(rn_model_create(&again, exec, &source, 8, NULL), RN_OK);
    check_same(m, again);
    rn_model_free(again);
    rn_model_free(m);
    free(text);
}

/* The folder must not open: the message is one line with every one of the words. */
static void check_damaged(rn_status want, const char *first, const char *second)
{
    rn_model *m = NULL;
    rn_error err = {0};
    rn_status st = rn_model_open(&m, exec, folder, &err);
    assert_null(m);
    if (st != want || !strstr(err.message, first) || !strstr(err.message, second))
        fail_msg("status %d, \"%s\" instead of %d with \"%s\" and \"%s\"", st,
                 err.message, want, first, second);
    assert_null(strchr(err.message, '\n'));
    assert_non_null(strstr(err.message, folder));
}

static void cut_file(const char *path, long size)
{
    assert_int_equal(truncate(path, size), 0);
}

static long file_size(const char *path)
{
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    return (long)s.st_size;
}

static void missing_and_cut_files(void **state)
{
    (void)state;
    rn_model *m;
    rn_error err = {0};
    assert_int_equal(rn_model_open(&m, exec, "/nowhere/at/all", &err), RN_ENOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    save_model();
    assert_int_equal(remove(weights_path), 0);
    check_damaged(RN_ENOTFOUND, "model.safetensors", "");
    save_model();
    assert_int_equal(remove(config_path), 0);
    check_damaged(RN_ENOTFOUND, "config.json", "");
    save_model();
    long size = file_size(weights_path);
    const long cuts[] = {0, 4, 8, 100, size / 2, size - 1};
    for (size_t i = 0; i < 6; i++) {
        save_model();
        cut_file(weights_path, cuts[i]);
        check_damaged(RN_EFORMAT, "model.safetensors", "");
    }
    for (long cut = 0; cut < 60; cut += 20) {
        save_model();
        cut_file(config_path, cut);
        check_damaged(RN_EFORMAT, "config.json", "");
    }
}

/* One key of config.json replaced (NULL: removed). */
static void edit_config(const char *key, json_t *value)
{
    save_model();
    json_t *o = json_load_file(config_path, 0, NULL);
    assert_non_null(o);
    if (value) json_object_set_new(o, key, value);
    else json_object_del(o, key);
    assert_int_equal(json_dump_file(o, config_path, 0), 0);
    json_decref(o);
}

static void contradicting_configs(void **state)
{
    (void)state;
    edit_config("vocab_size", json_integer(20));
    check_damaged(RN_EFORMAT, "embedding.weight", "vocab_size");
    edit_config("key_dim", json_integer(6));
    check_damaged(RN_EFORMAT, "layers.0.mixer.q.weight", "[12, 12]");
    edit_config("value_dim", json_integer(4));
    check_damaged(RN_EFORMAT, "layers.0.mixer.v.", "value_dim");
    edit_config("ffn_width", json_integer(15));
    check_damaged(RN_EFORMAT, "layers.0.ffn.", "ffn_width");
    edit_config("width", json_integer(13));
    check_damaged(RN_EFORMAT, "[19, 12]", "[19, 13]");
    edit_config("layers", json_integer(3));
    check_damaged(RN_EFORMAT, "layers.2.", "missing");
    edit_config("layers", json_integer(1));
    check_damaged(RN_EFORMAT, "layers.1.", "belongs to no part");
    edit_config("tied", json_true());
    check_damaged(RN_EFORMAT, "output.weight", "tied");
    edit_config("colour", json_string("red"));
    check_damaged(RN_EFORMAT, "colour", "config");
    edit_config("layers", json_string("two"));
    check_damaged(RN_EFORMAT, "layers", "config");
    edit_config("decays", json_pack("[f]", 0.5));
    check_damaged(RN_EFORMAT, "decays", "config");
    edit_config("norm_eps", json_real(-1));
    check_damaged(RN_EFORMAT, "norm_eps", "config");
    edit_config("layers", NULL);
    check_damaged(RN_EFORMAT, "layers", "missing");
    edit_config("layers", json_integer(300));
    check_damaged(RN_EFORMAT, "layers.2.", "missing");
    edit_config("vocab_size", json_integer(16000000));
    check_damaged(RN_EFORMAT, "embedding.weight", "16000000");
}

/* What a rewritten model.safetensors gets wrong. */
typedef struct edit {
    const char *drop;  /* left out */
    const char *extra; /* added, [2, 2] */
    const char *flat;  /* with one dimension instead of two */
    const char *ints;  /* stored as I32 */
    const char *bad;   /* holds `value` at element 3 */
    float value;
} edit;

static void edit_weights(const edit *e)
{
    enum { MOST = 100 };
    rn_tensor_view views[MOST];
    static float extra[4], copy[400];
    save_model();
    rn_model *m = open_model(folder);
    size_t count = 0;
    for (size_t i = 0; i < rn_model_tensor_count(m); i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        if (e->drop && strcmp(t.name, e->drop) == 0) continue;
        rn_tensor_view v = {.name = t.name, .dtype = RN_DTYPE_F32, .dims = t.dims};
        v.shape[0] = t.shape[0];
        v.shape[1] = t.shape[1];
        v.count = t.shape[0] * (t.dims == 2 ? t.shape[1] : 1);
        v.bytes = v.count * sizeof(float);
        v.data = t.data;
        if (e->flat && strcmp(t.name, e->flat) == 0) {
            v.dims = 1;
            v.shape[0] = v.count;
        }
        if (e->ints && strcmp(t.name, e->ints) == 0) v.dtype = RN_DTYPE_I32;
        if (e->bad && strcmp(t.name, e->bad) == 0) {
            assert_in_range(v.count, 4, 400);
            v.data = memcpy(copy, t.data, v.bytes);
            copy[3] = e->value;
        }
        views[count++] = v;
    }
    if (e->extra)
        views[count++] = (rn_tensor_view){.name = e->extra,
                                          .dtype = RN_DTYPE_F32,
                                          .dims = 2,
                                          .shape = {2, 2},
                                          .count = 4,
                                          .data = extra,
                                          .bytes = sizeof extra};
    assert_in_range(count, 1, MOST);
    rn_error err;
    if (rn_safetensors_write(weights_path, views, count, NULL, &err))
        fail_msg("%s", err.message);
    rn_model_free(m);
}

static void contradicting_weights(void **state)
{
    (void)state;
    edit_weights(&(edit){0});
    rn_model_free(open_model(folder));
    edit_weights(&(edit){.drop = "layers.1.mixer.o.weight"});
    check_damaged(RN_EFORMAT, "layers.1.mixer.o.weight", "missing");
    edit_weights(&(edit){.drop = "norm.bias"});
    check_damaged(RN_EFORMAT, "norm.bias", "missing");
    edit_weights(&(edit){.extra = "layers.0.mixer.r.weight"});
    check_damaged(RN_EFORMAT, "layers.0.mixer.r.weight", "belongs to no part");
    edit_weights(&(edit){.flat = "layers.0.mixer.q.weight"});
    check_damaged(RN_EFORMAT, "layers.0.mixer.q.weight", "[144]");
    edit_weights(&(edit){.bad = "layers.1.ffn.up.weight", .value = NAN});
    check_damaged(RN_EFORMAT, "layers.1.ffn.up.weight", "element 3 is nan");
    edit_weights(&(edit){.bad = "layers.0.mixer_norm.weight", .value = -INFINITY});
    check_damaged(RN_EFORMAT, "layers.0.mixer_norm.weight", "element 3 is -inf");
    edit_weights(&(edit){.ints = "layers.0.mixer_norm.weight"});
    check_damaged(RN_EUNSUPPORTED, "layers.0.mixer_norm.weight", "I32");
}

/* Any byte of the header or config changed gives a model or one clean refusal. */
static void flipped_bytes(void **state)
{
    (void)state;
    const char *const paths[] = {config_path, weights_path};
    for (size_t p = 0; p < 2; p++) {
        save_model();
        long size = file_size(paths[p]);
        for (long at = 0; at < size && at < 1500; at += 7) {
            FILE *file = fopen(paths[p], "r+b");
            assert_non_null(file);
            fseek(file, at, SEEK_SET);
            int byte = fgetc(file);
            for (int turn = 0; turn < 2; turn++) {
                fseek(file, at, SEEK_SET);
                fputc(turn == 0 ? byte ^ 0x15 : byte, file);
                fflush(file);
                if (turn == 1) break;
                rn_model *m = NULL;
                rn_error err = {0};
                if (rn_model_open(&m, exec, folder, &err)) {
                    assert_null(m);
                    assert_true(err.message[0] && !strchr(err.message, '\n'));
                }
                rn_model_free(m);
            }
            fclose(file);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_is_opened_bit_for_bit),
        cmocka_unit_test(saving_over_a_checkpoint),
        cmocka_unit_test(saving_where_nothing_can_be_written),
        cmocka_unit_test(saving_on_a_full_disk),
        cmocka_unit_test(a_new_model),
        cmocka_unit_test(descriptions_have_no_weights),
        cmocka_unit_test(bad_sources),
        cmocka_unit_test(settings_take_json_lists),
        cmocka_unit_test(unknown_keys_are_told),
        cmocka_unit_test(config_text_makes_the_model),
        cmocka_unit_test(missing_and_cut_files),
        cmocka_unit_test(contradicting_configs),
        cmocka_unit_test(contradicting_weights),
        cmocka_unit_test(flipped_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

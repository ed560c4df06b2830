/* Sessions as files: a loaded one continues with the bits of the one that was saved, from
   any place and in every weight type; whatever contradicts the model or itself is
   refused; a save that fails leaves what was there. */
#define _XOPEN_SOURCE 700
#include "retnet/train.h"

#include "core/digest.h"
#include "generate/session.h"
#include "scratch.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

enum { VOCAB = 61, TEXT = 700, HEADER = 96 };

#define HASH 0xcd697d87362388a3u

/* Rows of 256 numbers, which the blocks of all types divide. */
static const char CONFIG[] =
    "{\"vocab_size\": 61, \"width\": 256, \"layers\": 2, \"heads\": 4, \"kv_heads\": 2,"
    " \"key_dim\": 16, \"value_dim\": 64, \"ffn_width\": 256}";

static rn_exec *exec;
static int32_t text[TEXT];

static rn_model *make_model(rn_exec *x, const char *setting, uint64_t seed, int type)
{
    rn_model *m;
    rn_model_source source = {
        .config_json = CONFIG, .settings = &setting, .settings_count = setting != NULL};
    WORKS(rn_model_create_as(&m, x, &source, seed, (rn_weight_type)type, err));
    return m;
}

static int set_up(void **state)
{
    if (scratch_open(state) || rn_exec_open(&exec, NULL, NULL)) return -1;
    for (uint32_t i = 0; i < TEXT; i++) text[i] = (int32_t)((i * i + i / 7) % VOCAB);
    return 0;
}

static int tear_down(void **state)
{
    rn_exec_close(exec);
    return scratch_close(state);
}

/* A session at a place: feeds and steps in turn, then feeds that stay pending. */
typedef struct place {
    size_t feed, steps, pending;
} place;

static const place places[] = {{0, 0, 0},   {100, 0, 0}, {256, 0, 0},   {300, 0, 0},
                               {40, 1, 0},  {40, 15, 0}, {40, 16, 0},   {300, 21, 0},
                               {40, 5, 33}, {0, 3, 0},   {500, 7, 100}, {0, 0, 255}};
enum { PLACES = sizeof places / sizeof places[0] };

static rn_session *session_at(rn_model *m, const place *p)
{
    rn_session *s;
    WORKS(rn_session_create(&s, m, err));
    WORKS(rn_session_feed(s, text, p->feed, err));
    for (size_t i = 0; i < p->steps; i++) WORKS(rn_session_step(s, text[i * 3], err));
    WORKS(rn_session_feed(s, text, p->pending, err));
    return s;
}

/* Draws with a penalty on recent tokens, logits, steps and reading are the same. */
static void check_same(rn_session *a, rn_session *b)
{
    const rn_sampling how = {.temperature = 1, .repeat_penalty = 1.5f, .seed = 3};
    assert_int_equal(rn_session_position(a), rn_session_position(b));
    if (rn_session_position(a) == 0) WORKS(rn_session_feed(a, text, 1, err));
    if (rn_session_position(b) == 0) WORKS(rn_session_feed(b, text, 1, err));
    for (size_t i = 0; i < 20; i++) {
        int32_t x = -1, y = -2;
        WORKS(rn_session_sample(a, &how, &x, err));
        WORKS(rn_session_sample(b, &how, &y, err));
        assert_int_equal(x, y);
        assert_memory_equal(rn_session_logits(a), rn_session_logits(b),
                            VOCAB * sizeof(float));
        WORKS(rn_session_step(a, x, err));
        WORKS(rn_session_step(b, x, err));
    }
    WORKS(rn_session_feed(a, text, 270, err));
    WORKS(rn_session_feed(b, text, 270, err));
    assert_memory_equal(rn_session_logits(a), rn_session_logits(b),
                        VOCAB * sizeof(float));
}

/* Saved, loaded, saved again: the file is the same, and both sessions go on alike. */
static void check_place(rn_model *m, const place *p)
{
    rn_session *a = session_at(m, p), *b = NULL;
    size_t first, second;
    WORKS(rn_session_save(a, in_scratch("a"), err));
    WORKS(rn_session_load(&b, m, in_scratch("a"), err));
    WORKS(rn_session_save(b, in_scratch("b"), err));
    char *one = get_bytes(in_scratch("a"), &first);
    char *two = get_bytes(in_scratch("b"), &second);
    assert_int_equal(first, second);
    assert_memory_equal(one, two, first);
    check_same(a, b);
    free(one);
    free(two);
    rn_session_free(a);
    rn_session_free(b);
}

static void continues_from_any_place(void **state)
{
    (void)state;
    static const char *const settings[] = {NULL, "row_norm=paper", "row_norm=none",
                                           "rotary=none", "output_gate=false"};
    for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++) {
        rn_model *m = make_model(exec, settings[k], 11, RN_WEIGHT_F32);
        for (size_t i = k ? 6 : 0; i < (k ? 9 : PLACES); i++) check_place(m, &places[i]);
        rn_model_free(m);
    }
}

static void continues_in_every_weight_type(void **state)
{
    (void)state;
    for (int type = 0; type < RN_WEIGHT_TYPES; type++) {
        rn_model *m = make_model(exec, NULL, 11, type);
        check_place(m, &places[7]);
        check_place(m, &places[8]);
        rn_model_free(m);
    }
}

/* What was there before a reset is in no file. */
static void reset_leaves_nothing(void **state)
{
    (void)state;
    rn_model *m = make_model(exec, NULL, 11, RN_WEIGHT_F32);
    rn_session *fresh = session_at(m, &places[0]), *used = session_at(m, &places[7]);
    size_t first, second;
    rn_session_reset(used);
    WORKS(rn_session_save(fresh, in_scratch("a"), err));
    WORKS(rn_session_save(used, in_scratch("b"), err));
    char *one = get_bytes(in_scratch("a"), &first);
    char *two = get_bytes(in_scratch("b"), &second);
    assert_int_equal(first, second);
    assert_memory_equal(one, two, first);
    free(one);
    free(two);
    rn_session_free(fresh);
    rn_session_free(used);
    rn_model_free(m);
}

/* The hash asks for the model alone, not for what computes with it. */
static void kernels_and_threads_do_not_matter(void **state)
{
    (void)state;
    for (int type = 0; type < RN_WEIGHT_TYPES; type++) {
        rn_exec *plain;
        rn_session *a, *b;
        rn_exec_options options = {.cpu = "ref", .threads = 1};
        WORKS(rn_exec_open(&plain, &options, err));
        rn_model *m = make_model(exec, NULL, 11, type);
        rn_model *same = make_model(plain, NULL, 11, type);
        a = session_at(m, &places[7]);
        WORKS(rn_session_save(a, in_scratch("a"), err));
        WORKS(rn_session_load(&b, same, in_scratch("a"), err));
        assert_int_equal(rn_session_position(a), rn_session_position(b));
        assert_memory_equal(rn_session_logits(a), rn_session_logits(b),
                            VOCAB * sizeof(float));
        rn_session_free(a);
        rn_session_free(b);
        rn_model_free(m);
        rn_model_free(same);
        rn_exec_close(plain);
    }
}

static uint64_t word_of(const char *file, size_t at)
{
    uint64_t word;
    memcpy(&word, file + at, sizeof word);
    return word;
}

/* Files of today must be good tomorrow: a hash of numbers that are written down here. */
static void hash_is_the_same_for_ever(void **state)
{
    (void)state;
    rn_model *m = make_model(exec, NULL, 11, RN_WEIGHT_F32);
    for (size_t i = 0; i < rn_model_tensor_count(m); i++) {
        rn_model_tensor t = rn_model_tensor_at(m, i);
        const size_t n = t.shape[0] * (t.dims == 2 ? t.shape[1] : 1);
        for (size_t j = 0; j < n; j++) t.data[j] = (float)((i + j) % 13) / 8.0f - 0.75f;
    }
    rn_session *s = session_at(m, &places[0]);
    size_t size;
    WORKS(rn_session_save(s, in_scratch("a"), err));
    char *file = get_bytes(in_scratch("a"), &size);
    assert_memory_equal(file, "rnstate\n\1\0\0\0", 12);
    if (word_of(file, 16) != HASH)
        fail_msg("hash %016llx", (unsigned long long)word_of(file, 16));
    assert_int_equal(size, HEADER + 256 + 4 * (VOCAB + 2 * 4 * 16 * 64) + 8);
    free(file);
    rn_session_free(s);
    rn_model_free(m);
}

static void other_models_are_refused(void **state)
{
    (void)state;
    rn_model *m = make_model(exec, NULL, 11, RN_WEIGHT_F32);
    rn_model *others[] = {make_model(exec, NULL, 12, RN_WEIGHT_F32),
                          make_model(exec, NULL, 11, RN_WEIGHT_BF16),
                          make_model(exec, NULL, 11, RN_WEIGHT_Q8_0),
                          make_model(exec, "norm_eps=1e-4", 11, RN_WEIGHT_F32),
                          make_model(exec, "layers=3", 11, RN_WEIGHT_F32)};
    rn_model *dropout = make_model(exec, "dropout=0.1", 11, RN_WEIGHT_F32);
    rn_session *s = session_at(m, &places[8]), *none = NULL;
    WORKS(rn_session_save(s, in_scratch("a"), err));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        FAILS(rn_session_load(&none, others[i], in_scratch("a"), err), RN_EINVAL,
              "another model: hash ");
        assert_null(none);
        rn_model_free(others[i]);
    }
    WORKS(rn_session_load(&none, dropout, in_scratch("a"), err));
    rn_session_free(none);
    rn_session_free(s);
    rn_model_free(dropout);
    rn_model_free(m);
}

/* A step of training makes another model of it. */
static void training_changes_the_hash(void **state)
{
    (void)state;
    rn_model *m = make_model(exec, NULL, 11, RN_WEIGHT_F32);
    rn_session *s = session_at(m, &places[1]), *none = NULL;
    rn_trainer *t;
    rn_step_result result;
    rn_train_options options = rn_train_defaults();
    options.batch = 1;
    options.seq = 16;
    WORKS(rn_session_save(s, in_scratch("a"), err));
    WORKS(rn_trainer_create(&t, m, &options, err));
    WORKS(rn_trainer_step(t, text, &result, err));
    FAILS(rn_session_load(&none, m, in_scratch("a"), err), RN_EINVAL, "another model");
    rn_trainer_free(t);
    rn_session_free(s);
    rn_model_free(m);
}

/* ---- Files with one thing wrong ---- */

typedef struct bent {
    rn_model *m;
    char *file;
    size_t size;
} bent;

static bent bent_open(void)
{
    bent b = {.m = make_model(exec, NULL, 11, RN_WEIGHT_F32)};
    rn_session *s = session_at(b.m, &places[8]);
    WORKS(rn_session_save(s, in_scratch("good"), err));
    rn_session_free(s);
    b.file = get_bytes(in_scratch("good"), &b.size);
    return b;
}

static void bent_close(bent *b)
{
    free(b->file);
    rn_model_free(b->m);
}

/* The file with `count` bytes at `at` replaced, its checksums made right again when
   `signed_again`, is refused with these words. */
static void refuse(const bent *b, size_t at, const void *bytes, size_t count,
                   bool signed_again, rn_status status, const char *words)
{
    char *file = malloc(b->size);
    rn_session *none = NULL;
    assert_non_null(file);
    memcpy(file, b->file, b->size);
    memcpy(file + at, bytes, count);
    if (signed_again) {
        uint64_t sum = rn_digest(file, HEADER - 8);
        memcpy(file + HEADER - 8, &sum, sizeof sum);
        sum = rn_digest(file, b->size - 8);
        memcpy(file + b->size - 8, &sum, sizeof sum);
    }
    put_bytes("bent", file, b->size);
    FAILS(rn_session_load(&none, b->m, in_scratch("bent"), err), status, words);
    assert_null(none);
    free(file);
}

static void refuse_u32(const bent *b, size_t at, uint32_t value, const char *words)
{
    refuse(b, at, &value, sizeof value, true, RN_EFORMAT, words);
}

static void headers_are_checked(void **state)
{
    (void)state;
    bent b = bent_open();
    const uint64_t far = ((uint64_t)1 << 53) + 64, near = 37, edge = 256 + 32;
    refuse(&b, 0, "rnstata", 7, true, RN_EFORMAT, "not a session file");
    refuse(&b, 8, "\2", 1, true, RN_EUNSUPPORTED, "version 2, known is 1");
    refuse(&b, 16, "\0\0\0\0\0\0\0\1", 8, true, RN_EINVAL, "hash 0100000000000000");
    refuse_u32(&b, 12, RN_WEIGHT_BF16, "weight type");
    static const char *const dims[] = {
        "layers is 9",  "heads is 9",     "kv_heads is 9",   "width is 9",
        "key_dim is 9", "value_dim is 9", "vocab_size is 9", "row normaliser is 9"};
    for (size_t i = 0; i < 8; i++) refuse_u32(&b, 24 + 4 * i, 9, dims[i]);
    refuse_u32(&b, 56, 9, "a state of 9 numbers");
    refuse(&b, 64, &far, 8, true, RN_EFORMAT, "above 2^53");
    refuse(&b, 64, &near, 8, true, RN_EFORMAT, "position 37 with 33 ids");
    refuse(&b, 64, &edge, 8, true, RN_EFORMAT, "33 ids are pending");
    refuse_u32(&b, 72, 16, "16 tokens beside the state");
    refuse_u32(&b, 76, 256, "256 ids are pending");
    refuse_u32(&b, 76, UINT32_MAX, "ids are pending");
    refuse_u32(&b, 72, 6, "truncated");
    refuse_u32(&b, 72, 4, "too long");
    refuse_u32(&b, 76, 34, "truncated");
    bent_close(&b);
}

static void contents_are_checked(void **state)
{
    (void)state;
    bent b = bent_open();
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const size_t recent = HEADER, pending = recent + 256, logits = pending + 4 * 33;
    const size_t st = logits + 4 * VOCAB, tail = st + 4 * 2 * 4 * 16 * 64;
    refuse_u32(&b, recent + 4, VOCAB, "recent id 1 is 61");
    refuse_u32(&b, pending, UINT32_MAX, "pending id 0 is -1");
    refuse_u32(&b, pending, 60, "pending id 0 is 60, which the recent id");
    for (size_t i = 0; i < 3; i++) {
        refuse(&b, logits + 8, &bad[i], 4, true, RN_EFORMAT, "number 2 of the logits");
        refuse(&b, tail - 4, &bad[i], 4, true, RN_EFORMAT, "of the state");
        refuse(&b, tail, &bad[i], 4, true, RN_EFORMAT, "number 0 of the keys");
        refuse(&b, b.size - 12, &bad[i], 4, true, RN_EFORMAT, "number 1599 of the keys");
    }
    for (size_t at = 0; at < b.size; at += at < HEADER ? 1 : 997) {
        char flipped = (char)(b.file[at] ^ 4);
        rn_status status = at >= 8 && at < 12 ? RN_EUNSUPPORTED : RN_EFORMAT;
        refuse(&b, at, &flipped, 1, false, status, "bent");
    }
    bent_close(&b);
}

/* A state at a position where nothing was read. */
static void state_needs_a_position(void **state)
{
    (void)state;
    bent b = bent_open();
    const uint64_t position = 33;
    const size_t whole = b.size;
    memcpy(b.file + 64, &position, sizeof position);
    memset(b.file + 72, 0, 4);
    b.size -= 4 * 5 * 2 * 2 * (16 + 64);
    refuse_u32(&b, 76, 33, "state that is not empty");
    b.size = whole;
    bent_close(&b);
}

static void lengths_are_checked(void **state)
{
    (void)state;
    bent b = bent_open();
    rn_session *none = NULL;
    char *longer = calloc(1, b.size + 1);
    assert_non_null(longer);
    memcpy(longer, b.file, b.size);
    put_bytes("bent", longer, b.size + 1);
    FAILS(rn_session_load(&none, b.m, in_scratch("bent"), err), RN_EFORMAT, "too long");
    for (size_t size = 0; size < b.size; size += size < 100 ? 1 : 1001) {
        put_bytes("bent", longer, size);
        FAILS(rn_session_load(&none, b.m, in_scratch("bent"), err), RN_EFORMAT,
              size < 8 ? "not a session file" : "truncated");
    }
    FAILS(rn_session_load(&none, b.m, in_scratch("nowhere"), err), RN_ENOTFOUND,
          "nowhere");
    FAILS(rn_session_load(&none, b.m, scratch, err), RN_EINVAL, "folder");
    free(longer);
    bent_close(&b);
}

/* ---- Saving where it cannot be ---- */

static void failed_saves_leave_the_old_file(void **state)
{
    (void)state;
    bent b = bent_open();
    rn_session *s = session_at(b.m, &places[1]), *again;
    struct rlimit was, small;
    const size_t files = entries(scratch);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 20000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    FAILS(rn_session_save(s, in_scratch("good"), err), RN_EIO, "good");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    FAILS(rn_session_save(s, in_scratch("no/such"), err), RN_ENOTFOUND, "no/such");
    FAILS(rn_session_save(s, scratch, err), RN_EINVAL, "not a file");
    assert_int_equal(entries(scratch), files);

    size_t size;
    char *file = get_bytes(in_scratch("good"), &size);
    assert_int_equal(size, b.size);
    assert_memory_equal(file, b.file, size);
    WORKS(rn_session_load(&again, b.m, in_scratch("good"), err));
    rn_session_free(again);
    free(file);
    rn_session_free(s);
    bent_close(&b);
}

/* A session that no file may hold is not saved. */
static void numbers_are_checked_before_saving(void **state)
{
    (void)state;
    rn_model *m = make_model(exec, NULL, 11, RN_WEIGHT_F32);
    rn_session *s = session_at(m, &places[1]);
    float *number = &s->sequence.state[70], before = *number;
    put_text("nan", "old");
    *number = INFINITY;
    FAILS(rn_session_save(s, in_scratch("nan"), err), RN_EINVAL,
          "nan: number 70 of the state is infinite");
    *number = before;
    size_t size;
    char *file = get_bytes(in_scratch("nan"), &size);
    assert_string_equal(file, "old");
    free(file);
    assert_int_equal(unlink(in_scratch("nan")), 0);
    rn_model_tensor_at(m, 0).data[0] = NAN;
    WORKS(rn_session_feed(s, (const int32_t[]){0, 1}, 2, err));
    assert_non_null(rn_session_logits(s));
    FAILS(rn_session_save(s, in_scratch("nan"), err), RN_EINVAL, "NaN");
    assert_int_equal(access(in_scratch("nan"), F_OK), -1);
    rn_session_free(s);
    rn_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continues_from_any_place),
        cmocka_unit_test(continues_in_every_weight_type),
        cmocka_unit_test(reset_leaves_nothing),
        cmocka_unit_test(kernels_and_threads_do_not_matter),
        cmocka_unit_test(hash_is_the_same_for_ever),
        cmocka_unit_test(other_models_are_refused),
        cmocka_unit_test(training_changes_the_hash),
        cmocka_unit_test(headers_are_checked),
        cmocka_unit_test(contents_are_checked),
        cmocka_unit_test(state_needs_a_position),
        cmocka_unit_test(lengths_are_checked),
        cmocka_unit_test(failed_saves_leave_the_old_file),
        cmocka_unit_test(numbers_are_checked_before_saving),
    };
    return cmocka_run_group_tests_name("state_file", tests, set_up, tear_down);
}

/* What the training tests share: a tiny model, token files of a text with some structure,
   and a folder of their own. Functions that fail end the test. */
#ifndef TEST_TRAIN_FIXTURE_H
#define TEST_TRAIN_FIXTURE_H

#include "core/file.h"
#include "core/rng.h"
#include "train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VOCAB 24

#define OK(call)                                                                         \
    do {                                                                                 \
        rn_error err_ = {RN_OK, ""};                                                     \
        if ((call) != RN_OK) fail_msg("%s: %s", #call, err_.message);                    \
    } while (0)

static inline rn_exec *open_exec(int threads)
{
    rn_exec *x = NULL;
    OK(rn_exec_open(&x, &(rn_exec_options){.threads = threads}, &err_));
    return x;
}

static inline rn_model *tiny_model(rn_exec *x, uint64_t seed, double dropout)
{
    char config[400];
    snprintf(config, sizeof config,
             "{\"vocab_size\": %d, \"width\": 16, \"layers\": 2, \"heads\": 2, "
             "\"key_dim\": 8, "
             "\"value_dim\": 12, \"ffn_width\": 20, \"dropout\": %g}",
             VOCAB, dropout);
    rn_model *m = NULL;
    OK(rn_model_create(&m, x, &(rn_model_source){.config_json = config}, seed, &err_));
    return m;
}

static inline rn_train_options tiny_options(void)
{
    rn_train_options o = rn_train_defaults();
    o.steps = 12;
    o.batch = 3;
    o.seq = 10;
    o.accum = 2;
    o.lr = 3e-3;
    o.min_lr = 3e-4;
    o.warmup = 4;
    o.chunk = 4;
    return o;
}

static inline char *new_folder(void)
{
    const char *base = getenv("TMPDIR");
    char name[512];
    snprintf(name, sizeof name, "%s/retnet-train-XXXXXX", base ? base : "/tmp");
    char *folder = mkdtemp(name);
    assert_non_null(folder);
    return strdup(folder);
}

/* printf into a static command line, run by the shell, which has to succeed. */
__attribute__((format(printf, 1, 2))) static inline void shell(const char *format, ...)
{
    char command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0) fail_msg("failed: %s", command);
}

static inline char *path_in(const char *folder, const char *name)
{
    char *path = rn_path_join(folder, name);
    assert_non_null(path);
    return path;
}

/* Opens FOLDER/NAME.bin with `count` u16 ids: mostly the successor of the id before. */
static inline rn_tokens *make_tokens(const char *folder, const char *name, size_t count,
                                     uint64_t seed)
{
    char file[64];
    snprintf(file, sizeof file, "%s.bin", name);
    char *path = path_in(folder, file);
    uint16_t *ids = calloc(count, sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 1; i < count; i++) {
        uint32_t w[4];
        rn_philox(w, seed, RN_STREAM_TEST, i, 0);
        ids[i] = (uint16_t)((w[0] % 4 ? (unsigned)ids[i - 1] * 5 + 7 : w[1]) % VOCAB);
    }
    OK(rn_write_file(path, ids, count * sizeof *ids, &err_));
    rn_tokens *tokens = NULL;
    OK(rn_tokens_open(&tokens, path, &err_));
    free(ids);
    free(path);
    return tokens;
}

#endif

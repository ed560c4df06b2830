/*
 * Fuzzes session files against a tiny model: the bytes as they are, and once more with
 * the model's hash and the checksums made right, so that what lies behind them is
 * reached. A session that loads must be able to go on.
 */
#include "fuzz.h"

#include "core/digest.h"
#include "retnet/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 96, CHECKSUM = 8, VOCAB = 11 };

static const char config[] =
    "{\"vocab_size\": 11, \"width\": 8, \"layers\": 1, \"heads\": 2, \"kv_heads\": 1,"
    " \"key_dim\": 4, \"value_dim\": 4, \"ffn_width\": 8}";

static rn_model *open_model(void)
{
    rn_exec *x = NULL;
    rn_model *m = NULL;
    const rn_model_source source = {.config_json = config};
    if (rn_exec_open(&x, &(rn_exec_options){.threads = 1, .cpu = "ref"}, NULL)) abort();
    if (rn_model_create(&m, x, &source, 1, NULL)) abort();
    return m;
}

static void go_on(rn_session *s)
{
    const rn_sampling how = {.temperature = 1, .repeat_penalty = 2};
    int32_t id;
    for (int i = 0; i < 2; i++) {
        rn_session_logits(s);
        if (rn_session_sample(s, &how, &id, NULL)) id = VOCAB - 1;
        if (rn_session_step(s, id, NULL)) abort();
    }
}

static void load(rn_model *m, const uint8_t *data, size_t size)
{
    rn_session *s = NULL;
    rn_error err;
    const char *path = fuzz_file("state", data, size);
    if (!rn_session_load(&s, m, path, &err)) go_on(s);
    rn_session_free(s);
}

/* The hash in the file of an empty session. */
static void own_hash(rn_model *m, uint8_t hash[8])
{
    const char *path = fuzz_file("own", hash, 0);
    rn_session *s = NULL;
    if (rn_session_create(&s, m, NULL) || rn_session_save(s, path, NULL)) abort();
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 16, SEEK_SET) || fread(hash, 1, 8, file) != 8) abort();
    fclose(file);
    rn_session_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rn_model *model;
    static uint8_t hash[8];
    if (!model) own_hash(model = open_model(), hash);
    load(model, data, size);
    if (size < HEADER + CHECKSUM) return 0;

    uint8_t *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data, size);
    memcpy(copy + 16, hash, sizeof hash);
    uint64_t sum = rn_digest(copy, HEADER - 8);
    memcpy(copy + HEADER - 8, &sum, sizeof sum);
    sum = rn_digest(copy, size - CHECKSUM);
    memcpy(copy + size - CHECKSUM, &sum, sizeof sum);
    load(model, copy, size);
    free(copy);
    return 0;
}

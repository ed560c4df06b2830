/* What the tests of tokenizers share: golden files, packed with zstd, and texts of all
   kinds. Include after scratch.h. */
#ifndef TEST_TOKENIZER_FIXTURE_H
#define TEST_TOKENIZER_FIXTURE_H

#include "core/rng.h"
#include "retnet/tokenizer.h"

#include <jansson.h>
#include <zstd.h>

static const char *const golden_folders[] = {
    "gpt2", "neox", "llama", "mistral-metaspace", "llama3", "extra-flags", "extra-unk"};
#define GOLDEN_FOLDERS (sizeof golden_folders / sizeof *golden_folders)

/* The contents of golden/tokenizers/FOLDER/NAME.zst, ended by a 0; NULL where it is not
   there. */
static inline char *golden_bytes(const char *folder, const char *name, size_t *size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tokenizers/%s/%s.zst", RN_GOLDEN, folder, name);
    if (access(path, R_OK) != 0) return NULL;
    size_t packed = 0;
    char *bytes = get_bytes(path, &packed);
    unsigned long long full = ZSTD_getFrameContentSize(bytes, packed);
    assert_true(full < 1u << 24);
    char *out = malloc((size_t)full + 1);
    assert_non_null(out);
    *size = ZSTD_decompress(out, (size_t)full, bytes, packed);
    assert_int_equal(*size, full);
    out[*size] = '\0';
    free(bytes);
    return out;
}

static inline rn_tokenizer *golden_tokenizer(const char *folder)
{
    size_t size = 0;
    char name[64];
    char *bytes = golden_bytes(folder, "tokenizer.json", &size);
    assert_non_null(bytes);
    snprintf(name, sizeof name, "%s.json", folder);
    const char *path = put_bytes(name, bytes, size);
    rn_tokenizer *t;
    WORKS(rn_tokenizer_open(&t, path, err));
    free(bytes);
    return t;
}

/* Calls `check` with each line of a golden .jsonl file; returns their count. */
static inline size_t golden_lines(const char *folder, const char *name,
                                  void (*check)(const json_t *line, void *user),
                                  void *user)
{
    size_t size = 0, count = 0;
    char *bytes = golden_bytes(folder, name, &size);
    for (char *at = bytes, *end; bytes && *at; at = end + 1) {
        end = strchr(at, '\n');
        assert_non_null(end);
        json_t *line = json_loadb(at, (size_t)(end - at), JSON_ALLOW_NUL, NULL);
        assert_non_null(line);
        check(line, user);
        json_decref(line);
        count++;
    }
    free(bytes);
    return count;
}

static inline size_t random_below(uint64_t seed, uint64_t i, size_t n)
{
    uint32_t r[4];
    rn_philox(r, seed, RN_STREAM_TEST, i, 0);
    return r[0] % n;
}

/* A text of `length` bytes or a little less from words, scripts, marks, blanks, special
   tokens and, if `broken`, bytes that are no UTF-8. */
static inline size_t random_text(char *out, size_t length, uint64_t seed, bool broken)
{
    static const char *const parts[] = {"the",
                                        " of",
                                        " house",
                                        "'ll",
                                        "'S",
                                        "  ",
                                        " ",
                                        "\n",
                                        "\r\n",
                                        "\t",
                                        "12345",
                                        "a",
                                        "b",
                                        "Z",
                                        "\xC3\xA9",
                                        "e\xCC\x81",
                                        "\xE6\x97\xA5\xE6\x9C\xAC",
                                        "\xF0\x9F\x98\x80",
                                        "\xD0\x96",
                                        "\xEA\xB0\x80",
                                        "\xE1\x84\x80\xE1\x85\xA1",
                                        "\xE2\x96\x81",
                                        "<s>",
                                        "</s>",
                                        "<|endoftext|>",
                                        "<0x41>",
                                        "!?",
                                        "...",
                                        "\xC2\xA0",
                                        "\xE3\x80\x80",
                                        "\xC2\xBD",
                                        "_",
                                        "\x01",
                                        "\xEF\xBF\xBD",
                                        "        ",
                                        "\xFF",
                                        "\xC3",
                                        "\xE2\x82",
                                        "\xED\xA0\x80",
                                        "\xF4\x90\x80\x80",
                                        "\x80"};
    const size_t all = sizeof parts / sizeof *parts;
    size_t used = 0;
    for (uint64_t i = 0;; i++) {
        const char *part = parts[random_below(seed, i, broken ? all : all - 6)];
        if (used + strlen(part) > length) return used;
        memcpy(out + used, part, strlen(part));
        used += strlen(part);
    }
}

#endif

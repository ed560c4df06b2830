/* What the end-to-end tests of the program share: a text, a tiny shape and a model
   trained on it, all in the test's own folder. */
#ifndef TEST_PROGRAM_FIXTURE_H
#define TEST_PROGRAM_FIXTURE_H

#include "child.h"

/* A shape whose steps take a millisecond. */
#define TINY                                                                             \
    "--set", "width=16", "--set", "layers=2", "--set", "heads=2", "--set",               \
        "ffn_width=24", "--threads", "1"

/* Sixteen rows of ten tokens, often enough to beat the untrained model. */
#define TINY_STEPS                                                                       \
    "--batch", "4", "--seq", "32", "--warmup", "2", "--lr", "1e-2", "--schedule",        \
        "constant"

#define TRAIN(out, ...)                                                                  \
    RUN("train", "--data", in_scratch("text"), "--out", out, TINY, TINY_STEPS, "--json", \
        "--quiet", __VA_ARGS__)

/* Prose of six words in a fixed order of its own, 12,000 bytes. */
static inline void write_text(void)
{
    static const char *const words[] = {"the ", "king ",   "of ",
                                        "a ",   "small\n", "land. "};
    char text[12001] = "";
    size_t length = 0;
    for (unsigned i = 0; length < 11990; i = i * 5 + 3) {
        const char *word = words[i / 7 % 6];
        memcpy(text + length, word, strlen(word));
        length += strlen(word);
    }
    put_bytes("text", text, 12000);
}

/* The group's setup: the folder, the text, and a model in "model". */
static inline int program_open(void **state)
{
    if (scratch_open(state)) return -1;
    write_text();
    child c = TRAIN(in_scratch("model"), "--steps", "20");
    int code = c.code;
    if (code) fprintf(stderr, "%s\n", c.err);
    child_free(&c);
    return code;
}

#endif

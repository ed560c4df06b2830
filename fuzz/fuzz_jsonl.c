/* Lines of JSON from whatever bytes, plain or as zstd frames: every document is text of
   the length that it says, and reading ends. */
#include "fuzz.h"

#include "formats/jsonl.h"

#include <stdlib.h>

static void read_records(const char *path)
{
    rn_error err;
    rn_jsonl *j;
    const char *text = "";
    size_t length, total = 0;
    if (rn_jsonl_open(&j, path, &err)) return;
    while (!rn_jsonl_next(j, &text, &length, &err) && text && total < (1u << 24)) {
        if (text[length]) abort();
        total += length + 1;
    }
    rn_jsonl_close(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_records(fuzz_file("a.jsonl", data, size));
    read_records(fuzz_file("a.jsonl.zst", data, size));
    return 0;
}

/* What the fuzz targets share. A target hands the bytes to one parser and expects no more
   than that it comes back: with success, or with an error and nothing left behind. */
#ifndef RN_FUZZ_H
#define RN_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder in memory where there is one, made on first use and removed at exit. */
const char *fuzz_folder(void);

/* The bytes as a file of that folder; its path is static until the next call. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);

#endif

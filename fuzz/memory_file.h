/* Input bytes as files in a folder of memory, for parsers that take a path. */
#ifndef FUZZ_MEMORY_FILE_H
#define FUZZ_MEMORY_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The process's folder, made on the first call and left to the system. */
static inline const char *memory_folder(void)
{
    static char folder[] = "/dev/shm/retnet-fuzz-XXXXXX";
    static int made;
    if (!made && !mkdtemp(folder)) abort();
    made = 1;
    return folder;
}

/* The path of a file there with these bytes; static until the next call. */
static inline const char *memory_file(const char *name, const uint8_t *data, size_t size)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", memory_folder(), name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
    return path;
}

#endif

/* In place of libFuzzer: goes once through the files of the folders and the files that it
   is given, so that every build, under every sanitizer, meets the corpus. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    static uint8_t bytes[1 << 20];
    const size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    uint8_t *exact = malloc(size ? size : 1); /* so that reading past the end is seen */
    if (!exact) return 0;
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    for (const struct dirent *e; folder && (e = readdir(folder));) {
        char file[4096];
        if (e->d_name[0] == '.') continue;
        if (snprintf(file, sizeof file, "%s/%s", path, e->d_name) < (int)sizeof file)
            count += replay_file(file);
    }
    if (folder) closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat s;
        const bool folder = stat(argv[i], &s) == 0 && S_ISDIR(s.st_mode);
        count += folder ? replay_folder(argv[i]) : replay_file(argv[i]);
    }
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}

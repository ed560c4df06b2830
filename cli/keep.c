/* Keeping the models of the last checkpoints; see keep.h. */
#define _POSIX_C_SOURCE 200809L
#include "keep.h"

#include "commands.h"
#include "output.h"
#include "tokens.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_step(const char *name)
{
    return !strncmp(name, "step-", 5) && strlen(name) >= 13 &&
           strspn(name + 5, "0123456789") == strlen(name + 5);
}

/* Names of more digits belong to later steps. */
static bool before(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    return n != m ? n < m : strcmp(a, b) < 0;
}

/* Counts the kept models; the oldest one's name goes to `oldest`. */
static int find_oldest(const char *folder, char oldest[64], size_t *count, rn_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir) return cli_fail(err, "%s: %s", folder, strerror(errno));
    const struct dirent *entry;
    *count = 0;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (!is_step(name) || strlen(name) > 40) continue;
        if (!*count || before(name, oldest)) snprintf(oldest, 64, "%.40s", name);
        ++*count;
    }
    closedir(dir);
    return CLI_DONE;
}

static int remove_model(const char *folder, const char *name, rn_error *err)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    char *path = cli_join(folder, name);
    int code = CLI_DONE;
    if (!path) return cli_fail(err, "out of memory for a path");
    for (size_t i = 0; i < 2 && !code; i++) {
        char *file = cli_join(path, files[i]);
        if (!file) code = cli_fail(err, "out of memory for a path");
        else if (unlink(file) && errno != ENOENT)
            code = cli_fail(err, "%s: %s", file, strerror(errno));
        free(file);
    }
    if (!code && rmdir(path)) code = cli_fail(err, "%s: %s", path, strerror(errno));
    free(path);
    return code;
}

static int remove_old(const char *folder, size_t keep, rn_error *err)
{
    char oldest[64];
    size_t count;
    int code = find_oldest(folder, oldest, &count, err);
    while (!code && count > keep) {
        code = remove_model(folder, oldest, err);
        if (!code) code = find_oldest(folder, oldest, &count, err);
    }
    return code;
}

int cli_keep_model(const rn_model *model, const char *out, uint64_t step, size_t count,
                   rn_error *err)
{
    char name[40], *folder = NULL;
    snprintf(name, sizeof name, "step-%08" PRIu64, step);
    int code = cli_make_folder(out, "keep", &folder, err);
    if (code) return code;
    char *path = cli_join(folder, name);
    if (!path) code = cli_fail(err, "out of memory for a path");
    else code = cli_code(rn_model_save(model, path, err));
    if (!code) code = remove_old(folder, count, err);
    free(path);
    free(folder);
    return code;
}

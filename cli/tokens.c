/* Token files from paths; see tokens.h. */
#define _POSIX_C_SOURCE 200809L
#include "tokens.h"

#include "commands.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool cli_is_token_file(const char *path)
{
    struct stat status;
    size_t length = strlen(path);
    if (length < 4 || strcmp(path + length - 4, ".bin")) return false;
    return stat(path, &status) || S_ISREG(status.st_mode);
}

char *cli_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *out = malloc(size);
    if (out) snprintf(out, size, "%s/%s", dir, name);
    return out;
}

int cli_check_input(const char *path, rn_error *err)
{
    if (!path || !access(path, R_OK)) return CLI_DONE;
    return cli_fail(err, "%s: %s", path, strerror(errno));
}

int cli_check_output(const char *path, rn_error *err)
{
    if (!path) return CLI_DONE;
    char *folder = strdup(path);
    if (!folder) return cli_fail(err, "out of memory for a path");
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    int code = CLI_DONE;
    if (access(slash ? folder : ".", W_OK | X_OK))
        code = cli_fail(err, "%s: its folder: %s", path, strerror(errno));
    free(folder);
    return code;
}

static int make_parents(char *path, rn_error *err)
{
    for (char *slash = path + 1;; slash++) {
        slash += strcspn(slash, "/");
        char end = *slash;
        *slash = 0;
        if (mkdir(path, 0777) && errno != EEXIST)
            return cli_fail(err, "%s: %s", path, strerror(errno));
        *slash = end;
        if (!end) return CLI_DONE;
    }
}

int cli_make_folder(const char *dir, const char *sub, char **out, rn_error *err)
{
    char *path = cli_join(dir, sub);
    if (!path) return cli_fail(err, "out of memory for a path");
    int code = make_parents(path, err);
    if (code) free(path);
    else *out = path;
    return code;
}

int cli_tokens_open(const char *const *paths, size_t count, const char *out_path,
                    const rn_tokenizer *tokenizer, rn_tokens **out, rn_error *err)
{
    if (count == 1 && cli_is_token_file(paths[0]))
        return cli_code(rn_tokens_open(out, paths[0], err));
    return cli_code(rn_tokens_build(out, out_path, paths, count, tokenizer, err));
}

int cli_tokens_temporary(const char *path, const rn_tokenizer *tokenizer, rn_tokens **out,
                         rn_error *err)
{
    const char *base = getenv("TMPDIR");
    char *folder = cli_join(base && *base ? base : "/tmp", "retnet-XXXXXX");
    if (!folder) return cli_fail(err, "out of memory for a path");
    if (!mkdtemp(folder)) {
        int code = cli_fail(err, "%s: %s", folder, strerror(errno));
        free(folder);
        return code;
    }
    char *file = cli_join(folder, "tokens.bin");
    int code = file ? cli_tokens_open(&path, 1, file, tokenizer, out, err)
                    : cli_fail(err, "out of memory for a path");
    if (file) unlink(file);
    rmdir(folder);
    free(file);
    free(folder);
    return code;
}

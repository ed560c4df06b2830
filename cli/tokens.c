/* Token files from paths; see tokens.h. */
#define _POSIX_C_SOURCE 200809L
#include "tokens.h"

#include "commands.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
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

bool cli_is_folder(const char *path)
{
    struct stat status;
    return !stat(path, &status) && S_ISDIR(status.st_mode);
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

/* OUT/data/NAME.bin and OUT/data/NAME.tmp-PID.bin. */
static int stage_names(cli_staged *s, const char *folder, const char *name, rn_error *err)
{
    size_t size = strlen(folder) + strlen(name) + 48;
    s->path = malloc(size);
    s->built = malloc(size);
    if (!s->path || !s->built) return cli_fail(err, "out of memory for a path");
    snprintf(s->path, size, "%s/%s.bin", folder, name);
    snprintf(s->built, size, "%s/%s.tmp-%ld.bin", folder, name, (long)getpid());
    return CLI_DONE;
}

int cli_tokens_stage(const char *const *paths, size_t count, const char *out,
                     const char *name, const rn_tokenizer *tokenizer, rn_tokens **tokens,
                     cli_staged *staged, rn_error *err)
{
    if (count == 1 && cli_is_token_file(paths[0]))
        return cli_code(rn_tokens_open(tokens, paths[0], err));
    char *folder = NULL;
    int code = cli_make_folder(out, "data", &folder, err);
    if (!code) code = stage_names(staged, folder, name, err);
    if (!code)
        code = cli_code(
            rn_tokens_build(tokens, staged->built, paths, count, out, tokenizer, err));
    free(folder);
    return code;
}

int cli_staged_place(cli_staged *staged, rn_error *err)
{
    if (staged->built && rename(staged->built, staged->path))
        return cli_fail(err, "%s: %s", staged->path, strerror(errno));
    free(staged->built);
    staged->built = NULL;
    return CLI_DONE;
}

void cli_staged_drop(cli_staged *staged)
{
    if (staged->built) unlink(staged->built);
    free(staged->built);
    free(staged->path);
    *staged = (cli_staged){0};
}

size_t cli_temporary_suffix(const char *text, long *pid)
{
    static const char digits[] = "0123456789";
    if (strncmp(text, ".tmp-", 5)) return 0;
    size_t n = strspn(text + 5, digits), end = 5 + n;
    if (n == 0 || n > 9) return 0;
    *pid = strtol(text + 5, NULL, 10);
    size_t trial = text[end] == '-' ? strspn(text + end + 1, digits) : 0;
    return trial ? end + 1 + trial : end;
}

/* "train" or "val", ".bin" and at least one temporary suffix; the last one's process goes
   to *pid. */
static bool is_staged(const char *name, long *pid)
{
    size_t n = !strncmp(name, "train.", 6) ? 5 : !strncmp(name, "val.", 4) ? 3 : 0;
    if (!n) return false;
    size_t before = cli_temporary_suffix(name + n, pid);
    n += before;
    if (strncmp(name + n, ".bin", 4)) return false;
    n += 4;
    size_t after = cli_temporary_suffix(name + n, pid);
    return (before || after) && !name[n + after];
}

/* Another process may be about to find that it is refused, with its own file there. */
static bool is_running(long pid)
{
    return pid != (long)getpid() && (!kill((pid_t)pid, 0) || errno == EPERM);
}

void cli_tokens_sweep(const char *out)
{
    char *folder = cli_join(out, "data");
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    long pid;
    while (dir && (entry = readdir(dir)) != NULL)
        if (is_staged(entry->d_name, &pid) && !is_running(pid))
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir) closedir(dir);
    free(folder);
}

int cli_tokens_temporary(const char *path, const rn_tokenizer *tokenizer, rn_tokens **out,
                         rn_error *err)
{
    if (cli_is_token_file(path)) return cli_code(rn_tokens_open(out, path, err));
    const char *base = getenv("TMPDIR");
    char *folder = cli_join(base && *base ? base : "/tmp", "retnet-XXXXXX");
    if (!folder) return cli_fail(err, "out of memory for a path");
    if (!mkdtemp(folder)) {
        int code = cli_fail(err, "%s: %s", folder, strerror(errno));
        free(folder);
        return code;
    }
    char *file = cli_join(folder, "tokens.bin");
    int code = file ? cli_code(rn_tokens_build(out, file, &path, 1, NULL, tokenizer, err))
                    : cli_fail(err, "out of memory for a path");
    if (file) unlink(file);
    rmdir(folder);
    free(file);
    free(folder);
    return code;
}

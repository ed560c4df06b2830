/* Token files from paths; see tokens.h. */
#define _POSIX_C_SOURCE 200809L
#include "tokens.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool cli_is_token_file(const char *path, const char *leave_out)
{
    struct stat status;
    size_t length = strlen(path);
    bool named = length >= 4 && !strcmp(path + length - 4, ".bin");
    if (named && (stat(path, &status) || S_ISREG(status.st_mode))) return true;
    return rn_tokens_is(path, leave_out);
}

/* "ID", "end:ID" or "begin:ID". */
static int parse_rule(cli_reading *how, const char *text, rn_error *err)
{
    const char *number = text;
    char *end;
    how->rule = RN_DOCUMENTS_END;
    if (!strncmp(text, "end:", 4)) number += 4;
    if (!strncmp(text, "begin:", 6)) {
        number += 6;
        how->rule = RN_DOCUMENTS_BEGIN;
    }
    errno = 0;
    long id = strtol(number, &end, 10);
    if (*number < '0' || *number > '9' || *end || errno || id > INT32_MAX)
        return cli_usage(err, "--document-token: '%s' is not ID, end:ID or begin:ID",
                         text);
    how->id = (int32_t)id;
    return CLI_DONE;
}

int cli_reading_of(cli_reading *out, const cli_args *args, const rn_tokenizer *tokenizer,
                   cli_progress *progress, rn_error *err)
{
    const char *rule = cli_text(args, "document-token");
    *out = (cli_reading){.tokenizer = tokenizer,
                         .progress = progress,
                         .documents = cli_int(args, "documents") == 0};
    if (cli_given(args, "threads")) out->threads = (int)cli_int(args, "threads");
    if (rule && !out->documents)
        return cli_usage(err, "--document-token: not with --documents off");
    return rule ? parse_rule(out, rule, err) : CLI_DONE;
}

/* Token files by what the options say of documents. */
static void set_documents(rn_tokens *t, const cli_reading *how)
{
    int32_t end = how->tokenizer ? rn_tokenizer_end_id(how->tokenizer) : -1;
    if (!how->documents) rn_tokens_set_documents(t, RN_DOCUMENTS_NONE, 0);
    else if (how->rule) rn_tokens_set_documents(t, how->rule, how->id);
    else if (end >= 0) rn_tokens_set_end(t, end);
}

static void show_reading(void *user, uint64_t done, uint64_t total, bool *stop)
{
    const cli_reading *how = user;
    char text[32], all[32];
    *stop = cli_interrupted();
    if (!how->progress || !cli_progress_due(how->progress)) return;
    cli_progress_show(how->progress, "reading the data: %s of %s (%.0f%%)",
                      cli_bytes(text, done), cli_bytes(all, total),
                      total ? 100 * (double)done / (double)total : 100);
}

static int build(const cli_reading *how, const char *file, const char *const *paths,
                 size_t count, const char *leave_out, rn_tokens **out, rn_error *err)
{
    cli_reading user = *how;
    rn_build_options options = {.tokenizer = how->tokenizer,
                                .leave_out = leave_out,
                                .threads = how->threads,
                                .token_rule = how->rule,
                                .token_id = how->id,
                                .progress = show_reading,
                                .user = &user};
    rn_status st = rn_tokens_build_with(out, file, paths, count, &options, err);
    if (!st && !how->documents) rn_tokens_set_documents(*out, RN_DOCUMENTS_NONE, 0);
    return cli_code(st);
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

int cli_tokens_stage(const cli_reading *how, const char *const *paths, size_t count,
                     const char *out, const char *name, rn_tokens **tokens,
                     cli_staged *staged, rn_error *err)
{
    bool in_place = true;
    for (size_t i = 0; in_place && i < count; i++)
        in_place = cli_is_token_file(paths[i], out);
    if (in_place) {
        rn_status st = rn_tokens_open_all(tokens, paths, count, out, err);
        if (!st) set_documents(*tokens, how);
        return cli_code(st);
    }
    char *folder = NULL;
    int code = cli_make_folder(out, "data", &folder, err);
    if (!code) code = stage_names(staged, folder, name, err);
    if (!code) code = build(how, staged->built, paths, count, out, tokens, err);
    free(folder);
    return code;
}

/* The index beside NAME.bin, in the same string; and back. */
static void name_index(char *file)
{
    memcpy(file + strlen(file) - 4, ".idx", 4);
}

static void name_tokens(char *file)
{
    memcpy(file + strlen(file) - 4, ".bin", 4);
}

int cli_staged_place(cli_staged *staged, rn_error *err)
{
    if (!staged->built) return CLI_DONE;
    name_index(staged->built);
    name_index(staged->path);
    int failed = rename(staged->built, staged->path);
    if (!failed) {
        name_tokens(staged->built);
        name_tokens(staged->path);
        failed = rename(staged->built, staged->path);
    }
    if (failed) {
        int code = cli_fail(err, "%s: %s", staged->path, strerror(errno));
        name_tokens(staged->built);
        return code;
    }
    free(staged->built);
    staged->built = NULL;
    return CLI_DONE;
}

void cli_staged_drop(cli_staged *staged)
{
    if (staged->built) {
        unlink(staged->built);
        name_index(staged->built);
        unlink(staged->built);
    }
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

/* "train", "train-N" or "val", ".bin" or ".idx" and at least one temporary suffix; the
   last one's process goes to *pid. */
static bool is_staged(const char *name, long *pid)
{
    size_t n = !strncmp(name, "train", 5) ? 5 : !strncmp(name, "val", 3) ? 3 : 0;
    if (n == 5 && name[n] == '-') n += 1 + strspn(name + n + 1, "0123456789");
    if (!n) return false;
    size_t before = cli_temporary_suffix(name + n, pid);
    n += before;
    if (strncmp(name + n, ".bin", 4) && strncmp(name + n, ".idx", 4)) return false;
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

int cli_tokens_temporary(const cli_reading *how, const char *path, rn_tokens **out,
                         rn_error *err)
{
    if (cli_is_token_file(path, NULL)) {
        rn_status st = rn_tokens_open_all(out, &path, 1, NULL, err);
        if (!st) set_documents(*out, how);
        return cli_code(st);
    }
    const char *base = getenv("TMPDIR");
    char *folder = cli_join(base && *base ? base : "/tmp", "retnet-XXXXXX");
    if (!folder) return cli_fail(err, "out of memory for a path");
    if (!mkdtemp(folder)) {
        int code = cli_fail(err, "%s: %s", folder, strerror(errno));
        free(folder);
        return code;
    }
    cli_staged file = {.built = cli_join(folder, "tokens.bin")};
    int code = file.built ? build(how, file.built, &path, 1, NULL, out, err)
                          : cli_fail(err, "out of memory for a path");
    cli_staged_drop(&file);
    rmdir(folder);
    free(folder);
    return code;
}

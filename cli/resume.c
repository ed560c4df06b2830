/* Sessions from and to files; see resume.h. */
#define _POSIX_C_SOURCE 200809L
#include "resume.h"

#include "commands.h"
#include "output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
static const cli_option session_options[] = {
    {.name = "session", .kind = CLI_TEXT, .metavar = "FILE", .complete = CLI_FILES,
     .help = "go on from the session in FILE, where there is one, without reading its "
             "text again, and save it back at the end"},
};
/* clang-format on */
const cli_group cli_session_group = CLI_GROUP("Session", session_options);

/* Folder of a path, in `out`; false when it does not fit. */
static bool folder_of(const char *path, char *out, size_t room)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= room) return false;
    memcpy(out, path, length);
    if (slash == path) out[length++] = '/';
    if (!slash) out[length++] = '.';
    out[length] = '\0';
    return true;
}

int cli_resume_check(const cli_args *args, rn_error *err)
{
    const char *path = cli_text(args, "session");
    char folder[4096];
    struct stat info;
    if (!path) return CLI_DONE;
    if (!stat(path, &info)) {
        if (S_ISREG(info.st_mode)) return CLI_DONE;
        return cli_fail(err, "%s: exists and is not a file", path);
    }
    if (errno != ENOENT) return cli_fail(err, "%s: %s", path, strerror(errno));
    if (!folder_of(path, folder, sizeof folder))
        return cli_fail(err, "%s: %s", path, strerror(ENAMETOOLONG));
    if (access(folder, W_OK | X_OK))
        return cli_fail(err, "%s: cannot be created: %s", path, strerror(errno));
    return CLI_DONE;
}

bool cli_resume_has(const cli_args *args)
{
    const char *path = cli_text(args, "session");
    return path && !access(path, F_OK);
}

int cli_resume(const cli_args *args, rn_model *model, rn_session **out, rn_error *err)
{
    if (cli_resume_has(args))
        return cli_code(rn_session_load(out, model, cli_text(args, "session"), err));
    return cli_code(rn_session_create(out, model, err));
}

int cli_resume_save(const cli_args *args, const rn_session *s, rn_error *err)
{
    const char *path = cli_text(args, "session");
    return path ? cli_code(rn_session_save(s, path, err)) : CLI_DONE;
}

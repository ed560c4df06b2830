/* Running gnuplot: the script through a pipe, the drawing into a file beside the wanted
   one, which takes its name once gnuplot has ended well. No shell reads anything. */
#define _POSIX_C_SOURCE 200809L
#include "plot.h"

#include "commands.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, NOT_FOUND = 127 };

/* Whether `gnuplot` lies in a folder of PATH. */
static bool installed(void)
{
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t length = strcspn(at, ":");
        char name[PATH_SIZE];
        int n = snprintf(name, sizeof name, "%.*s/gnuplot", (int)length, at);
        if (n > 0 && (size_t)n < sizeof name && !access(name, X_OK)) return true;
        at += length + (at[length] == ':');
    }
    return false;
}

static int not_installed(rn_error *err)
{
    return cli_fail(err, "--plot: gnuplot is not installed (on Debian and Ubuntu the "
                         "package gnuplot-nox)");
}

int cli_plot_check(const char *path, rn_error *err)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    if (slash && !slash[1]) return cli_usage(err, "--plot: '%s' is a folder", path);
    if (!installed()) return not_installed(err);
    int length = slash ? (int)(slash - path) + 1 : 0;
    int n = snprintf(folder, sizeof folder, "%.*s.", length, path);
    if (n < 0 || (size_t)n >= sizeof folder)
        return cli_fail(err, "--plot: %s: the name is too long", path);
    if (!access(folder, W_OK | X_OK)) return CLI_DONE;
    return cli_fail(err, "--plot: %s: %s", path, strerror(errno));
}

/* In the child: gnuplot between the two files, silent. */
static void become_gnuplot(int script, int drawing)
{
    int nothing = open("/dev/null", O_WRONLY);
    if (nothing >= 0 && dup2(script, 0) >= 0 && dup2(drawing, 1) >= 0 &&
        dup2(nothing, 2) >= 0)
        execlp("gnuplot", "gnuplot", "-", (char *)NULL);
    _exit(NOT_FOUND);
}

static bool write_all(int fd, const char *bytes, size_t count)
{
    while (count) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes += n;
        count -= (size_t)n;
    }
    return true;
}

/* Hands the script to a gnuplot that draws into the open file. */
static int run_gnuplot(int drawing, const char *script, size_t length, rn_error *err)
{
    int ends[2], status = 0;
    if (pipe(ends)) return cli_fail(err, "--plot: a pipe: %s", strerror(errno));
    fcntl(ends[1], F_SETFD, FD_CLOEXEC); /* or gnuplot would never see the end */
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) become_gnuplot(ends[0], drawing);
    int problem = errno;
    close(ends[0]);
    bool written = pid > 0 && write_all(ends[1], script, length);
    close(ends[1]);
    if (pid < 0)
        return cli_fail(err, "--plot: a process for gnuplot: %s", strerror(problem));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND) return not_installed(err);
    if (!written || status) return cli_fail(err, "--plot: gnuplot failed");
    return CLI_DONE;
}

static int draw_into(int drawing, const char *path, const char *script, size_t length,
                     rn_error *err)
{
    int code = run_gnuplot(drawing, script, length, err);
    if (code) return code;
    if (lseek(drawing, 0, SEEK_END) <= 0 || fsync(drawing))
        return cli_fail(err, "--plot: %s could not be written", path);
    return CLI_DONE;
}

int cli_plot_draw(const char *path, const char *script, size_t length, rn_error *err)
{
    char aside[PATH_SIZE];
    int n = snprintf(aside, sizeof aside, "%s.%ld.tmp", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof aside)
        return cli_fail(err, "--plot: %s: the name is too long", path);
    int drawing = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (drawing < 0) return cli_fail(err, "--plot: %s: %s", path, strerror(errno));
    int code = draw_into(drawing, path, script, length, err);
    if (close(drawing) && !code)
        code = cli_fail(err, "--plot: %s: %s", path, strerror(errno));
    if (!code && rename(aside, path))
        code = cli_fail(err, "--plot: %s: %s", path, strerror(errno));
    if (code) unlink(aside);
    return code;
}

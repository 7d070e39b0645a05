/* SPDX-License-Identifier: MIT */
/*
 * adyton gdb: gdb on `adyton run --debug --target sim`, with cli/gdb/adyton.py. gdb reads symbols from
 * files, so an archive is unpacked for as long as gdb runs.
 */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "settings.h"

static const char g_help[] =
    "Usage: adyton gdb [OPTION...] ROOTFS PROGRAM [ARG...]\n"
    "Runs PROGRAM in the simulator under gdb and stops at its first instruction, with the symbols of\n"
    "the program, its libraries, the vDSO and the enclave's kernel. Breakpoints, stepping, variables\n"
    "and backtraces through system calls and signal handlers work; gdb also stops when a signal is\n"
    "about to end the program. Separate debug files are found by build ID as usual.\n"
    "\n"
    "      --ex COMMAND        run this gdb command then; repeatable\n"
    "      --commands FILE     run the gdb commands in FILE then\n"
    "      --batch             leave gdb after that\n"
    "  -h, --help              this text\n"
    "All options of 'adyton run' but --target are accepted too.\n"
    "\n"
    "Example:\n"
    "  adyton gdb --ex 'break main' --ex continue root /bin/hello\n";

#define WORDS_MAX 64

/* ---- Places ------------------------------------------------------------------------------------------ */

static int script_path(const char *executable, char path[PATH_MAX])
{
    static const char *const places[] = {"gdb/adyton.py", "../share/adyton/gdb/adyton.py"};
    int folder = (int)(strrchr(executable, '/') - executable);

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (snprintf(path, PATH_MAX, "%.*s/%s", folder, executable, places[i]) < PATH_MAX &&
            access(path, R_OK) == 0)
            return 0;
    return cli_error("gdb/adyton.py is not where this program was installed");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    if (path[0])
        (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs argv; its status as a shell shows it, or -1. Signals from the keyboard are its own affair. */
static int run_child(char *const argv[])
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
    int status = -1;
    pid_t pid;

    (void)sigaction(SIGINT, &ignore, &interrupt);
    (void)sigaction(SIGQUIT, &ignore, &quit);
    pid = fork();
    if (pid == 0) {
        (void)sigaction(SIGINT, &interrupt, NULL);
        (void)sigaction(SIGQUIT, &quit, NULL);
        (void)execvp(argv[0], argv);
        (void)cli_error("%s: %s", argv[0],
                        errno == ENOENT ? "not installed (Debian: apt install gdb)"
                                        : strerror(errno));
        _exit(HOST_EXIT_ERROR);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    (void)sigaction(SIGINT, &interrupt, NULL);
    (void)sigaction(SIGQUIT, &quit, NULL);
    if (pid < 0)
        return cli_error("cannot start %s: %s", argv[0], strerror(errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The directory for gdb's symbols; `made` becomes one that is to be removed. */
static int find_root(const char *executable, const char *rootfs, char root[PATH_MAX],
                     char made[PATH_MAX])
{
    const char *folder = getenv("TMPDIR");
    struct stat st;

    made[0] = '\0';
    if (stat(rootfs, &st) < 0)
        return cli_error("%s: %s", rootfs, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return realpath(rootfs, root) ? 0 : cli_error("%s: %s", rootfs, strerror(errno));
    (void)snprintf(made, PATH_MAX, "%s/adyton-gdb.XXXXXX", folder ? folder : "/tmp");
    if (!mkdtemp(made)) {
        made[0] = '\0';
        return cli_error("cannot make a temporary directory: %s", strerror(errno));
    }
    (void)snprintf(root, PATH_MAX, "%s", made);
    return run_child((char *[]){(char *)executable, "excpio", (char *)rootfs, root, NULL});
}

/* ---- gdb's command line ------------------------------------------------------------------------------ */

static int start_gdb(const struct settings *s, const char *executable, const char *script,
                     char **arguments)
{
    static const char *const before[] = {"gdb", "-q", "-iex", "set debuginfod enabled off", "-x"};
    size_t count = 0, room = WORDS_MAX + s->gdb_words.count + s->run_words.count;
    AUTO_FREE char **argv = NULL;

    for (size_t i = 0; arguments[i]; i++)
        room++;
    argv = calloc(room, sizeof(*argv));
    if (!argv)
        return cli_no_memory();
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        argv[count++] = (char *)before[i];
    argv[count++] = (char *)script;
    for (size_t i = 0; i < s->gdb_words.count; i++)
        argv[count++] = s->gdb_words.items[i];
    argv[count++] = "--args";
    argv[count++] = (char *)executable;
    argv[count++] = "run";
    argv[count++] = "--target=sim";
    argv[count++] = "--debug";
    for (size_t i = 0; i < s->run_words.count; i++)
        argv[count++] = s->run_words.items[i];
    for (size_t i = 0; arguments[i]; i++)
        argv[count++] = arguments[i];
    return run_child(argv);
}

static int debug(const struct settings *s, char **arguments)
{
    char executable[PATH_MAX], script[PATH_MAX], root[PATH_MAX], made[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", executable, sizeof(executable) - 1);
    int ret;

    if (n < 0)
        return cli_error("/proc/self/exe: %s", strerror(errno));
    executable[n] = '\0';
    if (script_path(executable, script) < 0)
        return -1;
    ret = find_root(executable, arguments[0], root, made);
    if (ret == 0 && setenv("ADYTON_GDB_ROOT", root, 1) == 0)
        ret = start_gdb(s, executable, script, arguments);
    remove_tree(made);
    return ret;
}

int cmd_gdb(int argc, char **argv)
{
    struct settings s;
    int first, ret;

    if (settings_init(&s) < 0)
        return HOST_EXIT_ERROR;
    first = options_parse("gdb", "cmewsSxdXFB", argc, argv, &s);
    if (first == OPTIONS_HELP)
        ret = cli_help(g_help);
    else if (first < 0)
        ret = HOST_EXIT_ERROR;
    else if (!argv[first] || (!argv[first + 1] && !s.program))
        ret = cli_usage("gdb", "wants ROOTFS and PROGRAM");
    else
        ret = debug(&s, argv + first);
    settings_free(&s);
    return ret < 0 ? HOST_EXIT_ERROR : ret;
}

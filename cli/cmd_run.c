/* SPDX-License-Identifier: MIT */
/* adyton run */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "settings.h"

static const char g_help[] =
    "Usage: adyton run [OPTION...] ROOTFS PROGRAM [ARG...]\n"
    "Runs PROGRAM, a path inside ROOTFS, in an enclave. ROOTFS is a directory or a CPIO archive.\n"
    "\n"
    "  -c, --config FILE       settings (JSON with comments; a Mystikos config.json)\n"
    "  -t, --target TARGET     auto (default), sgx or sim\n"
    "  -m, --memory SIZE       most memory that may be used (512m, 4g; default 1g)\n"
    "  -e, --env NAME=VALUE    set an environment variable; repeatable\n"
    "  -w, --cwd DIR           start in this directory of ROOTFS (default /)\n"
    "      --strace[=LIST]     print system calls; LIST as strace's -e: names, %file, %memory, !...\n"
    "      --stats[=FILE]      report what happened, to stderr or as JSON to FILE\n"
    "      --debug             a debug enclave: the host may look inside\n"
    "      --strict            simulator: trap every ENCLU instruction\n"
    "  -h, --help              this text\n"
    "\n"
    "Options override the configuration. PROGRAM may be left out when it has ApplicationPath.\n"
    "The program sees PATH, HOME=/root and, on a terminal, TERM; nothing else of this environment.\n"
    "Exit status: the program's; 128+N if signal N ended it; 125 an error of adyton's own,\n"
    "126 PROGRAM cannot be executed, 127 PROGRAM was not found.\n"
    "\n"
    "Examples:\n"
    "  adyton run root /bin/busybox ls -l /\n"
    "  adyton run --memory 4g --env LANG=C.UTF-8 root.cpio /usr/bin/python3.11 -c 'print(6*7)'\n"
    "  adyton run --strace=%file --stats root /bin/busybox cat /etc/passwd\n"
    "  adyton run --config config.json root.cpio\n";

/* A report that cannot be written is better known before the run than after it. */
static int check_stats(const char *path)
{
    AUTO_CLOSE int fd = -1;
    struct stat st;

    if (!path || (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return 0;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    return fd < 0 ? cli_error("--stats: %s: %s", path, strerror(errno)) : 0;
}

int cmd_run(int argc, char **argv)
{
    struct prepared prepared;
    struct settings s;
    int first, ret;

    if (settings_init(&s) < 0)
        return HOST_EXIT_ERROR;
    first = options_parse("run", "ctmewsSxd", argc, argv, &s);
    if (first < 0) {
        settings_free(&s);
        return first == OPTIONS_HELP ? cli_help(g_help) : HOST_EXIT_ERROR;
    }
    ret = prepare_run(&s, argv + first, &prepared);
    if (ret == 0)
        ret = check_stats(s.stats_path) == 0 ? host_run(&prepared.run) : HOST_EXIT_ERROR;
    else
        ret = ret == OPTIONS_USAGE ? cli_usage("run", argv[first] ? "PROGRAM is missing"
                                                                  : "ROOTFS is missing")
                                   : HOST_EXIT_ERROR;
    prepared_free(&prepared);
    settings_free(&s);
    return ret;
}

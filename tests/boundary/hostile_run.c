/* SPDX-License-Identifier: MIT */
/*
 * adyton-hostile SEED KERNEL ARCHIVE PROGRAM [ARG...]: a run on the simulator under a lying host.
 * SEED is a number, or CALL:LIE:TIMES by the names and numbers of hostile.h. `adyton-hostile --list`
 * prints the calls' numbers and names. Ends with the run's status, or CRASHED when the process that
 * holds the enclave died, which no lie may bring about.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host.h"
#include "host_manifest.h"
#include "host_verity.h"
#include "hostcall_desc.h"
#include "hostile.h"

#define CRASHED  99
#define UNUSABLE 98 /* wrong arguments, or no archive */

static int list_calls(void)
{
    for (unsigned i = 1; i < HOSTCALL_COUNT; i++)
        if (hostcall_descs[i].result != HOSTCALL_RESULT_NEVER)
            (void)printf("%u %s\n", i, hostcall_descs[i].name);
    return 0;
}

static int parse_seed(const char *text)
{
    int call, lie, times;

    if (sscanf(text, "%d:%d:%d", &call, &lie, &times) == 3)
        return HOSTILE_EXACT(call & 0xff, lie & 0xff, times & 0xff);
    return (int)strtol(text, NULL, 0) & ~(1 << 30);
}

/* A copy of the archive with its hash tree. -1 after a message. */
static int prepare(const char *path, struct manifest_root *root, uint64_t *size)
{
    char buf[65536];
    int from = open(path, O_RDONLY | O_CLOEXEC);
    int to = memfd_create("root", MFD_CLOEXEC);
    ssize_t n;

    if (from < 0 || to < 0) {
        perror(path);
        return -1;
    }
    while ((n = read(from, buf, sizeof(buf))) > 0)
        if (write(to, buf, (size_t)n) != n)
            return -1;
    (void)close(from);
    return n == 0 && verity_append(to, NULL, 0, root, size) == 0 ? to : -1;
}

static int run_apart(const struct host_run *run)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(host_run(run));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return UNUSABLE;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    (void)fprintf(stderr, "the host process died of signal %d\n", WTERMSIG(status));
    return CRASHED;
}

int main(int argc, char **argv)
{
    static const char *const env[] = {"PATH=/bin", NULL};
    struct host_run run = {.target = HOST_TARGET_SIM};
    struct host_manifest manifest = {
        .memory_size = 64UL << 20, .main_stack_size = 1UL << 20, .thread_stack_size = 1UL << 20};
    void *blob;

    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list_calls();
    if (argc < 5)
        return UNUSABLE;
    run.hostile = parse_seed(argv[1]);
    run.kernel_path = argv[2];
    run.rootfs_fd = prepare(argv[3], &manifest.root, &run.rootfs_size);
    if (run.rootfs_fd < 0)
        return UNUSABLE;
    manifest.program = argv[4];
    manifest.argv = (const char *const *)&argv[4];
    manifest.env = env;
    manifest.cwd = "/";
    if (host_manifest_build(&manifest, &blob, &run.manifest_size) < 0)
        return UNUSABLE;
    run.manifest = blob;
    return run_apart(&run);
}

/* SPDX-License-Identifier: MIT */
/*
 * host_run() on the simulator with the enclave of mini.S (its path is the first argument): each signal
 * sent must be noticed inside before the next is sent, whether the enclave computes, waits in a host
 * call or is on its way between; one that gets lost ends in the alarm. Then the same in strict mode,
 * and runs that must fail with a message.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "host.h"
#include "host_manifest.h"

#define ROUNDS     600
#define LOST_MS    5000
#define STATUS     7
#define CHECK(ok)                                                                                  \
    do {                                                                                           \
        if (!(ok)) {                                                                               \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #ok);                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void *g_manifest;
static size_t g_manifest_size;

static void make_manifest(void)
{
    static const char *const argv[] = {"mini", NULL};
    struct host_manifest in = {.program = "/mini", .argv = argv};

    CHECK(host_manifest_build(&in, &g_manifest, &g_manifest_size) == 0);
}

/* The first use of the development key makes it, which takes a while. */
static void make_key(const char *kernel)
{
    struct host_run run = {
        .kernel_path = kernel, .manifest = g_manifest, .manifest_size = g_manifest_size};
    struct host_measurement measurement;

    CHECK(host_measure(&run, &measurement) == 0);
    CHECK(measurement.pages_added == measurement.pages_measured);
}

static pid_t start(const char *kernel, int strict, int out)
{
    struct host_run run = {
        .target = HOST_TARGET_SIM,
        .strict = strict,
        .kernel_path = kernel,
        .manifest = g_manifest,
        .manifest_size = g_manifest_size,
        .rootfs_fd = -1,
    };
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    CHECK(dup2(out, 1) == 1);
    _exit(host_run(&run));
}

static int wait_status(pid_t pid)
{
    int status;

    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits for the enclave's byte. */
static int acknowledged(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&p, 1, LOST_MS) == 1 && read(fd, &byte, 1) == 1;
}

static void pause_a_little(unsigned round)
{
    struct timespec ts = {.tv_nsec = (long)(round * 7919 % 60000)};

    (void)nanosleep(&ts, NULL);
}

static void test_signals(const char *kernel, int strict)
{
    unsigned round = 0;
    int status;
    int fds[2];
    pid_t pid;

    CHECK(pipe(fds) == 0);
    pid = start(kernel, strict, fds[1]);
    (void)close(fds[1]);
    CHECK(acknowledged(fds[0])); /* ready */
    for (; round < ROUNDS; round++) {
        if (round % 3)
            pause_a_little(round);
        CHECK(kill(pid, SIGUSR1) == 0);
        if (!acknowledged(fds[0]))
            break;
    }
    if (round < ROUNDS)
        (void)kill(pid, SIGKILL);
    (void)close(fds[0]);
    status = wait_status(pid);
    if (status != STATUS || round < ROUNDS)
        (void)fprintf(stderr, "status %d after %u signals\n", status, round);
    CHECK(status == STATUS);
    CHECK(round == ROUNDS);
}

static void test_bad_kernel(const char *kernel)
{
    CHECK(wait_status(start(kernel, 0, 1)) == HOST_EXIT_ERROR);
}

int main(int argc, char **argv)
{
    char why[256];

    CHECK(argc == 2);
    if (!host_target_usable(HOST_TARGET_SIM, why, sizeof(why))) {
        (void)printf("the simulator cannot run here: %s\n", why);
        return 77;
    }
    make_manifest();
    make_key(argv[1]);
    test_signals(argv[1], 0);
    test_signals(argv[1], 1);
    test_bad_kernel("/nonexistent");
    test_bad_kernel("/dev/null");
    test_bad_kernel("/proc/self/exe");
    free(g_manifest);
    return 0;
}

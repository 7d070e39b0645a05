/* SPDX-License-Identifier: MIT */
/*
 * Process groups and sessions over several processes: setpgid(2), setsid(2), kill(2) to groups, and who may.
 */
#include "servant.h"
#include <sched.h>
#include <sys/mman.h>

#define NOBODY 54321

static void numbers(void)
{
    struct servant a = servant_start(), b = servant_start();
    pid_t own = getpgrp();

    CHECK(getpgid(a.pid) == own && getpgid(0) == own);
    CHECK(getsid(a.pid) == getsid(0));
    CHECK(servant_ask(&a, SYS_getppid, 0, 0) == getpid());
    CHECK_ERRNO(setpgid(a.pid, 0), EACCES); /* it runs a program of its own */
    CHECK(servant_ask(&a, SYS_setpgid, 0, 0) == 0);
    CHECK(getpgid(a.pid) == a.pid);
    CHECK(servant_ask(&b, SYS_setpgid, 0, a.pid) == 0); /* joins */
    CHECK(getpgid(b.pid) == a.pid);
    CHECK(servant_ask(&b, SYS_setpgid, 0, 999999) == -EPERM);
    CHECK(servant_ask(&b, SYS_setpgid, a.pid, 0) == -ESRCH); /* not its child */
    CHECK(servant_ask(&b, SYS_setpgid, getpid(), 0) == -ESRCH);
    CHECK(servant_ask(&a, SYS_setsid, 0, 0) == -EPERM); /* leads a group */
    CHECK(servant_ask(&b, SYS_setsid, 0, 0) == b.pid);
    CHECK(getsid(b.pid) == b.pid && getpgid(b.pid) == b.pid);
    CHECK(servant_ask(&b, SYS_setpgid, 0, 0) == -EPERM); /* leads a session */
    CHECK(servant_ask(&b, SYS_setsid, 0, 0) == -EPERM);
    CHECK_ERRNO(setpgid(b.pid, own), EPERM); /* another session */
    CHECK_ERRNO(setpgid(0, -1), EINVAL);
    CHECK_ERRNO(getpgid(999999), ESRCH);
    CHECK_ERRNO(getsid(-1), ESRCH);
    CHECK(servant_end(&a) == 0 && servant_end(&b) == 0);
    CHECK_ERRNO(getpgid(a.pid), ESRCH);
}

/* A child that shares memory and has not run another program: its parent may move it. */
static volatile int g_go;
static char g_stack[65536] __attribute__((aligned(16)));

static int shared_child(void *arg)
{
    (void)arg;
    while (!g_go)
        syscall(SYS_sched_yield);
    return 7;
}

static void before_exec(void)
{
    int status;
    pid_t pid = clone(shared_child, g_stack + sizeof(g_stack), CLONE_VM | SIGCHLD, NULL);

    CHECK(pid > 0);
    CHECK(setpgid(pid, pid) == 0);
    CHECK(getpgid(pid) == pid);
    CHECK(setpgid(pid, getpgrp()) == 0);
    CHECK(getpgid(pid) == getpgrp());
    g_go = 1;
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
}

static void group_kill(void)
{
    struct servant a = servant_start(), b = servant_start(), c = servant_start();

    servant_ask(&a, OP_CATCH, SIGUSR1, 0);
    servant_ask(&b, OP_CATCH, SIGUSR1, 0);
    servant_ask(&c, OP_CATCH, SIGUSR1, 0);
    servant_ask(&a, SYS_setpgid, 0, 0);
    servant_ask(&b, SYS_setpgid, 0, a.pid);
    CHECK(kill(-a.pid, SIGUSR1) == 0);
    CHECK(servant_ask(&a, OP_CAUGHT, SIGUSR1, 0) == 1);
    CHECK(servant_ask(&b, OP_CAUGHT, SIGUSR1, 0) == 1);
    CHECK(servant_ask(&c, OP_CAUGHT, SIGUSR1, 0) == 0);
    CHECK(servant_ask(&b, SYS_kill, 0, SIGUSR1) == 0); /* its own group */
    CHECK(servant_ask(&a, OP_CAUGHT, SIGUSR1, 0) == 2);
    CHECK(servant_ask(&b, OP_CAUGHT, SIGUSR1, 0) == 2);
    CHECK_ERRNO(kill(-999999, 0), ESRCH);
    CHECK_ERRNO(kill(999999, 0), ESRCH);
    CHECK_ERRNO(kill(a.pid, 65), EINVAL);
    /* Ended, not waited for: still there. */
    close(b.to);
    CHECK(state_becomes(b.pid, "Z"));
    CHECK(kill(b.pid, SIGUSR1) == 0);
    CHECK(servant_end(&b) == 0);
    CHECK_ERRNO(kill(b.pid, 0), ESRCH);
    CHECK(kill(-a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
    CHECK(servant_end(&c) == 0);
}

static void permissions(void)
{
    struct servant a = servant_start(), b = servant_start();
    struct rlimit64 *none = NULL;

    servant_ask(&b, OP_CATCH, SIGUSR1, 0);
    CHECK(servant_ask(&a, SYS_setresgid, NOBODY, NOBODY) == 0);
    CHECK(servant_ask(&a, SYS_setuid, NOBODY, 0) == 0);
    CHECK(servant_ask(&a, SYS_kill, b.pid, 0) == -EPERM);
    CHECK(servant_ask(&a, SYS_kill, b.pid, SIGUSR1) == -EPERM);
    CHECK(servant_ask(&a, SYS_kill, b.pid, SIGCONT) == 0); /* the same session */
    CHECK(servant_ask(&a, SYS_tkill, b.pid, SIGUSR1) == -EPERM);
    CHECK(servant_ask(&a, SYS_kill, a.pid, 0) == 0);
    CHECK(servant_ask(&b, SYS_kill, a.pid, 0) == 0);
    CHECK(servant_ask(&a, SYS_prlimit64, b.pid, 7 /* and no structures */) == -EPERM);
    CHECK(servant_ask(&a, SYS_sched_getscheduler, b.pid, 0) == 0);
    CHECK(servant_ask(&a, SYS_kcmp, a.pid, b.pid) == -EPERM);
    CHECK(servant_ask(&b, SYS_kcmp, a.pid, b.pid) >= -EBADF); /* root may */
    CHECK(servant_ask(&b, SYS_setsid, 0, 0) == b.pid);
    CHECK(servant_ask(&a, SYS_kill, b.pid, SIGCONT) == -EPERM);
    CHECK(servant_ask(&b, OP_CAUGHT, SIGUSR1, 0) == 0);
    (void)none;
    CHECK(servant_end(&a) == 0 && servant_end(&b) == 0);
}

/* What a thread's number means: its process for kill, itself for tgkill. */
static void thread_numbers(void)
{
    struct servant a = servant_start();
    long tid = servant_ask(&a, OP_SLEEPER, 0, 0);

    CHECK(tid > 0 && tid != a.pid);
    servant_ask(&a, OP_CATCH, SIGUSR2, 0);
    CHECK(kill((pid_t)tid, SIGUSR2) == 0);
    for (int i = 0; i < 1000 && servant_ask(&a, OP_CAUGHT, SIGUSR2, 0) != 1; i++)
        usleep(1000);
    CHECK(syscall(SYS_tgkill, a.pid, tid, SIGUSR2) == 0);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), tid, SIGUSR2), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, a.pid, 0, SIGUSR2), EINVAL);
    for (int i = 0; i < 1000 && servant_ask(&a, OP_CAUGHT, SIGUSR2, 0) != 2; i++)
        usleep(1000);
    CHECK(servant_ask(&a, OP_CAUGHT, SIGUSR2, 0) == 2);
    CHECK_ERRNO(setpgid((pid_t)tid, 0), EINVAL);
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
}

int main(int argc, char **argv)
{
    SERVANT_MAIN(argc, argv);
    numbers();
    before_exec();
    group_kill();
    permissions();
    thread_numbers();
    return guest_done();
}

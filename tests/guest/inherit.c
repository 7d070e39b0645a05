/* SPDX-License-Identifier: MIT */
/*
 * What a forked child has from its parent and what not: numbers, masks, pending signals, timers, limits, death
 * signals, process groups before exec, orphans.
 */
#include "guest.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

/* Runs `fn` in a child: its exit status, or -signal. */
static int in_child(int (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (!pid)
        _exit(fn());
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static pid_t g_parent, g_group, g_session;

static int same_numbers(void)
{
    return getppid() == g_parent && getpgrp() == g_group && getsid(0) == g_session && getpid() != g_parent &&
           syscall(SYS_gettid) == getpid();
}

static int same_signals(void)
{
    struct sigaction sa;
    sigset_t set;

    sigprocmask(SIG_BLOCK, NULL, &set);
    if (!sigismember(&set, SIGUSR2) || sigpending(&set) || sigismember(&set, SIGUSR2))
        return 1;
    if (sigaction(SIGUSR1, NULL, &sa) || sa.sa_handler != SIG_IGN)
        return 2;
    return 0;
}

static int no_timers(void)
{
    struct itimerval it;
    struct rusage ru;
    struct tms t;
    int sig = -1;

    if (getitimer(ITIMER_REAL, &it) || it.it_value.tv_sec || it.it_value.tv_usec || alarm(0))
        return 1;
    if (timer_gettime((timer_t)0, &(struct itimerspec){{0, 0}, {0, 0}}) == 0)
        return 2;
    if (getrusage(RUSAGE_CHILDREN, &ru) || ru.ru_utime.tv_sec || times(&t) == (clock_t)-1 || t.tms_cutime)
        return 3;
    if (prctl(PR_GET_PDEATHSIG, &sig) || sig)
        return 4;
    if (personality(0xffffffff) != ADDR_NO_RANDOMIZE)
        return 5;
    return getpriority(PRIO_PROCESS, 0) == 3 ? 0 : 6;
}

static void inherited(void)
{
    struct itimerval it = {{0, 0}, {100, 0}};
    sigset_t set;
    int old = personality(0xffffffff);

    g_parent = getpid();
    g_group = getpgrp();
    g_session = getsid(0);
    CHECK(in_child(same_numbers) == 1);
    signal(SIGUSR1, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR2);
    CHECK(in_child(same_signals) == 0);
    signal(SIGUSR2, SIG_IGN); /* drops it */
    signal(SIGUSR2, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
    CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0);
    CHECK(personality(ADDR_NO_RANDOMIZE) == old);
    CHECK(in_child(no_timers) == 0);
    personality((unsigned long)old);
    alarm(0);
    prctl(PR_SET_PDEATHSIG, 0);
}

static _Noreturn void waits(void)
{
    for (;;)
        pause();
}

static void groups_before_exec(void)
{
    int status;
    pid_t a = fork(), b;

    if (!a)
        waits();
    b = fork();
    if (!b)
        waits();
    CHECK(setpgid(a, a) == 0 && setpgid(b, a) == 0);
    CHECK(getpgid(b) == a);
    CHECK_ERRNO(setpgid(b, 999999), EPERM);
    CHECK(setpgid(b, b) == 0 && setpgid(b, a) == 0);
    CHECK(waitpid(-a, &status, WNOHANG) == 0);
    CHECK(kill(-a, SIGTERM) == 0);
    CHECK(waitpid(-a, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);
    CHECK(waitpid(-a, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);
    CHECK_ERRNO(waitpid(-a, &status, 0), ECHILD);
}

/* A daemon's way: the child of a child that ended is its reaper's; PR_SET_PDEATHSIG tells it. */
static void daemons(void)
{
    int fds[2], status;
    pid_t mid, daemon = 0, found;

    CHECK(pipe(fds) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    mid = fork();
    if (!mid) {
        pid_t own = getpid(), pid = fork();

        if (!pid) {
            sigset_t set;
            int sig;

            sigemptyset(&set);
            sigaddset(&set, SIGUSR2);
            sigprocmask(SIG_BLOCK, &set, NULL);
            prctl(PR_SET_PDEATHSIG, SIGUSR2);
            setsid();
            pid = getpid();
            if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
                _exit(1);
            if (getppid() == own)
                sigwait(&set, &sig);
            _exit(getppid() != own && getsid(0) == getpid() ? 9 : 1);
        }
        usleep(50000);
        _exit(3);
    }
    CHECK(read(fds[0], &daemon, sizeof(daemon)) == sizeof(daemon));
    CHECK(getsid(daemon) == daemon);
    CHECK(waitpid(mid, &status, 0) == mid && WEXITSTATUS(status) == 3);
    found = waitpid(-1, &status, 0);
    CHECK(found == daemon && WEXITSTATUS(status) == 9);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(fds[0]);
    close(fds[1]);
}

/* Many at once, some killed and some stopped in between; none is lost. */
static void many(void)
{
    enum { COUNT = 60 };
    pid_t pids[COUNT];
    int status, killed = 0, exited = 0;

    for (int i = 0; i < COUNT; i++) {
        pids[i] = fork();
        if (!pids[i]) {
            usleep(1000 * (useconds_t)(i % 7));
            if (i % 3 == 0)
                waits();
            _exit(i);
        }
    }
    for (int i = 0; i < COUNT; i += 3) {
        CHECK(kill(pids[i], SIGSTOP) == 0);
        CHECK(waitpid(pids[i], &status, WUNTRACED) == pids[i] && WIFSTOPPED(status));
        if (i % 2)
            CHECK(kill(pids[i], SIGCONT) == 0);
        CHECK(kill(pids[i], SIGKILL) == 0);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(waitpid(pids[i], &status, 0) == pids[i]);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        exited += WIFEXITED(status) && WEXITSTATUS(status) == i;
    }
    CHECK(killed == COUNT / 3 && exited == COUNT - COUNT / 3);
    CHECK_ERRNO(wait(NULL), ECHILD);
}

int main(void)
{
    inherited();
    groups_before_exec();
    daemons();
    many();
    return guest_done();
}

/* SPDX-License-Identifier: MIT */
/*
 * guest: native=fail
 * guest: link=static,musl
 * RLIMIT_CPU: SIGXCPU at the soft limit, counted in CPU time only, then SIGKILL (status 137).
 */
#include "children.h"
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static volatile sig_atomic_t g_signals;

static void on_signal(int sig)
{
    (void)sig;
    g_signals++;
}

/* A child has the limit too, and its own time. */
static void test_child(void)
{
    struct rlimit l = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
    pid_t pid;

    CHECK(setrlimit(RLIMIT_CPU, &l) == 0);
    pid = start();
    if (pid == 0)
        for (alarm(60);;)
            ;
    CHECK(child_status(pid) == 1000 + SIGXCPU);
}

int main(void)
{
    struct rlimit l = {.rlim_cur = 1, .rlim_max = 2};
    struct timespec used;

    test_child();
    signal(SIGXCPU, on_signal);
    CHECK(setrlimit(RLIMIT_CPU, &l) == 0);
    sleep(1); /* is not used */
    CHECK(g_signals == 0);
    while (!g_signals)
        ;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
    CHECK(used.tv_sec == 1 || used.tv_nsec > 500000000); /* Linux looks at ticks, and then tells more exactly */
    CHECK(getrlimit(RLIMIT_CPU, &l) == 0 && l.rlim_cur == 2);
    guest_done();
    fflush(stdout);
    for (;;)
        ;
}

/* SPDX-License-Identifier: MIT */
/*
 * guest: native=fail
 * guest: link=static,musl
 * RLIMIT_CPU: SIGXCPU at the soft limit, counted in CPU time only, then SIGKILL (status 137).
 */
#include "guest.h"
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t g_signals;

static void on_signal(int sig)
{
    (void)sig;
    g_signals++;
}

int main(void)
{
    struct rlimit l = {.rlim_cur = 1, .rlim_max = 2};
    struct timespec used;

    signal(SIGXCPU, on_signal);
    CHECK(setrlimit(RLIMIT_CPU, &l) == 0);
    sleep(1); /* is not used */
    CHECK(g_signals == 0);
    while (!g_signals)
        ;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
    CHECK(used.tv_sec == 1 || used.tv_nsec > 900000000);
    CHECK(getrlimit(RLIMIT_CPU, &l) == 0 && l.rlim_cur == 2);
    guest_done();
    fflush(stdout);
    for (;;)
        ;
}

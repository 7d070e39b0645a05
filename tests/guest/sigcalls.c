/* SPDX-License-Identifier: MIT */
/*
 * Calls that block while signals come for the process: each thread's end with 0 or EINTR, whoever takes the
 * signal, and never with a number that is the kernel's own.
 */
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIGNALS 5000

static volatile int g_over, g_caught;

static void on_signal(int sig)
{
    g_caught += sig == SIGUSR1;
}

static void *sender(void *arg)
{
    sigset_t all;

    (void)arg;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (int i = 0; i < SIGNALS; i++) {
        int before = g_caught;

        if (kill(getpid(), SIGUSR1))
            break;
        while (g_caught == before)
            sched_yield();
    }
    g_over = 1;
    return NULL;
}

static void soon(struct timespec *ts)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    ts->tv_nsec += 10000;
    if (ts->tv_nsec >= 1000000000) {
        ts->tv_nsec -= 1000000000;
        ts->tv_sec++;
    }
}

static void *sleeper(void *arg)
{
    int ep = epoll_create1(0), other = 0;
    struct epoll_event ev;

    (void)arg;
    while (!g_over) {
        struct timespec ts;
        int err;

        soon(&ts);
        err = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        if (err != 0 && err != EINTR)
            other = err;
        ts = (struct timespec){.tv_nsec = 10000};
        if (syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 8) && errno != EINTR)
            other = errno;
        if (nanosleep(&ts, NULL) && errno != EINTR)
            other = errno;
    }
    close(ep);
    return (void *)(long)other;
}

int main(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    pthread_t from, to[3];
    void *other;

    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&to[i], NULL, sleeper, NULL) == 0);
    CHECK(pthread_create(&from, NULL, sender, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_join(to[i], &other) == 0);
        if (other)
            printf("a call ended with errno %ld\n", (long)other);
        CHECK(!other);
    }
    CHECK(pthread_join(from, NULL) == 0);
    return guest_done();
}

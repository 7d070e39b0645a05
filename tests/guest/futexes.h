/* SPDX-License-Identifier: MIT */
/* The futex calls, and threads that are known to wait, for guest tests. */
#ifndef GUEST_FUTEXES_H
#define GUEST_FUTEXES_H

#include "children.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define PRIVATE FUTEX_PRIVATE_FLAG

typedef _Atomic uint32_t word_t;

static inline long futex(word_t *w, int op, uint32_t val, const void *timeout, word_t *w2, uint32_t val3)
{
    return syscall(SYS_futex, w, op, val, timeout, w2, val3);
}

static inline uint32_t gettid_word(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* A moment on a clock: `ms` from now. */
static inline struct timespec from_now(clockid_t clock, long ms)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    ts.tv_sec += ms / 1000;
    ts.tv_nsec += ms % 1000 * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return ts;
}

static inline pthread_t run(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    CHECK(pthread_create(&t, NULL, fn, arg) == 0);
    return t;
}

/* The thread's result, which is a small number. */
static inline long result(pthread_t t)
{
    void *ret = (void *)-1;

    CHECK(pthread_join(t, &ret) == 0);
    return (long)ret;
}

/* Shared with children. */
static inline void *share(size_t size)
{
    void *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(m != MAP_FAILED);
    return m;
}

#endif

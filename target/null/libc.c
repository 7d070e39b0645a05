/* SPDX-License-Identifier: MIT */
/* The libc side of target/null; see null_libc.h. No kernel header comes in here. */
#include "null_libc.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- Memory: TARGET_READ, _WRITE and _EXEC are PROT_* --------------------------------------- */

int null_libc_map(uintptr_t va, size_t size, unsigned prot)
{
    void *p = mmap((void *)va, size, (int)prot,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    return p == (void *)va ? 0 : -ENOMEM;
}

int null_libc_protect(uintptr_t va, size_t size, unsigned prot)
{
    return mprotect((void *)va, size, (int)prot) ? -ENOMEM : 0;
}

int null_libc_unmap(uintptr_t va, size_t size)
{
    return munmap((void *)va, size) ? -ENOMEM : 0;
}

/* ---- Waiting -------------------------------------------------------------------------------- */

int null_libc_event(void)
{
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void null_libc_event_set(int event)
{
    if (eventfd_write(event, 1))
        abort();
}

void null_libc_event_clear(int event)
{
    eventfd_t ticks;

    (void)!eventfd_read(event, &ticks);
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int null_libc_poll(struct pollfd *fds, unsigned count, uint64_t deadline_ns)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC), left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec limit = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    int n = ppoll(fds, count, deadline_ns == UINT64_MAX ? NULL : &limit, NULL);

    return n < 0 ? -errno : n;
}

void null_libc_yield(void)
{
    sched_yield();
}

/* ---- Threads -------------------------------------------------------------------------------- */

struct null_thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
};
struct null_thread *null_thread_start(void (*fn)(void *arg), void *arg);
void null_thread_join(struct null_thread *t);

static void *thread_main(void *arg)
{
    struct null_thread *t = arg;

    t->fn(t->arg);
    return NULL;
}

struct null_thread *null_thread_start(void (*fn)(void *arg), void *arg)
{
    struct null_thread *t = malloc(sizeof(*t));

    if (!t)
        abort();
    t->fn = fn;
    t->arg = arg;
    if (pthread_create(&t->id, NULL, thread_main, t))
        abort();
    return t;
}

void null_thread_join(struct null_thread *t)
{
    pthread_join(t->id, NULL);
    free(t);
}

/* ---- The rest ------------------------------------------------------------------------------- */

long null_libc_read(int fd, void *buf, size_t size)
{
    ssize_t n = read(fd, buf, size);

    return n < 0 ? -errno : n;
}

long null_libc_write(int fd, const void *buf, size_t size)
{
    ssize_t n = write(fd, buf, size);

    return n < 0 ? -errno : n;
}

void null_libc_clock(uint64_t *realtime_ns, uint64_t *monotonic_ns)
{
    *realtime_ns = clock_ns(CLOCK_REALTIME);
    *monotonic_ns = clock_ns(CLOCK_MONOTONIC);
}

void null_libc_print(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

void null_libc_log(const char *text)
{
    if (getenv("NULL_LOG"))
        null_libc_print(text);
}

void null_libc_exit(int status)
{
    exit(status);
}

void null_libc_abort(void)
{
    abort();
}

/* SPDX-License-Identifier: MIT */
/*
 * nanosleep(2), clock_nanosleep(2) and how they go on after a signal: a relative sleep keeps its
 * absolute end in task->restart and goes on through restart_syscall(2); an absolute one is simply
 * made again. Nothing is shared; no locks.
 */
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>
#include <kernel/wait.h>
#include "internal.h"
#include <syscalls.gen.h>

/* Until `deadline`: 0, or -EINTR for a signal. */
static int sleep_until(u64 deadline)
{
    int ret;

    do
        ret = task_block(deadline, true);
    while (!ret);
    return ret == -ETIMEDOUT ? 0 : ret;
}

static long nanosleep_run(struct restart_block *rb)
{
    u64 now;

    if (!sleep_until(rb->deadline))
        return 0;
    now = time_monotonic();
    if (now >= rb->deadline)
        return 0;
    if (rb->rmtp) {
        struct __kernel_timespec rest = time_to_timespec(rb->deadline - now);

        if (copy_to_user(rb->rmtp, &rest, sizeof(rest)))
            return -EFAULT;
    }
    rb->fn = nanosleep_run;
    return -ERESTART_RESTARTBLOCK;
}

static long sleep_relative(u64 ns, struct __kernel_timespec __user *rem)
{
    struct restart_block *rb = &current->restart;

    *rb = (struct restart_block){.deadline = time_add(time_monotonic(), ns), .rmtp = rem};
    return nanosleep_run(rb);
}

long sys_nanosleep(const struct __kernel_timespec __user *req, struct __kernel_timespec __user *rem)
{
    struct __kernel_timespec ts;
    u64 ns;

    if (get_user(ts, req))
        return -EFAULT;
    if (timespec_to_ns(&ts, &ns))
        return -EINVAL;
    return sleep_relative(ns, rem);
}

/* A CPU clock stands still while its only thread sleeps: it never gets there, a signal ends it. */
static long sleep_on_cpu_clock(enum clock_kind kind, u64 end)
{
    while (clock_now(kind) < end)
        if (task_block(DEADLINE_NONE, true) == -EINTR)
            return -ERESTARTNOHAND;
    return 0;
}

static long sleep_absolute(enum clock_kind kind, u64 end)
{
    while (clock_now(kind) < end)
        if (sleep_until(clock_to_mono(kind, end)))
            return -ERESTARTNOHAND;
    return 0;
}

long sys_clock_nanosleep(clockid_t clock, int flags, const struct __kernel_timespec __user *req,
                         struct __kernel_timespec __user *rem)
{
    enum clock_kind kind;
    struct __kernel_timespec ts;
    bool absolute = flags & TIMER_ABSTIME;
    u64 ns;

    if (clock_kind_of(clock, &kind))
        return -EINVAL;
    if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
        clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    if (kind == CLOCK_KIND_THREAD)
        return -EINVAL;
    if (get_user(ts, req))
        return -EFAULT;
    if (timespec_to_ns(&ts, &ns))
        return -EINVAL;
    if (kind == CLOCK_KIND_PROCESS)
        return sleep_on_cpu_clock(kind, absolute ? ns : time_add(clock_now(kind), ns));
    if (absolute)
        return sleep_absolute(kind, ns);
    return sleep_relative(ns, rem);
}

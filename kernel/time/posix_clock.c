/* SPDX-License-Identifier: MIT */
/*
 * The calls that tell the time. Setting clocks is refused by the table: the time is fitted to the
 * host's and not a program's to change.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>
#include <linux/times.h>
#include <linux/timex.h>
#include "internal.h"
#include <syscalls.gen.h>

#define USER_HZ 100UL
#define COARSE_RES_NS 4000000UL /* what Debian's kernels say: one tick at 250 Hz */

long sys_clock_gettime(clockid_t clock, struct __kernel_timespec __user *ts)
{
    struct __kernel_timespec now;
    u64 ns;

    if (clock_tell(clock, &ns))
        return -EINVAL;
    now = time_to_timespec(ns);
    return copy_to_user(ts, &now, sizeof(now));
}

long sys_clock_getres(clockid_t clock, struct __kernel_timespec __user *ts)
{
    u64 now;
    bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    struct __kernel_timespec res = time_to_timespec(coarse ? COARSE_RES_NS : 1);

    if (clock_tell(clock, &now))
        return -EINVAL;
    return ts ? copy_to_user(ts, &res, sizeof(res)) : 0;
}

long sys_gettimeofday(struct __kernel_old_timeval __user *tv, void __user *tz)
{
    struct __kernel_old_timeval now = time_to_timeval(time_realtime());
    struct timezone zone = {0};

    if (tv && copy_to_user(tv, &now, sizeof(now)))
        return -EFAULT;
    return tz ? copy_to_user(tz, &zone, sizeof(zone)) : 0;
}

long sys_time(void __user *result)
{
    __kernel_old_time_t now = (__kernel_old_time_t)(time_realtime() / NSEC_PER_SEC);

    if (result && copy_to_user(result, &now, sizeof(now)))
        return -EFAULT;
    return now;
}

static __kernel_clock_t to_ticks(u64 ns)
{
    return (__kernel_clock_t)(ns / (NSEC_PER_SEC / USER_HZ));
}

long sys_times(struct tms __user *buf)
{
    struct group *g = current->group;
    struct tms t = {.tms_utime = to_ticks(cputime_group(g))};

    spin_lock(&g->lock);
    t.tms_cutime = to_ticks(g->children_usage.utime_ns);
    t.tms_cstime = to_ticks(g->children_usage.stime_ns);
    spin_unlock(&g->lock);
    if (buf && copy_to_user(buf, &t, sizeof(t)))
        return -EFAULT;
    return to_ticks(time_monotonic());
}

/* ---- adjtimex(2): reading only -------------------------------------------------------------------- */

static long timex_read(void __user *buf)
{
    struct __kernel_timex tx;
    u64 now;

    if (copy_from_user(&tx, buf, sizeof(tx)))
        return -EFAULT;
    if (tx.modes && tx.modes != ADJ_OFFSET_SS_READ)
        return -EPERM;
    now = time_realtime();
    memset(&tx, 0, sizeof(tx));
    tx.maxerror = tx.esterror = 16000000; /* us: what an unsynchronised Linux says */
    tx.status = STA_UNSYNC;
    tx.constant = 2;
    tx.precision = 1;
    tx.tolerance = 500 << 16;
    tx.tick = USEC_PER_SEC / USER_HZ;
    tx.time.tv_sec = (long long)(now / NSEC_PER_SEC);
    tx.time.tv_usec = (long long)(now % NSEC_PER_SEC / NSEC_PER_USEC);
    return copy_to_user(buf, &tx, sizeof(tx)) ? -EFAULT : TIME_ERROR;
}

long sys_adjtimex(void __user *buf)
{
    return timex_read(buf);
}

long sys_clock_adjtime(clockid_t clock, void __user *buf)
{
    enum clock_kind kind;

    if (clock_kind_of(clock, &kind))
        return -EINVAL;
    return clock == CLOCK_REALTIME ? timex_read(buf) : -EOPNOTSUPP;
}

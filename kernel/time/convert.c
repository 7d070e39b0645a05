/* SPDX-License-Identifier: MIT */
/*
 * Between nanoseconds and the ABI's structures. Programs' values are checked as Linux checks them;
 * what does not fit saturates at INT64_MAX ns (292 years), as ktime_t does.
 */
#include "internal.h"

#define NSEC_MAX_S ((u64)INT64_MAX)

static u64 to_ns(u64 sec, u64 nsec)
{
    if (sec >= NSEC_MAX_S / NSEC_PER_SEC)
        return NSEC_MAX_S;
    return sec * NSEC_PER_SEC + nsec;
}

struct __kernel_timespec time_to_timespec(u64 ns)
{
    return (struct __kernel_timespec){
        .tv_sec = (long long)(ns / NSEC_PER_SEC),
        .tv_nsec = (long long)(ns % NSEC_PER_SEC),
    };
}

int timespec_to_ns(const struct __kernel_timespec *ts, u64 *ns)
{
    if (ts->tv_sec < 0 || (u64)ts->tv_nsec >= NSEC_PER_SEC)
        return -EINVAL;
    *ns = to_ns((u64)ts->tv_sec, (u64)ts->tv_nsec);
    return 0;
}

int timeval_to_ns(const struct __kernel_old_timeval *tv, u64 *ns)
{
    if (tv->tv_sec < 0 || (u64)tv->tv_usec >= USEC_PER_SEC)
        return -EINVAL;
    *ns = to_ns((u64)tv->tv_sec, (u64)tv->tv_usec * NSEC_PER_USEC);
    return 0;
}

struct __kernel_old_timeval time_to_timeval(u64 ns)
{
    return (struct __kernel_old_timeval){
        .tv_sec = (__kernel_long_t)(ns / NSEC_PER_SEC),
        .tv_usec = (__kernel_long_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC),
    };
}

/* SPDX-License-Identifier: MIT */
/*
 * kernel/time.h's clocks from the host, and no timers: linked only when a test does not bring
 * time/.
 */
#include <kernel/target.h>
#include <kernel/time.h>

u64 time_monotonic(void)
{
    u64 realtime, monotonic;

    target_host_clock(&realtime, &monotonic);
    return monotonic;
}

u64 time_realtime(void)
{
    u64 realtime, monotonic;

    target_host_clock(&realtime, &monotonic);
    return realtime;
}

u64 time_real_to_mono(u64 realtime_ns)
{
    u64 offset = time_realtime() - time_monotonic();

    return realtime_ns > offset ? realtime_ns - offset : 0;
}

void cputime_block_begin(void)
{
}

void cputime_block_end(void)
{
}

void ktimer_run(void)
{
}

u64 ktimer_next(void)
{
    return UINT64_MAX;
}

int cpu_limit_update(struct group *g)
{
    (void)g;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Clocks. Time comes from the TSC inside; its frequency and offset are fitted to the host's clock,
 * checked against it now and then, and never make a clock go backwards (kernel/time/clock.c).
 */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include <kernel/types.h>
#include <linux/time_types.h>

#define NSEC_PER_SEC 1000000000UL

/* Nanoseconds. Callable with spinlocks held; never leaves the enclave. */
u64 time_monotonic(void);
u64 time_realtime(void);

struct __kernel_timespec time_to_timespec(u64 ns);
struct __kernel_old_timeval time_to_timeval(u64 ns);

/* A moment that may lie before the epoch, split as struct timespec is: the rest is never negative. */
static inline s64 time_seconds(s64 ns)
{
    return ns / (s64)NSEC_PER_SEC - (ns % (s64)NSEC_PER_SEC < 0);
}

static inline u32 time_rest(s64 ns)
{
    return (u32)(ns - time_seconds(ns) * (s64)NSEC_PER_SEC);
}
/* -EINVAL for a negative or denormal timespec. Saturates at INT64_MAX ns. */
int timespec_to_ns(const struct __kernel_timespec *ts, u64 *ns);

/*
 * Calls' timeouts as monotonic ns (time/deadline.c). The moment `ns` from now, short of DEADLINE_NONE; 0, which
 * has passed, for no time at all. What is left until a deadline, 0 when it passed.
 */
u64 time_deadline(u64 ns);
u64 time_left(u64 deadline);
/*
 * A program's timeout, or a moment on CLOCK_MONOTONIC or (`realtime`) CLOCK_REALTIME: DEADLINE_NONE for NULL.
 * 0, -EFAULT, or -EINVAL as timespec_to_ns().
 */
int deadline_import(const struct __kernel_timespec __user *timeout, u64 *deadline);
int deadline_import_at(const struct __kernel_timespec __user *moment, bool realtime, u64 *deadline);

/* As time_monotonic, for a deadline on CLOCK_REALTIME; saturates at DEADLINE_NONE - 1. */
u64 time_real_to_mono(u64 realtime_ns);

/*
 * Compares with the host's clock when the last comparison is old (1 s at first, then twice as long
 * each time up to 64 s) and slews the rate. May leave the enclave: no spinlocks.
 */
void time_check(void);

/*
 * CPU time (time/cputime.c): a task's time since its start without what it spent blocked. The host's
 * preemption cannot be seen inside and counts as running; user and kernel time cannot be told apart
 * without a TSC read at every border, so all of it is user time: two reads take 20 ns or more where that was
 * measured, all of getpid(2) 18.
 */
struct task;
struct group;
u64 cputime_task(const struct task *t);
u64 cputime_group(struct group *g);
/* A process goes away: its time counts among that of all that are gone. */
void cputime_group_gone(struct group *g);
u64 cputime_gone(void);
/* Around parking, by task_block(): the current task stops and starts to use the processor. */
void cputime_block_begin(void);
void cputime_block_end(void);

/* Timers of the kernel (ITIMER_*, alarm, POSIX timers): run their function in the context of a task
 * that noticed the interrupt or expiry, with no locks held. */
struct ktimer {
    u64 deadline; /* monotonic ns; guarded by the timer list's lock */
    void (*fn)(struct ktimer *t);
    struct ktimer *prev, *next;
    bool armed;
};

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *));
bool ktimer_set(struct ktimer *t, u64 deadline); /* true when it was armed before */
bool ktimer_cancel(struct ktimer *t); /* true when it was armed and will not run */

/* Runs expired timers; called from the interrupt path, before blocking and after waking. */
void ktimer_run(void);
/* The earliest deadline, UINT64_MAX when none. */
u64 ktimer_next(void);

/* Fits the clock to the host's; called once at boot, with the TSC running. */
void time_init(void);

/* A process' timers end (exit) or, POSIX timers only, are deleted (exec). */
void group_timers_exit(struct group *g);
void group_timers_exec(struct group *g);

/*
 * RLIMIT_CPU of the process changed, or it starts with limits that it got by fork(2): sees to its signals. 0 or
 * -ENOMEM; never that after cpu_limit_prepare() gave 0 for the same limits.
 */
int cpu_limit_update(struct group *g);
int cpu_limit_prepare(struct group *g);

/* The data page behind the vDSO's clock_gettime; in the kernel's image; it is readable at its address. */
struct vdso_data;
const struct vdso_data *time_vdso_data(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A process' timers. The object is made by the first call that needs it and lives until the process
 * ends.
 *
 * Locking: group->timers is published once (under group->lock) and then constant. timers->lock
 * (spinlock, taken with no other lock but group->lock inside) guards the rest. ktimer_set() may leave
 * the enclave and is called without it; so an expiry may find its timer changed meanwhile: the
 * deadlines in here are the truth, a ktimer that fires early or late looks again.
 *
 * A ktimer of a process that is armed, or whose expiry runs, has a reference on the group: the expiry may come just when
 * the process ends.
 */
#ifndef KERNEL_TIME_TIMERS_H
#define KERNEL_TIME_TIMERS_H

#include <kernel/signal.h>
#include <kernel/task.h>
#include "internal.h"

/* ITIMER_REAL, _VIRTUAL, _PROF, indexed by their numbers. */
#define ITIMER_COUNT 3

struct itimer {
    struct ktimer kt;
    struct group *group; /* constant */
    enum clock_kind kind; /* constant: ITIMER_REAL runs on the monotonic clock, others on CPU time */
    int sig;             /* constant */
    u64 deadline;        /* on its clock; 0: off */
    u64 interval;
};

struct group_timers {
    spinlock_t lock;
    struct group *group;                 /* constant */
    struct ktimer cpu_limit;             /* RLIMIT_CPU; cpulimit.c */
    struct itimer itimers[ITIMER_COUNT]; /* deadline, interval guarded by lock */
    struct list posix GUARDED_BY(&lock); /* struct posix_timer.link, by id */
    int next_id GUARDED_BY(&lock);
    bool ended GUARDED_BY(&lock);        /* the process has: nothing is armed again */
    unsigned posix_count GUARDED_BY(&lock);
};

/* The group's timers, made when there are none yet. NULL: no memory. */
struct group_timers *group_timers_get(struct group *g);

/* Arms one of the group's ktimers, unless the process has ended. Without timers->lock. */
void group_timer_arm(struct group_timers *gt, struct ktimer *kt, u64 deadline);
void group_timer_stop(struct group_timers *gt, struct ktimer *kt);

void cpu_limit_expired(struct ktimer *kt);

/* Deletes all POSIX timers (exit, exec). */
void posix_timers_delete_all(struct group_timers *gt);

/*
 * Periods that went by unseen: moves *deadline by whole intervals to the first one after `now` and
 * returns how many beyond the first. `interval` is not 0.
 */
u64 timer_forward(u64 *deadline, u64 interval, u64 now);

#endif

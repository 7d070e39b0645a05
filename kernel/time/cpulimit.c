/* SPDX-License-Identifier: MIT */
/*
 * RLIMIT_CPU (setrlimit(2)): SIGXCPU at the soft limit and again each second of CPU time after it, SIGKILL
 * at the hard one. As on Linux each SIGXCPU moves the soft limit a second on.
 *
 * A ktimer is set for the earliest moment at which the process can have used its time (all threads
 * running) and looks again then; it runs in the interrupt path. Granularity: a millisecond after the
 * limit at the earliest look, and what CPU time itself is (kernel/time.h: the host's preemption counts).
 *
 * Locking: group->lock for the limits, timers.h for the object.
 */
#include "timers.h"

#define LOOK_NS 1000000UL

static u64 seconds_ns(u64 seconds)
{
    u64 ns;

    return __builtin_mul_overflow(seconds, NSEC_PER_SEC, &ns) ? UINT64_MAX : ns;
}

/* When the process can reach `limit` ns of CPU time at the earliest; monotonic ns. */
static u64 earliest(struct group *g, u64 limit, u64 used)
{
    u64 left = limit > used ? limit - used : 0, threads = 0;
    struct task *t;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        threads++;
    }
    spin_unlock(&g->lock);
    return time_add(time_monotonic(), max(left / max(threads, 1UL), LOOK_NS));
}

/* The signal that is due, 0 for none; *next: the limit to wait for, RLIM_INFINITY_ for none. */
static int limit_due(struct group *g, u64 used, u64 *next)
{
    struct rlimit64_k *l = &g->rlimits[RLIMIT_CPU];
    int sig = 0;

    spin_lock(&g->lock);
    if (l->max != RLIM_INFINITY_ && used >= seconds_ns(l->max)) {
        sig = SIGKILL;
    } else if (l->cur != RLIM_INFINITY_ && used >= seconds_ns(l->cur)) {
        sig = SIGXCPU;
        l->cur++;
    }
    *next = sig == SIGKILL ? RLIM_INFINITY_ : min(l->cur, l->max);
    spin_unlock(&g->lock);
    return sig;
}

void cpu_limit_expired(struct ktimer *kt)
{
    struct group_timers *gt = container_of(kt, struct group_timers, cpu_limit);
    struct group *g = gt->group;
    u64 used = cputime_group(g), next;
    int sig = limit_due(g, used, &next);

    if (sig)
        signal_send_group(g, sig, NULL);
    if (next != RLIM_INFINITY_)
        group_timer_arm(gt, kt, earliest(g, seconds_ns(next), used));
    group_put(g);
}

/* The limit that is reached first, in seconds. */
static u64 first_limit(struct group *g)
{
    struct rlimit64_k *l = &g->rlimits[RLIMIT_CPU];
    u64 first;

    spin_lock(&g->lock);
    first = min(l->cur, l->max);
    spin_unlock(&g->lock);
    return first;
}

int cpu_limit_prepare(struct group *g)
{
    return first_limit(g) == RLIM_INFINITY_ || group_timers_get(g) ? 0 : -ENOMEM;
}

int cpu_limit_update(struct group *g)
{
    u64 next = first_limit(g);
    struct group_timers *gt;

    if (next == RLIM_INFINITY_)
        return 0; /* an armed timer finds nothing to do */
    gt = group_timers_get(g);
    if (!gt)
        return -ENOMEM;
    group_timer_arm(gt, &gt->cpu_limit, earliest(g, seconds_ns(next), cputime_group(g)));
    return 0;
}

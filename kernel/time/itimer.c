/* SPDX-License-Identifier: MIT */
/*
 * Interval timers: setitimer(2), getitimer(2), alarm(2), and the object that holds a process' timers.
 *
 * ITIMER_REAL is a ktimer. ITIMER_VIRTUAL and ITIMER_PROF count the process' CPU time (both count all
 * of it, see kernel/time.h): their ktimer is set for the earliest moment at which the CPU clock can
 * get there and looks again then. Locking: timers.h.
 */
#include <kernel/alloc.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include <linux/time.h>
#include "timers.h"
#include <syscalls.gen.h>

/* A CPU clock may stand still for long (its thread sleeps): looking again is spaced by this at least. */
#define CPU_LOOK_NS 1000000UL

u64 timer_forward(u64 *deadline, u64 interval, u64 now)
{
    u64 missed = now > *deadline ? (now - *deadline) / interval : 0;

    *deadline = time_add(*deadline, (missed + 1) * interval);
    return missed;
}

/* When to look at `t` next, in monotonic ns. */
static u64 itimer_look(const struct itimer *t, u64 deadline)
{
    if (t->kind == CLOCK_KIND_MONO)
        return deadline;
    return max(time_add(time_monotonic(), CPU_LOOK_NS),
               time_add(time_monotonic(), deadline - min(deadline, cputime_group(t->group))));
}

static u64 itimer_now(const struct itimer *t)
{
    return t->kind == CLOCK_KIND_MONO ? time_monotonic() : cputime_group(t->group);
}

void group_timer_arm(struct group_timers *gt, struct ktimer *kt, u64 deadline)
{
    bool ended;

    ref_get(&gt->group->ref);
    spin_lock(&gt->lock);
    ended = gt->ended;
    spin_unlock(&gt->lock);
    if (ended || ktimer_set(kt, deadline))
        group_put(gt->group); /* what was armed had one already */
}

void group_timer_stop(struct group_timers *gt, struct ktimer *kt)
{
    if (ktimer_cancel(kt))
        group_put(gt->group);
}

static void itimer_expired(struct ktimer *kt)
{
    struct itimer *t = container_of(kt, struct itimer, kt);
    struct group *g = t->group;
    struct group_timers *gt = g->timers;
    u64 now = itimer_now(t);
    u64 deadline;
    bool fire;

    spin_lock(&gt->lock);
    fire = t->deadline && now >= t->deadline;
    if (fire && t->interval)
        (void)timer_forward(&t->deadline, t->interval, now);
    else if (fire)
        t->deadline = 0;
    deadline = t->deadline;
    spin_unlock(&gt->lock);
    if (fire)
        signal_send_group(g, t->sig, NULL);
    if (deadline)
        group_timer_arm(gt, kt, itimer_look(t, deadline));
    group_put(g);
}

static struct group_timers *group_timers_create(struct group *g)
{
    static const int sigs[ITIMER_COUNT] = {
        [ITIMER_REAL] = SIGALRM, [ITIMER_VIRTUAL] = SIGVTALRM, [ITIMER_PROF] = SIGPROF};
    struct group_timers *gt = kzalloc(sizeof(*gt));

    if (!gt)
        return NULL;
    spin_init(&gt->lock, "group_timers");
    gt->group = g;
    ktimer_init(&gt->cpu_limit, cpu_limit_expired);
    list_init(&gt->posix);
    for (int i = 0; i < ITIMER_COUNT; i++) {
        ktimer_init(&gt->itimers[i].kt, itimer_expired);
        gt->itimers[i].group = g;
        gt->itimers[i].sig = sigs[i];
        gt->itimers[i].kind = i == ITIMER_REAL ? CLOCK_KIND_MONO : CLOCK_KIND_PROCESS;
    }
    return gt;
}

struct group_timers *group_timers_get(struct group *g)
{
    struct group_timers *gt = __atomic_load_n(&g->timers, __ATOMIC_ACQUIRE);
    struct group_timers *mine;

    if (gt)
        return gt;
    mine = group_timers_create(g);
    if (!mine)
        return NULL;
    spin_lock(&g->lock);
    gt = g->timers;
    if (!gt) {
        __atomic_store_n(&g->timers, mine, __ATOMIC_RELEASE);
        gt = mine;
        mine = NULL;
    }
    spin_unlock(&g->lock);
    kfree(mine);
    return gt;
}

void group_timers_exit(struct group *g)
{
    struct group_timers *gt = g->timers;

    if (!gt)
        return;
    spin_lock(&gt->lock);
    gt->ended = true;
    spin_unlock(&gt->lock);
    for (int i = 0; i < ITIMER_COUNT; i++)
        group_timer_stop(gt, &gt->itimers[i].kt);
    group_timer_stop(gt, &gt->cpu_limit);
    posix_timers_delete_all(gt);
}

void group_timers_exec(struct group *g)
{
    if (g->timers)
        posix_timers_delete_all(g->timers);
}

/* ---- setitimer(2), getitimer(2), alarm(2) -------------------------------------------------------- */

/* What is left and the interval, as the structures tell it. An armed timer never shows zero. */
static void itimer_read(struct group_timers *gt, struct itimer *t, u64 *left, u64 *interval)
{
    u64 now = itimer_now(t);

    spin_lock(&gt->lock);
    *interval = t->interval;
    *left = !t->deadline ? 0 : t->deadline > now ? t->deadline - now : NSEC_PER_USEC;
    spin_unlock(&gt->lock);
}

static void itimer_write(struct group_timers *gt, struct itimer *t, u64 value, u64 interval)
{
    u64 deadline = value ? time_add(itimer_now(t), value) : 0;

    spin_lock(&gt->lock);
    t->deadline = deadline;
    t->interval = interval;
    spin_unlock(&gt->lock);
    if (deadline)
        group_timer_arm(gt, &t->kt, itimer_look(t, deadline));
    else
        group_timer_stop(gt, &t->kt);
}

static int put_itimerval(struct __kernel_old_itimerval __user *dst, u64 left, u64 interval)
{
    struct __kernel_old_itimerval v = {.it_interval = time_to_timeval(interval),
                                       .it_value = time_to_timeval(left)};

    return copy_to_user(dst, &v, sizeof(v));
}

long sys_getitimer(int which, struct __kernel_old_itimerval __user *value)
{
    struct group_timers *gt = current->group->timers;
    u64 left = 0, interval = 0;

    if (which < 0 || which >= ITIMER_COUNT)
        return -EINVAL;
    if (gt)
        itimer_read(gt, &gt->itimers[which], &left, &interval);
    return put_itimerval(value, left, interval);
}

long sys_setitimer(int which, const struct __kernel_old_itimerval __user *value,
                   struct __kernel_old_itimerval __user *old)
{
    struct __kernel_old_itimerval v = {0};
    struct group_timers *gt;
    u64 ns, interval, old_left, old_interval;

    if (value && get_user(v, value))
        return -EFAULT;
    if (which < 0 || which >= ITIMER_COUNT)
        return -EINVAL;
    if (timeval_to_ns(&v.it_value, &ns) || timeval_to_ns(&v.it_interval, &interval))
        return -EINVAL;
    gt = group_timers_get(current->group);
    if (!gt)
        return -ENOMEM;
    itimer_read(gt, &gt->itimers[which], &old_left, &old_interval);
    itimer_write(gt, &gt->itimers[which], ns, ns ? interval : 0);
    return old ? put_itimerval(old, old_left, old_interval) : 0;
}

long sys_alarm(unsigned seconds)
{
    struct group_timers *gt = group_timers_get(current->group);
    u64 left, interval;

    if (!gt)
        return 0; /* alarm(2) cannot fail; nothing was armed before either */
    itimer_read(gt, &gt->itimers[ITIMER_REAL], &left, &interval);
    itimer_write(gt, &gt->itimers[ITIMER_REAL], seconds * NSEC_PER_SEC, 0);
    if (left && left < NSEC_PER_SEC)
        return 1;
    return (long)((left + NSEC_PER_SEC / 2) / NSEC_PER_SEC);
}

/* SPDX-License-Identifier: MIT */
/*
 * POSIX timers: timer_create(2) and its like.
 *
 * An expiry queues one signal and the timer then rests until that signal is taken; only then the next
 * period is found and the periods in between are told as the overrun (as Linux does it: a slow
 * program cannot be flooded). A signal that is ignored counts as taken.
 *
 * References: the process' list holds one, an armed ktimer one, and whoever looked the timer up one.
 * Locking: timers->lock guards the list and the fields that say so (timers.h).
 */
#include <kernel/alloc.h>
#include <kernel/printk.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include "../signal/internal.h"
#include "timers.h"
#include <syscalls.gen.h>

struct posix_timer {
    ref_t ref;
    struct list link;      /* guarded by timers->lock */
    struct ktimer kt;
    struct group *group;   /* the fields down to tid: constant */
    int id;
    enum clock_kind kind;
    int notify;            /* SIGEV_* */
    int sig;
    sigval_t value;
    pid_t tid;             /* SIGEV_THREAD_ID */
    u64 deadline;          /* on its clock, 0: off; this and the rest guarded by timers->lock */
    u64 interval;
    bool queued;           /* its signal is pending */
    bool deleted;
    int overrun, last_overrun;
};

/* The shortest wait before an ignored signal's timer looks again (Linux: one tick). */
#define IGNORED_PERIOD_NS 4000000UL

static void timer_put(struct posix_timer *t)
{
    if (ref_put(&t->ref))
        kfree(t);
}

/* Drops a reference beside the caller's own. */
static void timer_put_spare(struct posix_timer *t)
{
    bool last = ref_put(&t->ref);

    ASSERT(!last);
}

/* Sets the ktimer; the armed ktimer owns a reference. Not under the lock. */
static void timer_arm(struct posix_timer *t, u64 deadline)
{
    ref_get(&t->ref);
    if (ktimer_cancel(&t->kt))
        timer_put_spare(t);
    ktimer_set(&t->kt, clock_to_mono(t->kind, deadline));
}

static void timer_disarm(struct posix_timer *t)
{
    if (ktimer_cancel(&t->kt))
        timer_put_spare(t);
}

static struct posix_timer *timer_find(struct group_timers *gt, int id)
{
    struct posix_timer *t, *found = NULL;

    if (!gt)
        return NULL;
    spin_lock(&gt->lock);
    list_for_each(t, &gt->posix, link)
    {
        if (t->id == id) {
            ref_get(&t->ref);
            found = t;
            break;
        }
    }
    spin_unlock(&gt->lock);
    return found;
}

static int clamp_overrun(u64 n)
{
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

/* Queues the timer's signal. False: nobody will take it (ignored, none wanted, queue full). */
static bool timer_notify(struct posix_timer *t)
{
    siginfo_t info = {.si_signo = t->sig, .si_code = SI_TIMER};
    struct task *target = NULL;
    int ret;

    if (t->notify == SIGEV_NONE)
        return false;
    info.si_tid = t->id;
    info.si_value = t->value;
    if (t->notify == SIGEV_THREAD_ID) {
        target = task_find(t->tid);
        if (!target)
            return false;
    }
    ret = target ? signal_queue_task(target, &info) : signal_queue_group(t->group, &info);
    if (target)
        task_put(target);
    return ret == 0;
}

/* The next period after one that nobody will take; 0 when there is none. Called with the lock. */
static u64 next_unseen(struct posix_timer *t, u64 now)
{
    if (!t->interval) {
        t->deadline = 0;
        return 0;
    }
    (void)timer_forward(&t->deadline, t->interval, now);
    return max(t->deadline, time_add(now, min(t->interval, IGNORED_PERIOD_NS)));
}

static void timer_expired(struct ktimer *kt)
{
    struct posix_timer *t = container_of(kt, struct posix_timer, kt);
    struct group_timers *gt = t->group->timers;
    u64 now = clock_now(t->kind);
    u64 again = 0;
    bool fire;

    spin_lock(&gt->lock);
    fire = !t->deleted && t->deadline && now >= t->deadline && !t->queued;
    if (!fire && !t->deleted && !t->queued)
        again = t->deadline;
    t->queued |= fire;
    spin_unlock(&gt->lock);
    if (fire && !timer_notify(t)) {
        spin_lock(&gt->lock);
        t->queued = false;
        again = next_unseen(t, now);
        spin_unlock(&gt->lock);
    }
    if (again)
        timer_arm(t, again);
    timer_put(t);
}

void posix_timer_taken(struct group *g, siginfo_t *info)
{
    struct group_timers *gt = g->timers;
    struct posix_timer *t = timer_find(gt, info->si_tid);
    u64 now, again = 0;

    if (!t)
        return;
    now = clock_now(t->kind);
    spin_lock(&gt->lock);
    t->queued = false;
    t->last_overrun = 0;
    if (t->deadline && t->interval) {
        t->last_overrun = clamp_overrun(timer_forward(&t->deadline, t->interval, now));
        again = t->deadline;
    } else {
        t->deadline = 0;
    }
    info->si_overrun = t->last_overrun;
    spin_unlock(&gt->lock);
    if (again)
        timer_arm(t, again);
    timer_put(t);
}

/* ---- Creation and deletion ------------------------------------------------------------------------ */

static int sigevent_check(const struct sigevent *ev)
{
    struct task *t;
    bool same;

    switch (ev->sigev_notify) {
    case SIGEV_NONE:
        return 0;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD:
        break;
    case SIGEV_THREAD_ID:
        t = task_find(ev->sigev_notify_thread_id);
        if (!t)
            return -EINVAL;
        same = t->group == current->group;
        task_put(t);
        if (!same)
            return -EINVAL;
        break;
    default:
        return -EINVAL;
    }
    return ev->sigev_signo < 1 || ev->sigev_signo > NSIG_K ? -EINVAL : 0;
}

static struct posix_timer *timer_alloc(enum clock_kind kind, const struct sigevent *ev)
{
    struct posix_timer *t = kzalloc(sizeof(*t));

    if (!t)
        return NULL;
    ref_init(&t->ref); /* the caller's */
    list_init(&t->link);
    ktimer_init(&t->kt, timer_expired);
    t->group = current->group;
    t->kind = kind;
    t->notify = ev->sigev_notify;
    t->sig = ev->sigev_signo;
    t->value = ev->sigev_value;
    t->tid = ev->sigev_notify == SIGEV_THREAD_ID ? ev->sigev_notify_thread_id : 0;
    return t;
}

/*
 * Each timer counts against RLIMIT_SIGPENDING, as its signal would. `tell_id`: the program named no
 * event, its signal carries the timer's number.
 */
static int timer_publish(struct group_timers *gt, struct posix_timer *t, bool tell_id)
{
    u64 limit = rlimit(RLIMIT_SIGPENDING);
    int ret = -EAGAIN;

    spin_lock(&gt->lock);
    if (gt->posix_count < limit && gt->next_id < INT32_MAX) {
        t->id = gt->next_id++;
        if (tell_id)
            t->value.sival_int = t->id;
        gt->posix_count++;
        ref_get(&t->ref);
        list_add_tail(&gt->posix, &t->link);
        ret = 0;
    }
    spin_unlock(&gt->lock);
    return ret;
}

/* Takes a timer off its process' list, once; the list's reference goes, the caller's stays. */
static bool timer_remove(struct group_timers *gt, struct posix_timer *t)
{
    bool first;

    spin_lock(&gt->lock);
    first = !t->deleted;
    t->deleted = true;
    t->deadline = 0;
    if (first) {
        list_del(&t->link);
        gt->posix_count--;
    }
    spin_unlock(&gt->lock);
    if (!first)
        return false;
    timer_disarm(t);
    timer_put_spare(t);
    return true;
}

void posix_timers_delete_all(struct group_timers *gt)
{
    for (;;) {
        struct posix_timer *t = NULL;

        spin_lock(&gt->lock);
        if (!list_empty(&gt->posix)) {
            t = list_first(&gt->posix, struct posix_timer, link);
            ref_get(&t->ref);
        }
        spin_unlock(&gt->lock);
        if (!t)
            return;
        (void)timer_remove(gt, t);
        timer_put(t);
    }
}

/* Which clocks have timers: not the COARSE, RAW and ALARM ones. */
static int timer_clock(clockid_t clock, enum clock_kind *kind)
{
    if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
        return -EOPNOTSUPP;
    if (clock_kind_of(clock, kind))
        return -EINVAL;
    if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
        clock == CLOCK_REALTIME_COARSE)
        return -EOPNOTSUPP;
    return 0;
}

long sys_timer_create(clockid_t clock, const struct sigevent __user *event, int __user *id)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct group_timers *gt = group_timers_get(current->group);
    struct posix_timer *t;
    enum clock_kind kind;
    int ret = timer_clock(clock, &kind);

    if (ret)
        return ret;
    if (event && copy_from_user(&ev, event, sizeof(ev)))
        return -EFAULT;
    if (sigevent_check(&ev))
        return -EINVAL;
    t = gt ? timer_alloc(kind, &ev) : NULL;
    if (!t)
        return -EAGAIN;
    ret = timer_publish(gt, t, !event);
    if (ret) {
        timer_put(t);
        return ret;
    }
    ret = put_user(t->id, id);
    if (ret)
        (void)timer_remove(gt, t);
    timer_put(t);
    return ret;
}

long sys_timer_delete(int id)
{
    struct group_timers *gt = current->group->timers;
    struct posix_timer *t = timer_find(gt, id);
    bool first;

    if (!t)
        return -EINVAL;
    first = timer_remove(gt, t);
    timer_put(t);
    return first ? 0 : -EINVAL;
}

/* ---- Setting and reading --------------------------------------------------------------------------- */

/* As timer_gettime tells it: a periodic timer whose signal waits shows the next period. */
static struct __kernel_itimerspec timer_read(struct group_timers *gt, struct posix_timer *t)
{
    u64 now = clock_now(t->kind);
    u64 deadline, interval, left = 0;

    spin_lock(&gt->lock);
    deadline = t->deadline;
    interval = t->interval;
    spin_unlock(&gt->lock);
    if (deadline && interval && now >= deadline)
        (void)timer_forward(&deadline, interval, now);
    if (deadline)
        left = deadline > now ? deadline - now : t->notify == SIGEV_NONE ? 0 : 1;
    return (struct __kernel_itimerspec){.it_interval = time_to_timespec(interval),
                                        .it_value = time_to_timespec(left)};
}

static void timer_write(struct group_timers *gt, struct posix_timer *t, u64 deadline, u64 interval)
{
    timer_disarm(t);
    spin_lock(&gt->lock);
    t->deadline = deadline;
    t->interval = interval;
    t->queued = false;
    t->last_overrun = 0;
    spin_unlock(&gt->lock);
    if (deadline)
        timer_arm(t, deadline);
}

long sys_timer_settime(int id, int flags, const struct __kernel_itimerspec __user *value,
                       struct __kernel_itimerspec __user *old)
{
    struct group_timers *gt = current->group->timers;
    struct __kernel_itimerspec v, was;
    struct posix_timer *t;
    u64 ns, interval;

    if (!value)
        return -EINVAL;
    if (get_user(v, value))
        return -EFAULT;
    if (timespec_to_ns(&v.it_value, &ns) || timespec_to_ns(&v.it_interval, &interval))
        return -EINVAL;
    t = timer_find(gt, id);
    if (!t)
        return -EINVAL;
    was = timer_read(gt, t);
    if (ns && !(flags & TIMER_ABSTIME))
        ns = time_add(clock_now(t->kind), ns);
    timer_write(gt, t, ns, ns ? interval : 0);
    timer_put(t);
    return old && copy_to_user(old, &was, sizeof(was)) ? -EFAULT : 0;
}

long sys_timer_gettime(int id, struct __kernel_itimerspec __user *value)
{
    struct group_timers *gt = current->group->timers;
    struct posix_timer *t = timer_find(gt, id);
    struct __kernel_itimerspec v;

    if (!t)
        return -EINVAL;
    v = timer_read(gt, t);
    timer_put(t);
    return copy_to_user(value, &v, sizeof(v));
}

long sys_timer_getoverrun(int id)
{
    struct group_timers *gt = current->group->timers;
    struct posix_timer *t = timer_find(gt, id);
    int overrun;

    if (!t)
        return -EINVAL;
    spin_lock(&gt->lock);
    overrun = t->last_overrun;
    spin_unlock(&gt->lock);
    timer_put(t);
    return overrun;
}
